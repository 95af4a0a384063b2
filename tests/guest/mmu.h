/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For drivers: RAM as Normal memory, cacheable, as it is for the device; an identity map of two
 * blocks of 1 GiB, the first one for devices.
 */
#ifndef MMU_H
#define MMU_H

#include "guest.h"

static uint64_t mmu_map[512] __attribute__((aligned(4096)));

static inline void mmu_on(void)
{
	mmu_map[0] = 1u << 10 | 1u;
	mmu_map[1] = RAM_BASE | 1u << 10 | 3u << 8 | 1u << 2 | 1u;
	barrier();
	write_sysreg(mair_el1, 0xff00); /* 0: Device-nGnRnE, 1: Normal, Write-Back */
	/* T0SZ 25: 39 bits, which begin at level 1; walks cacheable; no TTBR1_EL1 */
	write_sysreg(tcr_el1, UINT64_C(2) << 32 | 1u << 23 | 3u << 12 | 1u << 10 | 1u << 8 | 25);
	write_sysreg(ttbr0_el1, (uintptr_t)mmu_map);
	__asm__ volatile("tlbi vmalle1\n\tdsb sy" : : : "memory");
	/* I, C, M */
	write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | 1u << 12 | 1u << 2 | 1u);
}

#endif
