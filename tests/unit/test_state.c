// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

#include "arm/sysreg.h"
#include "cpu/cpu_state.h"
#include "fake_kvm.h"
#include "state/state.h"
#include "util.h"

#define VCPU_FD 4

/* Two registers: of identification, which KVM does not let change, and a general one. */
#define ID_REGISTER ARM64_SYS_REG(3, 0, 0, 4, 0)
#define TTBR0_EL1   ARM64_SYS_REG(3, 0, 2, 0, 0)

static struct state_writer writer;
static struct cpu_saved same;
static struct state_reader reader;

static int begin(void **state)
{
	fake_kvm_reset();
	state_writer_create(&writer);
	return catch_begin(state);
}

static int end(void **state)
{
	state_writer_destroy(&writer);
	cpu_saved_release(&same);
	return catch_end(state);
}

static void read_on(size_t size)
{
	state_reader_create(&reader, writer.bytes, size);
}

static void what_is_written_is_read_in_its_order(void **state)
{
	const uint64_t number = 42;
	char text[6] = "";
	uint64_t is = 0;

	state_put(&writer, "number", 7, &number, sizeof(number));
	state_begin(&writer, "a-name-of-16-byt", 1);
	state_add(&writer, "hel", 3);
	state_add(&writer, "lo", 3);
	state_end(&writer);
	state_put(&writer, "nothing", 0, NULL, 0);
	assert_int_equal(writer.err, 0);
	assert_int_equal(writer.size % 8, 0);

	read_on(writer.size);
	assert_true(state_is_next(&reader, "number"));
	assert_true(state_get(&reader, "number", 7, &is, sizeof(is)));
	assert_int_equal(is, 42);
	assert_true(state_get(&reader, "a-name-of-16-byt", 1, text, sizeof(text)));
	assert_string_equal(text, "hello");
	assert_true(state_skip(&reader));
	assert_false(state_skip(&reader));
	state_done(&reader);
	assert_int_equal(reader.err, 0);
	assert_silent();
}

static void a_large_state_grows(void **state)
{
	static uint8_t bytes[KIB(100)];
	size_t size;

	for (unsigned int i = 0; i < 20; i++)
		state_put(&writer, "bytes", i, bytes, sizeof(bytes) - i);
	read_on(writer.size);
	for (unsigned int i = 0; i < 20; i++) {
		assert_non_null(state_take(&reader, "bytes", i, &size));
		assert_int_equal(size, sizeof(bytes) - i);
	}
	state_done(&reader);
	assert_int_equal(reader.err, 0);
}

static void what_is_not_there_is_said(void **state)
{
	uint32_t is = 5;

	state_put(&writer, "number", 7, "1234", 4);
	read_on(writer.size);
	assert_false(state_get(&reader, "number", 8, &is, sizeof(is)));
	assert_said("has no number (0x8) where there has to be one");
	/* The first error stays, and nothing is said of what it brings about. */
	assert_false(state_get(&reader, "number", 7, &is, sizeof(is)));
	state_done(&reader);
	assert_silent();
	assert_int_equal(reader.err, -EINVAL);
	assert_int_equal(is, 5);

	read_on(writer.size);
	assert_false(state_get(&reader, "other", 7, &is, sizeof(is)));
	assert_said("has no other");
	read_on(writer.size);
	assert_false(state_get(&reader, "number", 7, &(uint64_t){ 0 }, 8));
	assert_said("number (0x7) is of another size");
	read_on(writer.size);
	state_done(&reader);
	assert_said("has more than this nidus knows");
}

static void a_record_that_is_cut_off_is_none(void **state)
{
	size_t size;

	state_put(&writer, "number", 7, "12345678", 8);
	for (size_t left = 0; left < writer.size; left++) {
		/* With nothing behind it, so that who reads on is found out. */
		uint8_t *copy = malloc(left ? left : 1);

		memcpy(copy, writer.bytes, left);
		state_reader_create(&reader, copy, left);
		assert_false(state_is_next(&reader, "number"));
		assert_null(state_take(&reader, "number", 7, &size));
		assert_said("has no number");
		free(copy);
	}
}

