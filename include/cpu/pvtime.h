/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stolen time (Arm DEN 0057A; Documentation/virt/kvm/arm/pvtime.rst): KVM tells each vCPU, in a
 * structure in guest memory, how long it was kept from running.
 */
#ifndef NIDUS_PVTIME_H
#define NIDUS_PVTIME_H

#include <stdbool.h>

#include "mm/memslot.h"

/*
 * Where the host can, maps the structures at PVTIME_BASE, by a memory slot whose mapping is held.
 * first_vcpu_fd is asked whether the host can; there says it. Errors: -errno, said.
 */
int pvtime_create(struct memslot_held *held, int vm_fd, int first_vcpu_fd, bool *there);

/* Tells KVM where that of a vCPU is, after the GIC's initialization. Errors: -errno, said. */
int pvtime_init_vcpu(int vcpu_fd, unsigned int index);

#endif
