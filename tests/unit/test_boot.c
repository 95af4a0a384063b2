// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/boot.h"
#include "unit.h"
#include "util.h"

#include "pack.h"

#define BASE GIB(1)

static struct boot_files files;
static struct boot boot;

/* Placement. */

static void linux_image(uint64_t text_offset, uint64_t image_size, uint64_t initrd_size)
{
	boot = (struct boot){
		.kernel_size = image_size,
		.initrd_size = initrd_size,
		.image = { .kind = IMAGE_LINUX,
			   .text_offset = text_offset,
			   .extent = image_size,
			   .extent_known = true },
	};
}

static void flat_image(uint64_t size, uint64_t initrd_size)
{
	boot = (struct boot){
		.kernel_size = size,
		.initrd_size = initrd_size,
		.image = { .kind = IMAGE_FLAT, .text_offset = 0x80000, .extent = size },
	};
}

static bool disjoint(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a + a_size <= b || b + b_size <= a;
}

/* What has to hold of every placement. */
static void assert_sound(uint64_t base, uint64_t ram)
{
	const uint64_t kernel = boot.kernel_gpa, extent = boot.image.extent;
	const uint64_t tree = boot.tree_gpa, initrd = boot.initrd_gpa, size = boot.initrd_size;

	assert_true(kernel == base + boot.image.text_offset);
	assert_true(kernel + extent <= base + ram);
	assert_true(tree >= base && tree + BOOT_TREE_SIZE_MAX <= base + ram);
	assert_true(initrd >= base && initrd + size <= base + ram);
	assert_int_equal(tree % 8, 0);
	assert_int_equal(initrd % KIB(4), 0);
	assert_true(disjoint(kernel, extent, tree, BOOT_TREE_SIZE_MAX));
	assert_true(disjoint(kernel, extent, initrd, size));
	assert_true(disjoint(tree, BOOT_TREE_SIZE_MAX, initrd, size));
}

static void linux_is_packed_in_order(void **state)
{
	linux_image(0x80000, MIB(30) + 1, MIB(5) + 1);
	assert_int_equal(boot_place(&boot, BASE, MIB(256)), 0);
	assert_sound(BASE, MIB(256));
	assert_int_equal(boot.kernel_gpa, BASE + 0x80000);
	assert_int_equal(boot.initrd_gpa, BASE + 0x80000 + MIB(30) + KIB(4));
	assert_int_equal(boot.tree_gpa, boot.initrd_gpa + MIB(5) + KIB(4));
}

static void modules_are_between_initrd_and_tree(void **state)
{
	linux_image(0, MIB(8), MIB(1) + 1);
	boot.module_count = 2;
	boot.modules[0].size = 5;
	boot.modules[1].size = MIB(3);
	assert_int_equal(boot_place(&boot, BASE, MIB(256)), 0);
	assert_int_equal(boot.modules[0].start, boot.initrd_gpa + MIB(1) + KIB(4));
	assert_int_equal(boot.modules[1].start, boot.modules[0].start + KIB(4));
	assert_int_equal(boot.tree_gpa, boot.modules[1].start + MIB(3));
	assert_int_equal(boot.tree_copy_gpa, 0);
	assert_int_equal(boot_place(&boot, BASE, MIB(14)), -EFBIG);
	assert_said("kernel, device tree, modules and initrd need 15 MiB of RAM");
	boot.modules[1].size = UINT64_MAX - 10;
	assert_int_equal(boot_place(&boot, BASE, MIB(256)), -EFBIG);
	assert_said("modules and initrd need");
}

static void modules_of_a_flat_binary_are_below_its_tree(void **state)
{
	flat_image(MIB(8), MIB(1));
	boot.module_count = 1;
	boot.modules[0].size = MIB(2);
	assert_int_equal(boot_place(&boot, BASE, MIB(512)), 0);
	assert_int_equal(boot.tree_gpa, BASE + MIB(254));
	assert_int_equal(boot.modules[0].start, BASE + MIB(252));
	assert_int_equal(boot.initrd_gpa, BASE + MIB(251));
	/* Where programs for QEMU's board look for it, below the binary. */
	assert_int_equal(boot.tree_copy_gpa, BASE);
	assert_int_equal(boot.tree_copy_size, 0x80000);
}

