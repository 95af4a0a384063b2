/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PSCI SYSTEM_SUSPEND (Arm DEN 0022, 5.20), which KVM leaves to user space whole.
 */
#ifndef NIDUS_SUSPEND_H
#define NIDUS_SUSPEND_H

struct vcpu;

/*
 * After KVM_SYSTEM_EVENT_SUSPEND, by the vCPU's thread: puts the vCPU to sleep until an interrupt
 * for it is pending, to go on at the entry point that it named; or refuses, with a PSCI error in
 * X0, when other vCPUs are still on. Errors: -errno, said.
 */
int suspend_enter(struct vcpu *vcpu);

/* After KVM_SYSTEM_EVENT_WAKEUP, by the vCPU's thread. Errors: -errno, said. */
int suspend_leave(struct vcpu *vcpu);

#endif
