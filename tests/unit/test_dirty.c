// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#include "driver.h"
#include "fake_kvm.h"
#include "mm/dirty.h"
#include "mm/memslot.h"
#include "util.h"

#define BASE GIB(1)
#define SIZE MIB(4)

static struct memory memory;
static struct dirty_log log;
static uint64_t page;
static uint64_t of_kvm[SIZE / 4096 / 64];

static int begin(void **state)
{
	page = sysconf(_SC_PAGESIZE);
	memset(of_kvm, 0, sizeof(of_kvm));
	fake_kvm_reset();
	fake_kvm.dirty = of_kvm;
	fake_kvm.dirty_bytes = SIZE / page / 8;
	if (memory_create(&memory, BASE, SIZE, MEMORY_ANON, NULL) < 0)
		return -1;
	return catch_begin(state);
}

static int end(void **state)
{
	dirty_log_end(&log);
	memory_destroy(&memory);
	return catch_end(state);
}

static uint8_t *at(uint64_t offset)
{
	return memory_at(&memory, BASE + offset, 1);
}

static void begin_log(void)
{
	assert_int_equal(dirty_log_begin(&log, 3, &memory, false), 0);
}

/* The next part from offset from on is [first, first + count) in pages. */
static void assert_part(uint64_t from, uint64_t first, uint64_t count)
{
	struct memory_range part;

	assert_true(dirty_log_next(&log, from, &part));
	assert_int_equal(part.start, first * page);
	assert_int_equal(part.size, count * page);
}

static void assert_none(uint64_t from)
{
	struct memory_range part;

	assert_false(dirty_log_next(&log, from, &part));
}

static void nothing_stays_of_a_slot_that_passes(void **state)
{
	char expected[256];

	assert_int_equal(memslot_unmap_nested(3, at(0), page), 0);
	snprintf(expected, sizeof(expected),
		 "set_memory_region %u %u 0x90b0000 0x%" PRIx64
		 "\nset_memory_region %u 0 0x0 0x0\n",
		 MEMSLOT_PASSING, (unsigned int)KVM_MEM_READONLY, page, MEMSLOT_PASSING);
	assert_string_equal(fake_kvm.journal, expected);
	fake_kvm.fails = "set_memory_region";
	fake_kvm.error = -EINVAL;
	assert_int_equal(memslot_unmap_nested(3, at(0), page), -EINVAL);
	assert_said("Invalid argument");
}

static void kvm_is_told_to_log_and_no_more(void **state)
{
	char expected[256];

	assert_false(dirty_log_is_kept(&log));
	begin_log();
	assert_true(dirty_log_is_kept(&log));
	snprintf(expected, sizeof(expected),
		 "set_memory_region %u %u 0x%" PRIx64 " 0x%" PRIx64 "\n", MEMSLOT_RAM,
		 (unsigned int)KVM_MEM_LOG_DIRTY_PAGES, (uint64_t)BASE, (uint64_t)SIZE);
	assert_string_equal(fake_kvm.journal, expected);
	fake_kvm.journal[0] = '\0';
	dirty_log_end(&log);
	assert_false(dirty_log_is_kept(&log));
	snprintf(expected, sizeof(expected), "set_memory_region %u 0 0x%" PRIx64 " 0x%" PRIx64 "\n",
		 MEMSLOT_RAM, (uint64_t)BASE, (uint64_t)SIZE);
	assert_string_equal(fake_kvm.journal, expected);
	memory_wrote(&memory, at(0), 1);
	dirty_log_end(&log);
}

static void a_host_that_cannot_log_leaves_nothing(void **state)
{
	fake_kvm.fails = "set_memory_region";
	fake_kvm.error = -ENOMEM;
	assert_int_equal(dirty_log_begin(&log, 3, &memory, false), -ENOMEM);
	assert_false(dirty_log_is_kept(&log));
	assert_null(memory.written);
	assert_said("memory slot of 4 MiB");
}

static void what_kvm_and_nidus_have_written_is_taken_once(void **state)
{
	begin_log();
	of_kvm[0] = 1;
	memory_wrote(&memory, at(2 * page - 1), 2);
	memory_wrote(&memory, at(SIZE - 1), 1);
	assert_int_equal(dirty_log_take(&log), 0);
	assert_int_equal(dirty_log_bytes(&log), 4 * page);
	assert_part(0, 0, 3);
	assert_part(3 * page, SIZE / page - 1, 1);
	assert_none(SIZE);
	assert_int_equal(dirty_log_take(&log), 0);
	assert_int_equal(dirty_log_bytes(&log), 0);
	assert_none(0);
}

static void parts_go_over_words_and_begin_where_one_asks(void **state)
{
	begin_log();
	of_kvm[0] = UINT64_C(1) << 63;
	of_kvm[1] = UINT64_MAX;
	of_kvm[2] = 5;
	assert_int_equal(dirty_log_take(&log), 0);
	assert_part(0, 63, 66);
	assert_part(100 * page, 100, 29);
	assert_part(129 * page, 130, 1);
	assert_none(131 * page);
}

