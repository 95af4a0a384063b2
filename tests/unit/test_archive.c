// SPDX-License-Identifier: GPL-2.0-only
/*
 * Archives are taken apart here by a reader of their own, and by cpio(1) where there is one.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot/archive.h"
#include "unit.h"
#include "util.h"

#include "newc.h"

#define BASE GIB(1)
#define SIZE MIB(16)

#define ENTRIES_MAX 64

static const char *directory;
static char source[PATH_MAX];
static struct archive *archive;
static struct memory memory;
static struct newc found[ENTRIES_MAX];
static unsigned int count;

static int begin(void **state)
{
	directory = scratch_begin();
	snprintf(source, sizeof(source), "%s/source", directory);
	archive = archive_create();
	if (!archive || memory_create(&memory, BASE, SIZE, MEMORY_ANON, NULL) < 0)
		return -1;
	/* What nobody has written is told from zeroes. */
	memset(memory_at(&memory, BASE, SIZE), 0xa5, SIZE);
	return catch_begin(state);
}

static int finish(void **state)
{
	archive_destroy(archive);
	memory_destroy(&memory);
	scratch_end();
	return catch_end(state);
}

static void make_file(const char *name, const void *bytes, size_t size, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* Reading. */

/* The entries of what is at gpa, but for the last, which must be at the very end. */
static void read_archive(uint64_t gpa)
{
	const uint64_t size = archive_size(archive);
	const uint8_t *bytes = memory_at(&memory, gpa, size);
	uint64_t offset = 0;

	assert_non_null(bytes);
	for (count = 0;; count++) {
		assert_true(count < ENTRIES_MAX);
		offset = newc_read(bytes, offset, size, &found[count]);
		if (strcmp(found[count].name, "TRAILER!!!") == 0)
			break;
	}
	assert_int_equal(found[count].field[FILESIZE], 0);
	assert_int_equal(offset, size);
}

static void load_at(uint64_t gpa)
{
	assert_int_equal(archive_load(archive, &memory, gpa), 0);
	assert_silent();
	read_archive(gpa);
}

static void finish_and_load(void)
{
	assert_int_equal(archive_finish(archive), 0);
	load_at(BASE);
}

static void assert_names(const char *const *names, unsigned int expected)
{
	assert_int_equal(count, expected);
	for (unsigned int i = 0; i < expected; i++)
		assert_string_equal(found[i].name, names[i]);
}

static const struct newc *entry_of(const char *name)
{
	for (unsigned int i = 0; i < count; i++)
		if (strcmp(found[i].name, name) == 0)
			return &found[i];
	fail_msg("no entry %s", name);
	return NULL;
}

/* Form. */

static void empty_archive_is_a_trailer(void **state)
{
	finish_and_load();
	assert_int_equal(count, 0);
	assert_int_equal(archive_size(archive), 124);
}

static void fields_are_those_of_the_format(void **state)
{
	make_file(source, "contents", 8, 04751);
	assert_int_equal(archive_add_file(archive, "/file", source), 0);
	assert_int_equal(archive_add_text(archive, "/text", "some text", 9), 0);
	assert_int_equal(archive_add_directory(archive, "/directory"), 0);
	assert_int_equal(archive_add_device(archive, "/device", 0x123, 0x4567f), 0);
	finish_and_load();

	assert_int_equal(count, 4);
	assert_int_equal(entry_of("file")->field[MODE], S_IFREG | 04751);
	assert_int_equal(entry_of("file")->field[FILESIZE], 8);
	assert_memory_equal(entry_of("file")->data, "contents", 8);
	assert_int_equal(entry_of("text")->field[MODE], S_IFREG | 0644);
	assert_int_equal(entry_of("text")->field[FILESIZE], 9);
	assert_memory_equal(entry_of("text")->data, "some text", 9);
	assert_int_equal(entry_of("directory")->field[MODE], S_IFDIR | 0755);
	assert_int_equal(entry_of("directory")->field[FILESIZE], 0);
	assert_true(S_ISCHR(entry_of("device")->field[MODE]));
	assert_int_equal(entry_of("device")->field[FILESIZE], 0);
	for (unsigned int i = 0; i < count; i++) {
		const bool device = S_ISCHR(found[i].field[MODE]);

		assert_int_equal(found[i].field[UID], 0);
		assert_int_equal(found[i].field[GID], 0);
		assert_int_equal(found[i].field[RMAJ], device ? 0x123 : 0);
		assert_int_equal(found[i].field[RMIN], device ? 0x4567f : 0);
		assert_int_equal(found[i].field[CHKSUM], 0);
	}
}

/* Linux takes what has the same inode number, and more than one name, for one file. */
static void nothing_is_a_hard_link(void **state)
{
	make_file(source, "same", 4, 0600);
	assert_int_equal(archive_add_file(archive, "/a/one", source), 0);
	assert_int_equal(archive_add_file(archive, "/b/two", source), 0);
	assert_int_equal(archive_add_text(archive, "/three", "3", 1), 0);
	finish_and_load();
	for (unsigned int i = 0; i < count; i++)
		for (unsigned int j = 0; j < i; j++)
			assert_int_not_equal(found[i].field[INO], found[j].field[INO]);
	assert_memory_equal(entry_of("a/one")->data, "same", 4);
	assert_memory_equal(entry_of("b/two")->data, "same", 4);
}

static void entries_keep_their_order_and_parents_come_once(void **state)
{
	static const char *const names[] = {
		"z", "b", "b/c", "b/c/file", "b/other", "a", "b/c/d", "b/c/d/e", "b/cd", "b/cd/f",
	};

	assert_int_equal(archive_add_text(archive, "/z", "", 0), 0);
	assert_int_equal(archive_add_text(archive, "/b/c/file", "1", 1), 0);
	assert_int_equal(archive_add_text(archive, "/b/other", "2", 1), 0);
	assert_int_equal(archive_add_directory(archive, "/a"), 0);
	assert_int_equal(archive_add_device(archive, "/b/c/d/e", 5, 1), 0);
	assert_int_equal(archive_add_text(archive, "/b/cd/f", "3", 1), 0);
	finish_and_load();
	assert_names(names, ARRAY_SIZE(names));
	for (unsigned int i = 0; i < count; i++)
		if (strchr("bac", *found[i].name) && found[i].field[FILESIZE] == 0 &&
		    !S_ISCHR(found[i].field[MODE]))
			assert_int_equal(found[i].field[MODE], S_IFDIR | 0755);
}

static void names_of_all_lengths_are_aligned(void **state)
{
	char path[32] = "/";

	for (unsigned int length = 1; length <= 12; length++) {
		path[length] = 'a' + length;
		assert_int_equal(archive_add_text(archive, path, path, length), 0);
	}
	finish_and_load();
	assert_int_equal(count, 12);
	for (unsigned int i = 0; i < count; i++) {
		assert_int_equal(strlen(found[i].name), i + 1);
		assert_int_equal(found[i].field[FILESIZE], i + 1);
		assert_memory_equal(found[i].data, path, i + 1);
	}
}

static void files_of_odd_sizes(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 4, 5, 0, 4095, 4097, MIB(1) + 3, 0 };
	uint8_t *bytes = malloc(MIB(2));
	uint64_t seed = 7;

	for (size_t i = 0; i < MIB(2); i++)
		bytes[i] = chance(&seed) >> 56;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char path[32], text[32], name[PATH_MAX];

		snprintf(path, sizeof(path), "/file%zu", i);
		snprintf(text, sizeof(text), "/text%zu", i);
		snprintf(name, sizeof(name), "%s%s", directory, path);
		make_file(name, bytes + i, sizes[i], 0600);
		assert_int_equal(archive_add_file(archive, path, name), 0);
		assert_int_equal(archive_add_text(archive, text, bytes + i, sizes[i]), 0);
	}
	finish_and_load();
	assert_int_equal(count, 2 * ARRAY_SIZE(sizes));
	for (unsigned int i = 0; i < count; i++) {
		assert_int_equal(found[i].field[FILESIZE], sizes[i / 2]);
		assert_memory_equal(found[i].data, bytes + i / 2, sizes[i / 2]);
	}
	free(bytes);
}

