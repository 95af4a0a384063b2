/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a nest does, level by level, as its reports tell (nest_report.h).
 */
#ifndef NIDUS_NEST_SUMMARY_H
#define NIDUS_NEST_SUMMARY_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "nest.h"

struct nest_level {
	uint64_t begun, up, ended; /* clock_ns() when it was told, 0: not yet */
	json_t *up_report, *command_report, *ended_report; /* or NULL */
	unsigned int late; /* it was at work when the time of this level was over; 0: it was not */
};

struct nest_summary {
	const struct nest *nest;
	struct nest_level level[NEST_LEVELS_MAX]; /* level 1 first */
};

void nest_summary_create(struct nest_summary *summary, const struct nest *nest);

/*
 * Takes a report in, and tells on standard error of a level that is up. False where it is none, or
 * comes out of turn; then nothing has changed.
 */
bool nest_summary_take(struct nest_summary *summary, json_t *report);

/* Says that a level's time is over; it is the innermost one at work that kept it from its end. */
void nest_summary_late(struct nest_summary *summary, unsigned int level);

/* Whether every level did what it was to do. */
bool nest_summary_good(const struct nest_summary *summary);

/* On standard error: a table, and what went wrong in which level. */
void nest_summary_print(const struct nest_summary *summary);

/* The same as JSON; path may be NULL for nothing. Errors: -errno, said. */
int nest_summary_write(const struct nest_summary *summary, const char *path, int status);

void nest_summary_destroy(struct nest_summary *summary);

#endif