static void firmware_goes_where_it_is_told(void **state)
{
	flat_image(MIB(1) + 1, 0);
	boot.kernel_address = BASE;
	assert_int_equal(boot_place(&boot, BASE, MIB(64)), 0);
	assert_int_equal(boot.kernel_gpa, BASE);
	assert_int_equal(boot.tree_gpa, BASE + MIB(2));
	assert_int_equal(boot.tree_copy_gpa, 0);
	boot.kernel_address = BASE + MIB(60);
	assert_int_equal(boot_place(&boot, BASE, MIB(64)), 0);
	assert_int_equal(boot.kernel_gpa, BASE + MIB(60));
	assert_int_equal(boot.tree_gpa, BASE + MIB(62));
	boot.kernel_address = BASE + MIB(61);
	assert_int_equal(boot_place(&boot, BASE, MIB(64)), -EFBIG);
	said();
	boot_place_firmware(&boot, 0, BASE);
	assert_int_equal(boot.kernel_gpa, 0);
	assert_int_equal(boot.tree_gpa, BASE);
	assert_int_equal(boot.initrd_size, 0);
}

static void linux_takes_a_large_initrd(void **state)
{
	linux_image(0, MIB(40), MIB(500));
	assert_int_equal(boot_place(&boot, BASE, MIB(542)), 0);
	assert_sound(BASE, MIB(542));
	assert_int_equal(boot_place(&boot, BASE, GIB(4)), 0);
	assert_sound(BASE, GIB(4));
}

static void exact_fit_and_a_byte_too_many(void **state)
{
	static const struct {
		bool flat;
		uint64_t kernel, initrd;
		int result; /* with 64 MiB */
	} cases[] = {
		{ false, MIB(62) - 0x80000, 0, 0 },
		{ false, MIB(62) - 0x80000 + 1, 0, -EFBIG },
		{ false, MIB(30) - 0x80000, MIB(32), 0 },
		{ false, MIB(30) - 0x80000, MIB(32) + 1, -EFBIG },
		{ false, MIB(30) - 0x80000 + 1, MIB(32), -EFBIG },
		{ true, MIB(62) - 0x80000, 0, 0 },
		{ true, MIB(62) - 0x80000 + 1, 0, -EFBIG },
		{ true, MIB(30) - 0x80000, MIB(32), 0 },
		{ true, MIB(30) - 0x80000, MIB(32) + 1, -EFBIG },
		{ true, MIB(30) - 0x80000 + 1, MIB(32), -EFBIG },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (cases[i].flat)
			flat_image(cases[i].kernel, cases[i].initrd);
		else
			linux_image(0x80000, cases[i].kernel, cases[i].initrd);
		assert_int_equal(boot_place(&boot, BASE, MIB(64)), cases[i].result);
		if (cases[i].result == 0)
			assert_sound(BASE, MIB(64));
		else
			assert_said("need 65 MiB of RAM, but the guest has 64 MiB");
	}
}

/* More than 2 MiB above the base of RAM, and at no page's beginning. */
static void linux_is_placed_at_its_text_offset(void **state)
{
	static const uint64_t offsets[] = { 0x80800, MIB(2), 0x480000, MIB(100) };

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		linux_image(offsets[i], MIB(30), MIB(5));
		assert_int_equal(boot_place(&boot, BASE, MIB(256)), 0);
		assert_sound(BASE, MIB(256));
		assert_int_equal(boot.kernel_gpa, BASE + offsets[i]);
		assert_true(boot.initrd_gpa >= boot.kernel_gpa + MIB(30));
	}
	linux_image(MIB(220), MIB(30), MIB(5));
	assert_int_equal(boot_place(&boot, BASE, MIB(256)), -EFBIG);
	assert_said("need 257 MiB of RAM, but the guest has 256 MiB");
}

static void text_offset_beyond_ram_is_refused(void **state)
{
	static const uint64_t offsets[] = { MIB(256), GIB(300), (UINT64_C(1) << 56) - 4 };

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		linux_image(offsets[i], (UINT64_C(1) << 56) - 1, MIB(5));
		assert_int_equal(boot_place(&boot, BASE, MIB(256)), -EFBIG);
		assert_said("the kernel's header (text_offset) wants it beyond that");
	}
}

static void flat_has_its_data_at_the_top(void **state)
{
	flat_image(MIB(1), MIB(3) + 1);
	assert_int_equal(boot_place(&boot, BASE, GIB(2)), 0);
	assert_sound(BASE, GIB(2));
	assert_int_equal(boot.kernel_gpa, BASE + 0x80000);
	assert_int_equal(boot.tree_gpa, BASE + MIB(254));
	assert_int_equal(boot.initrd_gpa, BASE + MIB(251) - KIB(4));
}

static void flat_with_little_ram_uses_its_top(void **state)
{
	flat_image(MIB(1), MIB(3));
	assert_int_equal(boot_place(&boot, BASE, MIB(64)), 0);
	assert_sound(BASE, MIB(64));
	assert_int_equal(boot.tree_gpa, BASE + MIB(62));
	assert_int_equal(boot.initrd_gpa, BASE + MIB(59));
}

