// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mm/load.h"
#include "unit.h"
#include "util.h"

#define BASE UINT64_C(0x40000000)
#define SIZE MIB(8)

/* Lengths on both sides of where a ring is worth its price, and none of whole pages. */
#define SMALL (KIB(20) + 3)
#define LARGE (MIB(3) + 5)

static struct memory memory;
static struct load_ring *ring; /* NULL: the host has none */
static int preads;

/* A read may be shorter than was asked for. */
#define PREAD_MOST 7777

/* In place of the C library's, to tell who has read. */
ssize_t preadv2(int fd, const struct iovec *segments, int count, off_t offset, int flags)
{
	struct iovec shorter = *segments;

	preads++;
	if (shorter.iov_len > PREAD_MOST)
		shorter.iov_len = PREAD_MOST;
	return preadv(fd, &shorter, 1, offset);
}

static int begin(void **state)
{
	preads = 0;
	if (catch_begin(state) < 0 || memory_create(&memory, BASE, SIZE, MEMORY_ANON, NULL) < 0)
		return -1;
	memory.ring = ring = load_ring_create();
	return 0;
}

static int finish(void **state)
{
	memory_destroy(&memory);
	load_ring_destroy(ring);
	return catch_end(state);
}

static uint8_t pattern(size_t i)
{
	return i * 31 + i / 4099 + 1;
}

static int file_of(size_t size)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	uint8_t *bytes;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(bytes != MAP_FAILED);
	for (size_t i = 0; i < size; i++)
		bytes[i] = pattern(i);
	munmap(bytes, size);
	return fd;
}

/* What lies at gpa is the beginning of a file, with nothing beside it. */
static void assert_loaded(uint64_t gpa, size_t size)
{
	const uint8_t *at = memory_at(&memory, gpa - 1, size + 2);
	size_t wrong = 0;

	for (size_t i = 0; i < size; i++)
		wrong += at[1 + i] != pattern(i);
	assert_int_equal(wrong, 0);
	assert_int_equal(at[0], 0);
	assert_int_equal(at[1 + size], 0);
	assert_int_equal(memory.touched_count, 1);
	assert_true(memory.touched[0].start == gpa && memory.touched[0].size == size);
}

static void check_loading(size_t size)
{
	int fd = file_of(size + 7);

	assert_int_equal(lseek(fd, 11, SEEK_SET), 11);
	assert_int_equal(load_file(&memory, BASE + 3, fd, size), 0);
	assert_loaded(BASE + 3, size);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 11);
	close(fd);
}

static void reads_from_the_start(void **state)
{
	check_loading(SMALL);
	assert_int_equal(preads, (SMALL + PREAD_MOST - 1) / PREAD_MOST);
}

static void much_goes_through_a_ring(void **state)
{
	if (!ring)
		skip();
	check_loading(LARGE);
	/* And again, as for the guest's next life. */
	memory_destroy(&memory);
	assert_int_equal(memory_create(&memory, BASE, SIZE, MEMORY_ANON, NULL), 0);
	memory.ring = ring;
	check_loading(LARGE);
	assert_int_equal(preads, 0);
}

/* There is no descriptor left for one. */
static void much_goes_without_a_ring_too(void **state)
{
	struct rlimit limit, none;
	int fd = file_of(LARGE);

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	memory.ring = load_ring_create();
	assert_null(memory.ring);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(load_file(&memory, BASE + 3, fd, LARGE), 0);
	assert_loaded(BASE + 3, LARGE);
	assert_int_equal(preads, (LARGE + PREAD_MOST - 1) / PREAD_MOST);
	close(fd);
}

static void check_short(size_t size)
{
	int fd = file_of(size - 1);

	assert_int_equal(load_file(&memory, BASE, fd, size), -ENODATA);
	/* What was written before the error is recorded all the same. */
	assert_int_equal(memory.touched_count, 1);
	assert_int_equal(*(uint8_t *)memory_at(&memory, BASE + size - 2, 1), pattern(size - 2));
	close(fd);
}

static void short_files_are_errors(void **state)
{
	check_short(SMALL);
}

static void much_of_a_short_file_is_an_error(void **state)
{
	check_short(LARGE);
}

static void check_errors(size_t size)
{
	int directory = open("/", O_RDONLY | O_CLOEXEC);

	assert_int_equal(load_file(&memory, BASE, -1, size), -EBADF);
	assert_int_equal(load_file(&memory, BASE, directory, size), -EISDIR);
	close(directory);
}

static void read_errors_come_back(void **state)
{
	check_errors(1);
	check_errors(LARGE);
}

static void only_into_ram_and_before_the_seal(void **state)
{
	assert_int_equal(load_file(&memory, BASE + SIZE, -1, 1), -EFAULT);
	assert_int_equal(load_file(&memory, BASE + SIZE - LARGE + 1, -1, LARGE), -EFAULT);
	assert_int_equal(load_file(&memory, BASE, -1, 0), 0);
	assert_int_equal(memory.touched_count, 0);
	memory_seal(&memory);
	assert_int_equal(load_file(&memory, BASE, -1, 5), -EBUSY);
	assert_silent();
}

#define on_memory(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_memory(reads_from_the_start),
		on_memory(much_goes_through_a_ring),
		on_memory(much_goes_without_a_ring_too),
		on_memory(short_files_are_errors),
		on_memory(much_of_a_short_file_is_an_error),
		on_memory(read_errors_come_back),
		on_memory(only_into_ram_and_before_the_seal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
