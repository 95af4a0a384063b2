// SPDX-License-Identifier: GPL-2.0-only
#include "virtio/virtqueue_dma.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "virtio/virtqueue.h"

#define HOLDERS (VIRTQUEUE_DMA_LOG + 1)

_Static_assert(VIRTQUEUE_DMA_RINGS == VIRTQUEUE_SIZE_MAX, "heads come before");

struct virtqueue_dma {
	struct iommu_view view;
	unsigned int room;
	struct iovec *segments; /* room of them, twice */
	uint16_t count[HOLDERS];
	struct iommu_mapping **held; /* room of them for each holder; untouched where none had as
					many */
};

int virtqueue_dma_create(struct virtqueue_dma **created, struct iommu_endpoint *endpoint,
			 unsigned int room)
{
	struct virtqueue_dma *dma = calloc(1, sizeof(*dma));

	if (dma) {
		dma->view.endpoint = endpoint;
		dma->room = room;
		dma->segments = calloc(2 * (size_t)room, sizeof(*dma->segments));
		dma->held = calloc((size_t)HOLDERS * room, sizeof(struct iommu_mapping *));
	}
	if (!dma || !dma->segments || !dma->held) {
		log_error("virtqueue: %s", strerror(ENOMEM));
		virtqueue_dma_destroy(dma);
		return -ENOMEM;
	}
	*created = dma;
	return 0;
}

void virtqueue_dma_destroy(struct virtqueue_dma *dma)
{
	if (!dma)
		return;
	free(dma->segments);
	free(dma->held);
	free(dma);
}

struct iovec *virtqueue_dma_segments(struct virtqueue_dma *dma, unsigned int *room)
{
	*room = dma->room;
	return dma->segments;
}

struct iovec *virtqueue_dma_log(struct virtqueue_dma *dma, unsigned int *room)
{
	*room = dma->room;
	return dma->segments + dma->room;
}

static struct iommu_mapping **list_of(const struct virtqueue_dma *dma, unsigned int holder)
{
	return dma->held + (size_t)holder * dma->room;
}

/* Buffers of a chain often lie in one mapping, which it holds once. */
static bool hold(struct virtqueue_dma *dma, unsigned int holder, struct iommu_mapping *mapping)
{
	struct iommu_mapping **list = list_of(dma, holder);
	const unsigned int count = dma->count[holder];

	if (!mapping)
		return true;
	if (count > 0 && list[count - 1] == mapping) {
		iommu_release(mapping);
		return true;
	}
	if (count == dma->room) {
		iommu_release(mapping);
		return false;
	}
	list[count] = mapping;
	dma->count[holder] = count + 1;
	return true;
}

bool virtqueue_dma_translate(struct virtqueue_dma *dma, uint64_t *address, uint64_t *length,
			     uint32_t access, unsigned int holder)
{
	struct iommu_mapping *mapping;

	return iommu_translate(&dma->view, *address, access, address, length, &mapping) &&
	       hold(dma, holder, mapping);
}

void virtqueue_dma_release(struct virtqueue_dma *dma, unsigned int holder)
{
	struct iommu_mapping **list = list_of(dma, holder);

	while (dma->count[holder] > 0)
		iommu_release(list[--dma->count[holder]]);
}

void virtqueue_dma_release_chains(struct virtqueue_dma *dma)
{
	for (unsigned int head = 0; head < VIRTQUEUE_SIZE_MAX; head++)
		virtqueue_dma_release(dma, head);
}

void virtqueue_dma_report(const struct virtqueue_dma *dma, uint64_t address, uint32_t access)
{
	iommu_report(dma->view.endpoint, IOMMU_UNKNOWN, address, access);
}

bool virtqueue_dma_lost(const struct virtqueue_dma *dma, unsigned int holder)
{
	for (unsigned int i = 0; i < dma->count[holder]; i++)
		if (iommu_is_gone(list_of(dma, holder)[i]))
			return true;
	return false;
}

bool virtqueue_dma_lost_any(const struct virtqueue_dma *dma)
{
	for (unsigned int holder = 0; holder < HOLDERS; holder++)
		if (virtqueue_dma_lost(dma, holder))
			return true;
	return false;
}
