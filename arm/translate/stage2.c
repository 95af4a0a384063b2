// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 2 as a guest hypervisor sets it up for its own guest: VTCR_EL2 and VTTBR_EL2, D8.2.
 */
#include "walk.h"

#define VTCR_HA	   21
#define VTCR_DS	   32
#define VTCR_SL2   33
#define VTCR_S2PIE 36
#define VTCR_D128  38

#define LEVEL_RESERVED 4

/* VTCR_EL2.SL0, and SL2 with descriptors of LPA2. */
static int stage2_level(const struct regime *regime, const struct walk *walk)
{
	static const int level[][4] = {
		{ 2, 1, 0, 3 },
		{ 3, 2, 1, 0 },
		{ 3, 2, 1, LEVEL_RESERVED },
	};
	const unsigned int sl0 = bits(regime->vtcr, 7, 6);
	const unsigned int pa_size = walk_pa_size(regime->mmfr0);
	const bool has_ttst = bits(regime->mmfr2, 31, 28) != 0;

	if (walk->granule == 12 && walk->lpa2 && bit(regime->vtcr, VTCR_SL2))
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
	const unsigned int pa_size = walk_pa_size(regime->mmfr0);
	const unsigned int ps = walk_ps(bits(regime->vtcr, 18, 16));
	const bool has_ttst = bits(regime->mmfr2, 31, 28) != 0;
	unsigned int shortest;

	walk->granule = granule[bits(regime->vtcr, 15, 14)];
	if (walk->granule == 0 || !walk_has_granule(regime->mmfr0, 2, walk->granule, false))
		return TRANSLATE_FAIL;

	walk->lpa = pa_size == 52;
	walk->lpa2 = walk->granule != 16 && bit(regime->vtcr, VTCR_DS) &&
		     walk_has_granule(regime->mmfr0, 2, walk->granule, true);
	walk->output_size = ps < pa_size ? ps : pa_size;
	if (walk->granule != 16 && !walk->lpa2 && walk->output_size > 48)
		walk->output_size = 48;

	shortest = !has_ttst ? 25 : walk->granule == 16 ? 17 : 16;
	walk->input_size = 64 - bits(regime->vtcr, 5, 0);
	if (walk->input_size < shortest || walk->input_size > pa_size)
		return TRANSLATE_AGAIN;
	return walk->input_size > 48 && walk->granule != 16 && !walk->lpa2 ? TRANSLATE_AGAIN
									   : TRANSLATE_DONE;
}

enum translate_result stage2_prepare(const struct regime *regime, struct walk *walk)
{
	enum translate_result result;

	if (bit(regime->vtcr, VTCR_D128) || bit(regime->vtcr, VTCR_S2PIE))
		return TRANSLATE_FAIL;
	result = stage2_sizes(regime, walk);
	if (result != TRANSLATE_DONE)
		return result;
	walk->level = stage2_level(regime, walk);
	if (walk->level == LEVEL_RESERVED || !stage2_level_fits(walk))
		return TRANSLATE_AGAIN;
	walk->big_endian = bit(regime->sctlr_el2, SCTLR_EE);
	walk->sets_access_flag = bits(regime->mmfr1, 3, 0) != 0 && bit(regime->vtcr, VTCR_HA);
	return walk_base(walk, regime->vttbr);
}
