// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Both queues are worked on by the event loop's thread, which also has the
 * console's callbacks. Transmitted bytes are offered to the console; where it has no room for all,
 * the chain goes back to the queue and its rest follows when there is room. Received bytes go
 * straight into the driver's buffers; without any in sight no buffer is taken. After as many chains
 * as a queue has entries other events get their turn, so that no driver keeps the loop to itself.
 *
 * Linux waits for each transmitted buffer by looking at the used ring, and would get an interrupt
 * on top of that, worth two exits with virtio-mmio. So the interrupt is thought of a little later,
 * when a driver that looked by itself does not want it any more.
 */
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "host/iov.h"
#include "host/log.h"
#include "util.h"
#include "virtio/virtio_console.h"

#define QUEUE_SIZE	   64
#define INTERRUPT_DELAY_NS UINT64_C(1000000)

enum { RECEIVE, TRANSMIT, QUEUES };

struct virtio_console {
	struct virtio virtio;
	struct console *console;
	struct virtio_late_interrupt interrupt; /* of TRANSMIT */
	uint32_t sent; /* of the chain at the transmit queue's front */
};

static struct virtio_console *console_of(const struct virtio_queue *queue)
{
	return container_of(queue->virtio, struct virtio_console, virtio);
}

/* Offers what is left of a chain to the host. Without room for all of it the turn is over. */
static bool transmit_chain(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct virtio_console *device = console_of(queue);
	struct iovec rest[VIRTQUEUE_SEGMENTS_MAX];
	const unsigned int count = iov_slice(rest, ARRAY_SIZE(rest), chain->out, chain->out_count,
					     device->sent, SIZE_MAX);

	for (unsigned int i = 0; i < count; i++) {
		const size_t taken =
			device->console->offer(device->console, rest[i].iov_base, rest[i].iov_len);

		device->sent += taken;
		if (taken < rest[i].iov_len) {
			virtqueue_unpop(&queue->ring, chain);
			return false;
		}
	}
	device->sent = 0;
	virtqueue_push(&queue->ring, chain->head, 0);
	return true;
}

static void transmit(struct virtio_queue *queue)
{
	virtio_serve(queue, transmit_chain);
	virtqueue_publish(&queue->ring);
	virtio_interrupt_late(&console_of(queue)->interrupt, INTERRUPT_DELAY_NS);
}

/* Fills a chain's buffers with what the host has typed. Without any of that no more are wanted. */
static bool receive_chain(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct console *console = console_of(queue)->console;
	uint32_t filled = 0;

	for (unsigned int i = 0; i < chain->in_count; i++) {
		const struct iovec *segment = &chain->in[i];
		const size_t got = console->read(console, segment->iov_base, segment->iov_len);

		filled += got;
		if (got < segment->iov_len)
			break;
	}
	if (filled == 0) {
		virtqueue_unpop(&queue->ring, chain);
		return false;
	}
	virtqueue_push(&queue->ring, chain->head, filled);
	return true;
}

/* Without buffers, a kick is to tell of the next ones; without input, none is wanted. */
static void receive(struct virtio_queue *queue)
{
	virtio_serve(queue, receive_chain);
	virtio_publish(queue);
}

static void virtio_console_process(struct virtio_queue *queue)
{
	if (queue->index == TRANSMIT)
		transmit(queue);
	else
		receive(queue);
}

static void virtio_console_input(void *opaque)
{
	struct virtio_console *device = opaque;

	event_notify(&device->virtio.queues[RECEIVE].kick);
}

static void virtio_console_room(void *opaque)
{
	struct virtio_console *device = opaque;

	event_notify(&device->virtio.queues[TRANSMIT].kick);
}

static void virtio_console_resized(void *opaque)
{
	struct virtio_console *device = opaque;

	virtio_config_changed(&device->virtio);
}

/* A chain half sent is forgotten with the queue. */
static void virtio_console_drain(struct virtio_queue *queue)
{
	if (queue->index == TRANSMIT)
		console_of(queue)->sent = 0;
}

static void virtio_console_config_read(struct virtio *virtio, uint32_t offset, void *value,
				       uint32_t size)
{
	struct virtio_console *device = container_of(virtio, struct virtio_console, virtio);
	struct virtio_console_config config = { 0 };
	uint16_t columns, rows;

	if (device->console->size(device->console, &columns, &rows)) {
		config.cols = columns;
		config.rows = rows;
	}
	memcpy(value, (char *)&config + offset, size);
}

/* How much of the chain at the transmit queue's front is with the console. */
static void virtio_console_save(struct virtio *virtio, struct state_writer *writer, uint64_t index)
{
	const uint64_t sent = container_of(virtio, struct virtio_console, virtio)->sent;

	state_put(writer, "virtio-console", index, &sent, sizeof(sent));
}

static void virtio_console_restore(struct virtio *virtio, struct state_reader *reader,
				   uint64_t index)
{
	uint64_t sent;

	if (state_get(reader, "virtio-console", index, &sent, sizeof(sent)))
		container_of(virtio, struct virtio_console, virtio)->sent = sent;
}

static void virtio_console_destroy(struct virtio *virtio)
{
	struct virtio_console *device = container_of(virtio, struct virtio_console, virtio);

	device->console->input = NULL;
	device->console->room = NULL;
	device->console->resized = NULL;
	virtio_late_interrupt_destroy(&device->interrupt);
	virtio_fini(virtio);
	free(device);
}

static const struct virtio_ops virtio_console_ops = {
	.name = "virtio-console",
	.device_id = VIRTIO_ID_CONSOLE,
	.config_size = sizeof(struct virtio_console_config),
	.config_read = virtio_console_config_read,
	.process = virtio_console_process,
	.drain = virtio_console_drain,
	.save = virtio_console_save,
	.restore = virtio_console_restore,
	.destroy = virtio_console_destroy,
};

int virtio_console_create(struct virtio **created, const struct memory *memory,
			  struct event_loop *loop, struct console *console)
{
	struct virtio_console *device = calloc(1, sizeof(*device));
	struct event_loop *const loops[QUEUES] = { loop, loop };
	uint64_t features = 0;
	uint16_t columns, rows;
	int err;

	if (!device) {
		log_error("virtio-console: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	if (console->size(console, &columns, &rows))
		features |= UINT64_C(1) << VIRTIO_CONSOLE_F_SIZE;
	err = virtio_late_interrupt_create(&device->interrupt, &device->virtio, TRANSMIT, loop);
	if (err < 0)
		goto free_device;
	err = virtio_init(&device->virtio, &virtio_console_ops, memory, loops, features, QUEUES,
			  QUEUE_SIZE);
	if (err < 0)
		goto destroy_interrupt;
	device->console = console;
	console->device = device;
	console->input = virtio_console_input;
	console->room = virtio_console_room;
	console->resized = virtio_console_resized;
	*created = &device->virtio;
	return 0;

destroy_interrupt:
	virtio_late_interrupt_destroy(&device->interrupt);
free_device:
	free(device);
	return err;
}
