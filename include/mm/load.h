/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file into guest RAM, before the first vCPU runs.
 */
#ifndef NIDUS_LOAD_H
#define NIDUS_LOAD_H

#include <stddef.h>
#include <stdint.h>

#include "mm/memory.h"

/*
 * For struct memory: what large files are read by, made before nidus is confined and used again and
 * again. NULL: they are read otherwise, for want of it or because that is better.
 */
struct load_ring *load_ring_create(void);
void load_ring_destroy(struct load_ring *ring);

/*
 * Reads the first length bytes of fd, a regular file, to gpa, and records them as the load calls of
 * memory.h do, by memory->ring where there is one. fd's offset stays where it is. Errors: those of
 * memory_load_at(), of pread(2), and -ENODATA where the file ends early; part of it may have been
 * read by then. Nothing is said.
 */
int load_file(struct memory *memory, uint64_t gpa, int fd, uint64_t length);

/*
 * Copies a part of a file, size bytes and at least one, to memory that is all zeroes and perhaps
 * not there yet: where the part is zeroes too, it stays so.
 */
void load_sparse(void *memory, const void *part, size_t size);

#endif
