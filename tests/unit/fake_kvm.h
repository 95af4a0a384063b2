/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In place of vmm/host/kvm.c: a journal of what was asked of KVM, and answers as told.
 */
#ifndef FAKE_KVM_H
#define FAKE_KVM_H

#include <stdbool.h>
#include <stdint.h>

#include "host/kvm.h"

#define FAKE_KVM_GSIS	   1024
#define FAKE_KVM_REGISTERS 128

struct fake_kvm {
	/* A line for every call that changes something: its name without kvm_, its arguments. */
	char journal[8192];

	/* The call that fails, by its name without kvm_, and how; NULL: none. */
	const char *fails;
	int error;

	int capability[1024]; /* what kvm_check() says */
	int trap_tlbi; /* of KVM_CAP_ARM_TRAP_TLBI */
	/* What kvm_get_attr() says, 64 bits of system registers, else 32; NULL: -ENXIO. */
	uint32_t (*get_attr)(unsigned int group, uint64_t attr);
	uint64_t (*get_attr_64)(uint64_t attr);
	bool no_gicv3, no_gicv2, no_its; /* kvm_create_device() says -ENODEV */
	int device_fd, its_fd; /* what it hands out: the test's to open */

	int irqfd[FAKE_KVM_GSIS]; /* the last eventfd of each GSI */
	bool irqfd_on[FAKE_KVM_GSIS]; /* it interrupts */
	struct kvm_irq_routing_entry route[FAKE_KVM_GSIS]; /* the last table */
	unsigned int route_count;

	/* What kvm_get_dirty_log() takes; the test's. */
	void *dirty;
	size_t dirty_bytes;

	/* A byte for each 16 of guest memory from tags_at on; the test's. */
	uint8_t *tags;
	uint64_t tags_at;

	struct kvm_vcpu_init init; /* the last one of kvm_vcpu_init() */
	bool sve_finalized; /* then KVM refuses to do it again, until a new vCPU */
	uint64_t sve_lengths[KVM_ARM64_SVE_VLS_WORDS];
	uint64_t x[31], pc, mpidr, mmfr0;
	/* Of the generic timers; initializing a vCPU clears them. */
	uint64_t timer_cval, timer_ctl, ptimer_cval, ptimer_ctl;
	/* Those that a test has given the vCPU besides. */
	struct {
		uint64_t id;
		uint8_t value[256];
	} given[FAKE_KVM_REGISTERS];
	unsigned int given_count;
	int mp_state;
	struct kvm_vcpu_events events;
	struct kvm_guest_debug debug; /* the last one */
};

extern struct fake_kvm fake_kvm;

/* Forgets all. */
void fake_kvm_reset(void);

/* Gives the vCPU a register, or it another value; what it has then, 0 where there is none. */
void fake_kvm_give(uint64_t id, uint64_t value);
uint64_t fake_kvm_value(uint64_t id);

#endif
