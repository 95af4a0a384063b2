// SPDX-License-Identifier: GPL-2.0-only
/*
 * fs DIRECTORY WHAT COUNT: does COUNT times what a file system is asked for, in files of DIRECTORY
 * which `reader --make` has made (bench/reader.c): "small", of one block of 4 KiB, and "big".
 *
 *   stat   small, past what is remembered of it
 *   open   small, which is read and closed
 *   read   the next MiB of big, which no run reads twice
 *   write  a MiB of the new file "new", flushed in the end
 *
 * What is read is checked, and what is written can be by `reader --check`.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK 4096
#define MIB   (1024 * 1024)

/* How a block begins. */
struct mark {
	uint64_t number;
	uint64_t written;
};

static uint8_t buffer[MIB];

static int fail(const char *what)
{
	fprintf(stderr, "fs: ");
	perror(what);
	return -1;
}

/* size bytes of a file, from a block of this number on. */
static int check(size_t size, uint64_t first)
{
	for (size_t i = 0; i < size; i += BLOCK) {
		struct mark mark;

		memcpy(&mark, buffer + i, sizeof(mark));
		if (mark.number == first + i / BLOCK)
			continue;
		fprintf(stderr, "fs: block %llu has the content of %llu\n",
			(unsigned long long)(first + i / BLOCK), (unsigned long long)mark.number);
		return -1;
	}
	return 0;
}

static int do_stat(unsigned long count)
{
	while (count-- > 0) {
		struct statx found;

		if (statx(AT_FDCWD, "small", AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &found) < 0)
			return fail("statx");
		if (found.stx_size != BLOCK)
			return fail("the size of small");
	}
	return 0;
}

static int do_open(unsigned long count)
{
	while (count-- > 0) {
		const int fd = open("small", O_RDONLY);

		if (fd < 0)
			return fail("small");
		if (read(fd, buffer, BLOCK) != BLOCK)
			return fail("read");
		if (check(BLOCK, 0))
			return -1;
		close(fd);
	}
	return 0;
}

static int do_read(unsigned long count)
{
	const int fd = open("big", O_RDONLY);

	if (fd < 0)
		return fail("big");
	for (unsigned long i = 0; i < count; i++) {
		if (read(fd, buffer, MIB) != MIB)
			return fail("read");
		if (check(MIB, i * (MIB / BLOCK)))
			return -1;
	}
	return close(fd);
}

static int do_write(unsigned long count)
{
	const int fd = open("new", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0)
		return fail("new");
	for (unsigned long i = 0; i < count; i++) {
		for (size_t j = 0; j < MIB; j += BLOCK) {
			const struct mark mark = { .number = (i * MIB + j) / BLOCK, .written = 1 };

			memcpy(buffer + j, &mark, sizeof(mark));
		}
		if (write(fd, buffer, MIB) != MIB)
			return fail("write");
	}
	if (fsync(fd) < 0)
		return fail("fsync");
	return close(fd);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(unsigned long count);
	} kinds[] = {
		{ "stat", do_stat }, { "open", do_open }, { "read", do_read }, { "write", do_write }
	};
	const unsigned long count = argc == 4 ? strtoul(argv[3], NULL, 0) : 0;

	if (argc == 4 && chdir(argv[1]) < 0) {
		fail(argv[1]);
		return 1;
	}
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds) && count > 0; i++) {
		if (strcmp(argv[2], kinds[i].name) != 0)
			continue;
		if (kinds[i].run(count) < 0)
			return 1;
		printf("fs: %lu times\n", count);
		return 0;
	}
	fprintf(stderr, "usage: fs DIRECTORY stat|open|read|write COUNT\n");
	return 2;
}
