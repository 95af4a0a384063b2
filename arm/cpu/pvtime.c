// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu/pvtime.h"
#include "host/kvm.h"
#include "host/log.h"
#include "memmap.h"
#include "mm/memslot.h"

int pvtime_create(struct memslot_held *held, int vm_fd, int first_vcpu_fd, bool *there)
{
	void *page;

	*there = kvm_has_attr(first_vcpu_fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA);
	if (!*there)
		return 0;
	page = mmap(NULL, PVTIME_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		int err = -errno;

		log_error("stolen time: %s", strerror(-err));
		return err;
	}
	memslot_hold(held, MEMSLOT_PVTIME, page, PVTIME_SIZE);
	return memslot_add(vm_fd, MEMSLOT_PVTIME, PVTIME_BASE, page, PVTIME_SIZE);
}

int pvtime_init_vcpu(int vcpu_fd, unsigned int index)
{
	const uint64_t gpa = PVTIME_BASE + (uint64_t)index * PVTIME_STRIDE;
	int err = kvm_set_attr(vcpu_fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, &gpa);

	if (err < 0)
		log_error("stolen time of vCPU %u: %s", index, strerror(-err));
	return err;
}

/* Of no length where there is none. */
void pvtime_save(struct state_writer *writer, const struct memslot_held *held, unsigned int cpus)
{
	const void *page = held->mapping[MEMSLOT_PVTIME].start;

	state_put(writer, "pvtime", 0, page, page ? cpus * PVTIME_STRIDE : 0);
}

void pvtime_restore(struct state_reader *reader, const struct memslot_held *held, unsigned int cpus)
{
	void *page = held->mapping[MEMSLOT_PVTIME].start;
	size_t size;
	const void *saved = state_take(reader, "pvtime", 0, &size);

	if (!saved)
		return;
	if (size != (page ? cpus * PVTIME_STRIDE : 0))
		state_refuse(reader, "pvtime", 0,
			     "is not there on both sides: hosts differ in what they tell a guest");
	else if (size > 0)
		memcpy(page, saved, size);
}
