/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stolen time (Arm DEN 0057A; Documentation/virt/kvm/arm/pvtime.rst): KVM tells each vCPU, in a
 * structure in guest memory, how long it was kept from running.
 */
#ifndef NIDUS_PVTIME_H
#define NIDUS_PVTIME_H

struct pvtime {
	void *page; /* NULL: the host has no such thing; else what the guest sees at PVTIME_BASE */
};

/*
 * Where the host can, maps the structures and adds their memory slot. first_vcpu_fd is asked
 * whether the host can. Errors: -errno, said.
 */
int pvtime_create(struct pvtime *pvtime, int vm_fd, int first_vcpu_fd);
/* After the VM is closed. */
void pvtime_destroy(struct pvtime *pvtime);

/* Tells KVM where the structure of vCPU index is. Does nothing where there is none. */
int pvtime_init_vcpu(const struct pvtime *pvtime, int vcpu_fd, unsigned int index);

#endif
