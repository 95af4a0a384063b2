// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The driver writes descriptors and the available ring, and the device the
 * used ring; each tells the other by an index that it stores after the entries (release) and loads
 * before them (acquire). With the event index each side also says at which index it wants to be
 * told; that store and the following load of the other's index must not pass each other, hence the
 * full fences.
 *
 * Behind an IOMMU (virtqueue_dma.h) what the driver sees as one may lie in many places. A buffer is
 * as many segments then. A part of the rings has no more bytes than a page of the IOMMU's, so it
 * lies in two places at most, wherever it begins.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <string.h>

#include "util.h"
#include "virtio/virtqueue.h"
#include "virtio/virtqueue_dma.h"

/* Alignment of the three parts: virtio 1.3, 2.7. */
#define DESC_ALIGN  16
#define AVAIL_ALIGN 2
#define USED_ALIGN  4

#define AVAIL_BYTES(size) (sizeof(struct vring_avail) + ((size) + 1) * sizeof(uint16_t))
#define USED_BYTES(size) \
	(sizeof(struct vring_used) + (size) * sizeof(struct vring_used_elem) + sizeof(uint16_t))

_Static_assert(VIRTQUEUE_SIZE_MAX * sizeof(struct vring_desc) <= IOMMU_PAGE, "in two places");
_Static_assert(AVAIL_BYTES(VIRTQUEUE_SIZE_MAX) <= IOMMU_PAGE, "likewise");
_Static_assert(USED_BYTES(VIRTQUEUE_SIZE_MAX) <= IOMMU_PAGE, "likewise");

/* What lies at offset of a part. No field of one has its end on another page than its beginning. */
static inline void *at(const struct virtqueue_place *place, uint32_t offset)
{
	return (void *)(place->from[offset >= place->split] + offset);
}

static uint16_t *avail_flags(const struct virtqueue *queue)
{
	return at(&queue->avail, offsetof(struct vring_avail, flags));
}

static uint16_t *avail_idx(const struct virtqueue *queue)
{
	return at(&queue->avail, offsetof(struct vring_avail, idx));
}

static uint16_t *avail_entry(const struct virtqueue *queue, unsigned int index)
{
	return at(&queue->avail, offsetof(struct vring_avail, ring) + index * sizeof(uint16_t));
}

/* Where the driver says at which used index it wants an interrupt: behind the available ring. */
static uint16_t *used_event(const struct virtqueue *queue)
{
	return avail_entry(queue, queue->layout.size);
}

static uint16_t *used_flags(const struct virtqueue *queue)
{
	return at(&queue->used, offsetof(struct vring_used, flags));
}

static uint16_t *used_idx(const struct virtqueue *queue)
{
	return at(&queue->used, offsetof(struct vring_used, idx));
}

/* A member of an entry of the used ring. */
static void *used_entry(const struct virtqueue *queue, unsigned int index, size_t member)
{
	return at(&queue->used, offsetof(struct vring_used, ring) +
					index * sizeof(struct vring_used_elem) + member);
}