static void permissions_are_kept(void **state)
{
	static const mode_t modes[] = { 0400, 0755, 0777, 02711, 04755, 01644, 07777, 0 };
	/* The last is a file that only root can read. */
	size_t count = ARRAY_SIZE(modes) - (geteuid() == 0 ? 0 : 1);

	for (size_t i = 0; i < count; i++) {
		char path[32], name[PATH_MAX];

		snprintf(path, sizeof(path), "/%zu", i);
		snprintf(name, sizeof(name), "%s%s", directory, path);
		make_file(name, "x", 1, modes[i]);
		assert_int_equal(archive_add_file(archive, path, name), 0);
	}
	finish_and_load();
	for (size_t i = 0; i < count; i++)
		assert_int_equal(found[i].field[MODE], S_IFREG | modes[i]);
}

static void many_entries_are_one_touched_range(void **state)
{
	for (unsigned int i = 0; i < 30; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/%u", i);
		make_file(source, path, strlen(path), 0600);
		assert_int_equal(archive_add_file(archive, path, source), 0);
		assert_int_equal(unlink(source), 0);
	}
	finish_and_load();
	for (unsigned int i = 0; i < 30; i++)
		assert_memory_equal(found[i].data + 1, found[i].name, strlen(found[i].name));
	/* What is cleaned to the Point of Coherency is the archive, and nothing else. */
	assert_int_equal(memory.touched_count, 1);
	assert_int_equal(memory.touched[0].start, BASE);
	assert_int_equal(memory.touched[0].size, archive_size(archive));
}

