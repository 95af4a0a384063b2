// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#include "cpu/memory_tags.h"
#include "fake_kvm.h"
#include "util.h"

#define GPA   UINT64_C(0x40000000)
#define SIZE  MIB(4)
#define PAGE  KIB(4)
#define VM_FD 3

#define RUN(pages) (16 + (pages)*PAGE / 16 / 2)

static struct memory memory;
static struct state_writer writer;
static struct state_reader reader;
static uint8_t tags[SIZE / 16];
static int pagemap;

static int begin(void **state)
{
	fake_kvm_reset();
	memset(tags, 0, sizeof(tags));
	fake_kvm.tags = tags;
	fake_kvm.tags_at = GPA;
	state_writer_create(&writer);
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	assert_true(pagemap >= 0);
	assert_int_equal(memory_create(&memory, GPA, SIZE, MEMORY_ANON, NULL), 0);
	return catch_begin(state);
}

static int end(void **state)
{
	memory_destroy(&memory);
	state_writer_destroy(&writer);
	close(pagemap);
	return catch_end(state);
}

/* Touches a page, and gives each granule a tag that follows from its address and from seed. */
static void tag(unsigned int page, unsigned int seed)
{
	memory.host[page * PAGE] = 1;
	for (unsigned int i = 0; i < PAGE / 16; i++)
		tags[page * (PAGE / 16) + i] = (i * 7 + page + seed) % 16;
}

static size_t save(void)
{
	size_t size = 0;

	memory_tags_save(&writer, VM_FD, &memory, pagemap);
	if (writer.err < 0)
		return 0;
	state_reader_create(&reader, writer.bytes, writer.size);
	assert_non_null(state_take(&reader, "tags", 0, &size));
	/* From the beginning again. */
	state_reader_create(&reader, writer.bytes, writer.size);
	return size;
}

static void restore_record(const void *bytes, size_t size)
{
	state_put(&writer, "tags", 0, bytes, size);
	assert_int_equal(writer.err, 0);
	state_reader_create(&reader, writer.bytes, writer.size);
	memory_tags_restore(&reader, VM_FD, &memory);
}

static void tags_come_back_where_they_were(void **state)
{
	uint8_t *then = malloc(sizeof(tags));

	tag(3, 1);
	tag(4, 2);
	tag(600, 3);
	tag(1023, 4);
	memcpy(then, tags, sizeof(tags));
	assert_int_equal(save(), RUN(2) + RUN(1) + RUN(1));
	memset(tags, 0, sizeof(tags));
	memory_tags_restore(&reader, VM_FD, &memory);
	assert_int_equal(reader.err, 0);
	state_done(&reader);
	assert_int_equal(reader.err, 0);
	assert_memory_equal(then, tags, sizeof(tags));
	free(then);
}

static void runs_longer_than_a_step_are_several(void **state)
{
	for (unsigned int page = 8; page < 40; page++)
		tag(page, 5);
	/* Steps begin with what was touched. */
	assert_in_range(save(), RUN(16) * 2, RUN(16) + RUN(8) * 2);
	memory_tags_restore(&reader, VM_FD, &memory);
	assert_int_equal(reader.err, 0);
}

static void what_nobody_touched_is_not_asked_for(void **state)
{
	assert_int_equal(save(), 0);
	assert_string_equal(fake_kvm.journal, "");
	memory_tags_restore(&reader, VM_FD, &memory);
	assert_int_equal(reader.err, 0);
	assert_string_equal(fake_kvm.journal, "");
}

static void what_kvm_refuses_is_an_error(void **state)
{
	tag(1, 1);
	fake_kvm.fails = "get_tags";
	fake_kvm.error = -EFAULT;
	save();
	assert_int_equal(writer.err, -EFAULT);
	assert_said("memory tags: Bad address");
}

static void nor_is_an_error_of_the_other_side_lost(void **state)
{
	tag(1, 1);
	save();
	fake_kvm.fails = "set_tags";
	fake_kvm.error = -EINVAL;
	memory_tags_restore(&reader, VM_FD, &memory);
	assert_int_equal(reader.err, -EINVAL);
	assert_said("memory tags: Invalid argument");
}

static void what_cannot_be_is_refused(void **state)
{
	static const struct {
		uint64_t gpa, size;
		size_t bytes;
	} wrong[] = {
		{ GPA, 0, 16 }, /* of nothing, which would never end */
		{ GPA, PAGE, 16 }, /* cut off */
		{ GPA, PAGE, 15 },
		{ GPA, PAGE, RUN(1) - 8 },
		{ GPA + 16, PAGE, RUN(1) },
		{ GPA, PAGE + 16, RUN(2) },
		{ GPA - PAGE, PAGE, RUN(1) }, /* outside RAM */
		{ GPA + SIZE, PAGE, RUN(1) },
		{ GPA + SIZE - PAGE, 2 * PAGE, RUN(2) },
		{ GPA, KIB(128), RUN(32) }, /* more than at a time */
		{ UINT64_MAX - PAGE + 1, PAGE, RUN(1) },
		{ GPA, UINT64_MAX - PAGE + 1, RUN(1) },
	};
	uint64_t bytes[RUN(32) / 8];

	for (unsigned int i = 0; i < ARRAY_SIZE(wrong); i++) {
		memset(bytes, 0x11, sizeof(bytes));
		bytes[0] = wrong[i].gpa;
		bytes[1] = wrong[i].size;
		restore_record(bytes, wrong[i].bytes);
		assert_int_equal(reader.err, -EINVAL);
		assert_said("tags (0x0) is of memory that there cannot be");
		assert_string_equal(fake_kvm.journal, "");
		state_writer_destroy(&writer);
		state_writer_create(&writer);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(tags_come_back_where_they_were, begin, end),
		cmocka_unit_test_setup_teardown(runs_longer_than_a_step_are_several, begin, end),
		cmocka_unit_test_setup_teardown(what_nobody_touched_is_not_asked_for, begin, end),
		cmocka_unit_test_setup_teardown(what_kvm_refuses_is_an_error, begin, end),
		cmocka_unit_test_setup_teardown(nor_is_an_error_of_the_other_side_lost, begin, end),
		cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
