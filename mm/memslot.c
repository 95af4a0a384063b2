// SPDX-License-Identifier: GPL-2.0-only
#include <inttypes.h>
#include <string.h>

#include "kvm.h"
#include "log.h"
#include "memslot.h"

/* KVM_MEM_* flags of a slot: none yet; dirty logging goes here. */
static uint32_t memslot_flags(enum memslot_id id)
{
	(void)id;
	return 0;
}

int memslot_add(int vm_fd, enum memslot_id id, uint64_t gpa, void *host, uint64_t size)
{
	const struct kvm_userspace_memory_region region = {
		.slot = id,
		.flags = memslot_flags(id),
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};
	int err = kvm_set_memory_region(vm_fd, &region);

	if (err < 0)
		log_error("memory slot of %" PRIu64 " MiB at 0x%" PRIx64 ": %s", size >> 20, gpa,
			  strerror(-err));
	return err;
}
