/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stolen time (Arm DEN 0057A; Documentation/virt/kvm/arm/pvtime.rst): KVM tells each vCPU, in a
 * structure in guest memory, how long it was kept from running.
 */
#ifndef NIDUS_PVTIME_H
#define NIDUS_PVTIME_H

#include <stdbool.h>

#include "mm/memslot.h"
#include "state/state.h"

/*
 * Where the host can, maps the structures at PVTIME_BASE, by a memory slot whose mapping is held.
 * first_vcpu_fd is asked whether the host can; there says it. Errors: -errno, said.
 */
int pvtime_create(struct memslot_held *held, int vm_fd, int first_vcpu_fd, bool *there);

/* Tells KVM where that of a vCPU is, after the GIC's initialization. Errors: -errno, said. */
int pvtime_init_vcpu(int vcpu_fd, unsigned int index);

/* What is there by now, record "pvtime". */
void pvtime_save(struct state_writer *writer, const struct memslot_held *held, unsigned int cpus);
/* The same; a guest that has known stolen time has to have it again. */
void pvtime_restore(struct state_reader *reader, const struct memslot_held *held,
		    unsigned int cpus);

#endif
