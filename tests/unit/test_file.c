// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "host/file.h"
#include "unit.h"
#include "util.h"

static const char *directory;
static char path[128];
static unsigned int writes_of_nothing;

/* In place of the C library's: one that takes nothing and has no error, for as long as is said. */
ssize_t write(int fd, const void *data, size_t size)
{
	if (writes_of_nothing > 0 && fd != STDERR_FILENO) {
		writes_of_nothing--;
		return 0;
	}
	return syscall(SYS_write, fd, data, size);
}

/* As with fs.protected_symlinks and links of others in a sticky directory. */
static bool links_are_protected;

int open(const char *name, int flags, ...)
{
	va_list args;
	struct stat st;
	mode_t mode;

	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
	va_end(args);
	if (links_are_protected && lstat(name, &st) == 0 && S_ISLNK(st.st_mode)) {
		errno = EACCES;
		return -1;
	}
	return syscall(SYS_openat, AT_FDCWD, name, flags, mode);
}

static int begin(void **state)
{
	directory = scratch_begin();
	snprintf(path, sizeof(path), "%s/file", directory);
	return catch_begin(state);
}

static int finish(void **state)
{
	scratch_end();
	return catch_end(state);
}

static void assert_contents(const char *expected, size_t size)
{
	char bytes[64];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), size);
	assert_memory_equal(bytes, expected, size);
	close(fd);
}

/* Nothing half-written may be left lying about. */
static void assert_entries(unsigned int expected)
{
	DIR *stream = opendir(directory);
	unsigned int count = 0;

	while (readdir(stream))
		count++;
	closedir(stream);
	assert_int_equal(count - 2, expected);
}

static void replace(const char *data)
{
	assert_int_equal(file_replace(path, data, strlen(data)), 0);
	assert_silent();
}

static void new_file_is_made(void **state)
{
	replace("statistics");
	assert_contents("statistics", 10);
	assert_entries(1);
}

static void old_contents_go(void **state)
{
	replace("a long old file");
	replace("new");
	assert_contents("new", 3);
	replace("");
	assert_contents("", 0);
	assert_entries(1);
}

static void readers_of_the_old_file_keep_it(void **state)
{
	char bytes[16];
	int fd;

	replace("old");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	replace("new");
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 3);
	assert_memory_equal(bytes, "old", 3);
	close(fd);
}

static void failed_write_leaves_the_old_file(void **state)
{
	const struct rlimit small = { .rlim_cur = 4096, .rlim_max = RLIM_INFINITY };
	static const char large[8192];
	struct rlimit before;
	int err;

	replace("old");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){ small.rlim_cur, before.rlim_max }), 0);
	err = file_replace(path, large, sizeof(large));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(err, -EFBIG);
	assert_said("File too large");
	assert_contents("old", 3);
	assert_entries(1);
}

/* It would go on for ever. */
static void write_of_nothing_is_an_error(void **state)
{
	int err;

	replace("old");
	writes_of_nothing = 1000;
	err = file_replace(path, "new", 3);
	assert_int_equal(writes_of_nothing, 999);
	writes_of_nothing = 0;
	assert_int_equal(err, -EIO);
	assert_contents("old", 3);
	assert_entries(1);
}

static void missing_directory_is_an_error(void **state)
{
	char missing[256];

	snprintf(missing, sizeof(missing), "%s/none/file", directory);
	assert_int_equal(file_replace(missing, "x", 1), -ENOENT);
	assert_said("No such file or directory");
	assert_int_equal(file_check(missing), -ENOENT);
	assert_said("No such file or directory");
}

static void directory_is_refused(void **state)
{
	assert_int_equal(file_check(directory), -EISDIR);
	assert_said("Is a directory");
	assert_int_equal(file_replace(directory, "x", 1), -EISDIR);
	assert_said("Is a directory");
}

static void pipe_is_written_to(void **state)
{
	struct stat st;
	char bytes[16];
	int fd;

	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(file_check(path), 0);
	replace("through");
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 7);
	assert_memory_equal(bytes, "through", 7);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISFIFO(st.st_mode));
	assert_entries(1);
	close(fd);
}

/*
 * A device of our own, of the kind of /dev/null or /dev/full: those of the machine are not for
 * trying out whether they survive.
 */
