// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"
#include "log.h"

static int complain(const char *path, int error)
{
	log_error("%s: %s", path, log_reason(error));
	return -error;
}

/*
 * Whether a rename would take away what is at path instead of filling it: devices and pipes, and
 * the names by which open files go, such as /dev/stderr, whatever these are.
 */
static bool is_special(const char *path)
{
	struct stat st;

	if (strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0)
		return true;
	return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t done = write(fd, data, size);

		if (done < 0 && errno != EINTR)
			return -errno;
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

int file_replace(const char *path, const void *data, size_t size)
{
	char target[PATH_MAX], beside[PATH_MAX];
	int err;

	if (is_special(path)) {
		/* A pipe that nobody reads is an error, nothing to wait for. */
		err = write_to(path, O_APPEND | O_NONBLOCK, data, size);
		return err < 0 ? complain(path, -err) : 0;
	}
	/* A symbolic link stays, and what it points to is replaced. */
	if (!realpath(path, target))
		snprintf(target, sizeof(target), "%s", path);
	if ((size_t)snprintf(beside, sizeof(beside), "%s.%d", target, getpid()) >= sizeof(beside))
		return complain(path, ENAMETOOLONG);
	err = write_to(beside, O_CREAT | O_EXCL, data, size);
	if (err == -EEXIST)
		return complain(beside, EEXIST);
	if (err == 0 && rename(beside, target) < 0)
		err = -errno;
	if (err < 0)
		unlink(beside);
	return err < 0 ? complain(path, -err) : 0;
}

int file_check(const char *path)
{
	char directory[PATH_MAX];
	struct stat st;

	if (strlen(path) >= sizeof(directory))
		return complain(path, ENAMETOOLONG);
	if (!*path)
		return complain("a file without a name", ENOENT);
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return complain(path, EISDIR);
	if (is_special(path))
		return access(path, W_OK) < 0 ? complain(path, errno) : 0;
	strcpy(directory, path);
	return access(dirname(directory), W_OK) < 0 ? complain(path, errno) : 0;
}
