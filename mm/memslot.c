// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "host/kvm.h"
#include "host/log.h"
#include "memmap.h"
#include "mm/memslot.h"
#include "util.h"

/* What a stage-2 block and a host huge page span, where pages are of 4 KiB. */
#define BLOCK_SIZE MIB(2)

static uint32_t memslot_flags(enum memslot_id id)
{
	return id == MEMSLOT_RAM || id == MEMSLOT_PVTIME || id >= MEMSLOT_VFIO ? 0
									       : KVM_MEM_READONLY;
}

static int set_region(int vm_fd, enum memslot_id id, uint64_t gpa, void *host, uint64_t size,
		      uint32_t flags)
{
	const struct kvm_userspace_memory_region region = {
		.slot = id,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	return kvm_set_memory_region(vm_fd, &region);
}

static int memslot_set(int vm_fd, enum memslot_id id, uint64_t gpa, void *host, uint64_t size,
		       uint32_t flags)
{
	int err = set_region(vm_fd, id, gpa, host, size, flags);

	if (err < 0)
		log_error("memory slot of %" PRIu64 " MiB at 0x%" PRIx64 ": %s", size >> 20, gpa,
			  strerror(-err));
	return err;
}

int memslot_add(int vm_fd, enum memslot_id id, uint64_t gpa, void *host, uint64_t size)
{
	return memslot_set(vm_fd, id, gpa, host, size, memslot_flags(id));
}

int memslot_try(int vm_fd, enum memslot_id id, uint64_t gpa, void *host, uint64_t size)
{
	return set_region(vm_fd, id, gpa, host, size, memslot_flags(id));
}

int memslot_log(int vm_fd, enum memslot_id id, uint64_t gpa, void *host, uint64_t size, bool on)
{
	return memslot_set(vm_fd, id, gpa, host, size,
			   memslot_flags(id) | (on ? KVM_MEM_LOG_DIRTY_PAGES : 0));
}

int memslot_remove(int vm_fd, enum memslot_id id)
{
	const struct kvm_userspace_memory_region nothing = { .slot = id };
	int err = kvm_set_memory_region(vm_fd, &nothing);

	if (err < 0)
		log_error("removing a memory slot: %s", strerror(-err));
	return err;
}

int memslot_unmap_nested(int vm_fd, void *host, uint64_t size)
{
	int err = memslot_add(vm_fd, MEMSLOT_PASSING, PVTIME_BASE + PVTIME_SIZE, host, size);

	return err < 0 ? err : memslot_remove(vm_fd, MEMSLOT_PASSING);
}

bool memslot_can_be_read_only(int vm_fd)
{
	return kvm_check(vm_fd, KVM_CAP_READONLY_MEM) > 0;
}

void memslot_hold(struct memslot_held *held, enum memslot_id id, void *start, uint64_t size)
{
	held->mapping[id].start = start;
	held->mapping[id].size = size;
}

void memslot_release(struct memslot_held *held)
{
	for (unsigned int id = 0; id < MEMSLOTS; id++)
		if (held->mapping[id].start)
			munmap(held->mapping[id].start, held->mapping[id].size);
	*held = (struct memslot_held){ 0 };
}

int memslot_add_rom(struct memslot_held *held, int vm_fd, enum memslot_id id, uint64_t gpa,
		    uint64_t size, void **host)
{
	const uint64_t reserved_size = size + 2 * BLOCK_SIZE;
	void *reserved = mmap(NULL, reserved_size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (reserved == MAP_FAILED) {
		int err = -errno;

		log_error("mapping memory for guest address 0x%" PRIx64 ": %s", gpa,
			  strerror(-err));
		return err;
	}
	memslot_hold(held, id, reserved, reserved_size);
	*host = (uint8_t *)align_up((uintptr_t)reserved, BLOCK_SIZE) + gpa % BLOCK_SIZE;
	/* Advice only: without transparent huge pages there are more stage-2 faults. */
	madvise(*host, size, MADV_HUGEPAGE);
	if (!memslot_can_be_read_only(vm_fd))
		return 0;
	return memslot_add(vm_fd, id, gpa, *host, size);
}
