// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bus/bus.h"
#include "unit.h"

/* A device that notes in a journal what is done to it, by its letter. */
struct probe {
	struct device device;
	char letter;
	enum mmio_result result;
	struct mmio_access last;
};

static struct probe probes[BUS_DEVICES_MAX + 1];
static unsigned int probe_count;
static char journal[BUS_DEVICES_MAX + 2];
static struct bus bus;

static void note(const struct device *device)
{
	const struct probe *probe = (const void *)device;

	strncat(journal, &probe->letter, 1);
}

static enum mmio_result probe_access(struct device *device, struct mmio_access *mmio)
{
	struct probe *probe = (void *)device;

	probe->last = *mmio;
	if (!mmio->write && probe->result == MMIO_DONE)
		mmio->value = 0x1122334455667788;
	return probe->result;
}

static void probe_describe(const struct device *device, struct devtree *tree)
{
	note(device);
}

static void probe_destroy(struct device *device)
{
	note(device);
}

static const struct device_ops probe_ops = {
	.name = "probe",
	.access = probe_access,
	.describe = probe_describe,
	.destroy = probe_destroy,
};

static struct probe *probe_at(uint64_t base, uint64_t size)
{
	struct probe *probe = &probes[probe_count];

	*probe = (struct probe){
		.device = { .ops = &probe_ops, .base = base, .size = size },
		.letter = 'a' + probe_count % 26,
		.result = MMIO_DONE,
	};
	probe_count++;
	return probe;
}

static int add(uint64_t base, uint64_t size)
{
	return bus_add(&bus, &probe_at(base, size)->device);
}

static int begin(void **state)
{
	probe_count = 0;
	journal[0] = '\0';
	bus_create(&bus);
	return catch_begin(state);
}

static int finish(void **state)
{
	bus_destroy(&bus);
	return catch_end(state);
}

/* Adding. */

static void overlaps_are_refused(void **state)
{
	static const struct {
		uint64_t base, size;
		int result;
	} cases[] = {
		{ 0x1000, 0x1000, -EEXIST }, /* the same */
		{ 0x1fff, 1, -EEXIST }, /* its last byte */
		{ 0x1000, 1, -EEXIST }, /* its first byte */
		{ 0x0fff, 2, -EEXIST }, /* across its start */
		{ 0x0000, 0x4000, -EEXIST }, /* around it */
		{ 0x1400, 0x10, -EEXIST }, /* within it */
		{ 0x0fff, 1, 0 }, /* up to it */
		{ 0x2000, 1, 0 }, /* after it */
	};

	assert_int_equal(add(0x1000, 0x1000), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(add(cases[i].base, cases[i].size), cases[i].result);
		if (cases[i].result < 0)
			assert_said("probe does not fit on the bus");
		else
			assert_silent();
	}
}

static void empty_range_is_refused(void **state)
{
	assert_int_equal(add(0x1000, 0), -EINVAL);
	assert_said("probe");
}

static void wrapping_range_is_refused(void **state)
{
	assert_int_equal(add(UINT64_MAX - 0xfff, 0x1001), -EINVAL);
	assert_said("probe");
	assert_int_equal(add(1, UINT64_MAX), -EINVAL);
	assert_said("probe");
}

static void range_to_the_last_address_but_one_works(void **state)
{
	assert_int_equal(add(UINT64_MAX - 0xfff, 0xfff), 0);
	bus_freeze(&bus);
	assert_ptr_equal(bus_find(&bus, UINT64_MAX - 1), &probes[0].device);
	assert_null(bus_find(&bus, UINT64_MAX));
}

static void full_bus_refuses(void **state)
{
	for (unsigned int i = 0; i < BUS_DEVICES_MAX; i++)
		assert_int_equal(add(0x1000 * (i + 1), 0x1000), 0);
	assert_int_equal(add(0x10000000, 0x1000), -ENOSPC);
	assert_said("probe");
}

static void frozen_bus_refuses(void **state)
{
	bus_freeze(&bus);
	assert_int_equal(add(0x1000, 0x1000), -EBUSY);
	assert_said("probe");
}

static void refused_device_is_destroyed(void **state)
{
	add(0x1000, 0x1000);
	add(0x1000, 0x1000);
	assert_string_equal(journal, "b");
}

static void destroyed_in_reverse(void **state)
{
	add(0x3000, 0x1000);
	add(0x1000, 0x1000);
	add(0x2000, 0x1000);
	bus_destroy(&bus);
	assert_string_equal(journal, "cba");
	assert_int_equal(bus.count, 0);
}

static void described_by_address(void **state)
{
	add(0x3000, 0x1000);
	add(0x1000, 0x1000);
	add(0x2000, 0x1000);
	bus_freeze(&bus);
	bus_describe(&bus, NULL);
	assert_string_equal(journal, "bca");
}

/* Finding. */

static void empty_bus_finds_nothing(void **state)
{
	bus_freeze(&bus);
	assert_null(bus_find(&bus, 0));
	assert_null(bus_find(&bus, UINT64_MAX));
}

static void finds_first_and_last_byte_and_no_more(void **state)
{
	/* Every number of devices, as it is a binary search, with gaps between them. */
	for (unsigned int count = 1; count <= BUS_DEVICES_MAX; count++) {
		probe_count = 0;
		bus_create(&bus);
		for (unsigned int i = 0; i < count; i++)
			assert_int_equal(add(0x2000 * (count - i), 0x1000), 0);
		bus_freeze(&bus);
		for (unsigned int i = 0; i < count; i++) {
			uint64_t base = probes[i].device.base;

			assert_null(bus_find(&bus, base - 1));
			assert_ptr_equal(bus_find(&bus, base), &probes[i].device);
			assert_ptr_equal(bus_find(&bus, base + 0xfff), &probes[i].device);
			assert_null(bus_find(&bus, base + 0x1000));
		}
	}
}

