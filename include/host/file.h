/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files that nidus writes, and by which names it writes to what is there already.
 */
#ifndef NIDUS_FILE_H
#define NIDUS_FILE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether path is to be written to as it is, and neither made, emptied nor replaced: it is no
 * regular file, or its name begins with /dev/ (but not /dev/shm/, where anybody's files are) or
 * /proc/. /dev/stderr may be a regular file that others write to, too.
 */
bool file_is_special(const char *path);

/*
 * Makes data the contents of the file at path, all of it or, on an error, none: a regular file is
 * written beside its place and renamed; a symbolic link stays and is followed where open(2) would
 * follow it. What is special is written to, at its end. Errors: -errno, said.
 */
int file_replace(const char *path, const void *data, size_t size);

/* Whether file_replace() has a chance, without touching anything. Errors: -errno, said. */
int file_check(const char *path);

#endif
