// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A device that rests has nothing in flight, so that where its queues stand is
 * all there is of them. A new one is brought there as a driver would: features, queues, status; but
 * for where the rings go on. What a driver could not have done is refused.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "host/log.h"
#include "util.h"
#include "virtio/virtio.h"

#define STATUS_KNOWN                                                                          \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | \
	 VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)

struct virtio_state {
	uint64_t accepted;
	uint32_t config_generation;
	uint32_t device_id;
	uint8_t status;
	uint8_t zero;
	uint16_t queue_count;
	uint32_t zero_too;
};

struct queue_state {
	uint64_t desc, avail, used;
	uint16_t size;
	uint16_t next_avail, used_index, signalled;
	uint8_t ready; /* the driver has enabled it */
	uint8_t started; /* and it has a ring */
	uint8_t broken;
	uint8_t zero[5];
};

void virtio_rest(struct virtio *virtio, bool rest)
{
	pthread_mutex_lock(&virtio->lock);
	virtio->rests = rest;
	for (unsigned int i = 0; i < virtio->queue_count; i++) {
		struct virtio_queue *queue = &virtio->queues[i];

		virtio_queue_pause(queue, rest);
		if (rest)
			continue;
		pthread_mutex_lock(&queue->lock);
		virtio_interrupt(queue);
		pthread_mutex_unlock(&queue->lock);
	}
	pthread_mutex_unlock(&virtio->lock);
}

const char *virtio_unsaved(const struct virtio *virtio)
{
	return virtio->ops->unsaved ? virtio->ops->unsaved(virtio) : NULL;
}

/* Saving. */

static struct queue_state state_of(const struct virtio_queue *queue)
{
	const struct virtqueue *ring = &queue->ring;

	return (struct queue_state){
		.desc = queue->layout.desc,
		.avail = queue->layout.avail,
		.used = queue->layout.used,
		.size = queue->layout.size,
		.next_avail = ring->next_avail,
		.used_index = ring->published,
		.signalled = ring->signalled,
		.ready = queue->ready,
		.started = ring->started,
		.broken = ring->broken,
	};
}

void virtio_save(struct virtio *virtio, struct state_writer *writer, uint64_t index)
{
	struct virtio_state state;

	pthread_mutex_lock(&virtio->lock);
	state = (struct virtio_state){
		.accepted = virtio->accepted,
		.config_generation = atomic_load(&virtio->config_generation),
		.device_id = virtio->ops->device_id,
		.status = atomic_load(&virtio->status),
		.queue_count = virtio->queue_count,
	};
	state_put(writer, "virtio", index, &state, sizeof(state));
	state_begin(writer, "virtio-queues", index);
	for (unsigned int i = 0; i < virtio->queue_count; i++) {
		const struct queue_state queue = state_of(&virtio->queues[i]);

		state_add(writer, &queue, sizeof(queue));
	}
	state_end(writer);
	if (virtio->ops->save)
		virtio->ops->save(virtio, writer, index);
	pthread_mutex_unlock(&virtio->lock);
}

/* Restoring. */

/* What of it no driver could have brought about with this device, or NULL. */
static const char *impossible(const struct virtio *virtio, const struct virtio_state *state)
{
	if (state->device_id != virtio->ops->device_id)
		return "is of another kind of device: are disks and networks the same, and in the "
		       "same order?";
	if (state->queue_count != virtio->queue_count)
		return "has another number of queues";
	if (state->accepted & ~virtio->offered)
		return "has a feature that the device does not have here";
	if (state->status & ~STATUS_KNOWN)
		return "has a status that there is not";
	if (state->status & VIRTIO_CONFIG_S_DRIVER_OK &&
	    !(state->status & VIRTIO_CONFIG_S_FEATURES_OK))
		return "has a status that there is not";
	return NULL;
}

static bool restore_queue(struct virtio_queue *queue, const struct queue_state *state)
{
	bool started;

	queue->layout = (struct virtqueue_layout){
		.desc = state->desc,
		.avail = state->avail,
		.used = state->used,
		.size = state->size,
	};
	if (state->size > queue->size_max || (state->started && !state->ready) ||
	    (state->started && !(atomic_load(&queue->virtio->status) & VIRTIO_CONFIG_S_DRIVER_OK)))
		return false;
	queue->ready = state->ready;
	if (!state->started)
		return true;
	pthread_mutex_lock(&queue->lock);
	started = virtqueue_start(&queue->ring, queue->virtio->memory, &queue->layout,
				  virtio_has(queue->virtio, VIRTIO_RING_F_EVENT_IDX)) == 0;
	queue->ring.paused = true;
	virtqueue_resume(&queue->ring, state->next_avail, state->used_index, state->signalled);
	if (state->broken)
		virtqueue_break(&queue->ring);
	pthread_mutex_unlock(&queue->lock);
	return started;
}

static void restore_queues(struct virtio *virtio, struct state_reader *reader, uint64_t index,
			   const struct queue_state *queues)
{
	for (unsigned int i = 0; i < virtio->queue_count && reader->err == 0; i++)
		if (!restore_queue(&virtio->queues[i], &queues[i]))
			state_refuse(reader, "virtio-queues", index,
				     "has a queue that there cannot be");
}

void virtio_restore(struct virtio *virtio, struct state_reader *reader, uint64_t index)
{
	const struct queue_state *queues = NULL;
	struct virtio_state state;
	const char *why = NULL;
	size_t size = 0;
	bool begun;

	if (state_get(reader, "virtio", index, &state, sizeof(state))) {
		why = impossible(virtio, &state);
		queues = state_take(reader, "virtio-queues", index, &size);
	}
	if (!queues)
		return;
	if (!why && size != virtio->queue_count * sizeof(*queues))
		why = "has another number of queues";
	if (why) {
		state_refuse(reader, "virtio", index, why);
		return;
	}
	begun = state.status & VIRTIO_CONFIG_S_DRIVER_OK;
	pthread_mutex_lock(&virtio->lock);
	virtio->accepted = state.accepted;
	atomic_store(&virtio->config_generation, state.config_generation);
	atomic_store(&virtio->status, state.status);
	if (begun && reader->err == 0 && virtio->ops->begin)
		virtio->ops->begin(virtio);
	if (virtio->ops->restore)
		virtio->ops->restore(virtio, reader, index);
	restore_queues(virtio, reader, index, queues);
	pthread_mutex_unlock(&virtio->lock);
}
