// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. What all engines share: opening and locking an image, and a synchronous way
 * to do any request, which they fall back on for what their kernel interface cannot do or refuses
 * for the moment.
 *
 * A direct disk has descriptors with O_DIRECT only: what went by way of the page cache beside what
 * goes past it would be written back as whole pages, over neighbours that were written meanwhile. A
 * driver's buffers may lie at any address, and its ranges begin at any sector, so what is not
 * aligned as the host wants it goes by way of a buffer of ours; where part of a block is to be
 * written, the rest of it is read before. Nobody else may write to that block then, which is what
 * ranges are claimed for (backend_disk_range.c).
 *
 * Requests are handed to the kernel in pieces, because it cannot be told to leave off: a queue that
 * is to stop waits for one piece of each request, however long that is.
 *
 * What the page cache has needs no asynchronous way, which costs more than the copy: two more
 * system calls where a driver asks for one block and waits. So buffered transfers are tried first
 * by a call that does not wait. Where that fails too often it is tried ever more seldom, so that a
 * disk that is not cached pays for one such call in TRY_PAUSE_MAX.
 *
 * The kernel tells of data that it could not write back once for each open file description, and
 * then takes them for clean. So each engine has a description of its own, with one flush under way
 * on it at most, and after a flush that failed none succeeds any more. All of them are opened with
 * the disk, engines as well: a disk that is given to the next owner is opened by nobody again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "disk.h"
#include "host/file.h"
#include "host/iov.h"
#include "host/log.h"
#include "util.h"

/* Where the kernel does not say what O_DIRECT wants, this is enough for all disks there are. */
#define SAFE_ALIGN 4096

/* Of what is discarded or made zeroes by one system call: a multiple of what disks can discard. */
#define RANGE_PIECE MIB(16)

/* What is written at once where zeroes are written by hand, and what does not fit. */
#define ZERO_PIECE  4096
#define ZERO_PIECES 256
#define BOUNCE	    MIB(1)

/* Of transfers that are not tried at once, when one after the other was in vain. */
#define TRY_PAUSE_MAX 256

/* Opening. */

static int open_flags(const struct disk *disk)
{
	return (disk->read_only ? O_RDONLY : O_RDWR) | (disk->direct ? O_DIRECT : 0) | O_CLOEXEC;
}

static int open_file(struct disk *disk)
{
	struct stat st;
	int err;

	/* First of all, because opening a FIFO would wait. */
	if (stat(disk->path, &st) < 0) {
		err = -errno;
		log_error("disk %s: %s", disk->path, strerror(-err));
		return err;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		log_error("disk %s: neither a file nor a block device", disk->path);
		return -EINVAL;
	}
	disk->is_device = S_ISBLK(st.st_mode);
	disk->discard_align = st.st_blksize;
	disk->fd = open(disk->path, open_flags(disk));
	if (disk->fd >= 0)
		return 0;
	err = -errno;
	log_error("disk %s: %s%s", disk->path, disk->direct && err == -EINVAL ? "direct I/O: " : "",
		  log_reason(-err));
	return err;
}

/*
 * A lock of the open file description: it goes when that is closed, however nidus ends.
 * #syscalls loop: fcntl(F_OFD_SETLK)
 */
int disk_lock(const struct disk *disk)
{
	struct flock all = {
		.l_type = disk->read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};
	int err;

	if (fcntl(disk->fd, F_OFD_SETLK, &all) == 0)
		return 0;
	err = -errno;
	if (err == -EAGAIN || err == -EACCES) {
		log_error("disk %s: a nidus uses it already%s", disk->path,
			  disk->read_only ? ", for writing" : "");
		return -EBUSY;
	}
	log_warning("disk %s: not locked, nothing keeps others from writing to it: %s", disk->path,
		    strerror(-err));
	return 0;
}

void disk_unlock(const struct disk *disk)
{
	struct flock all = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	fcntl(disk->fd, F_OFD_SETLK, &all);
}

