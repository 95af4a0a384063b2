// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Each pair of queues has a thread, which moves frames between guest memory
 * and the link without a copy.
 *
 * Transmit: a chain is a frame. Its header is copied, because the driver may change it after it was
 * checked, and the copy goes to the link in its place; nothing behind it is looked at. A driver
 * like Linux's finds what was sent when it sends or receives the next frame, so the interrupt is
 * thought of late: when a good part of the ring was not looked at, or when some time has gone by in
 * which the driver has not looked.
 *
 * Receive: how long the next frame is shows only when it is there. So chains are popped ahead into
 * a window, as many as the longest frame takes (VIRTIO_NET_F_MRG_RXBUF), or one. A frame fills the
 * first of them and leaves the others to the next one, so a chain is popped once, however short the
 * frames are.
 *
 * A driver that is late with its buffers is not to lose a long frame by that. So where the window
 * is shorter than the longest frame a buffer of nidus's own, the spill, stands behind it. What got
 * there waits for more chains and is copied to them. Where the driver has had no more than it has
 * offered already it will not help to wait, and the frame is dropped.
 *
 * Without buffers the link is not listened to, and the driver is asked to kick; with them it is the
 * other way round.
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "host/iov.h"
#include "host/log.h"
#include "virtio_net_parts.h"

#define NEEDS_CSUM VIRTIO_NET_HDR_F_NEEDS_CSUM

/*
 * What the driver has not looked at is worth an interrupt at once if it is such a part of the ring,
 * and else after so long.
 */
#define INTERRUPT_PART	   4
#define INTERRUPT_DELAY_NS UINT64_C(500000)

#define WINDOW_SEGMENTS (LINK_SEGMENTS_MAX - 1)

_Static_assert(sizeof(struct virtio_net_hdr_mrg_rxbuf) == LINK_HEADER, "virtio 1.3, 5.1.6");
_Static_assert(1 + VIRTQUEUE_SEGMENTS_MAX <= LINK_SEGMENTS_MAX, "header and a chain's segments");
_Static_assert(VIRTQUEUE_SEGMENTS_MAX <= WINDOW_SEGMENTS, "any chain by itself");

static struct net_pair *pair_of(struct virtio_queue *queue)
{
	return &virtio_net_of(queue->virtio)->pairs[queue->index / 2];
}

static struct virtio_queue *receive_queue(struct net_pair *pair)
{
	return &pair->device->virtio.queues[2 * pair->index];
}

static struct virtio_queue *transmit_queue(struct net_pair *pair)
{
	return &pair->device->virtio.queues[2 * pair->index + 1];
}

/* Transmit. */

/* Whether the driver may have the host cut frames of this type. */
static bool segmentation_negotiated(const struct virtio *virtio, uint8_t gso_type)
{
	if (gso_type & VIRTIO_NET_HDR_GSO_ECN && !virtio_has(virtio, VIRTIO_NET_F_HOST_ECN))
		return false;
	switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return virtio_has(virtio, VIRTIO_NET_F_HOST_TSO4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return virtio_has(virtio, VIRTIO_NET_F_HOST_TSO6);
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return virtio_has(virtio, VIRTIO_NET_F_HOST_USO);
	default:
		return false;
	}
}

/*
 * Whether a frame of so many bytes can be what its header says (virtio 1.3, 5.1.6.2). What has no
 * meaning in it becomes 0.
 */
static bool header_holds(const struct virtio *virtio, struct virtio_net_hdr_mrg_rxbuf *header,
			 uint32_t bytes)
{
	struct virtio_net_hdr *const hdr = &header->hdr;

	header->num_buffers = 0;
	hdr->flags &= NEEDS_CSUM;
	if (!(hdr->flags & NEEDS_CSUM))
		hdr->csum_start = hdr->csum_offset = 0;
	else if (!virtio_has(virtio, VIRTIO_NET_F_CSUM) ||
		 (uint32_t)hdr->csum_start + hdr->csum_offset + sizeof(uint16_t) > bytes)
		return false;
	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		hdr->hdr_len = hdr->gso_size = 0;
		return true;
	}
	return hdr->flags & NEEDS_CSUM && segmentation_negotiated(virtio, hdr->gso_type) &&
	       hdr->gso_size > 0 && hdr->hdr_len <= bytes;
}

