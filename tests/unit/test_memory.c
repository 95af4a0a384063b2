// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mm/memory.h"
#include "unit.h"
#include "util.h"

#define BASE UINT64_C(0x40000000)
#define SIZE MIB(4)

static struct memory memory;

/*
 * In place of the C library's: where the kernel may choose, a page beside a boundary, as newer
 * kernels align large mappings by themselves.
 */
void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	const size_t slack = address ? 0 : MIB(4);
	long start = syscall(SYS_mmap, address, length + slack, protection, flags, fd, offset);
	uintptr_t chosen = start;

	if (start == -1)
		return MAP_FAILED;
	if (slack) {
		chosen = align_up(start, MIB(2)) + KIB(4);
		munmap((void *)start, chosen - start);
		munmap((void *)(chosen + length), start + slack - chosen);
	}
	return (void *)chosen;
}

static int begin(void **state)
{
	return catch_begin(state) < 0 ? -1 : memory_create(&memory, BASE, SIZE, MEMORY_ANON, NULL);
}

static int finish(void **state)
{
	memory_destroy(&memory);
	return catch_end(state);
}

/* Mapping. */

static struct memory_file own; /* of RAM that a test has made; fd -1: it is anonymous */

static void create(struct memory *other, uint64_t size, enum memory_backing backing)
{
	own.fd = -1;
	if (backing != MEMORY_ANON)
		assert_int_equal(memory_file_create(&own, size, false), 0);
	assert_int_equal(memory_create(other, BASE, size, backing, own.fd < 0 ? NULL : &own), 0);
}

static void destroy(struct memory *other)
{
	memory_destroy(other);
	if (own.fd >= 0)
		memory_file_close(&own);
}

static void addresses_are_congruent(void **state)
{
	static const enum memory_backing backings[] = { MEMORY_ANON, MEMORY_MEMFD };
	static const uint64_t sizes[] = { KIB(64), MIB(1), MIB(2), MIB(2) + KIB(64), MIB(33) };

	for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(sizes); j++) {
			struct memory other;

			create(&other, sizes[j], backings[i]);
			assert_int_equal((uintptr_t)other.host % MIB(2), BASE % MIB(2));
			destroy(&other);
		}
	}
}

static void all_of_it_can_be_written(void **state)
{
	static const enum memory_backing backings[] = { MEMORY_ANON, MEMORY_MEMFD };

	for (size_t i = 0; i < ARRAY_SIZE(backings); i++) {
		struct memory other;

		create(&other, MIB(3), backings[i]);
		other.host[0] = 1;
		other.host[MIB(3) - 1] = 2;
		assert_int_equal(other.host[MIB(1)], 0);
		destroy(&other);
		assert_null(other.host);
	}
}

static void destroy_may_come_twice(void **state)
{
	struct memory other;

	assert_int_equal(memory_create(&other, BASE, MIB(2), MEMORY_ANON, NULL), 0);
	memory_destroy(&other);
	memory_destroy(&other);
}

