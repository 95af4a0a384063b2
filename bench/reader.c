// SPDX-License-Identifier: GPL-2.0-only
/*
 * reader DEVICE WHAT DEPTH COUNT: COUNT reads or writes past the page cache, DEPTH of them under
 * way at a time. One at a time is pread(2) or pwrite(2); more are Linux AIO, where what is done is
 * replaced by as many new ones in one io_submit(2). WHAT is
 *
 *   read     of random blocks of 4 KiB
 *   write    to such blocks, flushed in the end
 *   stream   reads of 1 MiB, one after the other
 *
 * reader --make FILE BLOCKS: an image for it. Each block of 4 KiB begins with its own number, which
 * is checked when it is read, and with zero, which a write makes a one.
 *
 * reader --check FILE: whether each block of an image has its number; tells how many were written.
 */
#include <fcntl.h>
#include <libaio.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK	  4096
#define STREAM	  (1024 * 1024)
#define DEPTH_MAX 256

struct mark {
	uint64_t number;
	uint64_t written;
};

static uint8_t *buffers;
static uint64_t blocks;
static int fd;

/* Bytes of a request, and what it is. */
static size_t size = BLOCK;
static bool writes, stream;

static int fail(const char *what)
{
	fprintf(stderr, "reader: ");
	perror(what);
	return 1;
}

/* xorshift64: the same blocks in every run. */
static uint64_t random_block(void)
{
	static uint64_t state = 0x9e3779b97f4a7c15;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % blocks;
}

/* Offset in bytes of the next request. */
static uint64_t next_offset(void)
{
	static uint64_t position;

	if (!stream)
		return random_block() * BLOCK;
	position = position + size <= blocks * BLOCK ? position : 0;
	position += size;
	return position - size;
}

static int check(const uint8_t *buffer, uint64_t offset)
{
	for (size_t i = 0; i < size; i += BLOCK) {
		struct mark mark;

		memcpy(&mark, buffer + i, sizeof(mark));
		if (mark.number == (offset + i) / BLOCK)
			continue;
		fprintf(stderr, "reader: block %llu has the content of %llu\n",
			(unsigned long long)(offset + i) / BLOCK, (unsigned long long)mark.number);
		return 1;
	}
	return 0;
}

/* Only single blocks are written. */
static void fill(uint8_t *buffer, uint64_t offset)
{
	const struct mark mark = { .number = offset / BLOCK, .written = 1 };

	memcpy(buffer, &mark, sizeof(mark));
}

static int one_by_one(unsigned long count)
{
	while (count-- > 0) {
		uint64_t offset = next_offset();

		if (writes) {
			fill(buffers, offset);
			if (pwrite(fd, buffers, size, offset) != (ssize_t)size)
				return fail("pwrite");
			continue;
		}
		if (pread(fd, buffers, size, offset) != (ssize_t)size)
			return fail("pread");
		if (check(buffers, offset))
			return 1;
	}
	return 0;
}

static void prepare(struct iocb *iocb, unsigned int slot)
{
	uint8_t *buffer = buffers + slot * size;
	uint64_t offset = next_offset();

	if (writes) {
		fill(buffer, offset);
		io_prep_pwrite(iocb, fd, buffer, size, offset);
	} else {
		io_prep_pread(iocb, fd, buffer, size, offset);
	}
}

static int take(const struct io_event *event)
{
	const struct iocb *iocb = event->obj;

	if (event->res != size)
		return fail("a request");
	return writes ? 0 : check(iocb->u.c.buf, iocb->u.c.offset);
}

static int at_depth(unsigned int depth, unsigned long count)
{
	static struct iocb iocbs[DEPTH_MAX], *batch[DEPTH_MAX];
	static struct io_event events[DEPTH_MAX];
	unsigned int ready = 0, under_way = 0;
	io_context_t context = NULL;

	if (io_setup(depth, &context) < 0)
		return fail("io_setup");
	for (; ready < depth && ready < count; ready++) {
		prepare(&iocbs[ready], ready);
		batch[ready] = &iocbs[ready];
	}
	count -= ready;
	while (ready + under_way > 0) {
		int got;

		if (ready > 0 && io_submit(context, ready, batch) != (int)ready)
			return fail("io_submit");
		under_way += ready;
		ready = 0;
		got = io_getevents(context, 1, depth, events, NULL);
		for (int i = 0; i < got; i++) {
			if (take(&events[i]))
				return 1;
			under_way--;
			if (count == 0)
				continue;
			count--;
			prepare(events[i].obj, events[i].obj - iocbs);
			batch[ready++] = events[i].obj;
		}
	}
	return 0;
}

static int make(const char *path, uint64_t count)
{
	static uint8_t block[BLOCK];
	FILE *file = fopen(path, "w");

	if (!file)
		return fail(path);
	for (uint64_t i = 0; i < count; i++) {
		const struct mark mark = { .number = i };

		memset(block, i, sizeof(block));
		memcpy(block, &mark, sizeof(mark));
		fwrite(block, sizeof(block), 1, file);
	}
	return fclose(file) == 0 ? 0 : fail(path);
}

static int check_image(const char *path)
{
	static uint8_t block[BLOCK];
	FILE *file = fopen(path, "r");
	unsigned long written = 0;

	if (!file)
		return fail(path);
	for (uint64_t i = 0; fread(block, sizeof(block), 1, file) == 1; i++) {
		struct mark mark;

		if (check(block, i * BLOCK))
			return 1;
		memcpy(&mark, block, sizeof(mark));
		written += mark.written;
	}
	printf("reader: %lu written\n", written);
	return fclose(file) == 0 ? 0 : fail(path);
}

/* Sets what kind of requests there will be; whether there is one by that name. */
static bool choose(const char *what)
{
	writes = strcmp(what, "write") == 0;
	stream = strcmp(what, "stream") == 0;
	if (stream)
		size = STREAM;
	return writes || stream || strcmp(what, "read") == 0;
}

static int open_device(const char *path, unsigned long depth)
{
	fd = open(path, (writes ? O_RDWR : O_RDONLY) | O_DIRECT);
	if (fd < 0)
		return fail(path);
	blocks = lseek(fd, 0, SEEK_END) / BLOCK;
	buffers = aligned_alloc(BLOCK, depth * size);
	return buffers && blocks * BLOCK >= size ? 0 : fail(path);
}

int main(int argc, char **argv)
{
	unsigned long depth, count;

	if (argc == 4 && strcmp(argv[1], "--make") == 0)
		return make(argv[2], strtoul(argv[3], NULL, 0));
	if (argc == 3 && strcmp(argv[1], "--check") == 0)
		return check_image(argv[2]);
	depth = argc == 5 ? strtoul(argv[3], NULL, 0) : 0;
	if (depth == 0 || depth > DEPTH_MAX || !choose(argv[2])) {
		fprintf(stderr, "usage: reader DEVICE read|write|stream DEPTH COUNT | "
				"reader --make FILE BLOCKS | reader --check FILE\n");
		return 2;
	}
	count = strtoul(argv[4], NULL, 0);
	if (open_device(argv[1], depth))
		return 1;
	if (depth == 1 ? one_by_one(count) : at_depth(depth, count))
		return 1;
	if (writes && fsync(fd) < 0)
		return fail("fsync");
	printf("reader: %lu requests\n", count);
	return 0;
}