static void finds_adjacent_devices(void **state)
{
	add(0x2000, 0x1000);
	add(0x1000, 0x1000);
	bus_freeze(&bus);
	assert_ptr_equal(bus_find(&bus, 0x1fff), &probes[1].device);
	assert_ptr_equal(bus_find(&bus, 0x2000), &probes[0].device);
}

static struct device *behind(struct device *device, uint64_t gpa)
{
	assert_ptr_equal(device, &probes[0].device);
	return gpa < 0x1800 ? &probes[1].device : NULL;
}

/* Who asks is told of it, but an access goes to the one that is on the bus. */
static void finds_what_is_behind_a_device(void **state)
{
	struct device_ops ops = probe_ops;
	struct mmio_access mmio = { .size = 4 };

	ops.behind = behind;
	add(0x1000, 0x1000);
	probe_at(0x1400, 0x400);
	probes[0].device.ops = &ops;
	bus_freeze(&bus);
	assert_ptr_equal(bus_find(&bus, 0x1404), &probes[1].device);
	assert_ptr_equal(bus_find(&bus, 0x1800), &probes[0].device);
	assert_null(bus_find(&bus, 0x2000));
	assert_int_equal(bus_access(&bus, 0x1404, &mmio), MMIO_DONE);
	assert_int_equal(probes[0].last.offset, 0x404);
	/* What it is made of goes with this function. */
	probes[0].device.ops = &probe_ops;
}

/* Accesses. */

static void read_reaches_the_device(void **state)
{
	struct mmio_access mmio = { .size = 4 };

	add(0x1000, 0x1000);
	bus_freeze(&bus);
	assert_int_equal(bus_access(&bus, 0x1ffc, &mmio), MMIO_DONE);
	assert_int_equal(probes[0].last.offset, 0xffc);
	assert_int_equal(mmio.value, 0x1122334455667788);
	assert_silent();
}

static void write_reaches_the_device(void **state)
{
	struct mmio_access mmio = { .size = 8, .write = true, .value = 0xa5a5 };

	add(0x1000, 0x1000);
	bus_freeze(&bus);
	assert_int_equal(bus_access(&bus, 0x1ff8, &mmio), MMIO_DONE);
	assert_int_equal(probes[0].last.value, 0xa5a5);
	assert_int_equal(probes[0].last.size, 8);
	assert_true(probes[0].last.write);
}

static void straddling_the_end_is_unclaimed(void **state)
{
	static const uint8_t sizes[] = { 2, 4, 8 };

	add(0x1000, 0x1000);
	add(0x2000, 0x1000);
	bus_freeze(&bus);
	for (size_t i = 0; i < sizeof(sizes); i++) {
		struct mmio_access mmio = { .size = sizes[i] };

		assert_int_equal(bus_access(&bus, 0x2000 - sizes[i] + 1, &mmio), MMIO_UNCLAIMED);
		assert_true(mmio.value == UINT64_MAX);
	}
	assert_int_equal(probes[0].last.size + probes[1].last.size, 0);
}

static void unclaimed_reads_all_ones(void **state)
{
	struct mmio_access mmio = { .size = 4 };

	bus_freeze(&bus);
	assert_int_equal(bus_access(&bus, 0x1000, &mmio), MMIO_UNCLAIMED);
	assert_true(mmio.value == UINT64_MAX);
}

static void unclaimed_write_is_ignored(void **state)
{
	struct mmio_access mmio = { .size = 4, .write = true, .value = 7 };

	bus_freeze(&bus);
	assert_int_equal(bus_access(&bus, UINT64_MAX, &mmio), MMIO_UNCLAIMED);
	assert_int_equal(mmio.value, 7);
}

static void bad_access_reads_all_ones(void **state)
{
	struct mmio_access mmio = { .size = 2 };

	add(0x1000, 0x1000);
	probes[0].result = MMIO_BAD;
	bus_freeze(&bus);
	assert_int_equal(bus_access(&bus, 0x1000, &mmio), MMIO_BAD);
	assert_true(mmio.value == UINT64_MAX);
	assert_said("guest read 2 bytes of probe at 0x0");
}

static void a_guest_cannot_flood_the_log(void **state)
{
	unsigned int lines = 0;

	bus_freeze(&bus);
	for (unsigned int i = 0; i < 1000; i++) {
		struct mmio_access mmio = { .size = 4 };

		bus_access(&bus, 0x1000, &mmio);
	}
	for (const char *line = said(); (line = strchr(line, '\n')); line++)
		lines++;
	assert_in_range(lines, 0, 8);
}

#define on_bus(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_bus(overlaps_are_refused),
		on_bus(empty_range_is_refused),
		on_bus(wrapping_range_is_refused),
		on_bus(range_to_the_last_address_but_one_works),
		on_bus(full_bus_refuses),
		on_bus(frozen_bus_refuses),
		on_bus(refused_device_is_destroyed),
		on_bus(destroyed_in_reverse),
		on_bus(described_by_address),
		on_bus(empty_bus_finds_nothing),
		on_bus(finds_first_and_last_byte_and_no_more),
		on_bus(finds_adjacent_devices),
		on_bus(finds_what_is_behind_a_device),
		on_bus(read_reaches_the_device),
		on_bus(write_reaches_the_device),
		on_bus(straddling_the_end_is_unclaimed),
		on_bus(unclaimed_reads_all_ones),
		on_bus(unclaimed_write_is_ignored),
		on_bus(bad_access_reads_all_ones),
		on_bus(a_guest_cannot_flood_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
