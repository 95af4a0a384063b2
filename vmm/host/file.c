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
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/file.h"
#include "host/log.h"
#include "util.h"

/* Of an entry of /proc/PID/pagemap. */
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_SWAPPED (UINT64_C(1) << 62)

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

int file_pread_all(int fd, void *bytes, size_t size, off_t offset)
{
	size_t done = 0;

	while (done < size) {
		const ssize_t got =
			file_pread(fd, (char *)bytes + done, size - done, offset + done);

		if (got == 0)
			return -ENODATA;
		if (got < 0 && errno != EINTR)
			return -errno;
		if (got > 0)
			done += got;
	}
	return 0;
}

/* #syscalls loop: pwritev2 */
int file_pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
	size_t done = 0;

	while (done < size) {
		const struct iovec rest = { (char *)bytes + done, size - done };
		const ssize_t written = pwritev2(fd, &rest, 1, offset + done, 0);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0)
			done += written;
	}
	return 0;
}

/* Before Linux 6.7 there is an entry for each page to be read. */
static int entries_touched(int pagemap_fd, uintptr_t *at, uintptr_t end,
			   struct file_region *regions, unsigned int room)
{
	const uintptr_t page = sysconf(_SC_PAGESIZE);
	uint64_t entries[512];
	unsigned int count = 0;

	while (*at < end && count < room) {
		const uint64_t left = (end - *at) / page,
			       size = left < ARRAY_SIZE(entries) ? left : ARRAY_SIZE(entries);
		const ssize_t got = file_pread(pagemap_fd, entries, size * sizeof(*entries),
					       *at / page * sizeof(*entries));

		if (got < (ssize_t)sizeof(*entries))
			return got < 0 ? -errno : -EIO;
		for (size_t i = 0; i < got / sizeof(*entries) && count < room; i++, *at += page) {
			if (!(entries[i] & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED)))
				continue;
			if (count > 0 && regions[count - 1].end == *at)
				regions[count - 1].end = *at + page;
			else
				regions[count++] = (struct file_region){ *at, *at + page };
		}
	}
	return count;
}

/* #syscalls loop: ioctl(PAGEMAP_SCAN) */
int file_touched(int pagemap_fd, uintptr_t *at, uintptr_t end, struct file_region *regions,
		 unsigned int room)
{
	struct page_region found[FILE_REGIONS_MAX];
	struct pm_scan_arg scan = {
		.size = sizeof(scan),
		.start = *at,
		.end = end,
		.vec = (uintptr_t)found,
		.vec_len = room < ARRAY_SIZE(found) ? room : ARRAY_SIZE(found),
		.category_inverted = PAGE_IS_PFNZERO,
		.category_mask = PAGE_IS_PFNZERO,
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_PRESENT,
	};
	const int count = ioctl(pagemap_fd, PAGEMAP_SCAN, &scan);

	if (count < 0)
		return errno == ENOTTY ? entries_touched(pagemap_fd, at, end, regions, room)
				       : -errno;
	for (int i = 0; i < count; i++)
		regions[i] = (struct file_region){ found[i].start, found[i].end };
	*at = scan.walk_end;
	return count;
}

/* Large ones, by others. */

int file_new_open(struct file_new *file, const char *path)
{
	char first[PATH_MAX], second[PATH_MAX];

	*file = (struct file_new){ .path = path, .fd = -1 };
	if (snprintf(first, sizeof(first), "%s", path) >= (int)sizeof(first))
		return complain(path, ENAMETOOLONG);
	snprintf(second, sizeof(second), "%s", path);
	snprintf(file->name, sizeof(file->name), "%s", basename(first));
	snprintf(file->other, sizeof(file->other), ".%.200s.%d", file->name, (int)getpid());
	file->directory = open(dirname(second), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (file->directory < 0)
		return complain(path, errno);
	file->fd = openat(file->directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (file->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		file->fd = openat(file->directory, file->other,
				  O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
		file->has_other = file->fd >= 0;
	}
	if (file->fd < 0) {
		const int error = errno;

		close(file->directory);
		return complain(path, error);
	}
	return 0;
}

int file_new_keep(struct file_new *file)
{
	char own[64];
	int err = fsync(file->fd);

	snprintf(own, sizeof(own), "/proc/self/fd/%d", file->fd);
	if (err == 0 && !file->has_other) {
		err = linkat(AT_FDCWD, own, file->directory, file->other, AT_SYMLINK_FOLLOW);
		file->has_other = err == 0;
	}
	if (err == 0)
		err = renameat(file->directory, file->other, file->directory, file->name);
	if (err < 0)
		return complain(file->path, errno);
	file->has_other = false;
	fsync(file->directory);
	return 0;
}

void file_new_close(struct file_new *file)
{
	if (file->has_other)
		unlinkat(file->directory, file->other, 0);
	close(file->fd);
	close(file->directory);
}

int file_check(const char *path)
{
	struct file_place place;
	int err = file_find(&place, path);

	if (err == 0)
		file_release(&place);
	return err;
}
