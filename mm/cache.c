// SPDX-License-Identifier: GPL-2.0-only
#include "mm/cache.h"

uint64_t cache_line_size(void)
{
	uint64_t ctr;

	__asm__("mrs %0, ctr_el0" : "=r"(ctr));
	/* DminLine, bits [19:16], is the logarithm of the number of four-byte words. */
	return UINT64_C(4) << (ctr >> 16 & 0xf);
}

uint64_t cache_zero_size(void)
{
	uint64_t dczid;

	__asm__("mrs %0, dczid_el0" : "=r"(dczid));
	/* BS, bits [3:0], is the logarithm of the number of four-byte words. */
	return UINT64_C(4) << (dczid & 0xf);
}

void cache_clean(uintptr_t start, uintptr_t end, uint64_t line)
{
	/* Eight lines a turn: a little over two instructions each instead of four. */
	while (end - start >= 8 * line) {
		__asm__ volatile("dc cvac, %0\n\tadd %0, %0, %1\n\t"
				 "dc cvac, %0\n\tadd %0, %0, %1\n\t"
				 "dc cvac, %0\n\tadd %0, %0, %1\n\t"
				 "dc cvac, %0\n\tadd %0, %0, %1\n\t"
				 "dc cvac, %0\n\tadd %0, %0, %1\n\t"
				 "dc cvac, %0\n\tadd %0, %0, %1\n\t"
				 "dc cvac, %0\n\tadd %0, %0, %1\n\t"
				 "dc cvac, %0\n\tadd %0, %0, %1"
				 : "+r"(start)
				 : "r"(line)
				 : "memory");
	}
	for (; start < end; start += line)
		__asm__ volatile("dc cvac, %0" : : "r"(start) : "memory");
}

void cache_sync(void)
{
	__asm__ volatile("dsb sy" : : : "memory");
}