/* #syscalls loop: ioctl(BLKGETSIZE64) ioctl(BLKSSZGET) */
static int measure(struct disk *disk)
{
	int block_size = DISK_SECTOR;
	uint64_t bytes = 0;
	struct stat st;
	int err = 0;

	if (disk->is_device) {
		if (ioctl(disk->fd, BLKGETSIZE64, &bytes) < 0 ||
		    ioctl(disk->fd, BLKSSZGET, &block_size) < 0)
			err = -errno;
	} else if (file_stat(disk->fd, &st) < 0) {
		err = -errno;
	} else {
		bytes = st.st_size;
	}
	if (err < 0) {
		log_error("disk %s: %s", disk->path, log_reason(-err));
		return err;
	}
	if (bytes == 0 || bytes % DISK_SECTOR != 0) {
		log_error("disk %s: its size, %llu bytes, is no multiple of 512 above 0",
			  disk->path, (unsigned long long)bytes);
		return -EINVAL;
	}
	disk->sectors = bytes / DISK_SECTOR;
	disk->block_size = block_size;
	return 0;
}

static void find_medium(struct disk *disk)
{
	struct statfs st;

	disk->in_memory = !disk->is_device && fstatfs(disk->fd, &st) == 0 &&
			  (st.f_type == TMPFS_MAGIC || st.f_type == RAMFS_MAGIC);
}

/* What direct I/O asks of requests. A block beyond the end of a file could not be written. */
static int align(struct disk *disk)
{
	struct statx stx;

	disk->memory_align = disk->offset_align = disk->is_device ? disk->block_size : SAFE_ALIGN;
	if (statx(disk->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
	    stx.stx_mask & STATX_DIOALIGN && stx.stx_dio_offset_align > 0) {
		disk->memory_align = stx.stx_dio_mem_align;
		disk->offset_align = stx.stx_dio_offset_align;
	}
	if (disk->sectors * DISK_SECTOR % disk->offset_align == 0)
		return 0;
	log_error("disk %s: direct I/O: its size is no multiple of %u bytes, the host's block",
		  disk->path, disk->offset_align);
	return -EINVAL;
}

/* Engines. */

static const struct disk_engine_ops *const engines[] = {
	[DISK_ENGINE_IO_URING] = &disk_uring_ops,
	[DISK_ENGINE_AIO] = &disk_aio_ops,
	[DISK_ENGINE_SYNC] = &disk_sync_ops,
};

const struct disk_engine_ops *disk_engine_choose(enum disk_engine_kind kind)
{
	enum disk_engine_kind got = kind;

	while (!engines[got]->supported())
		got++;
	if (got != kind)
		log_info("disks: the host has no %s, %s does instead", engines[kind]->name,
			 engines[got]->name);
	return engines[got];
}

/* The next best one, NULL where there is none. */
static const struct disk_engine_ops *next_best(const struct disk_engine_ops *ops)
{
	for (size_t i = 0; i + 1 < ARRAY_SIZE(engines); i++)
		if (engines[i] == ops)
			return engines[i + 1];
	return NULL;
}

static int engine_create(struct disk_engine **created, const struct disk *disk,
			 const struct disk_options *options)
{
	const struct disk_engine_ops *ops = options->ops, *next;
	int err;

	for (;;) {
		err = ops->create(created, options->depth);
		next = err < 0 && !disk_lacks_descriptors(err) ? next_best(ops) : NULL;
		if (!next)
			break;
		log_info("disk %s: %s: %s, %s does instead", disk->path, ops->name, strerror(-err),
			 next->name);
		ops = next;
	}
	if (err == 0)
		(*created)->ops = ops;
	else if (!disk_lacks_descriptors(err))
		log_error("disk %s: %s: %s", disk->path, ops->name, log_reason(-err));
	return err;
}

int disk_engine_take(struct disk_engine **taken, struct disk *disk, struct event_loop *loop)
{
	struct disk_engine *engine;
	int err;

	if (disk->idle_count == 0) {
		log_error("disk %s: %s", disk->path, log_reason(EBUSY));
		return -EBUSY;
	}
	engine = disk->idle[disk->idle_count - 1];
	err = engine->ops->attach(engine, loop);
	if (err < 0)
		return err;
	disk->idle_count--;
	engine->reads = engine->writes = (struct disk_tries){ 0 };
	engine->stop = NULL;
	*taken = engine;
	return 0;
}

void disk_engine_give_back(struct disk_engine *engine)
{
	struct disk *disk = engine->disk;

	engine->ops->detach(engine);
	disk->idle[disk->idle_count++] = engine;
}

/* Opening. */

/* An open file description of the image for one engine alone. */
static int open_again(const struct disk *disk)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", disk->fd);
	fd = open(path, open_flags(disk));
	if (fd >= 0)
		return fd;
	fd = -errno;
	log_error("disk %s: %s", disk->path, log_reason(-fd));
	return fd;
}

