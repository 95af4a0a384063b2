// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "boot/firmware.h"
#include "unit.h"
#include "util.h"

#define ROOM MIB(4)

static uint8_t *content;
static char path[300];
static uint64_t size;

static int begin(void **state)
{
	snprintf(path, sizeof(path), "%s/fd", scratch_begin());
	content = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(content != MAP_FAILED);
	return catch_begin(state);
}

static int finish(void **state)
{
	munmap(content, ROOM);
	scratch_end();
	return catch_end(state);
}

#define firmware_test(function) cmocka_unit_test_setup_teardown(function, begin, finish)

/* A file of zeroes with something at its beginning, and in its middle. */
static void write_plain(uint64_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, bytes), 0);
	assert_int_equal(pwrite(fd, "begin", 5, 0), 5);
	assert_int_equal(pwrite(fd, "middle", 6, bytes / 2), 6);
	close(fd);
}

static void write_gzip(uint64_t bytes)
{
	uint8_t *plain = calloc(1, bytes);
	gzFile file = gzopen(path, "wb");

	memcpy(plain, "begin", 5);
	memcpy(plain + bytes / 2, "middle", 6);
	assert_int_equal(gzwrite(file, plain, bytes), bytes);
	gzclose(file);
	free(plain);
}

static int read_it(void)
{
	return firmware_read(path, content, ROOM, &size);
}

static void assert_read(uint64_t bytes)
{
	assert_int_equal(read_it(), 0);
	assert_int_equal(size, bytes);
	assert_memory_equal(content, "begin\0", 6);
	assert_memory_equal(content + bytes / 2, "middle\0", 7);
	assert_silent();
}

static void files_of_any_size_that_has_room(void **state)
{
	static const uint64_t sizes[] = { 100, KIB(64), KIB(64) + 13, MIB(2), ROOM };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		memset(content, 0, ROOM);
		write_plain(sizes[i]);
		assert_read(sizes[i]);
	}
}

static void compressed_ones(void **state)
{
	write_gzip(MIB(2) + 17);
	assert_read(MIB(2) + 17);
}

/* Pages that nobody has touched are no memory: a host's huge pages apart, which are off here. */
static void padding_takes_no_memory(void **state)
{
	static unsigned char resident[ROOM / 4096];
	unsigned int pages = 0;

	assert_int_equal(madvise(content, ROOM, MADV_NOHUGEPAGE), 0);
	write_plain(ROOM);
	assert_int_equal(read_it(), 0);
	assert_int_equal(mincore(content, ROOM, resident), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(resident); i++)
		pages += resident[i] & 1;
	assert_int_equal(pages, 2 * KIB(64) / 4096);
}

static void what_is_too_large_is_refused(void **state)
{
	write_plain(ROOM + 1);
	assert_int_equal(read_it(), -EFBIG);
	assert_said("is larger than the 4 MiB of a bank of flash");
	write_gzip(ROOM + 1);
	assert_int_equal(read_it(), -EFBIG);
	assert_said("is larger than the 4 MiB of a bank of flash");
}

static void what_is_empty_or_missing_is_refused(void **state)
{
	assert_int_equal(read_it(), -ENOENT);
	assert_said("No such file or directory");
	close(open(path, O_WRONLY | O_CREAT, 0600));
	assert_int_equal(read_it(), -ENODATA);
	assert_said("is empty");
	assert_int_equal(firmware_read("/dev/zero", content, ROOM, &size), -EINVAL);
	assert_said("/dev/zero: is not a regular file");
}

static void broken_streams_are_refused(void **state)
{
	struct stat st;

	write_gzip(MIB(1));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 5), 0);
	assert_int_equal(read_it(), -ENODATA);
	assert_said("fd: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		firmware_test(files_of_any_size_that_has_room),
		firmware_test(compressed_ones),
		firmware_test(padding_takes_no_memory),
		firmware_test(what_is_too_large_is_refused),
		firmware_test(what_is_empty_or_missing_is_refused),
		firmware_test(broken_streams_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
