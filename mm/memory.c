// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "host/log.h"
#include "mm/memory.h"
#include "util.h"

/* A stage-2 block and a host huge page: GPA and HVA are congruent modulo this, so that both fit. */
#define BLOCK_SIZE MIB(2)

/* What RAM is mapped from. */
struct backing {
	int fd; /* -1: anonymous memory */
	uint64_t page_size;
};

int memory_mount_open(struct memory_mount *mount, const char *path)
{
	struct statfs fs;
	int err;

	if (statfs(path, &fs) < 0) {
		err = -errno;
	} else if (fs.f_type != HUGETLBFS_MAGIC) {
		log_error("--hugetlbfs %s: not a hugetlbfs mount", path);
		return -EINVAL;
	} else {
		mount->page_size = fs.f_bsize;
		mount->fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (mount->fd >= 0)
			return 0;
		err = -errno;
	}
	log_error("--hugetlbfs %s: %s", path, log_reason(-err));
	return err;
}

void memory_mount_close(struct memory_mount *mount)
{
	close(mount->fd);
}

static int backing_open(struct backing *backing, enum memory_backing kind,
			const struct memory_mount *mount)
{
	const bool huge = kind == MEMORY_HUGETLBFS;

	*backing = (struct backing){ .fd = -1, .page_size = BLOCK_SIZE };
	if (kind == MEMORY_ANON)
		return 0;
	if (mount) {
		*backing = (struct backing){ mount->fd, mount->page_size };
		return 0;
	}
	backing->fd =
		memfd_create("guest-ram", MFD_CLOEXEC | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : 0));
	if (backing->fd < 0) {
		log_error("memfd for guest RAM: %s", log_reason(errno));
		return -ENOMEM;
	}
	return 0;
}

/* Maps RAM at an address that is congruent to its GPA modulo the backing's page size. */
static int memory_map(struct memory *memory, const struct backing *backing, bool huge)
{
	int flags = MAP_FIXED | (backing->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);

	/* Huge pages are set aside at once, or else the guest would find out by SIGBUS. */
	if (!huge)
		flags |= MAP_NORESERVE;
	if (backing->fd >= 0 && ftruncate(backing->fd, memory->size) < 0)
		return -errno;

	memory->reserved_size = align_up(memory->size, backing->page_size) + backing->page_size;
	memory->reserved = mmap(NULL, memory->reserved_size, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory->reserved == MAP_FAILED) {
		memory->reserved = NULL;
		return -errno;
	}
	memory->host = (uint8_t *)align_up((uintptr_t)memory->reserved, backing->page_size);
	if (mmap(memory->host, memory->size, PROT_READ | PROT_WRITE, flags, backing->fd, 0) ==
	    MAP_FAILED)
		return -errno;

	/* Advice only: a kernel without transparent huge pages refuses it, and all still works. */
	if (!huge)
		madvise(memory->host, memory->size, MADV_HUGEPAGE);
	return 0;
}

int memory_create(struct memory *memory, uint64_t base, uint64_t size, enum memory_backing kind,
		  const struct memory_mount *mount)
{
	const bool huge = kind == MEMORY_HUGETLBFS;
	struct backing backing;
	int err;

	*memory = (struct memory){ .base = base, .size = size, .mount = mount };
	err = backing_open(&backing, kind, mount);
	if (err < 0)
		return err;

	if (huge && size % backing.page_size != 0) {
		log_error("guest RAM of %" PRIu64 " MiB is no multiple of the %" PRIu64
			  " MiB huge pages it is to be made of",
			  size >> 20, backing.page_size >> 20);
		err = -EINVAL;
	} else {
		err = memory_map(memory, &backing, huge);
		if (err < 0) {
			log_error("guest RAM of %" PRIu64 " MiB: %s%s", size >> 20,
				  log_reason(-err), huge ? " (are enough huge pages free?)" : "");
			err = -ENOMEM;
		}
	}
	/* The mapping keeps what it needs. */
	if (backing.fd >= 0 && !mount)
		close(backing.fd);
	if (err < 0)
		memory_destroy(memory);
	return err;
}

void memory_destroy(struct memory *memory)
{
	if (memory->reserved)
		munmap(memory->reserved, memory->reserved_size);
	/* Its pages go, and whoever maps it next finds it empty. */
	if (memory->mount)
		ftruncate(memory->mount->fd, 0);
	*memory = (struct memory){ 0 };
}

void *memory_at(const struct memory *memory, uint64_t gpa, uint64_t length)
{
	uint64_t offset = gpa - memory->base;

	if (gpa < memory->base || offset > memory->size || length > memory->size - offset)
		return NULL;
	return memory->host + offset;
}

/*
 * Adds [start, start + size) to the sorted, disjoint list of touched ranges: everything that it
 * overlaps or adjoins melts into one.
 */
static int memory_touch(struct memory *memory, uint64_t start, uint64_t size)
{
	struct memory_range *const range = memory->touched;
	uint64_t end = start + size;
	unsigned int first = 0, last;

	while (first < memory->touched_count && range[first].start + range[first].size < start)
		first++;
	for (last = first; last < memory->touched_count && range[last].start <= end; last++) {
		if (range[last].start < start)
			start = range[last].start;
		if (range[last].start + range[last].size > end)
			end = range[last].start + range[last].size;
	}
	if (first == last && memory->touched_count == MEMORY_TOUCHED_MAX)
		return -ENOSPC;

	/* [first, last) gives way to one entry. */
	memmove(&range[first + 1], &range[last], (memory->touched_count - last) * sizeof(*range));
	range[first] = (struct memory_range){ .start = start, .size = end - start };
	memory->touched_count += 1 + first - last;
	return 0;
}

/* Recorded first, so that nothing is written that would not be cleaned. */
int memory_load_at(struct memory *memory, uint64_t gpa, uint64_t length, void **host)
{
	if (memory->sealed)
		return -EBUSY;
	*host = memory_at(memory, gpa, length);
	if (!*host)
		return -EFAULT;
	return length == 0 ? 0 : memory_touch(memory, gpa, length);
}

int memory_load(struct memory *memory, uint64_t gpa, const void *data, uint64_t length)
{
	void *host;
	int err = memory_load_at(memory, gpa, length, &host);

	if (err == 0)
		memcpy(host, data, length);
	return err;
}

void memory_seal(struct memory *memory)
{
	memory->sealed = true;
}
