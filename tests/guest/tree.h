/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Looking things up in the flattened device tree that a payload is given.
 */
#ifndef TREE_H
#define TREE_H

#include "guest.h"

#define FDT_MAGIC      0xd00dfeed
#define FDT_BEGIN_NODE 1
#define FDT_END_NODE   2
#define FDT_PROP       3
#define FDT_NOP	       4

static inline uint32_t tree_cell(const uint32_t *cell)
{
	return __builtin_bswap32(*cell);
}

static inline uint64_t tree_cells(const uint32_t *cell)
{
	return (uint64_t)tree_cell(cell) << 32 | tree_cell(cell + 1);
}

static inline bool text_begins(const char *text, const char *prefix)
{
	while (*prefix)
		if (*text++ != *prefix++)
			return false;
	return true;
}

static inline bool text_equal(const char *a, const char *b)
{
	while (*a && *a == *b)
		a++, b++;
	return *a == *b;
}

/*
 * The value of a property in the nth (from 0) of the nodes whose names begin with prefix and that
 * have the property; NULL where there is none. Node names are looked at without their path.
 */
static inline const void *tree_find(const char *prefix, unsigned int nth, const char *name)
{
	const uint8_t *tree = (const uint8_t *)boot_registers[0];
	const uint32_t *header = (const uint32_t *)tree;
	const uint32_t *token = (const uint32_t *)(tree + tree_cell(header + 2));
	const char *strings = (const char *)tree + tree_cell(header + 3);
	bool match = false;

	for (;;) {
		uint32_t length, kind = tree_cell(token++);

		switch (kind) {
		case FDT_BEGIN_NODE:
			match = text_begins((const char *)token, prefix);
			for (length = 0; ((const char *)token)[length]; length++)
				;
			token += length / 4 + 1;
			break;
		case FDT_PROP:
			length = tree_cell(token);
			if (match && text_equal(strings + tree_cell(token + 1), name) && nth-- == 0)
				return token + 2;
			token += 2 + (length + 3) / 4;
			break;
		case FDT_END_NODE:
		case FDT_NOP:
			break;
		default:
			return NULL;
		}
	}
}

/* The kernel's parameters, by which a script tells a payload what to do. */
static inline const char *tree_params(void)
{
	const char *params = tree_find("chosen", 0, "bootargs");

	return params ? params : "";
}

/* MPIDR affinities of the vCPUs into list; their number. */
static inline unsigned int tree_cpus(uint64_t *list)
{
	unsigned int count = 0;
	const uint32_t *reg;

	while (count < CPUS_MAX && (reg = tree_find("cpu@", count, "reg")))
		list[count++] = tree_cell(reg);
	return count;
}

#endif