static void flat_takes_a_large_initrd(void **state)
{
	flat_image(MIB(1), MIB(500));
	assert_int_equal(boot_place(&boot, BASE, GIB(1)), 0);
	assert_sound(BASE, GIB(1));
}

static void hostile_sizes_are_refused(void **state)
{
	static const uint64_t sizes[] = {
		INT64_MAX,  INT64_MAX / 2,	 INT64_MAX / 4 + 1,
		UINT64_MAX, UINT64_MAX - MIB(3), UINT64_MAX / 2 + 1,
	};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		flat_image(sizes[i], 0);
		assert_int_equal(boot_place(&boot, BASE, GIB(4)), -EFBIG);
		flat_image(KIB(4), sizes[i]);
		assert_int_equal(boot_place(&boot, BASE, GIB(4)), -EFBIG);
		flat_image(sizes[i], sizes[i]);
		assert_int_equal(boot_place(&boot, BASE, GIB(4)), -EFBIG);
		linux_image(0, KIB(4), sizes[i]);
		assert_int_equal(boot_place(&boot, BASE, GIB(4)), -EFBIG);
	}
	linux_image(MIB(2) - KIB(4), UINT64_C(1) << 40, 0);
	assert_int_equal(boot_place(&boot, BASE, GIB(4)), -EFBIG);
}

static void no_ram_at_all_is_refused(void **state)
{
	flat_image(1, 0);
	assert_int_equal(boot_place(&boot, BASE, 0), -EFBIG);
	assert_int_equal(boot_place(&boot, BASE, KIB(64)), -EFBIG);
}

static void nothing_overlaps_whatever_the_sizes(void **state)
{
	uint64_t seed = 2, placed = 0;

	for (unsigned int i = 0; i < 20000; i++) {
		/* All orders of magnitude. */
		uint64_t kernel = 1 + ((chance(&seed) & (MIB(512) - 1)) >> chance(&seed) % 30);
		uint64_t initrd = (chance(&seed) & (MIB(512) - 1)) >> chance(&seed) % 30;
		uint64_t ram = align_down(MIB(1024) >> chance(&seed) % 10, KIB(64)) +
			       KIB(64) * (chance(&seed) % 64);
		bool flat = chance(&seed) % 2;
		int err;

		if (flat)
			flat_image(kernel, initrd);
		else
			linux_image(4 * (chance(&seed) % KIB(512)), kernel, initrd);
		err = boot_place(&boot, BASE, ram);
		said();
		if (err == 0) {
			assert_sound(BASE, ram);
			placed++;
		} else {
			assert_int_equal(err, -EFBIG);
			assert_true(boot.image.text_offset + kernel + initrd + MIB(2) + KIB(8) >
				    ram);
		}
	}
	assert_in_range(placed, 5000, 19000);
}

/* Files. */

static const char *directory;
static char path[2][256];

static int files_begin(void **state)
{
	directory = scratch_begin();
	snprintf(path[0], sizeof(path[0]), "%s/kernel", directory);
	snprintf(path[1], sizeof(path[1]), "%s/initrd", directory);
	return catch_begin(state);
}

static int files_end(void **state)
{
	scratch_end();
	return catch_end(state);
}