/* Loading. */

static void loads_as_often_as_wanted(void **state)
{
	const uint64_t second = BASE + MIB(3) + 1;

	make_file(source, "contents", 8, 0600);
	assert_int_equal(archive_add_file(archive, "/file", source), 0);
	assert_int_equal(archive_add_text(archive, "/text", "t", 1), 0);
	finish_and_load();
	assert_int_equal(archive_load(archive, &memory, second), 0);
	assert_memory_equal(memory_at(&memory, BASE, archive_size(archive)),
			    memory_at(&memory, second, archive_size(archive)),
			    archive_size(archive));
	assert_int_equal(*(uint8_t *)memory_at(&memory, BASE + archive_size(archive), 1), 0xa5);
	assert_int_equal(*(uint8_t *)memory_at(&memory, second - 1, 1), 0xa5);
	assert_int_equal(*(uint8_t *)memory_at(&memory, second + archive_size(archive), 1), 0xa5);
}

static void fits_to_the_last_byte(void **state)
{
	uint64_t size;

	make_file(source, "contents", 8, 0600);
	assert_int_equal(archive_add_file(archive, "/file", source), 0);
	assert_int_equal(archive_add_file(archive, "/empty", "/proc/self/exe"), 0);
	assert_int_equal(archive_finish(archive), 0);
	size = archive_size(archive);
	assert_true(size < SIZE);
	assert_int_equal(archive_load(archive, &memory, BASE + SIZE - size), 0);
	assert_silent();
	read_archive(BASE + SIZE - size);
	assert_int_equal(archive_load(archive, &memory, BASE + SIZE - size + 1), -EFAULT);
	assert_said("initramfs, ");
}

