// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The content is in memory, where the guest reads it without an exit, and what
 * it programs or erases is written to the file before it is told that this is done. So a kill of
 * nidus finds the file as the guest knows flash: what was acknowledged is there, and of what was
 * not, each bit is old or new. Firmware is made for that. The host's kernel puts writes to the same
 * page together before a disk sees them.
 */
#include "flash/flash_store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/file.h"
#include "host/log.h"
#include "memmap.h"
#include "mm/load.h"

#define HUGE_PAGE MIB(2)

/* Where all of it is the content of a hole or of padding, memory is left alone. */
#define READ_SIZE KIB(64)

static int complain(const char *path, int err)
{
	log_error("flash %s: %s", path, log_reason(-err));
	return err;
}

static int reserve(struct flash_store *store)
{
	store->reserved = mmap(NULL, FLASH_BANK_SIZE + HUGE_PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (store->reserved == MAP_FAILED) {
		int err = -errno;

		log_error("memory for flash: %s", log_reason(-err));
		return err;
	}
	store->content = (uint8_t *)align_up((uintptr_t)store->reserved, HUGE_PAGE);
	/* Advice only: without huge pages there are more stage-2 faults. */
	madvise(store->content, FLASH_BANK_SIZE, MADV_HUGEPAGE);
	return 0;
}

int flash_store_create(struct flash_store *store)
{
	*store = (struct flash_store){ .fd = -1, .read_only = true, .fresh = true };
	return reserve(store);
}

void flash_store_fill(struct flash_store *store, uint64_t bytes)
{
	store->size = align_up(bytes, FLASH_BLOCK_SIZE);
	memset(store->content + bytes, 0xff, store->size - bytes);
}

static int make(const char *path, uint64_t size)
{
	uint8_t *erased = malloc(size);
	int err;

	if (!erased)
		return complain(path, -ENOMEM);
	memset(erased, 0xff, size);
	err = file_replace(path, erased, size);
	free(erased);
	if (err == 0)
		log_info("flash %s: made, erased", path);
	return err;
}

static int open_file(struct flash_store *store, uint64_t size)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NONBLOCK;
	int err;

	store->fd = open(store->path, flags);
	if (store->fd < 0 && errno == ENOENT) {
		err = make(store->path, size);
		if (err < 0)
			return err;
		store->fd = open(store->path, flags);
		store->fresh = true;
	}
	return store->fd < 0 ? complain(store->path, -errno) : 0;
}

/* A lock of the open file description: it goes when that is closed, however nidus ends. */
static int lock(const struct flash_store *store)
{
	struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(store->fd, F_OFD_SETLK, &all) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES) {
		log_warning("flash %s: not locked, nothing keeps others from writing to it: %s",
			    store->path, strerror(errno));
		return 0;
	}
	log_error("flash %s: a nidus uses it already", store->path);
	return -EBUSY;
}

static int measure(struct flash_store *store)
{
	struct stat st;

	if (file_stat(store->fd, &st) < 0)
		return complain(store->path, -errno);
	if (!S_ISREG(st.st_mode)) {
		log_error("flash %s: is not a regular file", store->path);
		return -EINVAL;
	}
	if (st.st_size == 0 || st.st_size % FLASH_BLOCK_SIZE != 0 ||
	    (uint64_t)st.st_size > FLASH_BANK_SIZE) {
		log_error("flash %s: has %" PRIu64
			  " bytes, and should have a multiple of 256K, 64M at most",
			  store->path, (uint64_t)st.st_size);
		return -EINVAL;
	}
	store->size = st.st_size;
	return 0;
}

static int64_t read_part(const struct flash_store *store, void *part, uint64_t offset)
{
	ssize_t got;

	do
		got = pread(store->fd, part, READ_SIZE, offset);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return complain(store->path, -errno);
	return got > 0 ? got : complain(store->path, -ENODATA);
}

/* Of a bank of 64 MiB as distributions ship it, 63 are zeroes. */
static int read_content(struct flash_store *store)
{
	uint8_t *part = malloc(READ_SIZE);
	int64_t got = part ? 0 : complain(store->path, -ENOMEM);

	for (uint64_t done = 0; done < store->size && got >= 0; done += got) {
		got = read_part(store, part, done);
		if (got > 0)
			load_sparse(store->content + done, part, got);
	}
	free(part);
	return got < 0 ? got : 0;
}

int flash_store_open(struct flash_store *store, const char *path, uint64_t size)
{
	int err;

	*store = (struct flash_store){ .path = path, .fd = -1, .fresh = !path };
	err = reserve(store);
	if (err < 0 || !path) {
		if (err == 0)
			memset(store->content, 0xff, store->size = size);
		return err;
	}
	err = open_file(store, size);
	if (err == 0)
		err = measure(store);
	if (err == 0)
		err = lock(store);
	if (err == 0)
		err = read_content(store);
	if (err < 0)
		flash_store_close(store);
	return err;
}

/* #syscalls served: pwritev2 */
int flash_store_write(struct flash_store *store, uint64_t start, uint64_t end)
{
	static struct log_limit limit;

	if (store->fd < 0)
		return 0;
	store->unsynced = true;
	while (start < end) {
		const struct iovec part = { store->content + start, end - start };
		const ssize_t put = pwritev2(store->fd, &part, 1, start, 0);

		if (put > 0) {
			start += put;
		} else if (put == 0 || errno != EINTR) {
			const int err = put == 0 ? -EIO : -errno;

			log_guest(&limit, "flash %s: %s; the guest is told that it has failed",
				  store->path, log_reason(-err));
			return err;
		}
	}
	return 0;
}

/* #syscalls loop served: fdatasync */
void flash_store_sync(struct flash_store *store)
{
	if (store->unsynced && fdatasync(store->fd) < 0)
		complain(store->path, -errno);
	store->unsynced = false;
}

void flash_store_close(struct flash_store *store)
{
	flash_store_sync(store);
	if (store->fd >= 0)
		close(store->fd);
	munmap(store->reserved, FLASH_BANK_SIZE + HUGE_PAGE);
	*store = (struct flash_store){ .fd = -1 };
}
