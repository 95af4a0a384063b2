/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts that translate() is made of: a walk of the tables of one stage (Arm ARM, D8.2
 * "Translation process"), its set-up from the registers of stage 1 or stage 2, and permissions
 * (D8.4). For arm/ alone; translate.h is what others use.
 */
#ifndef NIDUS_WALK_H
#define NIDUS_WALK_H

#include "arm/sysreg.h"
#include "translate/translate.h"

/*
 * Descriptors, D8.3: masks. Several have other names, or other meanings, by the stage and by how
 * permissions are given.
 */
#define DESC_VALID    BIT(0)
#define DESC_TABLE    BIT(1) /* at level 3: a page */
#define DESC_ATTRINDX BITS(4, 2)
#define DESC_AF	      BIT(10)

/* Direct permissions. */
#define DESC_AP1      BIT(6) /* for EL0, too */
#define DESC_AP2      BIT(7) /* read-only */
#define DESC_PXN      BIT(53)
#define DESC_UXN      BIT(54) /* XN, where EL0 has no part */
#define DESC_PXNTABLE BIT(59)
#define DESC_UXNTABLE BIT(60)
#define DESC_APTABLE0 BIT(61) /* not for EL0 */
#define DESC_APTABLE1 BIT(62) /* read-only */

/* Indirect permissions and overlays. */
#define DESC_PIINDEX0	BIT(6)
#define DESC_PIINDEX1	BIT(51)
#define DESC_PIINDEX3_2 BITS(54, 53)
#define DESC_POINDEX	BITS(62, 60)

/* Stage 2. */
#define DESC_S2AP_R BIT(6)
#define DESC_S2AP_W BIT(7)
#define DESC_S2XN0  BIT(53)
#define DESC_S2XN1  BIT(54)

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

/* The size of physical addresses by ID_AA64MMFR0_EL1, in bits, 52 at most. */
unsigned int walk_pa_size(uint64_t mmfr0);

/* What TCR_ELx or VTCR_EL2 says, its fields as numbers. */
struct walk_control {
	unsigned int stage; /* 1 or 2 */
	unsigned int granule; /* as in struct walk; 0: a reserved TG */
	unsigned int ps, txsz;
	bool ds;
};

/*
 * Fills in granule, lpa, lpa2, input_size and output_size. TRANSLATE_FAIL: the CPU has no such
 * granule, and takes one that only itself knows. TRANSLATE_AGAIN: the input address is too short;
 * whether it is too long is for the caller to check.
 */
enum translate_result walk_sizes(struct walk *walk, const struct regime *regime,
				 const struct walk_control *control);

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
