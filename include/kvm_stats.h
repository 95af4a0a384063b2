/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_KVM_STATS_H
#define NIDUS_KVM_STATS_H

#include <jansson.h>

/*
 * All binary statistics of a VM or vCPU (KVM_GET_STATS_FD) as an object: a number each, an array
 * for what has several values (histograms). The caller's to release; NULL where the kernel has no
 * such statistics, or on an error.
 */
json_t *kvm_stats_read(int fd);

#endif
