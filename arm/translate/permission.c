// SPDX-License-Identifier: GPL-2.0-only
/*
 * Permissions of a page or block: D8.4 "Memory access control". Stage 1 gives permissions
 * directly, in the descriptor and the tables above it, or indirectly, by an index into PIR_ELx;
 * either can be narrowed by an overlay, an index into POR_ELx.
 */
#include "walk.h"

/* As POR_ELx encodes them. */
#define MAY_READ    1u
#define MAY_EXECUTE 2u
#define MAY_WRITE   4u

#define PAN3 3 /* in MMFR1_PAN */

/* The rights of one exception level. */
struct rights {
	unsigned int allowed;
	bool wxn; /* writable means not executable */
	bool overlaid;
};

struct both {
	struct rights privileged, el0;
};

static void permission_direct(const struct regime *regime, uint64_t leaf, uint64_t tables,
			      struct both *both)
{
	const bool writable = !(leaf & DESC_AP2) && !(tables & DESC_APTABLE1);
	const bool for_el0 = leaf & DESC_AP1 && !(tables & DESC_APTABLE0);
	const bool uxn = leaf & DESC_UXN || tables & DESC_UXNTABLE;
	const bool pxn = leaf & DESC_PXN || tables & DESC_PXNTABLE;
	const unsigned int data = MAY_READ | (writable ? MAY_WRITE : 0);

	both->privileged.wxn = both->el0.wxn = regime->sctlr & SCTLR_WXN;
	both->privileged.overlaid = both->el0.overlaid = true;
	both->privileged.allowed = data;
	if (regime->kind == REGIME_EL2) {
		both->privileged.allowed |= uxn ? 0 : MAY_EXECUTE;
		return;
	}
	both->el0.allowed = (for_el0 ? data : 0) | (uxn ? 0 : MAY_EXECUTE);
	/* Memory that EL0 can write is not executable above it. */
	both->privileged.allowed |= pxn || (for_el0 && writable) ? 0 : MAY_EXECUTE;
}

/* A field of PIR_ELx or PIRE0_ELx. */
static struct rights permission_base(unsigned int pi)
{
	static const unsigned int allowed[16] = {
		[0x1] = MAY_READ,
		[0x2] = MAY_EXECUTE,
		[0x3] = MAY_READ | MAY_EXECUTE,
		[0x5] = MAY_READ | MAY_WRITE,
		[0x6] = MAY_READ | MAY_WRITE | MAY_EXECUTE,
		[0x7] = MAY_READ | MAY_WRITE | MAY_EXECUTE,
		[0x8] = MAY_READ,
		[0x9] = MAY_READ, /* a Guarded Control Stack, written by its own instructions */
		[0xa] = MAY_READ | MAY_EXECUTE,
		[0xc] = MAY_READ | MAY_WRITE,
		[0xe] = MAY_READ | MAY_WRITE | MAY_EXECUTE,
	};

	return (struct rights){ allowed[pi], .wxn = pi == 0x6, .overlaid = pi < 8 };
}

static void permission_indirect(const struct regime *regime, uint64_t leaf, struct both *both)
{
	const unsigned int index = field_get(DESC_PIINDEX3_2, leaf) << 2 |
				   field_get(DESC_PIINDEX1, leaf) << 1 |
				   field_get(DESC_PIINDEX0, leaf);

	both->privileged = permission_base(bits(regime->pir, 4 * index + 3, 4 * index));
	if (regime->kind == REGIME_EL2)
		return;
	both->el0 = permission_base(bits(regime->pire0, 4 * index + 3, 4 * index));
	/* Executable above and writable by EL0 is no combination: then neither has any access. */
	if (both->privileged.allowed & MAY_EXECUTE && both->el0.allowed & MAY_WRITE)
		both->privileged.allowed = both->el0.allowed = 0;
}

static void permission_overlay(struct rights *rights, bool enabled, uint64_t por,
			       unsigned int index)
{
	unsigned int overlay = bits(por, 4 * index + 3, 4 * index);

	if (!enabled || !rights->overlaid) {
		if (rights->wxn && rights->allowed & MAY_WRITE)
			rights->allowed &= ~MAY_EXECUTE;
		return;
	}
	if (overlay > 7)
		overlay = 0;
	/* WXN with an overlay takes writing away and keeps execution. */
	if (rights->wxn && overlay & MAY_EXECUTE)
		overlay &= ~MAY_WRITE;
	rights->allowed &= overlay;
}

/* PSTATE.PAN: no data access to what EL0 has access to; with EPAN, what it can execute, too. */
static bool permission_pan(const struct regime *regime, const struct rights *el0)
{
	const bool has_pan3 = field_get(MMFR1_PAN, regime->mmfr1) >= PAN3;
	const bool epan = regime->sctlr & SCTLR_EPAN || regime->tcr2 & TCR2_PIE;

	if (!(regime->pstate & PSTATE_PAN) || regime->kind == REGIME_EL2)
		return false;
	return el0->allowed & (MAY_READ | MAY_WRITE) ||
	       (has_pan3 && epan && el0->allowed & MAY_EXECUTE);
}

static unsigned int permission_for(enum translate_access access)
{
	switch (access) {
	case TRANSLATE_READ:
		return MAY_READ;
	case TRANSLATE_WRITE:
		return MAY_WRITE;
	default:
		return MAY_EXECUTE;
	}
}

bool permission_stage1(const struct regime *regime, const struct leaf *leaf, bool hierarchical,
		       enum translate_access access, bool el0)
{
	const unsigned int po_index = field_get(DESC_POINDEX, leaf->descriptor);
	struct both both = { 0 };

	if (regime->tcr2 & TCR2_PIE)
		permission_indirect(regime, leaf->descriptor, &both);
	else
		permission_direct(regime, leaf->descriptor, hierarchical ? leaf->tables : 0, &both);
	permission_overlay(&both.privileged, regime->tcr2 & TCR2_POE, regime->por, po_index);
	permission_overlay(&both.el0, regime->tcr2 & TCR2_E0POE, regime->por_el0, po_index);

	if (el0)
		return both.el0.allowed & permission_for(access);
	if (access != TRANSLATE_EXECUTE && permission_pan(regime, &both.el0))
		return false;
	return both.privileged.allowed & permission_for(access);
}

/* S2AP, and XN as FEAT_XNX has it: bit 53 turns the meaning of bit 54 round for EL1. */
bool permission_stage2(const struct regime *regime, uint64_t descriptor,
		       enum translate_access access, bool el0)
{
	const bool has_xnx = regime->mmfr1 & MMFR1_XNX;
	const bool xn = descriptor & DESC_S2XN1;

	switch (access) {
	case TRANSLATE_READ:
		return descriptor & DESC_S2AP_R;
	case TRANSLATE_WRITE:
		return descriptor & DESC_S2AP_W;
	default:
		return !(xn ^ (has_xnx && !el0 && descriptor & DESC_S2XN0));
	}
}