static void write_file(const char *name, const char *bytes, size_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static void assert_closed(void)
{
	assert_int_equal(files.kernel.fd, -1);
	assert_int_equal(files.initrd.fd, -1);
}

/* Both steps; nothing is open where one fails. */
static int open_with(const char *kernel, const char *initrd, const struct archive *archive)
{
	int err = boot_files_open(&files, kernel, initrd, archive);

	if (err < 0)
		return err;
	err = boot_parse(&boot, &files);
	if (err < 0)
		boot_files_close(&files);
	return err;
}

static int open_files(const char *kernel, const char *initrd)
{
	return open_with(kernel, initrd, NULL);
}

static void files_are_opened_and_closed(void **state)
{
	int lowest = dup(0);

	close(lowest);
	write_file(path[0], "flat", 4);
	write_file(path[1], "initial", 7);
	assert_int_equal(open_files(path[0], path[1]), 0);
	assert_int_equal(boot.kernel_size, 4);
	assert_int_equal(boot.initrd_size, 7);
	assert_int_equal(boot.image.kind, IMAGE_FLAT);
	assert_true(fcntl(files.kernel.fd, F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(files.initrd.fd, F_GETFD) & FD_CLOEXEC);
	boot_files_close(&files);
	boot_files_close(&files);
	assert_closed();
	assert_silent();
	assert_int_equal(dup(0), lowest);
	close(lowest);
}

static void initrd_may_be_left_out(void **state)
{
	write_file(path[0], "flat", 4);
	assert_int_equal(open_files(path[0], NULL), 0);
	assert_int_equal(files.initrd.fd, -1);
	assert_int_equal(boot.initrd_size, 0);
	assert_null(files.initrd.path);
	boot_files_close(&files);
}

static void make_missing(const char *name)
{
}

static void make_directory(const char *name)
{
	assert_int_equal(mkdir(name, 0700), 0);
}

static void make_fifo(const char *name)
{
	assert_int_equal(mkfifo(name, 0600), 0);
}

static void make_empty(const char *name)
{
	write_file(name, "", 0);
}

static void make_loop(const char *name)
{
	assert_int_equal(symlink(name, name), 0);
}

static void bad_files_are_refused(void **state)
{
	static const struct {
		void (*make)(const char *name);
		int result;
		const char *message;
	} cases[] = {
		{ make_missing, -ENOENT, "No such file or directory" },
		{ make_directory, -EINVAL, "is not a regular file" },
		{ make_fifo, -EINVAL, "is not a regular file" },
		{ make_empty, -ENODATA, "is empty" },
		{ make_loop, -ELOOP, "symbolic links" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char line[600];

		cases[i].make(path[0]);
		snprintf(line, sizeof(line), "kernel %s: ", path[0]);
		assert_int_equal(open_files(path[0], NULL), cases[i].result);
		assert_closed();
		assert_non_null(strstr(said(), line));
		remove(path[0]);

		write_file(path[0], "flat", 4);
		cases[i].make(path[1]);
		snprintf(line, sizeof(line), "initrd %s: ", path[1]);
		assert_int_equal(open_files(path[0], path[1]), cases[i].result);
		assert_closed();
		assert_said(cases[i].message);
		remove(path[0]);
		remove(path[1]);
	}
}

static void params_that_linux_cuts_get_a_warning(void **state)
{
	char params[2049];

	memset(params, 'x', sizeof(params));
	params[2048] = '\0';
	linux_image(0, MIB(30), 0);
	boot_check_params(&boot, params);
	assert_said(
		"warning: --params has 2048 bytes, of which Linux on arm64 takes the first 2047");
	boot_check_params(&boot, params + 1);
	boot_check_params(&boot, NULL);
	assert_silent();
	/* Who else may take what it likes. */
	flat_image(MIB(1), 0);
	boot_check_params(&boot, params);
	assert_silent();
}

/* Each life of a guest that resets itself over and over says it again. */
static void params_are_not_warned_of_for_ever(void **state)
{
	char params[4096];

	memset(params, 'x', sizeof(params));
	params[4095] = '\0';
	linux_image(0, MIB(30), 0);
	for (unsigned int i = 0; i < 100; i++)
		boot_check_params(&boot, params);
	assert_true(strlen(said()) < 2000);
}

static void unreadable_file_is_refused(void **state)
{
	const uid_t user = geteuid();
	int err;

	write_file(path[0], "flat", 4);
	assert_int_equal(chmod(path[0], 0), 0);
	/* Nothing is unreadable to root. */
	if (user == 0 && seteuid(65534) < 0)
		skip();
	err = open_files(path[0], NULL);
	assert_int_equal(seteuid(user), 0);
	assert_int_equal(err, -EACCES);
	assert_said("Permission denied");
	assert_closed();
}

static void foreign_kernel_is_refused(void **state)
{
	write_file(path[0],
		   "\xfd"
		   "7zXZ\0 nothing",
		   14);
	assert_int_equal(open_files(path[0], NULL), -ENOEXEC);
	assert_said("kernel: is xz-compressed");
	assert_closed();
}

/* Magic numbers that are further inside than an Image's header, and at the end. */
static void disks_are_no_flat_binaries(void **state)
{
	static const struct {
		uint64_t offset, size;
		const char *magic, *message;
	} cases[] = {
		{ 0x8001, MIB(1), "CD001", "is an ISO 9660 file system" },
		{ 0x8001, 0x8006, "CD001", "is an ISO 9660 file system" },
		{ 0x10040, MIB(1), "_BHRfS_M", "is a Btrfs file system" },
		{ MIB(3), MIB(3) + 512, "conectix", "is a VHD disk image" },
		{ 1000 - 512, 1000, "conectix", "is a VHD disk image" },
		{ KIB(40) - 512, KIB(40), "conectix", "is a VHD disk image" },
		{ 0x10048 + 1 - 512, 0x10048 + 1, "conectix", "is a VHD disk image" },
		{ 0x8002, MIB(1), "CD001", NULL },
		{ MIB(3), MIB(3) + 511, "conectix", NULL },
		{ MIB(3), MIB(3) + 513, "conectix", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *bytes = calloc(1, cases[i].size);

		memcpy(bytes + cases[i].offset, cases[i].magic, strlen(cases[i].magic));
		write_file(path[0], bytes, cases[i].size);
		free(bytes);
		if (cases[i].message) {
			assert_int_equal(open_files(path[0], NULL), -ENOEXEC);
			assert_said(cases[i].message);
			assert_closed();
		} else {
			assert_int_equal(open_files(path[0], NULL), 0);
			assert_int_equal(boot.image.kind, IMAGE_FLAT);
			boot_files_close(&files);
		}
	}
}

static void files_reach_their_places(void **state)
{
	struct memory memory;

	write_file(path[0], "flat", 4);
	write_file(path[1], "initial", 7);
	assert_int_equal(memory_create(&memory, BASE, MIB(16), MEMORY_ANON, NULL), 0);
	assert_int_equal(open_files(path[0], path[1]), 0);
	assert_int_equal(boot_place(&boot, memory.base, memory.size), 0);
	assert_int_equal(boot_load(&boot, &memory), 0);
	assert_memory_equal(memory_at(&memory, boot.kernel_gpa, 5), "flat\0", 5);
	assert_memory_equal(memory_at(&memory, boot.initrd_gpa, 8), "initial\0", 8);
	assert_int_equal(memory.touched_count, 2);
	boot_files_close(&files);
	memory_destroy(&memory);
}

/* Also where all that comes after it is well. */
static void file_that_shrinks_is_an_error(void **state)
{
	struct memory memory;

	write_file(path[0], "flat", 4);
	write_file(path[1], "initial", 7);
	assert_int_equal(memory_create(&memory, BASE, MIB(16), MEMORY_ANON, NULL), 0);
	assert_int_equal(open_files(path[0], path[1]), 0);
	assert_int_equal(boot_place(&boot, memory.base, memory.size), 0);
	assert_int_equal(truncate(path[0], 2), 0);
	assert_int_equal(boot_load(&boot, &memory), -ENODATA);
	assert_said("kernel: ended while it was being read");
	boot_files_close(&files);
	memory_destroy(&memory);
}

/* An archive in place of the initrd. */

static void archive_is_placed_and_loaded(void **state)
{
	static const char *const kernels[] = { "flat", "\x1f\x20no Image" };

	for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
		struct archive *archive = archive_create();
		struct memory memory;
		uint64_t size;

		write_file(path[0], kernels[i], strlen(kernels[i]));
		write_file(path[1], "initial", 7);
		assert_int_equal(archive_add_file(archive, "/init", path[1]), 0);
		assert_int_equal(archive_finish(archive), 0);
		size = archive_size(archive);
		assert_int_equal(memory_create(&memory, BASE, MIB(16), MEMORY_ANON, NULL), 0);
		assert_int_equal(open_with(path[0], NULL, archive), 0);
		assert_int_equal(boot.initrd_size, size);
		assert_int_equal(boot_place(&boot, memory.base, memory.size), 0);
		assert_sound(memory.base, memory.size);
		assert_int_equal(boot_load(&boot, &memory), 0);
		assert_silent();
		assert_memory_equal(memory_at(&memory, boot.kernel_gpa, 4), kernels[i], 4);
		assert_memory_equal(memory_at(&memory, boot.initrd_gpa, 6), "070701", 6);
		assert_memory_equal(memory_at(&memory, boot.initrd_gpa + 116, 7), "initial", 7);
		assert_memory_equal(memory_at(&memory, boot.initrd_gpa + size - 14, 10),
				    "TRAILER!!!", 10);

		/* It is not closed with the rest. */
		boot_files_close(&files);
		assert_closed();
		assert_int_equal(archive_load(archive, &memory, BASE), 0);
		memory_destroy(&memory);
		archive_destroy(archive);
	}
}

static void archive_that_does_not_fit_is_refused(void **state)
{
	struct archive *archive = archive_create();

	write_file(path[0], "flat", 4);
	write_file(path[1], "initial", 7);
	assert_int_equal(truncate(path[1], MIB(62)), 0);
	assert_int_equal(archive_add_file(archive, "/init", path[1]), 0);
	assert_int_equal(archive_finish(archive), 0);
	assert_int_equal(open_with(path[0], NULL, archive), 0);
	assert_int_equal(boot_place(&boot, BASE, MIB(64)), -EFBIG);
	assert_said("but the guest has 64 MiB");
	assert_int_equal(boot_place(&boot, BASE, MIB(65)), 0);
	boot_files_close(&files);
	archive_destroy(archive);
}

static void archive_whose_file_shrinks_is_an_error(void **state)
{
	struct archive *archive = archive_create();
	struct memory memory;

	write_file(path[0], "flat", 4);
	write_file(path[1], "initial", 7);
	assert_int_equal(archive_add_file(archive, "/init", path[1]), 0);
	assert_int_equal(archive_finish(archive), 0);
	assert_int_equal(memory_create(&memory, BASE, MIB(16), MEMORY_ANON, NULL), 0);
	assert_int_equal(open_with(path[0], NULL, archive), 0);
	assert_int_equal(boot_place(&boot, memory.base, memory.size), 0);
	assert_int_equal(truncate(path[1], 2), 0);
	assert_int_equal(boot_load(&boot, &memory), -ENODATA);
	assert_said("ended while it was being read");
	boot_files_close(&files);
	memory_destroy(&memory);
	archive_destroy(archive);
}

/* Compressed kernels. */

#define PLAIN_SIZE KIB(700)

static struct memory memory;

/* The file of an Image whose header says image_size, and whose sections end at sections. */
static struct bytes plain_image(uint64_t image_size, uint32_t sections)
{
	struct bytes plain = { calloc(1, PLAIN_SIZE), PLAIN_SIZE };
	uint64_t seed = 4;

	for (size_t i = KIB(4); i < PLAIN_SIZE; i++)
		plain.data[i] = chance(&seed) >> 60;
	memcpy(plain.data, "MZ", 2);
	memcpy(plain.data + 16, &image_size, 8);
	memcpy(plain.data + 56, "ARM\x64\x40\0\0\0PE\0\0\0\0\x01", 15);
	memcpy(plain.data + 0x40 + 24 + 16, &sections, 4);
	return plain;
}

static struct bytes zboot_gzip(const void *data, size_t size)
{
	return pack_zboot(pack_gzip(data, size), "gzip", 0);
}

static struct bytes zboot_zstd(const void *data, size_t size)
{
	return pack_zboot(pack_zstd(data, size), "zstd22", 4);
}

static struct bytes (*const packers[])(const void *data, size_t size) = {
	pack_gzip,
	pack_zstd,
	zboot_gzip,
	zboot_zstd,
};

/* Writes the kernel's file; bytes cut off its end. Frees plain. */
static void write_packed(struct bytes (*pack)(const void *data, size_t size), struct bytes plain,
			 size_t cut)
{
	struct bytes packed = pack(plain.data, plain.size);

	write_file(path[0], (char *)packed.data, packed.size - cut);
	free(packed.data);
	free(plain.data);
}

static int load_packed(void)
{
	int err;

	assert_int_equal(memory_create(&memory, BASE, MIB(16), MEMORY_ANON, NULL), 0);
	assert_int_equal(open_files(path[0], NULL), 0);
	assert_int_equal(boot_place(&boot, memory.base, memory.size), 0);
	err = boot_load(&boot, &memory);
	boot_files_close(&files);
	return err;
}

static void assert_zero(uint64_t gpa, uint64_t size)
{
	const uint8_t *bytes = memory_at(&memory, gpa, size);

	for (uint64_t i = 0; i < size; i++)
		assert_int_equal(bytes[i], 0);
}

static void packed_kernel_reaches_its_place(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct bytes plain = plain_image(MIB(2), PLAIN_SIZE);

		write_packed(packers[i], plain_image(MIB(2), PLAIN_SIZE), 0);
		assert_int_equal(load_packed(), 0);
		assert_silent();
		assert_int_equal(boot.image.kind, IMAGE_LINUX);
		assert_int_equal(boot.kernel_gpa, BASE);
		assert_int_equal(boot.tree_gpa, BASE + MIB(2));
		assert_memory_equal(memory_at(&memory, BASE, PLAIN_SIZE), plain.data, PLAIN_SIZE);
		assert_zero(BASE + PLAIN_SIZE, MIB(16) - PLAIN_SIZE);
		/* Recorded is what was written, and little more. */
		assert_int_equal(memory.touched_count, 1);
		assert_int_equal(memory.touched[0].start, BASE);
		assert_in_range(memory.touched[0].size, PLAIN_SIZE, PLAIN_SIZE + KIB(256));
		memory_destroy(&memory);
		free(plain.data);
	}
}

static void packed_kernel_may_fill_its_image_size(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		write_packed(packers[i], plain_image(PLAIN_SIZE, PLAIN_SIZE), 0);
		assert_int_equal(load_packed(), 0);
		assert_int_equal(memory.touched[0].size, PLAIN_SIZE);
		memory_destroy(&memory);
	}
}

static void packed_kernel_beyond_its_image_size_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		write_packed(packers[i], plain_image(PLAIN_SIZE - 1, 0), 0);
		assert_int_equal(load_packed(), -EFBIG);
		assert_said("kernel: unpacks to more than the 716799 bytes that its image_size");
		assert_zero(BASE + PLAIN_SIZE - 1, MIB(15));
		memory_destroy(&memory);
	}
}

