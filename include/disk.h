/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Disk images, raw files or block devices of the host, and the engines that read and write them.
 *
 * An engine belongs to one owner, which serializes all calls on it by a lock of its own. Requests
 * are started one by one, submitted together, and are done some time later: an engine that has
 * completions calls ready() in its event loop's thread, without that lock, and the owner then takes
 * it and calls reap().
 */
#ifndef NIDUS_DISK_H
#define NIDUS_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "event.h"

#define DISK_SECTOR UINT64_C(512) /* bytes */

/* Once open nothing of it changes. Any thread. */
struct disk {
	const char *path; /* the caller's */
	int fd; /* by way of the host's page cache */
	int direct_fd; /* past it (O_DIRECT), -1 when that was not asked for */
	uint32_t memory_align, offset_align; /* what direct_fd asks of requests, in bytes */
	uint64_t sectors; /* of DISK_SECTOR bytes */
	uint32_t block_size; /* what the disk's content is made for, in bytes */
	uint32_t discard_align; /* smallest range that can be given back, in bytes */
	bool read_only;
	bool is_device; /* a block device, not a file */
};

/*
 * Opens and locks an image: any number of readers, or one writer, also among the disks of one
 * nidus. direct: requests go past the host's page cache where their alignment allows it. Errors:
 * -errno, said.
 */
int disk_open(struct disk *disk, const char *path, bool read_only, bool direct);
void disk_close(struct disk *disk);

enum disk_operation { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_WRITE_ZEROES };

/* The owner's, an engine's from start() until done() is called. */
struct disk_request {
	enum disk_operation operation;
	unsigned int slot; /* below the engine's depth, and of no other request at that time */
	bool stable; /* DISK_WRITE and below: on stable storage when done, as if flushed */
	bool unmap; /* DISK_WRITE_ZEROES: the range may be given back to the host */
	uint64_t offset; /* bytes; the owner has checked that the request is inside of the disk */
	uint64_t length; /* bytes, DISK_DISCARD and DISK_WRITE_ZEROES */
	struct iovec *segments; /* DISK_READ and DISK_WRITE: not empty; engines change them */
	unsigned int count;
	/* result: 0 or -errno. The request is the owner's again. */
	void (*done)(struct disk_request *request, int result);
};

struct disk_engine {
	const struct disk_engine_ops *ops;
	const struct disk *disk;
	void (*ready)(struct disk_engine *engine);
	void *owner;
};

/* A way to do input and output. start(), submit() and reap() may call done() of any request. */
struct disk_engine_ops {
	const char *name;
	/* Whether the host's kernel has what it takes. */
	bool (*supported)(void);
	/*
	 * depth: no more requests than this are under way at a time. The caller fills in ready and
	 * owner before it starts the first one. NULL: said.
	 */
	struct disk_engine *(*create)(const struct disk *disk, struct event_loop *loop,
				      unsigned int depth);
	void (*start)(struct disk_engine *engine, struct disk_request *request);
	/* All that was started goes to the host's kernel. */
	void (*submit)(struct disk_engine *engine);
	/* Calls done() of what is done. */
	void (*reap)(struct disk_engine *engine);
	/* Nothing is under way, and the loop does not turn any more. */
	void (*destroy)(struct disk_engine *engine);
};

extern const struct disk_engine_ops disk_uring_ops; /* io_uring */
extern const struct disk_engine_ops disk_aio_ops; /* Linux AIO */
extern const struct disk_engine_ops disk_sync_ops; /* preadv2(2), pwritev2(2): start() waits */

enum disk_engine_kind { DISK_ENGINE_IO_URING, DISK_ENGINE_AIO, DISK_ENGINE_SYNC };

/* The engine of that kind; where the host has none, the next best one, and a line of info. */
const struct disk_engine_ops *disk_engine_choose(enum disk_engine_kind kind);

/* For engines. */

/* Does all of a request, or its rest, in the calling thread, and calls done(). */
void disk_carry_out(const struct disk *disk, struct disk_request *request);

/*
 * result: of one system call on a request, a number of bytes or -errno. True: it was short, the
 * rest is to be done, and segments, count and offset tell what that is. Otherwise done() was
 * called.
 */
bool disk_continue(const struct disk *disk, struct disk_request *request, int64_t result);

/* The descriptor for a request: past the page cache if it can be. */
int disk_fd(const struct disk *disk, const struct disk_request *request);

/* Flags of pwritev2(2). */
int disk_write_flags(const struct disk_request *request);

#endif
