/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM's memory slots. No slot is changed or deleted while a guest runs, nor before the VM is
 * closed: with nested guests every change costs the host a walk of each shadow stage 2.
 */
#ifndef NIDUS_MEMSLOT_H
#define NIDUS_MEMSLOT_H

#include <stdint.h>

enum memslot_id { MEMSLOT_RAM, MEMSLOT_PVTIME };

/*
 * Makes size bytes at host appear at gpa in the VM. host stays the caller's and outlives the VM.
 * The one place that decides on KVM_MEM_* flags. Errors: -errno, said.
 */
int memslot_add(int vm_fd, enum memslot_id id, uint64_t gpa, void *host, uint64_t size);

#endif
