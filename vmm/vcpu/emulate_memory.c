// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A guest that has changed a translation, and whose TLBI and DSB are done,
 * relies on it that no access by the old one is still under way. The CPU does not know of nidus,
 * which has walked the guest's tables and is about to use the result. So a result is used in two
 * cases only:
 *
 * - All of it lies in the page that the CPU has found itself, for KVM told where the access
 *   faulted. No RAM is there. It is as late as any access of a device that exits to user space.
 * - All other vCPUs are paused, from before the first table is read until the last byte of RAM has
 *   been read or written. No TLBI gets done in between. The instruction is fetched once more, too.
 *
 * The first walk, which only finds out which of the two cases it is, is not ordered against the
 * guest's TLBIs, so its result alone decides nothing, not even a fault.
 */
#include "emulate.h"
#include "vcpu/vcpu.h"

enum emulate_result emulate_from(enum translate_result result)
{
	switch (result) {
	case TRANSLATE_DONE:
		return EMULATE_DONE;
	case TRANSLATE_AGAIN:
		return EMULATE_AGAIN;
	default:
		return EMULATE_ABORT;
	}
}

static void forget(struct emulation *emulation)
{
	elements_forget(&emulation->elements);
	elements_forget(&emulation->source);
}

static bool is_reported(const struct emulation *emulation)
{
	return elements_in_page(&emulation->elements, emulation->reported) &&
	       elements_in_page(&emulation->source, emulation->reported);
}

/* Whether the vCPU still stands at the instruction that is being emulated. */
static enum translate_result fetch_again(const struct emulation *emulation)
{
	uint32_t word;
	enum translate_result result = lookup_fetch_again(&emulation->lookup, &word);

	return result == TRANSLATE_DONE && word != emulation->word ? TRANSLATE_AGAIN : result;
}

enum emulate_result emulate_translate(struct emulation *emulation,
				      enum translate_result (*translate)(struct emulation *))
{
	enum translate_result result = translate(emulation);

	if (result == TRANSLATE_DONE && is_reported(emulation))
		return EMULATE_DONE;
	forget(emulation);
	vcpu_pause_others(emulation->vcpu);
	emulation->alone = true;
	result = fetch_again(emulation);
	if (result == TRANSLATE_DONE)
		result = translate(emulation);
	return emulate_from(result);
}

void emulate_release(struct emulation *emulation)
{
	if (!emulation->alone)
		return;
	emulation->alone = false;
	/* From now on it may change again. */
	forget(emulation);
	vcpu_resume_others(emulation->vcpu);
}

static enum translate_result translate_elements(struct emulation *emulation)
{
	const struct insn *insn = &emulation->insn;

	return elements_translate(&emulation->elements,
				  insn->load ? TRANSLATE_READ : TRANSLATE_WRITE,
				  insn->unprivileged);
}

enum emulate_result emulate_carry_out(struct emulation *emulation)
{
	const bool write = emulation->insn.store;
	enum emulate_result result = emulate_translate(emulation, translate_elements);

	if (result == EMULATE_DONE)
		elements_ram(&emulation->elements, write);
	/* A device may take its time: the console has to have room. */
	emulate_release(emulation);
	if (result == EMULATE_DONE)
		elements_bus(&emulation->elements, write);
	return result;
}
