// SPDX-License-Identifier: GPL-2.0-only
#include "snapshot/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/file.h"
#include "host/log.h"
#include "util.h"

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

bool snapshot_id_is_none(const struct snapshot_id *id)
{
	return all_zeroes(id, sizeof(*id));
}

bool snapshot_id_equals(const struct snapshot_id *one, const struct snapshot_id *other)
{
	return memcmp(one, other, sizeof(*one)) == 0;
}

static bool lies_inside(uint64_t offset, uint64_t size, uint64_t whole)
{
	return offset <= whole && size <= whole - offset;
}

static int check_header(const struct snapshot *snapshot)
{
	const uint64_t file_size = snapshot->file_size;
	const struct snapshot_header *header = &snapshot->header;

	if (memcmp(header->magic, SNAPSHOT_MAGIC, sizeof(header->magic)) != 0)
		return refuse(snapshot, "is no snapshot of nidus, or not a whole one");
	if (header->version != SNAPSHOT_VERSION) {
		log_error("%s: is a snapshot of version %" PRIu32 ", and this nidus knows %d",
			  snapshot->path, header->version, SNAPSHOT_VERSION);
		return -EINVAL;
	}
	if (snapshot_id_is_none(&header->id) ||
	    !lies_inside(header->state_at, header->state_size, file_size) ||
	    header->state_size > STATE_MAX(header->ram_size) || header->state_size % 8 != 0 ||
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
	snapshot->file_size = st.st_size;
	err = read_at(snapshot, &snapshot->header, sizeof(snapshot->header), 0);
	return err < 0 ? err : check_header(snapshot);
}

static int check_ranges(struct snapshot *snapshot)
{
	const struct snapshot_header *header = &snapshot->header;
	uint64_t end = 0;

	for (uint64_t i = 0; i < header->range_count; i++) {
		const struct snapshot_range *range = &snapshot->ranges[i];

		if (range->start < end || range->size == 0 ||
		    !lies_inside(range->start, range->size, header->ram_size))
			return refuse(snapshot, "has ranges of RAM that make no sense");
		end = range->start + range->size;
		snapshot->bytes += range->size;
	}
	return lies_inside(header->ram_at, end, snapshot->file_size)
		       ? 0
		       : refuse(snapshot, "ends in the middle");
}

static int map_ram(struct snapshot *snapshot)
{
	const struct snapshot_header *header = &snapshot->header;
	void *ram;

	if (header->range_count == 0)
		return 0;
	ram = mmap(NULL, header->ram_size, PROT_READ, MAP_SHARED | MAP_NORESERVE, snapshot->fd,
		   header->ram_at);
	if (ram == MAP_FAILED) {
		log_error("%s: %s", snapshot->path, log_reason(errno));
		return -errno;
	}
	snapshot->ram = ram;
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
	if (err == 0)
		err = check_ranges(snapshot);
	return err == 0 ? map_ram(snapshot) : err;
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
	if (snapshot->ram)
		munmap((void *)snapshot->ram, snapshot->header.ram_size);
	close(snapshot->fd);
	free(snapshot->state);
	free(snapshot->ranges);
	snapshot->ram = NULL;
	snapshot->state = NULL;
	snapshot->ranges = NULL;
}

int snapshot_identify(const char *path, struct snapshot_id *id)
{
	struct snapshot snapshot;
	int err = snapshot_open(&snapshot, path);

	if (err < 0)
		return err;
	*id = snapshot.header.id;
	snapshot_close(&snapshot);
	return 0;
}

static bool is_base_of(const struct snapshot *one, const struct snapshot *snapshot)
{
	return snapshot_id_equals(&one->header.id, &snapshot->header.base);
}

/* The base of an increment among others; NULL, said. */
static struct snapshot *find_base(const struct snapshot *snapshot, struct snapshot *others,
				  unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		if (!is_base_of(&others[i], snapshot))
			continue;
		if (others[i].header.ram_gpa == snapshot->header.ram_gpa &&
		    others[i].header.ram_size == snapshot->header.ram_size)
			return &others[i];
		refuse(&others[i], "is of another guest");
		return NULL;
	}
	refuse(snapshot, "has what has changed since another snapshot, which --base has to name");
	return NULL;
}

int snapshot_join(struct snapshot *snapshot, struct snapshot *others, unsigned int count)
{
	struct snapshot *last = snapshot;
	unsigned int joined = 0;

	while (!snapshot_id_is_none(&last->header.base)) {
		last->base = find_base(last, others, count);
		if (!last->base)
			return -EINVAL;
		/* One of them for the second time. */
		if (joined++ == count)
			return refuse(last, "is its own base");
		last = last->base;
	}
	for (unsigned int i = 0; i < count; i++) {
		const struct snapshot *one = snapshot;

		while (one && !is_base_of(&others[i], one))
			one = one->base;
		if (!one)
			return refuse(&others[i], "is no base of that snapshot");
	}
	return 0;
}
