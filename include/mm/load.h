/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file into guest RAM, before the first vCPU runs.
 */
#ifndef NIDUS_LOAD_H
#define NIDUS_LOAD_H

#include <stdint.h>

#include "mm/memory.h"

/*
 * Reads the first length bytes of fd, a regular file, to gpa, and records them as the load calls of
 * memory.h do. fd's offset stays where it is. Errors: those of memory_load_at(), of pread(2), and
 * -ENODATA where the file ends early; part of it may have been read by then. Nothing is said.
 */
int load_file(struct memory *memory, uint64_t gpa, int fd, uint64_t length);

#endif