static void packed_kernel_short_of_its_sections_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		write_packed(packers[i], plain_image(MIB(2), PLAIN_SIZE + 1), 0);
		assert_int_equal(load_packed(), -ENODATA);
		assert_said("kernel: unpacks to 716800 bytes only, but its sections end at 716801");
		memory_destroy(&memory);
	}
}

static void packed_kernel_that_is_truncated_is_refused(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		write_packed(packers[i], plain_image(MIB(2), PLAIN_SIZE), 1);
		assert_int_equal(load_packed(), -ENODATA);
		assert_said("kernel: is truncated");
		memory_destroy(&memory);
		write_packed(packers[i], plain_image(PLAIN_SIZE, PLAIN_SIZE), 1);
		assert_int_equal(load_packed(), -ENODATA);
		assert_said("kernel: is truncated");
		memory_destroy(&memory);
	}
	write_packed(zboot_gzip, plain_image(MIB(2), PLAIN_SIZE), 1);
	assert_int_equal(open_files(path[0], NULL), -ENOEXEC);
	assert_said("kernel: is truncated");
	assert_closed();
}

static void packed_kernel_that_is_corrupt_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct bytes plain = plain_image(MIB(2), PLAIN_SIZE);
		struct bytes packed = packers[i](plain.data, plain.size);

		packed.data[packed.size - 8] ^= 1;
		write_file(path[0], (char *)packed.data, packed.size);
		assert_int_equal(load_packed(), -EBADMSG);
		assert_said("kernel: is corrupt");
		memory_destroy(&memory);
		free(packed.data);
		free(plain.data);
	}
	write_file(path[0], "\x1f\x8b\x08 nothing", 11);
	assert_int_equal(open_files(path[0], NULL), -EBADMSG);
	assert_said("kernel: is corrupt");
	assert_closed();
}

