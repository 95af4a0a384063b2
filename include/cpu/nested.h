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

/*
 * The first release of Linux of that kind in which a guest hypervisor cannot get out by the way
 * that is known since September 2026 (CVE-2026-89775); NULL where this one is none of those in
 * which it can.
 */
const char *nested_mended(const char *release);

/* What is known of this host's kernel, which is found out before nidus is confined. */
struct nested_kernel {
	char release[65]; /* utsname.release */
	char parameters[4096]; /* where they may explain that there is no EL2, else "" */
};

/* Says where a guest hypervisor could get out. */
void nested_look(struct nested_kernel *kernel, int kvm_fd);

/* nested_lacks() of this host. -ENOTSUP, said. */
int nested_check(int vm_fd, const struct nested_kernel *kernel, bool e2h0);

#endif
