/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A memory balloon (virtio 1.3, 5.5): pages that the guest gives to the host for as long as it is
 * asked to, and free pages that it reports, which the host has until they are used again.
 */
#ifndef NIDUS_BALLOON_H
#define NIDUS_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

#include "mm/memory.h"
#include "virtio/virtio.h"

/* What the balloon's sizes are multiples of, in bytes, whatever pages guest and host have. */
#define BALLOON_PAGE 4096

#define BALLOON_STATISTICS 16

struct balloon_state {
	bool driver; /* the guest has one that is at work */
	/* Bytes. */
	uint64_t target; /* what the guest is asked for */
	uint64_t given; /* what it says that it has given: its word, but no more than its RAM */
	/* What the host has got back so far, of the balloon and of pages reported as free. */
	uint64_t inflated, reported;
	/* What the guest has told of its memory, each by balloon_statistic_name(). */
	uint64_t moment; /* clock_ns(); 0: it has told nothing */
	bool has[BALLOON_STATISTICS];
	uint64_t statistics[BALLOON_STATISTICS];
};

/*
 * A balloon with a thread of its own, and no target. memory outlives it. Errors: -errno, said. The
 * other functions are for the loop thread, and for what this has created, until it is destroyed.
 */
int balloon_create(struct virtio **created, const struct memory *memory);

/* Asks the guest to have given so many bytes, a multiple of BALLOON_PAGE and no more than its RAM.
 */
void balloon_set_target(struct virtio *virtio, uint64_t bytes);

void balloon_look(struct virtio *virtio, struct balloon_state *state);

/* Asks the driver for new statistics, which a later look has if it answers. */
void balloon_ask(struct virtio *virtio);

/* As nidus's statistics call it (docs/stats.md); what is a number of bytes ends by _bytes. */
const char *balloon_statistic_name(unsigned int statistic);

#endif
