/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fields of registers, named as in the Arm ARM: masks, each from its register's page in chapter D24
 * (PSTATE: as SPSR_ELx has it). Where there are several of a register by exception level, the
 * position of a field is the same in all.
 */
#ifndef NIDUS_SYSREG_H
#define NIDUS_SYSREG_H

#include <stdbool.h>
#include <stdint.h>

#define BIT(n)		(UINT64_C(1) << (n))
#define BITS(high, low) (~UINT64_C(0) >> (63 - (high)) & ~UINT64_C(0) << (low))

/* What value has in the bits of mask, which are next to each other, as a number. */
static inline uint64_t field_get(uint64_t mask, uint64_t value)
{
	return (value & mask) >> __builtin_ctzll(mask);
}

/* value with number in the bits of mask. */
static inline uint64_t field_set(uint64_t mask, uint64_t value, uint64_t number)
{
	return (value & ~mask) | (number << __builtin_ctzll(mask) & mask);
}

/* field_get() for what has a position and no name, as in instructions and addresses. */
static inline uint64_t bits(uint64_t value, unsigned int high, unsigned int low)
{
	return field_get(BITS(high, low), value);
}

static inline bool bit(uint64_t value, unsigned int n)
{
	return value & BIT(n);
}

#define PSTATE_SP    BIT(0)
#define PSTATE_EL    BITS(3, 2)
#define PSTATE_NRW   BIT(4) /* AArch32 */
#define PSTATE_BTYPE BITS(11, 10)
#define PSTATE_SS    BIT(21)
#define PSTATE_PAN   BIT(22)
#define PSTATE_UAO   BIT(23)
#define PSTATE_C     BIT(29)
#define PSTATE_N     BIT(31)
#define PSTATE_NZCV  BITS(31, 28)

#define SCTLR_M	   BIT(0)
#define SCTLR_WXN  BIT(19)
#define SCTLR_E0E  BIT(24)
#define SCTLR_EE   BIT(25)
#define SCTLR_EPAN BIT(57)

#define HCR_VM	BIT(0)
#define HCR_DC	BIT(12)
#define HCR_TGE BIT(27)
#define HCR_E2H BIT(34)
#define HCR_NV	BIT(42)
#define HCR_NV1 BIT(43)

#define HCRX_TCR2EN BIT(14)

#define TCR2_PIE   BIT(1)
#define TCR2_E0POE BIT(2)
#define TCR2_POE   BIT(3)
#define TCR2_D128  BIT(5)

#define VTCR_T0SZ  BITS(5, 0)
#define VTCR_SL0   BITS(7, 6)
#define VTCR_TG0   BITS(15, 14)
#define VTCR_PS	   BITS(18, 16)
#define VTCR_HA	   BIT(21)
#define VTCR_DS	   BIT(32)
#define VTCR_SL2   BIT(33)
#define VTCR_S2PIE BIT(36)
#define VTCR_D128  BIT(38)

#define ZCR_LEN BITS(3, 0)

#define MMFR0_PARANGE	BITS(3, 0)
#define MMFR0_TGRAN16	BITS(23, 20)
#define MMFR0_TGRAN64	BITS(27, 24)
#define MMFR0_TGRAN4	BITS(31, 28)
#define MMFR0_TGRAN16_2 BITS(35, 32)
#define MMFR0_TGRAN64_2 BITS(39, 36)
#define MMFR0_TGRAN4_2	BITS(43, 40)

#define MMFR1_HAFDBS BITS(3, 0)
#define MMFR1_HPDS   BITS(15, 12)
#define MMFR1_PAN    BITS(23, 20)
#define MMFR1_XNX    BITS(31, 28)

#define MMFR2_VARANGE BITS(19, 16)
#define MMFR2_ST      BITS(31, 28)
#define MMFR2_E0PD    BITS(63, 60)

/*
 * Whether ID_AA64MMFR0_EL1 has pages of 1 << granule bytes (12, 14 or 16) at a stage, 1 or 2;
 * lpa2: with descriptors of 52-bit addresses.
 */
bool sysreg_has_granule(uint64_t mmfr0, unsigned int stage, unsigned int granule, bool lpa2);

/* ID_AA64MMFR0_EL1 of the same CPU without 52-bit addresses at stage 1, FEAT_LPA2 nor FEAT_LPA. */
uint64_t sysreg_without_lpa2(uint64_t mmfr0);

#endif
