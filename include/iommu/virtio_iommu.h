/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_VIRTIO_IOMMU_H
#define NIDUS_VIRTIO_IOMMU_H

#include "devices/iommu.h"
#include "mm/memory.h"
#include "virtio/virtio.h"

struct virtio_iommu_options {
	unsigned int mappings_max; /* in all domains */
	uint64_t msi_start, msi_end; /* GPAs of doorbells, which no driver maps */
};

/*
 * An IOMMU for others (virtio 1.3, 5.13), which its driver maps their memory by. Its requests have
 * a thread of their own, for they wait for devices. Where there is no driver these see GPAs.
 *
 * *iommu: for those that are to be behind it, which are destroyed before it. memory outlives it.
 * Errors: -errno, said.
 */
int virtio_iommu_create(struct virtio **created, struct iommu **iommu, const struct memory *memory,
			const struct virtio_iommu_options *options);

#endif
