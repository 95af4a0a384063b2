// SPDX-License-Identifier: GPL-2.0-only
/*
 * punch PID TIMES: has the kernel take guest RAM from the nidus that is process PID, which was
 * started with --mem-backing memfd, TIMES times: one page that the guest has never touched, so that
 * nothing is lost. What remains is the MMU notifier event, and what the host's KVM does for it.
 *
 * punch PID TIMES move: takes blocks of 2 MiB at random, whatever the guest does with them, and
 * gives them back elsewhere: the pages are moved to a huge page, which is split into pages again.
 * Nothing is lost. Says how often it could be done.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/mman.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "guest_ram.h"

#define BLOCK 0x200000ul

/* The memfd, opened anew. */
static int ram_open(const struct ram *ram)
{
	char path[128];

	snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", ram->pid, ram->start, ram->end);
	return open(path, O_RDWR | O_CLOEXEC);
}

static int punch(const struct ram *ram, int times)
{
	int fd = ram_open(ram);
	off_t hole = lseek(fd, 0, SEEK_HOLE);

	for (int i = 0; i < times; i++)
		if (hole < 0 ||
		    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, hole, 4096))
			return -1;
	return 0;
}

/* One huge page of what PID has there, with all that is in it. */
static bool collapse(int pidfd, unsigned long address)
{
	struct iovec block = { .iov_base = (void *)address, .iov_len = BLOCK };

	return syscall(SYS_process_madvise, pidfd, &block, 1, MADV_COLLAPSE, 0) == (long)BLOCK;
}

static bool split(pid_t pid, unsigned long address)
{
	FILE *control = fopen("/sys/kernel/debug/split_huge_pages", "w");

	if (!control)
		return false;
	fprintf(control, "%d,0x%lx,0x%lx", pid, address, address + BLOCK);
	return fclose(control) == 0;
}

/* Blocks that cannot be moved at present, as the kernel holds pages of theirs, are passed over. */
static int move(const struct ram *ram, int times)
{
	int pidfd = (int)syscall(SYS_pidfd_open, ram->pid, 0), moved = 0;
	unsigned long first = (ram->start + BLOCK - 1) / BLOCK, count = ram->end / BLOCK - first;

	if (pidfd < 0)
		return -1;
	srandom((unsigned int)(time(NULL) ^ getpid()));
	for (int i = 0; i < times; i++) {
		unsigned long address = (first + (unsigned long)random() % count) * BLOCK;

		if (collapse(pidfd, address) && split(ram->pid, address))
			moved++;
	}
	printf("punch: %d of %d blocks moved\n", moved, times);
	return 0;
}

int main(int argc, char **argv)
{
	struct ram ram;
	int error;

	if (argc < 3 || argc > 4 || (argc == 4 && strcmp(argv[3], "move")))
		return 2;
	ram.pid = atoi(argv[1]);
	if (!ram_find(&ram)) {
		fprintf(stderr, "punch: process %s has no memfd of guest RAM\n", argv[1]);
		return 1;
	}
	error = argc == 4 ? move(&ram, atoi(argv[2])) : punch(&ram, atoi(argv[2]));
	if (error)
		fprintf(stderr, "punch: %s\n", strerror(errno));
	return error ? 1 : 0;
}
