/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The side that a guest comes to. What comes may be anybody's: places, sizes and the order of
 * frames are checked, and no more memory is taken than has come.
 *
 *   migration_receive_begin()		until it is known what machine is wanted
 *   migration_receive_into()		RAM is there
 *   migration_receive_some() until 0	RAM and state; the machine is made of that
 *   migration_receive_ready()
 *   migration_receive_some() until 0	the commitment
 *   migration_receive_tell()		that it runs, or never will
 *   migration_receive_end()
 *
 * Errors of all: -errno, said.
 */
#ifndef NIDUS_MIGRATION_RECEIVE_H
#define NIDUS_MIGRATION_RECEIVE_H

#include <stdbool.h>
#include <stddef.h>

#include "migration/migration.h"
#include "mm/memory.h"

struct migration_receiver {
	const char *from; /* the caller's, for messages */
	int fd; /* a stream socket, the caller's */
	const struct memory *memory;

	/* What has to come next. */
	enum {
		MIGRATION_WANTS_HEADER,
		MIGRATION_WANTS_GUEST,
		MIGRATION_WANTS_FRAME,
		MIGRATION_WANTS_BODY,
		MIGRATION_WANTS_COMMIT,
		MIGRATION_WANTS_NOTHING,
	} wants;
	uint8_t *to; /* where it goes, and how much of it is missing */
	size_t missing;

	struct migration_header header;
	struct migration_frame frame;
	uint8_t guest[MIGRATION_GUEST_MAX] __attribute__((aligned(8)));
	size_t guest_size;
	uint8_t *state;
	size_t state_size, state_room;
	uint64_t page_bytes; /* of all pages that have come */
};

/*
 * Reads what the machine is to be, into guest, and waits for it; RAM is to be of header.ram_size
 * bytes at header.ram_gpa. There is something to end in any case.
 */
int migration_receive_begin(struct migration_receiver *receiver, int fd, const char *from);
void migration_receive_end(struct migration_receiver *receiver);

/*
 * RAM, all zeroes, that no vCPU has seen; what is written to it is cleaned to the Point of
 * Coherency.
 */
int migration_receive_into(struct migration_receiver *receiver, const struct memory *memory);

/* What has come, without waiting for more. 1: there is more to come; 0: RAM and state, or the
 * commitment, have come whole. */
int migration_receive_some(struct migration_receiver *receiver);

int migration_receive_ready(struct migration_receiver *receiver);
/* Whether the guest runs; then nothing depends on it any more whether that gets there. Not said. */
void migration_receive_tell(struct migration_receiver *receiver, bool runs);

#endif
