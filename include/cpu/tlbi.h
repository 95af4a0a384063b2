/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * TLB invalidation instructions of the guest (TLBI, Arm ARM D8.17) that trap to KVM, to be counted,
 * traced or made coarser: KVM_CAP_ARM_TRAP_TLBI of the patches in kernel/.
 */
#ifndef NIDUS_TLBI_H
#define NIDUS_TLBI_H

#include <stdbool.h>

enum tlbi_policy {
	TLBI_OFF, /* none traps */
	TLBI_ALL, /* what traps invalidates all of the guest's stage 1 */
	TLBI_PRECISE, /* what traps invalidates what it asks for */
};

struct tlbi_trap {
	enum tlbi_policy policy;
	bool shareable_only; /* those of the Inner and Outer Shareable domain trap, others do not */
};

/*
 * Asks KVM for it, before the first vCPU is made. -ENOTSUP where the host cannot; other errors are
 * KVM's, -errno. All are said.
 */
int tlbi_trap(int vm_fd, const struct tlbi_trap *trap);

#endif