/* Line by line. */
static void assert_journal(const char *const *names)
{
	char *line = strtok(fake_kvm.journal, "\n");

	for (; *names; names++, line = strtok(NULL, "\n")) {
		assert_non_null(line);
		assert_memory_equal(line, *names, strlen(*names));
	}
	assert_null(line);
	fake_kvm.journal[0] = '\0';
}

static void a_shadowed_log_is_protected_as_a_whole(void **state)
{
	/* And all translations of its guests are taken away, by a slot that passes. */
	static const char *const begins[] = { "enable_with", "set_memory_region 0 1 ",
					      "set_memory_region 6 ",
					      "set_memory_region 6 0 0x0 0x0", NULL };
	static const char *const takes[] = { "set_memory_region 0 0 ", "set_memory_region 0 1 ",
					     "set_memory_region 6 ",
					     "set_memory_region 6 0 0x0 0x0", NULL };

	assert_int_equal(dirty_log_begin(&log, 3, &memory, true), 0);
	assert_journal(begins);
	of_kvm[0] = 6;
	memory_wrote(&memory, at(SIZE - 1), 1);
	assert_int_equal(dirty_log_take(&log), 0);
	assert_journal(takes);
	assert_part(0, 1, 2);
	assert_part(3 * page, SIZE / page - 1, 1);
	of_kvm[0] = 8;
	memory_wrote(&memory, at(0), 1);
	assert_int_equal(dirty_log_take_last(&log), 0);
	assert_string_equal(fake_kvm.journal, "");
	assert_part(0, 0, 1);
	assert_part(page, 3, 1);
}

static void what_is_returned_is_taken_again(void **state)
{
	struct page_map other;

	assert_int_equal(page_map_create(&other, 4096, SIZE), 0);
	page_map_add(&other, 7 * page, 1);
	begin_log();
	of_kvm[0] = 1;
	assert_int_equal(dirty_log_take(&log), 0);
	dirty_log_return(&log, &other);
	of_kvm[0] = 2;
	assert_int_equal(dirty_log_take(&log), 0);
	assert_part(0, 0, 2);
	assert_part(2 * page, 7, 1);
	assert_none(8 * page);
	page_map_destroy(&other);
}

static void a_log_that_fails_says_so(void **state)
{
	begin_log();
	fake_kvm.fails = "get_dirty_log";
	fake_kvm.error = -ENOENT;
	assert_int_equal(dirty_log_take(&log), -ENOENT);
	assert_said("log of what is written to RAM: No such file");
}

static void a_queue_logs_buffers_and_its_used_ring(void **state)
{
	const uint64_t rings = 16, header = 32, data = 40, reads = 50;
	struct virtqueue_chain chain;
	struct driver driver = driver_create(&memory, BASE + rings * page, 8);
	struct virtqueue queue = { 0 };

	assert_int_equal(virtqueue_start(&queue, &memory, &driver.layout, true), 0);
	driver_desc(&driver, 0, BASE + reads * page, 16, NEXT, 1);
	driver_desc(&driver, 1, BASE + header * page, 4, WRITE | NEXT, 2);
	driver_desc(&driver, 2, BASE + data * page + 10, 2 * page, WRITE, 0);
	driver_offer(&driver, 0);
	begin_log();
	assert_int_equal(virtqueue_pop(&queue, &chain), 1);
	assert_int_equal(dirty_log_take(&log), 0);
	assert_none(0);
	virtqueue_push(&queue, 0, 2 * page);
	assert_int_equal(dirty_log_take(&log), 0);
	assert_part(0, header, 1);
	assert_part((header + 1) * page, data, 3);
	assert_none((data + 3) * page);
	virtqueue_publish(&queue);
	assert_int_equal(dirty_log_take(&log), 0);
	assert_part(0, (driver.layout.used - BASE) / page, 1);
	virtqueue_kicks_on(&queue);
	assert_int_equal(dirty_log_take(&log), 0);
	assert_part(0, (driver.layout.used - BASE) / page, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_stays_of_a_slot_that_passes, begin, end),
		cmocka_unit_test_setup_teardown(kvm_is_told_to_log_and_no_more, begin, end),
		cmocka_unit_test_setup_teardown(a_host_that_cannot_log_leaves_nothing, begin, end),
		cmocka_unit_test_setup_teardown(what_kvm_and_nidus_have_written_is_taken_once,
						begin, end),
		cmocka_unit_test_setup_teardown(parts_go_over_words_and_begin_where_one_asks, begin,
						end),
		cmocka_unit_test_setup_teardown(a_shadowed_log_is_protected_as_a_whole, begin, end),
		cmocka_unit_test_setup_teardown(what_is_returned_is_taken_again, begin, end),
		cmocka_unit_test_setup_teardown(a_log_that_fails_says_so, begin, end),
		cmocka_unit_test_setup_teardown(a_queue_logs_buffers_and_its_used_ring, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
