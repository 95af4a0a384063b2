// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a configuration whose guest has a directory as its root.
 */
#include "root/root.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"
#include "util.h"

#include "newc.h"

static const char *directory;
static char file[160];
static struct config config;
static struct root root;

static int begin(void **state)
{
	int fd;

	directory = scratch_begin();
	snprintf(file, sizeof(file), "%s/file", directory);
	fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	close(fd);
	return fd < 0 ? -1 : catch_begin(state);
}

static int finish(void **state)
{
	root_release(&root);
	scratch_end();
	return catch_end(state);
}

/* Words between single blanks; "=" stands for the directory, "+" for a file. */
static void parse(const char *line)
{
	static char words[32][192];
	char *argv[33] = { "run" }, copy[1024];
	int argc = 1;

	snprintf(copy, sizeof(copy), "-k Image %s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		const char *path = *word == '=' ? directory : *word == '+' ? file : NULL;

		snprintf(words[argc], sizeof(words[0]), "%s%s", path ? path : "",
			 path ? word + 1 : word);
		argv[argc] = words[argc];
		argc++;
	}
	assert_int_equal(config_parse(&config, CONFIG_NIDUS, argc, argv), 0);
}

static void prepare(const char *line)
{
	root_release(&root);
	parse(line);
	assert_int_equal(root_prepare(&root, &config), 0);
	assert_silent();
}

static void assert_shared(bool read_only)
{
	assert_string_equal(config.root, directory);
	assert_int_equal(config.filesystem_count, 1);
	assert_string_equal(config.filesystems[0].tag, "nidus-root");
	assert_string_equal(config.filesystems[0].directory, directory);
	assert_int_equal(config.filesystems[0].read_only, read_only);
	assert_int_equal(config.filesystems[0].no_submounts, read_only);
}

static void without_a_root_nothing_is_prepared(void **state)
{
	prepare("-d + --params quiet");
	assert_null(root.archive);
	assert_null(root.params);
	assert_null(config.initramfs);
	assert_int_equal(config.filesystem_count, 0);
	assert_int_equal(config.disk_count, 1);
	assert_string_equal(config.params, "quiet");
}

/* nidus is init, and parameters are left alone. */
static void assert_init(const char *params)
{
	struct newc entry = { .name = "" };
	struct memory memory;
	bool found = false;
	uint64_t offset = 0, size;

	assert_shared(true);
	assert_ptr_equal(config.initramfs, root.archive);
	if (params)
		assert_string_equal(config.params, params);
	else
		assert_null(config.params);
	size = archive_size(root.archive);
	assert_int_equal(memory_create(&memory, GIB(1), MIB(64), MEMORY_ANON, NULL), 0);
	assert_int_equal(archive_load(root.archive, &memory, GIB(1)), 0);
	while (strcmp(entry.name, "TRAILER!!!") != 0) {
		offset = newc_read(memory_at(&memory, GIB(1), size), offset, size, &entry);
		found |= strcmp(entry.name, "init") == 0;
	}
	assert_true(found);
	memory_destroy(&memory);
}

static void nidus_is_init_where_the_guest_only_reads(void **state)
{
	prepare("--root =");
	assert_init(NULL);
	prepare("--root =,ro --params quiet");
	assert_init("quiet");
}

static void a_directory_in_a_disks_place_is_the_root(void **state)
{
	prepare("-d =");
	assert_init(NULL);
	assert_int_equal(config.disk_count, 0);
	prepare("-d + -d =,ro -d other,ro");
	assert_init(NULL);
	assert_int_equal(config.disk_count, 2);
	assert_string_equal(config.disks[0].path, file);
	assert_string_equal(config.disks[1].path, "other");
	assert_true(config.disks[1].read_only);
}

static void linux_mounts_what_it_may_write_to(void **state)
{
	prepare("--root =,rw");
	assert_shared(false);
	assert_null(config.initramfs);
	assert_string_equal(config.params, "root=nidus-root rootfstype=virtiofs rw");
	prepare("--root =,rw --params rootwait");
	assert_string_equal(config.params, "root=nidus-root rootfstype=virtiofs rw rootwait");
}

static void an_initrd_is_told_by_parameters(void **state)
{
	prepare("--root = --initrd + --params quiet");
	assert_shared(true);
	assert_null(config.initramfs);
	assert_string_equal(config.params, "root=nidus-root rootfstype=virtiofs ro quiet");
}

static void the_users_own_root_holds(void **state)
{
	static const char *const lines[] = {
		"--root = --params root=/dev/vda",
		"--root =,rw --params root=/dev/vda",
		"--root = --initrd + --params root=/dev/vda",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		prepare(lines[i]);
		assert_int_equal(config.filesystem_count, 1);
		assert_null(config.initramfs);
		assert_string_equal(config.params, "root=/dev/vda");
	}
}

static void assert_refused(const char *line, int err, const char *message)
{
	parse(line);
	assert_int_equal(root_prepare(&root, &config), err);
	assert_said(message);
	assert_null(root.archive);
	assert_null(root.params);
}

static void bad_roots_are_refused(void **state)
{
	assert_refused("--root =/none", -ENOENT, "none: No such file or directory");
	assert_refused("--root =/none,rw", -ENOENT, "none: No such file or directory");
	assert_refused("--root +", -ENOTDIR, "file: is not a directory");
	assert_refused("-d =,direct", -EINVAL, "takes no direct");
	assert_refused("-d = -d =", -EINVAL, "the guest's root is");
	assert_refused("--root / -d =", -EINVAL, "the guest's root is / already");
}

static void no_more_file_systems_than_there_is_room_for(void **state)
{
	parse("-d =");
	config.filesystem_count = CONFIG_FILESYSTEMS_MAX;
	assert_int_equal(root_prepare(&root, &config), -EINVAL);
	assert_said("there are 8 file systems already");
	parse("-d =");
	config.filesystem_count = 1;
	config.filesystems[0] = (struct config_fs){ .tag = CONFIG_ROOT_TAG };
	assert_int_equal(root_prepare(&root, &config), -EINVAL);
	assert_said("its tag is nidus-root, which another file system has");
}

#define in_scratch(test) cmocka_unit_test_setup_teardown(test, begin, finish)

static void firmware_starts_no_directory(void **state)
{
	parse("-d =");
	config.firmware = config.kernel;
	config.kernel = NULL;
	assert_int_equal(root_prepare(&root, &config), -EINVAL);
	assert_said("is a directory, from which firmware starts nothing");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_scratch(firmware_starts_no_directory),
		in_scratch(without_a_root_nothing_is_prepared),
		in_scratch(nidus_is_init_where_the_guest_only_reads),
		in_scratch(a_directory_in_a_disks_place_is_the_root),
		in_scratch(linux_mounts_what_it_may_write_to),
		in_scratch(an_initrd_is_told_by_parameters),
		in_scratch(the_users_own_root_holds),
		in_scratch(bad_roots_are_refused),
		in_scratch(no_more_file_systems_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