/* 0: the chain is done with; -EAGAIN: there is no room for it. */
static int send_chain(struct net_pair *pair, const struct virtqueue_chain *chain,
		      struct virtio_net_hdr_mrg_rxbuf *header)
{
	struct link *const link = pair->device->link;
	const uint32_t bytes = chain->out_bytes - LINK_HEADER;
	struct iovec frame[1 + VIRTQUEUE_SEGMENTS_MAX];
	unsigned int segments;

	if (bytes < ETH_HLEN || bytes > LINK_FRAME_MAX - LINK_HEADER ||
	    !header_holds(&pair->device->virtio, header, bytes)) {
		counter_add(&link->counts[pair->index].send_dropped, 1);
		return 0;
	}
	frame[0] = (struct iovec){ header, LINK_HEADER };
	segments = iov_slice(frame + 1, VIRTQUEUE_SEGMENTS_MAX, chain->out, chain->out_count,
			     LINK_HEADER, bytes);
	return link->ops->send(link, pair->index, frame, 1 + segments);
}

static bool transmit_chain(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct virtio_net_hdr_mrg_rxbuf header;

	if (iov_read(chain->out, chain->out_count, 0, &header, LINK_HEADER) < LINK_HEADER) {
		virtqueue_break(&queue->ring);
		return true;
	}
	if (send_chain(pair_of(queue), chain, &header) == -EAGAIN) {
		virtqueue_unpop(&queue->ring, chain);
		return false;
	}
	virtqueue_push(&queue->ring, chain->head, 0);
	return true;
}

static void arm_interrupt(struct net_pair *pair, uint16_t published)
{
	pair->interrupt_armed = true;
	pair->interrupt_for = published;
	event_timer_in(&pair->interrupt, INTERRUPT_DELAY_NS);
}

/* A driver that has looked since is at work, and what came meanwhile gets its own time. */
static void interrupt_due(struct event_timer *timer)
{
	struct net_pair *pair = container_of(timer, struct net_pair, interrupt);
	struct virtio_queue *queue = transmit_queue(pair);
	const struct virtqueue *ring = &queue->ring;

	pthread_mutex_lock(&queue->lock);
	pair->interrupt_armed = false;
	if (!ring->event_idx || !virtqueue_seen(ring, pair->interrupt_for))
		virtio_interrupt(queue);
	else if (virtqueue_running(ring) && ring->published != pair->interrupt_for)
		arm_interrupt(pair, ring->published);
	pthread_mutex_unlock(&queue->lock);
}

static void transmit(struct virtio_queue *queue)
{
	struct net_pair *pair = pair_of(queue);
	const uint16_t before = queue->ring.published;

	virtio_serve(queue, transmit_chain);
	virtqueue_publish(&queue->ring);
	if (virtqueue_unseen(&queue->ring) >= queue->ring.layout.size / INTERRUPT_PART)
		virtio_interrupt(queue);
	else if (queue->ring.published != before && !pair->interrupt_armed)
		arm_interrupt(pair, queue->ring.published);
}

/* The window. */

static bool window_full(const struct net_pair *pair)
{
	const struct net_window *window = &pair->window;

	if (virtio_has(&pair->device->virtio, VIRTIO_NET_F_MRG_RXBUF))
		return window->bytes >= LINK_FRAME_MAX;
	return window->buffer_count > 0;
}

/* Room behind the window for so many segments; false: there is not so much. */
static bool window_room(struct net_window *window, unsigned int segments)
{
	if (window->segment_count + segments > WINDOW_SEGMENTS)
		return false;
	if (window->first_segment + window->segment_count + segments > WINDOW_SEGMENTS) {
		memmove(window->segments, window->segments + window->first_segment,
			window->segment_count * sizeof(*window->segments));
		window->first_segment = 0;
	}
	return true;
}

