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

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "host/counter.h"
#include "host/event.h"

#define DISK_SECTOR UINT64_C(512) /* bytes */

/* What one request has in the kernel's hands at a time, at most, in bytes. */
#define DISK_PIECE (UINT64_C(4) << 20)

/* Engines of one disk at a time. */
#define DISK_ENGINES_MAX 4

struct disk_claim;

/* Requests that were done without an error, of one owner of an engine, by its thread. */
struct disk_counts {
	counter reads, writes, flushes, discards; /* discards: writing zeroes included */
	counter read_bytes, written_bytes;
};

/* From disk_begin() on nothing of it changes but the last. Any thread. */
struct disk {
	const char *path; /* the caller's */
	int fd; /* has the lock; engines have descriptors of their own */
	/* Those that nobody has: the main loop's thread. */
	struct disk_engine *idle[DISK_ENGINES_MAX];
	unsigned int idle_count;
	bool direct; /* their descriptors are past the host's page cache (O_DIRECT), all of them */
	uint32_t memory_align, offset_align; /* what direct I/O asks of transfers, in bytes, or 0 */
	uint64_t sectors; /* of DISK_SECTOR bytes */
	uint32_t block_size; /* what the disk's content is made for, in bytes */
	uint32_t discard_align; /* smallest range that can be given back, in bytes */
	bool read_only;
	bool is_device; /* a block device, not a file */
	bool in_memory; /* a file that is nowhere else than in the page cache: on tmpfs, ramfs */

	atomic_bool lost; /* a flush has failed, and so does every other until disk_begin() */
	pthread_mutex_t claims_lock;
	struct disk_claim *claims; /* in the order in which they were made */
	struct disk_counts
		counts[DISK_ENGINES_MAX]; /* an owner has one of them; from disk_begin() on */
};

struct disk_engine_ops;

struct disk_options {
	bool read_only;
	bool direct; /* all that is read and written goes past the host's page cache */
	bool unlocked; /* somebody else has it until disk_lock() */
	const struct disk_engine_ops *ops; /* see disk_engine_choose() */
	unsigned int engines; /* how many there will be at a time, DISK_ENGINES_MAX at most */
	unsigned int depth; /* no more requests than this are under way in each */
};

/*
 * Opens and locks an image: any number of readers, or one writer, also among the disks of one
 * nidus. All that is opened is opened now, engines included, of the next best kind where the host
 * has no means left for the wanted one, and a line of info. Errors: -errno, said.
 */
int disk_open(struct disk *disk, const char *path, const struct disk_options *options);

/*
 * The lock of a disk that was opened without, or gave it up; who gives it up neither reads nor
 * writes from then on. The main loop's thread. Errors: -errno, said; -EBUSY that another nidus has
 * it.
 */
int disk_lock(const struct disk *disk);
void disk_unlock(const struct disk *disk);

/*
 * Before the engines of an owner are made, of the first and each later one: measures the disk as it
 * is by now, and forgets flushes that have failed for who had it before. Errors: -errno, said.
 */
int disk_begin(struct disk *disk);

/*
 * Has all that was written to the disk on stable storage, whatever engine wrote it. Any thread.
 * Errors: -errno, not said.
 */
int disk_sync(struct disk *disk);

/* There are no engines any more. */
void disk_close(struct disk *disk);

/* Blocks of a disk that somebody writes to, or waits for; see disk_claim(). */
struct disk_claim {
	uint64_t begin, end; /* bytes */
	bool held;
	bool alone; /* keeps part of a block as it was */
	bool waits;
	struct disk_claim *next;
	/* Its turn may have come. Any thread, a lock held: only tells another one to look. */
	void (*come)(struct disk_claim *claim);
};

enum disk_operation { DISK_READ, DISK_WRITE, DISK_FLUSH, DISK_DISCARD, DISK_WRITE_ZEROES };

/* The owner's, an engine's from start() until done() is called. */
struct disk_request {
	enum disk_operation operation;
	unsigned int slot; /* below the engine's depth, and of no other request at that time */
	bool stable; /* all but DISK_READ: on stable storage when done, as if flushed */
	bool unmap; /* DISK_WRITE_ZEROES: the range may be given back to the host */
	uint64_t offset; /* bytes; the owner has checked that the request is inside of the disk */
	uint64_t length; /* bytes, of segments too; DISK_FLUSH: 0 */
	struct iovec *segments; /* DISK_READ and DISK_WRITE: not empty; engines change them */
	unsigned int count;
	struct disk_claim claim; /* the owner fills in come */

	/* Of the segments, how many the kernel has, and by how much the last of these was cut. */
	unsigned int piece;
	uint64_t cut;

	/*
	 * result: 0 or -errno, -ECANCELED where the engine was told to stop before all was done.
	 * The request is the owner's again, and its operation, offset, length and segments are not
	 * what they were.
	 */
	void (*done)(struct disk_request *request, int result);
};

/*
 * For owners, around a request that is no read: disk_claim() once, start() when disk_claimed() is
 * true, which may be later and is worth asking again when come() was called, disk_release() when
 * it is done or was not started after all. Any thread. The functions that they call are for disks
 * whose blocks are larger than sectors; elsewhere claims are of no use.
 */
