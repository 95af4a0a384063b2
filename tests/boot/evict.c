// SPDX-License-Identifier: GPL-2.0-only
/*
 * evict PID TIMES SEED: takes pages of guest RAM from the nidus that is process PID, which was
 * started with --mem-backing memfd, TIMES times: one page at random each time, of those that are
 * there. Where there is no swap, they stay in memory with what is in them, but not in any page
 * table, so that the guest has to fault them in again. Prints how many there were.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "guest_ram.h"

#define PAGE 4096UL

#define PAGEMAP_PRESENT (UINT64_C(1) << 63)

static bool page_present(int pagemap, unsigned long address)
{
	uint64_t entry = 0;

	if (pread(pagemap, &entry, sizeof(entry), (off_t)(address / PAGE * sizeof(entry))) !=
	    sizeof(entry))
		return false;
	return entry & PAGEMAP_PRESENT;
}

int main(int argc, char **argv)
{
	unsigned long evicted = 0;
	struct ram ram;
	char path[64];
	int pid, pagemap;

	if (argc != 4)
		return 2;
	ram.pid = atoi(argv[1]);
	if (!ram_find(&ram)) {
		fprintf(stderr, "evict: process %s has no memfd of guest RAM\n", argv[1]);
		return 1;
	}
	snprintf(path, sizeof(path), "/proc/%s/pagemap", argv[1]);
	pagemap = open(path, O_RDONLY | O_CLOEXEC);
	pid = (int)syscall(SYS_pidfd_open, ram.pid, 0);
	if (pagemap < 0 || pid < 0) {
		fprintf(stderr, "evict: process %s: %s\n", argv[1], strerror(errno));
		return 1;
	}

	srandom((unsigned int)atoi(argv[3]));
	for (int i = atoi(argv[2]); i > 0; i--) {
		unsigned long address =
			ram.start + (unsigned long)random() % ((ram.end - ram.start) / PAGE) * PAGE;
		struct iovec page = { (void *)address, PAGE };

		if (!page_present(pagemap, address))
			continue;
		if (syscall(SYS_process_madvise, pid, &page, 1, MADV_PAGEOUT, 0) != (long)PAGE) {
			fprintf(stderr, "evict: %s\n", strerror(errno));
			return 1;
		}
		evicted += !page_present(pagemap, address);
	}
	printf("evict: %lu pages\n", evicted);
	return 0;
}
