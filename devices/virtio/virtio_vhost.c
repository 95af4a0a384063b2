// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. While the vhost has a queue, the driver's doorbell, an eventfd, is the
 * vhost's to wait for, so it is not in the loop; what interrupts is the transport's eventfd for the
 * queue where there is one to be lent, else one of ours, in the loop, that is passed on. What nidus
 * knows of the ring stands still until it is taken back.
 *
 * Behind an IOMMU the vhost is given IOVAs, and asks where they are. Whole mappings are the answer,
 * and they are held as long as the vhost may know them: until it was told to forget them, or runs
 * no ring any more. Of what is held the oldest makes room for more. An address that is nowhere has
 * no answer: the ring stays where it is, and the driver is asked for a reset.
 *
 * Queues go over in the worker's thread and come back in that of a vCPU, under their own locks;
 * calls of the vhost are made under one more. A queue whose vhost is lost comes back, and stays
 * here, where nobody works on it, until the vhost is renewed: there is nothing in its place that
 * could.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "util.h"
#include "virtio/virtio_vhost.h"

#define FEATURE(bit) (UINT64_C(1) << (bit))

/* What a driver may want of rings, which is up to who works on them. */
#define RING_FEATURES (FEATURE(VIRTIO_RING_F_EVENT_IDX) | FEATURE(VIRTIO_RING_F_INDIRECT_DESC))

#define ACCESS_PLATFORM FEATURE(VIRTIO_F_ACCESS_PLATFORM)

/* As many as the kernel's vhost remembers by default. */
#define HELD_MAX 2048

struct handed_queue {
	struct virtio_queue *queue;
	struct event_notifier called; /* interrupts where the transport has nothing to lend */
	/* Guarded by the queue's lock. */
	bool running; /* the vhost has it */
	bool lent; /* the transport's eventfd */
};

struct virtio_vhost {
	struct virtio *virtio;
	struct vhost *vhost;
	struct event_loop *loop;
	pthread_mutex_t lock; /* of the vhost's calls, and of running */
	unsigned int running; /* queues that the vhost has */
	/* Behind an IOMMU, with the lock. */
	struct iommu_view view;
	struct iommu_mapping *held[HELD_MAX]; /* that the vhost was told, or NULL */
	unsigned int next; /* to be replaced */
	unsigned int count;
	struct handed_queue queues[VHOST_RINGS_MAX];
};

/*
 * The vhost has used buffers, and the driver wants to hear of it. It may have taken the last look
 * at the queue before it gave it back.
 */
static void called(struct event_notifier *notifier)
{
	struct virtio_queue *queue = container_of(notifier, struct handed_queue, called)->queue;
	struct virtio_transport *transport = queue->virtio->transport;

	pthread_mutex_lock(&queue->lock);
	if (virtqueue_running(&queue->ring)) {
		virtqueue_follow(&queue->ring);
		transport->queue_interrupt(transport, queue->index);
	}
	pthread_mutex_unlock(&queue->lock);
}

/* Behind an IOMMU, with the lock. */

static void forget(struct virtio_vhost *handed, unsigned int which)
{
	struct iommu_mapping *mapping = handed->held[which];

	handed->held[which] = NULL;
	if (!mapping)
		return;
	if (handed->running > 0)
		handed->vhost->ops->forget_translation(handed->vhost, mapping->start,
						       mapping->end - mapping->start + 1);
	iommu_release(mapping);
}

static void forget_all(struct virtio_vhost *handed)
{
	/* Without an IOMMU it was told nothing, and the table is never touched. */
	if (!handed->virtio->endpoint)
		return;
	for (unsigned int i = 0; i < HELD_MAX; i++)
		forget(handed, i);
}

/* Tells a ring of an IOVA and all that is mapped with it; *end: where that ends. */
static int tell(struct virtio_vhost *handed, unsigned int ring, uint64_t iova, bool write,
		uint64_t *end)
{
	const struct memory *memory = handed->virtio->memory;
	struct vhost_translation translation = { memory->base, memory->size, memory->base, true,
						 true };
	struct iommu_mapping *mapping;
	uint64_t gpa, length = 1;

	if (!iommu_translate(&handed->view, iova, write ? IOMMU_WRITE : IOMMU_READ, &gpa, &length,
			     &mapping))
		return -EFAULT;
	if (mapping)
		translation = (struct vhost_translation){
			.iova = mapping->start,
			.size = mapping->end - mapping->start + 1,
			.gpa = mapping->phys,
			.read = mapping->allows & IOMMU_READ,
			.write = mapping->allows & IOMMU_WRITE,
		};
	*end = translation.iova + translation.size;
	forget(handed, handed->next);
	handed->held[handed->next] = mapping;
	handed->next = (handed->next + 1) % HELD_MAX;
	/* Without a mapping it may be no RAM. */
	if (iova - translation.iova >= translation.size)
		return -EFAULT;
	return handed->vhost->ops->translate(handed->vhost, ring, &translation);
}

