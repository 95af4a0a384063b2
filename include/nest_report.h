/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the levels of a nest tell level 0: JSON objects, a line each, which nidus in every level
 * passes on as they are. Each has "level", whose guest it is about, and "is":
 *
 *   begun     by the level beneath: it is about to be built
 *   up        by nidus as its init: "linux", "cpus", "memory" in MiB
 *   command   by the same: its command ended with "status" (128 + N: by signal N)
 *   ended     by the level beneath: "by" what outcome, the "status" of that run, its statistics
 *             in "stats", and the end of its "console" if it did not power itself off
 */
#ifndef NIDUS_NEST_REPORT_H
#define NIDUS_NEST_REPORT_H

#include <jansson.h>

/* Sends report, which it releases; NULL, for want of memory, is said. fd may be non-blocking. */
void nest_report(int fd, json_t *report);

#endif
