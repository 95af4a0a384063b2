/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_VIRTIO_MMIO_H
#define NIDUS_VIRTIO_MMIO_H

#include "bus/bus.h"
#include "virtio/virtio.h"

/*
 * A virtio-mmio transport, version 2 (virtio 1.3, 4.2), in slot index of the memory map: registers,
 * an interrupt line, and a doorbell for each queue that needs no exit to user space.
 * Takes virtio over, also when it fails. Errors: -errno, said. After the GIC's
 * initialization; vm_fd outlives the device. readable: where nidus has the memory that the guest
 * reads, and only that, at VIRTIO_MMIO_BASE, VIRTIO_MMIO_SIZE bytes; or NULL: then reads exit.
 */
int virtio_mmio_create(struct device **created, unsigned int index, int vm_fd,
		       struct virtio *virtio, void *readable);

#endif
