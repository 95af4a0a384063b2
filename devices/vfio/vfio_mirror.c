// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a device sees behind the guest's IOMMU, in the host's: its own address space there has RAM
 * as long as the guest's IOMMU lets it pass, and else as much of RAM as the guest has mapped, where
 * it has mapped that. What is not RAM is not there.
 */
#include <errno.h>
#include <inttypes.h>

#include "host/log.h"
#include "util.h"
#include "vfio_parts.h"

static struct vfio_mirror *mirror_of(struct iommu_endpoint *endpoint)
{
	return container_of(endpoint, struct vfio_mirror, endpoint);
}

static enum iommu_result failed(const struct vfio_mirror *mirror, const char *what, int err)
{
	static struct log_limit limit;

	log_guest(&limit, "vfio %s: the host's IOMMU does not take %s: %s",
		  mirror->device->place.address, what, log_reason(-err));
	return IOMMU_NO_MEMORY;
}

static enum iommu_result bypass(struct iommu_endpoint *endpoint)
{
	const struct vfio_mirror *mirror = mirror_of(endpoint);
	const struct memory *memory = mirror->memory;
	const int err = vfio_iommu_map(mirror->device->iommu, memory, memory->base, memory->base,
				       memory->size, IOMMU_READ | IOMMU_WRITE);

	return err < 0 ? failed(mirror, "the guest's RAM", err) : IOMMU_OK;
}

static bool is_reserved(const struct vfio_iommu *iommu, uint64_t start, uint64_t end)
{
	for (unsigned int i = 0; i < iommu->reserved_count; i++)
		if (start <= iommu->reserved[i].end && end >= iommu->reserved[i].start)
			return true;
	return false;
}

/* As much of it as is RAM. */
static enum iommu_result map(struct iommu_endpoint *endpoint, const struct iommu_mapping *mapping)
{
	const struct vfio_mirror *mirror = mirror_of(endpoint);
	const struct memory *memory = mirror->memory;
	const uint64_t ram_end = memory->base + memory->size - 1;
	const uint64_t last = mapping->phys + (mapping->end - mapping->start);
	const uint64_t from = mapping->phys > memory->base ? mapping->phys : memory->base;
	const uint64_t to = last < ram_end ? last : ram_end;
	int err;

	if (is_reserved(mirror->device->iommu, mapping->start, mapping->end))
		return IOMMU_INVALID;
	if (mapping->allows == 0 || from > to)
		return IOMMU_OK;
	err = vfio_iommu_map(mirror->device->iommu, memory, mapping->start + (from - mapping->phys),
			     from, to - from + 1, mapping->allows);
	return err < 0 ? failed(mirror, "a mapping", err) : IOMMU_OK;
}

/* A guest may rely on it, so it does not go on where that is not done. */
static void unmap(struct iommu_endpoint *endpoint, uint64_t start, uint64_t end)
{
	const struct vfio_mirror *mirror = mirror_of(endpoint);
	const int err = vfio_iommu_unmap(mirror->device->iommu, start, end);

	if (err == 0)
		return;
	log_error("vfio %s: the host's IOMMU does not give 0x%" PRIx64 " to 0x%" PRIx64
		  " back: %s: the guest is ended",
		  mirror->device->place.address, start, end, log_reason(-err));
	verdict_reach(mirror->verdict, OUTCOME_HOST_ERROR);
}

static const struct iommu_mirror_ops mirror_ops = {
	.bypass = bypass,
	.map = map,
	.unmap = unmap,
};

void vfio_mirror_begin(struct vfio_mirror *mirror, struct pci_function *function,
		       const struct vfio_device *device, const struct vfio_machine *machine)
{
	mirror->device = device;
	mirror->memory = machine->memory;
	mirror->verdict = machine->verdict;
	pci_function_put_behind(function, machine->iommu, &mirror->endpoint, NULL);
	iommu_mirror(&mirror->endpoint, &mirror_ops, device->iommu->page, device->iommu->reserved,
		     device->iommu->reserved_count);
}
