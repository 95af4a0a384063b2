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
#define TURN_BYTES ((uint32_t)MIB(1))

/* Those of the port and the two of control, as seen by the driver and the device
 * (virtio 1.3, 5.3.2). */
enum { RECEIVE, TRANSMIT, ANSWERS, CONTROL, QUEUES };

#define BIT(event) (1u << (event))

struct virtio_report {
	struct virtio virtio;
	struct sink *sink;
	struct event_timer interrupt; /* of TRANSMIT, delayed */
	uint32_t sent; /* of the chain at the front of TRANSMIT; guarded by its lock */
	unsigned int
		owed; /* to the driver, by VIRTIO_CONSOLE_* event; guarded by the lock of ANSWERS */
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

/* What a turn may still do. */
struct turn {
	unsigned int chains;
	uint32_t bytes;
};

static bool turn_over(const struct turn *left)
{
	return left->chains == 0 || left->bytes == 0;
}

/* Offers what is left of a chain to the host. True when all of it is gone. */
static bool transmit_chain(struct virtio_report *report, const struct virtqueue_chain *chain,
			   struct turn *left)
{
	struct iovec rest[VIRTQUEUE_SEGMENTS_MAX];

	while (report->sent < chain->out_bytes && left->bytes > 0) {
		const unsigned int count = rest_of(chain, report->sent, rest);
		const size_t taken = report->sink->offer(report->sink, rest, count);

		if (taken == 0)
			return false;
		report->sent += taken;
		left->bytes -= taken < left->bytes ? taken : left->bytes;
	}
	if (report->sent < chain->out_bytes)
		return false;
	report->sent = 0;
	left->chains--;
	return true;
}

/*
 * No more than left says. Returns what virtqueue_next() does: 1 when it stopped early, with work
 * left, because there was no room or the turn is over.
 */
static int transmit_some(struct virtio_queue *queue, struct turn *left)
{
	struct virtqueue_chain chain;
	int got;

	virtqueue_kicks_off(&queue->ring);
	while ((got = virtqueue_next(&queue->ring, &chain)) > 0) {
		if (!transmit_chain(report_of(queue), &chain, left)) {
			virtqueue_unpop(&queue->ring, &chain);
			break;
		}
		virtqueue_push(&queue->ring, chain.head, 0);
		if (turn_over(left))
			break;
	}
	return got;
}

static void transmit(struct virtio_queue *queue)
{
	const unsigned int size = queue->ring.layout.size;
	struct turn left = { .chains = size, .bytes = TURN_BYTES };
	const int got = transmit_some(queue, &left);

	virtqueue_publish(&queue->ring);
	if (virtqueue_unseen(&queue->ring) >= (size + 1) / 2)
		virtio_interrupt(queue);
	else
		event_timer_in(&report_of(queue)->interrupt, INTERRUPT_DELAY_NS);
	if (got < 0)
		virtio_needs_reset(queue->virtio);
	else if (turn_over(&left))
		event_notify(&queue->kick); /* others first */
}

static void interrupt_due(struct event_timer *timer)
{
	struct virtio_report *report = container_of(timer, struct virtio_report, interrupt);
	struct virtio_queue *queue = &report->virtio.queues[TRANSMIT];

	pthread_mutex_lock(&queue->lock);
	virtio_interrupt(queue);
	pthread_mutex_unlock(&queue->lock);
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
static bool drop(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	virtqueue_push(&queue->ring, chain->head, 0);
	return true;
}

/* Control. The lock of ANSWERS is held, but where a function takes it. */

static void listen(struct virtio_report *report, const struct virtio_console_control *message)
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

/* Tells the driver what it is to know, as far as it has buffers. */
static void say(struct virtio_queue *queue)
{
	struct virtio_report *report = report_of(queue);
	struct virtqueue *ring = &queue->ring;
	struct answer answer;
	struct virtqueue_chain chain;
	unsigned int left = ring->layout.size;
	uint32_t length;
	int got = 1;

	if (!virtqueue_running(ring))
		return;
	virtqueue_kicks_off(ring);
	while (left > 0 && (length = next_answer(report, &answer)) > 0) {
		got = virtqueue_next(ring, &chain);
		if (got <= 0)
			break;
		left--;
		/* One without room for the answer goes back empty, and the next one is tried. */
		if (chain.in_bytes < length) {
			virtqueue_push(ring, chain.head, 0);
			continue;
		}
		iov_write(chain.in, chain.in_count, 0, &answer, length);
		virtqueue_push(ring, chain.head, length);
		report->owed &= ~BIT(answer.header.event);
	}
	virtio_publish(queue);
	if (got < 0)
		virtio_needs_reset(queue->virtio);
	else if (left == 0)
		event_notify(&queue->kick);
}

static bool hear(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct virtio_queue *answers = &queue->virtio->queues[ANSWERS];
	struct virtio_console_control message;

	if (iov_read(chain->out, chain->out_count, 0, &message, sizeof(message)) ==
	    sizeof(message)) {
		pthread_mutex_lock(&answers->lock);
		listen(report_of(queue), &message);
		say(answers);
		pthread_mutex_unlock(&answers->lock);
	}
	virtqueue_push(&queue->ring, chain->head, 0);
	return true;
}

static void forget(struct virtio_report *report)
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
			virtio_serve(queue, drop);
		break;
	case ANSWERS:
		if (knows_ports(queue))
			say(queue);
		break;
	case CONTROL:
		if (knows_ports(queue))
			virtio_serve(queue, hear);
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
		forget(report_of(queue));
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

static void virtio_report_destroy(struct virtio *virtio)
{
	struct virtio_report *report = container_of(virtio, struct virtio_report, virtio);

	report->sink->room = NULL;
	virtio_report_drain(&virtio->queues[TRANSMIT]);
	event_timer_destroy(&report->interrupt);
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
	err = event_timer_create(&report->interrupt, loop, CLOCK_MONOTONIC, interrupt_due);
	if (err < 0)
		goto free_report;
	err = virtio_init(&report->virtio, &virtio_report_ops, memory, loops, features, QUEUES,
			  SMALL_QUEUE_SIZE);
	if (err < 0)
		goto destroy_timer;
	report->virtio.queues[TRANSMIT].size_max = QUEUE_SIZE;
	report->sink = sink;
	sink->device = report;
	sink->room = virtio_report_room;
	*created = &report->virtio;
	return 0;

destroy_timer:
	event_timer_destroy(&report->interrupt);
free_report:
	free(report);
	return err;
}
