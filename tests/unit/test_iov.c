// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "unit.h"

#include "host/iov.h"
#include "util.h"

/* Ten bytes in three segments, with empty ones before, between and behind; each has neighbours. */
#define LIST_BYTES 10
#define LIST_COUNT 6

static uint8_t data[3][8];
static struct iovec list[LIST_COUNT];

static void make_list(void)
{
	static const size_t lengths[] = { 4, 1, 5 };
	uint8_t next = 0;

	memset(data, 0xee, sizeof(data));
	list[0] = (struct iovec){ NULL, 0 };
	list[1] = (struct iovec){ data[0] + 1, lengths[0] };
	list[2] = (struct iovec){ data[0], 0 };
	list[3] = (struct iovec){ data[1] + 1, lengths[1] };
	list[4] = (struct iovec){ data[2] + 1, lengths[2] };
	list[5] = (struct iovec){ NULL, 0 };
	for (unsigned int i = 0; i < 3; i++)
		for (size_t j = 0; j < lengths[i]; j++)
			data[i][1 + j] = next++;
}

static void assert_neighbours(void)
{
	static const size_t ends[] = { 5, 2, 6 };

	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(data[i][0], 0xee);
		assert_int_equal(data[i][ends[i]], 0xee);
	}
}

/* How many bytes of the list a stretch has. */
static size_t bytes_there(size_t skip, size_t size)
{
	if (skip >= LIST_BYTES)
		return 0;
	return size < LIST_BYTES - skip ? size : LIST_BYTES - skip;
}

static const size_t sizes[] = {
	0, 1,  2,  3,	      4,	  5,	       6,	  7,	    8,
	9, 10, 11, INT32_MAX, UINT32_MAX, 0x100000000, INT64_MAX, SIZE_MAX,
};

static void lengths_add_up(void **state)
{
	make_list();
	assert_int_equal(iov_length(list, LIST_COUNT), LIST_BYTES);
	assert_int_equal(iov_length(list, 1), 0);
	assert_int_equal(iov_length(NULL, 0), 0);
}

static void a_sum_that_overflows_is_the_greatest(void **state)
{
	const struct iovec huge[] = {
		{ NULL, SIZE_MAX - 1 }, { NULL, 1 }, { NULL, 1 }, { NULL, 7 }
	};

	assert_true(iov_length(huge, 1) == SIZE_MAX - 1);
	assert_true(iov_length(huge, 2) == SIZE_MAX);
	assert_true(iov_length(huge, 3) == SIZE_MAX);
	assert_true(iov_length(huge, 4) == SIZE_MAX);
}

/* Of every stretch, with room for any number of segments: what is in the slice, and no more. */
static void a_slice_has_its_stretch_and_no_empty_segment(void **state)
{
	make_list();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(sizes); j++) {
			const size_t skip = sizes[i], want = bytes_there(skip, sizes[j]);
			struct iovec slice[LIST_COUNT];
			uint8_t bytes[LIST_BYTES];
			unsigned int count =
				iov_slice(slice, LIST_COUNT, list, LIST_COUNT, skip, sizes[j]);

			assert_int_equal(iov_length(slice, count), want);
			assert_int_equal(iov_read(slice, count, 0, bytes, sizeof(bytes)), want);
			for (size_t k = 0; k < want; k++)
				assert_int_equal(bytes[k], skip + k);
			for (unsigned int k = 0; k < count; k++)
				assert_true(slice[k].iov_len > 0);
		}
	}
}

static void a_slice_has_no_more_segments_than_there_is_room_for(void **state)
{
	struct iovec slice[3] = { { 0 } };

	make_list();
	assert_int_equal(iov_slice(slice, 0, list, LIST_COUNT, 0, SIZE_MAX), 0);
	assert_null(slice[0].iov_base);
	assert_int_equal(iov_slice(slice, 1, list, LIST_COUNT, 2, SIZE_MAX), 1);
	assert_ptr_equal(slice[0].iov_base, data[0] + 3);
	assert_int_equal(slice[0].iov_len, 2);
	assert_null(slice[1].iov_base);
	assert_int_equal(iov_slice(slice, 3, list, LIST_COUNT, 4, 2), 2);
	assert_ptr_equal(slice[0].iov_base, data[1] + 1);
	assert_ptr_equal(slice[1].iov_base, data[2] + 1);
	assert_int_equal(slice[1].iov_len, 1);
}

