/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The side that a guest leaves: RAM round by round, then its state. What is sent is sent without
 * waiting, some of it with each call, by a thread that has other things to do.
 *
 *   migration_send_begin()
 *   migration_send_some() until 0	what was touched, while the guest runs
 *   migration_send_dirty()		after dirty_log_take(), as often as wanted
 *   migration_send_some() until 0
 *   migration_send_last()		nothing of the guest moves any more
 *   migration_send_some() until 0
 *   migration_send_answer()		READY
 *   migration_send_commit(), migration_send_some() until 0
 *   migration_send_answer()		RUNS or FAILED
 *   migration_send_end()
 *
 * Errors of all: -errno, not said.
 */
#ifndef NIDUS_MIGRATION_SEND_H
#define NIDUS_MIGRATION_SEND_H

#include <stdbool.h>
#include <sys/uio.h>

#include "host/file.h"
#include "migration/migration.h"
#include "mm/dirty.h"
#include "mm/memory.h"
#include "state/state.h"

struct migration_sender {
	int fd, pagemap_fd; /* the caller's */
	const struct memory *memory;
	const struct dirty_log *log; /* the caller's; of rounds after the first */

	enum {
		MIGRATION_SENDS_NOTHING,
		MIGRATION_SENDS_TOUCHED, /* RAM, the first time */
		MIGRATION_SENDS_DIRTY,
		MIGRATION_SENDS_STATE,
		MIGRATION_SENDS_END,
	} sends;
	bool last; /* the state follows RAM */
	uint64_t at; /* offset in RAM that the round has come to, or in the state */
	uint64_t part_end; /* of the part of RAM that it is in */
	struct file_region regions[FILE_REGIONS_MAX]; /* that were touched, and come next */
	unsigned int region, region_count;
	uint8_t *buffer; /* of RAM that is read from its file */
	struct state_writer *state; /* the caller's */

	/* What is on its way, and what is left of it. */
	struct migration_header header;
	uint8_t guest[MIGRATION_GUEST_MAX];
	struct migration_frame frame;
	struct iovec segments[3], *rest;
	unsigned int rest_count;

	uint8_t answer[sizeof(struct migration_frame)];
	size_t answered; /* bytes of it */

	uint64_t page_bytes; /* of all pages, zeroes apart */
	uint64_t sent; /* bytes, of all */
};

/*
 * fd: a stream socket. pagemap_fd: /proc/PID/pagemap of this process, by which it is known what of
 * RAM was touched. guest: the record of that name. From before this call on a log is kept.
 */
int migration_send_begin(struct migration_sender *sender, int fd, int pagemap_fd,
			 const struct memory *memory, const struct state_writer *guest);
/* In any case. */
void migration_send_end(struct migration_sender *sender);

/* 1: there is more, now or when the socket has room; 0: all was taken by the socket. */
int migration_send_some(struct migration_sender *sender);

/* What follows has been sent whole before: what log has taken. */
void migration_send_dirty(struct migration_sender *sender, const struct dirty_log *log);
/* The same, and the state, whose owner keeps it. */
void migration_send_last(struct migration_sender *sender, const struct dirty_log *log,
			 struct state_writer *state);
void migration_send_commit(struct migration_sender *sender);

/*
 * What the other side says: MIGRATION_READY, _RUNS or _FAILED; 0: nothing yet. -EPIPE: it has gone;
 * -EPROTO: it says what makes no sense.
 */
int migration_send_answer(struct migration_sender *sender);

#endif
