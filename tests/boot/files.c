// SPDX-License-Identifier: GPL-2.0-only
/*
 * files DIR LAST...: small files in DIR, in a guest. For each LAST a writer, which begins behind
 * the file of that number and goes on for ever: makes a file under another name, has it stable,
 * renames it, has the directory stable, and only then says "stable WRITER NUMBER." Every fifth time
 * it removes an older one. Before all that, what was stable up to LAST is checked.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WRITERS_MAX 16
#define FILE_MAX    9000
#define REMOVED_AT  3 /* files later */

struct writer {
	unsigned int number;
	unsigned long last;
};

static int dir;

static void die(const char *what)
{
	printf("files: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void name_of(char *name, size_t size, unsigned int writer, unsigned long number)
{
	snprintf(name, size, "%u-%lu", writer, number);
}

static size_t content_of(uint8_t *content, unsigned int writer, unsigned long number)
{
	const size_t size = number * 37 % FILE_MAX + 1;

	for (size_t i = 0; i < size; i++)
		content[i] = (number * 31 + writer * 7 + i * 131) >> 3;
	return size;
}

/* Whether the writer removes it some time. */
static bool removed(unsigned long number)
{
	return (number + REMOVED_AT) % 5 == 0;
}

static unsigned long check(unsigned int writer, unsigned long last)
{
	static uint8_t wanted[FILE_MAX], found[FILE_MAX + 1];
	unsigned long checked = 0;

	for (unsigned long number = 1; number <= last; number++) {
		const size_t size = content_of(wanted, writer, number);
		char name[32];
		int fd;

		if (removed(number))
			continue;
		name_of(name, sizeof(name), writer, number);
		fd = openat(dir, name, O_RDONLY);
		if (fd < 0)
			die(name);
		if (read(fd, found, sizeof(found)) != (ssize_t)size ||
		    memcmp(found, wanted, size) != 0) {
			printf("files: %s does not hold what it should\n", name);
			exit(1);
		}
		close(fd);
		checked++;
	}
	return checked;
}

static void make(unsigned int writer, unsigned long number)
{
	uint8_t content[FILE_MAX];
	const size_t size = content_of(content, writer, number);
	char new[32], name[32];
	int fd;

	name_of(name, sizeof(name), writer, number);
	snprintf(new, sizeof(new), "%u.new", writer);
	fd = openat(dir, new, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, content, size) != (ssize_t)size || fsync(fd) < 0)
		die(new);
	close(fd);
	if (renameat(dir, new, dir, name) < 0 || fsync(dir) < 0)
		die(name);
}

static void *work(void *opaque)
{
	struct writer *writer = opaque;

	for (;;) {
		const unsigned long number = ++writer->last;
		char name[32];

		make(writer->number, number);
		printf("stable %u %lu.\n", writer->number, number);
		if (number <= REMOVED_AT || !removed(number - REMOVED_AT))
			continue;
		name_of(name, sizeof(name), writer->number, number - REMOVED_AT);
		if (unlinkat(dir, name, 0) < 0)
			die(name);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct writer writers[WRITERS_MAX];
	const int count = argc - 2;
	unsigned long checked = 0;

	if (count < 1 || count > WRITERS_MAX)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	dir = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (dir < 0)
		die(argv[1]);
	for (int i = 0; i < count; i++) {
		writers[i] = (struct writer){ i + 1, strtoul(argv[i + 2], NULL, 0) };
		checked += check(i + 1, writers[i].last);
	}
	printf("files: %lu are as they should be\n", checked);
	for (int i = 0; i < count; i++) {
		pthread_t id;

		if (pthread_create(&id, NULL, work, &writers[i]) != 0)
			die("thread");
	}
	pause();
	return 0;
}
