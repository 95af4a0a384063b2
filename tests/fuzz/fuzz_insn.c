// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any word is decoded, and what comes of it is within the bounds that those who emulate rely on.
 */
#include "arm/insn.h"
#include "fuzz.h"

static void check_structure(const struct insn *insn)
{
	MUST(insn->registers >= 1 && insn->registers <= 4);
	MUST(insn->structure == 1 || insn->structure == insn->registers);
	MUST(insn->bytes <= 8 && insn->lanes >= 1);
	MUST(insn->lanes * insn->bytes <= 16);
	MUST((insn->index + 1) * insn->bytes <= 16);
	MUST(!insn->replicate || insn->single);
}

static void check_copy(const struct insn *insn)
{
	MUST(insn->stage <= INSN_EPILOGUE);
	MUST(insn->rt < 31 && insn->rn < 31 && insn->rt != insn->rn);
	MUST(insn->class == INSN_SET || insn->rs < 31);
}

static void check(const struct insn *insn)
{
	MUST(insn->rt < 32 && insn->rt2 < 32 && insn->rn < 32 && insn->rm < 32 && insn->rs < 32);
	MUST((insn->bytes & (insn->bytes - 1)) == 0 && insn->bytes <= 16);
	MUST(insn->bytes <= 8 || insn->vector);
	MUST(insn->shift <= 4 && insn->pg < 8);
	MUST(insn->offset >= -1024 && insn->offset <= 4095 * 16);
	if (insn->class == INSN_STRUCTURE)
		check_structure(insn);
	if (insn->class == INSN_COPY || insn->class == INSN_SET)
		check_copy(insn);
	if (insn->class == INSN_SVE && insn->sve == INSN_SVE_ELEMENTS)
		MUST(insn->lane >= insn->bytes && insn->lane <= 8);
	if (insn->class == INSN_CAS && insn->pair)
		MUST(insn->rs < 31 && insn->rt < 31);
	if (insn->class == INSN_LDST64B)
		MUST(insn->rt <= 22);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };

	while (input.size >= 4) {
		struct insn insn;
		bool decoded = insn_decode(take(&input, 4), &insn);

		MUST(insn.class < INSN_CLASSES && insn_class_name(insn.class));
		MUST(decoded == (insn.class > INSN_REFUSED));
		if (decoded)
			check(&insn);
		if (decoded && insn.class != INSN_PREFETCH && insn.class != INSN_EXCLUSIVE)
			MUST(insn.bytes > 0 || insn.class == INSN_ZERO);
		if (decoded && insn.class != INSN_PREFETCH && insn.class != INSN_EXCLUSIVE)
			MUST(insn.load || insn.store);
	}
	return 0;
}
