/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * When what has ended, or could not be started, is tried again: after a pause, twice as long each
 * time, so that what ends at once does not keep its host busy.
 */
#ifndef NIDUS_RETRY_H
#define NIDUS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

struct retry {
	uint64_t shortest, longest; /* pauses, in ns: the owner's */
	uint64_t pause; /* the last one; 0: none so far */
	uint64_t since; /* that it is there, as clock_ns(); 0: it is not */
};

/* It is there from now on. */
void retry_succeeded(struct retry *retry);

/*
 * It has ended, or could not be started: in how many ns it is to be tried again. After a life
 * longer than the longest pause the first one again.
 */
uint64_t retry_pause(struct retry *retry);

#endif