static void what_is_no_hugetlbfs_mount_is_refused(void **state)
{
	static const struct {
		const char *path;
		int result;
		const char *message;
	} cases[] = {
		{ "/proc", -EINVAL, "--hugetlbfs /proc: not a hugetlbfs mount" },
		{ "/nonexistent/mount", -ENOENT, "--hugetlbfs /nonexistent/mount: No such file" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct memory_file file;

		assert_int_equal(memory_file_on_mount(&file, MIB(2), cases[i].path),
				 cases[i].result);
		assert_said(cases[i].message);
	}
}

/*
 * A file takes the place of one on a mount, which this machine may have none of: what is written to
 * RAM is gone with it, and so are the pages.
 */
static void ram_of_a_mount_is_new_each_time(void **state)
{
	const struct memory_file mount = { memfd_create("mount", MFD_CLOEXEC), MIB(4) };
	struct memory other;
	struct stat st;

	assert_int_equal(ftruncate(mount.fd, MIB(8)), 0);
	for (int life = 0; life < 3; life++) {
		assert_int_equal(memory_create(&other, BASE, MIB(8), MEMORY_HUGETLBFS, &mount), 0);
		assert_int_equal(*(uint8_t *)memory_at(&other, BASE + MIB(5), 1), 0);
		*(uint8_t *)memory_at(&other, BASE + MIB(5), 1) = 1;
		memory_destroy(&other);
		assert_int_equal(fstat(mount.fd, &st), 0);
		assert_int_equal(st.st_blocks, 0);
	}
	close(mount.fd);
}

static void anonymous_ram_has_no_file(void **state)
{
	assert_int_equal(memory.fd, -1);
}

/* Of what others map, with a copy of the descriptor as they have one. */
static void shared_ram_has_a_file(void **state)
{
	struct memory other;
	uint8_t byte = 42;
	struct stat st;
	int fd;

	create(&other, MIB(2), MEMORY_MEMFD);
	fd = fcntl(other.fd, F_DUPFD_CLOEXEC, 0);
	assert_true(fcntl(other.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(pwrite(fd, &byte, 1, MIB(1)), 1);
	assert_int_equal(*(uint8_t *)memory_at(&other, BASE + MIB(1), 1), 42);

	/* They cannot take away what nidus and the guest will access. */
	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);

	/* Nor keep its pages. */
	destroy(&other);
	assert_int_equal(other.fd, -1);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(pread(fd, &byte, 1, MIB(1)), 1);
	assert_int_equal(byte, 0);
	close(fd);
}

/* It is the host's to do; what is in RAM stays, and what is no RAM is left alone. */
static void collapsing_changes_nothing(void **state)
{
	struct memory other;
	uint8_t *host;

	create(&other, MIB(5), MEMORY_MEMFD);
	host = memory_at(&other, BASE, MIB(5));
	for (uint64_t offset = 0; offset < MIB(5); offset += KIB(64))
		host[offset] = offset >> 16;
	memory_collapse(&other, BASE + KIB(64), MIB(2));
	memory_collapse(&other, BASE + MIB(3), MIB(9)); /* beyond its end */
	memory_collapse(&other, BASE - MIB(2), MIB(1));
	memory_collapse(&other, BASE + MIB(6), MIB(1));
	for (uint64_t offset = 0; offset < MIB(5); offset += KIB(64)) {
		assert_int_equal(host[offset], offset >> 16);
		assert_int_equal(host[offset + 1], 0);
	}
	destroy(&other);
}

/* That there is something to collapse is seen to, in the last block too, which is no whole one. */
static void blocks_that_are_collapsed_are_there(void **state)
{
	struct memory other;
	unsigned char there;

	create(&other, MIB(5), MEMORY_MEMFD);
	memory_collapse(&other, BASE + MIB(4) + KIB(64), KIB(64));
	assert_int_equal(mincore(memory_at(&other, BASE + MIB(4), 1), 1, &there), 0);
	assert_true(there & 1);
	assert_int_equal(mincore(memory_at(&other, BASE, 1), 1, &there), 0);
	assert_false(there & 1);
	destroy(&other);
}

static void a_mounts_file_is_lent(void **state)
{
	const struct memory_file mount = { memfd_create("mount", MFD_CLOEXEC), MIB(2) };
	struct memory other;

	assert_int_equal(ftruncate(mount.fd, MIB(2)), 0);
	assert_int_equal(memory_create(&other, BASE, MIB(2), MEMORY_HUGETLBFS, &mount), 0);
	assert_int_equal(other.fd, mount.fd);
	memory_destroy(&other);
	assert_true(fcntl(mount.fd, F_GETFD) >= 0);
	close(mount.fd);
}

static void huge_pages_want_a_multiple(void **state)
{
	struct memory_file file;

	assert_int_equal(memory_file_create(&file, MIB(3), true), -EINVAL);
	assert_said("no multiple of the 2 MiB huge pages");
}

static void too_much_ram_is_an_error(void **state)
{
	struct memory other;

	assert_true(memory_create(&other, BASE, UINT64_C(1) << 60, MEMORY_ANON, NULL) < 0);
	assert_said("guest RAM of");
}

/* The accessor. */

static void memory_at_holds_its_bounds(void **state)
{
	static const uint64_t end = BASE + SIZE;
	static const struct {
		uint64_t gpa, length;
		bool inside;
	} cases[] = {
		{ BASE, 0, true },
		{ BASE, 1, true },
		{ BASE, SIZE, true },
		{ BASE, SIZE + 1, false },
		{ BASE, UINT64_MAX, false },
		{ BASE + 1, SIZE - 1, true },
		{ BASE + 1, SIZE, false },
		{ BASE + 1, UINT64_MAX, false },
		{ BASE - 1, 0, false },
		{ BASE - 1, 1, false },
		{ BASE - 1, 2, false },
		{ BASE - 1, SIZE, false },
		{ BASE - 1, UINT64_MAX, false },
		{ end - 1, 0, true },
		{ end - 1, 1, true },
		{ end - 1, 2, false },
		{ end - 1, UINT64_MAX - end + 1, false },
		{ end - 1, UINT64_MAX - end + 2, false },
		{ end - 1, UINT64_MAX - end + 3, false },
		{ end - 1, UINT64_MAX, false },
		{ end, 0, true },
		{ end, 1, false },
		{ end, UINT64_MAX - end + 1, false },
		{ end, UINT64_MAX, false },
		{ end + 1, 0, false },
		{ end + 1, UINT64_MAX, false },
		{ 0, 0, false },
		{ 0, BASE + 1, false },
		{ 0, UINT64_MAX, false },
		{ UINT64_MAX, 0, false },
		{ UINT64_MAX, 1, false },
		{ UINT64_MAX, BASE + 2, false },
		{ UINT64_MAX, UINT64_MAX, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t *host = memory_at(&memory, cases[i].gpa, cases[i].length);
		uint8_t *expected = cases[i].inside ? memory.host + (cases[i].gpa - BASE) : NULL;

		if (host != expected)
			fail_msg("[0x%jx, + 0x%jx)", (uintmax_t)cases[i].gpa,
				 (uintmax_t)cases[i].length);
	}
}

/* Loading. */

static void load_writes(void **state)
{
	assert_int_equal(memory_load(&memory, BASE + SIZE - 5, "nest", 5), 0);
	assert_string_equal(memory_at(&memory, BASE + SIZE - 5, 5), "nest");
}

static void load_outside_is_refused(void **state)
{
	assert_int_equal(memory_load(&memory, BASE + SIZE - 4, "nest", 5), -EFAULT);
	assert_int_equal(memory_load(&memory, BASE - 1, "nest", 5), -EFAULT);
	assert_int_equal(memory.touched_count, 0);
	assert_silent();
}

static void seal_ends_loading(void **state)
{
	memory_seal(&memory);
	assert_int_equal(memory_load(&memory, BASE, "nest", 5), -EBUSY);
	assert_int_equal(*(char *)memory_at(&memory, BASE, 1), 0);
}

static void nothing_to_load_is_no_range(void **state)
{
	assert_int_equal(memory_load(&memory, BASE + SIZE, "", 0), 0);
	assert_int_equal(memory.touched_count, 0);
}

/* The list of touched ranges. */

static void touch(uint64_t start, uint64_t size)
{
	static const char zeroes[4096];

	assert_true(size <= sizeof(zeroes));
	assert_int_equal(memory_load(&memory, BASE + start, zeroes, size), 0);
}

static void touched_ranges_melt(void **state)
{
	/* What is touched after [100, 200) and [300, 400), and what must be on the list then. */
	static const struct {
		struct memory_range added;
		unsigned int count;
		struct memory_range list[3];
	} cases[] = {
		{ { 0, 10 }, 3, { { 0, 10 }, { 100, 100 }, { 300, 100 } } },
		{ { 0, 99 }, 3, { { 0, 99 }, { 100, 100 }, { 300, 100 } } },
		{ { 0, 100 }, 2, { { 0, 200 }, { 300, 100 } } },
		{ { 50, 51 }, 2, { { 50, 150 }, { 300, 100 } } },
		{ { 100, 100 }, 2, { { 100, 100 }, { 300, 100 } } },
		{ { 120, 10 }, 2, { { 100, 100 }, { 300, 100 } } },
		{ { 50, 200 }, 2, { { 50, 200 }, { 300, 100 } } },
		{ { 199, 2 }, 2, { { 100, 101 }, { 300, 100 } } },
		{ { 200, 1 }, 2, { { 100, 101 }, { 300, 100 } } },
		{ { 201, 1 }, 3, { { 100, 100 }, { 201, 1 }, { 300, 100 } } },
		{ { 250, 49 }, 3, { { 100, 100 }, { 250, 49 }, { 300, 100 } } },
		{ { 250, 50 }, 2, { { 100, 100 }, { 250, 150 } } },
		{ { 200, 100 }, 1, { { 100, 300 } } },
		{ { 0, 1000 }, 1, { { 0, 1000 } } },
		{ { 150, 200 }, 1, { { 100, 300 } } },
		{ { 350, 100 }, 2, { { 100, 100 }, { 300, 150 } } },
		{ { 400, 1 }, 2, { { 100, 100 }, { 300, 101 } } },
		{ { 401, 1 }, 3, { { 100, 100 }, { 300, 100 }, { 401, 1 } } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		memory.touched_count = 0;
		touch(300, 100);
		touch(100, 100);
		touch(cases[i].added.start, cases[i].added.size);
		assert_int_equal(memory.touched_count, cases[i].count);
		for (unsigned int j = 0; j < cases[i].count; j++) {
			assert_int_equal(memory.touched[j].start, BASE + cases[i].list[j].start);
			assert_int_equal(memory.touched[j].size, cases[i].list[j].size);
		}
	}
}

/* Of RAM of that kind: only what is a whole page of the host's goes. */
static void discard_on(enum memory_backing backing)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	struct memory other;
	uint8_t *host;

	create(&other, SIZE, backing);
	host = memory_at(&other, BASE, SIZE);
	memset(host, 0x5a, 8 * page);
	assert_int_equal(memory_discard(&other, host + 1, 3 * page), 2 * page);
	assert_int_equal(memory_discard(&other, host + 5 * page - 1, page + 1), page);
	assert_int_equal(memory_discard(&other, host + 7 * page, page - 1), 0);
	assert_int_equal(memory_discard(&other, host + 7 * page, 0), 0);
	for (uint64_t i = 0; i < 8 * page; i++)
		assert_int_equal(host[i],
				 i / page == 1 || i / page == 2 || i / page == 5 ? 0 : 0x5a);
	/* All of it, which is memory again when it is used. */
	assert_int_equal(memory_discard(&other, host, SIZE), SIZE);
	assert_int_equal(host[0], 0);
	host[0] = 1;
	memory_destroy(&other);
	if (own.fd >= 0)
		memory_file_close(&own);
}

static void whole_pages_are_discarded(void **state)
{
	discard_on(MEMORY_ANON);
	discard_on(MEMORY_MEMFD);
}

static void the_list_ends_at_sixteen(void **state)
{
	for (unsigned int i = 0; i < MEMORY_TOUCHED_MAX; i++)
		touch(100 * (MEMORY_TOUCHED_MAX - i), 10);
	assert_int_equal(memory_load(&memory, BASE + 50, "x", 1), -ENOSPC);
	assert_int_equal(memory_load(&memory, BASE + 5000, "x", 1), -ENOSPC);
	/* What is not recorded is not written. */
	assert_int_equal(*(char *)memory_at(&memory, BASE + 50, 1), 0);

	/* What melts with others still fits, and makes room. */
	touch(110, 5);
	assert_int_equal(memory.touched_count, MEMORY_TOUCHED_MAX);
	touch(100, 200);
	assert_int_equal(memory.touched_count, MEMORY_TOUCHED_MAX - 2);
	touch(5000, 1);
	touch(50, 1);
	assert_int_equal(memory_load(&memory, BASE + 60, "x", 1), -ENOSPC);
}

#define MAP_SIZE 600

static unsigned int runs(const bool *map)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < MAP_SIZE; i++)
		count += map[i] && (i == 0 || !map[i - 1]);
	return count;
}

/* The same ranges in a map with a flag for every byte. */
static void agrees_with_a_byte_map(void **state)
{
	uint64_t seed = 1;

	for (unsigned int round = 0; round < 300; round++) {
		bool map[MAP_SIZE] = { false };

		memory.touched_count = 0;
		for (unsigned int step = 0; step < 60; step++) {
			uint64_t start = chance(&seed) % MAP_SIZE;
			uint64_t size = 1 + chance(&seed) % 12;
			bool after[MAP_SIZE];
			int err;

			if (size > MAP_SIZE - start)
				size = MAP_SIZE - start;
			memcpy(after, map, sizeof(map));
			memset(after + start, true, size);
			err = memory_load(&memory, BASE + start, map, size);
			assert_int_equal(err, runs(after) > MEMORY_TOUCHED_MAX ? -ENOSPC : 0);
			if (err == 0)
				memcpy(map, after, sizeof(map));
		}
		assert_int_equal(memory.touched_count, runs(map));
		for (unsigned int i = 0; i < memory.touched_count; i++) {
			const struct memory_range *range = &memory.touched[i];

			if (i > 0)
				assert_true(range[-1].start + range[-1].size < range->start);
			for (uint64_t j = 0; j < range->size; j++) {
				assert_true(map[range->start - BASE + j]);
				map[range->start - BASE + j] = false;
			}
		}
		assert_int_equal(runs(map), 0);
	}
}

#define on_memory(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_memory(addresses_are_congruent),
		on_memory(all_of_it_can_be_written),
		on_memory(destroy_may_come_twice),
		on_memory(what_is_no_hugetlbfs_mount_is_refused),
		on_memory(ram_of_a_mount_is_new_each_time),
		on_memory(anonymous_ram_has_no_file),
		on_memory(shared_ram_has_a_file),
		on_memory(collapsing_changes_nothing),
		on_memory(blocks_that_are_collapsed_are_there),
		on_memory(a_mounts_file_is_lent),
		on_memory(huge_pages_want_a_multiple),
		on_memory(too_much_ram_is_an_error),
		on_memory(memory_at_holds_its_bounds),
		on_memory(whole_pages_are_discarded),
		on_memory(load_writes),
		on_memory(load_outside_is_refused),
		on_memory(seal_ends_loading),
		on_memory(nothing_to_load_is_no_range),
		on_memory(touched_ranges_melt),
		on_memory(the_list_ends_at_sixteen),
		on_memory(agrees_with_a_byte_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