static int make_engines(struct disk *disk, const struct disk_options *options)
{
	int err = 0;

	while (err == 0 && disk->idle_count < options->engines) {
		const int fd = open_again(disk);
		struct disk_engine *engine;

		err = fd < 0 ? fd : engine_create(&engine, disk, options);
		if (err == 0) {
			engine->disk = disk;
			engine->fd = fd;
			disk->idle[disk->idle_count++] = engine;
		} else if (fd >= 0) {
			close(fd);
		}
	}
	return err;
}

int disk_open(struct disk *disk, const char *path, const struct disk_options *options)
{
	int err;

	*disk = (struct disk){
		.path = path,
		.read_only = options->read_only,
		.direct = options->direct,
	};
	err = open_file(disk);
	if (err < 0)
		return err;
	pthread_mutex_init(&disk->claims_lock, NULL);
	err = options->unlocked ? 0 : disk_lock(disk);
	if (err == 0)
		err = make_engines(disk, options);
	if (err < 0)
		disk_close(disk);
	else
		find_medium(disk);
	return err;
}

/* Each description tells once of data that could not be written back. */
static void forget_lost(struct disk *disk)
{
	for (unsigned int i = 0; i < disk->idle_count; i++)
		fdatasync(disk->idle[i]->fd);
	atomic_store(&disk->lost, false);
}

int disk_begin(struct disk *disk)
{
	int err = measure(disk);

	if (err == 0 && disk->direct)
		err = align(disk);
	if (err == 0 && atomic_load(&disk->lost))
		forget_lost(disk);
	memset(disk->counts, 0, sizeof(disk->counts));
	return err;
}

/* #syscalls loop: fdatasync */
int disk_sync(struct disk *disk)
{
	return disk->read_only || fdatasync(disk->fd) == 0 ? 0 : -errno;
}

void disk_close(struct disk *disk)
{
	pthread_mutex_destroy(&disk->claims_lock);
	while (disk->idle_count > 0) {
		struct disk_engine *engine = disk->idle[--disk->idle_count];

		close(engine->fd);
		engine->ops->destroy(engine);
	}
	close(disk->fd);
}

/* Requests. */

static bool stopped(const struct disk_engine *engine)
{
	return engine->stop && atomic_load_explicit(engine->stop, memory_order_relaxed);
}

static bool transfers(const struct disk_request *request)
{
	return request->operation == DISK_READ || request->operation == DISK_WRITE;
}

/* Whether a transfer can go to the kernel as it is. */
static bool fits(const struct disk *disk, const struct disk_request *request)
{
	if (!disk->direct)
		return true;
	if (request->offset % disk->offset_align != 0)
		return false;
	for (unsigned int i = 0; i < request->count; i++) {
		const struct iovec *segment = &request->segments[i];

		if ((uintptr_t)segment->iov_base % disk->memory_align != 0 ||
		    segment->iov_len % disk->offset_align != 0)
			return false;
	}
	return true;
}

