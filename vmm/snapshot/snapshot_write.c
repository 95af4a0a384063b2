// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The host's tables say which pages of RAM were ever touched. Of these, all
 * but those that are zeroes go into the file, at the place that RAM has there, so that between them
 * are holes. Small gaps between two are not worth a range of their own.
 *
 * RAM that has a file may have pages that are in no table of this process, so all of it is looked
 * at, through the file: to read what was never written brings no page about.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/file.h"
#include "snapshot/snapshot.h"
#include "util.h"

/* In one go; between two of them others have their turn. */
#define STEP MIB(4)

/* RAM begins at a multiple of it, so that huge pages of both could be one. */
#define RAM_ALIGN MIB(2)

/* A gap as large as this is left out. */
#define GAP_MIN KIB(32)

#define REGIONS 64

/* The range that ends last, where there is one that is as good as adjoining to start; or NULL. */
static struct snapshot_range *near(const struct snapshot_writer *writer, uint64_t start)
{
	struct snapshot_range *last;

	if (writer->header.range_count == 0)
		return NULL;
	last = &writer->ranges[writer->header.range_count - 1];
	return start - (last->start + last->size) < GAP_MIN ? last : NULL;
}

static int add_range(struct snapshot_writer *writer, uint64_t start, uint64_t size)
{
	struct snapshot_range *last = near(writer, start), *ranges = writer->ranges;

	if (last) {
		last->size = start + size - last->start;
		return 0;
	}
	if (writer->header.range_count == writer->room) {
		const uint64_t room = writer->room ? 2 * writer->room : 256;

		ranges = realloc(ranges, room * sizeof(*ranges));
		if (!ranges)
			return -ENOMEM;
		writer->ranges = ranges;
		writer->room = room;
	}
	ranges[writer->header.range_count++] = (struct snapshot_range){ start, size };
	return 0;
}

/* size bytes that are not zeroes, at an offset of RAM. */
static int write_run(struct snapshot_writer *writer, uint64_t offset, const uint8_t *bytes,
		     uint64_t size)
{
	int err = 0;

	if (size > 0)
		err = file_pwrite(writer->fd, bytes, size, writer->header.ram_at + offset);
	if (err == 0 && size > 0)
		err = add_range(writer, offset, size);
	return err;
}

/* size bytes of RAM from offset on, which are at bytes. */
static int write_touched(struct snapshot_writer *writer, uint64_t offset, const uint8_t *bytes,
			 uint64_t size)
{
	uint64_t begin = 0;
	int err = 0;

	for (uint64_t at = 0; at < size && err == 0; at += SNAPSHOT_PAGE) {
		if (!all_zeroes(bytes + at, SNAPSHOT_PAGE))
			continue;
		err = write_run(writer, offset + begin, bytes + begin, at - begin);
		begin = at + SNAPSHOT_PAGE;
	}
	return err < 0 || begin >= size
		       ? err
		       : write_run(writer, offset + begin, bytes + begin, size - begin);
}

static const uint8_t *ram(const struct snapshot_writer *writer, uint64_t offset, uint64_t size)
{
	return memory_at(writer->memory, writer->memory->base + offset, size);
}

/* Of a file, all; buffer has room for it. */
static int write_from_file(struct snapshot_writer *writer, uint64_t size)
{
	const int err = file_pread_all(writer->memory->fd, writer->buffer, size, writer->at);

	return err < 0 ? err : write_touched(writer, writer->at, writer->buffer, size);
}

static int write_from_tables(struct snapshot_writer *writer, uint64_t size)
{
	const uint8_t *start = ram(writer, writer->at, size);
	struct file_region regions[REGIONS];
	uintptr_t at = (uintptr_t)start;
	const uintptr_t end = at + size;
	int err = 0;

	while (at < end && err == 0) {
		const int count = file_touched(writer->pagemap_fd, &at, end, regions, REGIONS);

		if (count < 0)
			return count;
		for (int i = 0; i < count && err == 0; i++) {
			const uint64_t offset = regions[i].start - (uintptr_t)start;

			err = write_touched(writer, writer->at + offset, start + offset,
					    regions[i].end - regions[i].start);
		}
	}
	return err;
}

int snapshot_write_begin(struct snapshot_writer *writer, int fd, int pagemap_fd,
			 const struct memory *memory, const struct state_writer *state)
{
	*writer = (struct snapshot_writer){
		.fd = fd,
		.pagemap_fd = pagemap_fd,
		.memory = memory,
		.header = {
			.magic = SNAPSHOT_MAGIC,
			.version = SNAPSHOT_VERSION,
			.state_at = SNAPSHOT_PAGE,
			.state_size = state->size,
			.ram_gpa = memory->base,
			.ram_size = memory->size,
			.ram_at = align_up(SNAPSHOT_PAGE + state->size, RAM_ALIGN),
		},
	};
	writer->header.ranges_at = writer->header.ram_at + align_up(memory->size, SNAPSHOT_PAGE);
	if (memory->fd >= 0) {
		writer->buffer = malloc(STEP);
		if (!writer->buffer)
			return -ENOMEM;
	}
	return file_pwrite(fd, state->bytes, state->size, writer->header.state_at);
}

static int write_tables(struct snapshot_writer *writer)
{
	const uint64_t size = writer->header.range_count * sizeof(*writer->ranges);
	int err = file_pwrite(writer->fd, writer->ranges, size, writer->header.ranges_at);

	for (uint64_t i = 0; i < writer->header.range_count; i++)
		writer->bytes += writer->ranges[i].size;
	return err < 0 ? err : file_pwrite(writer->fd, &writer->header, sizeof(writer->header), 0);
}

int snapshot_write_some(struct snapshot_writer *writer)
{
	const uint64_t left = writer->memory->size - writer->at;
	const uint64_t size = left < STEP ? left : STEP;
	int err;

	if (left == 0)
		return write_tables(writer);
	err = writer->buffer ? write_from_file(writer, size) : write_from_tables(writer, size);
	if (err < 0)
		return err;
	writer->at += size;
	return 1;
}

void snapshot_write_end(struct snapshot_writer *writer)
{
	free(writer->ranges);
	free(writer->buffer);
	writer->ranges = NULL;
	writer->buffer = NULL;
}
