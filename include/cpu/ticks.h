/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest's time, in ticks of its counters. No vCPU of it is in KVM_RUN.
 */
#ifndef NIDUS_TICKS_H
#define NIDUS_TICKS_H

#include <stdint.h>

/* What the virtual counter shows now. Errors: -errno, not said. */
int ticks_read(int vcpu_fd, uint64_t *ticks);

/*
 * Has the virtual counter of all vCPUs go on from ticks; the physical one stays the host's. Not for
 * a VM with a counter offset, where KVM ignores it. Errors: -errno, not said.
 */
int ticks_set(int vcpu_fd, uint64_t ticks);

#endif
