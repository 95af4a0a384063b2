// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "util.h"
#include "virtio/virtio.h"
#include "virtio/virtqueue_dma.h"

#define FEATURE(bit) (UINT64_C(1) << (bit))

/* What the queues and transports here can do for any device. */
#define COMMON_FEATURES                                                   \
	(FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_RING_F_EVENT_IDX) | \
	 FEATURE(VIRTIO_RING_F_INDIRECT_DESC))

static void kicked(struct event_notifier *notifier)
{
	struct virtio_queue *queue = container_of(notifier, struct virtio_queue, kick);

	/* Who stops the queue goes first: a mutex may well go to who has just had it. */
	if (virtio_queue_stopping(queue))
		return;
	pthread_mutex_lock(&queue->lock);
	if (virtqueue_running(&queue->ring))
		queue->virtio->ops->process(queue);
	pthread_mutex_unlock(&queue->lock);
}

int virtio_init(struct virtio *virtio, const struct virtio_ops *ops, const struct memory *memory,
		struct event_loop *const *loops, uint64_t features, unsigned int queue_count,
		uint16_t queue_size)
{
	int err = 0;

	*virtio = (struct virtio){
		.ops = ops,
		.memory = memory,
		.offered = features | COMMON_FEATURES,
		.segments_max = VIRTQUEUE_SEGMENTS_MAX,
		.queues = calloc(queue_count, sizeof(*virtio->queues)),
	};
	if (!virtio->queues) {
		log_error("%s: %s", ops->name, strerror(ENOMEM));
		return -ENOMEM;
	}
	pthread_mutex_init(&virtio->lock, NULL);
	while (err == 0 && virtio->queue_count < queue_count) {
		struct virtio_queue *queue = &virtio->queues[virtio->queue_count];

		queue->virtio = virtio;
		queue->index = virtio->queue_count;
		queue->size_max = queue_size;
		err = event_notifier_create(&queue->kick, loops[queue->index], kicked);
		if (err < 0)
			break;
		pthread_mutex_init(&queue->lock, NULL);
		virtio->queue_count++;
	}
	if (err < 0)
		virtio_fini(virtio);
	return err;
}

void virtio_fini(struct virtio *virtio)
{
	for (unsigned int i = 0; i < virtio->queue_count; i++) {
		struct virtio_queue *queue = &virtio->queues[i];

		event_notifier_destroy(&queue->kick);
		pthread_mutex_destroy(&queue->lock);
		virtqueue_stop(&queue->ring);
		virtqueue_forget(&queue->ring);
		virtqueue_dma_destroy(queue->ring.dma);
	}
	pthread_mutex_destroy(&virtio->lock);
	free(virtio->queues);
	virtio->queues = NULL;
	virtio->queue_count = 0;
}

void virtio_publish(struct virtio_queue *queue)
{
	virtqueue_publish(&queue->ring);
	virtio_interrupt(queue);
}

void virtio_interrupt(struct virtio_queue *queue)
{
	if (virtqueue_interrupt_due(&queue->ring))
		queue->virtio->transport->queue_interrupt(queue->virtio->transport, queue->index);
}

static void late_interrupt_due(struct event_timer *timer)
{
	struct virtio_late_interrupt *late =
		container_of(timer, struct virtio_late_interrupt, timer);
	struct virtio_queue *queue = &late->virtio->queues[late->queue];

	pthread_mutex_lock(&queue->lock);
	virtio_interrupt(queue);
	pthread_mutex_unlock(&queue->lock);
}

int virtio_late_interrupt_create(struct virtio_late_interrupt *late, struct virtio *virtio,
				 unsigned int queue, struct event_loop *loop)
{
	late->virtio = virtio;
	late->queue = queue;
	return event_timer_create(&late->timer, loop, CLOCK_MONOTONIC, late_interrupt_due);
}

void virtio_late_interrupt_destroy(struct virtio_late_interrupt *late)
{
	event_timer_destroy(&late->timer);
}

void virtio_interrupt_late(struct virtio_late_interrupt *late, uint64_t nanoseconds)
{
	event_timer_in(&late->timer, nanoseconds);
}

void virtio_serve(struct virtio_queue *queue,
		  bool (*handle)(struct virtio_queue *queue, struct virtqueue_chain *chain))
{
	struct virtqueue_chain chain;
	unsigned int left = queue->ring.layout.size;
	bool more = true;

	virtqueue_kicks_off(&queue->ring);
	while (more && left > 0 && !virtio_queue_stopping(queue) &&
	       virtqueue_next(&queue->ring, &chain) > 0) {
		more = handle(queue, &chain);
		left--;
	}
	if (queue->ring.broken)
		virtio_needs_reset(queue->virtio);
	else if (more && left == 0)
		event_notify(&queue->kick);
}

