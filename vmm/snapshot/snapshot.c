// SPDX-License-Identifier: GPL-2.0-only
#include "snapshot/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/file.h"
#include "host/log.h"
#include "mm/cache.h"
#include "util.h"

#define STATE_MAX MIB(64)

static int refuse(const struct snapshot *snapshot, const char *why)
{
	log_error("%s: %s", snapshot->path, why);
	return -EINVAL;
}

/* Errors: -errno, said. */
static int read_at(const struct snapshot *snapshot, void *bytes, uint64_t size, uint64_t offset)
{
	const int err = file_pread_all(snapshot->fd, bytes, size, offset);

	if (err == -ENODATA)
		return refuse(snapshot, "ends in the middle");
	if (err < 0)
		log_error("%s: %s", snapshot->path, log_reason(-err));
	return err;
}

static bool lies_inside(uint64_t offset, uint64_t size, uint64_t whole)
{
	return offset <= whole && size <= whole - offset;
}

static int check_header(const struct snapshot *snapshot, uint64_t file_size)
{
	const struct snapshot_header *header = &snapshot->header;

	if (memcmp(header->magic, SNAPSHOT_MAGIC, sizeof(header->magic)) != 0)
		return refuse(snapshot, "is no snapshot of nidus, or not a whole one");
	if (header->version != SNAPSHOT_VERSION) {
		log_error("%s: is a snapshot of version %" PRIu32 ", and this nidus knows %d",
			  snapshot->path, header->version, SNAPSHOT_VERSION);
		return -EINVAL;
	}
	if (!lies_inside(header->state_at, header->state_size, file_size) ||
	    header->state_size > STATE_MAX || header->state_size % 8 != 0 ||
	    header->ram_size % SNAPSHOT_PAGE != 0 || header->ram_at % SNAPSHOT_PAGE != 0 ||
	    header->range_count > header->ram_size / SNAPSHOT_PAGE ||
	    !lies_inside(header->ram_at, header->ram_size, INT64_MAX) ||
	    (header->range_count > 0 &&
	     !lies_inside(header->ranges_at, header->range_count * sizeof(*snapshot->ranges),
			  file_size)))
		return refuse(snapshot, "has a header that makes no sense");
	return 0;
}

static int read_header(struct snapshot *snapshot)
{
	struct stat st;
	int err;

	if (file_stat(snapshot->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return refuse(snapshot, "is no regular file");
	if ((uint64_t)st.st_size < sizeof(snapshot->header))
		return refuse(snapshot, "is no snapshot of nidus, or not a whole one");
	err = read_at(snapshot, &snapshot->header, sizeof(snapshot->header), 0);
	return err < 0 ? err : check_header(snapshot, st.st_size);
}

static int check_ranges(struct snapshot *snapshot)
{
	uint64_t end = 0;

	for (uint64_t i = 0; i < snapshot->header.range_count; i++) {
		const struct snapshot_range *range = &snapshot->ranges[i];

		if (range->start < end || range->size == 0 ||
		    !lies_inside(range->start, range->size, snapshot->header.ram_size))
			return refuse(snapshot, "has ranges of RAM that make no sense");
		end = range->start + range->size;
		snapshot->bytes += range->size;
	}
	return 0;
}

/* size bytes at offset, in memory that is the caller's to free. */
static int read_table(const struct snapshot *snapshot, void **table, uint64_t offset, uint64_t size)
{
	*table = malloc(size ? size : 1);
	if (!*table) {
		log_error("%s: %s", snapshot->path, strerror(ENOMEM));
		return -ENOMEM;
	}
	return read_at(snapshot, *table, size, offset);
}

static int read_all(struct snapshot *snapshot)
{
	const struct snapshot_header *header = &snapshot->header;
	void *ranges = NULL;
	int err = read_header(snapshot);

	if (err == 0)
		err = read_table(snapshot, &snapshot->state, header->state_at, header->state_size);
	if (err == 0)
		err = read_table(snapshot, &ranges, header->ranges_at,
				 header->range_count * sizeof(*snapshot->ranges));
	snapshot->ranges = ranges;
	return err == 0 ? check_ranges(snapshot) : err;
}

int snapshot_open(struct snapshot *snapshot, const char *path)
{
	int err;

	*snapshot = (struct snapshot){ .path = path };
	snapshot->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (snapshot->fd < 0) {
		err = -errno;
		log_error("%s: %s", path, log_reason(-err));
		return err;
	}
	err = read_all(snapshot);
	if (err < 0)
		snapshot_close(snapshot);
	return err;
}

void snapshot_close(struct snapshot *snapshot)
{
	close(snapshot->fd);
	free(snapshot->state);
	free(snapshot->ranges);
	snapshot->state = NULL;
	snapshot->ranges = NULL;
}

int snapshot_load(const struct snapshot *snapshot, const struct memory *memory)
{
	const struct snapshot_header *header = &snapshot->header;
	const uint64_t line = cache_line_size();
	int err = 0;

	if (header->ram_gpa != memory->base || header->ram_size != memory->size)
		return refuse(snapshot, "has RAM of another size, or at another place");
	for (uint64_t i = 0; i < header->range_count && err == 0; i++) {
		const struct snapshot_range *range = &snapshot->ranges[i];
		uint8_t *host = memory_at(memory, memory->base + range->start, range->size);
		const uintptr_t start = align_down((uintptr_t)host, line);

		err = read_at(snapshot, host, range->size, header->ram_at + range->start);
		cache_clean(start, align_up((uintptr_t)host + range->size, line), line);
	}
	cache_sync();
	return err;
}
