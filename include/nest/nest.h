/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a nest is to be: guests inside each other, level 1 the outermost. The nidus of one level
 * runs the guest of the next; level 0 is where `nidus nest` was called. The plan is made there and
 * goes along from level to level as JSON.
 */
#ifndef NIDUS_NEST_H
#define NIDUS_NEST_H

#include <jansson.h>
#include <stdbool.h>

#include "boot/archive.h"
#include "machine/config.h"

#define NEST_LEVELS_MAX 8

struct nest {
	json_t *sources; /* paths of all files that are carried, where this level has them */
	json_t *defaults; /* what new levels begin as */
	json_t *levels; /* from the outermost */
};

/* Without levels. -ENOMEM, said. */
int nest_create(struct nest *nest);
void nest_destroy(struct nest *nest);

unsigned int nest_depth(const struct nest *nest);

/* Adds a level inside all others. False, said, if there are NEST_LEVELS_MAX. */
bool nest_add_level(struct nest *nest);

/*
 * Sets one thing of a level, or with level 0 of all that are added later; keys are those of nest
 * files (docs/nested.md). False, said, for what cannot be.
 */
bool nest_set(struct nest *nest, unsigned int level, const char *key, const char *value);
bool nest_set_command(struct nest *nest, unsigned int level, int argc, char **argv);

/* Seconds that a level has from its start to its end. */
unsigned int nest_time_limit(const struct nest *nest, unsigned int level);
/* An array of words, empty if there is none; nest's. */
const json_t *nest_command(const struct nest *nest, unsigned int level);

/* Holds what a struct config made by nest_configure() points to. */
struct nest_words {
	int argc;
	char *argv[128];
	char params[4096];
};

/*
 * How the guest of a level is run by the level beneath; initramfs and report are left to the
 * caller. words is released by nest_release(), also on failure: false, said.
 */
bool nest_configure(const struct nest *nest, unsigned int level, struct config *config,
		    struct nest_words *words);
void nest_release(struct nest_words *words);

/*
 * The initramfs of a level: nidus as /init, the plan, and of the files those that it or a level
 * inside it needs. The caller's to destroy. NULL, said.
 */
struct archive *nest_pack(const struct nest *nest, unsigned int level);

/* The plan that nest_pack() has put there, and of which level this is. -errno, said. */
int nest_unpack(struct nest *nest, unsigned int *level);

/* Whether all of it makes sense, and all files are there, while this is level 0. False, said. */
bool nest_check(const struct nest *nest);

/* Sets levels as a nest file says. False, said with file and line. */
bool nest_read_file(struct nest *nest, const char *path);

#endif
