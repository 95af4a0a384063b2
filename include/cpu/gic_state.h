/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The state of a GICv3: distributor, redistributors, CPU interfaces, those of guest hypervisors to
 * their guests (ICH_*), interrupt lines, ITS.
 */
#ifndef NIDUS_GIC_STATE_H
#define NIDUS_GIC_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/gic.h"
#include "state/state.h"

/* A GICv2 cannot. */
bool gic_can_be_saved(const struct gic *gic);

/*
 * No vCPU is in KVM_RUN, and nothing that interrupts moves. mpidr: of each vCPU. Guest memory is
 * written to: tables that the guest has set aside.
 */
void gic_save(struct state_writer *writer, const struct gic *gic, const uint64_t *mpidr);

/* Into one that is new, when guest memory and vCPUs are restored. */
void gic_restore(struct state_reader *reader, const struct gic *gic, const uint64_t *mpidr);

#endif
