/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_VIRTIO_PCI_H
#define NIDUS_VIRTIO_PCI_H

#include "bus/bus.h"
#include "bus/irq.h"
#include "devices/pci.h"
#include "virtio/virtio.h"

/*
 * Makes a virtio device a function of pci (virtio 1.3, 4.1), not transitional: MSI-X, a vector for
 * each queue and one for the configuration, and a doorbell for each queue; neither takes an exit
 * to user space.
 *
 * iommu: that it is behind, or NULL.
 *
 * Takes virtio over, also when it fails; it is destroyed with pci. After the GIC's initialization;
 * routes, whose VM it is, outlives pci. Errors: -errno, said.
 */
int virtio_pci_add(struct pci *pci, struct irq_routes *routes, struct iommu *iommu,
		   struct virtio *virtio);

#endif