static void packed_bomb_does_not_fit(void **state)
{
	struct bytes plain = plain_image(GIB(1), 0);

	write_packed(pack_gzip, plain, 0);
	assert_int_equal(open_files(path[0], NULL), 0);
	assert_int_equal(boot_place(&boot, BASE, MIB(64)), -EFBIG);
	assert_said("need 1026 MiB of RAM, but the guest has 64 MiB");
	boot_files_close(&files);

	/* Zeros behind an honest header. */
	plain = (struct bytes){ calloc(1, MIB(64)), MIB(64) };
	memcpy(plain.data + 16, "\0\0\x10", 3);
	memcpy(plain.data + 56, "ARM\x64", 4);
	write_packed(pack_gzip, plain, 0);
	assert_int_equal(load_packed(), -EFBIG);
	assert_said("more than the 1048576 bytes");
	memory_destroy(&memory);
}

static void packed_flat_binary_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct bytes plain = { calloc(1, 10000), 10000 };

		write_packed(packers[i], plain, 0);
		assert_int_equal(open_files(path[0], NULL), -ENOEXEC);
		assert_said("-compressed, and what it holds is no arm64 Image");
		assert_closed();
	}
}

static void packed_foreign_file_is_named(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct bytes plain = { calloc(1, 10000), 10000 };

		memcpy(plain.data, "\177ELF\2\1\1", 7);
		write_packed(packers[i], plain, 0);
		assert_int_equal(open_files(path[0], NULL), -ENOEXEC);
		assert_said("-compressed, and what it holds is an ELF file");
		assert_closed();
	}
}

