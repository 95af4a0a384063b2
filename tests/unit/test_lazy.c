// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#include "mm/lazy.h"
#include "util.h"

#define BASE GIB(1)
/* Its last block is not a whole one. */
#define SIZE (MIB(9) + KIB(64))

static struct memory memory;
static struct lazy lazy;
static struct page_map missing;
static struct verdict verdict;
static int fd;
static atomic_uint fills;

/* Each page says which one it is. */
static void fill(const struct lazy_source *source, uint64_t offset, uint8_t *bytes, uint64_t size)
{
	assert_true(all_zeroes(bytes, size));
	for (uint64_t at = 0; at < size; at += 4096)
		*(uint64_t *)(bytes + at) = offset + at + 1;
	fills++;
}

static const struct lazy_source source = { .fill = fill };

static int begin(void **state)
{
	fd = lazy_open();
	fills = 0;
	assert_int_equal(memory_create(&memory, BASE, SIZE, MEMORY_ANON, NULL), 0);
	assert_int_equal(page_map_create(&missing, LAZY_BLOCK, SIZE), 0);
	return catch_begin(state);
}

static int end(void **state)
{
	lazy_end(&lazy);
	memory_destroy(&memory);
	if (fd >= 0)
		close(fd);
	return catch_end(state);
}

static void begin_lazily(void)
{
	/* Without privileges it is not for everybody, and RAM then comes at once. */
	if (fd == -EPERM || fd == -ENOSYS || fd == -EINVAL) {
		page_map_destroy(&missing);
		skip();
	}
	assert_return_code(fd, -fd);
	assert_int_equal(lazy_begin(&lazy, fd, &memory, &missing, &source, &verdict), 0);
}

static volatile uint64_t *at(uint64_t offset)
{
	return memory_at(&memory, BASE + offset, 8);
}

static void lazy_block_is_filled_when_it_is_touched_and_once(void **state)
{
	page_map_add(&missing, MIB(2), MIB(4));
	page_map_add(&missing, MIB(8), 1);
	begin_lazily();
	assert_int_equal(*at(0), 0);
	assert_int_equal(fills, 0);
	assert_int_equal(*at(MIB(3)), MIB(3) + 1);
	assert_int_equal(fills, 1);
	*at(MIB(2)) = 5;
	assert_int_equal(*at(MIB(4) - 4096), MIB(4) - 4096 + 1);
	assert_int_equal(*at(MIB(2)), 5);
	assert_int_equal(fills, 1);
	/* The last one, by a write. */
	*at(SIZE - 8) = 7;
	assert_int_equal(*at(SIZE - 4096), SIZE - 4096 + 1);
	assert_int_equal(fills, 2);
	assert_int_equal(verdict.outcome, OUTCOME_RUNNING);
}

static void lazy_rest_is_filled_in_the_end(void **state)
{
	page_map_add(&missing, 0, SIZE);
	begin_lazily();
	*at(MIB(4)) = 3;
	assert_int_equal(lazy_finish(&lazy), 0);
	assert_int_equal(fills, 5);
	for (uint64_t offset = 0; offset < SIZE; offset += 4096)
		assert_int_equal(*at(offset), offset == MIB(4) ? 3 : offset + 1);
	assert_int_equal(fills, 5);
	assert_int_equal(lazy_finish(&lazy), 0);
}

/* The kernel touches it for who calls it, and waits as well. */
static void lazy_ram_may_be_touched_by_a_system_call_first(void **state)
{
	uint64_t value = 0;
	int pipes[2];

	page_map_add(&missing, 0, SIZE);
	begin_lazily();
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], (const void *)at(MIB(6) + 4096), 8), 8);
	assert_int_equal(read(pipes[0], &value, 8), 8);
	assert_int_equal(value, MIB(6) + 4096 + 1);
	close(pipes[0]);
	close(pipes[1]);
}

static void *touch_all(void *opaque)
{
	uint64_t wrong = 0;

	(void)opaque;
	for (uint64_t offset = 0; offset < SIZE; offset += 4096)
		wrong += *at(offset) != offset + 1;
	return (void *)wrong;
}

static void lazy_ram_may_be_touched_by_many_at_once(void **state)
{
	pthread_t threads[8];
	void *wrong;

	page_map_add(&missing, 0, SIZE);
	begin_lazily();
	for (unsigned int i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, touch_all, NULL), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(threads); i++) {
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	assert_int_equal(fills, 5);
}

static void ram_that_others_map_is_not_lazy(void **state)
{
	struct memory_file file;
	struct memory shared;

	assert_int_equal(memory_file_create(&file, SIZE, false), 0);
	assert_int_equal(memory_create(&shared, BASE, SIZE, MEMORY_MEMFD, &file), 0);
	assert_int_equal(lazy_begin(&lazy, fd, &shared, &missing, &source, &verdict), -ENOTSUP);
	page_map_destroy(&missing);
	memory_destroy(&shared);
	memory_file_close(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(lazy_block_is_filled_when_it_is_touched_and_once),
		TEST(lazy_rest_is_filled_in_the_end),
		TEST(lazy_ram_may_be_touched_by_a_system_call_first),
		TEST(lazy_ram_may_be_touched_by_many_at_once),
		TEST(ram_that_others_map_is_not_lazy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
