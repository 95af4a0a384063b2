// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#include "mm/cache.h"
#include "snapshot/snapshot.h"
#include "util.h"

#define BASE GIB(1)
#define SIZE MIB(64)

static struct memory memory, other;
static uint64_t cleaned; /* bytes */

/* In place of mm/cache.c. */

uint64_t cache_line_size(void)
{
	return 64;
}

void cache_clean(uintptr_t start, uintptr_t end, uint64_t line)
{
	cleaned += end - start;
}

void cache_sync(void)
{
}
static struct state_writer state;
static char path[4096];
static int pagemap;

static int begin(void **unused)
{
	snprintf(path, sizeof(path), "%s/snap", scratch_begin());
	assert_int_equal(memory_create(&memory, BASE, SIZE, MEMORY_ANON, NULL), 0);
	assert_int_equal(memory_create(&other, BASE, SIZE, MEMORY_ANON, NULL), 0);
	state_writer_create(&state);
	state_put(&state, "number", 0, "12345678", 8);
	pagemap = open("/proc/self/pagemap", O_RDONLY);
	assert_return_code(pagemap, errno);
	return catch_begin(unused);
}

static int end(void **unused)
{
	close(pagemap);
	state_writer_destroy(&state);
	memory_destroy(&other);
	memory_destroy(&memory);
	scratch_end();
	return catch_end(unused);
}

static void write_pass(struct snapshot_writer *writer, const struct dirty_log *log)
{
	int more;

	snapshot_write_pass(writer, log);
	do
		more = snapshot_write_some(writer);
	while (more > 0);
	assert_int_equal(more, 0);
}

static void write_begin(struct snapshot_writer *writer, const struct memory *from,
			const struct snapshot_id *base)
{
	const int fd = open(path, O_CREAT | O_TRUNC | O_RDWR, 0600);

	assert_int_equal(snapshot_write_begin(writer, fd, pagemap, from, base), 0);
}

/* Returns bytes of RAM that were written. */
static uint64_t write_end(struct snapshot_writer *writer)
{
	assert_int_equal(snapshot_write_finish(writer, &state), 0);
	snapshot_write_end(writer);
	close(writer->fd);
	return writer->bytes;
}

static uint64_t save(const struct memory *from)
{
	struct snapshot_writer writer;

	write_begin(&writer, from, NULL);
	write_pass(&writer, NULL);
	return write_end(&writer);
}

static void fill(const struct memory *in, uint64_t offset, uint64_t size, uint8_t byte)
{
	memset(memory_at(in, BASE + offset, size), byte, size);
}

static void assert_same(void)
{
	assert_memory_equal(memory_at(&memory, BASE, SIZE), memory_at(&other, BASE, SIZE), SIZE);
}

static void load(void)
{
	struct snapshot snapshot;
	struct state_reader reader;
	char text[9] = "";

	assert_int_equal(snapshot_open(&snapshot, path), 0);
	state_reader_create(&reader, snapshot.state, snapshot.header.state_size);
	assert_true(state_get(&reader, "number", 0, text, 8));
	assert_string_equal(text, "12345678");
	assert_int_equal(snapshot_load(&snapshot, &other), 0);
	snapshot_close(&snapshot);
}

static void what_was_touched_comes_back_and_no_more_is_written(void **unused)
{
	struct stat st;
	uint64_t bytes;

	fill(&memory, 0, 1, 1);
	fill(&memory, MIB(5) - 10, 20, 2);
	fill(&memory, MIB(20), MIB(3), 3);
	fill(&memory, MIB(22), KIB(64), 0);
	fill(&memory, SIZE - 1, 1, 4);
	bytes = save(&memory);
	/* A page at each end, two around a boundary, and three MiB without 64 KiB. */
	assert_int_equal(bytes, 4 * SNAPSHOT_PAGE + MIB(3) - KIB(64));
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_blocks * 512, bytes, bytes + KIB(256));
	cleaned = 0;
	load();
	assert_same();
	assert_int_equal(cleaned, bytes);
}

static void ram_of_nothing_is_a_small_file(void **unused)
{
	assert_int_equal(save(&memory), 0);
	load();
	assert_same();
}

static void pages_of_a_file_come_back_though_nobody_here_touched_them(void **unused)
{
	struct memory_file file;
	struct memory shared;

	assert_int_equal(memory_file_create(&file, SIZE, false), 0);
	assert_int_equal(memory_create(&shared, BASE, SIZE, MEMORY_MEMFD, &file), 0);
	assert_int_equal(pwrite(file.fd, "daemon", 6, MIB(7) + 3), 6);
	assert_int_equal(save(&shared), SNAPSHOT_PAGE);
	load();
	assert_memory_equal(memory_at(&other, BASE + MIB(7) + 3, 6), "daemon", 6);
	memory_destroy(&shared);
	memory_file_close(&file);
}

