/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the patches of kernel/ add to the KVM API (Documentation/virt/kvm/api.rst there), which the
 * headers of a stock kernel do not have.
 */
#ifndef NIDUS_KVM_SERIES_H
#define NIDUS_KVM_SERIES_H

/* Of a VM; what kvm_check() says are the bits that its one argument may have. */
#define KVM_CAP_ARM_TRAP_TLBI		 0x4e440005
#define KVM_ARM_TRAP_TLBI_ALL		 1
#define KVM_ARM_TRAP_TLBI_PRECISE	 2
#define KVM_ARM_TRAP_TLBI_SHAREABLE_ONLY 4

#endif
