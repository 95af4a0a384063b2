// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. While the vhost has a queue, the driver's doorbell, an eventfd, is the
 * vhost's to wait for, so it is not in the loop; what interrupts is the transport's eventfd for the
 * queue where there is one to be lent, else one of ours, in the loop, that is passed on. What nidus
 * knows of the ring stands still until it is taken back.
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
	const struct vhost_ring vhost_ring = {
		.desc = ring->desc.from[0],
		.avail = ring->avail.from[0],
		.used = ring->used.from[0],
		.size = ring->layout.size,
		.base = ring->next_avail,
		.kick = queue->queue->kick.source.fd,
		.call = lend(handed, queue),
	};
	struct vhost *vhost = handed->vhost;
	int err = 0;

	if (handed->running == 0)
		err = vhost->ops->begin(vhost, handed->virtio->accepted & vhost->features,
					handed->virtio->memory);
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