/* As if it had just been taken. */
static void take(struct dirty_log *log, uint64_t offset, uint64_t size)
{
	if (!log->taken.word)
		assert_int_equal(page_map_create(&log->taken, SNAPSHOT_PAGE, SIZE), 0);
	page_map_add(&log->taken, offset, size);
}

static void what_is_written_meanwhile_is_written_again(void **unused)
{
	struct snapshot_writer writer;
	struct dirty_log log = { .memory = &memory };

	fill(&memory, MIB(1), MIB(1), 1);
	fill(&memory, MIB(9), MIB(1), 2);
	write_begin(&writer, &memory, NULL);
	write_pass(&writer, NULL);
	/* Changed, new, zeroes where something was, zeroes where nothing was. */
	fill(&memory, MIB(1) + KIB(8), KIB(4), 3);
	fill(&memory, MIB(20), KIB(4), 4);
	fill(&memory, MIB(9), KIB(64), 0);
	take(&log, MIB(1) + KIB(8), KIB(4));
	take(&log, MIB(20), KIB(4));
	take(&log, MIB(9), KIB(64));
	take(&log, MIB(30), KIB(64));
	write_pass(&writer, &log);
	page_map_destroy(&log.taken);
	assert_int_equal(write_end(&writer), MIB(2) + KIB(4));
	load();
	assert_same();
}

/* An increment to the file at from; path is that of it then. */
static uint64_t save_increment(char *from, const struct dirty_log *log)
{
	struct snapshot_writer writer;
	struct snapshot_id id;

	strcpy(from, path);
	assert_int_equal(snapshot_identify(from, &id), 0);
	strcat(path, "+");
	write_begin(&writer, &memory, &id);
	write_pass(&writer, log);
	return write_end(&writer);
}

static void increments_have_what_has_changed_zeroes_included(void **unused)
{
	struct dirty_log log = { .memory = &memory };
	struct snapshot last, bases[2];
	char first[4096], second[4096];

	fill(&memory, MIB(1), MIB(1), 1);
	fill(&memory, MIB(9), MIB(1), 2);
	save(&memory);
	fill(&memory, MIB(1) + KIB(8), KIB(4), 3);
	fill(&memory, MIB(9), KIB(16), 0);
	take(&log, MIB(1) + KIB(8), KIB(4));
	take(&log, MIB(9), KIB(16));
	assert_int_equal(save_increment(first, &log), KIB(20));
	page_map_destroy(&log.taken);
	/* Two that are near, and what is between them is not in it. */
	fill(&memory, MIB(1) + KIB(8), KIB(4), 5);
	fill(&memory, MIB(1) + KIB(16), KIB(4), 6);
	take(&log, MIB(1) + KIB(8), KIB(4));
	take(&log, MIB(1) + KIB(16), KIB(4));
	assert_int_equal(save_increment(second, &log), KIB(8));
	page_map_destroy(&log.taken);

	assert_int_equal(snapshot_open(&last, path), 0);
	assert_int_equal(snapshot_open(&bases[0], first), 0);
	assert_int_equal(snapshot_open(&bases[1], second), 0);
	assert_int_equal(snapshot_join(&last, bases, 1), -EINVAL);
	assert_said("has what has changed since another snapshot, which --base has to name");
	assert_int_equal(snapshot_join(&last, &bases[1], 1), -EINVAL);
	assert_said("+: has what has changed since another snapshot");
	assert_int_equal(snapshot_join(&bases[1], bases, 2), -EINVAL);
	assert_said("+: is no base of that snapshot");
	assert_int_equal(snapshot_join(&bases[0], NULL, 0), 0);
	assert_int_equal(snapshot_join(&last, bases, 2), 0);
	assert_int_equal(snapshot_load(&last, &other), 0);
	assert_same();
	snapshot_close(&last);
	snapshot_close(&bases[0]);
	snapshot_close(&bases[1]);
}

static void a_file_that_is_its_own_base_is_refused(void **unused)
{
	struct snapshot one, same;
	struct snapshot_id id;
	int fd;

	save(&memory);
	assert_int_equal(snapshot_identify(path, &id), 0);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, &id, sizeof(id), offsetof(struct snapshot_header, base)),
			 sizeof(id));
	close(fd);
	assert_int_equal(snapshot_open(&one, path), 0);
	assert_int_equal(snapshot_open(&same, path), 0);
	assert_int_equal(snapshot_join(&one, &same, 1), -EINVAL);
	assert_said("is its own base");
	snapshot_close(&one);
	snapshot_close(&same);
}

static void ram_of_another_size_is_refused(void **unused)
{
	struct snapshot snapshot;
	struct memory small;

	save(&memory);
	assert_int_equal(memory_create(&small, BASE, SIZE / 2, MEMORY_ANON, NULL), 0);
	assert_int_equal(snapshot_open(&snapshot, path), 0);
	assert_int_equal(snapshot_load(&snapshot, &small), -EINVAL);
	assert_said("has RAM of another size");
	snapshot_close(&snapshot);
	memory_destroy(&small);
}

