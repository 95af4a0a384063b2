/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a nest does, level by level, as its reports tell (nest_report.h). Those of level 1's
 * beginning and end are made by the process that runs it, and checked by what became of that
 * process; what is said of levels further in is as true as the levels around them are honest.
 */
#ifndef NIDUS_NEST_SUMMARY_H
#define NIDUS_NEST_SUMMARY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "nest/nest.h"

struct nest_progress {
	uint64_t begun, up, ended; /* clock_ns() when it was told, 0: not yet */
	json_t *up_report, *command_report, *ended_report; /* or NULL */
	unsigned int late; /* it was at work when the time of this level was over; 0: it was not */
};

struct nest_summary {
	const struct nest *nest;
	struct nest_progress level[NEST_LEVELS_MAX]; /* level 1 first */

	/* The process that runs level 1: when it was started, by clock_ns(), and how it ended. */
	uint64_t started;
	json_t *saved_report; /* it was saved, or NULL */
	bool gone;
	int status;
};

void nest_summary_create(struct nest_summary *summary, const struct nest *nest);

/*
 * Takes a report in, and tells on standard error of a level that is up. False where it is none, or
 * comes out of turn; then nothing has changed.
 */
bool nest_summary_take(struct nest_summary *summary, json_t *report);

/* The process that runs level 1 has been started, now; it has ended with an exit status. */
void nest_summary_started(struct nest_summary *summary);
void nest_summary_gone(struct nest_summary *summary, int status);

/* All levels are up from the beginning. */
void nest_summary_restored(struct nest_summary *summary);

/* Nothing of the nest was at work for so long: the time does not count. */
void nest_summary_paused(struct nest_summary *summary, uint64_t nanoseconds);

/*
 * When the first of all levels at work has had its time, by clock_ns(), and which level that is,
 * the innermost of several. UINT64_MAX: none is at work. Level 1 is for as long as its process is
 * there, whatever has been reported.
 */
uint64_t nest_summary_deadline(const struct nest_summary *summary, unsigned int *level);

/* Says that a level's time is over; it is the innermost one at work that kept it from its end. */
void nest_summary_late(struct nest_summary *summary, unsigned int level);

/* Whether every level did what it was to do, and the process of level 1 says so, too. */
bool nest_summary_good(const struct nest_summary *summary);

/* On standard error: a table, and what went wrong in which level. */
void nest_summary_print(const struct nest_summary *summary);

/* The same as JSON; path may be NULL for nothing. Errors: -errno, said. */
int nest_summary_write(const struct nest_summary *summary, const char *path, int status);

void nest_summary_destroy(struct nest_summary *summary);

#endif
