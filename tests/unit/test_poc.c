// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "mm/cache.h"
#include "mm/poc.h"
#include "unit.h"
#include "util.h"

#define BASE UINT64_C(0x40000000)
#define SIZE MIB(4)

/* The shortest line there is, so that there is room to record each. */
#define LINES_MAX (SIZE / 16)

static struct memory memory;
static struct poc_report report;
static uint64_t line_size;
static unsigned int cleaned[LINES_MAX]; /* how often, by line */
static bool dirty_after_sync;
static unsigned int syncs;

/* In place of mm/cache.c. */

uint64_t cache_line_size(void)
{
	return line_size;
}

void cache_clean(uintptr_t start, uintptr_t end, uint64_t line)
{
	assert_int_equal(line, line_size);
	assert_int_equal(start % line, 0);
	assert_int_equal(end % line, 0);
	assert_true(start >= (uintptr_t)memory.host && end <= (uintptr_t)memory.host + SIZE);
	for (; start < end; start += line)
		cleaned[(start - (uintptr_t)memory.host) / line]++;
	dirty_after_sync = true;
}

void cache_sync(void)
{
	syncs++;
	dirty_after_sync = false;
}

static int begin(void **state)
{
	memset(cleaned, 0, sizeof(cleaned));
	line_size = 64;
	syncs = 0;
	dirty_after_sync = false;
	return catch_begin(state) < 0 ? -1 : memory_create(&memory, BASE, SIZE, MEMORY_ANON, NULL);
}

static int finish(void **state)
{
	memory_destroy(&memory);
	return catch_end(state);
}

static void load(uint64_t offset, uint64_t size)
{
	static const uint8_t zeroes[KIB(64)];

	assert_int_equal(memory_load(&memory, BASE + offset, zeroes, size), 0);
}

static uint64_t lines_cleaned(void)
{
	uint64_t count = 0;

	for (size_t i = 0; i < LINES_MAX; i++)
		count += cleaned[i];
	return count;
}

/* Exactly the lines that hold a byte of the ranges have been cleaned. */
static void assert_exactly(const struct memory_range *ranges, size_t count)
{
	for (uint64_t line = 0; line < SIZE / line_size; line++) {
		bool expected = false;

		for (size_t i = 0; i < count; i++)
			expected |= ranges[i].start < (line + 1) * line_size &&
				    ranges[i].start + ranges[i].size > line * line_size;
		if (expected != (cleaned[line] > 0))
			fail_msg("line at offset 0x%jx", (uintmax_t)(line * line_size));
	}
}

