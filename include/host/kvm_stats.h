/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_KVM_STATS_H
#define NIDUS_KVM_STATS_H

#include <jansson.h>

/*
 * All binary statistics of a VM or vCPU, from the descriptor that KVM_GET_STATS_FD gave, as an
 * object: a number each, an array for what has several values (histograms). Never waits for a
 * vCPU. What makes no sense is left out, and nothing that the descriptor says is taken for granted.
 * The caller's to release; NULL on an error, a negative stats_fd included.
 */
json_t *kvm_stats_read(int stats_fd);

#endif