/* Where the device says at which available index it wants a kick: behind the used ring. */
static uint16_t *avail_event(const struct virtqueue *queue)
{
	return used_entry(queue, queue->layout.size, 0);
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

/*
 * The same behind an IOMMU: of so much as lies together from address on, which *length becomes. It
 * stays there until the holder gives it back. *length is not 0.
 */
static void *driver_piece(const struct virtqueue *queue, uint64_t address, uint64_t *length,
			  uint32_t access, unsigned int holder)
{
	uint64_t gpa = address;
	void *host;

	if (!virtqueue_dma_translate(queue->dma, &gpa, length, access, holder))
		return NULL;
	host = driver_memory(queue, gpa, *length);
	if (!host)
		virtqueue_dma_report(queue->dma, address, access);
	return host;
}

uint32_t virtqueue_bytes(enum virtqueue_part part, uint16_t size)
{
	switch (part) {
	case VIRTQUEUE_DESC:
		return size * sizeof(struct vring_desc);
	case VIRTQUEUE_AVAIL:
		return AVAIL_BYTES(size);
	default:
		return USED_BYTES(size);
	}
}

static struct virtqueue_place in_one_place(void *host)
{
	return (struct virtqueue_place){ .from = { (uintptr_t)host }, .split = UINT32_MAX };
}

static bool find_pieces(const struct virtqueue *queue, struct virtqueue_place *place,
			uint64_t address, uint64_t bytes, uint32_t access)
{
	uint64_t first = bytes, second;
	void *host = driver_piece(queue, address, &first, access, VIRTQUEUE_DMA_RINGS);

	if (!host)
		return false;
	*place = in_one_place(host);
	if (first == bytes)
		return true;
	second = bytes - first;
	host = driver_piece(queue, address + first, &second, access, VIRTQUEUE_DMA_RINGS);
	if (!host || second < bytes - first)
		return false;
	place->from[1] = (uintptr_t)host - first;
	place->split = first;
	return true;
}

static bool find_part(const struct virtqueue *queue, struct virtqueue_place *place,
		      uint64_t address, uint64_t align, uint64_t bytes, uint32_t access)
{
	void *host;

	if (address % align != 0)
		return false;
	if (queue->dma)
		return find_pieces(queue, place, address, bytes, access);
	host = driver_memory(queue, address, bytes);
	*place = in_one_place(host);
	return host != NULL;
}

static bool find_parts(struct virtqueue *queue)
{
	const struct virtqueue_layout *layout = &queue->layout;
	const uint16_t size = layout->size;

	return find_part(queue, &queue->desc, layout->desc, DESC_ALIGN,
			 virtqueue_bytes(VIRTQUEUE_DESC, size), IOMMU_READ) &&
	       find_part(queue, &queue->avail, layout->avail, AVAIL_ALIGN, AVAIL_BYTES(size),
			 IOMMU_READ) &&
	       find_part(queue, &queue->used, layout->used, USED_ALIGN, USED_BYTES(size),
			 IOMMU_WRITE);
}

int virtqueue_start(struct virtqueue *queue, const struct memory *memory,
		    const struct virtqueue_layout *layout, bool event_idx)
{
	const uint16_t size = layout->size;

	virtqueue_stop(queue);
	*queue = (struct virtqueue){
		.memory = memory,
		.dma = queue->dma,
		.layout = *layout,
		.event_idx = event_idx,
	};
	if (size == 0 || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)) != 0)
		return -EINVAL;
	queue->started = find_parts(queue);
	if (queue->started)
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
	queue->started = false;
	if (queue->dma)
		virtqueue_dma_release(queue->dma, VIRTQUEUE_DMA_RINGS);
}

void virtqueue_forget(struct virtqueue *queue)
{
	if (queue->dma)
		virtqueue_dma_release_chains(queue->dma);
}

bool virtqueue_lost(const struct virtqueue *queue)
{
	return queue->dma && virtqueue_dma_lost_any(queue->dma);
}

bool virtqueue_lost_rings(const struct virtqueue *queue)
{
	return queue->dma && virtqueue_dma_lost(queue->dma, VIRTQUEUE_DMA_RINGS);
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
	struct virtqueue_place place;
	uint32_t entries;
	/* Behind an IOMMU, an indirect one: read piece by piece, for it may lie anywhere. */
	bool scattered;
	uint64_t address;
};

static bool chain_add(struct virtqueue_chain *chain, bool in, void *host, uint64_t length)
{
	uint32_t *const bytes = in ? &chain->in_bytes : &chain->out_bytes;

	/* What the device writes comes after all that it reads (virtio 1.3, 2.7.4.2). */
	if (!in && chain->in_count > 0)
		return false;
	if (chain->out_count + chain->in_count == chain->room)
		return false;
	if (length > UINT32_MAX - *bytes)
		return false;
	chain->out[chain->out_count + chain->in_count] = (struct iovec){ host, length };
	*bytes += length;
	if (in)
		chain->in_count++;
	else
		chain->out_count++;
	return true;
}

/* Another piece of a buffer. What lies next to the last one in the host too becomes one with it. */
static bool chain_extend(struct virtqueue_chain *chain, bool in, void *host, uint64_t length)
{
	struct iovec *last = &chain->out[chain->out_count + chain->in_count - 1];
	uint32_t *const bytes = in ? &chain->in_bytes : &chain->out_bytes;

	if ((char *)last->iov_base + last->iov_len != host)
		return chain_add(chain, in, host, length);
	last->iov_len += length;
	*bytes += length;
	return length <= *bytes;
}

