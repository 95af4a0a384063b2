/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM's memory slots. No slot is changed or deleted while a guest runs, nor before the VM is
 * closed: with nested guests every change costs the host a walk of each shadow stage 2. So what a
 * slot refers to outlives the VM, and is held here for who made it. There are three exceptions:
 * flash memory, which is read like memory until it is sent a command; registers of a device of the
 * host's, which are where the guest puts its BARs; and the log of what is written to RAM, which is
 * kept for who asks (dirty.h). All are seldom.
 */
#ifndef NIDUS_MEMSLOT_H
#define NIDUS_MEMSLOT_H

#include <stdbool.h>
#include <stdint.h>

enum memslot_id {
	MEMSLOT_RAM,
	MEMSLOT_PVTIME,
	MEMSLOT_ECAM,
	MEMSLOT_VIRTIO_MMIO,
	MEMSLOT_FLASH, /* and one more: a slot for each of two banks */
	MEMSLOT_FLASH_LAST = MEMSLOT_FLASH + 1,
	MEMSLOT_PASSING, /* memslot_unmap_nested()'s */
	MEMSLOTS,
	MEMSLOT_VFIO = MEMSLOTS /* and all behind it: registers of the host's devices, not held */
};

/* Mappings of a VM's slots; RAM's own is not among them. All zeroes: none. */
struct memslot_held {
	struct {
		void *start; /* NULL: none */
		uint64_t size; /* bytes */
	} mapping[MEMSLOTS];
};

/* Hands over a slot's mapping, to be unmapped by memslot_release(). */
void memslot_hold(struct memslot_held *held, enum memslot_id id, void *start, uint64_t size);
/* After every descriptor that holds the VM is closed. */
void memslot_release(struct memslot_held *held);

/*
 * Makes size bytes at host appear at gpa in the VM. The one place that decides on KVM_MEM_* flags.
 * Errors: -errno, said.
 */
int memslot_add(int vm_fd, enum memslot_id id, uint64_t gpa, void *host, uint64_t size);

/* The same for what a guest chooses the place of, which may be another's. Errors are not said. */
int memslot_try(int vm_fd, enum memslot_id id, uint64_t gpa, void *host, uint64_t size);

/*
 * Has KVM log what is written by the guest in a slot that memslot_add() has made, or no more. The
 * slot stays as it is. Errors: -errno, said.
 */
int memslot_log(int vm_fd, enum memslot_id id, uint64_t gpa, void *host, uint64_t size, bool on);

/* Takes away what memslot_add() has made appear. Any thread. Errors: -errno, said. */
int memslot_remove(int vm_fd, enum memslot_id id);

/*
 * Has KVM take away all translations that the guest's own guests have, by a slot that comes and
 * goes; they come back by faults. For RAM of which a log is kept: KVM makes what was taken from it
 * read-only again, but leaves writable what CPUs have cached of shadow stage 2 (Linux up to 7.3).
 * host: a page of the host's, which nobody finds there. Errors: -errno, said.
 */
int memslot_unmap_nested(int vm_fd, void *host, uint64_t size);

/* Whether a guest can be kept from writing to what it reads (KVM_CAP_READONLY_MEM). */
bool memslot_can_be_read_only(int vm_fd);

/*
 * Maps memory that only nidus writes, and makes it appear at gpa; in a block of 2 MiB where it is
 * that large, for a single stage-2 fault. The guest's reads take no exit, its writes exit as MMIO.
 * Where the host cannot keep a guest from writing (KVM_CAP_READONLY_MEM), nothing appears, and
 * reads exit as MMIO too. host: zeroed at first, congruent to gpa modulo 2 MiB, and held. Errors:
 * -errno, said.
 */
int memslot_add_rom(struct memslot_held *held, int vm_fd, enum memslot_id id, uint64_t gpa,
		    uint64_t size, void **host);

#endif
