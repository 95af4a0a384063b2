/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An initramfs that is written nowhere but into guest memory: a cpio archive of the "newc" format
 * (Linux, Documentation/driver-api/early-userspace/buffer-format.rst) whose headers are kept here
 * and whose files are read straight to their places.
 */
#ifndef NIDUS_ARCHIVE_H
#define NIDUS_ARCHIVE_H

#include <stddef.h>
#include <stdint.h>

#include "mm/memory.h"

struct archive;

/* NULL: no memory. */
struct archive *archive_create(void);
/* Closes the files in it. archive may be NULL. */
void archive_destroy(struct archive *archive);

/*
 * These add an entry, with the directories that lead to it where they are not there yet; paths are
 * absolute. What is wrong is said: -EINVAL for a path that is not absolute or has a part "." or
 * "..", -EEXIST for one that is there already, -ENOTDIR for one inside a file, -ENAMETOOLONG,
 * -EFBIG for a file of 4 GiB or more, -ENOMEM, or what opening source said. An archive to which
 * something could not be added is of no use any more.
 */
int archive_add_directory(struct archive *archive, const char *path);
int archive_add_device(struct archive *archive, const char *path, unsigned int major,
		       unsigned int minor); /* a character device */
int archive_add_text(struct archive *archive, const char *path, const void *data, size_t size);
/* source: a regular file, opened now, read by archive_load(); its permissions are kept. */
int archive_add_file(struct archive *archive, const char *path, const char *source);

/* Nothing is added after this. Errors: -ENOMEM, said. */
int archive_finish(struct archive *archive);

/* Bytes, of a finished archive. */
uint64_t archive_size(const struct archive *archive);

/*
 * Writes it to guest memory at gpa, by load calls (memory.h, load.h); as often as wanted. Errors:
 * those of the load calls, said, -ENODATA for a file that has become shorter.
 */
int archive_load(const struct archive *archive, struct memory *memory, uint64_t gpa);

#endif