/* Behind an IOMMU. There are as many pieces as mappings that the chain can hold, at most. */
static __attribute__((noinline)) bool add_pieces(const struct virtqueue *queue,
						 struct virtqueue_chain *chain,
						 const struct vring_desc *desc, unsigned int holder)
{
	const bool in = desc->flags & VRING_DESC_F_WRITE;
	uint64_t done = 0;

	while (done < desc->len) {
		uint64_t length = desc->len - done;
		void *host = driver_piece(queue, desc->addr + done, &length,
					  in ? IOMMU_WRITE : IOMMU_READ, holder);

		if (!host || !(done > 0 ? chain_extend(chain, in, host, length)
					: chain_add(chain, in, host, length)))
			return false;
		done += length;
	}
	return done > 0 || chain_add(chain, in, NULL, 0);
}

static bool add_buffer(const struct virtqueue *queue, struct virtqueue_chain *chain,
		       const struct vring_desc *desc, unsigned int holder)
{
	void *host;

	if (queue->dma)
		return add_pieces(queue, chain, desc, holder);
	host = driver_memory(queue, desc->addr, desc->len);
	return host && chain_add(chain, desc->flags & VRING_DESC_F_WRITE, host, desc->len);
}

static bool open_indirect(const struct virtqueue *queue, const struct vring_desc *desc,
			  struct table *table)
{
	void *host;

	/* Nothing comes after it; VRING_DESC_F_WRITE means nothing here (virtio 1.3, 2.7.5.3). */
	if (desc->flags & VRING_DESC_F_NEXT || desc->len % sizeof(*desc) != 0 || desc->len == 0)
		return false;
	table->entries = desc->len / sizeof(*desc);
	table->scattered = queue->dma != NULL;
	table->address = desc->addr;
	if (table->scattered)
		return true;
	host = driver_memory(queue, desc->addr, desc->len);
	table->place = in_one_place(host);
	return host != NULL;
}

/* The driver may have put it across the end of a page. */
static __attribute__((noinline)) bool fetch_scattered(const struct virtqueue *queue,
						      uint64_t address, void *copy, size_t size)
{
	uint64_t length;
	bool good = true;

	for (size_t done = 0; good && done < size; done += length) {
		const void *host;

		length = size - done;
		host = driver_piece(queue, address + done, &length, IOMMU_READ,
				    VIRTQUEUE_DMA_BYTES);
		good = host != NULL;
		if (good)
			fetch((char *)copy + done, host, length);
	}
	virtqueue_dma_release(queue->dma, VIRTQUEUE_DMA_BYTES);
	return good;
}

static bool fetch_desc(const struct virtqueue *queue, const struct table *table, uint32_t index,
		       struct vring_desc *desc)
{
	const uint32_t offset = index * sizeof(*desc);

	if (table->scattered)
		return fetch_scattered(queue, table->address + offset, desc, sizeof(*desc));
	fetch(desc, at(&table->place, offset), sizeof(*desc));
	return true;
}

/*
 * Follows a chain from entry index of the queue's table. Each step adds a segment or fails, and the
 * segments are bounded, so a loop ends.
 */
static bool chain_walk(const struct virtqueue *queue, struct virtqueue_chain *chain, uint16_t index,
		       unsigned int holder)
{
	struct table table = { .place = queue->desc, .entries = queue->layout.size };
	bool indirect = false;

	for (;;) {
		struct vring_desc desc;

		if (index >= table.entries || !fetch_desc(queue, &table, index, &desc))
			return false;
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			/* Only one, and not from within another. */
			if (indirect || !open_indirect(queue, &desc, &table))
				return false;
			indirect = true;
			index = 0;
			continue;
		}
		if (!add_buffer(queue, chain, &desc, holder))
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
	struct virtqueue_chain chain = { .room = VIRTQUEUE_SEGMENTS_MAX, .out = chain.segment };
	bool whole;

	if (queue->dma)
		chain.out = virtqueue_dma_log(queue->dma, &chain.room);
	whole = chain_walk(queue, &chain, head, VIRTQUEUE_DMA_LOG);
	for (unsigned int i = 0; i < chain.in_count && whole; i++) {
		const struct iovec *in = &chain.out[chain.out_count + i];

		if (in->iov_len > 0)
			memory_wrote(queue->memory, in->iov_base, in->iov_len);
	}
	if (queue->dma)
		virtqueue_dma_release(queue->dma, VIRTQUEUE_DMA_LOG);
}

