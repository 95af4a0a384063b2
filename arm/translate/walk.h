/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts that translate() is made of: a walk of the tables of one stage (Arm ARM, D8.2
 * "Translation process"), its set-up from the registers of stage 1 or stage 2, and permissions
 * (D8.4). For arm/ alone; translate.h is what others use.
 */
#ifndef NIDUS_WALK_H
#define NIDUS_WALK_H

#include "translate/translate.h"

/* Bit numbers in registers that several of the parts look at. */

#define SCTLR_EE 25

#define HCR_VM	0
#define HCR_DC	12
#define HCR_TGE 27
#define HCR_E2H 34
#define HCR_NV	42
#define HCR_NV1 43

#define TCR2_PIE   1
#define TCR2_E0POE 2
#define TCR2_POE   3
#define TCR2_D128  5

/* Bits [high:low] of value. */
static inline uint64_t bits(uint64_t value, unsigned int high, unsigned int low)
{
	return value >> low & ~UINT64_C(0) >> (63 - (high - low));
}

static inline bool bit(uint64_t value, unsigned int n)
{
	return value >> n & 1;
}

/* One stage: where its tables begin, and how they are read. */
struct walk {
	const struct memory *memory;
	const struct walk *stage2; /* what addresses of tables go through; NULL: nothing */
	unsigned int granule; /* of a page's size, the logarithm: 12, 14 or 16 */
	unsigned int input_size, output_size; /* bits of addresses */
	int level; /* that of the first table */
	uint64_t table; /* where that is */
	bool lpa2; /* descriptors in the format of TCR_ELx.DS == 1 */
	bool lpa; /* FEAT_LPA: 64 KiB granules have blocks at level 1 */
	bool big_endian;
	bool sets_access_flag; /* by hardware, so that a clear one is no fault */
};

/* Where a walk ended. */
struct leaf {
	uint64_t descriptor;
	uint64_t tables; /* the descriptors of all tables on the way, ORed */
	uint64_t address; /* what the input address became */
	uint64_t size; /* bytes from there to the end of page or block */
};

/*
 * The address of the first table out of TTBR_ELx or VTTBR_EL2, once all else of walk is filled in.
 * TRANSLATE_AGAIN where it has too many bits.
 */
enum translate_result walk_base(struct walk *walk, uint64_t ttbr);

/* input has no bits above walk->input_size. Permissions of the leaf are for the caller to check. */
enum translate_result walk_tables(const struct walk *walk, uint64_t input, struct leaf *leaf);

/* What ID_AA64MMFR0_EL1 says. The size of physical addresses is in bits, 52 at most. */
unsigned int walk_pa_size(uint64_t mmfr0);
/* The number of bits that a field like TCR_EL1.IPS allows. */
unsigned int walk_ps(unsigned int ps);
/* Whether pages of that granule exist at that stage; lpa2: with 52-bit descriptors. */
bool walk_has_granule(uint64_t mmfr0, unsigned int stage, unsigned int granule, bool lpa2);

/*
 * Stage 1: the walk for va and the address that goes into it. flat: there is nothing to walk, and
 * input is the result.
 */
enum translate_result stage1_prepare(const struct regime *regime, uint64_t va,
				     enum translate_access access, bool el0, struct walk *walk,
				     uint64_t *input, bool *flat);
/* Whether permissions of tables count for va: TCR_ELx.HPD and what implies it. */
bool stage1_is_hierarchical(const struct regime *regime, uint64_t va);

/* Stage 2. */
enum translate_result stage2_prepare(const struct regime *regime, struct walk *walk);

/* el0: the access is made with the rights of EL0. */
bool permission_stage1(const struct regime *regime, const struct leaf *leaf, bool hierarchical,
		       enum translate_access access, bool el0);
bool permission_stage2(const struct regime *regime, uint64_t descriptor,
		       enum translate_access access, bool el0);

#endif
