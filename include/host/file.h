/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files that nidus writes, and by which names it writes to what is there already.
 */
#ifndef NIDUS_FILE_H
#define NIDUS_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Whether path is to be written to as it is, and neither made, emptied nor replaced: it is no
 * regular file, or its name begins with /dev/ (but not /dev/shm/, where anybody's files are) or
 * /proc/. /dev/stderr may be a regular file that others write to, too.
 */
bool file_is_special(const char *path);

/* A file that is to be written to, once or more often. */
struct file_place {
	const char *path; /* the caller's, for messages */
	int directory; /* that has it; -1: it is special */
	char name[NAME_MAX + 1]; /* in directory */
	int special; /* opened by O_PATH; -1: it is not */
};

/*
 * Finds a place without touching anything: a symbolic link is followed where open(2) would follow
 * it. What is wrong with it is said now: -errno, and there is nothing to be released.
 */
int file_find(struct file_place *place, const char *path);
void file_release(struct file_place *place);

/*
 * Makes data the contents of the file at place, all of it or, on an error, none: a regular file is
 * written beside its place and renamed. What is special is opened, through /proc, and written to,
 * at its end. Errors: -errno, said.
 */
int file_write(const struct file_place *place, const void *data, size_t size);

/* All three of them. Errors: -errno, said. */
int file_replace(const char *path, const void *data, size_t size);

/* Whether file_replace() has a chance, without touching anything. Errors: -errno, said. */
int file_check(const char *path);

/*
 * A file that somebody writes to, and that has its name only when it is whole; until then it has
 * none, where the file system can do that, so that nothing is left whatever happens.
 */
struct file_new {
	const char *path; /* the caller's: what it is to be called */
	int directory, fd;
	char name[NAME_MAX + 1]; /* in directory */
	char other[NAME_MAX + 1]; /* a name until then */
	bool has_other;
};

/* Errors: -errno, said; there is nothing to close then. */
int file_new_open(struct file_new *file, const char *path);
/* All of it is on stable storage, and called path, in place of what was called that. -errno, said.
 */
int file_new_keep(struct file_new *file);
/* In any case. Without file_new_keep() it is gone. */
void file_new_close(struct file_new *file);

struct stat;

/* fstat(2), by the call of the kernel that takes no path. */
int file_stat(int fd, struct stat *st);
/* pread(2), by a call that is needed for other things as well. */
ssize_t file_pread(int fd, void *bytes, size_t size, off_t offset);
/* All of it, by as many calls as it takes: 0, -errno, or -ENODATA where the file ends before. */
int file_pread_all(int fd, void *bytes, size_t size, off_t offset);
/* The same, written: 0 or -errno. */
int file_pwrite(int fd, const void *bytes, size_t size, off_t offset);

#define FILE_REGIONS_MAX 64

/* A part of a process's memory, addresses. */
struct file_region {
	uintptr_t start, end;
};

/*
 * Which pages between *at and end a process has, in memory or swapped out, by its
 * /proc/PID/pagemap: as many regions as there is room for, FILE_REGIONS_MAX at most, and *at
 * becomes where to go on. Returns their number. Errors: -errno, not said.
 */
int file_touched(int pagemap_fd, uintptr_t *at, uintptr_t end, struct file_region *regions,
		 unsigned int room);

#endif
