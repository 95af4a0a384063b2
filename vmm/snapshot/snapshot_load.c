// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. RAM comes back block by block, when it is touched, where the host can do
 * that (lazy.h); else all at once, before a vCPU runs. A block that the host has as a huge page
 * costs the clearing of that, the copying of what was saved of it, and a fault. Were the file
 * itself the guest's RAM, each page of 4 KiB would cost a fault, for which the host executes as
 * much as for copying some 40 KiB; in a guest's guest many times that.
 *
 * It is copied from a mapping, which the host fills several pages at a time, or a huge one: read(2)
 * looks for each page by itself.
 *
 * What is there before a vCPU runs is cleaned to the Point of Coherency, for one may have its
 * caches off. What comes later KVM cleans when it maps it, as it does with what was swapped out.
 */
#include <errno.h>
#include <string.h>

#include "host/log.h"
#include "mm/cache.h"
#include "snapshot/snapshot.h"
#include "util.h"

/* The first range that ends behind offset. */
static uint64_t first_range(const struct snapshot *snapshot, uint64_t offset)
{
	uint64_t first = 0, end = snapshot->header.range_count;

	while (first < end) {
		const uint64_t middle = first + (end - first) / 2;
		const struct snapshot_range *range = &snapshot->ranges[middle];

		if (range->start + range->size > offset)
			end = middle;
		else
			first = middle + 1;
	}
	return first;
}

/* size bytes at offset, as far as snapshot has them, over what its bases have. */
static void load(const struct snapshot *snapshot, uint64_t offset, uint8_t *bytes, uint64_t size)
{
	const uint64_t end = offset + size;

	if (snapshot->base)
		load(snapshot->base, offset, bytes, size);
	for (uint64_t i = first_range(snapshot, offset);
	     i < snapshot->header.range_count && snapshot->ranges[i].start < end; i++) {
		const struct snapshot_range *range = &snapshot->ranges[i];
		const uint64_t range_end = range->start + range->size;
		const uint64_t from = range->start > offset ? range->start : offset;
		const uint64_t to = range_end < end ? range_end : end;

		memcpy(bytes + (from - offset), snapshot->ram + from, to - from);
	}
}

static void clean_ranges(const struct snapshot *snapshot, const struct memory *memory)
{
	for (uint64_t i = 0; i < snapshot->header.range_count; i++) {
		const struct snapshot_range *range = &snapshot->ranges[i];

		cache_clean_bytes(memory_at(memory, memory->base + range->start, range->size),
				  range->size);
	}
}

static int check_ram(const struct snapshot *snapshot, const struct memory *memory)
{
	if (snapshot->header.ram_gpa == memory->base && snapshot->header.ram_size == memory->size)
		return 0;
	log_error("%s: has RAM of another size, or at another place", snapshot->path);
	return -EINVAL;
}

int snapshot_load(const struct snapshot *snapshot, const struct memory *memory)
{
	const int err = check_ram(snapshot, memory);

	if (err < 0)
		return err;
	load(snapshot, 0, memory_at(memory, memory->base, memory->size), memory->size);
	for (const struct snapshot *one = snapshot; one; one = one->base)
		clean_ranges(one, memory);
	cache_sync();
	return 0;
}

static void fill(const struct lazy_source *source, uint64_t offset, uint8_t *bytes, uint64_t size)
{
	load(container_of(source, const struct snapshot_source, source)->snapshot, offset, bytes,
	     size);
}

int snapshot_load_lazily(struct snapshot_source *source, const struct snapshot *snapshot,
			 struct lazy *lazy, int fd, const struct memory *memory,
			 struct verdict *verdict)
{
	struct page_map missing;
	int err = check_ram(snapshot, memory);

	if (err < 0)
		return err;
	*source = (struct snapshot_source){ .source = { .fill = fill }, .snapshot = snapshot };
	err = page_map_create(&missing, LAZY_BLOCK, memory->size);
	if (err < 0)
		return err;
	for (const struct snapshot *one = snapshot; one; one = one->base)
		for (uint64_t i = 0; i < one->header.range_count; i++)
			page_map_add(&missing, one->ranges[i].start, one->ranges[i].size);
	err = lazy_begin(lazy, fd, memory, &missing, &source->source, verdict);
	if (err < 0)
		page_map_destroy(&missing);
	return err;
}
