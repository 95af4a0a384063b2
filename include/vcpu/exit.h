/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is done about a vCPU that came back from KVM_RUN (Documentation/virt/kvm/api.rst, "The
 * kvm_run structure").
 */
#ifndef NIDUS_EXIT_H
#define NIDUS_EXIT_H

#include <stdbool.h>

struct vcpu;

/* vcpu_env.exited of a machine. */
bool exit_handle(struct vcpu *vcpu, int err);

/* The name of KVM_EXIT_<reason> in lower case; NULL for numbers that this kernel API has not. */
const char *exit_name(unsigned int reason);

#endif
