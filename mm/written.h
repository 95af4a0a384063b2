/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What nidus itself has written of RAM, while dirty.c keeps a log of it.
 */
#ifndef NIDUS_WRITTEN_H
#define NIDUS_WRITTEN_H

#include <stdint.h>

struct memory_written {
	uint64_t page_size; /* bytes */
	_Atomic uint64_t words[]; /* as of struct page_map, but any thread may add to them */
};

#endif