void virtio_needs_reset(struct virtio *virtio)
{
	static struct log_limit limit;

	log_guest(&limit, "%s: its driver violated the virtio protocol; the device needs a reset",
		  virtio->ops->name);
	virtio_ask_for_reset(virtio);
}

void virtio_ask_for_reset(struct virtio *virtio)
{
	atomic_fetch_or(&virtio->status, VIRTIO_CONFIG_S_NEEDS_RESET);
	virtio_config_changed(virtio);
}

void virtio_config_replaced(struct virtio *virtio)
{
	struct virtio_transport *transport = virtio->transport;

	atomic_fetch_add(&virtio->config_generation, 1);
	if (transport->config_changed)
		transport->config_changed(transport);
}

void virtio_config_changed(struct virtio *virtio)
{
	struct virtio_transport *transport = virtio->transport;

	virtio_config_replaced(virtio);
	/* Before DRIVER_OK a driver gets no interrupts (virtio 1.3, 3.1.1). */
	if (atomic_load(&virtio->status) & VIRTIO_CONFIG_S_DRIVER_OK)
		transport->config_interrupt(transport);
}

/* Status. */

static bool pauses(const struct virtio *virtio)
{
	return virtio->paused || virtio->rests;
}

static void queue_start(struct virtio_queue *queue)
{
	const bool event_idx = virtio_has(queue->virtio, VIRTIO_RING_F_EVENT_IDX);
	int err;

	pthread_mutex_lock(&queue->lock);
	err = virtqueue_start(&queue->ring, queue->virtio->memory, &queue->layout, event_idx);
	queue->ring.paused = pauses(queue->virtio);
	pthread_mutex_unlock(&queue->lock);
	if (err < 0)
		virtio_needs_reset(queue->virtio);
	else
		event_notify(&queue->kick);
}

static void queue_stop(struct virtio_queue *queue)
{
	atomic_store(&queue->stopping, true);
	pthread_mutex_lock(&queue->lock);
	if (queue->ring.started) {
		if (queue->virtio->ops->drain)
			queue->virtio->ops->drain(queue);
		virtqueue_stop(&queue->ring);
		virtqueue_forget(&queue->ring);
	}
	atomic_store(&queue->stopping, false);
	pthread_mutex_unlock(&queue->lock);
}

void virtio_stop(struct virtio *virtio)
{
	/* What is in flight comes to rest on all queues at the same time. */
	for (unsigned int i = 0; i < virtio->queue_count; i++)
		atomic_store(&virtio->queues[i].stopping, true);
	for (unsigned int i = 0; i < virtio->queue_count; i++)
		queue_stop(&virtio->queues[i]);
}

void virtio_queue_pause(struct virtio_queue *queue, bool pause)
{
	pause |= pauses(queue->virtio);
	pthread_mutex_lock(&queue->lock);
	queue->ring.paused = pause;
	if (pause && queue->virtio->ops->settle)
		queue->virtio->ops->settle(queue);
	pthread_mutex_unlock(&queue->lock);
	if (!pause)
		event_notify(&queue->kick);
}

void virtio_pause(struct virtio *virtio, bool pause)
{
	virtio->paused = pause;
	for (unsigned int i = 0; i < virtio->queue_count; i++)
		virtio_queue_pause(&virtio->queues[i], pause);
}

/*
 * Nothing is in flight once it pauses. A queue whose rings stay goes on. Returns whether it was
 * broken.
 */
static bool queue_revoke(struct virtio_queue *queue, bool all)
{
	bool uses, breaks;

	pthread_mutex_lock(&queue->lock);
	uses = all ? queue->ring.started : virtqueue_lost(&queue->ring);
	pthread_mutex_unlock(&queue->lock);
	if (!uses)
		return false;
	virtio_queue_pause(queue, true);
	pthread_mutex_lock(&queue->lock);
	virtqueue_forget(&queue->ring);
	breaks = queue->ring.started && (all || virtqueue_lost_rings(&queue->ring));
	if (breaks) {
		virtqueue_break(&queue->ring);
		virtqueue_stop(&queue->ring);
	}
	pthread_mutex_unlock(&queue->lock);
	virtio_queue_pause(queue, false);
	return breaks;
}

void virtio_revoke(struct virtio *virtio, bool all)
{
	bool broken = false;

	pthread_mutex_lock(&virtio->lock);
	for (unsigned int i = 0; i < virtio->queue_count; i++)
		broken |= queue_revoke(&virtio->queues[i], all);
	if (virtio->ops->revoke)
		virtio->ops->revoke(virtio, all);
	pthread_mutex_unlock(&virtio->lock);
	if (broken)
		virtio_ask_for_reset(virtio);
}