static void packed_twice_is_refused(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(packers); i++) {
		struct bytes plain = plain_image(MIB(2), PLAIN_SIZE);

		write_packed(pack_gzip, packers[i](plain.data, plain.size), 0);
		assert_int_equal(open_files(path[0], NULL), -ENOEXEC);
		assert_said("is gzip-compressed, and what it holds is ");
		assert_closed();
		free(plain.data);
	}
}

static void packed_kernel_that_shrinks_is_an_error(void **state)
{
	assert_int_equal(memory_create(&memory, BASE, MIB(16), MEMORY_ANON, NULL), 0);
	write_packed(pack_zstd, plain_image(MIB(2), PLAIN_SIZE), 0);
	assert_int_equal(open_files(path[0], NULL), 0);
	assert_int_equal(boot_place(&boot, memory.base, memory.size), 0);
	assert_int_equal(truncate(path[0], KIB(100)), 0);
	assert_int_equal(boot_load(&boot, &memory), -ENODATA);
	assert_said("kernel: is truncated");
	boot_files_close(&files);
	memory_destroy(&memory);
}

/* What a guest that resets is started from. */

static bool load_twice(void *opaque)
{
	for (int life = 0; life < 2; life++) {
		struct memory ram;

		if (memory_create(&ram, BASE, MIB(16), MEMORY_ANON, NULL) < 0 ||
		    boot_parse(&boot, &files) < 0 || boot_place(&boot, ram.base, ram.size) < 0 ||
		    boot_load(&boot, &ram) < 0 ||
		    memcmp(memory_at(&ram, boot.kernel_gpa, PLAIN_SIZE), opaque, PLAIN_SIZE) != 0 ||
		    memcmp(memory_at(&ram, boot.initrd_gpa, 7), "initial", 7) != 0)
			return false;
		memory_destroy(&ram);
	}
	return true;
}

