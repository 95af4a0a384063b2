// SPDX-License-Identifier: GPL-2.0-only
#include <sys/mman.h>
#include <unistd.h>

#include "mm/memory.h"
#include "util.h"

/*
 * Of a file the pages themselves have to go: to take them out of this mapping alone would leave
 * them in the file. #syscalls worker: madvise(MADV_DONTNEED) madvise(MADV_REMOVE)
 */
uint64_t memory_discard(const struct memory *memory, void *host, uint64_t length)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	const uint64_t start = align_up((uintptr_t)host, page);
	const uint64_t end = align_down((uintptr_t)host + length, page);
	const int advice = memory->fd < 0 ? MADV_DONTNEED : MADV_REMOVE;

	if (start >= end || madvise((void *)start, end - start, advice) < 0)
		return 0;
	return end - start;
}
