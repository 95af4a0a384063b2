/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a nest is to be: guests inside each other, level 1 the outermost. The nidus of one level
 * runs the guest of the next; level 0 is where `nidus nest` was called. The plan is made there and
 * goes along from level to level, as JSON.
 *
 * Errors of these functions are -errno, said: -EINVAL for what the user got wrong, -ENOMEM, and
 * what the files that are named have to say.
 */
#ifndef NIDUS_NEST_H
#define NIDUS_NEST_H

#include "boot/archive.h"
#include "config/config.h"
#include "options/word_list.h"

struct snapshot;

#define NEST_LEVELS_MAX	    8
#define NEST_TIME_LIMIT_MAX 86400 /* seconds */

/* A file that a level has. */
struct nest_file {
	unsigned int source; /* which of the nest's sources */
	char *path; /* where it is in that level */
};

struct nest_level {
	int kernel; /* which of the nest's sources; -1: none is named yet */
	int hypervisor; /* the same of one that starts the kernel as its first domain; -1: none */
	char *hypervisor_params; /* NULL: none */
	struct word_list options; /* of `run` */
	struct word_list command; /* empty: none */
	char *params; /* further ones for the kernel; NULL: none */
	struct nest_file *files;
	unsigned int file_count;
	unsigned int time_limit; /* seconds from its start to its end */
};

struct nest {
	struct word_list
		sources; /* paths of all files that are carried, where this level has them */
	struct nest_level defaults; /* what new levels begin as */
	struct nest_level levels[NEST_LEVELS_MAX]; /* from the outermost */
	unsigned int depth; /* how many there are */
	char *root; /* the directory that is the innermost's root, where this level has it, or NULL
		     */
	char *net; /* what level 1's network is, as run --network has it; NULL: there is none */
	/*
	 * Devices of level 1's guest that each level hands on to the next (init_device.h), and
	 * where this level has them, from when it has taken them.
	 */
	struct word_list passthrough, taken;
	bool waits; /* the innermost level waits for its command, at its console */
	/* Of level 1's guest, as run has them, or NULL; the caller's. */
	const char *name, *control;
	/* What level 1 goes on from, or NULL; and the file that it is saved to, or -1. Likewise. */
	const struct snapshot *from;
	int save_fd;
};

/* Without levels. */
void nest_create(struct nest *nest);
void nest_destroy(struct nest *nest);

/* Adds a level inside all others. -E2BIG if there are NEST_LEVELS_MAX. */
int nest_add_level(struct nest *nest);

/*
 * Sets one thing of a level, or with level 0 of all that are added later, or of the nest; keys are
 * those of nest files (docs/nested.md).
 */
int nest_set(struct nest *nest, unsigned int level, const char *key, const char *value);
/* The same with words that are parted already. */
int nest_set_command(struct nest *nest, unsigned int level, int argc, char **argv);

/* Whether the levels hand on a device of that name. */
bool nest_hands_on(const struct nest *nest, const char *device);

/* In that level: takes what it is to hand on from its drivers, for the guest that it runs then. */
int nest_take_devices(struct nest *nest, unsigned int level);

/*
 * Adds to the levels of a nest with a root what they hand it down by: virtiofsd, and what that is
 * loaded with. For level 0, when all levels are there. -ENOPKG: there is no virtiofsd.
 */
int nest_add_root(struct nest *nest);

/* Holds what a struct config made by nest_configure() points to. All zeroes is an empty one. */
struct nest_words {
	struct word_list list;
	char params[4096];
};

/*
 * How the guest of a level is run by the level beneath; initramfs and report are left to the
 * caller. words is empty before, and released by nest_release(), also after an error.
 */
int nest_configure(const struct nest *nest, unsigned int level, struct config *config,
		   struct nest_words *words);
void nest_release(struct nest_words *words);
/* The same for level 1 of a nest that goes on from a snapshot. */
int nest_restore_config(const struct nest *nest, struct config *config, struct nest_words *words);

/*
 * The plan of a nest that was saved, from its snapshot, which outlives it; nest is empty before.
 * -EINVAL: it is none of a nest.
 */
int nest_read_snapshot(struct nest *nest, const struct snapshot *snapshot);

/*
 * The initramfs of a level: nidus as /init, the plan, and of the files those that it or a level
 * inside it needs. The caller's to destroy.
 */
int nest_pack(const struct nest *nest, unsigned int level, struct archive **archive);

/* The plan that nest_pack() has put there, and of which level this is. */
int nest_unpack(struct nest *nest, unsigned int *level);

/* Whether all of it makes sense, and all files are there, while this is level 0. */
int nest_check(const struct nest *nest);

/* Sets levels as a nest file says. What is wrong is said with file and line. */
int nest_read_file(struct nest *nest, const char *path);

/* What nidus exits with for an error of these: whether the user is to blame or the host. */
int nest_status(int err);

#endif
