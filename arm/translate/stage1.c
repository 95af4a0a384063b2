// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stage 1 as its registers set it up: which table a virtual address belongs to, and how the walk
 * begins. D8.2 of the Arm ARM, TCR_EL1 and TCR_EL2 in D24.
 */
#include "walk.h"

/* Masks of the fields of TCR_ELx, by the range that an address is in. */
struct tcr {
	uint64_t txsz, tg, ps, ha, ds;
	uint64_t tbi, tbid, hpd;
	uint64_t epd, e0pd; /* not in REGIME_EL2 */
	unsigned int granule[4]; /* by TG; 0: reserved */
};

static const struct tcr tcr_lower = {
	.txsz = BITS(5, 0),
	.tg = BITS(15, 14),
	.ps = BITS(34, 32),
	.ha = BIT(39),
	.ds = BIT(59),
	.tbi = BIT(37),
	.tbid = BIT(51),
	.hpd = BIT(41),
	.epd = BIT(7),
	.e0pd = BIT(55),
	.granule = { 12, 16, 14, 0 },
};

static const struct tcr tcr_upper = {
	.txsz = BITS(21, 16),
	.tg = BITS(31, 30),
	.ps = BITS(34, 32),
	.ha = BIT(39),
	.ds = BIT(59),
	.tbi = BIT(38),
	.tbid = BIT(52),
	.hpd = BIT(42),
	.epd = BIT(23),
	.e0pd = BIT(56),
	.granule = { 0, 14, 12, 16 },
};

static const struct tcr tcr_el2 = {
	.txsz = BITS(5, 0),
	.tg = BITS(15, 14),
	.ps = BITS(18, 16),
	.ha = BIT(21),
	.ds = BIT(32),
	.tbi = BIT(20),
	.tbid = BIT(29),
	.hpd = BIT(24),
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
	if (!(regime->sctlr & SCTLR_M))
		return true;
	return regime->kind == REGIME_EL10 && regime->hcr & (HCR_DC | HCR_TGE);
}

bool stage1_is_hierarchical(const struct regime *regime, uint64_t va)
{
	const bool can_disable = regime->mmfr1 & MMFR1_HPDS;

	if (regime->tcr2 & (TCR2_PIE | TCR2_POE | TCR2_E0POE))
		return false;
	return !(can_disable && regime->tcr & stage1_tcr(regime, va)->hpd);
}

/* The highest bit of va that counts: TBI makes it 55, for instructions only if TBID is clear. */
static unsigned int stage1_top(const struct regime *regime, const struct tcr *tcr,
			       enum translate_access access)
{
	const bool tbid = access == TRANSLATE_EXECUTE && regime->tcr & tcr->tbid;

	return regime->tcr & tcr->tbi && !tbid ? 55 : 63;
}

static bool stage1_in_range(const struct walk *walk, uint64_t va, bool upper, unsigned int top)
{
	const uint64_t rest = bits(va, top, walk->input_size);

	return rest == (upper ? bits(~UINT64_C(0), top, walk->input_size) : 0);
}

/* E0PDx, EPDx: tables that are not walked for that access. */
static bool stage1_is_barred(const struct regime *regime, const struct tcr *tcr, bool el0)
{
	const bool has_e0pd = regime->mmfr2 & MMFR2_E0PD;

	if (regime->kind == REGIME_EL2)
		return false;
	return regime->tcr & tcr->epd || (el0 && has_e0pd && regime->tcr & tcr->e0pd);
}

static enum translate_result stage1_sizes(const struct regime *regime, const struct tcr *tcr,
					  struct walk *walk)
{
	const struct walk_control control = {
		.stage = 1,
		.granule = tcr->granule[field_get(tcr->tg, regime->tcr)],
		.ps = field_get(tcr->ps, regime->tcr),
		.txsz = field_get(tcr->txsz, regime->tcr),
		.ds = regime->tcr & tcr->ds,
	};
	const bool has_lva = regime->mmfr2 & MMFR2_VARANGE;
	enum translate_result result = walk_sizes(walk, regime, &control);
	unsigned int longest;

	if (result != TRANSLATE_DONE)
		return result;
	longest = (walk->granule == 16 ? has_lva : walk->lpa2) ? 52 : 48;
	return walk->input_size > longest ? TRANSLATE_AGAIN : TRANSLATE_DONE;
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
	if (regime->tcr2 & TCR2_D128)
		return TRANSLATE_FAIL;
	result = stage1_sizes(regime, tcr, walk);
	if (result != TRANSLATE_DONE)
		return result;
	if (!stage1_in_range(walk, va, upper, top) || stage1_is_barred(regime, tcr, el0))
		return TRANSLATE_AGAIN;

	walk->level = stage1_level(walk);
	walk->big_endian = regime->sctlr & SCTLR_EE;
	walk->sets_access_flag = regime->mmfr1 & MMFR1_HAFDBS && regime->tcr & tcr->ha;
	*input = bits(va, walk->input_size - 1, 0);
	return walk_base(walk, regime->ttbr[upper]);
}