bool disk_fits(const struct disk_engine *engine, const struct disk_request *request)
{
	if (request->operation == DISK_FLUSH)
		return !atomic_load(&engine->disk->lost);
	return transfers(request) && fits(engine->disk, request);
}

unsigned int disk_piece(struct disk_request *request)
{
	uint64_t left = DISK_PIECE;
	unsigned int i = 0;

	if (request->length <= DISK_PIECE)
		return request->count;
	while (request->segments[i].iov_len <= left)
		left -= request->segments[i++].iov_len;
	if (left > 0) {
		request->cut = request->segments[i].iov_len - left;
		request->segments[i++].iov_len = left;
	}
	request->piece = i;
	return i;
}

/* A segment that was cut for the last piece is whole again. */
static void join(struct disk_request *request)
{
	if (request->cut > 0)
		request->segments[request->piece - 1].iov_len += request->cut;
	request->cut = 0;
}

/* Takes what was transferred off the front. False when nothing is left. */
static bool advance(struct disk_request *request, uint64_t bytes)
{
	request->offset += bytes;
	request->length -= bytes;
	iov_advance(&request->segments, &request->count, bytes);
	return request->count > 0;
}

/*
 * What counts of a result. Nothing at all: the file has become shorter. Of a block that was not
 * transferred whole nothing does, so that what is left is aligned.
 */
static int64_t taken(const struct disk *disk, int64_t result)
{
	if (disk->direct && result > 0)
		result -= result % disk->offset_align;
	return result == 0 ? -EIO : result;
}

/* The result of a flush, which is for all queues: what is lost once no later one finds. */
static int flushed(struct disk_engine *engine, int result)
{
	struct disk *disk = engine->disk;

	if (result < 0 && !atomic_exchange(&disk->lost, true))
		log_warning(
			"disk %s: a flush has failed, and what was written may be lost; no flush "
			"succeeds any more: %s",
			disk->path, strerror(-result));
	return result == 0 && atomic_load(&disk->lost) ? -EIO : result;
}

/* As disk_continue(). */
static bool transfer_continue(struct disk_engine *engine, struct disk_request *request,
			      int64_t result)
{
	join(request);
	result = taken(engine->disk, result);
	if (result > 0 && advance(request, result)) {
		if (!stopped(engine))
			return true;
		result = -ECANCELED;
	}
	if (result > 0 && request->operation == DISK_WRITE && request->stable) {
		request->operation = DISK_FLUSH;
		return true;
	}
	request->done(request, result < 0 ? result : 0);
	return false;
}

bool disk_continue(struct disk_engine *engine, struct disk_request *request, int64_t result)
{
	if (result == -EINTR || result == -EAGAIN) {
		disk_carry_out(engine, request);
		return false;
	}
	if (transfers(request))
		return transfer_continue(engine, request, result);
	request->done(request, flushed(engine, result));
	return false;
}

/* Carrying out by hand. */

/* flags: RWF_NOWAIT, or 0. */
/* #syscalls worker: preadv2 pwritev2 */
static ssize_t transfer_some(const struct disk_engine *engine, struct disk_request *request,
			     int flags)
{
	const unsigned int count = disk_piece(request);
	ssize_t got;

	if (request->operation == DISK_READ)
		got = preadv2(engine->fd, request->segments, count, request->offset, flags);
	else
		got = pwritev2(engine->fd, request->segments, count, request->offset, flags);
	if (got < 0)
		got = -errno;
	join(request);
	return got;
}

/* Aligned blocks to or from a buffer, all of them. */
static int blocks(const struct disk_engine *engine, enum disk_operation operation, void *buffer,
		  uint64_t offset, uint64_t length)
{
	struct iovec segment = { buffer, length };
	struct disk_request request = {
		.operation = operation,
		.offset = offset,
		.length = length,
		.segments = &segment,
		.count = 1,
	};
	ssize_t got;

	do {
		got = transfer_some(engine, &request, 0);
		if (got != -EINTR)
			got = taken(engine->disk, got);
		if (got < 0 && got != -EINTR)
			return got;
	} while (got < 0 || advance(&request, got));
	return 0;
}

