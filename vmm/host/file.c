// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A file is written beside its place and then renamed, so that a reader
 * it finds all of the old contents or all of the new. A symbolic link stays, and what it points to
 * is replaced: which file that is, the kernel says, by opening it. It may refuse to follow a link
 * that somebody has left in a sticky directory (fs.protected_symlinks), and then we do not either.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* Writes to path and says whether it got there, close(2) included. */
static int write_to(const char *path, int flags, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0666), err;

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
	struct stat opened, named;
	char link[32];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, target, PATH_MAX - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';
	/* It may have been taken away or replaced meanwhile. */
	if (fstat(fd, &opened) < 0 || lstat(target, &named) < 0)
		return -errno;
	return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino ? 0 : -ESTALE;
}

/* The name that a rename has to replace: where links lead to, or the name itself if it is free. */
static int resolve(const char *path, char *target)
{
	int fd = open(path, O_PATH | O_CLOEXEC), err = fd < 0 ? -errno : name_of(fd, target);
	struct stat st;

	if (fd >= 0)
		close(fd);
	/* A symbolic link to nothing stays one: it is no name that is not taken. */
	if (fd >= 0 || err != -ENOENT || lstat(path, &st) == 0)
		return err;
	strcpy(target, path);
	return 0;
}

/* path: how the user calls target. */
static int replace(const char *path, const char *target, const void *data, size_t size)
{
	char beside[PATH_MAX];
	int err;

	if ((size_t)snprintf(beside, sizeof(beside), "%s.%d", target, getpid()) >= sizeof(beside))
		return complain(path, ENAMETOOLONG);
	err = write_to(beside, O_CREAT | O_EXCL, data, size);
	/* The file there is somebody else's. */
	if (err == -EEXIST)
		return complain(beside, EEXIST);
	if (err == 0 && rename(beside, target) < 0)
		err = -errno;
	if (err < 0)
		unlink(beside);
	return err < 0 ? complain(path, -err) : 0;
}

int file_replace(const char *path, const void *data, size_t size)
{
	char target[PATH_MAX];
	int err;

	if (file_is_special(path)) {
		/* A pipe that nobody reads is an error, nothing to wait for. */
		err = write_to(path, O_APPEND | O_NONBLOCK, data, size);
		return err < 0 ? complain(path, -err) : 0;
	}
	err = resolve(path, target);
	return err < 0 ? complain(path, -err) : replace(path, target, data, size);
}

int file_check(const char *path)
{
	char target[PATH_MAX];
	struct stat st;
	int err;

	if (!*path)
		return complain("a file without a name", ENOENT);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return complain(path, EISDIR);
	if (file_is_special(path))
		return access(path, W_OK) < 0 ? complain(path, errno) : 0;
	err = resolve(path, target);
	if (err == 0 && access(dirname(target), W_OK) < 0)
		err = -errno;
	return err < 0 ? complain(path, -err) : 0;
}
