/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether this host can give vCPUs an EL2, for guests that are hypervisors (FEAT_NV2;
 * Documentation/virt/kvm/api.rst, KVM_CAP_ARM_EL2 and KVM_CAP_ARM_EL2_E2H0), and when it cannot,
 * why.
 */
#ifndef NIDUS_NESTED_H
#define NIDUS_NESTED_H

#include <stdbool.h>

/* What is known of a host, so that what it lacks can be told. */
struct nested_host {
	const char *release; /* utsname.release */
	const char *parameters; /* the kernel's command line, one line; "" where it is not known */
	bool gicv3; /* KVM_DEV_TYPE_ARM_VGIC_V3 can be made */
	bool el2; /* KVM_CAP_ARM_EL2 */
	bool e2h0; /* KVM_CAP_ARM_EL2_E2H0 */
};

/*
 * The first thing that host lacks for a guest hypervisor, e2h0: for one without VHE; NULL when it
 * lacks nothing.
 */
const char *nested_lacks(const struct nested_host *host, bool e2h0);

/* The same of this host. -ENOTSUP, said. */
int nested_check(int vm_fd, bool e2h0);

#endif