static void sizes_beyond_all_are_refused(void **state)
{
	static const uint64_t sizes[] = {
		9, 16, INT64_MAX, UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - 31
	};
	struct state_record *record;
	size_t size;

	state_put(&writer, "number", 7, "12345678", 8);
	record = (struct state_record *)writer.bytes;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		record->size = sizes[i];
		read_on(writer.size);
		assert_null(state_take(&reader, "number", 7, &size));
		assert_said("has no number");
	}
}

/* vCPUs. */

static void save_cpu(void)
{
	fake_kvm_give(ID_REGISTER, 0x11);
	fake_kvm_give(TTBR0_EL1, 0x22000);
	fake_kvm.mp_state = KVM_MP_STATE_STOPPED;
	cpu_save(&writer, &same, VCPU_FD, 3);
	assert_int_equal(writer.err, 0);
	read_on(writer.size);
}

static void registers_and_power_state_come_back(void **state)
{
	save_cpu();
	fake_kvm_give(TTBR0_EL1, 0);
	fake_kvm.mp_state = KVM_MP_STATE_RUNNABLE;
	cpu_restore(&reader, VCPU_FD, 3);
	state_done(&reader);
	assert_int_equal(reader.err, 0);
	assert_int_equal(fake_kvm_value(TTBR0_EL1), 0x22000);
	assert_int_equal(fake_kvm.mp_state, KVM_MP_STATE_STOPPED);
}

/* It is asked for once, and others each time. */
static void what_the_cpu_can_do_is_saved_as_it_was_at_first(void **state)
{
	save_cpu();
	state_writer_destroy(&writer);
	state_writer_create(&writer);
	fake_kvm_give(ID_REGISTER, 0x12);
	fake_kvm_give(TTBR0_EL1, 0x33000);
	cpu_save(&writer, &same, VCPU_FD, 3);
	read_on(writer.size);
	cpu_restore(&reader, VCPU_FD, 3);
	assert_int_equal(reader.err, 0);
	assert_int_equal(fake_kvm_value(ID_REGISTER), 0x11);
	assert_int_equal(fake_kvm_value(TTBR0_EL1), 0x33000);
}

static void a_register_that_kvm_does_not_list_is_refused(void **state)
{
	save_cpu();
	fake_kvm_reset();
	fake_kvm_give(ID_REGISTER, 0x11);
	cpu_restore(&reader, VCPU_FD, 3);
	assert_int_equal(reader.err, -ENOTSUP);
	assert_said("which this host does not have for it");
}

static void a_value_that_kvm_refuses_is_fine_if_it_is_there(void **state)
{
	save_cpu();
	fake_kvm.fails = "set_reg";
	fake_kvm.error = -EINVAL;
	cpu_restore(&reader, VCPU_FD, 3);
	assert_int_equal(reader.err, 0);

	read_on(writer.size);
	fake_kvm_give(ID_REGISTER, 0x12);
	cpu_restore(&reader, VCPU_FD, 3);
	assert_int_equal(reader.err, -ENOTSUP);
	assert_said("this host does not take the value that it has");
}

static void registers_that_are_cut_off_are_refused(void **state)
{
	struct state_record *record;

	save_cpu();
	record = (struct state_record *)writer.bytes;
	record = (struct state_record *)((uint8_t *)(record + 1) + align_up(record->size, 8));
	record->size -= 8;
	cpu_restore(&reader, VCPU_FD, 3);
	assert_int_equal(reader.err, -EINVAL);
	assert_said("vcpu-registers (0x3) is cut off");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(what_is_written_is_read_in_its_order),
		TEST(a_large_state_grows),
		TEST(what_is_not_there_is_said),
		TEST(a_record_that_is_cut_off_is_none),
		TEST(sizes_beyond_all_are_refused),
		TEST(registers_and_power_state_come_back),
		TEST(what_the_cpu_can_do_is_saved_as_it_was_at_first),
		TEST(a_register_that_kvm_does_not_list_is_refused),
		TEST(a_value_that_kvm_refuses_is_fine_if_it_is_there),
		TEST(registers_that_are_cut_off_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
