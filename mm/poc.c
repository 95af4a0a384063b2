// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "host/clock.h"
#include "host/log.h"
#include "mm/cache.h"
#include "mm/poc.h"
#include "util.h"

/* Cleans the lines that hold range and returns how many they were. */
static uint64_t poc_clean_range(const struct memory *memory, const struct memory_range *range,
				uint64_t line)
{
	uintptr_t host = (uintptr_t)memory_at(memory, range->start, range->size);
	uintptr_t start = align_down(host, line), end = align_up(host + range->size, line);

	cache_clean(start, end, line);
	return (end - start) / line;
}

/* #syscalls loop: madvise(MADV_POPULATE_WRITE) */
int poc_clean(struct memory *memory, enum poc_policy policy, struct poc_report *report)
{
	uint64_t begin = clock_ns();

	memory_seal(memory);
	*report = (struct poc_report){ .policy = policy };
	switch (policy) {
	case POC_NONE:
		return 0;
	case POC_ALL:
		/* DC CVAC on a page that is not there yet would fault, or clean the zero page. */
		if (madvise(memory->host, memory->size, MADV_POPULATE_WRITE) < 0) {
			int err = -errno;

			log_error("--cache-clean all: cannot populate %" PRIu64 " MiB of RAM: %s",
				  memory->size >> 20, strerror(-err));
			return err;
		}
		report->range[0] = (struct memory_range){ memory->base, memory->size };
		report->range_count = 1;
		break;
	case POC_TOUCHED:
		memcpy(report->range, memory->touched, sizeof(report->range));
		report->range_count = memory->touched_count;
		break;
	}

	report->line_size = cache_line_size();
	for (unsigned int i = 0; i < report->range_count; i++)
		report->lines += poc_clean_range(memory, &report->range[i], report->line_size);
	cache_sync();
	report->nanoseconds = clock_ns() - begin;
	return 0;
}

const char *poc_policy_name(enum poc_policy policy)
{
	static const char *const name[] = {
		[POC_TOUCHED] = "touched",
		[POC_ALL] = "all",
		[POC_NONE] = "none",
	};

	return name[policy];
}
