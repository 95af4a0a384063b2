/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is done about a vCPU that came back from KVM_RUN (Documentation/virt/kvm/api.rst, "The
 * kvm_run structure").
 */
#ifndef NIDUS_EXIT_H
#define NIDUS_EXIT_H

#include <stdbool.h>

struct vcpu;

/*
 * err: what KVM_RUN returned, -EINTR and -EAGAIN apart. Called by the vCPU's thread. False when
 * the vCPU must not run again; the verdict says why.
 */
bool exit_handle(struct vcpu *vcpu, int err);

/* The name of KVM_EXIT_<reason> in lower case; NULL for numbers that this kernel API has not. */
const char *exit_name(unsigned int reason);

#endif
