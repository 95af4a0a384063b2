// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. What all engines share: opening and locking an image, and a synchronous way
 * to do any request, which they fall back on for what their kernel interface cannot do (ranges) or
 * refuses for the moment. With O_DIRECT there are two descriptors. Which one is used is decided for
 * each request, because a driver's buffers may lie at any address, and what is not aligned as the
 * host's device wants it can only go by way of the page cache. The kernel keeps both coherent.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk.h"
#include "log.h"
#include "util.h"

/* Where the kernel does not say what O_DIRECT wants, this is enough for all disks there are. */
#define SAFE_ALIGN 4096

#define ZERO_PIECE  4096
#define ZERO_PIECES 256

/* Opening. */

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
	disk->fd = open(disk->path, (disk->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (disk->fd >= 0)
		return 0;
	err = -errno;
	log_error("disk %s: %s", disk->path, log_reason(-err));
	return err;
}

/* A lock of the open file description: it goes when that is closed, however nidus ends. */
static int lock(const struct disk *disk)
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
	} else if (fstat(disk->fd, &st) < 0) {
		err = -errno;
	} else {
		bytes = st.st_size;
	}
	if (err < 0) {
		log_error("disk %s: %s", disk->path, strerror(-err));
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

static int open_direct(struct disk *disk)
{
	char again[32];
	struct statx stx;
	int err;

	snprintf(again, sizeof(again), "/proc/self/fd/%d", disk->fd);
	disk->direct_fd = open(again, (disk->read_only ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
	if (disk->direct_fd < 0) {
		err = -errno;
		log_error("disk %s: direct I/O: %s", disk->path, log_reason(-err));
		return err;
	}
	disk->memory_align = disk->offset_align = SAFE_ALIGN;
	if (statx(disk->direct_fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
	    stx.stx_mask & STATX_DIOALIGN && stx.stx_dio_offset_align > 0) {
		disk->memory_align = stx.stx_dio_mem_align;
		disk->offset_align = stx.stx_dio_offset_align;
	}
	return 0;
}

int disk_open(struct disk *disk, const char *path, bool read_only, bool direct)
{
	int err;

	*disk = (struct disk){ .path = path, .direct_fd = -1, .read_only = read_only };
	err = open_file(disk);
	if (err < 0)
		return err;
	err = lock(disk);
	if (err == 0)
		err = measure(disk);
	if (err == 0 && direct)
		err = open_direct(disk);
	if (err < 0)
		disk_close(disk);
	return err;
}

void disk_close(struct disk *disk)
{
	if (disk->direct_fd >= 0)
		close(disk->direct_fd);
	close(disk->fd);
}

/* Requests. */

static bool aligned(const struct disk *disk, const struct disk_request *request)
{
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

int disk_fd(const struct disk *disk, const struct disk_request *request)
{
	return disk->direct_fd >= 0 && aligned(disk, request) ? disk->direct_fd : disk->fd;
}

int disk_write_flags(const struct disk_request *request)
{
	return request->stable ? RWF_DSYNC : 0;
}

static bool transfers(const struct disk_request *request)
{
	return request->operation == DISK_READ || request->operation == DISK_WRITE;
}

/* Takes what was transferred off the front. False when nothing is left. */
static bool advance(struct disk_request *request, uint64_t bytes)
{
	request->offset += bytes;
	while (request->count > 0 && bytes >= request->segments->iov_len) {
		bytes -= request->segments->iov_len;
		request->segments++;
		request->count--;
	}
	if (request->count == 0)
		return false;
	request->segments->iov_base = (char *)request->segments->iov_base + bytes;
	request->segments->iov_len -= bytes;
	return true;
}

bool disk_continue(const struct disk *disk, struct disk_request *request, int64_t result)
{
	if (result == -EINTR || result == -EAGAIN) {
		disk_carry_out(disk, request);
		return false;
	}
	/* The file has become shorter. */
	if (result == 0 && transfers(request))
		result = -EIO;
	if (result > 0 && transfers(request) && advance(request, result))
		return true;
	request->done(request, result < 0 ? result : 0);
	return false;
}

static int transfer(const struct disk *disk, struct disk_request *request)
{
	ssize_t got;

	do {
		const int fd = disk_fd(disk, request);

		if (request->operation == DISK_READ)
			got = preadv2(fd, request->segments, request->count, request->offset, 0);
		else
			got = pwritev2(fd, request->segments, request->count, request->offset,
				       disk_write_flags(request));
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			return -EIO;
	} while (got < 0 || advance(request, got));
	return 0;
}

static int allocate(const struct disk *disk, const struct disk_request *request, int mode)
{
	int err;

	do
		err = fallocate(disk->fd, mode | FALLOC_FL_KEEP_SIZE, request->offset,
				request->length);
	while (err < 0 && errno == EINTR);
	return err < 0 ? -errno : 0;
}

/* Whether it was given back is for the host to decide: discarded sectors may read as anything. */
static int discard(const struct disk *disk, const struct disk_request *request)
{
	const uint64_t range[2] = { request->offset, request->length };
	int err;

	if (!disk->is_device)
		err = allocate(disk, request, FALLOC_FL_PUNCH_HOLE);
	else
		err = ioctl(disk->fd, BLKDISCARD, range) < 0 ? -errno : 0;
	return err == -EOPNOTSUPP ? 0 : err;
}

static int write_zeroes_by_hand(const struct disk *disk, const struct disk_request *request)
{
	static const uint8_t zeroes[ZERO_PIECE];
	struct iovec segments[ZERO_PIECES];
	uint64_t done = 0;

	while (done < request->length) {
		struct disk_request piece = {
			.operation = DISK_WRITE,
			.offset = request->offset + done,
			.segments = segments,
		};
		int err;

		while (piece.count < ZERO_PIECES && done < request->length) {
			const uint64_t left = request->length - done;
			const size_t size = left < ZERO_PIECE ? left : ZERO_PIECE;

			segments[piece.count++] = (struct iovec){ (void *)zeroes, size };
			done += size;
		}
		err = transfer(disk, &piece);
		if (err < 0)
			return err;
	}
	return 0;
}

static int write_zeroes(const struct disk *disk, const struct disk_request *request)
{
	int err = allocate(disk, request,
			   request->unmap ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE);

	if (err == -EOPNOTSUPP || err == -EINVAL)
		err = write_zeroes_by_hand(disk, request);
	return err;
}

static int flush(const struct disk *disk)
{
	int err;

	do
		err = fdatasync(disk->fd);
	while (err < 0 && errno == EINTR);
	return err < 0 ? -errno : 0;
}

static int carry_out(const struct disk *disk, struct disk_request *request)
{
	int err = 0;

	switch (request->operation) {
	case DISK_READ:
	case DISK_WRITE:
		return transfer(disk, request);
	case DISK_FLUSH:
		return flush(disk);
	case DISK_DISCARD:
		err = discard(disk, request);
		break;
	case DISK_WRITE_ZEROES:
		err = write_zeroes(disk, request);
		break;
	}
	if (err == 0 && request->stable)
		err = flush(disk);
	return err;
}

void disk_carry_out(const struct disk *disk, struct disk_request *request)
{
	request->done(request, carry_out(disk, request));
}

/* Engines. */

const struct disk_engine_ops *disk_engine_choose(enum disk_engine_kind kind)
{
	static const struct disk_engine_ops *const engines[] = {
		[DISK_ENGINE_IO_URING] = &disk_uring_ops,
		[DISK_ENGINE_AIO] = &disk_aio_ops,
		[DISK_ENGINE_SYNC] = &disk_sync_ops,
	};
	enum disk_engine_kind got = kind;

	while (!engines[got]->supported())
		got++;
	if (got != kind)
		log_info("disks: the host has no %s, %s does instead", engines[kind]->name,
			 engines[got]->name);
	return engines[got];
}