/* The blocks from begin to end hold bytes of a write from offset on; what else is in them stays. */
static int read_edges(const struct disk_engine *engine, const struct disk_request *request,
		      uint8_t *buffer, uint64_t begin, uint64_t end, uint64_t bytes)
{
	const uint64_t block = engine->disk->offset_align, last = end - block;
	int err = 0;

	if (request->offset > begin)
		err = blocks(engine, DISK_READ, buffer, begin, block);
	if (err == 0 && request->offset + bytes < end && (last > begin || request->offset == begin))
		err = blocks(engine, DISK_READ, buffer + (last - begin), last, block);
	return err;
}

/* Some bytes of a transfer by way of the buffer, which has room for all blocks that they are in. */
static int bounce(const struct disk_engine *engine, struct disk_request *request, uint8_t *buffer,
		  uint64_t bytes)
{
	const uint64_t block = engine->disk->offset_align;
	const uint64_t begin = request->offset - request->offset % block;
	const uint64_t end = (request->offset + bytes + block - 1) / block * block;
	int err;

	if (request->operation == DISK_READ) {
		err = blocks(engine, DISK_READ, buffer, begin, end - begin);
		if (err == 0)
			iov_write(request->segments, request->count, 0,
				  buffer + (request->offset - begin), bytes);
		return err;
	}
	err = read_edges(engine, request, buffer, begin, end, bytes);
	if (err < 0)
		return err;
	iov_read(request->segments, request->count, 0, buffer + (request->offset - begin), bytes);
	return blocks(engine, DISK_WRITE, buffer, begin, end - begin);
}

/* A transfer that does not fit. */
static int transfer_bounced(const struct disk_engine *engine, struct disk_request *request)
{
	const uint32_t block = engine->disk->offset_align, memory = engine->disk->memory_align;
	uint64_t bytes;
	void *buffer;
	int err = posix_memalign(&buffer, memory > block ? memory : block, BOUNCE + block);

	if (err != 0)
		return -err;
	do {
		/* All but the last one end with a block. */
		bytes = BOUNCE - request->offset % block;
		if (bytes > request->length)
			bytes = request->length;
		err = stopped(engine) ? -ECANCELED : bounce(engine, request, buffer, bytes);
	} while (err == 0 && advance(request, bytes));
	free(buffer);
	return err;
}

static int transfer(const struct disk_engine *engine, struct disk_request *request)
{
	ssize_t got;

	do {
		if (stopped(engine))
			return -ECANCELED;
		if (!fits(engine->disk, request))
			return transfer_bounced(engine, request);
		got = transfer_some(engine, request, 0);
		if (got == -EINTR)
			continue;
		got = taken(engine->disk, got);
		if (got < 0)
			return got;
	} while (got < 0 || advance(request, got));
	return 0;
}

/* A part of a request on a range. */
struct range {
	uint64_t offset, length;
};

/* #syscalls worker: fallocate */
static int allocate(const struct disk_engine *engine, struct range range, int mode)
{
	int err;

	do
		err = fallocate(engine->fd, mode | FALLOC_FL_KEEP_SIZE, range.offset, range.length);
	while (err < 0 && errno == EINTR);
	return err < 0 ? -errno : 0;
}

/* Whether it was given back is for the host to decide: discarded sectors may read as anything. */
/* #syscalls worker: ioctl(BLKDISCARD) */
static int discard(const struct disk_engine *engine, struct range range)
{
	const uint64_t whole[2] = { range.offset, range.length };
	int err;

	if (!engine->disk->is_device)
		err = allocate(engine, range, FALLOC_FL_PUNCH_HOLE);
	else
		err = ioctl(engine->fd, BLKDISCARD, whole) < 0 ? -errno : 0;
	return err == -EOPNOTSUPP ? 0 : err;
}

