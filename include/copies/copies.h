/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copies of a guest that was saved: as many as were asked for, from one command line and one open
 * file. Each is a process of its own, which does what a restore of that name would, so that what
 * befalls one befalls no other; and all of them go with the process that has started them.
 */
#ifndef NIDUS_COPIES_H
#define NIDUS_COPIES_H

#include "config/config.h"
#include "machine/status.h"

struct copies {
	/* The command line, argv[0] the subcommand's name, before a parser has cut its words. */
	int argc;
	char **argv;
	unsigned int count; /* 1 to CONFIG_COPIES_MAX */
	const char *path; /* of the file */
	const struct snapshot *snapshot;
	/* What a copy's configuration has of the file. Errors: -errno, said. */
	int (*complete)(struct config *config, const struct snapshot *snapshot);
	/* A copy's life, in its own process; config outlives it. Returns what to exit with. */
	enum status (*live)(const struct config *config);
};

/*
 * The command line for the copy of that number, in memory that one free() gives back: in its words
 * {} is the number. NULL: no memory, said.
 */
char **copies_words(int argc, char **argv, unsigned int number);

/*
 * Starts copies->count of them, passes on what their consoles say, line by line with the
 * name in front, and returns what to exit with when all have ended: the worst of theirs. In the
 * process of a copy it returns as well, with what live() has returned. Nothing is started where the
 * command line gives to all what only one can have: that is said.
 */
enum status copies_run(const struct copies *copies);

#endif
