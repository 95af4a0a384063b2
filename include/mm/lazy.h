/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest RAM that is filled when it is first touched, by whomever: vCPUs, devices, the kernel for
 * either. What touches a block of 2 MiB that is still missing waits (userfaultfd(2)), a thread has
 * it filled aside, and then it is there at once, as a huge page where the host has one
 * (UFFDIO_MOVE, since Linux 6.8).
 *
 * Of RAM that has a file others would find zeroes in place of what is missing, so it has to be
 * private.
 */
#ifndef NIDUS_LAZY_H
#define NIDUS_LAZY_H

#include <pthread.h>

#include "host/event.h"
#include "host/verdict.h"
#include "host/worker.h"
#include "mm/page_map.h"

#define LAZY_BLOCK (UINT64_C(2) << 20)

/*
 * Where the contents come from, by any thread, one at a time: size bytes at an offset of RAM, into
 * memory that is all zeroes.
 */
struct lazy_source {
	void (*fill)(const struct lazy_source *source, uint64_t offset, uint8_t *bytes,
		     uint64_t size);
};

struct lazy {
	const struct memory *memory; /* NULL: there is nothing lazy */
	const struct lazy_source *source; /* the caller's */
	struct verdict *verdict; /* that is reached when a block cannot be filled */
	struct worker worker;
	struct event_source faults;
	pthread_mutex_t lock; /* guards what follows */
	struct page_map missing; /* blocks */
	uint8_t *aside; /* where a block is filled */
	void *reserved; /* the mapping that it lies in */
};

/* A descriptor, by which lazy_begin() does it; -errno, not said: this host cannot. */
int lazy_open(void);

/*
 * fd: lazy_open()'s, the caller's, as source is. missing: the blocks that are to be filled, which
 * is taken over. Nobody has touched RAM yet. Errors: -errno, not said; then missing is the caller's
 * still, and RAM as it was.
 */
int lazy_begin(struct lazy *lazy, int fd, const struct memory *memory, struct page_map *missing,
	       const struct lazy_source *source, struct verdict *verdict);
/* Fills all that is missing. The loop's thread. Errors: -errno, said. */
int lazy_finish(struct lazy *lazy);
/* Nobody touches RAM any more. May come without lazy_begin(). */
void lazy_end(struct lazy *lazy);

#endif