void disk_range_claim(struct disk *disk, struct disk_claim *claim, uint64_t begin, uint64_t end);
bool disk_range_claimed(struct disk *disk, struct disk_claim *claim);
void disk_range_release(struct disk *disk, struct disk_claim *claim);

static inline void disk_claim(struct disk *disk, struct disk_request *request)
{
	request->claim.held = disk->offset_align > DISK_SECTOR && request->operation != DISK_READ &&
			      request->length > 0;
	if (request->claim.held)
		disk_range_claim(disk, &request->claim, request->offset,
				 request->offset + request->length);
}

static inline bool disk_claimed(struct disk *disk, struct disk_request *request)
{
	return !request->claim.held || disk_range_claimed(disk, &request->claim);
}

static inline void disk_release(struct disk *disk, struct disk_request *request)
{
	if (request->claim.held)
		disk_range_release(disk, &request->claim);
	request->claim.held = false;
}

/* Whether the request flushes, or ends with a flush. An engine has one of these at a time. */
static inline bool disk_flushes(const struct disk_request *request)
{
	return request->operation == DISK_FLUSH ||
	       (request->stable && request->operation != DISK_READ);
}

/* Whether it is worth trying to do a transfer at once; see disk_at_once(). */
struct disk_tries {
	bool useless; /* the host never does */
	unsigned int skip; /* how many more transfers are not tried */
	unsigned int pause; /* how many are not after the next one that fails */
};

struct disk_engine {
	const struct disk_engine_ops *ops;
	struct disk *disk;
	int fd; /* a description of its own, so that it gets to know of each failed write-back */
	void (*ready)(struct disk_engine *engine);
	void *owner;
	/*
	 * The owner's, NULL for never: set by any thread, it has requests that are under way end as
	 * soon as the kernel gives up the piece that it has of each.
	 */
	const atomic_bool *stop;

	struct disk_tries reads, writes; /* backend_disk.c's */
};

/* A way to do input and output. start(), submit() and reap() may call done() of any request. */
struct disk_engine_ops {
	const char *name;
	/* Whether the host's kernel has what it takes. */
	bool (*supported)(void);
	/*
	 * depth: no more requests than this are under way at a time. Fills in nothing of the
	 * engine, and opens all that it will need. Errors: -errno, and only a lack of descriptors
	 * is said.
	 */
	int (*create)(struct disk_engine **engine, unsigned int depth);
	/* Has loop wait for completions, and no more; nothing is under way. Errors: -errno, said.
	 */
	int (*attach)(struct disk_engine *engine, struct event_loop *loop);
	void (*detach)(struct disk_engine *engine);
	void (*start)(struct disk_engine *engine, struct disk_request *request);
	/* All that was started goes to the host's kernel. */
	void (*submit)(struct disk_engine *engine);
	/* Calls done() of what is done. */
	void (*reap)(struct disk_engine *engine);
	void (*destroy)(struct disk_engine *engine);
};

extern const struct disk_engine_ops disk_uring_ops; /* io_uring */
extern const struct disk_engine_ops disk_aio_ops; /* Linux AIO */
extern const struct disk_engine_ops disk_sync_ops; /* preadv(2), pwritev(2): start() waits */

/* Errors that no other engine mends: what comes next would miss them too. */
static inline bool disk_lacks_descriptors(int err)
{
	return err == -EMFILE || err == -ENFILE;
}

enum disk_engine_kind { DISK_ENGINE_IO_URING, DISK_ENGINE_AIO, DISK_ENGINE_SYNC };

/* The engine of that kind; where the host has none, the next best one, and a line of info. */
const struct disk_engine_ops *disk_engine_choose(enum disk_engine_kind kind);

/*
 * An engine of the disk's, to be worked on by loop. The caller fills in ready, owner and stop
 * before it starts the first request. Errors: -errno, said; -EBUSY where all are taken.
 * disk_engine_give_back(): nothing is under way, and the loop does not turn any more.
 */
int disk_engine_take(struct disk_engine **taken, struct disk *disk, struct event_loop *loop);
void disk_engine_give_back(struct disk_engine *engine);

/* For engines. */

/*
 * Tries to do a transfer, or a piece of it, by a system call that does not wait, which is cheaper
 * than to hand it over and to be told: what the page cache has can be read so, and on some file
 * systems it can be written. True: done() was called. Otherwise it is to be started, or its rest,
 * which may be a flush.
 */
bool disk_at_once(struct disk_engine *engine, struct disk_request *request);

/*
 * Whether the kernel can be given the request, or its rest, as it is: a transfer, piece by piece,
 * or a flush. Otherwise it is for disk_carry_out().
 */
bool disk_fits(const struct disk_engine *engine, const struct disk_request *request);

/* How many segments of a transfer the next piece has; the last one may have been cut for it. */
unsigned int disk_piece(struct disk_request *request);

/* Does all of a request, or its rest, in the calling thread, and calls done(). */
void disk_carry_out(struct disk_engine *engine, struct disk_request *request);

/*
 * result: of one system call on a request, a number of bytes or -errno. True: there is a rest to be
 * done, which the request now tells; that of a write may be a flush. Otherwise done() was called.
 */
bool disk_continue(struct disk_engine *engine, struct disk_request *request, int64_t result);

#endif
