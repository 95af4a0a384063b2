/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Flash memory: two banks at FLASH_BASE, each of two chips side by side (JESD68.01), as QEMU's
 * board has them. The first is for firmware, which runs where it lies, the second for its
 * variables.
 */
#ifndef NIDUS_FLASH_H
#define NIDUS_FLASH_H

#include "bus/bus.h"
#include "flash/flash_store.h"

#define FLASH_BANKS 2

/*
 * stores: of each bank, NULL: there is none. They outlive the device, and what they hold outlives
 * the VM. Errors: -errno, said; -ENOTSUP where firmware is to run and the host's KVM has no
 * read-only memory.
 */
int flash_create(struct device **created, int vm_fd, struct flash_store *const stores[FLASH_BANKS]);

#endif
