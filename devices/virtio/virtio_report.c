// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. All queues are worked on by the event loop's thread, which also has the
 * sink's callback. Transmitted bytes are offered to the sink; while it takes nothing the chain is
 * back in the queue, and its rest follows when there is room. After as many chains as the queue has
 * entries, or TURN_BYTES, other events get their turn, so that no driver keeps the loop to itself.
 *
 * There is one port, so that there are no more queues to set up than need be, each some ten exits.
 * It is 0, which a driver that does not know of ports takes for a console; what such a driver sends
 * goes nowhere. That the guest's console is another device, and not another port of this one, has
 * a reason: Linux makes consoles of ports in a workqueue, and may look for /dev/console before that
 * is done. The port has nothing to say to the guest either: its receive queue is there, and the
 * buffers in it stay.
 *
 * What the driver is to be told is a bit for each kind of message, however often and in whatever
 * order it asks, and however few buffers it gives. It gets the answers before it gets the message
 * back that they are to, so that they are there when it goes on. Whether it has the port open is of
 * no interest: what it sends is taken at any time.
 *
 * Linux does not wait for what it transmits: it looks at the used ring when it transmits the next
 * buffer, and sleeps only when the ring is full. So an interrupt comes at once only when half of
 * the ring has not been looked at, and else so late that a driver at work has no use for it any
 * more.
 *
 * What has been put into the transmit queue is the sink's, waited for or not: when the queue stops,
 * because the driver resets the device, as Linux does before it powers off, or because the machine
 * ends, the sink keeps a copy of what it has not taken yet.
 */
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "host/iov.h"
#include "host/log.h"
#include "util.h"
#include "virtio/virtio_report.h"

#define PORT  0
#define PORTS 1 /* the configuration's max_nr_ports */

#define QUEUE_SIZE 64
/* Of the queues that few buffers go through, or none: Linux fills each with pages. */
#define SMALL_QUEUE_SIZE 8

/* Until the driver is interrupted for what it has transmitted. */
#define INTERRUPT_DELAY_NS UINT64_C(100000000)

/* Transmitted before others have their turn. */
#define TURN_BYTES MIB(1)

/* Those of the port and the two of control, as seen by the driver and the device
 * (virtio 1.3, 5.3.2). */
enum { RECEIVE, TRANSMIT, ANSWERS, CONTROL, QUEUES };

#define BIT(event) (1u << (event))

struct virtio_report {
	struct virtio virtio;
	struct sink *sink;
	struct virtio_late_interrupt interrupt; /* of TRANSMIT */

	/* Guarded by the lock of TRANSMIT. */
	uint32_t sent; /* of the chain at the front */
	uint64_t turn_bytes; /* of all chains, in this turn */

	/* Guarded by the lock of ANSWERS. */
	unsigned int owed; /* to the driver, by VIRTIO_CONSOLE_* event */
};

static struct virtio_report *report_of(const struct virtio_queue *queue)
{
	return container_of(queue->virtio, struct virtio_report, virtio);
}

/* Transmission. */

/* What follows the first skip bytes of a chain. Returns how many segments that are. */
static unsigned int rest_of(const struct virtqueue_chain *chain, uint32_t skip, struct iovec *rest)
{
	return iov_slice(rest, VIRTQUEUE_SEGMENTS_MAX, chain->out, chain->out_count, skip,
			 SIZE_MAX);
}

/* Offers what is left of a chain to the host, as long as the turn lasts. False: no room. */
static bool offer_rest(struct virtio_report *report, const struct virtqueue_chain *chain)
{
	struct iovec rest[VIRTQUEUE_SEGMENTS_MAX];

	while (report->sent < chain->out_bytes && report->turn_bytes < TURN_BYTES) {
		const unsigned int count = rest_of(chain, report->sent, rest);
		const size_t taken = report->sink->offer(report->sink, rest, count);

		if (taken == 0)
			return false;
		report->sent += taken;
		report->turn_bytes += taken;
	}
	return true;
}

static bool transmit_chain(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct virtio_report *report = report_of(queue);
	const bool room = offer_rest(report, chain);

	if (report->sent < chain->out_bytes) {
		virtqueue_unpop(&queue->ring, chain);
	} else {
		report->sent = 0;
		virtqueue_push(&queue->ring, chain->head, 0);
	}
	if (!room)
		return false;
	if (report->turn_bytes < TURN_BYTES)
		return true;
	event_notify(&queue->kick); /* others first */
	return false;
}

