/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a virtqueue has besides where its device is behind an IOMMU (devices/iommu.h): its view of
 * that, and who holds which mappings of it: each chain from when it is popped to when it is pushed,
 * the rings as long as the queue runs, and whoever reads a few bytes in between. Calls are made as
 * those on the queue itself.
 */
#ifndef NIDUS_VIRTQUEUE_DMA_H
#define NIDUS_VIRTQUEUE_DMA_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "devices/iommu.h"

struct virtqueue_dma;

/* Holders, beside chains, which go by their heads. */
#define VIRTQUEUE_DMA_RINGS 256
#define VIRTQUEUE_DMA_BYTES 257
#define VIRTQUEUE_DMA_LOG   258

/*
 * room: how many segments a chain can have, and in how many mappings it can lie. Errors: -ENOMEM,
 * said.
 */
int virtqueue_dma_create(struct virtqueue_dma **created, struct iommu_endpoint *endpoint,
			 unsigned int room);
void virtqueue_dma_destroy(struct virtqueue_dma *dma);

/* Where the segments of the chain that is popped go, and of one that is logged; *room of them. */
struct iovec *virtqueue_dma_segments(struct virtqueue_dma *dma, unsigned int *room);
struct iovec *virtqueue_dma_log(struct virtqueue_dma *dma, unsigned int *room);

/*
 * *address, an IOVA, becomes a GPA, and *length, which is not 0, what lies together there. Its
 * mapping is the holder's until he releases all of his. access: IOMMU_READ or IOMMU_WRITE. False:
 * no access, which was told, or the holder has no room for more.
 */
bool virtqueue_dma_translate(struct virtqueue_dma *dma, uint64_t *address, uint64_t *length,
			     uint32_t access, unsigned int holder);
void virtqueue_dma_release(struct virtqueue_dma *dma, unsigned int holder);
/* Those of all chains. */
void virtqueue_dma_release_chains(struct virtqueue_dma *dma);

/* The address was translated, and there is no memory. */
void virtqueue_dma_report(const struct virtqueue_dma *dma, uint64_t address, uint32_t access);

/* Whether the holder, or anyone, holds a mapping that has gone. */
bool virtqueue_dma_lost(const struct virtqueue_dma *dma, unsigned int holder);
bool virtqueue_dma_lost_any(const struct virtqueue_dma *dma);

#endif
