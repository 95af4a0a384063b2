/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state of a vCPU: all registers that KVM gives to user space (KVM_GET_REG_LIST), those of EL2
 * among them, what it is about to do (KVM_GET_MP_STATE) and the exceptions that are pending
 * (KVM_GET_VCPU_EVENTS). KVM makes what it derives of them, shadow stage 2 above all, anew.
 *
 * The counters are not among them: they go on by themselves, and where they are is for the VM to
 * say (struct cpu_clock).
 */
#ifndef NIDUS_CPU_STATE_H
#define NIDUS_CPU_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "state/state.h"

struct kvm_reg_list;

/* What is the same for all vCPUs of a VM, and each time they are saved. All zeroes: not known yet.
 */
struct cpu_saved {
	struct kvm_reg_list *list;
	uint64_t *constant; /* for each of the list, if it is one */
	uint64_t constants; /* how many of them are known: none or all */
};

/*
 * vcpu_fd is not in KVM_RUN. Records "vcpu" and "vcpu-registers" with that index. same: of this VM,
 * to be released in the end.
 */
void cpu_save(struct state_writer *writer, struct cpu_saved *same, int vcpu_fd, unsigned int index);
void cpu_saved_release(struct cpu_saved *same);
/*
 * Into a vCPU that is initialized and has never run; whose counters stand where they are to be, as
 * far as cpu_clock_restore() does that before.
 */
void cpu_restore(struct state_reader *reader, int vcpu_fd, unsigned int index);

/* What the guest's counters show, in ticks. Record "clock". */
struct cpu_clock {
	uint64_t virtual, physical; /* CNTVCT_EL0, of no use with an offset, and CNTPCT_EL0 */
	uint64_t realtime; /* CLOCK_REALTIME then, in nanoseconds */
	uint32_t frequency; /* CNTFRQ_EL0, in Hz */
	uint32_t has_offset; /* of the whole VM: both are one (KVM_ARM_SET_COUNTER_OFFSET) */
};

/* All vCPUs rest; vcpu_fd is the first one's. */
void cpu_clock_save(struct state_writer *writer, int vcpu_fd, bool has_offset);
/* Reads the record, and checks it. */
void cpu_clock_get(struct state_reader *reader, struct cpu_clock *clock);
/* As if the guest's time had gone by since then, by the host's time of day. */
void cpu_clock_catch_up(struct cpu_clock *clock);
/*
 * Has the guest's counters go on from there: before registers are restored, and again when vCPUs
 * are about to run. None has run yet. offset: that of the VM, where it has one. Errors: -errno,
 * said.
 */
int cpu_clock_restore(const struct cpu_clock *clock, int vm_fd, int vcpu_fd, uint64_t *offset);

#endif
