/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rings of io_uring that can do what they are for and nothing else, whoever comes to write to their
 * memory: what goes by a ring, no filter of system calls sees (io_uring_register(2),
 * IORING_REGISTER_RESTRICTIONS; Linux 5.10). They are made before nidus is confined, and kept.
 */
#ifndef NIDUS_RING_H
#define NIDUS_RING_H

#include <errno.h>
#include <liburing.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

#define RING_ALLOWED_MAX 8

/*
 * operations: IORING_OP_*, and registers: IORING_REGISTER_*, that the ring is for, RING_ALLOWED_MAX
 * together. Errors: -errno, not said; -EINVAL from kernels that cannot restrict one.
 */
static inline int ring_create(struct io_uring *ring, unsigned int entries,
			      const uint8_t *operations, unsigned int operation_count,
			      const uint8_t *registers, unsigned int register_count)
{
	struct io_uring_restriction allowed[RING_ALLOWED_MAX] = { 0 };
	unsigned int count = 0;
	int err = io_uring_queue_init(entries, ring, IORING_SETUP_R_DISABLED);

	if (err < 0)
		return err;
	for (unsigned int i = 0; i < operation_count; i++, count++) {
		allowed[count].opcode = IORING_RESTRICTION_SQE_OP;
		allowed[count].sqe_op = operations[i];
	}
	for (unsigned int i = 0; i < register_count; i++, count++) {
		allowed[count].opcode = IORING_RESTRICTION_REGISTER_OP;
		allowed[count].register_op = registers[i];
	}
	/* By itself, as the shared library of some releases has no functions for these two. */
	if (syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_RESTRICTIONS, allowed,
		    count) < 0 ||
	    syscall(SYS_io_uring_register, ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) <
		    0) {
		err = -errno;
		io_uring_queue_exit(ring);
	}
	return err;
}

#endif