static void window_add(struct net_window *window, const struct virtqueue_chain *chain)
{
	const unsigned int last =
		(window->first_buffer + window->buffer_count++) % VIRTQUEUE_SIZE_MAX;
	const unsigned int end = window->first_segment + window->segment_count;
	const unsigned int segments = iov_slice(window->segments + end, chain->in_count, chain->in,
						chain->in_count, 0, SIZE_MAX);

	window->segment_count += segments;
	window->bytes += chain->in_bytes;
	window->buffers[last] = (struct net_buffer){ chain->head, segments, chain->in_bytes };
}

static struct net_buffer window_take(struct net_window *window)
{
	const struct net_buffer buffer = window->buffers[window->first_buffer];

	window->first_buffer = (window->first_buffer + 1) % VIRTQUEUE_SIZE_MAX;
	window->buffer_count--;
	window->first_segment += buffer.segments;
	window->segment_count -= buffer.segments;
	window->bytes -= buffer.bytes;
	return buffer;
}

/* As many chains as it takes, or all there are; then the driver kicks when there is one more. */
static void window_fill(struct net_pair *pair, struct virtqueue *ring)
{
	struct net_window *window = &pair->window;
	struct virtqueue_chain chain;

	pair->crowded = false;
	while (!window_full(pair) && virtqueue_next(ring, &chain) > 0) {
		/* The driver's are to be longer than that (virtio 1.3, 5.1.6.3.1). */
		if (chain.in_bytes < LINK_HEADER) {
			virtqueue_break(ring);
			return;
		}
		pair->crowded = !window_room(window, chain.in_count);
		if (pair->crowded) {
			virtqueue_unpop(ring, &chain);
			return;
		}
		window_add(window, &chain);
	}
	if (window->buffer_count > pair->most_buffers)
		pair->most_buffers = window->buffer_count;
}

/* Gives all chains back unseen, the last one first. */
static void window_empty(struct net_window *window, struct virtqueue *ring)
{
	struct virtqueue_chain chain;

	while (window->buffer_count > 0) {
		window->buffer_count--;
		chain.head = window->buffers[(window->first_buffer + window->buffer_count) %
					     VIRTQUEUE_SIZE_MAX]
				     .head;
		virtqueue_unpop(ring, &chain);
	}
	window->first_segment = window->segment_count = 0;
	window->bytes = 0;
}

/* Receive. */

/* What comes of an attempt to receive a frame. */
enum attempt { DONE, NO_FRAME, NO_BUFFERS };

static enum attempt drop(struct net_pair *pair)
{
	pair->waiting = 0;
	counter_add(&pair->device->link->counts[pair->index].receive_dropped, 1);
	return DONE;
}

/* The next frame goes to the window, and what is too long for that to the spill. */
static int64_t fetch(struct net_pair *pair)
{
	struct link *const link = pair->device->link;
	struct net_window *window = &pair->window;
	struct iovec *const segments = window->segments + window->first_segment;
	unsigned int segment_count = window->segment_count;

	if (!window_full(pair))
		segments[segment_count++] = (struct iovec){ pair->spill, LINK_FRAME_MAX };
	pair->spilled_at = window->bytes;
	return link->ops->receive(link, pair->index, segments, segment_count);
}

/* Gives the driver a frame that lies in the window; returns how many chains it took. */
static unsigned int deliver(struct net_pair *pair, struct virtqueue *ring, uint64_t bytes)
{
	struct net_window *window = &pair->window;
	uint64_t left = bytes;
	uint16_t buffers = 0;

	for (uint64_t fits = 0; fits < bytes; buffers++)
		fits += window->buffers[(window->first_buffer + buffers) % VIRTQUEUE_SIZE_MAX]
				.bytes;
	iov_write(window->segments + window->first_segment, window->segment_count,
		  offsetof(struct virtio_net_hdr_mrg_rxbuf, num_buffers), &buffers,
		  sizeof(buffers));
	for (unsigned int i = 0; i < buffers; i++) {
		const struct net_buffer buffer = window_take(window);
		const uint32_t filled = left < buffer.bytes ? left : buffer.bytes;

		virtqueue_push(ring, buffer.head, filled);
		left -= filled;
	}
	return buffers;
}

/* A frame that the window was too short for, when that may have changed. */
static enum attempt complete(struct net_pair *pair, struct virtqueue *ring, unsigned int *chains)
{
	struct net_window *window = &pair->window;
	const uint64_t bytes = pair->waiting;