static void transmit(struct virtio_queue *queue)
{
	struct virtio_report *report = report_of(queue);

	report->turn_bytes = 0;
	virtio_serve(queue, transmit_chain);
	virtqueue_publish(&queue->ring);
	if (virtqueue_unseen(&queue->ring) >= (queue->ring.layout.size + 1u) / 2)
		virtio_interrupt(queue);
	else
		virtio_interrupt_late(&report->interrupt, INTERRUPT_DELAY_NS);
}

/* The driver takes its buffers away. What is in them the sink keeps. */
static void keep_rest(struct virtio_queue *queue)
{
	struct virtio_report *report = report_of(queue);
	struct virtqueue *ring = &queue->ring;
	struct virtqueue_chain chain;
	struct iovec rest[VIRTQUEUE_SEGMENTS_MAX];

	for (unsigned int left = ring->layout.size; left > 0; left--) {
		if (virtqueue_pop(ring, &chain) <= 0)
			break;
		report->sink->keep(report->sink, rest, rest_of(&chain, report->sent, rest));
		report->sent = 0;
		virtqueue_push(ring, chain.head, 0);
	}
	report->sent = 0;
	virtqueue_publish(ring);
}

/* Of a driver that takes the port for a console. */
static bool drop_chain(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	virtqueue_push(&queue->ring, chain->head, 0);
	return true;
}

static void discard(struct virtio_queue *queue)
{
	virtio_serve(queue, drop_chain);
	virtio_publish(queue);
}

/* Control. The lock of ANSWERS is held, but where a function takes it. */

/* What the driver is to be told, after what it has said. */
static void note_control(struct virtio_report *report, const struct virtio_console_control *message)
{
	if (message->event == VIRTIO_CONSOLE_DEVICE_READY && message->value == 1)
		report->owed |= BIT(VIRTIO_CONSOLE_PORT_ADD);
	if (message->event != VIRTIO_CONSOLE_PORT_READY || message->id != PORT)
		return;
	if (message->value == 1)
		report->owed |= BIT(VIRTIO_CONSOLE_PORT_NAME) | BIT(VIRTIO_CONSOLE_PORT_OPEN);
	else
		report->owed = 0;
}

struct answer {
	struct virtio_console_control header;
	char name[sizeof(VIRTIO_REPORT_NAME) - 1]; /* with VIRTIO_CONSOLE_PORT_NAME only */
};

/* The answer that comes next. Returns its length, 0 when there is none. */
static uint32_t next_answer(const struct virtio_report *report, struct answer *answer)
{
	/* Who waits for the port to be open finds its name. */
	static const uint16_t order[] = {
		VIRTIO_CONSOLE_PORT_ADD,
		VIRTIO_CONSOLE_PORT_NAME,
		VIRTIO_CONSOLE_PORT_OPEN,
	};
	size_t i = 0;

	while (i < ARRAY_SIZE(order) && !(report->owed & BIT(order[i])))
		i++;
	if (i == ARRAY_SIZE(order))
		return 0;
	answer->header = (struct virtio_console_control){ PORT, order[i], 1 };
	if (order[i] != VIRTIO_CONSOLE_PORT_NAME)
		return sizeof(answer->header);
	memcpy(answer->name, VIRTIO_REPORT_NAME, sizeof(answer->name));
	/* Without what a compiler may put behind the name. */
	return offsetof(struct answer, name) + sizeof(answer->name);
}

/* Fills a buffer with what the driver is to know next. False: that was all. */
static bool answer(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct virtio_report *report = report_of(queue);
	struct answer next;
	const uint32_t length = next_answer(report, &next);

	/* One without room for the answer goes back empty, and the next one is tried. */
	if (chain->in_bytes < length) {
		virtqueue_push(&queue->ring, chain->head, 0);
		return true;
	}
	iov_write(chain->in, chain->in_count, 0, &next, length);
	virtqueue_push(&queue->ring, chain->head, length);
	report->owed &= ~BIT(next.header.event);
	return report->owed != 0;
}

/* Tells the driver what it is to know, as far as it has buffers. */
static void send_answers(struct virtio_queue *queue)
{
	if (!virtqueue_running(&queue->ring))
		return;
	if (report_of(queue)->owed == 0) {
		virtqueue_kicks_off(&queue->ring);
		return;
	}
	virtio_serve(queue, answer);
	virtio_publish(queue);
}

static bool take_control(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct virtio_queue *answers = &queue->virtio->queues[ANSWERS];
	struct virtio_console_control message;

	if (iov_read(chain->out, chain->out_count, 0, &message, sizeof(message)) ==
	    sizeof(message)) {
		pthread_mutex_lock(&answers->lock);
		note_control(report_of(queue), &message);
		send_answers(answers);
		pthread_mutex_unlock(&answers->lock);
	}
	virtqueue_push(&queue->ring, chain->head, 0);
	return true;
}