static void files_are_read_again_without_their_names(void **state)
{
	struct bytes plain = plain_image(MIB(2), PLAIN_SIZE);

	for (size_t i = 0; i <= ARRAY_SIZE(packers); i++) {
		if (i < ARRAY_SIZE(packers))
			write_packed(packers[i], plain_image(MIB(2), PLAIN_SIZE), 0);
		else
			write_file(path[0], (char *)plain.data, plain.size);
		write_file(path[1], "initial", 7);
		assert_int_equal(boot_files_open(&files, path[0], path[1], NULL), 0);
		remove(path[0]);
		remove(path[1]);
		write_file(path[0], "another", 7);
		assert_int_equal(without_opening(load_twice, plain.data), 0);
		boot_files_close(&files);
		assert_silent();
	}
	free(plain.data);
}

static void what_is_in_the_files_by_then_counts(void **state)
{
	write_file(path[0], "flat", 4);
	write_file(path[1], "initial", 7);
	assert_int_equal(open_files(path[0], path[1]), 0);
	write_file(path[0], "flatter", 7);
	assert_int_equal(truncate(path[1], 100), 0);
	assert_int_equal(boot_parse(&boot, &files), 0);
	assert_int_equal(boot.kernel_size, 7);
	assert_int_equal(boot.initrd_size, 100);
	assert_silent();
	assert_int_equal(truncate(path[1], 0), 0);
	assert_int_equal(boot_parse(&boot, &files), -ENODATA);
	assert_said("initrd: is empty");
	write_file(path[0], "\x1f\x8b\x08 nothing", 11);
	assert_int_equal(boot_parse(&boot, &files), -EBADMSG);
	assert_said("kernel: is corrupt");
	boot_files_close(&files);
}

#define on_files(test) cmocka_unit_test_setup_teardown(test, files_begin, files_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		caught_test(linux_is_packed_in_order),
		caught_test(modules_are_between_initrd_and_tree),
		caught_test(modules_of_a_flat_binary_are_below_its_tree),
		caught_test(firmware_goes_where_it_is_told),
		caught_test(linux_takes_a_large_initrd),
		caught_test(exact_fit_and_a_byte_too_many),
		caught_test(linux_is_placed_at_its_text_offset),
		caught_test(text_offset_beyond_ram_is_refused),
		caught_test(flat_has_its_data_at_the_top),
		caught_test(flat_with_little_ram_uses_its_top),
		caught_test(flat_takes_a_large_initrd),
		caught_test(hostile_sizes_are_refused),
		caught_test(no_ram_at_all_is_refused),
		caught_test(nothing_overlaps_whatever_the_sizes),
		on_files(files_are_opened_and_closed),
		on_files(initrd_may_be_left_out),
		on_files(bad_files_are_refused),
		caught_test(params_that_linux_cuts_get_a_warning),
		caught_test(params_are_not_warned_of_for_ever),
		on_files(unreadable_file_is_refused),
		on_files(foreign_kernel_is_refused),
		on_files(disks_are_no_flat_binaries),
		on_files(files_are_read_again_without_their_names),
		on_files(what_is_in_the_files_by_then_counts),
		on_files(files_reach_their_places),
		on_files(file_that_shrinks_is_an_error),
		on_files(archive_is_placed_and_loaded),
		on_files(archive_that_does_not_fit_is_refused),
		on_files(archive_whose_file_shrinks_is_an_error),
		on_files(packed_kernel_reaches_its_place),
		on_files(packed_kernel_may_fill_its_image_size),
		on_files(packed_kernel_beyond_its_image_size_is_refused),
		on_files(packed_kernel_short_of_its_sections_is_refused),
		on_files(packed_kernel_that_is_truncated_is_refused),
		on_files(packed_kernel_that_is_corrupt_is_refused),
		on_files(packed_bomb_does_not_fit),
		on_files(packed_flat_binary_is_refused),
		on_files(packed_foreign_file_is_named),
		on_files(packed_twice_is_refused),
		on_files(packed_kernel_that_shrinks_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
