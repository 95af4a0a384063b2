/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one instruction accesses in memory: elements, one after the other, each by a guest virtual
 * address of its own. All of them are translated before the first one is carried out, so that a
 * fault leaves no trace; then each goes where its guest physical address lies, on the bus or in
 * RAM.
 */
#ifndef NIDUS_ACCESS_H
#define NIDUS_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "bus.h"
#include "counters.h"
#include "lookup.h"

/* The longest vector of SVE, and more than four registers of Advanced SIMD. */
#define ACCESS_BYTES_MAX 256

/* Naturally aligned, of 1, 2, 4 or 8 bytes: lies in one page, and is one access of the bus. */
struct access_piece {
	uint64_t gpa;
	uint8_t size;
};

struct access {
	const struct bus *bus;
	const struct lookup *lookup;
	struct counters *counters;

	/* The last translation, and the VA and the kind of access that it holds for. */
	struct translation last;
	uint64_t last_va;
	enum translate_access last_kind;
	bool last_unprivileged;

	/* In the order of addition; data has their bytes in the order of memory. */
	unsigned int count, bytes;
	struct access_piece piece[ACCESS_BYTES_MAX];
	uint8_t data[ACCESS_BYTES_MAX];
};

void access_begin(struct access *access, const struct lookup *lookup, const struct bus *bus,
		  struct counters *counters);

/* Forgets the elements. */
void access_clear(struct access *access);

/*
 * Adds an element of size bytes, 1 to 16, at va. One of 16 is two of 8. Unaligned ones are made of
 * aligned pieces, which may lie in different pages; TRANSLATE_FAIL where that is Device memory,
 * which the CPU does not allow. At most ACCESS_BYTES_MAX bytes in all.
 */
enum translate_result access_add(struct access *access, uint64_t va, unsigned int size,
				 enum translate_access kind, bool unprivileged);

/* Whether any of it is in RAM. */
bool access_in_ram(const struct access *access);

/* Carries all elements out, in order, from or to data. Nothing that can fail. */
void access_read(struct access *access);
void access_write(struct access *access);

#endif
