/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files that nidus writes, and by which names it writes to what is there already.
 */
#ifndef NIDUS_FILE_H
#define NIDUS_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
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

struct stat;

/* fstat(2), by the call of the kernel that takes no path. */
int file_stat(int fd, struct stat *st);
/* pread(2), by a call that is needed for other things as well. */
ssize_t file_pread(int fd, void *bytes, size_t size, off_t offset);

#endif