	if (bytes > window->bytes) {
		/* All that the driver ever had is here, or no more is wanted of it. */
		if (pair->crowded || window->buffer_count >= pair->most_buffers)
			return drop(pair);
		return NO_BUFFERS;
	}
	iov_write(window->segments + window->first_segment, window->segment_count, pair->spilled_at,
		  pair->spill, bytes - pair->spilled_at);
	pair->waiting = 0;
	*chains = deliver(pair, ring, bytes);
	return DONE;
}

/* chains: how many of those that a turn may use were used, 1 at least. */
static enum attempt receive_frame(struct net_pair *pair, struct virtqueue *ring,
				  unsigned int *chains)
{
	int64_t got;

	*chains = 1;
	window_fill(pair, ring);
	if (!virtqueue_running(ring) || pair->window.buffer_count == 0)
		return NO_BUFFERS;
	if (pair->waiting > 0)
		return complete(pair, ring, chains);
	got = fetch(pair);
	if (got == 0)
		return NO_FRAME;
	if (got < 0)
		return DONE;
	if ((uint64_t)got > pair->spilled_at) {
		pair->waiting = got;
		return complete(pair, ring, chains);
	}
	*chains = deliver(pair, ring, got);
	return DONE;
}

static void set_listening(struct net_pair *pair, bool wanted)
{
	struct link *const link = pair->device->link;

	if (wanted != pair->listening)
		link->ops->listen(link, pair->index, wanted);
	pair->listening = wanted;
}

/* A turn uses no more chains than the queue has entries. Where frames are left the link says so. */
static void receive(struct virtio_queue *queue)
{
	struct net_pair *pair = pair_of(queue);
	struct virtqueue *ring = &queue->ring;
	unsigned int left = ring->layout.size;
	enum attempt last = DONE;

	virtqueue_kicks_off(ring);
	while (last == DONE && left > 0 && !virtio_queue_stopping(queue)) {
		unsigned int chains;

		last = receive_frame(pair, ring, &chains);
		left -= chains < left ? chains : left;
	}
	set_listening(pair, last != NO_BUFFERS);
	if (ring->broken)
		virtio_needs_reset(queue->virtio);
	virtio_publish(queue);
}

void virtio_net_frames_process(struct virtio_queue *queue)
{
	if (queue->index % 2 == 0)
		receive(queue);
	else
		transmit(queue);
}

void virtio_net_frames_drain(struct virtio_queue *queue)
{
	struct net_pair *pair = pair_of(queue);

	if (queue->index % 2 != 0)
		return;
	window_empty(&pair->window, &queue->ring);
	pair->most_buffers = 0;
	/* Its beginning lies in what was given back. */
	if (pair->waiting > 0)
		drop(pair);
}

/*
 * The link calls again as long as there are frames, so while a queue is being stopped that is left
 * to the next call.
 */
void virtio_net_frames_arrived(void *opaque, unsigned int index)
{
	struct virtio_net *device = opaque;
	struct net_pair *pair = &device->pairs[index];
	struct virtio_queue *queue = receive_queue(pair);

	if (virtio_queue_stopping(queue))
		return;
	pthread_mutex_lock(&queue->lock);
	if (virtqueue_running(&queue->ring) && virtio_net_carries_frames(queue))
		receive(queue);
	else
		set_listening(pair, false);
	pthread_mutex_unlock(&queue->lock);
}

void virtio_net_frames_room(void *opaque, unsigned int index)
{
	struct virtio_net *device = opaque;

	event_notify(&transmit_queue(&device->pairs[index])->kick);
}

int virtio_net_frames_create(struct net_pair *pair)
{
	pair->spill = malloc(LINK_FRAME_MAX);
	if (!pair->spill) {
		log_error("virtio-net: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	return event_timer_create(&pair->interrupt, &pair->worker.loop, CLOCK_MONOTONIC,
				  interrupt_due);
}

void virtio_net_frames_destroy(struct net_pair *pair)
{
	event_timer_destroy(&pair->interrupt);
	free(pair->spill);
}
