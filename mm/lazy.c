// SPDX-License-Identifier: GPL-2.0-only
#include "mm/lazy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/log.h"
#include "util.h"

static const uint64_t features = UFFD_FEATURE_MOVE | UFFD_FEATURE_POISON;

int lazy_open(void)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	const int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	int err;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static uint64_t block_size(const struct lazy *lazy, uint64_t offset)
{
	const uint64_t left = lazy->memory->size - offset;

	return left < LAZY_BLOCK ? left : LAZY_BLOCK;
}

/* A hole in the source is a page that was not touched, and that nobody has to bring about. */
static int move(const struct lazy *lazy, uint64_t offset)
{
	struct uffdio_move move = {
		.dst = (uintptr_t)lazy->memory->host + offset,
		.src = (uintptr_t)lazy->aside,
		.len = block_size(lazy, offset),
	};

	while (ioctl(lazy->faults.fd, UFFDIO_MOVE, &move) < 0) {
		if (errno != EAGAIN)
			return -errno;
		/* Somebody was faster with something; it goes on behind what is done. */
		if (move.move > 0) {
			move.dst += move.move;
			move.src += move.move;
			move.len -= move.move;
		}
	}
	return 0;
}

/* Whoever waits for the block gets SIGBUS, or an error of KVM. */
static void poison(const struct lazy *lazy, uint64_t offset)
{
	struct uffdio_poison poison = {
		.range = { (uintptr_t)lazy->memory->host + offset, block_size(lazy, offset) },
	};

	ioctl(lazy->faults.fd, UFFDIO_POISON, &poison);
	verdict_reach(lazy->verdict, OUTCOME_HOST_ERROR);
}

static void wake(const struct lazy *lazy, uint64_t offset)
{
	struct uffdio_range range = { (uintptr_t)lazy->memory->host + offset,
				      block_size(lazy, offset) };

	ioctl(lazy->faults.fd, UFFDIO_WAKE, &range);
}

/*
 * Under the lock. Every page of it is brought about, so that there is one to be moved to each
 * place. #syscalls loop worker: ioctl(UFFDIO_MOVE) ioctl(UFFDIO_WAKE) madvise(MADV_POPULATE_WRITE)
 * #syscalls loop worker: [ioctl(UFFDIO_POISON)] - where the host has no memory left
 */
static int fill(struct lazy *lazy, uint64_t offset)
{
	const uint64_t size = block_size(lazy, offset);
	int err = madvise(lazy->aside, size, MADV_POPULATE_WRITE) < 0 ? -errno : 0;

	if (err == 0) {
		lazy->source->fill(lazy->source, offset, lazy->aside, size);
		err = move(lazy, offset);
	}
	page_map_remove(&lazy->missing, offset);
	if (err < 0) {
		log_error("guest RAM at 0x%llx: %s",
			  (unsigned long long)(lazy->memory->base + offset), log_reason(-err));
		poison(lazy, offset);
	}
	return err;
}

static void touched(struct lazy *lazy, uint64_t address)
{
	const uint64_t offset = align_down(address - (uintptr_t)lazy->memory->host, LAZY_BLOCK);

	pthread_mutex_lock(&lazy->lock);
	if (page_map_has(&lazy->missing, offset))
		fill(lazy, offset);
	else
		wake(lazy, offset);
	pthread_mutex_unlock(&lazy->lock);
}

/* #syscalls worker: read */
static void ready(struct event_source *source, uint32_t events)
{
	struct lazy *lazy = container_of(source, struct lazy, faults);
	struct uffd_msg message;

	(void)events;
	while (read(source->fd, &message, sizeof(message)) == sizeof(message))
		if (message.event == UFFD_EVENT_PAGEFAULT)
			touched(lazy, message.arg.pagefault.address);
}

/* #syscalls loop: ioctl(UFFDIO_REGISTER) */
static int watch(const struct lazy *lazy)
{
	struct memory_range part;

	for (uint64_t at = 0; page_map_next(&lazy->missing, at, &part);
	     at = part.start + part.size) {
		struct uffdio_register range = {
			.range = { (uintptr_t)lazy->memory->host + part.start, part.size },
			.mode = UFFDIO_REGISTER_MODE_MISSING,
		};

		if (ioctl(lazy->faults.fd, UFFDIO_REGISTER, &range) < 0)
			return -errno;
	}
	return 0;
}

/* #syscalls loop: ioctl(UFFDIO_UNREGISTER) */
static void watch_no_more(const struct lazy *lazy)
{
	struct uffdio_range all = { (uintptr_t)lazy->memory->host, lazy->memory->size };

	ioctl(lazy->faults.fd, UFFDIO_UNREGISTER, &all);
}

static int make_aside(struct lazy *lazy)
{
	lazy->reserved = mmap(NULL, 2 * LAZY_BLOCK, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (lazy->reserved == MAP_FAILED)
		return -errno;
	lazy->aside = (uint8_t *)align_up((uintptr_t)lazy->reserved, LAZY_BLOCK);
	madvise(lazy->aside, LAZY_BLOCK, MADV_HUGEPAGE);
	return 0;
}

static int start(struct lazy *lazy)
{
	int err = worker_create(&lazy->worker);

	if (err < 0)
		return err;
	err = event_add(&lazy->worker.loop, &lazy->faults, EPOLLIN);
	if (err == 0)
		err = watch(lazy);
	if (err == 0)
		err = worker_start(&lazy->worker, "ram");
	if (err == 0)
		return 0;
	watch_no_more(lazy);
	worker_destroy(&lazy->worker);
	return err;
}

int lazy_begin(struct lazy *lazy, int fd, const struct memory *memory, struct page_map *missing,
	       const struct lazy_source *source, struct verdict *verdict)
{
	int err;

	if (memory->fd >= 0)
		return -ENOTSUP;
	*lazy = (struct lazy){
		.memory = memory,
		.source = source,
		.verdict = verdict,
		.faults = { fd, ready },
		.missing = *missing,
	};
	pthread_mutex_init(&lazy->lock, NULL);
	err = make_aside(lazy);
	if (err == 0) {
		err = start(lazy);
		if (err == 0)
			return 0;
		munmap(lazy->reserved, 2 * LAZY_BLOCK);
	}
	pthread_mutex_destroy(&lazy->lock);
	lazy->memory = NULL;
	return err;
}

int lazy_finish(struct lazy *lazy)
{
	struct memory_range part;
	int err = 0;

	if (!lazy->memory)
		return 0;
	pthread_mutex_lock(&lazy->lock);
	while (err == 0 && page_map_next(&lazy->missing, 0, &part))
		err = fill(lazy, part.start);
	pthread_mutex_unlock(&lazy->lock);
	return err;
}

void lazy_end(struct lazy *lazy)
{
	if (!lazy->memory)
		return;
	worker_stop(&lazy->worker);
	event_remove(&lazy->worker.loop, &lazy->faults);
	worker_destroy(&lazy->worker);
	munmap(lazy->reserved, 2 * LAZY_BLOCK);
	watch_no_more(lazy);
	page_map_destroy(&lazy->missing);
	pthread_mutex_destroy(&lazy->lock);
	lazy->memory = NULL;
}