/* Segments of which nothing is read: only their addresses matter. */
static void segments_at_the_end_of_addresses_do_not_wrap(void **state)
{
	const struct iovec high[] = {
		{ (void *)(UINTPTR_MAX - 15), 16 },
		{ (void *)UINTPTR_MAX, 1 },
		{ (void *)UINTPTR_MAX, 0 },
		{ (void *)16, PTRDIFF_MAX },
	};
	struct iovec slice[4], rest[4], *first = rest;
	unsigned int count = 4;

	assert_int_equal(iov_slice(slice, 4, high, 4, 15, SIZE_MAX), 3);
	assert_true(slice[0].iov_base == (void *)UINTPTR_MAX && slice[0].iov_len == 1);
	assert_true(slice[1].iov_base == (void *)UINTPTR_MAX && slice[1].iov_len == 1);
	assert_true(slice[2].iov_base == (void *)16 && slice[2].iov_len == PTRDIFF_MAX);
	assert_int_equal(iov_slice(slice, 4, high, 3, 17, SIZE_MAX), 0);
	assert_int_equal(iov_slice(slice, 4, high, 4, SIZE_MAX, SIZE_MAX), 0);
	assert_int_equal(iov_slice(slice, 4, high, 4, PTRDIFF_MAX, SIZE_MAX), 1);
	assert_true(slice[0].iov_base == (void *)(PTRDIFF_MAX - 1));
	assert_int_equal(slice[0].iov_len, 17);

	memcpy(rest, high, sizeof(rest));
	iov_advance(&first, &count, 16);
	assert_int_equal(count, 3);
	assert_true(first->iov_base == (void *)UINTPTR_MAX && first->iov_len == 1);
	iov_advance(&first, &count, 1);
	assert_int_equal(count, 1);
	iov_advance(&first, &count, PTRDIFF_MAX - 1);
	assert_true(first->iov_base == (void *)(PTRDIFF_MAX + UINT64_C(15)));
	assert_int_equal(first->iov_len, 1);
	iov_advance(&first, &count, SIZE_MAX);
	assert_int_equal(count, 0);
}

static void advancing_by_any_number_leaves_the_rest(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const size_t want = bytes_there(sizes[i], SIZE_MAX);
		struct iovec *rest = list;
		unsigned int count = LIST_COUNT;
		uint8_t bytes[LIST_BYTES];

		make_list();
		iov_advance(&rest, &count, sizes[i]);
		assert_int_equal(iov_length(rest, count), want);
		assert_int_equal(count == 0, want == 0);
		assert_int_equal(iov_read(rest, count, 0, bytes, sizeof(bytes)), want);
		for (size_t k = 0; k < want; k++)
			assert_int_equal(bytes[k], sizes[i] + k);
	}
}

static void a_list_of_nothing_stays_so(void **state)
{
	struct iovec *none = NULL;
	unsigned int count = 0;
	uint8_t byte = 7;

	iov_advance(&none, &count, 5);
	assert_null(none);
	assert_int_equal(count, 0);
	assert_int_equal(iov_slice(NULL, 0, NULL, 0, 0, 0), 0);
	assert_int_equal(iov_read(NULL, 0, 0, &byte, 1), 0);
	assert_int_equal(iov_write(NULL, 0, 0, &byte, 1), 0);
	assert_int_equal(iov_read(NULL, 0, 0, NULL, 0), 0);
	assert_int_equal(byte, 7);
}

static void reading_copies_any_stretch(void **state)
{
	make_list();
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t size = 0; size < LIST_BYTES + 3; size++) {
			const size_t skip = sizes[i], want = bytes_there(skip, size);
			uint8_t buffer[LIST_BYTES + 3];

			memset(buffer, 0xdd, sizeof(buffer));
			assert_int_equal(iov_read(list, LIST_COUNT, skip, buffer, size), want);
			for (size_t k = 0; k < sizeof(buffer); k++)
				assert_int_equal(buffer[k], k < want ? skip + k : 0xdd);
		}
	}
	/* Never more than there is, whatever is asked for. */
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		uint8_t buffer[LIST_BYTES];

		assert_int_equal(iov_read(list, LIST_COUNT, 0, buffer, sizes[i]),
				 bytes_there(0, sizes[i]));
	}
}

static void writing_copies_any_stretch(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t size = 0; size < LIST_BYTES + 3; size++) {
			const size_t skip = sizes[i], want = bytes_there(skip, size);
			uint8_t buffer[LIST_BYTES + 3], all[LIST_BYTES];

			for (size_t k = 0; k < sizeof(buffer); k++)
				buffer[k] = 100 + k;
			make_list();
			assert_int_equal(iov_write(list, LIST_COUNT, skip, buffer, size), want);
			iov_read(list, LIST_COUNT, 0, all, LIST_BYTES);
			for (size_t k = 0; k < LIST_BYTES; k++)
				assert_int_equal(all[k],
						 k >= skip && k - skip < want ? 100 + k - skip : k);
			assert_neighbours();
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_add_up),
		cmocka_unit_test(a_sum_that_overflows_is_the_greatest),
		cmocka_unit_test(a_slice_has_its_stretch_and_no_empty_segment),
		cmocka_unit_test(a_slice_has_no_more_segments_than_there_is_room_for),
		cmocka_unit_test(segments_at_the_end_of_addresses_do_not_wrap),
		cmocka_unit_test(advancing_by_any_number_leaves_the_rest),
		cmocka_unit_test(a_list_of_nothing_stays_so),
		cmocka_unit_test(reading_copies_any_stretch),
		cmocka_unit_test(writing_copies_any_stretch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
