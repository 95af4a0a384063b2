// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "host/log.h"
#include "mm/memory.h"
#include "mm/page_map.h"
#include "util.h"
#include "written.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

/* A stage-2 block and a host huge page: GPA and HVA are congruent modulo this, so that both fit. */
#define BLOCK_SIZE MIB(2)

/*
 * Others may map it and write to it, but not make it shorter: that would be a fault of nidus's own
 * accesses, and of the guest's. The kernel's huge pages are to be given back, so theirs cannot be
 * sealed.
 */
static int file_settle(const struct memory_file *file, uint64_t size, bool seal)
{
	if (size % file->page_size != 0 && !seal) {
		log_error("guest RAM of %" PRIu64 " MiB is no multiple of the %" PRIu64
			  " MiB huge pages it is to be made of",
			  size >> 20, file->page_size >> 20);
		return -EINVAL;
	}
	if (ftruncate(file->fd, size) < 0 ||
	    (seal && fcntl(file->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)) {
		const int err = -errno;

		log_error("guest RAM of %" PRIu64 " MiB: %s", size >> 20, log_reason(-err));
		return err;
	}
	return 0;
}

int memory_file_create(struct memory_file *file, uint64_t size, bool huge)
{
	const unsigned int flags =
		MFD_CLOEXEC | (huge ? MFD_HUGETLB | MFD_HUGE_2MB : MFD_ALLOW_SEALING);
	int err;

	file->page_size = BLOCK_SIZE;
	file->fd = memfd_create("guest-ram", flags);
	if (file->fd < 0) {
		err = -errno;
		log_error("memfd for guest RAM: %s", log_reason(-err));
		return err;
	}
	err = file_settle(file, size, !huge);
	if (err < 0)
		close(file->fd);
	return err;
}

int memory_file_on_mount(struct memory_file *file, uint64_t size, const char *path)
{
	struct statfs fs;
	int err = statfs(path, &fs) < 0 ? -errno : 0;

	if (err == 0 && fs.f_type != HUGETLBFS_MAGIC) {
		log_error("--hugetlbfs %s: not a hugetlbfs mount", path);
		return -EINVAL;
	}
	if (err == 0) {
		file->page_size = fs.f_bsize;
		file->fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		err = file->fd < 0 ? -errno : 0;
	}
	if (err < 0) {
		log_error("--hugetlbfs %s: %s", path, log_reason(-err));
		return err;
	}
	err = file_settle(file, size, false);
	if (err < 0)
		close(file->fd);
	return err;
}

void memory_file_close(struct memory_file *file)
{
	close(file->fd);
}

/* Maps RAM at an address that is congruent to its GPA modulo the backing's page size. */
/* #syscalls loop: mmap munmap madvise(MADV_HUGEPAGE) madvise(MADV_DONTDUMP) */
static int memory_map(struct memory *memory, uint64_t page_size, bool huge)
{
	int flags = MAP_FIXED | (memory->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);

	/* Huge pages are set aside at once, or else the guest would find out by SIGBUS. */
	if (!huge)
		flags |= MAP_NORESERVE;
	memory->reserved_size = align_up(memory->size, page_size) + page_size;
	memory->reserved = mmap(NULL, memory->reserved_size, PROT_NONE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory->reserved == MAP_FAILED) {
		memory->reserved = NULL;
		return -errno;
	}
	memory->host = (uint8_t *)align_up((uintptr_t)memory->reserved, page_size);
	if (mmap(memory->host, memory->size, PROT_READ | PROT_WRITE, flags, memory->fd, 0) ==
	    MAP_FAILED)
		return -errno;

	/* What is in a guest is nobody's who looks into a crash of nidus. */
	madvise(memory->host, memory->size, MADV_DONTDUMP);
	/* Advice only: a kernel without transparent huge pages refuses it, and all still works. */
	if (!huge)
		madvise(memory->host, memory->size, MADV_HUGEPAGE);
	return 0;
}

int memory_create(struct memory *memory, uint64_t base, uint64_t size, enum memory_backing kind,
		  const struct memory_file *file)
{
	const bool huge = kind == MEMORY_HUGETLBFS;
	int err;

	*memory = (struct memory){ .base = base, .size = size, .fd = file ? file->fd : -1 };
	err = memory_map(memory, file ? file->page_size : BLOCK_SIZE, huge);
	if (err == 0)
		return 0;
	log_error("guest RAM of %" PRIu64 " MiB: %s%s", size >> 20, log_reason(-err),
		  huge ? " (are enough huge pages free?)" : "");
	memory_destroy(memory);
	return -ENOMEM;
}

/* #syscalls loop: madvise(MADV_COLLAPSE) */
void memory_collapse(const struct memory *memory, uint64_t gpa, uint64_t length)
{
	const uint64_t start = align_down(gpa, BLOCK_SIZE);
	uint64_t size = align_up(gpa + length, BLOCK_SIZE) - start;
	uint8_t *host;

	if (start + size > memory->base + memory->size)
		size = memory->base + memory->size - start;
	host = memory_at(memory, start, size);
	if (!host)
		return;
	/* A block of which nothing is there yet would be left alone. */
	for (uint64_t offset = 0; offset < size; offset += BLOCK_SIZE) {
		volatile uint8_t *const first = host + offset;

		*first = *first;
	}
	madvise(host, size, MADV_COLLAPSE);
}

/*
 * The pages of RAM's file go although somebody else may still map it, and whoever maps it next
 * finds it empty: it keeps its size, and becomes one hole. #syscalls loop: fallocate
 */
static void file_empty(const struct memory *memory)
{
	fallocate(memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, memory->size);
}

void memory_destroy(struct memory *memory)
{
	if (memory->reserved)
		munmap(memory->reserved, memory->reserved_size);
	if (memory->fd >= 0)
		file_empty(memory);
	*memory = (struct memory){ .fd = -1 };
}

void *memory_at(const struct memory *memory, uint64_t gpa, uint64_t length)
{
	uint64_t offset = gpa - memory->base;

	if (gpa < memory->base || offset > memory->size || length > memory->size - offset)
		return NULL;
	return memory->host + offset;
}

/* One bit after the other is as good as any: a device writes few pages at a time. */
void memory_wrote_to(const struct memory *memory, const void *host, uint64_t length)
{
	struct memory_written *written = memory->written;
	const uint64_t offset = (const uint8_t *)host - memory->host;
	const uint64_t last = (offset + length - 1) / written->page_size;

	for (uint64_t page = offset / written->page_size; page <= last; page++)
		atomic_fetch_or_explicit(&written->words[page / PAGE_MAP_BITS],
					 UINT64_C(1) << page % PAGE_MAP_BITS, memory_order_release);
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
