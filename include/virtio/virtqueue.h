/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Split virtqueues, the device's side (virtio 1.3, 2.7), with event index and indirect descriptors.
 *
 * Rings and descriptors are the guest's to change at any moment, so every field is read once, and
 * what a device gets are checked host addresses. What breaks the rules breaks the queue: all calls
 * then fail until it is started again.
 *
 * Calls on one queue are made by one thread at a time: by its worker, or by who starts or stops it,
 * under a lock of theirs (virtio.h).
 */
#ifndef NIDUS_VIRTQUEUE_H
#define NIDUS_VIRTQUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "mm/memory.h"

/* A driver may ask for no more entries than this. */
#define VIRTQUEUE_SIZE_MAX 256

/* A chain has no more segments than this: 128 of data, a header and a status byte. */
#define VIRTQUEUE_SEGMENTS_MAX 130

/*
 * Where a queue lies: addresses of the three parts as the driver gives them, GPAs or, behind an
 * IOMMU, IOVAs; and the number of entries, a power of two.
 */
struct virtqueue_layout {
	uint64_t desc, avail, used;
	uint16_t size;
};

enum virtqueue_part { VIRTQUEUE_DESC, VIRTQUEUE_AVAIL, VIRTQUEUE_USED };

struct virtqueue_dma;

/* A part of it in the host: offset o is at from[0] + o, and from split on at from[1] + o. */
struct virtqueue_place {
	uintptr_t from[2];
	uint32_t split;
};

struct virtqueue {
	const struct memory *memory;
	struct virtqueue_dma *dma; /* the owner's, of virtqueue_dma.h; NULL: there is no IOMMU */
	/* The three parts, while it is started. */
	bool started;
	struct virtqueue_place desc, avail, used;

	/* How the queue stands: all there is to know for whoever takes it over. */
	struct virtqueue_layout layout;
	bool event_idx; /* VIRTIO_F_RING_EVENT_IDX was negotiated */
	bool broken;
	bool paused; /* nothing is popped, no kick asked for, no interrupt due; the owner sets it */
	uint16_t next_avail; /* index of the chain to pop next, not reduced by size */
	uint16_t next_used; /* index of the entry to use next, likewise */
	uint16_t published; /* next_used as the driver knows it */
	uint16_t signalled; /* published when an interrupt was last thought of */
	uint8_t in_flight[VIRTQUEUE_SIZE_MAX / 8]; /* heads that were popped and not yet pushed */
};

/* Bytes of a part of a queue of so many entries. */
uint32_t virtqueue_bytes(enum virtqueue_part part, uint16_t size);

/* A request: what the driver wrote for the device, and where the device is to write. */
struct virtqueue_chain {
	uint16_t head;
	unsigned int out_count, in_count;
	uint32_t out_bytes, in_bytes;
	/* In segment[], or, behind an IOMMU, the queue's until its next chain is popped. */
	struct iovec *out, *in;
	unsigned int room; /* for segments there */
	struct iovec segment[VIRTQUEUE_SEGMENTS_MAX];
};

/* queue: zeroes at first. -EINVAL where the layout is misaligned, of no valid size, or not in RAM.
 */
int virtqueue_start(struct virtqueue *queue, const struct memory *memory,
		    const struct virtqueue_layout *layout, bool event_idx);
void virtqueue_stop(struct virtqueue *queue);

/* Behind an IOMMU; else nothing is done, and nothing can be lost. */

/* Nothing is in flight any more, whatever was popped. */
void virtqueue_forget(struct virtqueue *queue);
/* Whether memory has gone that is in use: of anything, or of the rings. */
bool virtqueue_lost(const struct virtqueue *queue);
bool virtqueue_lost_rings(const struct virtqueue *queue);

/* For a queue that has just started: it goes on from where another one stood. */
void virtqueue_resume(struct virtqueue *queue, uint16_t next_avail, uint16_t used,
		      uint16_t signalled);

static inline bool virtqueue_running(const struct virtqueue *queue)
{
	return queue->started && !queue->broken;
}

/*
 * 1 and the next chain, 0 when there is none, -EPROTO when the driver broke the queue; then what is
 * in chain is of no use.
 */
int virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain *chain);

/*
 * The same for who has turned kicks off: where there is no chain they are on again. It looks twice
 * at most, whatever the ring says meanwhile: rings may overlap, and then to turn kicks on or off
 * changes what the driver seems to say. A chain that was there and is not any more breaks the
 * queue, because drivers do not take back what they have made available (virtio 1.3, 2.7.13.3.1).
 * So a loop over chains that counts them is bounded by that count.
 */
int virtqueue_next(struct virtqueue *queue, struct virtqueue_chain *chain);

/* The last chain popped goes back unseen, to be popped again: there is no room for its data yet. */
void virtqueue_unpop(struct virtqueue *queue, const struct virtqueue_chain *chain);

/* The last chain popped is none of the device's: its driver broke the queue. */
void virtqueue_break(struct virtqueue *queue);

/* Gives a chain back, of whose `in` part written bytes were filled. Seen after virtqueue_publish().
 */
void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written);

/* Lets the driver see all that was pushed. */
void virtqueue_publish(struct virtqueue *queue);

/*
 * For a queue that somebody else works on, in the host's kernel or another process, by what stands
 * in the struct: brings what is known of the used ring up to what is in guest memory; for that the
 * driver has been told. Where they have ended, next_avail is the caller's to set.
 */
void virtqueue_follow(struct virtqueue *queue);

/* What is available by now is never popped: nobody knows which of it was used already. */
void virtqueue_skip(struct virtqueue *queue);

/*
 * Whether the driver wants an interrupt for what was published since the last time this was asked;
 * raising it is then up to the caller. To ask late is allowed, and saves the interrupt where the
 * driver has found the buffers by itself meanwhile.
 */
bool virtqueue_interrupt_due(struct virtqueue *queue);

/*
 * Whether the driver lets know that it has looked at the used ring as far as index, by the event
 * index; true where there is none. Also for who only keeps the queue from being started or stopped.
 */
bool virtqueue_seen(const struct virtqueue *queue, uint16_t index);

/*
 * How many published entries the driver has not looked at, as far as it says; if it wants to be
 * interrupted for the next one it does. A hint, and no more to be trusted than other numbers of
 * its.
 */
unsigned int virtqueue_unseen(const struct virtqueue *queue);

/*
 * Whether the driver is to kick when it adds chains. Turning kicks on returns true when there are
 * chains already, for which none will come.
 */
bool virtqueue_kicks_on(struct virtqueue *queue);
void virtqueue_kicks_off(struct virtqueue *queue);

#endif