static void touched_cleans_exactly_the_lines_loaded(void **state)
{
	static const uint64_t line_sizes[] = { 16, 32, 64, 128, 256, 2048 };
	static const struct memory_range cases[] = {
		{ 0, 1 },	   { 0x1000, 64 },     { 0x203f, 1 },	   { 0x3040, 63 },
		{ 0x4001, 64 },	   { 0x50ff, 2 },      { 0x6801, 0x1000 }, { 0x9000, KIB(64) },
		{ 0x30000, 4095 }, { 0x1ffff0, 0x20 }, { SIZE - 1, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(line_sizes); i++) {
		memset(cleaned, 0, sizeof(cleaned));
		memory.sealed = false;
		memory.touched_count = 0;
		line_size = line_sizes[i];
		for (size_t j = 0; j < ARRAY_SIZE(cases); j++)
			load(cases[j].start, cases[j].size);
		assert_int_equal(poc_clean(&memory, POC_TOUCHED, &report), 0);
		assert_exactly(cases, ARRAY_SIZE(cases));
		assert_int_equal(report.lines, lines_cleaned());
		assert_int_equal(report.line_size, line_size);
	}
}

static void nothing_loaded_cleans_nothing(void **state)
{
	assert_int_equal(poc_clean(&memory, POC_TOUCHED, &report), 0);
	assert_int_equal(lines_cleaned(), 0);
	assert_int_equal(report.lines, 0);
	assert_int_equal(report.range_count, 0);
}

static void the_report_names_the_ranges(void **state)
{
	load(0x3001, 70);
	load(0x1000, 64);
	assert_int_equal(poc_clean(&memory, POC_TOUCHED, &report), 0);
	assert_int_equal(report.policy, POC_TOUCHED);
	assert_int_equal(report.range_count, 2);
	assert_true(report.range[0].start == BASE + 0x1000 && report.range[0].size == 64);
	assert_true(report.range[1].start == BASE + 0x3001 && report.range[1].size == 70);
	assert_int_equal(report.lines, 1 + 2);
}

static void all_cleans_and_populates_all(void **state)
{
	const struct memory_range everything = { 0, SIZE };
	unsigned char resident[SIZE / 4096];

	load(0x1000, 64);
	if (poc_clean(&memory, POC_ALL, &report) == -EINVAL)
		skip(); /* a host before Linux 5.14 */
	assert_exactly(&everything, 1);
	assert_int_equal(report.lines, SIZE / line_size);
	assert_int_equal(report.lines, lines_cleaned());
	assert_int_equal(report.range_count, 1);
	assert_true(report.range[0].start == BASE && report.range[0].size == SIZE);
	assert_int_equal(mincore(memory.host, SIZE, resident), 0);
	for (size_t i = 0; i < sizeof(resident); i++)
		assert_int_equal(resident[i] & 1, 1);
}

static void all_leaves_contents_alone(void **state)
{
	assert_int_equal(memory_load(&memory, BASE + 0x1003, "nest", 5), 0);
	if (poc_clean(&memory, POC_ALL, &report) == -EINVAL)
		skip();
	assert_string_equal(memory_at(&memory, BASE + 0x1003, 5), "nest");
}

static void all_says_what_it_cannot_populate(void **state)
{
	struct memory gone = memory;

	/* No page can be written where nothing may be. */
	assert_int_equal(mprotect(memory.host, SIZE, PROT_READ), 0);
	assert_true(poc_clean(&gone, POC_ALL, &report) < 0);
	assert_said("--cache-clean all: cannot populate 4 MiB");
	assert_int_equal(lines_cleaned(), 0);
}

static void none_cleans_nothing(void **state)
{
	load(0x1000, 64);
	assert_int_equal(poc_clean(&memory, POC_NONE, &report), 0);
	assert_int_equal(lines_cleaned(), 0);
	assert_int_equal(report.policy, POC_NONE);
	assert_int_equal(report.lines, 0);
	assert_int_equal(report.line_size, 0);
	assert_int_equal(report.range_count, 0);
}

static void ends_with_a_barrier(void **state)
{
	load(0, 64);
	load(0x1000, 64);
	assert_int_equal(poc_clean(&memory, POC_TOUCHED, &report), 0);
	assert_true(syncs > 0);
	assert_false(dirty_after_sync);
}

static void seals(void **state)
{
	static const enum poc_policy policies[] = { POC_TOUCHED, POC_ALL, POC_NONE };

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		memory.sealed = false;
		poc_clean(&memory, policies[i], &report);
		assert_int_equal(memory_load(&memory, BASE, "x", 1), -EBUSY);
	}
}

static void policies_have_names(void **state)
{
	assert_string_equal(poc_policy_name(POC_TOUCHED), "touched");
	assert_string_equal(poc_policy_name(POC_ALL), "all");
	assert_string_equal(poc_policy_name(POC_NONE), "none");
}

#define on_memory(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_memory(touched_cleans_exactly_the_lines_loaded),
		on_memory(nothing_loaded_cleans_nothing),
		on_memory(the_report_names_the_ranges),
		on_memory(all_cleans_and_populates_all),
		on_memory(all_leaves_contents_alone),
		on_memory(all_says_what_it_cannot_populate),
		on_memory(none_cleans_nothing),
		on_memory(ends_with_a_barrier),
		on_memory(seals),
		cmocka_unit_test(policies_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