static int tell_range(struct virtio_vhost *handed, unsigned int ring, uint64_t iova, uint64_t size,
		      bool write)
{
	const uint64_t end = iova + size;
	int err = 0;

	while (err == 0 && iova < end)
		err = tell(handed, ring, iova, write, &iova);
	return err;
}

static int tell_ring(struct virtio_vhost *handed, const struct handed_queue *queue)
{
	const struct virtqueue_layout *layout = &queue->queue->ring.layout;
	const unsigned int ring = queue->queue->index;
	int err;

	if (!handed->virtio->endpoint)
		return 0;
	err = tell_range(handed, ring, layout->desc, virtqueue_bytes(VIRTQUEUE_DESC, layout->size),
			 false);
	if (err == 0)
		err = tell_range(handed, ring, layout->avail,
				 virtqueue_bytes(VIRTQUEUE_AVAIL, layout->size), false);
	if (err == 0)
		err = tell_range(handed, ring, layout->used,
				 virtqueue_bytes(VIRTQUEUE_USED, layout->size), true);
	return err;
}

/* The loop's thread. As many at a time as a ring can have buffers; the rest in the next turn. */
static void asks(void *opaque)
{
	struct virtio_vhost *handed = opaque;
	struct vhost *vhost = handed->vhost;
	unsigned int left = VIRTQUEUE_SIZE_MAX, ring;
	uint64_t iova, end;
	bool write;
	int err = 0;

	pthread_mutex_lock(&handed->lock);
	while (err == 0 && left-- > 0 && vhost->ops->next_question(vhost, &ring, &iova, &write))
		if (handed->running > 0)
			err = tell(handed, ring, iova, write, &end);
	pthread_mutex_unlock(&handed->lock);
	if (err < 0)
		virtio_needs_reset(handed->virtio);
}

void virtio_vhost_revoke(struct virtio_vhost *handed, bool all)
{
	pthread_mutex_lock(&handed->lock);
	for (unsigned int i = 0; i < HELD_MAX; i++)
		if (handed->held[i] && (all || iommu_is_gone(handed->held[i])))
			forget(handed, i);
	/* What was seen without a mapping is RAM as a whole. */
	if (all && handed->running > 0 && handed->virtio->endpoint)
		handed->vhost->ops->forget_translation(handed->vhost, 0, UINT64_MAX);
	pthread_mutex_unlock(&handed->lock);
}

int virtio_vhost_create(struct virtio_vhost **created, struct virtio *virtio, struct vhost *vhost,
			struct event_loop *loop)
{
	struct virtio_vhost *handed = calloc(1, sizeof(*handed));
	int err = 0;

	if (!handed) {
		log_error("%s: %s", virtio->ops->name, strerror(ENOMEM));
		return -ENOMEM;
	}
	handed->virtio = virtio;
	handed->vhost = vhost;
	handed->loop = loop;
	pthread_mutex_init(&handed->lock, NULL);
	vhost->asks = asks;
	vhost->asked = handed;
	virtio->offered &= vhost->features | ~RING_FEATURES;
	while (handed->count < vhost->rings && handed->count < virtio->queue_count && err == 0) {
		struct handed_queue *queue = &handed->queues[handed->count];

		queue->queue = &virtio->queues[handed->count];
		err = event_notifier_create(&queue->called, loop, called);
		if (err == 0)
			handed->count++;
	}
	if (err < 0)
		virtio_vhost_destroy(handed);
	else
		*created = handed;
	return err;
}

void virtio_vhost_destroy(struct virtio_vhost *handed)
{
	while (handed->count > 0)
		event_notifier_destroy(&handed->queues[--handed->count].called);
	forget_all(handed);
	pthread_mutex_destroy(&handed->lock);
	free(handed);
}

/* What interrupts: the transport's eventfd, or ours. */
static int lend(struct virtio_vhost *handed, struct handed_queue *queue)
{
	struct virtio_transport *transport = handed->virtio->transport;
	int call = -1;

	if (transport->queue_lend)
		call = transport->queue_lend(transport, queue->queue->index, handed->loop);
	queue->lent = call >= 0;
	return queue->lent ? call : queue->called.source.fd;
}