static bool make_device(const char *path, unsigned int minor)
{
	return mknod(path, S_IFCHR | 0600, makedev(1, minor)) == 0;
}

static void device_is_written_to(void **state)
{
	struct stat st;

	if (!make_device(path, 3))
		skip();
	assert_int_equal(file_check(path), 0);
	assert_int_equal(file_replace(path, "x", 1), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISCHR(st.st_mode));
	assert_silent();
}

static void full_device_is_an_error(void **state)
{
	if (!make_device(path, 7))
		skip();
	assert_int_equal(file_replace(path, "x", 1), -ENOSPC);
	assert_said("No space left on device");
}

static void symbolic_link_stays(void **state)
{
	char link[160];
	struct stat st;

	replace("old");
	snprintf(link, sizeof(link), "%s/link", directory);
	assert_int_equal(symlink("file", link), 0);
	assert_int_equal(file_replace(link, "new", 3), 0);
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_contents("new", 3);
	assert_entries(2);
}

static void symbolic_link_to_nothing_stays(void **state)
{
	char link[160];
	struct stat st;

	snprintf(link, sizeof(link), "%s/link", directory);
	assert_int_equal(symlink("file", link), 0);
	assert_int_equal(file_check(link), -ENOENT);
	assert_said("link: No such file or directory");
	assert_int_equal(file_replace(link, "new", 3), -ENOENT);
	assert_said("link: No such file or directory");
	assert_int_equal(lstat(link, &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_entries(1);
}

/* A link that somebody has left in /tmp, say, to a file that he may not write. */
static void symbolic_link_of_another_is_not_followed(void **state)
{
	char link[160];
	int checked, replaced;

	replace("old");
	snprintf(link, sizeof(link), "%s/link", directory);
	assert_int_equal(symlink("file", link), 0);
	links_are_protected = true;
	checked = file_check(link);
	assert_said("link: Permission denied");
	replaced = file_replace(link, "new", 3);
	links_are_protected = false;
	assert_said("link: Permission denied");
	assert_int_equal(checked, -EACCES);
	assert_int_equal(replaced, -EACCES);
	assert_contents("old", 3);
	assert_entries(2);
}

/* Files as in any other directory. */
static void shared_memory_is_no_device(void **state)
{
	char name[64], bytes[4];
	int fd;

	if (access("/dev/shm", W_OK) < 0)
		skip();
	snprintf(name, sizeof(name), "/dev/shm/nidus-test-%d", getpid());
	assert_false(file_is_special(name));
	assert_int_equal(file_check(name), 0);
	assert_int_equal(file_replace(name, "old", 3), 0);
	assert_int_equal(file_replace(name, "new", 3), 0);
	assert_silent();
	fd = open(name, O_RDONLY | O_CLOEXEC);
	assert_int_equal(unlink(name), 0);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 3);
	assert_memory_equal(bytes, "new", 3);
	close(fd);
}

static void special_names_are_told_apart(void **state)
{
	assert_true(file_is_special("/dev/no-such-port"));
	assert_true(file_is_special("/dev/shmem"));
	assert_true(file_is_special("/proc/self/fd/2"));
	assert_true(file_is_special(directory));
	assert_false(file_is_special("/development"));
	assert_false(file_is_special("dev/null"));
	assert_false(file_is_special(path));
	replace("old");
	assert_false(file_is_special(path));
}

static void check_touches_nothing(void **state)
{
	assert_int_equal(file_check(path), 0);
	assert_entries(0);
	replace("old");
	assert_int_equal(file_check(path), 0);
	assert_contents("old", 3);
	assert_silent();
}

/* A place that was found stays the same one, whatever its path means by then. */
static void a_place_outlives_its_path(void **state)
{
	struct file_place place;
	char moved[160], inside[176];

	replace("old");
	snprintf(inside, sizeof(inside), "%s/inside", directory);
	snprintf(moved, sizeof(moved), "%s/moved", directory);
	assert_int_equal(mkdir(inside, 0700), 0);
	strcat(inside, "/file");
	assert_int_equal(file_find(&place, inside), 0);
	*strrchr(inside, '/') = '\0';
	assert_int_equal(rename(inside, moved), 0);
	assert_int_equal(symlink(directory, inside), 0);
	assert_int_equal(file_write(&place, "first", 5), 0);
	assert_int_equal(file_write(&place, "next", 4), 0);
	file_release(&place);
	assert_contents("old", 3);
	strcat(moved, "/file");
	strcpy(path, moved);
	assert_contents("next", 4);
	assert_silent();
}

static void a_place_without_its_directory_is_an_error(void **state)
{
	char inside[160], file[176];
	struct file_place place;

	snprintf(inside, sizeof(inside), "%s/inside", directory);
	snprintf(file, sizeof(file), "%s/file", inside);
	assert_int_equal(mkdir(inside, 0700), 0);
	assert_int_equal(file_find(&place, file), 0);
	assert_int_equal(rmdir(inside), 0);
	assert_int_equal(file_write(&place, "x", 1), -ENOENT);
	assert_said("inside/file: No such file or directory");
	file_release(&place);
}

static void a_pipe_outlives_its_path(void **state)
{
	struct file_place place;
	char bytes[16];
	int fd;

	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(file_find(&place, path), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(file_write(&place, "through", 7), 0);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 7);
	/* And it is not kept open in between. */
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 0);
	close(fd);
	assert_int_equal(file_write(&place, "x", 1), -ENXIO);
	assert_said("file: No such device or address");
	file_release(&place);
	assert_entries(0);
}

