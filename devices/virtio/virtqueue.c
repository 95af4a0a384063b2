// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The driver writes descriptors and the available ring, and the device the
 * used ring; each tells the other by an index that it stores after the entries (release) and loads
 * before them (acquire). With the event index each side also says at which index it wants to be
 * told; that store and the following load of the other's index must not pass each other, hence the
 * full fences.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <string.h>

#include "util.h"
#include "virtio/virtqueue.h"

/* Alignment of the three parts: virtio 1.3, 2.7. */
#define DESC_ALIGN  16
#define AVAIL_ALIGN 2
#define USED_ALIGN  4

#define AVAIL_BYTES(size) (sizeof(struct vring_avail) + ((size) + 1) * sizeof(uint16_t))
#define USED_BYTES(size) \
	(sizeof(struct vring_used) + (size) * sizeof(struct vring_used_elem) + sizeof(uint16_t))

/* Where the driver says at which used index it wants an interrupt: behind the available ring. */
static uint16_t *used_event(const struct virtqueue *queue)
{
	return &queue->avail->ring[queue->layout.size];
}

/* Where the device says at which available index it wants a kick: behind the used ring. */
static uint16_t *avail_event(const struct virtqueue *queue)
{
	return (uint16_t *)&queue->used->ring[queue->layout.size];
}

static uint16_t load(const uint16_t *shared)
{
	return __atomic_load_n(shared, __ATOMIC_RELAXED);
}

static void store(uint16_t *shared, uint16_t value)
{
	__atomic_store_n(shared, value, __ATOMIC_RELAXED);
}

/*
 * A copy of what the guest may change at any moment. What is decided by it is decided by the copy:
 * a compiler cannot read what is shared again behind the fence.
 */
static void fetch(void *copy, const void *shared, size_t size)
{
	memcpy(copy, shared, size);
	atomic_signal_fence(memory_order_seq_cst);
}

/*
 * Where an address that the driver gave lies in the host, with all of its length, or NULL. There is
 * no other way from a device to its driver's memory, rings and indirect tables included.
 */
static void *driver_memory(const struct virtqueue *queue, uint64_t address, uint64_t length)
{
	return memory_at(queue->memory, address, length);
}

static void *part(const struct virtqueue *queue, uint64_t address, uint64_t align, uint64_t bytes)
{
	return address % align == 0 ? driver_memory(queue, address, bytes) : NULL;
}

int virtqueue_start(struct virtqueue *queue, const struct memory *memory,
		    const struct virtqueue_layout *layout, bool event_idx)
{
	const uint16_t size = layout->size;

	*queue = (struct virtqueue){
		.memory = memory,
		.layout = *layout,
		.event_idx = event_idx,
	};
	if (size == 0 || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)) != 0)
		return -EINVAL;
	queue->desc = part(queue, layout->desc, DESC_ALIGN, size * sizeof(*queue->desc));
	queue->avail = part(queue, layout->avail, AVAIL_ALIGN, AVAIL_BYTES(size));
	queue->used = part(queue, layout->used, USED_ALIGN, USED_BYTES(size));
	if (queue->desc && queue->avail && queue->used)
		return 0;
	virtqueue_stop(queue);
	return -EINVAL;
}

void virtqueue_resume(struct virtqueue *queue, uint16_t next_avail, uint16_t used,
		      uint16_t signalled)
{
	queue->next_avail = next_avail;
	queue->next_used = queue->published = used;
	queue->signalled = signalled;
}

void virtqueue_stop(struct virtqueue *queue)
{
	queue->desc = NULL;
	queue->avail = NULL;
	queue->used = NULL;
}

void virtqueue_break(struct virtqueue *queue)
{
	queue->broken = true;
}

static int broken(struct virtqueue *queue)
{
	virtqueue_break(queue);
	return -EPROTO;
}

/* In-flight heads: one bit each. */

static bool head_in_flight(const struct virtqueue *queue, uint16_t head)
{
	return queue->in_flight[head / 8] & 1 << head % 8;
}

