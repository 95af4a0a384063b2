// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A file is written beside its place and then renamed, so that whoever reads
 * it finds all of the old contents or all of the new. A symbolic link stays, and what it points to
 * is replaced: which file that is, the kernel says, by opening it. It may refuse to follow a link
 * that somebody has left in a sticky directory (fs.protected_symlinks), and then we do not either.
 *
 * A place that is kept is a directory and a name in it, so what becomes of the path that led there
 * does not matter. What is special is kept as it is, but opened only to be written to: who reads a
 * pipe waits for its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/file.h"
#include "host/log.h"

static int complain(const char *path, int error)
{
	log_error("%s: %s", path, log_reason(error));
	return -error;
}

/* Whether path is a name of what others have open, or of a device; not of shared memory. */
static bool is_special_name(const char *path)
{
	return (strncmp(path, "/dev/", 5) == 0 && strncmp(path, "/dev/shm/", 9) != 0) ||
	       strncmp(path, "/proc/", 6) == 0;
}

bool file_is_special(const char *path)
{
	struct stat st;

	return is_special_name(path) || (stat(path, &st) == 0 && !S_ISREG(st.st_mode));
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t done = write(fd, data, size);

		if (done < 0 && errno != EINTR)
			return -errno;
		/* No file does so, but a device may, and for ever. */
		if (done == 0)
			return -EIO;
		if (done > 0) {
			data += done;
			size -= done;
		}
	}
	return 0;
}

/* Writes and closes, and says whether it got there, close(2) included. */
static int write_to(int fd, const void *data, size_t size)
{
	int err;

	if (fd < 0)
		return -errno;
	err = write_all(fd, data, size);
	if (close(fd) < 0 && err == 0)
		err = -errno;
	return err;
}

/* The name that an open file goes by, without symbolic links; target has PATH_MAX bytes. */
static int name_of(int fd, char *target)
{
	char link[32];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, target, PATH_MAX - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';
	return 0;
}

/* Splits target into a directory, which is opened, and a name in it. */
static int enter(struct file_place *place, char *target)
{
	char copy[PATH_MAX];
	const char *name;

	strcpy(copy, target);
	name = basename(copy);
	if (strlen(name) >= sizeof(place->name))
		return -ENAMETOOLONG;
	strcpy(place->name, name);
	place->directory = open(dirname(target), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (place->directory < 0 || faccessat(place->directory, ".", W_OK, 0) < 0)
		return -errno;
	return 0;
}

/* Where a regular file lies that is open as fd. */
static int find_regular(struct file_place *place, int fd, const struct stat *opened)
{
	char target[PATH_MAX];
	struct stat named;
	int err = name_of(fd, target);

	if (err == 0)
		err = enter(place, target);
	/* It may have been taken away or replaced meanwhile. */
	if (err == 0 && fstatat(place->directory, place->name, &named, AT_SYMLINK_NOFOLLOW) < 0)
		err = -errno;
	if (err == 0 && (opened->st_dev != named.st_dev || opened->st_ino != named.st_ino))
		err = -ESTALE;
	return err;
}

/* A name that is not taken yet stands for itself. */
static int find_new(struct file_place *place)
{
	char target[PATH_MAX];
	struct stat st;

	/* A symbolic link to nothing stays one: it is no name that is not taken. */
	if (is_special_name(place->path) || lstat(place->path, &st) == 0)
		return -ENOENT;
	if (place->path[strlen(place->path) - 1] == '/')
		return -EISDIR;
	strcpy(target, place->path);
	return enter(place, target);
}

static int find(struct file_place *place)
{
	struct stat st;
	int fd = open(place->path, O_PATH | O_CLOEXEC), err = 0;

	if (fd < 0)
		return errno == ENOENT && *place->path ? find_new(place) : -errno;
	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (S_ISDIR(st.st_mode))
		err = -EISDIR;
	else if (S_ISREG(st.st_mode) && !is_special_name(place->path))
		err = find_regular(place, fd, &st);
	else if (access(place->path, W_OK) < 0)
		err = -errno;
	else
		place->special = fd;
	if (place->special < 0)
		close(fd);
	return err;
}

int file_find(struct file_place *place, const char *path)
{
	int err;

	*place = (struct file_place){ .path = path, .directory = -1, .special = -1 };
	err = find(place);
	if (err == 0)
		return 0;
	file_release(place);
	return complain(*path ? path : "a file without a name", -err);
}

void file_release(struct file_place *place)
{
	if (place->directory >= 0)
		close(place->directory);
	if (place->special >= 0)
		close(place->special);
	place->directory = place->special = -1;
}

static int write_special(const struct file_place *place, const void *data, size_t size)
{
	char link[32];
	int err;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", place->special);
	/* A pipe that nobody reads is an error, nothing to wait for. */
	err = write_to(open(link, O_WRONLY | O_CLOEXEC | O_APPEND | O_NONBLOCK), data, size);
	return err < 0 ? complain(place->path, -err) : 0;
}

int file_write(const struct file_place *place, const void *data, size_t size)
{
	const int made = O_WRONLY | O_CLOEXEC | O_CREAT | O_EXCL, at = place->directory;
	char beside[sizeof(place->name) + 16];
	int err;

	if (place->special >= 0)
		return write_special(place, data, size);
	snprintf(beside, sizeof(beside), "%s.%d", place->name, getpid());
	err = write_to(openat(at, beside, made, 0666), data, size);
	if (err == -EEXIST) {
		/* What stands there is another's. */
		log_error("%s: %s is there already", place->path, beside);
		return err;
	}
	if (err == 0 && renameat(at, beside, at, place->name) < 0)
		err = -errno;
	if (err < 0)
		unlinkat(at, beside, 0);
	return err < 0 ? complain(place->path, -err) : 0;
}

int file_replace(const char *path, const void *data, size_t size)
{
	struct file_place place;
	int err = file_find(&place, path);

	if (err == 0) {
		err = file_write(&place, data, size);
		file_release(&place);
	}
	return err;
}

/* #syscalls loop served: fstat */
int file_stat(int fd, struct stat *st)
{
	return syscall(SYS_fstat, fd, st);
}

/* #syscalls loop: preadv2 */
ssize_t file_pread(int fd, void *bytes, size_t size, off_t offset)
{
	const struct iovec segment = { bytes, size };

	return preadv2(fd, &segment, 1, offset, 0);
}

int file_check(const char *path)
{
	struct file_place place;
	int err = file_find(&place, path);

	if (err == 0)
		file_release(&place);
	return err;
}
