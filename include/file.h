/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_FILE_H
#define NIDUS_FILE_H

#include <stddef.h>

/*
 * Makes data the contents of the file at path, all of it or, on an error, none: a regular file is
 * written beside its place and renamed. What is no regular file, and all names in /dev and /proc
 * (/dev/stderr may be one), is written to, at its end. Errors: -errno, said.
 */
int file_replace(const char *path, const void *data, size_t size);

/* Whether file_replace() has a chance, without touching anything. Errors: -errno, said. */
int file_check(const char *path);

#endif
