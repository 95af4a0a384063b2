/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one instruction accesses in memory: elements, one after the other, each by a guest virtual
 * address of its own. All of them are translated before the first one is carried out, so that a
 * fault leaves no trace; then each goes where its guest physical address lies, on the bus or in
 * RAM.
 */
#ifndef NIDUS_ELEMENTS_H
#define NIDUS_ELEMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "translate/lookup.h"
#include "vcpu/counters.h"

/* The longest vector of SVE, and more than four registers of Advanced SIMD. */
#define ELEMENTS_BYTES_MAX 256

/* Naturally aligned, of 1, 2, 4 or 8 bytes: lies in one page, and is one access of the bus. */
struct element_piece {
	uint64_t va, gpa;
	uint8_t size;
	bool aligned; /* the element that it is of */
};

struct elements {
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
	unsigned int translated; /* so many of them, from the first on, have their gpa */
	struct element_piece piece[ELEMENTS_BYTES_MAX];
	uint8_t data[ELEMENTS_BYTES_MAX];
};

void elements_begin(struct elements *elements, const struct lookup *lookup, const struct bus *bus,
		    struct counters *counters);

/* Forgets the elements. */
void elements_clear(struct elements *elements);
/* Forgets all translations. */
void elements_forget(struct elements *elements);

/*
 * Adds an element of size bytes at va; one of 16 is two of 8. Unaligned ones are made of aligned
 * pieces, which may lie in different pages. The caller adds at most ELEMENTS_BYTES_MAX bytes in
 * all; more are left out.
 */
void elements_add(struct elements *elements, uint64_t va, unsigned int size);

/*
 * Translates all elements for that kind of access, up to the first that cannot be;
 * TRANSLATE_FAIL where an unaligned one is in Device memory, which the CPU does not allow.
 */
enum translate_result elements_translate(struct elements *elements, enum translate_access kind,
					 bool unprivileged);

/* Drops the pieces from count on. */
void elements_cut(struct elements *elements, unsigned int count);

/* Whether any element is in RAM; whether all of them are in the 4 KiB around gpa. */
bool elements_in_ram(const struct elements *elements);
bool elements_in_page(const struct elements *elements, uint64_t gpa);

/* Carries out the elements in RAM, or all others, in order, from or to data. Cannot fail. */
void elements_ram(struct elements *elements, bool write);
void elements_bus(struct elements *elements, bool write);

#endif
