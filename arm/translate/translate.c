// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>

#include "walk.h"

#define INSN_SIZE sizeof(uint32_t)

static unsigned int translate_el(const struct regime *regime)
{
	return field_get(PSTATE_EL, regime->pstate);
}

/* Whether the permissions of EL0 count: at EL0, and for LDTR and STTR where these differ. */
static bool translate_is_el0(const struct regime *regime, bool unprivileged)
{
	const unsigned int el = translate_el(regime);
	const bool host = regime->kind == REGIME_EL20 && regime->hcr & HCR_TGE;

	if (el == 0)
		return true;
	return unprivileged && !(regime->pstate & PSTATE_UAO) && (el == 1 || host);
}

/*
 * AArch32 has formats of its own. With HCR_EL2.NV and NV1 a guest hypervisor's own guest, being a
 * hypervisor at EL1, has its tables read as if they were those of EL2.
 */
static bool translate_is_refused(const struct regime *regime)
{
	if (regime->pstate & PSTATE_NRW || translate_el(regime) == 3)
		return true;
	return regime->kind == REGIME_EL10 && regime->hcr & HCR_NV && regime->hcr & HCR_NV1;
}

/* MAIR_ELx.Attr<n> by the descriptor's AttrIndx: Device memory has 0 in the upper half. */
static bool translate_is_device(const struct regime *regime, uint64_t descriptor)
{
	return bits(regime->mair >> 8 * field_get(DESC_ATTRINDX, descriptor), 7, 4) == 0;
}

static enum translate_result translate_stage1(const struct regime *regime, struct walk *walk,
					      uint64_t va, enum translate_access access, bool el0,
					      struct translation *translation)
{
	enum translate_result result;
	struct leaf leaf;
	uint64_t input;
	bool flat;

	result = stage1_prepare(regime, va, access, el0, walk, &input, &flat);
	if (result != TRANSLATE_DONE)
		return result;
	if (flat) {
		const unsigned int pa_size = walk_pa_size(regime->mmfr0);

		*translation = (struct translation){
			.gpa = input,
			.size = (UINT64_C(1) << pa_size) - input,
			.device = !(regime->kind == REGIME_EL10 && regime->hcr & HCR_DC),
		};
		return TRANSLATE_DONE;
	}
	result = walk_tables(walk, input, &leaf);
	if (result != TRANSLATE_DONE)
		return result;
	if (!permission_stage1(regime, &leaf, stage1_is_hierarchical(regime, va), access, el0))
		return TRANSLATE_AGAIN;
	*translation = (struct translation){
		.gpa = leaf.address,
		.size = leaf.size,
		.device = translate_is_device(regime, leaf.descriptor),
	};
	return TRANSLATE_DONE;
}

/* Translates the result of stage 1 by stage 2. */
static enum translate_result translate_stage2(const struct regime *regime,
					      const struct walk *stage2,
					      enum translate_access access, bool el0,
					      struct translation *translation)
{
	enum translate_result result;
	struct leaf leaf;

	if (translation->gpa >> stage2->input_size)
		return TRANSLATE_AGAIN;
	result = walk_tables(stage2, translation->gpa, &leaf);
	if (result != TRANSLATE_DONE)
		return result;
	if (!permission_stage2(regime, leaf.descriptor, access, el0))
		return TRANSLATE_AGAIN;
	translation->gpa = leaf.address;
	if (translation->size > leaf.size)
		translation->size = leaf.size;
	return TRANSLATE_DONE;
}

enum translate_result translate(const struct regime *regime, const struct memory *memory,
				uint64_t va, enum translate_access access, bool unprivileged,
				struct translation *translation)
{
	const bool el0 = translate_is_el0(regime, unprivileged);
	struct walk stage1 = { .memory = memory }, stage2 = { .memory = memory };
	enum translate_result result;

	if (translate_is_refused(regime))
		return TRANSLATE_FAIL;
	if (!regime->stage2)
		return translate_stage1(regime, &stage1, va, access, el0, translation);

	result = stage2_prepare(regime, &stage2);
	if (result != TRANSLATE_DONE)
		return result;
	stage1.stage2 = &stage2;
	result = translate_stage1(regime, &stage1, va, access, el0, translation);
	if (result != TRANSLATE_DONE)
		return result;
	return translate_stage2(regime, &stage2, access, el0, translation);
}

enum translate_result translate_insn_at(const struct memory *memory, uint64_t gpa, uint32_t *insn)
{
	const uint32_t *host = memory_at(memory, gpa, INSN_SIZE);

	if (!host)
		return TRANSLATE_FAIL;
	/* Little-endian whatever SCTLR_ELx.EE says. */
	*insn = le32toh(__atomic_load_n(host, __ATOMIC_RELAXED));
	return TRANSLATE_DONE;
}

enum translate_result translate_fetch(const struct regime *regime, const struct memory *memory,
				      uint32_t *insn)
{
	struct translation translation;
	enum translate_result result;

	/* Run again, the guest takes the exception for a misaligned PC. */
	if (regime->pc % INSN_SIZE != 0)
		return TRANSLATE_AGAIN;
	result = translate(regime, memory, regime->pc, TRANSLATE_EXECUTE, false, &translation);
	if (result != TRANSLATE_DONE)
		return result;
	return translate_insn_at(memory, translation.gpa, insn);
}
