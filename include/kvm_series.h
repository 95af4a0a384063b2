/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the patches of kernel/ add to the KVM API (Documentation/virt/kvm/api.rst there), which the
 * headers of a stock kernel do not have.
 */
#ifndef NIDUS_KVM_SERIES_H
#define NIDUS_KVM_SERIES_H

#include <linux/kvm.h>

/* KVM_TRANSLATE is there: struct kvm_translation is this on arm64. */
#define KVM_CAP_ARM_TRANSLATE 0x4e440004

struct kvm_arm_translation {
	__u64 linear_address;
	__u64 physical_address;
	__u8 valid, writeable, usermode;
#define KVM_ARM_TRANSLATE_UNPRIVILEGED (1 << 0)
	__u8 flags;
	/* Valid: */
#define KVM_ARM_TRANSLATE_READ	(1 << 0)
#define KVM_ARM_TRANSLATE_WRITE (1 << 1)
#define KVM_ARM_TRANSLATE_EXEC	(1 << 2)
	__u8 perms;
	__u8 attr; /* as PAR_EL1.ATTR */
	__u8 shift; /* the logarithm of the size of page or block */
	/* Not valid: */
#define KVM_ARM_TRANSLATE_FST 0x3f
#define KVM_ARM_TRANSLATE_PTW (1 << 6)
#define KVM_ARM_TRANSLATE_S2  (1 << 7)
	__u8 fault;
};

_Static_assert(sizeof(struct kvm_arm_translation) == sizeof(struct kvm_translation),
	       "KVM_TRANSLATE has the size in its number");

/* Of a VM, to be enabled: struct kvm_run's arm_nisv is this. */
#define KVM_CAP_ARM_NISV_INSN 0x4e440014

struct kvm_arm_nisv_insn {
	__u64 esr_iss;
	__u64 fault_ipa;
#define KVM_EXIT_ARM_NISV_FLAG_INSN_VALID (1ULL << 0)
	__u64 flags;
	__u32 insn;
	__u32 pad;
};

_Static_assert(sizeof(struct kvm_arm_nisv_insn) <= sizeof(((struct kvm_run *)0)->padding),
	       "an exit's description is in the union of kvm_run");

/* Of a VM; what kvm_check() says are the bits that its one argument may have. */
#define KVM_CAP_ARM_TRAP_TLBI		 0x4e440005
#define KVM_ARM_TRAP_TLBI_ALL		 1
#define KVM_ARM_TRAP_TLBI_PRECISE	 2
#define KVM_ARM_TRAP_TLBI_SHAREABLE_ONLY 4

/*
 * Indices in the statistic "tlbi" of a vCPU, which counts TLBIs that have trapped; with
 * KVM_ARM_TLBI_KINDS added those of TLBIs that are non-shareable.
 */
#define KVM_ARM_TLBI_ALL	    0
#define KVM_ARM_TLBI_ASID	    1
#define KVM_ARM_TLBI_VA		    2
#define KVM_ARM_TLBI_VA_ALL_ASID    3
#define KVM_ARM_TLBI_RANGE	    4
#define KVM_ARM_TLBI_RANGE_ALL_ASID 5
#define KVM_ARM_TLBI_KINDS	    6

#endif
