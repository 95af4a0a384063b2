/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is saved of a guest with memory tagging (FEAT_MTE2; Arm ARM, D10): the allocation tags of
 * its RAM, 4 bits for each 16 bytes. Memory that nobody has touched has none but zeroes.
 */
#ifndef NIDUS_MEMORY_TAGS_H
#define NIDUS_MEMORY_TAGS_H

#include "mm/memory.h"
#include "state/state.h"

/*
 * No vCPU is in KVM_RUN. memory is anonymous and all there; pagemap_fd: /proc/PID/pagemap of this
 * process.
 */
void memory_tags_save(struct state_writer *writer, int vm_fd, const struct memory *memory,
		      int pagemap_fd);

/* Into RAM that no vCPU has seen, with what is in it there already. */
void memory_tags_restore(struct state_reader *reader, int vm_fd, const struct memory *memory);

#endif
