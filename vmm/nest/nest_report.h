/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the levels of a nest tell level 0: JSON objects, a line each. Each has "level", whose guest
 * it is about, and "is":
 *
 *   begun     by the level beneath: it is about to be built
 *   up        by nidus as its init: "linux", "cpus", "memory" in MiB
 *   ready     by that of the innermost level, where it waits for its command
 *   saved     by what runs level 1: to a file; "ram" bytes, and for how long it was paused, in
 *             nanoseconds, in "paused"
 *   command   by nidus as its init: its command ended with "status" (128 + N: by signal N)
 *   ended     by the level beneath: "by" what outcome, the "status" of that run, its statistics
 *             in "stats", and the end of its "console" if it did not power itself off
 *
 * A guest may write to its port whatever it likes, so nidus in every level passes on only what its
 * guest may say (nest_relay.h).
 */
#ifndef NIDUS_NEST_REPORT_H
#define NIDUS_NEST_REPORT_H

#include <jansson.h>
#include <stdbool.h>

#include "util.h"

enum nest_report_kind {
	NEST_REPORT_BEGUN,
	NEST_REPORT_UP,
	NEST_REPORT_READY,
	NEST_REPORT_SAVED,
	NEST_REPORT_COMMAND,
	NEST_REPORT_ENDED,
	NEST_REPORT_KINDS
};

/* Sends report, which it releases; NULL, for want of memory, is said. fd may be non-blocking. */
void nest_report(int fd, json_t *report);

/* Finds out what a report, which may be NULL, is about; level is 1 or more. False: it is none. */
bool nest_report_about(const json_t *report, unsigned int *level, enum nest_report_kind *kind);

/*
 * Whether the guest of level speaker may make such a report about level: any about the levels
 * inside it, about itself those that only it can make, and none about the levels around it.
 */
bool nest_report_may(unsigned int speaker, unsigned int level, enum nest_report_kind kind);

#define NEST_LINE_MAX KIB(256)

/* A line that comes in byte by byte. All zeroes is an empty one. */
struct nest_line {
	size_t size; /* more than NEST_LINE_MAX: it is too long, and no report */
	char text[NEST_LINE_MAX + 1]; /* with room for the end of the line */
};

void nest_line_add(struct nest_line *line, char byte);

/* The line as JSON, the caller's, or NULL: it is none, is too long, or has a name twice. */
json_t *nest_line_report(const struct nest_line *line);

#endif