/* Changes what is at an offset of the file; it is not taken any more. */
static void assert_refused(uint64_t offset, uint64_t value, const char *why)
{
	struct snapshot snapshot;
	uint64_t before;
	int fd = open(path, O_RDWR);

	assert_int_equal(pread(fd, &before, 8, offset), 8);
	assert_int_equal(pwrite(fd, &value, 8, offset), 8);
	assert_int_equal(snapshot_open(&snapshot, path), -EINVAL);
	assert_said(why);
	assert_int_equal(pwrite(fd, &before, 8, offset), 8);
	close(fd);
}

#define AT(member) offsetof(struct snapshot_header, member)

static void headers_that_make_no_sense_are_refused(void **unused)
{
	static const char *const sense = "has a header that makes no sense";
	struct snapshot snapshot;

	fill(&memory, MIB(3), 1, 1);
	fill(&memory, MIB(9), 1, 1);
	save(&memory);
	assert_refused(AT(magic), 0, "is no snapshot of nidus");
	assert_refused(AT(version), 3, "is a snapshot of version 3, and this nidus knows 2");
	assert_refused(AT(state_at), UINT64_MAX, sense);
	assert_refused(AT(state_size), UINT64_MAX - 7, sense);
	assert_refused(AT(state_size), GIB(1), sense);
	assert_refused(AT(state_size), 33, sense);
	assert_refused(AT(ram_size), SIZE + 1, sense);
	assert_refused(AT(ram_at), 1, sense);
	assert_refused(AT(ram_at), UINT64_MAX - 4095, sense);
	assert_refused(AT(range_count), UINT64_MAX / 16 + 2, sense);
	assert_refused(AT(range_count), 1000, sense);
	assert_refused(AT(ranges_at), UINT64_MAX - 8, sense);
	assert_int_equal(snapshot_open(&snapshot, path), 0);
	snapshot_close(&snapshot);
}

static void ranges_that_make_no_sense_are_refused(void **unused)
{
	static const char *const sense = "has ranges of RAM that make no sense";
	struct snapshot snapshot;
	uint64_t at;

	fill(&memory, MIB(3), 1, 1);
	fill(&memory, MIB(9), 1, 1);
	save(&memory);
	assert_int_equal(snapshot_open(&snapshot, path), 0);
	assert_int_equal(snapshot.header.range_count, 2);
	at = snapshot.header.ranges_at;
	snapshot_close(&snapshot);
	assert_refused(at, MIB(9), sense); /* overlaps the next one */
	assert_refused(at, SIZE, sense);
	assert_refused(at, UINT64_MAX, sense);
	assert_refused(at + 8, 0, sense);
	assert_refused(at + 8, SIZE, sense);
	assert_refused(at + 8, UINT64_MAX, sense);
	assert_refused(at + 24, UINT64_MAX - MIB(9) + 1, sense);
}

static void what_is_no_file_or_too_short_is_refused(void **unused)
{
	struct snapshot snapshot;
	struct stat st;

	assert_int_equal(snapshot_open(&snapshot, path), -ENOENT);
	assert_said("No such file or directory");
	assert_int_equal(snapshot_open(&snapshot, "/dev/zero"), -EINVAL);
	assert_said("is no regular file");
	fill(&memory, MIB(3), MIB(2), 1);
	save(&memory);
	assert_int_equal(truncate(path, 10), 0);
	assert_int_equal(snapshot_open(&snapshot, path), -EINVAL);
	assert_said("is no snapshot of nidus, or not a whole one");
	save(&memory);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(truncate(path, st.st_size - 1), 0);
	assert_int_equal(snapshot_open(&snapshot, path), -EINVAL);
	assert_said("has a header that makes no sense");
}

static void a_file_that_has_no_room_is_an_error(void **unused)
{
	const int fd = open("/dev/full", O_RDWR);
	struct snapshot_writer writer;

	fill(&memory, MIB(3), 1, 1);
	assert_int_equal(snapshot_write_begin(&writer, fd, pagemap, &memory, NULL), 0);
	snapshot_write_pass(&writer, NULL);
	assert_int_equal(snapshot_write_some(&writer), -ENOSPC);
	assert_int_equal(snapshot_write_finish(&writer, &state), -ENOSPC);
	snapshot_write_end(&writer);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(what_was_touched_comes_back_and_no_more_is_written),
		TEST(ram_of_nothing_is_a_small_file),
		TEST(pages_of_a_file_come_back_though_nobody_here_touched_them),
		TEST(what_is_written_meanwhile_is_written_again),
		TEST(increments_have_what_has_changed_zeroes_included),
		TEST(a_file_that_is_its_own_base_is_refused),
		TEST(ram_of_another_size_is_refused),
		TEST(headers_that_make_no_sense_are_refused),
		TEST(ranges_that_make_no_sense_are_refused),
		TEST(what_is_no_file_or_too_short_is_refused),
		TEST(a_file_that_has_no_room_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