static void head_set(struct virtqueue *queue, uint16_t head, bool in_flight)
{
	if (in_flight)
		queue->in_flight[head / 8] |= 1 << head % 8;
	else
		queue->in_flight[head / 8] &= ~(1 << head % 8);
}

/*
 * Chains. A table of descriptors is the queue's own or an indirect one; a copy of each descriptor
 * is taken before it is looked at.
 */
struct table {
	const struct vring_desc *desc;
	uint32_t entries;
};

static bool chain_add(const struct virtqueue *queue, struct virtqueue_chain *chain,
		      const struct vring_desc *desc)
{
	const bool in = desc->flags & VRING_DESC_F_WRITE;
	uint32_t *const bytes = in ? &chain->in_bytes : &chain->out_bytes;
	struct iovec *segment;

	/* What the device writes comes after all that it reads (virtio 1.3, 2.7.4.2). */
	if (!in && chain->in_count > 0)
		return false;
	if (chain->out_count + chain->in_count == VIRTQUEUE_SEGMENTS_MAX)
		return false;
	if (desc->len > UINT32_MAX - *bytes)
		return false;
	segment = &chain->segment[chain->out_count + chain->in_count];
	segment->iov_base = driver_memory(queue, desc->addr, desc->len);
	segment->iov_len = desc->len;
	if (!segment->iov_base)
		return false;
	*bytes += desc->len;
	if (in)
		chain->in_count++;
	else
		chain->out_count++;
	return true;
}

static bool open_indirect(const struct virtqueue *queue, const struct vring_desc *desc,
			  struct table *table)
{
	/* Nothing comes after it; VRING_DESC_F_WRITE means nothing here (virtio 1.3, 2.7.5.3). */
	if (desc->flags & VRING_DESC_F_NEXT || desc->len % sizeof(*table->desc) != 0 ||
	    desc->len == 0)
		return false;
	table->entries = desc->len / sizeof(*table->desc);
	table->desc = driver_memory(queue, desc->addr, desc->len);
	return table->desc != NULL;
}

/*
 * Follows a chain from entry index of table. Each step adds a segment or fails, and the segments
 * are bounded, so a loop ends.
 */
static bool chain_walk(const struct virtqueue *queue, struct virtqueue_chain *chain, uint16_t index)
{
	struct table table = { queue->desc, queue->layout.size };
	bool indirect = false;

	for (;;) {
		struct vring_desc desc;

		if (index >= table.entries)
			return false;
		fetch(&desc, &table.desc[index], sizeof(desc));
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			/* Only one, and not from within another. */
			if (indirect || !open_indirect(queue, &desc, &table))
				return false;
			indirect = true;
			index = 0;
			continue;
		}
		if (!chain_add(queue, chain, &desc))
			return false;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return true;
		index = desc.next;
	}
}

/*
 * For who keeps a log. The chain is followed again, as nothing else knows by now where it led: a
 * driver that has changed it meanwhile deceives itself. Apart, for it is large, and others need not
 * have it on their stack.
 */
static __attribute__((noinline)) void log_chain(const struct virtqueue *queue, uint16_t head)
{
	struct virtqueue_chain chain = { .head = head };

	if (!chain_walk(queue, &chain, head))
		return;
	for (unsigned int i = 0; i < chain.in_count; i++) {
		const struct iovec *in = &chain.segment[chain.out_count + i];

		if (in->iov_len > 0)
			memory_wrote(queue->memory, in->iov_base, in->iov_len);
	}
}

static void log_used(const struct virtqueue *queue)
{
	memory_wrote(queue->memory, queue->used, USED_BYTES(queue->layout.size));
}

int virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain *chain)
{
	uint16_t available, head;

	if (!virtqueue_running(queue))
		return -EPROTO;
	if (queue->paused)
		return 0;
	available = __atomic_load_n(&queue->avail->idx, __ATOMIC_ACQUIRE) - queue->next_avail;
	if (available == 0)
		return 0;
	if (available > queue->layout.size)
		return broken(queue);
	head = load(&queue->avail->ring[queue->next_avail % queue->layout.size]);
	if (head >= queue->layout.size || head_in_flight(queue, head))
		return broken(queue);

	chain->head = head;
	chain->out_count = chain->in_count = 0;
	chain->out_bytes = chain->in_bytes = 0;
	if (!chain_walk(queue, chain, head))
		return broken(queue);
	chain->out = chain->segment;
	chain->in = chain->segment + chain->out_count;
	head_set(queue, head, true);
	queue->next_avail++;
	return 1;
}

int virtqueue_next(struct virtqueue *queue, struct virtqueue_chain *chain)
{
	int got = virtqueue_pop(queue, chain);

	if (got != 0 || !virtqueue_kicks_on(queue))
		return got;
	/* More came while kicks were off. */
	virtqueue_kicks_off(queue);
	got = virtqueue_pop(queue, chain);
	return got == 0 ? broken(queue) : got;
}

void virtqueue_unpop(struct virtqueue *queue, const struct virtqueue_chain *chain)
{
	head_set(queue, chain->head, false);
	queue->next_avail--;
}

void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written)
{
	struct vring_used_elem *elem;

	if (!virtqueue_running(queue))
		return;
	elem = &queue->used->ring[queue->next_used % queue->layout.size];
	__atomic_store_n(&elem->id, head, __ATOMIC_RELAXED);
	__atomic_store_n(&elem->len, written, __ATOMIC_RELAXED);
	if (queue->memory->written)
		log_chain(queue, head);
	head_set(queue, head, false);
	queue->next_used++;
}

void virtqueue_publish(struct virtqueue *queue)
{
	if (!virtqueue_running(queue) || queue->published == queue->next_used)
		return;
	queue->published = queue->next_used;
	__atomic_store_n(&queue->used->idx, queue->published, __ATOMIC_RELEASE);
	log_used(queue);
}

void virtqueue_follow(struct virtqueue *queue)
{
	if (!virtqueue_running(queue))
		return;
	queue->next_used = __atomic_load_n(&queue->used->idx, __ATOMIC_ACQUIRE);
	queue->published = queue->signalled = queue->next_used;
}

void virtqueue_skip(struct virtqueue *queue)
{
	if (virtqueue_running(queue))
		queue->next_avail = __atomic_load_n(&queue->avail->idx, __ATOMIC_ACQUIRE);
}

bool virtqueue_interrupt_due(struct virtqueue *queue)
{
	const uint16_t before = queue->signalled, now = queue->published;

	if (!virtqueue_running(queue) || queue->paused || before == now)
		return false;
	atomic_thread_fence(memory_order_seq_cst);
	queue->signalled = now;
	if (queue->event_idx)
		return vring_need_event(load(used_event(queue)), now, before);
	return !(load(&queue->avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
}

bool virtqueue_seen(const struct virtqueue *queue, uint16_t index)
{
	return !queue->desc || !queue->event_idx || (int16_t)(load(used_event(queue)) - index) >= 0;
}

unsigned int virtqueue_unseen(const struct virtqueue *queue)
{
	if (!virtqueue_running(queue))
		return 0;
	return (uint16_t)(queue->published -
			  (queue->event_idx ? load(used_event(queue)) : queue->signalled));
}

bool virtqueue_kicks_on(struct virtqueue *queue)
{
	if (!virtqueue_running(queue) || queue->paused)
		return false;
	if (queue->event_idx)
		store(avail_event(queue), queue->next_avail);
	else
		store(&queue->used->flags, 0);
	log_used(queue);
	atomic_thread_fence(memory_order_seq_cst);
	return load(&queue->avail->idx) != queue->next_avail;
}

void virtqueue_kicks_off(struct virtqueue *queue)
{
	/* With the event index, an event that lies behind asks for none. */
	if (!virtqueue_running(queue) || queue->paused || queue->event_idx)
		return;
	store(&queue->used->flags, VRING_USED_F_NO_NOTIFY);
	log_used(queue);
}