static void control(struct virtio_queue *queue)
{
	virtio_serve(queue, take_control);
	virtio_publish(queue);
}

static void forget_answers(struct virtio_report *report)
{
	struct virtio_queue *answers = &report->virtio.queues[ANSWERS];

	pthread_mutex_lock(&answers->lock);
	report->owed = 0;
	pthread_mutex_unlock(&answers->lock);
}

static bool knows_ports(const struct virtio_queue *queue)
{
	return virtio_has(queue->virtio, VIRTIO_CONSOLE_F_MULTIPORT);
}

static void virtio_report_process(struct virtio_queue *queue)
{
	switch (queue->index) {
	case TRANSMIT:
		if (knows_ports(queue))
			transmit(queue);
		else
			discard(queue);
		break;
	case ANSWERS:
		if (knows_ports(queue))
			send_answers(queue);
		break;
	case CONTROL:
		if (knows_ports(queue))
			control(queue);
		break;
	case RECEIVE:
		virtqueue_kicks_off(&queue->ring);
		break;
	}
}

static void virtio_report_room(void *opaque)
{
	struct virtio_report *report = opaque;

	event_notify(&report->virtio.queues[TRANSMIT].kick);
}

static void virtio_report_drain(struct virtio_queue *queue)
{
	if (queue->index == CONTROL)
		forget_answers(report_of(queue));
	else if (queue->index == TRANSMIT && knows_ports(queue))
		keep_rest(queue);
}

static void virtio_report_config_read(struct virtio *virtio, uint32_t offset, void *value,
				      uint32_t size)
{
	const struct virtio_console_config config = { .max_nr_ports = PORTS };

	(void)virtio;
	memcpy(value, (const char *)&config + offset, size);
}

struct report_state {
	uint32_t sent, owed;
};

static void virtio_report_save(struct virtio *virtio, struct state_writer *writer, uint64_t index)
{
	const struct virtio_report *report = container_of(virtio, struct virtio_report, virtio);
	const struct report_state state = { report->sent, report->owed };

	state_put(writer, "virtio-report", index, &state, sizeof(state));
}

static void virtio_report_restore(struct virtio *virtio, struct state_reader *reader,
				  uint64_t index)
{
	struct virtio_report *report = container_of(virtio, struct virtio_report, virtio);
	struct report_state state;

	if (!state_get(reader, "virtio-report", index, &state, sizeof(state)))
		return;
	report->sent = state.sent;
	report->owed = state.owed & (BIT(VIRTIO_CONSOLE_PORT_ADD) | BIT(VIRTIO_CONSOLE_PORT_NAME) |
				     BIT(VIRTIO_CONSOLE_PORT_OPEN));
}

static void virtio_report_destroy(struct virtio *virtio)
{
	struct virtio_report *report = container_of(virtio, struct virtio_report, virtio);

	report->sink->room = NULL;
	virtio_report_drain(&virtio->queues[TRANSMIT]);
	virtio_late_interrupt_destroy(&report->interrupt);
	virtio_fini(virtio);
	free(report);
}

static const struct virtio_ops virtio_report_ops = {
	.name = "virtio-report",
	.device_id = VIRTIO_ID_CONSOLE,
	.config_size = sizeof(struct virtio_console_config),
	.config_read = virtio_report_config_read,
	.process = virtio_report_process,
	.drain = virtio_report_drain,
	.save = virtio_report_save,
	.restore = virtio_report_restore,
	.destroy = virtio_report_destroy,
};

int virtio_report_create(struct virtio **created, const struct memory *memory,
			 struct event_loop *loop, struct sink *sink)
{
	struct virtio_report *report = calloc(1, sizeof(*report));
	struct event_loop *const loops[QUEUES] = { loop, loop, loop, loop };
	const uint64_t features = UINT64_C(1) << VIRTIO_CONSOLE_F_MULTIPORT;
	int err;

	if (!report) {
		log_error("virtio-report: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = virtio_late_interrupt_create(&report->interrupt, &report->virtio, TRANSMIT, loop);
	if (err < 0)
		goto free_report;
	err = virtio_init(&report->virtio, &virtio_report_ops, memory, loops, features, QUEUES,
			  SMALL_QUEUE_SIZE);
	if (err < 0)
		goto destroy_interrupt;
	report->virtio.queues[TRANSMIT].size_max = QUEUE_SIZE;
	report->sink = sink;
	sink->device = report;
	sink->room = virtio_report_room;
	*created = &report->virtio;
	return 0;

destroy_interrupt:
	virtio_late_interrupt_destroy(&report->interrupt);
free_report:
	free(report);
	return err;
}
