/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What lies about under the name of a kernel and is none, told by magic numbers: disk images,
 * archives, kernels of other machines, compressed files. Pure.
 */
#ifndef NIDUS_FOREIGN_H
#define NIDUS_FOREIGN_H

#include <stddef.h>
#include <stdint.h>

/* How far from its beginning a file is to be looked at, and how much of its end, in bytes. */
#define FOREIGN_HEAD_SIZE 0x10048
#define FOREIGN_TAIL_SIZE 512

/*
 * Looks at a part of a file: size bytes that begin at offset, of file_size bytes (UINT64_MAX:
 * unknown). One clause, which says what the file is and what can be done about it, or NULL where
 * the part has no magic number of the list wholly in it.
 */
const char *foreign_find(const uint8_t *part, size_t size, uint64_t offset, uint64_t file_size);

#endif
