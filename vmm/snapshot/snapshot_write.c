// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The host's tables say which pages of RAM were ever touched. Of these, all
 * but those that are zeroes go into the file, at the place that RAM has there, so that between them
 * are holes. What is written to meanwhile is written again, by the log of such writes; a page that
 * is in the file stays there, zeroes or not. An increment begins with a log and goes by nothing
 * else: its base may have something where it has zeroes.
 *
 * RAM that has a file may have pages that are in no table of this process, so all of it is looked
 * at, through the file: to read what was never written brings no page about.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "host/file.h"
#include "snapshot/snapshot.h"
#include "util.h"

/* In one go; between two of them others have their turn. */
#define STEP MIB(4)

/* RAM begins at a multiple of it, so that huge pages of both could be one. */
#define RAM_ALIGN MIB(2)

/* A gap as large as this is left out, in the list of what is there. */
#define GAP_MIN KIB(32)

#define REGIONS 64

/* size bytes of RAM that are to be in the file, whatever they are. */
static int write_run(struct snapshot_writer *writer, uint64_t offset, const uint8_t *bytes,
		     uint64_t size)
{
	if (size == 0)
		return 0;
	page_map_add(&writer->has, offset, size);
	return file_pwrite(writer->fd, bytes, size, writer->header.ram_at + offset);
}

/* A page of zeroes: whether that is so without a word. */
static bool goes_without_saying(struct snapshot_writer *writer, uint64_t offset)
{
	if (page_map_has(&writer->has, offset))
		return false;
	/* A hole in the file that counts. */
	if (!snapshot_id_is_none(&writer->header.base))
		page_map_add(&writer->has, offset, SNAPSHOT_PAGE);
	return true;
}

/* size bytes of RAM from offset on, which are at bytes. */
static int write_part(struct snapshot_writer *writer, uint64_t offset, const uint8_t *bytes,
		      uint64_t size)
{
	uint64_t begin = 0;
	int err = 0;

	for (uint64_t at = 0; at < size && err == 0; at += SNAPSHOT_PAGE) {
		if (!all_zeroes(bytes + at, SNAPSHOT_PAGE) ||
		    !goes_without_saying(writer, offset + at))
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

	return err < 0 ? err : write_part(writer, writer->at, writer->buffer, size);
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

			err = write_part(writer, writer->at + offset, start + offset,
					 regions[i].end - regions[i].start);
		}
	}
	return err;
}

/* The next part that the log has, or the beginning of it. */
static int write_logged(struct snapshot_writer *writer)
{
	struct memory_range part;
	int err;

	if (!dirty_log_next(writer->log, writer->at, &part))
		return 0;
	if (part.size > STEP)
		part.size = STEP;
	err = write_part(writer, part.start, ram(writer, part.start, part.size), part.size);
	writer->at = part.start + part.size;
	return err < 0 ? err : 1;
}

static int write_touched(struct snapshot_writer *writer)
{
	const uint64_t left = writer->memory->size - writer->at;
	const uint64_t size = left < STEP ? left : STEP;
	int err;

	if (left == 0)
		return 0;
	err = writer->buffer ? write_from_file(writer, size) : write_from_tables(writer, size);
	writer->at += size;
	return err < 0 ? err : 1;
}

/* #syscalls loop: getrandom */
int snapshot_write_begin(struct snapshot_writer *writer, int fd, int pagemap_fd,
			 const struct memory *memory, const struct snapshot_id *base)
{
	struct snapshot_header *header = &writer->header;

	*writer = (struct snapshot_writer){
		.fd = fd,
		.pagemap_fd = pagemap_fd,
		.memory = memory,
		.header = {
			.magic = SNAPSHOT_MAGIC,
			.version = SNAPSHOT_VERSION,
			.ram_gpa = memory->base,
			.ram_size = memory->size,
			.ram_at = RAM_ALIGN,
			.ranges_at = RAM_ALIGN + align_up(memory->size, SNAPSHOT_PAGE),
		},
	};
	if (base)
		header->base = *base;
	if (getrandom(&header->id, sizeof(header->id), 0) != sizeof(header->id))
		return -EIO;
	if (memory->fd >= 0) {
		writer->buffer = malloc(STEP);
		if (!writer->buffer)
			return -ENOMEM;
	}
	return page_map_create(&writer->has, SNAPSHOT_PAGE, memory->size);
}

void snapshot_write_pass(struct snapshot_writer *writer, const struct dirty_log *log)
{
	writer->log = log;
	writer->at = 0;
}

int snapshot_write_some(struct snapshot_writer *writer)
{
	return writer->log ? write_logged(writer) : write_touched(writer);
}

/*
 * The next part that is in the file, for the list of them: what lies between two is zeroes, but in
 * an increment, and is not worth a part of its own where it is small.
 */
static bool next_range(const struct snapshot_writer *writer, uint64_t at,
		       struct memory_range *range)
{
	const uint64_t gap = snapshot_id_is_none(&writer->header.base) ? GAP_MIN : 0;
	struct memory_range more;

	if (!page_map_next(&writer->has, at, range))
		return false;
	while (gap > 0 && page_map_next(&writer->has, range->start + range->size, &more) &&
	       more.start - (range->start + range->size) < gap)
		range->size = more.start + more.size - range->start;
	return true;
}

static int write_ranges(struct snapshot_writer *writer)
{
	struct snapshot_header *header = &writer->header;
	struct memory_range range;
	struct snapshot_range out[REGIONS];
	uint64_t at = header->ranges_at;
	unsigned int count = 0;
	int err = 0;

	for (uint64_t from = 0; err == 0 && next_range(writer, from, &range);
	     from = range.start + range.size) {
		out[count++] = (struct snapshot_range){ range.start, range.size };
		writer->bytes += range.size;
		header->range_count++;
		if (count < REGIONS)
			continue;
		err = file_pwrite(writer->fd, out, sizeof(out), at);
		at += sizeof(out);
		count = 0;
	}
	if (err == 0 && count > 0)
		err = file_pwrite(writer->fd, out, count * sizeof(*out), at);
	header->state_at = header->ranges_at + header->range_count * sizeof(*out);
	return err;
}

int snapshot_write_finish(struct snapshot_writer *writer, const struct state_writer *state)
{
	int err = write_ranges(writer);

	writer->header.state_size = state->size;
	if (err == 0)
		err = file_pwrite(writer->fd, state->bytes, state->size, writer->header.state_at);
	return err < 0 ? err : file_pwrite(writer->fd, &writer->header, sizeof(writer->header), 0);
}

void snapshot_write_end(struct snapshot_writer *writer)
{
	page_map_destroy(&writer->has);
	free(writer->buffer);
	writer->buffer = NULL;
}