int virtio_put_behind(struct virtio *virtio, struct iommu_endpoint *endpoint)
{
	int err = 0;

	for (unsigned int i = 0; i < virtio->queue_count && err == 0; i++)
		err = virtqueue_dma_create(&virtio->queues[i].ring.dma, endpoint,
					   virtio->segments_max);
	virtio->endpoint = endpoint;
	virtio->offered |= FEATURE(VIRTIO_F_ACCESS_PLATFORM);
	return err;
}

static void reset(struct virtio *virtio)
{
	const bool begun = atomic_load(&virtio->status) & VIRTIO_CONFIG_S_DRIVER_OK;

	virtio_stop(virtio);
	if (begun && virtio->ops->end)
		virtio->ops->end(virtio);
	for (unsigned int i = 0; i < virtio->queue_count; i++) {
		virtio->queues[i].ready = false;
		virtio->queues[i].layout = (struct virtqueue_layout){ 0 };
	}
	virtio->accepted = 0;
	atomic_store(&virtio->status, 0);
}

static bool features_acceptable(const struct virtio *virtio)
{
	return (virtio->accepted & ~virtio->offered) == 0 &&
	       virtio_has(virtio, VIRTIO_F_VERSION_1) &&
	       (!virtio->endpoint || virtio_has(virtio, VIRTIO_F_ACCESS_PLATFORM)) &&
	       (!virtio->ops->acceptable || virtio->ops->acceptable(virtio));
}

static void start(struct virtio *virtio)
{
	if (virtio->ops->begin)
		virtio->ops->begin(virtio);
	for (unsigned int i = 0; i < virtio->queue_count; i++)
		if (virtio->queues[i].ready)
			queue_start(&virtio->queues[i]);
}

void virtio_set_status(struct virtio *virtio, uint8_t status)
{
	uint8_t old = atomic_load(&virtio->status), new;

	if (status == 0) {
		reset(virtio);
		return;
	}
	/* Bits come one by one and go by reset alone; asking for one is the device's business. */
	new = status & ~old & ~VIRTIO_CONFIG_S_NEEDS_RESET;
	if (new &VIRTIO_CONFIG_S_FEATURES_OK && !features_acceptable(virtio))
		new &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	if (new &VIRTIO_CONFIG_S_DRIVER_OK && !((old | new) & VIRTIO_CONFIG_S_FEATURES_OK))
		new &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	atomic_fetch_or(&virtio->status, new);
	if (new &VIRTIO_CONFIG_S_DRIVER_OK)
		start(virtio);
}

void virtio_set_features(struct virtio *virtio, unsigned int word, uint32_t bits)
{
	/* Settled once the device said FEATURES_OK (virtio 1.3, 3.1.1). */
	if (word > 1 || atomic_load(&virtio->status) & VIRTIO_CONFIG_S_FEATURES_OK)
		return;
	virtio->accepted &= ~(UINT64_C(0xffffffff) << 32 * word);
	virtio->accepted |= (uint64_t)bits << 32 * word;
}

uint32_t virtio_get_features(const struct virtio *virtio, unsigned int word)
{
	return word > 1 ? 0 : virtio->offered >> 32 * word;
}

bool virtio_queue_open(const struct virtio_queue *queue)
{
	return !queue->ready;
}

void virtio_queue_set_address(struct virtio_queue *queue, enum virtqueue_part part, bool high,
			      uint32_t bits)
{
	uint64_t *const parts[] = {
		[VIRTQUEUE_DESC] = &queue->layout.desc,
		[VIRTQUEUE_AVAIL] = &queue->layout.avail,
		[VIRTQUEUE_USED] = &queue->layout.used,
	};
	const unsigned int shift = high ? 32 : 0;

	*parts[part] &= ~(UINT64_C(0xffffffff) << shift);
	*parts[part] |= (uint64_t)bits << shift;
}

void virtio_queue_set_ready(struct virtio_queue *queue, bool ready)
{
	const bool running = atomic_load(&queue->virtio->status) & VIRTIO_CONFIG_S_DRIVER_OK;

	if (ready == queue->ready)
		return;
	queue->ready = ready;
	if (!ready)
		queue_stop(queue);
	else if (running)
		queue_start(queue);
}

/* Configuration space. */

static bool config_inside(const struct virtio *virtio, uint64_t offset, uint32_t size)
{
	return offset < virtio->ops->config_size && size <= virtio->ops->config_size - offset;
}

void virtio_config_read(struct virtio *virtio, uint64_t offset, uint64_t *value, uint32_t size)
{
	*value = 0;
	if (config_inside(virtio, offset, size))
		virtio->ops->config_read(virtio, offset, value, size);
}

void virtio_config_write(struct virtio *virtio, uint64_t offset, uint64_t value, uint32_t size)
{
	if (virtio->ops->config_write && config_inside(virtio, offset, size))
		virtio->ops->config_write(virtio, offset, &value, size);
}
