// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "unit.h"
#include "vcpu/counters.h"

static struct counters counters;

static int begin(void **state)
{
	memset(&counters, 0, sizeof(counters));
	return 0;
}

static const struct counters_mmio *entry_of(uint64_t gpa)
{
	for (unsigned int i = 0; i < COUNTERS_MMIO; i++)
		if (counter_read(&counters.mmio[i].address) == gpa)
			return &counters.mmio[i];
	return NULL;
}

static unsigned int entries(void)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < COUNTERS_MMIO; i++)
		count += counter_read(&counters.mmio[i].address) != 0;
	return count;
}

static void exits_are_counted_by_reason(void **state)
{
	for (unsigned int reason = 0; reason < COUNTERS_REASONS; reason++)
		for (unsigned int i = 0; i <= reason; i++)
			counters_exit(&counters, reason);
	for (unsigned int reason = 0; reason < COUNTERS_REASONS; reason++)
		assert_int_equal(counter_read(&counters.exits[reason]), reason + 1);
	assert_int_equal(counters_total(&counters), 64 * 65 / 2);
}

static void unknown_reasons_count_as_unknown(void **state)
{
	counters_exit(&counters, COUNTERS_REASONS);
	counters_exit(&counters, UINT32_MAX);
	assert_int_equal(counter_read(&counters.exits[0]), 2);
	assert_int_equal(counters_total(&counters), 2);
}

static void accesses_are_no_exits(void **state)
{
	counters_access(&counters, 0x9000000, false);
	assert_int_equal(counters_total(&counters), 0);
}

static void reads_and_writes_are_told_apart(void **state)
{
	counters_access(&counters, 0x9000000, false);
	counters_access(&counters, 0x9000000, true);
	counters_access(&counters, 0x9000000, true);
	assert_int_equal(counter_read(&entry_of(0x9000000)->reads), 1);
	assert_int_equal(counter_read(&entry_of(0x9000000)->writes), 2);
	assert_int_equal(entries(), 1);
}

static void neighbours_are_told_apart(void **state)
{
	counters_access(&counters, 0x9000000, true);
	counters_access(&counters, 0x9000001, true);
	counters_access(&counters, 0x9000000 + (UINT64_C(1) << 32), true);
	assert_int_equal(entries(), 3);
	assert_int_equal(counter_read(&entry_of(0x9000001)->writes), 1);
}

static void every_entry_is_used(void **state)
{
	for (unsigned int i = 1; i <= COUNTERS_MMIO; i++)
		for (unsigned int j = 0; j < i; j++)
			counters_access(&counters, 0x1000 * i, false);
	assert_int_equal(entries(), COUNTERS_MMIO);
	for (unsigned int i = 1; i <= COUNTERS_MMIO; i++)
		assert_int_equal(counter_read(&entry_of(0x1000 * i)->reads), i);
	assert_int_equal(counter_read(&counters.mmio_others.reads), 0);
}

static void what_finds_no_entry_is_counted_together(void **state)
{
	for (unsigned int i = 1; i <= COUNTERS_MMIO; i++)
		counters_access(&counters, 0x1000 * i, false);
	counters_access(&counters, 0xa0000000, false);
	counters_access(&counters, 0xb0000000, true);
	counters_access(&counters, UINT64_MAX, true);
	assert_int_equal(counter_read(&counters.mmio_others.reads), 1);
	assert_int_equal(counter_read(&counters.mmio_others.writes), 2);

	/* Those that have one keep it. */
	counters_access(&counters, 0x1000, false);
	assert_int_equal(counter_read(&entry_of(0x1000)->reads), 2);
}

static void address_zero_has_no_entry(void **state)
{
	counters_access(&counters, 0, false);
	assert_int_equal(entries(), 0);
	assert_int_equal(counter_read(&counters.mmio_others.reads), 1);
}

static void random_addresses_add_up(void **state)
{
	uint64_t seed = 3, reads = 0, writes = 0, total_reads = 0, total_writes = 0;

	for (unsigned int i = 0; i < 10000; i++) {
		bool write = chance(&seed) % 2;

		counters_access(&counters, chance(&seed) >> chance(&seed) % 64, write);
		reads += !write;
		writes += write;
	}
	for (unsigned int i = 0; i < COUNTERS_MMIO; i++) {
		total_reads += counter_read(&counters.mmio[i].reads);
		total_writes += counter_read(&counters.mmio[i].writes);
		for (unsigned int j = 0; j < i; j++)
			assert_true(counter_read(&counters.mmio[i].address) !=
				    counter_read(&counters.mmio[j].address));
	}
	assert_int_equal(total_reads + counter_read(&counters.mmio_others.reads), reads);
	assert_int_equal(total_writes + counter_read(&counters.mmio_others.writes), writes);
}

#define on_counters(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_counters(exits_are_counted_by_reason),
		on_counters(unknown_reasons_count_as_unknown),
		on_counters(accesses_are_no_exits),
		on_counters(reads_and_writes_are_told_apart),
		on_counters(neighbours_are_told_apart),
		on_counters(every_entry_is_used),
		on_counters(what_finds_no_entry_is_counted_together),
		on_counters(address_zero_has_no_entry),
		on_counters(random_addresses_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
