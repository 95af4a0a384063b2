// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Most of what the host does to start a guest is copying its kernel out of the
 * page cache. read(2) copies to addresses of user space, and arm64's kernel does that eight bytes
 * an instruction. Into a registered buffer of io_uring, whose pages it has looked up before, it
 * copies by its ordinary memcpy(), sixteen bytes an instruction.
 *
 * A CPU with FEAT_MOPS copies either way at once, and then looking the pages up is only a loss.
 *
 * That is all there is to gain, so whatever stands in its way (no io_uring, too little memory that
 * may be locked, a file that it cannot read or that ends early) is left to pread(2), which goes on
 * where the ring has stopped and knows all errors.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "host/file.h"
#include "host/ring.h"
#include "mm/load.h"
#include "util.h"

/* Both take no more than this at a time. */
#define READ_MAX GIB(1)

/* With less than this, making a ring costs more than it saves. */
#define RING_MIN MIB(1)

#ifdef __aarch64__
#include <asm/hwcap.h>

static bool has_mops(void)
{
	return getauxval(AT_HWCAP2) & HWCAP2_MOPS;
}
#else /* for unit tests */
static bool has_mops(void)
{
	return false;
}
#endif

struct load_ring {
	struct io_uring ring;
};

struct load_ring *load_ring_create(void)
{
	static const uint8_t operations[] = { IORING_OP_READ_FIXED };
	static const uint8_t registers[] = { IORING_REGISTER_BUFFERS, IORING_UNREGISTER_BUFFERS };
	struct load_ring *ring;

	if (has_mops())
		return NULL;
	ring = malloc(sizeof(*ring));
	if (ring && ring_create(&ring->ring, 1, operations, ARRAY_SIZE(operations), registers,
				ARRAY_SIZE(registers)) < 0) {
		free(ring);
		ring = NULL;
	}
	return ring;
}

void load_ring_destroy(struct load_ring *ring)
{
	if (ring)
		io_uring_queue_exit(&ring->ring);
	free(ring);
}

/* Bytes read, 0 included, or -errno when a read may still be under way. */
/* #syscalls loop: io_uring_enter */
static int64_t ring_read(struct io_uring *ring, int fd, void *host, unsigned int length)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int64_t got;
	int err;

	io_uring_prep_read_fixed(sqe, fd, host, length, 0, 0);
	if (io_uring_submit_and_wait(ring, 1) <= 0)
		return 0;
	do
		err = io_uring_wait_cqe(ring, &cqe);
	while (err == -EINTR);
	if (err < 0)
		return err;
	got = cqe->res > 0 ? cqe->res : 0;
	io_uring_cqe_seen(ring, cqe);
	return got;
}

/* The same, with a registered buffer. #syscalls loop: io_uring_register */
static int64_t load_by_ring(struct io_uring *ring, int fd, void *host, unsigned int length)
{
	const struct iovec buffer = { host, length };
	int64_t got;

	if (io_uring_register_buffers(ring, &buffer, 1) < 0)
		return 0;
	got = ring_read(ring, fd, host, length);
	io_uring_unregister_buffers(ring);
	return got;
}

void load_sparse(void *memory, const void *part, size_t size)
{
	if (!all_zeroes(part, size))
		memcpy(memory, part, size);
}

int load_file(struct memory *memory, uint64_t gpa, int fd, uint64_t length)
{
	int64_t done = 0;
	void *host;
	int err = memory_load_at(memory, gpa, length, &host);

	if (err < 0)
		return err;
	if (memory->ring && length >= RING_MIN)
		done = load_by_ring(&memory->ring->ring, fd, host,
				    length < READ_MAX ? length : READ_MAX);
	return done < 0 ? done : file_pread_all(fd, (uint8_t *)host + done, length - done, done);
}
