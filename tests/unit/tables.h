/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Translation tables made by hand, for tests of what walks them. What is here is taken from the
 * figures and tables of the Arm ARM's D8.2 as they are printed there, and computes nothing that
 * arm/translate/walk.c computes in the same way.
 */
#ifndef TABLES_H
#define TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEVELS 5 /* -1 to 3 */

/* The lowest bit of the input address that indexes a table of each level, from -1 on. */
struct shape {
	unsigned int page_bits;
	unsigned int shift[LEVELS];
	/* From how many bits of input on a walk begins at that level. */
	unsigned int from[LEVELS];
	unsigned int entries;
	unsigned int tg0, tg1; /* TCR_EL1.TG0 and TG1 */
	bool block[LEVELS], block52[LEVELS]; /* without and with 52-bit addresses */
};

#define NONE 99

static const struct shape shapes[] = {
	{ 12,
	  { 48, 39, 30, 21, 12 },
	  { 49, 40, 31, 22, 16 },
	  512,
	  0,
	  2,
	  { 0, 0, 1, 1, 0 },
	  { 0, 1, 1, 1, 0 } },
	{ 14,
	  { NONE, 47, 36, 25, 14 },
	  { NONE, 48, 37, 26, 16 },
	  2048,
	  2,
	  1,
	  { 0, 0, 0, 1, 0 },
	  { 0, 0, 1, 1, 0 } },
	{ 16,
	  { NONE, NONE, 42, 29, 16 },
	  { NONE, NONE, 43, 30, 17 },
	  8192,
	  1,
	  3,
	  { 0, 0, 0, 1, 0 },
	  { 0, 0, 1, 1, 0 } },
};

/* The level at which a stage-1 walk of that many bits begins. */
static inline int first_level(const struct shape *shape, unsigned int input_bits)
{
	int level = -1;

	while (input_bits < shape->from[level + 1])
		level++;
	return level;
}

/* An output address of 52 bits in a descriptor of each format. */
static inline uint64_t pack(uint64_t address, const struct shape *shape, bool wide)
{
	const uint64_t high = address >> 48 & 0xf;

	if (!wide)
		return address;
	address &= ~(UINT64_C(0xf) << 48);
	if (shape->page_bits == 16)
		return address | high << 12;
	return address | (high & 3) << 48 | high >> 2 << 8;
}

#endif
