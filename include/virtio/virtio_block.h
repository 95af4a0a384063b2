/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_VIRTIO_BLOCK_H
#define NIDUS_VIRTIO_BLOCK_H

#include "disk.h"
#include "mm/memory.h"
#include "virtio/virtio.h"

/* Each queue has a thread, and more of them than this help no disk. */
#define VIRTIO_BLOCK_QUEUES_MAX 4

/* Requests that a queue has under way at a time. */
#define VIRTIO_BLOCK_DEPTH VIRTQUEUE_SIZE_MAX

struct virtio_block_options {
	/* Opened for as many engines as there will be queues, of VIRTIO_BLOCK_DEPTH, and begun. */
	struct disk *disk;
	unsigned int queues; /* see virtio_block_queues() */
	bool behind_iommu; /* what is one segment for the driver may be many */
};

/* How many queues serve so many vCPUs: one each, up to the maximum. */
unsigned int virtio_block_queues(unsigned int cpus);

/*
 * A block device (virtio 1.3, 5.2) on a disk image, with a thread and an engine for each of its
 * queues; ops->destroy() waits until nothing is in flight and ends them. memory and all that
 * options points to outlive it. Errors: -errno, said.
 */
int virtio_block_create(struct virtio **created, const struct memory *memory,
			const struct virtio_block_options *options);

#endif
