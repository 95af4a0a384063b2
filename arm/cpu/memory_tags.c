// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. KVM reads and writes tags for whole pages of the host's, a byte for each tag
 * (KVM_ARM_MTE_COPY_TAGS). Pages whose tags are all zero go without saying; of others there are
 * runs, each its place in RAM and two tags a byte. To ask for a page brings it about, so only those
 * that there are already are asked for.
 */
#include "cpu/memory_tags.h"

#include <errno.h>
#include <unistd.h>

#include "host/file.h"
#include "host/kvm.h"
#include "host/log.h"
#include "util.h"

#define GRANULE 16 /* bytes that a tag is for */

/* As many bytes of RAM, a multiple of all sizes of pages, at a time. */
#define STEP	  KIB(64)
#define STEP_TAGS (STEP / GRANULE)

/* What a run begins with; tags of an even granule are in bits 3:0. */
struct tags_run {
	uint64_t gpa;
	uint64_t size; /* bytes of RAM, STEP at most */
};

static void add_run(struct state_writer *writer, uint64_t gpa, const uint8_t *tags, uint64_t size)
{
	const struct tags_run run = { gpa, size };
	uint8_t packed[STEP_TAGS / 2];

	if (size == 0)
		return;
	for (uint64_t i = 0; i < size / GRANULE / 2; i++)
		packed[i] = tags[2 * i] | tags[2 * i + 1] << 4;
	state_add(writer, &run, sizeof(run));
	state_add(writer, packed, size / GRANULE / 2);
}

/* Pages that follow each other and have tags are a run. */
static void add_pages(struct state_writer *writer, uint64_t gpa, const uint8_t *tags, uint64_t size,
		      uint64_t page)
{
	uint64_t begin = 0;

	for (uint64_t at = 0; at < size; at += page) {
		if (!all_zeroes(tags + at / GRANULE, page / GRANULE))
			continue;
		add_run(writer, gpa + begin, tags + begin / GRANULE, at - begin);
		begin = at + page;
	}
	if (begin < size)
		add_run(writer, gpa + begin, tags + begin / GRANULE, size - begin);
}

static int save_region(struct state_writer *writer, int vm_fd, uint64_t gpa, uint64_t size,
		       uint64_t page)
{
	uint8_t tags[STEP_TAGS];

	for (uint64_t done = 0; done < size; done += STEP) {
		const uint64_t part = size - done < STEP ? size - done : STEP;
		const int err = kvm_get_tags(vm_fd, gpa + done, part, tags);

		if (err < 0)
			return err;
		add_pages(writer, gpa + done, tags, part, page);
	}
	return 0;
}

void memory_tags_save(struct state_writer *writer, int vm_fd, const struct memory *memory,
		      int pagemap_fd)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	uintptr_t at = (uintptr_t)memory_at(memory, memory->base, memory->size);
	const uintptr_t start = at, end = at + memory->size;
	int err = 0;

	state_begin(writer, "tags", 0);
	while (at < end && err == 0) {
		struct file_region regions[FILE_REGIONS_MAX];
		const int count = file_touched(pagemap_fd, &at, end, regions, FILE_REGIONS_MAX);

		err = count < 0 ? count : 0;
		for (int i = 0; i < count && err == 0; i++)
			err = save_region(writer, vm_fd, memory->base + (regions[i].start - start),
					  regions[i].end - regions[i].start, page);
	}
	state_end(writer);
	if (err < 0) {
		log_error("memory tags: %s", log_reason(-err));
		state_fail_write(writer, err);
	}
}

/* Whether there can be such a run, with left bytes behind it. */
static bool is_possible(const struct tags_run *run, const struct memory *memory, size_t left)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);

	return run->size > 0 && run->size <= STEP && run->size % page == 0 &&
	       run->gpa % page == 0 && memory_at(memory, run->gpa, run->size) &&
	       run->size / GRANULE / 2 <= left;
}

static int restore_run(int vm_fd, const struct tags_run *run, const uint8_t *packed)
{
	uint8_t tags[STEP_TAGS];

	for (uint64_t i = 0; i < run->size / GRANULE; i++)
		tags[i] = packed[i / 2] >> 4 * (i % 2) & 0xf;
	return kvm_set_tags(vm_fd, run->gpa, run->size, tags);
}

void memory_tags_restore(struct state_reader *reader, int vm_fd, const struct memory *memory)
{
	size_t left;
	const uint8_t *at = state_take(reader, "tags", 0, &left);

	while (at && left > 0 && reader->err == 0) {
		const struct tags_run *run = (const struct tags_run *)at;
		int err;

		if (left < sizeof(*run) || !is_possible(run, memory, left - sizeof(*run))) {
			state_refuse(reader, "tags", 0,
				     "is of memory that there cannot be, or of other pages than "
				     "this host has");
			return;
		}
		err = restore_run(vm_fd, run, at + sizeof(*run));
		if (err < 0) {
			log_error("memory tags: %s", log_reason(-err));
			state_fail_read(reader, err);
			return;
		}
		at += sizeof(*run) + run->size / GRANULE / 2;
		left -= sizeof(*run) + run->size / GRANULE / 2;
	}
}
