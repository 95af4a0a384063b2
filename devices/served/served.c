// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The device has registers, and no thread: the main loop is the worker of all
 * queues, and has nothing to do with them while somebody serves. When that ends the queues come
 * back. Then requests wait for who comes in its place, or are answered with an error here: those
 * that were in flight where nobody else can go on with them, and all later ones where nobody comes.
 *
 * With a reset all that was in flight is forgotten on both sides, so that a driver that begins anew
 * can be served by anybody: then who is gone is had again.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "served_parts.h"
#include "util.h"
#include "virtio/virtio_vhost.h"

#define QUEUE_SIZE VIRTQUEUE_SIZE_MAX

struct served_device {
	struct virtio virtio;
	struct virtio_ops ops; /* of this kind: name, number and size of configuration */
	struct served *served;
	struct virtio_vhost *handed;
	/* Of a kind that answers in any order, what was in flight has been given up. */
	bool skipped[VHOST_RINGS_MAX];
};

static struct served_device *device_of(const struct virtio *virtio)
{
	return container_of((struct virtio *)virtio, struct served_device, virtio);
}

static bool is_served(const struct virtio_queue *queue)
{
	return queue->index < device_of(queue->virtio)->served->vhost->rings;
}

/* Requests that nobody serves. */

static bool fail_one(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	const struct served_kind *kind = &device_of(queue->virtio)->served->kind;

	virtqueue_push(&queue->ring, chain->head, kind->fail(chain));
	return true;
}

/* With the queue's lock. */
static void fail_all(struct virtio_queue *queue)
{
	struct served_device *device = device_of(queue->virtio);
	const struct served_kind *kind = &device->served->kind;

	if (!kind->fail)
		return;
	if (kind->any_order && !device->skipped[queue->index])
		virtqueue_skip(&queue->ring);
	device->skipped[queue->index] = true;
	virtio_serve(queue, fail_one);
	virtio_publish(queue);
}

/* Queues. */

static void served_process(struct virtio_queue *queue)
{
	struct served_device *device = device_of(queue->virtio);

	if (!is_served(queue))
		return;
	if (atomic_load(&device->served->state) == SERVED_GONE)
		fail_all(queue);
	else
		virtio_vhost_process(device->handed, queue);
}

static void served_drain(struct virtio_queue *queue)
{
	if (is_served(queue))
		virtio_vhost_drain(device_of(queue->virtio)->handed, queue);
}

static void served_begin(struct virtio *virtio)
{
	struct served *served = device_of(virtio)->served;

	if (served->ops->begin)
		served->ops->begin(served);
}

/* The reset: with the rings goes all that was in flight. */
static void served_end(struct virtio *virtio)
{
	struct served_device *device = device_of(virtio);

	memset(device->skipped, 0, sizeof(device->skipped));
	virtio_vhost_forget(device->handed);
}

/* Configuration. */

static void served_config_read(struct virtio *virtio, uint32_t offset, void *value, uint32_t size)
{
	memcpy(value, device_of(virtio)->served->config + offset, size);
}

/* What the driver may write is for who serves to know; what he refuses ends him. */
static void served_config_write(struct virtio *virtio, uint32_t offset, const void *value,
				uint32_t size)
{
	struct served_device *device = device_of(virtio);

	if (virtio_vhost_config_set(device->handed, offset, value, size) == 0)
		memcpy(device->served->config + offset, value, size);
}

/* Ends, and beginnings. The main thread. */

static void fail_in_flight(struct served_device *device)
{
	for (unsigned int i = 0; i < device->served->vhost->rings; i++) {
		struct virtio_queue *queue = &device->virtio.queues[i];

		pthread_mutex_lock(&queue->lock);
		if (virtqueue_running(&queue->ring))
			fail_all(queue);
		pthread_mutex_unlock(&queue->lock);
	}
}

static void served_changed(void *opaque)
{
	struct served_device *device = opaque;
	struct served *served = device->served;
	const enum served_state state = atomic_load(&served->state);

	/* Before queues go over to somebody new, who is owed all that they hold. */
	if (state == SERVED_UP)
		memset(device->skipped, 0, sizeof(device->skipped));
	virtio_vhost_changed(device->handed);
	if (state == SERVED_GONE || (state == SERVED_AWAY && served->kind.forgets))
		fail_in_flight(device);
	if (state == SERVED_GONE && !served->kind.fail &&
	    atomic_load(&device->virtio.status) & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_ask_for_reset(&device->virtio);
	if (state == SERVED_UP)
		virtio_config_changed(&device->virtio);
}

/* Making one. */

static void served_destroy(struct virtio *virtio)
{
	struct served_device *device = device_of(virtio);
	struct served *served = device->served;

	virtio_stop(virtio);
	/* The next life's driver knows nothing of this one's requests. */
	served_end(virtio);
	served->ops->detach(served);
	virtio_vhost_destroy(device->handed);
	virtio_fini(virtio);
	free(device);
}

/* What is in flight, and what a file system knows of open files, is with others. */
static const char *served_unsaved(const struct virtio *virtio)
{
	(void)virtio;
	return "another process serves a device of its";
}

static const struct virtio_ops served_ops = {
	.unsaved = served_unsaved,
	.config_read = served_config_read,
	.config_write = served_config_write,
	.begin = served_begin,
	.end = served_end,
	.process = served_process,
	.drain = served_drain,
	.settle = served_drain,
	.destroy = served_destroy,
};

/* The device's own bits: those of its kind that who serves has as well. */
static uint64_t own_features(const struct served *served)
{
	return served->vhost->features & served->kind.features;
}

static int init_virtio(struct served_device *device, const struct memory *memory,
		       struct event_loop *loop)
{
	struct event_loop *loops[VHOST_RINGS_MAX + 1];
	struct served *served = device->served;
	int err;

	for (unsigned int i = 0; i < served->queues; i++)
		loops[i] = loop;
	err = virtio_init(&device->virtio, &device->ops, memory, loops, own_features(served),
			  served->queues, QUEUE_SIZE);
	if (err < 0)
		return err;
	err = virtio_vhost_create(&device->handed, &device->virtio, served->vhost, loop);
	if (err < 0)
		virtio_fini(&device->virtio);
	return err;
}

static int attach(struct served_device *device, struct event_loop *loop)
{
	struct served *served = device->served;
	int err;

	served->device = device;
	served->changed = served_changed;
	err = served->ops->attach(served, loop);
	if (err < 0) {
		virtio_vhost_destroy(device->handed);
		virtio_fini(&device->virtio);
	}
	return err;
}

int served_create(struct virtio **created, const struct memory *memory, struct event_loop *loop,
		  struct served *served)
{
	struct served_device *device = calloc(1, sizeof(*device));
	int err;

	if (!device) {
		log_error("%s: %s", served->by, strerror(ENOMEM));
		return -ENOMEM;
	}
	device->served = served;
	device->ops = served_ops;
	device->ops.name = served->kind.name;
	device->ops.device_id = served->kind.device_id;
	device->ops.config_size = served->config_size;
	err = init_virtio(device, memory, loop);
	if (err == 0)
		err = attach(device, loop);
	if (err < 0)
		free(device);
	else
		*created = &device->virtio;
	return err;
}

/* What there is to know. */

void served_close(struct served *served)
{
	served->ops->close(served);
}

bool served_shares_memory(const struct served *served)
{
	return served->vhost->shares_memory;
}

const char *served_kind(const struct served *served)
{
	return served->kind.name;
}

const char *served_by(const struct served *served)
{
	return served->by;
}

bool served_is_up(const struct served *served)
{
	return atomic_load(&served->state) == SERVED_UP;
}