static void ram_too_small_is_an_error(void **state)
{
	make_file(source, "x", 1, 0600);
	assert_int_equal(truncate(source, SIZE), 0);
	assert_int_equal(archive_add_file(archive, "/large", source), 0);
	assert_int_equal(archive_finish(archive), 0);
	assert_int_equal(archive_load(archive, &memory, BASE), -EFAULT);
	assert_said(source);
	assert_int_equal(archive_load(archive, &memory, BASE - 4), -EFAULT);
	assert_said("headers: Bad address");
	memory_seal(&memory);
	assert_int_equal(archive_load(archive, &memory, BASE), -EBUSY);
	assert_said("headers: Device or resource busy");
}

static void file_that_shrinks_is_an_error(void **state)
{
	make_file(source, "contents", 8, 0600);
	assert_int_equal(archive_add_file(archive, "/file", source), 0);
	assert_int_equal(archive_finish(archive), 0);
	assert_int_equal(truncate(source, 7), 0);
	assert_int_equal(archive_load(archive, &memory, BASE), -ENODATA);
	assert_said("ended while it was being read");
	assert_int_equal(archive_load(archive, &memory, BASE), -ENODATA);
	assert_said(source);
	assert_int_equal(truncate(source, 8), 0);
	load_at(BASE);
	assert_memory_equal(found[0].data, "content\0", 8);
}

static void file_that_grows_or_goes_is_as_it_was(void **state)
{
	make_file(source, "contents", 8, 0600);
	assert_int_equal(archive_add_file(archive, "/file", source), 0);
	assert_int_equal(archive_finish(archive), 0);
	make_file(source, "contents and more", 17, 0600);
	load_at(BASE);
	assert_int_equal(found[0].field[FILESIZE], 8);
	assert_memory_equal(found[0].data, "contents", 8);
	assert_int_equal(unlink(source), 0);
	make_file(source, "", 0, 0600);
	load_at(BASE);
	assert_memory_equal(found[0].data, "contents", 8);
}

static void files_are_closed(void **state)
{
	int lowest = dup(0), now;

	close(lowest);
	make_file(source, "contents", 8, 0600);
	assert_int_equal(archive_add_file(archive, "/file", source), 0);
	now = dup(0);
	assert_int_not_equal(now, lowest);
	assert_true(fcntl(lowest, F_GETFD) & FD_CLOEXEC);
	close(now);
	assert_int_equal(archive_add_file(archive, "/file", source), -EEXIST);
	assert_int_equal(archive_add_file(archive, "/other", directory), -EINVAL);
	archive_destroy(archive);
	archive = NULL;
	assert_int_equal(dup(0), lowest);
	close(lowest);
}

/* What is refused. */

static void paths_that_are_refused(void **state)
{
	static const char *const paths[] = {
		"",    "/",	"//",	"file", "./file",   "../file", "/.",
		"/..", "/a/..", "/a/.", "/./a", "/../a",    "/a/../b", "/a//b",
		"//a", "/a/",	"/a//", "a/b",	"/a/b/./c", "/a/b/..",
	};

	make_file(source, "x", 1, 0600);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_int_equal(archive_add_directory(archive, paths[i]), -EINVAL);
		assert_said("Invalid argument");
		assert_int_equal(archive_add_device(archive, paths[i], 5, 1), -EINVAL);
		assert_said("Invalid argument");
		assert_int_equal(archive_add_text(archive, paths[i], "x", 1), -EINVAL);
		assert_said("Invalid argument");
		assert_int_equal(archive_add_file(archive, paths[i], source), -EINVAL);
		assert_said("Invalid argument");
	}
}

static void paths_that_only_look_so_are_taken(void **state)
{
	static const char *const paths[] = {
		"/.a", "/..a", "/a..", "/a.", "/...", "/b/.c/..d/e", "/ ", "/a b", "/\xff",
	};
	unsigned int first = 0;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_int_equal(archive_add_text(archive, paths[i], "x", 1), 0);
	finish_and_load();
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		first += entry_of(paths[i] + 1)->field[FILESIZE];
	assert_int_equal(first, ARRAY_SIZE(paths));
}

