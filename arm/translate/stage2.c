// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 2 as a guest hypervisor sets it up for its own guest: VTCR_EL2 and VTTBR_EL2, D8.2.
 */
#include "walk.h"

#define LEVEL_RESERVED 4

/* VTCR_EL2.SL0, and SL2 with descriptors of LPA2. */
static int stage2_level(const struct regime *regime, const struct walk *walk)
{
	static const int level[][4] = {
		{ 2, 1, 0, 3 },
		{ 3, 2, 1, 0 },
		{ 3, 2, 1, LEVEL_RESERVED },
	};
	const unsigned int sl0 = field_get(VTCR_SL0, regime->vtcr);
	const unsigned int pa_size = walk_pa_size(regime->mmfr0);
	const bool has_ttst = regime->mmfr2 & MMFR2_ST;

	if (walk->granule == 12 && walk->lpa2 && regime->vtcr & VTCR_SL2)
		return sl0 == 0 ? -1 : LEVEL_RESERVED;
	if (walk->granule == 12 && sl0 == 3 && !has_ttst)
		return LEVEL_RESERVED;
	if (walk->granule == 14 && sl0 == 3 && !walk->lpa2)
		return LEVEL_RESERVED;
	/* Not for CPUs whose addresses are too short to need that level. */
	if (sl0 == 2 && pa_size < (walk->granule == 14 ? 42 : 44))
		return LEVEL_RESERVED;
	return level[(walk->granule - 12) / 2][sl0];
}

/* The first level has 2 entries at least, and up to 16 tables one after the other. */
static bool stage2_level_fits(const struct walk *walk)
{
	const unsigned int stride = walk->granule - 3;
	const unsigned int below = walk->granule + (3 - walk->level) * stride;

	return walk->input_size >= below + 1 && walk->input_size <= below + stride + 4;
}

static enum translate_result stage2_sizes(const struct regime *regime, struct walk *walk)
{
	static const unsigned int granule[] = { 12, 16, 14, 0 };
	const struct walk_control control = {
		.stage = 2,
		.granule = granule[field_get(VTCR_TG0, regime->vtcr)],
		.ps = field_get(VTCR_PS, regime->vtcr),
		.txsz = field_get(VTCR_T0SZ, regime->vtcr),
		.ds = regime->vtcr & VTCR_DS,
	};
	enum translate_result result = walk_sizes(walk, regime, &control);

	if (result != TRANSLATE_DONE)
		return result;
	if (walk->input_size > walk_pa_size(regime->mmfr0))
		return TRANSLATE_AGAIN;
	return walk->input_size > 48 && walk->granule != 16 && !walk->lpa2 ? TRANSLATE_AGAIN
									   : TRANSLATE_DONE;
}

enum translate_result stage2_prepare(const struct regime *regime, struct walk *walk)
{
	enum translate_result result;

	if (regime->vtcr & (VTCR_D128 | VTCR_S2PIE))
		return TRANSLATE_FAIL;
	result = stage2_sizes(regime, walk);
	if (result != TRANSLATE_DONE)
		return result;
	walk->level = stage2_level(regime, walk);
	if (walk->level == LEVEL_RESERVED || !stage2_level_fits(walk))
		return TRANSLATE_AGAIN;
	walk->big_endian = regime->sctlr_el2 & SCTLR_EE;
	walk->sets_access_flag = regime->mmfr1 & MMFR1_HAFDBS && regime->vtcr & VTCR_HA;
	return walk_base(walk, regime->vttbr);
}