static void take_back_lent(struct virtio_vhost *handed, struct handed_queue *queue)
{
	struct virtio_transport *transport = handed->virtio->transport;

	if (queue->lent)
		transport->queue_return(transport, queue->queue->index);
	queue->lent = false;
}

/* With the lock: to the vhost. The first queue of a driver's tells it what that accepted. */
static int start(struct virtio_vhost *handed, struct handed_queue *queue)
{
	const struct virtqueue *ring = &queue->queue->ring;
	const bool behind = handed->virtio->endpoint != NULL;
	const struct vhost_ring vhost_ring = {
		.desc = behind ? ring->layout.desc : ring->desc.from[0],
		.avail = behind ? ring->layout.avail : ring->avail.from[0],
		.used = behind ? ring->layout.used : ring->used.from[0],
		.size = ring->layout.size,
		.base = ring->next_avail,
		.kick = queue->queue->kick.source.fd,
		.call = lend(handed, queue),
	};
	struct vhost *vhost = handed->vhost;
	int err = 0;

	handed->view.endpoint = handed->virtio->endpoint;
	if (handed->running == 0)
		err = vhost->ops->begin(
			vhost, handed->virtio->accepted & (vhost->features | ACCESS_PLATFORM),
			handed->virtio->memory);
	if (err == 0)
		err = tell_ring(handed, queue);
	if (err == 0)
		err = vhost->ops->start(vhost, queue->queue->index, &vhost_ring);
	if (err == 0)
		handed->running++;
	else
		take_back_lent(handed, queue);
	return err;
}

static void hand_over(struct virtio_vhost *handed, struct handed_queue *queue)
{
	int err;

	event_notifier_leave(&queue->queue->kick);
	pthread_mutex_lock(&handed->lock);
	err = start(handed, queue);
	pthread_mutex_unlock(&handed->lock);
	queue->running = err == 0;
	/* Kicks that came before may be known to nobody but nidus. */
	if (queue->running)
		event_notify(&queue->queue->kick);
	else
		event_notifier_return(&queue->queue->kick);
}

void virtio_vhost_process(struct virtio_vhost *handed, struct virtio_queue *queue)
{
	struct handed_queue *which = &handed->queues[queue->index];

	if (!which->running && !queue->ring.paused && !atomic_load(&handed->vhost->lost))
		hand_over(handed, which);
}

void virtio_vhost_drain(struct virtio_vhost *handed, struct virtio_queue *queue)
{
	struct handed_queue *which = &handed->queues[queue->index];
	uint16_t base;
	int err;

	if (!which->running)
		return;
	pthread_mutex_lock(&handed->lock);
	err = handed->vhost->ops->stop(handed->vhost, queue->index, &base);
	handed->running--;
	if (handed->running == 0)
		forget_all(handed);
	pthread_mutex_unlock(&handed->lock);
	which->running = false;
	take_back_lent(handed, which);
	virtqueue_follow(&queue->ring);
	/* Of a vhost that is lost nobody knows what it has begun; what is not used may be. */
	queue->ring.next_avail = err == 0 ? base : queue->ring.next_used;
	event_notifier_return(&queue->kick);
}

void virtio_vhost_forget(struct virtio_vhost *handed)
{
	struct vhost *vhost = handed->vhost;

	if (!vhost->ops->forget)
		return;
	pthread_mutex_lock(&handed->lock);
	vhost->ops->forget(vhost);
	pthread_mutex_unlock(&handed->lock);
}

int virtio_vhost_config_set(struct virtio_vhost *handed, uint32_t offset, const void *value,
			    uint32_t size)
{
	struct vhost *vhost = handed->vhost;
	int err;

	if (!vhost->ops->config_set)
		return -ENOTSUP;
	pthread_mutex_lock(&handed->lock);
	err = vhost->ops->config_set(vhost, offset, value, size);
	pthread_mutex_unlock(&handed->lock);
	return err;
}

void virtio_vhost_changed(struct virtio_vhost *handed)
{
	for (unsigned int i = 0; i < handed->count; i++) {
		struct virtio_queue *queue = handed->queues[i].queue;

		pthread_mutex_lock(&queue->lock);
		if (atomic_load(&handed->vhost->lost))
			virtio_vhost_drain(handed, queue);
		else
			event_notify(&queue->kick);
		pthread_mutex_unlock(&queue->lock);
	}
}