static int write_zeroes_by_hand(const struct disk_engine *engine, struct range range)
{
	static const _Alignas(ZERO_PIECE) uint8_t zeroes[ZERO_PIECE];
	struct iovec segments[ZERO_PIECES];
	int err = 0;

	while (err == 0 && range.length > 0) {
		struct disk_request piece = {
			.operation = DISK_WRITE,
			.offset = range.offset,
			.segments = segments,
		};

		while (piece.count < ZERO_PIECES && piece.length < range.length) {
			const uint64_t left = range.length - piece.length;
			const size_t size = left < ZERO_PIECE ? left : ZERO_PIECE;

			segments[piece.count++] = (struct iovec){ (void *)zeroes, size };
			piece.length += size;
		}
		range.offset += piece.length;
		range.length -= piece.length;
		err = transfer(engine, &piece);
	}
	return err;
}

static int write_zeroes(const struct disk_engine *engine, struct range range, bool unmap)
{
	int err = allocate(engine, range, unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);

	if (err == -EOPNOTSUPP || err == -EINVAL)
		err = write_zeroes_by_hand(engine, range);
	return err;
}

static int change_range(const struct disk_engine *engine, const struct disk_request *request)
{
	const uint64_t end = request->offset + request->length;
	struct range piece = { .offset = request->offset };
	int err = 0;

	for (; err == 0 && piece.offset < end; piece.offset += piece.length) {
		piece.length = RANGE_PIECE - piece.offset % RANGE_PIECE;
		if (piece.length > end - piece.offset)
			piece.length = end - piece.offset;
		if (stopped(engine))
			err = -ECANCELED;
		else if (request->operation == DISK_DISCARD)
			err = discard(engine, piece);
		else
			err = write_zeroes(engine, piece, request->unmap);
	}
	return err;
}

/* #syscalls worker: fdatasync */
static int flush(struct disk_engine *engine)
{
	int err;

	if (stopped(engine))
		return -ECANCELED;
	if (atomic_load(&engine->disk->lost))
		return -EIO;
	do
		err = fdatasync(engine->fd);
	while (err < 0 && errno == EINTR);
	return flushed(engine, err < 0 ? -errno : 0);
}

static int carry_out(struct disk_engine *engine, struct disk_request *request)
{
	int err;

	if (request->operation == DISK_FLUSH)
		return flush(engine);
	err = transfers(request) ? transfer(engine, request) : change_range(engine, request);
	if (err == 0 && request->stable && request->operation != DISK_READ)
		err = flush(engine);
	return err;
}

void disk_carry_out(struct disk_engine *engine, struct disk_request *request)
{
	join(request);
	request->done(request, carry_out(engine, request));
}

/* At once. */

static bool worth_a_try(struct disk_tries *tries)
{
	if (tries->useless)
		return false;
	if (tries->skip == 0)
		return true;
	tries->skip--;
	return false;
}

static void try_succeeded(struct disk_tries *tries)
{
	tries->pause /= 2;
}

static void try_failed(struct disk_tries *tries)
{
	tries->pause = tries->pause == 0 ? 1 : 2 * tries->pause;
	if (tries->pause > TRY_PAUSE_MAX)
		tries->pause = TRY_PAUSE_MAX;
	tries->skip = tries->pause;
}

bool disk_at_once(struct disk_engine *engine, struct disk_request *request)
{
	const struct disk *disk = engine->disk;
	struct disk_tries *tries =
		request->operation == DISK_READ ? &engine->reads : &engine->writes;
	const uint64_t length = request->length;
	ssize_t got;

	if (disk->direct || !transfers(request) || stopped(engine) || !worth_a_try(tries))
		return false;
	/* These know no such flag, and do not wait. */
	got = transfer_some(engine, request, disk->in_memory ? 0 : RWF_NOWAIT);
	tries->useless = got == -EOPNOTSUPP;
	if (got >= 0 && (uint64_t)got == length)
		try_succeeded(tries);
	else
		try_failed(tries);
	if (got == -EAGAIN || got == -EINTR || got == -EOPNOTSUPP)
		return false;
	return !disk_continue(engine, request, got);
}
