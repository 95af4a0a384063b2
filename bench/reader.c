// SPDX-License-Identifier: GPL-2.0-only
/*
 * reader DEVICE DEPTH COUNT: COUNT random reads of 4 KiB past the page cache, DEPTH of them under
 * way at a time. One at a time is pread(2); more are Linux AIO, where what is done is replaced by
 * as many new ones in one io_submit(2).
 *
 * reader --make FILE BLOCKS: an image for it. Each block begins with its own number, which is
 * checked when it is read.
 */
#include <fcntl.h>
#include <libaio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK	  4096
#define DEPTH_MAX 256

static uint8_t *buffers;
static uint64_t blocks;
static int fd;

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

static int check(const uint8_t *buffer, uint64_t block)
{
	uint64_t number;

	memcpy(&number, buffer, sizeof(number));
	if (number == block)
		return 0;
	fprintf(stderr, "reader: block %llu has the content of %llu\n", (unsigned long long)block,
		(unsigned long long)number);
	return 1;
}

static int read_one_by_one(unsigned long count)
{
	while (count-- > 0) {
		uint64_t block = random_block();

		if (pread(fd, buffers, BLOCK, block * BLOCK) != BLOCK)
			return fail("pread");
		if (check(buffers, block))
			return 1;
	}
	return 0;
}

static void prepare(struct iocb *iocb, unsigned int slot)
{
	io_prep_pread(iocb, fd, buffers + slot * BLOCK, BLOCK, random_block() * BLOCK);
}

static int take(const struct io_event *event)
{
	const struct iocb *iocb = event->obj;

	if (event->res != BLOCK)
		return fail("a read");
	return check(iocb->u.c.buf, iocb->u.c.offset / BLOCK);
}

static int read_at_depth(unsigned int depth, unsigned long count)
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
		memset(block, i, sizeof(block));
		memcpy(block, &i, sizeof(i));
		fwrite(block, sizeof(block), 1, file);
	}
	return fclose(file) == 0 ? 0 : fail(path);
}

int main(int argc, char **argv)
{
	unsigned long depth, count;

	if (argc != 4) {
		fprintf(stderr, "usage: reader DEVICE DEPTH COUNT | reader --make FILE BLOCKS\n");
		return 2;
	}
	count = strtoul(argv[3], NULL, 0);
	if (strcmp(argv[1], "--make") == 0)
		return make(argv[2], count);

	depth = strtoul(argv[2], NULL, 0);
	if (depth == 0 || depth > DEPTH_MAX)
		return 2;
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (fd < 0)
		return fail(argv[1]);
	blocks = lseek(fd, 0, SEEK_END) / BLOCK;
	buffers = aligned_alloc(BLOCK, depth * BLOCK);
	if (!buffers || blocks == 0)
		return fail(argv[1]);
	if (depth == 1 ? read_one_by_one(count) : read_at_depth(depth, count))
		return 1;
	printf("reader: %lu blocks\n", count);
	return 0;
}