static void what_stands_beside_is_left_alone(void **state)
{
	char beside[176];

	snprintf(beside, sizeof(beside), "%s.%d", path, getpid());
	assert_int_equal(mkdir(beside, 0700), 0);
	assert_int_equal(file_replace(path, "x", 1), -EEXIST);
	assert_said("is there already");
	assert_entries(1);
}

static void no_file_has_the_name_of_a_directory(void **state)
{
	strcat(path, "/");
	assert_int_equal(file_check(path), -EISDIR);
	assert_said("file/: Is a directory");
	assert_entries(0);
}

static void check_takes_a_bare_name(void **state)
{
	int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_int_equal(chdir(directory), 0);
	assert_int_equal(file_check("file"), 0);
	assert_int_equal(file_replace("file", "x", 1), 0);
	assert_int_equal(fchdir(here), 0);
	close(here);
	assert_contents("x", 1);
}

static void long_names_are_refused(void **state)
{
	static char name[PATH_MAX + 2];

	memset(name, 'a', PATH_MAX);
	assert_int_equal(file_check(name), -ENAMETOOLONG);
	said();
	assert_int_equal(file_replace(name, "x", 1), -ENAMETOOLONG);
}

static void unwritable_directory_is_an_error(void **state)
{
	const uid_t user = geteuid();
	int checked, replaced;

	assert_int_equal(chmod(directory, 0500), 0);
	/* Nothing is unwritable to root; access(2) asks for the real user, too. */
	if (user == 0 && setresuid(65534, 65534, 0) < 0)
		skip();
	checked = file_check(path);
	replaced = file_replace(path, "x", 1);
	assert_int_equal(setresuid(user, user, user), 0);
	assert_int_equal(chmod(directory, 0700), 0);
	assert_int_equal(checked, -EACCES);
	assert_int_equal(replaced, -EACCES);
}

#define on_files(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_files(new_file_is_made),
		on_files(old_contents_go),
		on_files(readers_of_the_old_file_keep_it),
		on_files(failed_write_leaves_the_old_file),
		on_files(write_of_nothing_is_an_error),
		on_files(missing_directory_is_an_error),
		on_files(directory_is_refused),
		on_files(pipe_is_written_to),
		on_files(device_is_written_to),
		on_files(full_device_is_an_error),
		on_files(symbolic_link_stays),
		on_files(symbolic_link_to_nothing_stays),
		on_files(symbolic_link_of_another_is_not_followed),
		on_files(shared_memory_is_no_device),
		on_files(special_names_are_told_apart),
		on_files(check_touches_nothing),
		on_files(a_place_outlives_its_path),
		on_files(a_place_without_its_directory_is_an_error),
		on_files(a_pipe_outlives_its_path),
		on_files(what_stands_beside_is_left_alone),
		on_files(no_file_has_the_name_of_a_directory),
		on_files(check_takes_a_bare_name),
		on_files(long_names_are_refused),
		on_files(unwritable_directory_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