static void long_paths(void **state)
{
	static char path[PATH_MAX + 2];

	for (size_t i = 0; i < sizeof(path) - 1; i++)
		path[i] = i % 200 ? 'a' : '/';
	assert_int_equal(archive_add_text(archive, path, "x", 1), -ENAMETOOLONG);
	assert_said("initramfs, /aaa");
	path[PATH_MAX] = '\0';
	assert_int_equal(archive_add_text(archive, path, "x", 1), -ENAMETOOLONG);
	assert_said("initramfs, /aaa");
	path[PATH_MAX - 1] = '\0';
	assert_int_equal(archive_add_text(archive, path, "x", 1), 0);
	finish_and_load();
	assert_int_equal(found[count - 1].field[NAMESIZE], PATH_MAX - 1);
	assert_string_equal(found[count - 1].name, path + 1);
}

static void duplicates_are_refused(void **state)
{
	make_file(source, "x", 1, 0600);
	assert_int_equal(archive_add_file(archive, "/a/b", source), 0);
	assert_int_equal(archive_add_file(archive, "/a/b", source), -EEXIST);
	assert_said("initramfs, /a/b: File exists");
	assert_int_equal(archive_add_text(archive, "/a/b", "y", 1), -EEXIST);
	assert_said("initramfs, /a/b: File exists");
	assert_int_equal(archive_add_device(archive, "/a/b", 1, 1), -EEXIST);
	assert_said("initramfs, /a/b: File exists");
	assert_int_equal(archive_add_directory(archive, "/a/b"), -EEXIST);
	assert_said("initramfs, /a/b: File exists");
	assert_int_equal(archive_add_text(archive, "/a", "y", 1), -EEXIST);
	assert_said("initramfs, /a: File exists");
}

static void missing_source_is_an_error(void **state)
{
	assert_int_equal(archive_add_file(archive, "/file", source), -ENOENT);
	assert_said("No such file or directory");
	snprintf(source, sizeof(source), "%s/none/source", directory);
	assert_int_equal(archive_add_file(archive, "/other", source), -ENOENT);
	assert_said(source);
}

static void only_regular_files_are_carried(void **state)
{
	assert_int_equal(archive_add_file(archive, "/directory", directory), -EINVAL);
	assert_said("is not a regular file");
	assert_int_equal(mkfifo(source, 0600), 0);
	/* Should it wait for who writes, the alarm ends us. */
	alarm(10);
	assert_int_equal(archive_add_file(archive, "/fifo", source), -EINVAL);
	alarm(0);
	assert_said("is not a regular file");
}

static void links_to_files_are_followed(void **state)
{
	char link[PATH_MAX];

	make_file(source, "contents", 8, 0640);
	snprintf(link, sizeof(link), "%s/link", directory);
	assert_int_equal(symlink("source", link), 0);
	assert_int_equal(archive_add_file(archive, "/file", link), 0);
	finish_and_load();
	assert_int_equal(found[0].field[MODE], S_IFREG | 0640);
	assert_memory_equal(found[0].data, "contents", 8);
}

static void files_of_4_gib_do_not_fit_the_format(void **state)
{
	make_file(source, "", 0, 0600);
	if (truncate(source, GIB(4)) < 0)
		skip();
	assert_int_equal(archive_add_file(archive, "/large", source), -EFBIG);
	assert_said("initramfs, /large: File too large");
	archive_destroy(archive);
	archive = archive_create();

	assert_int_equal(truncate(source, GIB(4) - 1), 0);
	assert_int_equal(archive_add_file(archive, "/large", source), 0);
	assert_int_equal(archive_add_file(archive, "/again", source), 0);
	assert_int_equal(archive_finish(archive), 0);
	/* Twice the file and its byte of padding, two headers with names, and the trailer. */
	assert_int_equal(archive_size(archive), 2 * (GIB(4) + 116) + 124);
	assert_int_equal(archive_load(archive, &memory, BASE), -EFAULT);
	assert_said("Bad address");
	assert_memory_equal((char *)memory_at(&memory, BASE + 54, 8), "FFFFFFFF", 8);
}

