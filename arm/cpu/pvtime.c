// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu/pvtime.h"
#include "host/kvm.h"
#include "host/log.h"
#include "memmap.h"
#include "mm/memslot.h"

/* One structure for each vCPU, a cache line apart as DEN 0057A wants it. */
#define PVTIME_STRIDE 64

int pvtime_create(struct pvtime *pvtime, int vm_fd, int first_vcpu_fd)
{
	void *page;
	int err;

	pvtime->page = NULL;
	if (!kvm_has_attr(first_vcpu_fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA))
		return 0;

	page = mmap(NULL, PVTIME_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		err = -errno;
		log_error("stolen time: %s", strerror(-err));
		return err;
	}
	err = memslot_add(vm_fd, MEMSLOT_PVTIME, PVTIME_BASE, page, PVTIME_SIZE);
	if (err < 0)
		munmap(page, PVTIME_SIZE);
	else
		pvtime->page = page;
	return err;
}

void pvtime_destroy(struct pvtime *pvtime)
{
	if (pvtime->page)
		munmap(pvtime->page, PVTIME_SIZE);
	pvtime->page = NULL;
}

int pvtime_init_vcpu(const struct pvtime *pvtime, int vcpu_fd, unsigned int index)
{
	const uint64_t gpa = PVTIME_BASE + (uint64_t)index * PVTIME_STRIDE;
	int err;

	if (!pvtime->page)
		return 0;
	err = kvm_set_attr(vcpu_fd, KVM_ARM_VCPU_PVTIME_CTRL, KVM_ARM_VCPU_PVTIME_IPA, &gpa);
	if (err < 0)
		log_error("stolen time of vCPU %u: %s", index, strerror(-err));
	return err;
}
