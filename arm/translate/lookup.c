// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "host/kvm.h"
#include "kvm_series.h"
#include "translate/lookup.h"

/* Synchronous external abort on a walk, at level -1 to 3: a table is not in RAM. */
#define FST_ABORT_FIRST 0x13
#define FST_ABORT_LAST	0x17

bool lookup_enable(int vm_fd)
{
	return kvm_check(vm_fd, KVM_CAP_ARM_TRANSLATE) > 0 &&
	       kvm_enable(vm_fd, KVM_CAP_ARM_NISV_INSN) >= 0;
}

int lookup_begin(struct lookup *lookup, int vcpu_fd, bool by_kvm, const struct memory *memory)
{
	lookup->vcpu_fd = vcpu_fd;
	lookup->by_kvm = by_kvm;
	lookup->memory = memory;
	return by_kvm ? regime_read_state(&lookup->regime, vcpu_fd)
		      : regime_read(&lookup->regime, vcpu_fd);
}

static bool lookup_permits(uint8_t perms, enum translate_access access)
{
	switch (access) {
	case TRANSLATE_READ:
		return perms & KVM_ARM_TRANSLATE_READ;
	case TRANSLATE_WRITE:
		return perms & KVM_ARM_TRANSLATE_WRITE;
	default:
		return perms & KVM_ARM_TRANSLATE_EXEC;
	}
}

static enum translate_result lookup_ask(int vcpu_fd, uint64_t va, enum translate_access access,
					bool unprivileged, struct translation *translation)
{
	struct kvm_arm_translation answer = {
		.linear_address = va,
		.flags = unprivileged ? KVM_ARM_TRANSLATE_UNPRIVILEGED : 0,
	};
	uint64_t size;

	/* KVM refuses only vCPUs that execute AArch32. */
	if (kvm_translate(vcpu_fd, &answer) < 0)
		return TRANSLATE_FAIL;
	if (!answer.valid) {
		const unsigned int fst = answer.fault & KVM_ARM_TRANSLATE_FST;

		return fst >= FST_ABORT_FIRST && fst <= FST_ABORT_LAST ? TRANSLATE_FAIL
								       : TRANSLATE_AGAIN;
	}
	if (!lookup_permits(answer.perms, access))
		return TRANSLATE_AGAIN;
	size = UINT64_C(1) << answer.shift;
	*translation = (struct translation){
		.gpa = answer.physical_address,
		.size = size - (answer.physical_address & (size - 1)),
		.device = answer.attr >> 4 == 0,
	};
	return TRANSLATE_DONE;
}

enum translate_result lookup(const struct lookup *lookup, uint64_t va, enum translate_access access,
			     bool unprivileged, struct translation *translation)
{
	if (lookup->by_kvm)
		return lookup_ask(lookup->vcpu_fd, va, access, unprivileged, translation);
	return translate(&lookup->regime, lookup->memory, va, access, unprivileged, translation);
}

enum translate_result lookup_fetch(const struct lookup *lookup, const struct kvm_run *run,
				   uint32_t *insn)
{
	struct kvm_arm_nisv_insn exit;

	if (!lookup->by_kvm)
		return translate_fetch(&lookup->regime, lookup->memory, insn);
	memcpy(&exit, &run->arm_nisv, sizeof(exit));
	*insn = exit.insn;
	return exit.flags & KVM_EXIT_ARM_NISV_FLAG_INSN_VALID ? TRANSLATE_DONE : TRANSLATE_FAIL;
}

enum translate_result lookup_fetch_again(const struct lookup *lookup, uint32_t *insn)
{
	struct translation translation;
	enum translate_result result;

	if (!lookup->by_kvm)
		return translate_fetch(&lookup->regime, lookup->memory, insn);
	result = lookup_ask(lookup->vcpu_fd, lookup->regime.pc, TRANSLATE_EXECUTE, false,
			    &translation);
	if (result != TRANSLATE_DONE)
		return result;
	return translate_insn_at(lookup->memory, translation.gpa, insn);
}
