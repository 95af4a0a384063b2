/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a vCPU's addresses lead and which instruction it stands at, by the cheaper of two ways: KVM
 * says it, where it has the patches of kernel/, else the guest's tables do (translate.h). Both give
 * the same answers. docs/emulation.md says what each costs.
 */
#ifndef NIDUS_LOOKUP_H
#define NIDUS_LOOKUP_H

#include "translate/translate.h"

struct kvm_run;

struct lookup {
	int vcpu_fd;
	bool by_kvm;
	const struct memory *memory;
	struct regime regime; /* by_kvm: its state alone, see regime_read_state() */
};

/*
 * Has KVM fetch instructions for KVM_EXIT_ARM_NISV, if it can do that and KVM_TRANSLATE, and says
 * whether by_kvm may be set for the VM's vCPUs.
 */
bool lookup_enable(int vm_fd);

/*
 * Called by the vCPU's own thread outside KVM_RUN, as all below; what follows holds until the next
 * KVM_RUN. Errors: -errno, nothing is said.
 */
int lookup_begin(struct lookup *lookup, int vcpu_fd, bool by_kvm, const struct memory *memory);

/* As translate(). */
enum translate_result lookup(const struct lookup *lookup, uint64_t va, enum translate_access access,
			     bool unprivileged, struct translation *translation);

/*
 * As translate_fetch(). run: the vCPU's, after an exit that describes no access. TRANSLATE_AGAIN
 * is nothing that KVM says: it has then entered the guest again by itself.
 */
enum translate_result lookup_fetch(const struct lookup *lookup, const struct kvm_run *run,
				   uint32_t *insn);

/* The same as it is now, whatever came with the exit. */
enum translate_result lookup_fetch_again(const struct lookup *lookup, uint32_t *insn);

#endif