static void destroying_nothing_is_nothing(void **state)
{
	archive_destroy(NULL);
}

/* As others read it. */

/* The output of a command, each run of blanks as one. */
static void output_of(const char *command, char *text, size_t size)
{
	FILE *stream = popen(command, "r");
	size_t used = 0;

	assert_non_null(stream);
	for (int c; (c = getc(stream)) != EOF && used < size - 1;)
		if (c != ' ' || used == 0 || text[used - 1] != ' ')
			text[used++] = c;
	text[used] = '\0';
	assert_int_equal(pclose(stream), 0);
}

static void cpio_understands_it(void **state)
{
	char command[2 * PATH_MAX], text[4096];

	if (system("command -v cpio >/dev/null") != 0)
		skip();
	make_file(source, "#!", 2, 04755);
	assert_int_equal(archive_add_file(archive, "/init", source), 0);
	assert_int_equal(archive_add_device(archive, "/dev/console", 5, 1), 0);
	assert_int_equal(archive_add_text(archive, "/nest/plan", "{}\n", 3), 0);
	assert_int_equal(archive_add_directory(archive, "/tmp"), 0);
	finish_and_load();
	make_file(source, memory_at(&memory, BASE, archive_size(archive)), archive_size(archive),
		  0600);

	/* An hour stands in place of the year where the clock is near it, not having been set. */
	snprintf(command, sizeof(command),
		 "LC_ALL=C TZ=UTC cpio -itvn --quiet <%s | sed 's/ 00:00 / 1970 /'", source);
	output_of(command, text, sizeof(text));
	assert_string_equal(text, "-rwsr-xr-x 1 0 0 2 Jan 1 1970 init\n"
				  "drwxr-xr-x 1 0 0 0 Jan 1 1970 dev\n"
				  "crw------- 1 0 0 5, 1 Jan 1 1970 dev/console\n"
				  "drwxr-xr-x 1 0 0 0 Jan 1 1970 nest\n"
				  "-rw-r--r-- 1 0 0 3 Jan 1 1970 nest/plan\n"
				  "drwxr-xr-x 1 0 0 0 Jan 1 1970 tmp\n");
	snprintf(command, sizeof(command), "cpio -i --quiet --to-stdout init nest/plan <%s",
		 source);
	output_of(command, text, sizeof(text));
	assert_string_equal(text, "#!{}\n");
}

#define on_archive(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_archive(empty_archive_is_a_trailer),
		on_archive(fields_are_those_of_the_format),
		on_archive(nothing_is_a_hard_link),
		on_archive(entries_keep_their_order_and_parents_come_once),
		on_archive(names_of_all_lengths_are_aligned),
		on_archive(files_of_odd_sizes),
		on_archive(permissions_are_kept),
		on_archive(many_entries_are_one_touched_range),
		on_archive(loads_as_often_as_wanted),
		on_archive(fits_to_the_last_byte),
		on_archive(ram_too_small_is_an_error),
		on_archive(file_that_shrinks_is_an_error),
		on_archive(file_that_grows_or_goes_is_as_it_was),
		on_archive(files_are_closed),
		on_archive(paths_that_are_refused),
		on_archive(paths_that_only_look_so_are_taken),
		on_archive(long_paths),
		on_archive(duplicates_are_refused),
		on_archive(missing_source_is_an_error),
		on_archive(only_regular_files_are_carried),
		on_archive(links_to_files_are_followed),
		on_archive(files_of_4_gib_do_not_fit_the_format),
		on_archive(destroying_nothing_is_nothing),
		on_archive(cpio_understands_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
