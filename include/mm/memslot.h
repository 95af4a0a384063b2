/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM's memory slots. No slot is changed or deleted while a guest runs, nor before the VM is
 * closed: with nested guests every change costs the host a walk of each shadow stage 2.
 */
#ifndef NIDUS_MEMSLOT_H
#define NIDUS_MEMSLOT_H

#include <stdint.h>

enum memslot_id { MEMSLOT_RAM, MEMSLOT_PVTIME, MEMSLOT_ECAM, MEMSLOT_VIRTIO_MMIO };

/*
 * Makes size bytes at host appear at gpa in the VM. host stays the caller's and outlives the VM.
 * The one place that decides on KVM_MEM_* flags. Errors: -errno, said.
 */
int memslot_add(int vm_fd, enum memslot_id id, uint64_t gpa, void *host, uint64_t size);

/* Memory that only nidus writes. The guest's reads take no exit, its writes exit as MMIO. */
struct memslot_rom {
	void *host; /* zeroed at first, congruent to its GPA modulo 2 MiB; NULL: none */

	void *reserved; /* the mapping that host lies in */
	uint64_t reserved_size;
};

/*
 * Maps it and makes it appear at gpa; in a block of 2 MiB where it is that large, for a single
 * stage-2 fault. Where the host cannot keep a guest from writing (KVM_CAP_READONLY_MEM), nothing
 * appears, and reads exit as MMIO too. Errors: -errno, said; nothing is left mapped then.
 */
int memslot_rom_create(struct memslot_rom *rom, int vm_fd, enum memslot_id id, uint64_t gpa,
		       uint64_t size);
/* After the VM is closed. */
void memslot_rom_destroy(struct memslot_rom *rom);

#endif
