/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The CPU's data cache maintenance by address, as user space may do it (SCTLR_EL1.UCI, UCT).
 */
#ifndef NIDUS_CACHE_H
#define NIDUS_CACHE_H

#include <stdint.h>

#include "util.h"

/* Bytes of the smallest data cache line of all CPUs: CTR_EL0.DminLine (Arm ARM, D24.2.36). */
uint64_t cache_line_size(void);

/* Bytes that DC ZVA zeroes: DCZID_EL0.BS (Arm ARM, D24.2.42), the same for a vCPU. At most 2048. */
uint64_t cache_zero_size(void);

/*
 * DC CVAC on every line from start up to end, both host addresses and multiples of line. Every
 * line's page must be mapped. The caller orders it with cache_sync().
 */
void cache_clean(uintptr_t start, uintptr_t end, uint64_t line);

/* The same for the lines that hold size bytes at bytes. */
static inline void cache_clean_bytes(const void *bytes, uint64_t size)
{
	const uint64_t line = cache_line_size();
	const uintptr_t start = (uintptr_t)bytes;

	cache_clean(align_down(start, line), align_up(start + size, line), line);
}

/* DSB SY: waits until all that was cleaned has reached the Point of Coherency. */
void cache_sync(void);

#endif
