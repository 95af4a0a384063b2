// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 1 as its registers set it up: which table a virtual address belongs to, and how the walk
 * begins. D8.2 of the Arm ARM, TCR_EL1 and TCR_EL2 in D24.
 */
#include "walk.h"

#define SCTLR_M 0

/* Where the fields of TCR_ELx are, by the range that an address is in. */
struct tcr {
	unsigned int txsz, tg, ps, ha, ds; /* lowest bits */
	unsigned int tbi, tbid, hpd;
	unsigned int epd, e0pd; /* not in REGIME_EL2 */
	unsigned int granule[4]; /* by TG; 0: reserved */
};

static const struct tcr tcr_lower = {
	.txsz = 0,
	.tg = 14,
	.ps = 32,
	.ha = 39,
	.ds = 59,
	.tbi = 37,
	.tbid = 51,
	.hpd = 41,
	.epd = 7,
	.e0pd = 55,
	.granule = { 12, 16, 14, 0 },
};

static const struct tcr tcr_upper = {
	.txsz = 16,
	.tg = 30,
	.ps = 32,
	.ha = 39,
	.ds = 59,
	.tbi = 38,
	.tbid = 52,
	.hpd = 42,
	.epd = 23,
	.e0pd = 56,
	.granule = { 0, 14, 12, 16 },
};

static const struct tcr tcr_el2 = {
	.txsz = 0,
	.tg = 14,
	.ps = 16,
	.ha = 21,
	.ds = 32,
	.tbi = 20,
	.tbid = 29,
	.hpd = 24,
	.granule = { 12, 16, 14, 0 },
};

static bool stage1_is_upper(const struct regime *regime, uint64_t va)
{
	return regime->kind != REGIME_EL2 && bit(va, 55);
}

static const struct tcr *stage1_tcr(const struct regime *regime, uint64_t va)
{
	if (regime->kind == REGIME_EL2)
		return &tcr_el2;
	return stage1_is_upper(regime, va) ? &tcr_upper : &tcr_lower;
}

/* HCR_EL2.DC and TGE take stage 1 from the EL1&0 regime; a vCPU without EL2 has them clear. */
static bool stage1_is_off(const struct regime *regime)
{
	if (!bit(regime->sctlr, SCTLR_M))
		return true;
	return regime->kind == REGIME_EL10 &&
	       (bit(regime->hcr, HCR_DC) || bit(regime->hcr, HCR_TGE));
}

bool stage1_is_hierarchical(const struct regime *regime, uint64_t va)
{
	const bool can_disable = bits(regime->mmfr1, 15, 12) != 0;

	if (bit(regime->tcr2, TCR2_PIE) || bit(regime->tcr2, TCR2_POE) ||
	    bit(regime->tcr2, TCR2_E0POE))
		return false;
	return !(can_disable && bit(regime->tcr, stage1_tcr(regime, va)->hpd));
}

/* The highest bit of va that counts: TBI makes it 55, for instructions only if TBID is clear. */
static unsigned int stage1_top(const struct regime *regime, const struct tcr *tcr,
			       enum translate_access access)
{
	const bool tbid = access == TRANSLATE_EXECUTE && bit(regime->tcr, tcr->tbid);

	return bit(regime->tcr, tcr->tbi) && !tbid ? 55 : 63;
}

static bool stage1_in_range(const struct walk *walk, uint64_t va, bool upper, unsigned int top)
{
	const uint64_t rest = bits(va, top, walk->input_size);

	return rest == (upper ? bits(~UINT64_C(0), top, walk->input_size) : 0);
}

/* E0PDx, EPDx: tables that are not walked for that access. */
static bool stage1_is_barred(const struct regime *regime, const struct tcr *tcr, bool el0)
{
	const bool has_e0pd = bits(regime->mmfr2, 63, 60) != 0;

	if (regime->kind == REGIME_EL2)
		return false;
	return bit(regime->tcr, tcr->epd) || (el0 && has_e0pd && bit(regime->tcr, tcr->e0pd));
}

/* Granule, and the sizes of addresses that depend on it. */
static enum translate_result stage1_sizes(const struct regime *regime, const struct tcr *tcr,
					  struct walk *walk)
{
	const unsigned int pa_size = walk_pa_size(regime->mmfr0);
	const unsigned int ps = walk_ps(bits(regime->tcr, tcr->ps + 2, tcr->ps));
	const bool has_lva = bits(regime->mmfr2, 19, 16) != 0;
	const bool has_ttst = bits(regime->mmfr2, 31, 28) != 0;
	unsigned int shortest, longest;

	walk->granule = tcr->granule[bits(regime->tcr, tcr->tg + 1, tcr->tg)];
	/* The CPU takes one that it has, and only itself knows which. */
	if (walk->granule == 0 || !walk_has_granule(regime->mmfr0, 1, walk->granule, false))
		return TRANSLATE_FAIL;

	walk->lpa = pa_size == 52;
	walk->lpa2 = walk->granule != 16 && bit(regime->tcr, tcr->ds) &&
		     walk_has_granule(regime->mmfr0, 1, walk->granule, true);
	walk->output_size = ps < pa_size ? ps : pa_size;
	if (walk->granule != 16 && !walk->lpa2 && walk->output_size > 48)
		walk->output_size = 48;

	shortest = !has_ttst ? 25 : walk->granule == 16 ? 17 : 16;
	longest = (walk->granule == 16 ? has_lva : walk->lpa2) ? 52 : 48;
	walk->input_size = 64 - bits(regime->tcr, tcr->txsz + 5, tcr->txsz);
	return walk->input_size < shortest || walk->input_size > longest ? TRANSLATE_AGAIN
									 : TRANSLATE_DONE;
}

/* The first level is the highest that the input address has bits for. */
static int stage1_level(const struct walk *walk)
{
	const unsigned int stride = walk->granule - 3;

	return 4 - (int)((walk->input_size - walk->granule + stride - 1) / stride);
}

static enum translate_result stage1_flat(const struct regime *regime, uint64_t va, unsigned int top,
					 uint64_t *input)
{
	const unsigned int pa_size = walk_pa_size(regime->mmfr0);

	if (bits(va, top, pa_size) != 0)
		return TRANSLATE_AGAIN;
	*input = bits(va, pa_size - 1, 0);
	return TRANSLATE_DONE;
}

enum translate_result stage1_prepare(const struct regime *regime, uint64_t va,
				     enum translate_access access, bool el0, struct walk *walk,
				     uint64_t *input, bool *flat)
{
	const struct tcr *tcr = stage1_tcr(regime, va);
	const unsigned int top = stage1_top(regime, tcr, access);
	const bool upper = stage1_is_upper(regime, va);
	enum translate_result result;

	*flat = stage1_is_off(regime);
	if (*flat)
		return stage1_flat(regime, va, top, input);
	if (bit(regime->tcr2, TCR2_D128))
		return TRANSLATE_FAIL;
	result = stage1_sizes(regime, tcr, walk);
	if (result != TRANSLATE_DONE)
		return result;
	if (!stage1_in_range(walk, va, upper, top) || stage1_is_barred(regime, tcr, el0))
		return TRANSLATE_AGAIN;

	walk->level = stage1_level(walk);
	walk->big_endian = bit(regime->sctlr, SCTLR_EE);
	walk->sets_access_flag = bits(regime->mmfr1, 3, 0) != 0 && bit(regime->tcr, tcr->ha);
	*input = bits(va, walk->input_size - 1, 0);
	return walk_base(walk, regime->ttbr[upper]);
}