static void log_used(const struct virtqueue *queue)
{
	const uint32_t bytes = USED_BYTES(queue->layout.size), split = queue->used.split;

	if (bytes <= split) {
		memory_wrote(queue->memory, at(&queue->used, 0), bytes);
		return;
	}
	memory_wrote(queue->memory, at(&queue->used, 0), split);
	memory_wrote(queue->memory, at(&queue->used, split), bytes - split);
}

/* The chain's buffers are none of the device's any more. */
static void give_up(struct virtqueue *queue, uint16_t head)
{
	if (queue->dma)
		virtqueue_dma_release(queue->dma, head);
}

int virtqueue_pop(struct virtqueue *queue, struct virtqueue_chain *chain)
{
	uint16_t available, head;

	if (!virtqueue_running(queue))
		return -EPROTO;
	if (queue->paused)
		return 0;
	available = __atomic_load_n(avail_idx(queue), __ATOMIC_ACQUIRE) - queue->next_avail;
	if (available == 0)
		return 0;
	if (available > queue->layout.size)
		return broken(queue);
	head = load(avail_entry(queue, queue->next_avail % queue->layout.size));
	if (head >= queue->layout.size || head_in_flight(queue, head))
		return broken(queue);

	chain->head = head;
	chain->out_count = chain->in_count = 0;
	chain->out_bytes = chain->in_bytes = 0;
	chain->out = chain->segment;
	chain->room = VIRTQUEUE_SEGMENTS_MAX;
	if (queue->dma)
		chain->out = virtqueue_dma_segments(queue->dma, &chain->room);
	if (!chain_walk(queue, chain, head, head)) {
		give_up(queue, head);
		return broken(queue);
	}
	chain->in = chain->out + chain->out_count;
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
	give_up(queue, chain->head);
	head_set(queue, chain->head, false);
	queue->next_avail--;
}

void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written)
{
	unsigned int index;

	give_up(queue, head);
	if (!virtqueue_running(queue))
		return;
	index = queue->next_used % queue->layout.size;
	__atomic_store_n((uint32_t *)used_entry(queue, index, offsetof(struct vring_used_elem, id)),
			 head, __ATOMIC_RELAXED);
	__atomic_store_n(
		(uint32_t *)used_entry(queue, index, offsetof(struct vring_used_elem, len)),
		written, __ATOMIC_RELAXED);
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
	__atomic_store_n(used_idx(queue), queue->published, __ATOMIC_RELEASE);
	log_used(queue);
}

void virtqueue_follow(struct virtqueue *queue)
{
	if (!virtqueue_running(queue))
		return;
	queue->next_used = __atomic_load_n(used_idx(queue), __ATOMIC_ACQUIRE);
	queue->published = queue->signalled = queue->next_used;
}

void virtqueue_skip(struct virtqueue *queue)
{
	if (virtqueue_running(queue))
		queue->next_avail = __atomic_load_n(avail_idx(queue), __ATOMIC_ACQUIRE);
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
	return !(load(avail_flags(queue)) & VRING_AVAIL_F_NO_INTERRUPT);
}

bool virtqueue_seen(const struct virtqueue *queue, uint16_t index)
{
	return !queue->started || !queue->event_idx ||
	       (int16_t)(load(used_event(queue)) - index) >= 0;
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
		store(used_flags(queue), 0);
	log_used(queue);
	atomic_thread_fence(memory_order_seq_cst);
	return load(avail_idx(queue)) != queue->next_avail;
}

void virtqueue_kicks_off(struct virtqueue *queue)
{
	/* With the event index, an event that lies behind asks for none. */
	if (!virtqueue_running(queue) || queue->paused || queue->event_idx)
		return;
	store(used_flags(queue), VRING_USED_F_NO_NOTIFY);
	log_used(queue);
}
