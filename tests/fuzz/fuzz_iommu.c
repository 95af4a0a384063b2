// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of an IOMMU that asks for anything, and devices behind it: one that the driver's ring
 * lies in front of as well, a queue that keeps what it has popped, and one that is mirrored
 * elsewhere, where there is not always room. What they see of memory is compared with a table that
 * the requests' answers are written down in.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_iommu.h>
#include <linux/virtio_ring.h>

#include "fuzz.h"
#include "host/worker.h"
#include "iommu/virtio_iommu.h"
#include "memmap.h"
#include "util.h"
#include "virtio/virtio_rng.h"
#include "virtio/virtqueue_dma.h"

#define RAM	  KIB(256)
#define PAGE	  IOMMU_PAGE
#define PAGES	  24 /* that are looked at, from IOVA 0 on */
#define DOMAINS	  4
#define ENDPOINTS 3
#define MIRRORED  2 /* which of them */
#define LIMIT	  12
#define RING(n)	  (RAM_BASE + UINT64_C(0x3000) * (n)) /* of the IOMMU's queues */
#define REQUEST	  (RAM_BASE + 0x8000)
#define ANSWER	  (RAM_BASE + 0x9000)
#define DATA	  (RAM_BASE + 0x10000) /* what is mapped, mostly */
#define QUEUES	  3

static struct memory memory;
static struct input input;
static struct virtio *device, *rng;
static struct iommu *iommu;
static struct iommu_endpoint endpoints[ENDPOINTS];
static struct virtqueue ring;
static struct iommu_view views[ENDPOINTS];
static uint16_t offered, taken;

/* What should be: of each domain, and where the endpoints are (0: nowhere). */
struct page {
	bool mapped;
	uint64_t gpa, first, last;
	uint32_t allows;
};

struct domain {
	bool bypass;
	struct page pages[PAGES];
};

static struct domain domains[DOMAINS];
static unsigned int attached[ENDPOINTS]; /* 1 + domain, 0: nowhere */
static bool bypass;

/* The mirror: pages that it has, or GPAs. */
static struct page mirror[PAGES];
static bool mirrors_ram, ram_failed;
static unsigned int room; /* that is left; when there is none once, there is some again */

#define NOTIFIERS_MAX QUEUES
#include "fake_worker.h"

/* No device here has a timer. */

int event_timer_create(struct event_timer *timer, struct event_loop *loop, int clock,
		       void (*expired)(struct event_timer *timer))
{
	return 0;
}

void event_timer_destroy(struct event_timer *timer)
{
}

void event_timer_in(struct event_timer *timer, uint64_t nanoseconds)
{
}

static void interrupt(struct virtio_transport *transport, unsigned int queue)
{
}

static void config_interrupt(struct virtio_transport *transport)
{
}

static struct virtio_transport transport = {
	.queue_interrupt = interrupt,
	.config_interrupt = config_interrupt,
};

static void *ram(uint64_t gpa, uint64_t size)
{
	void *bytes = memory_at(&memory, gpa, size);

	MUST(bytes);
	return bytes;
}

/* The devices. */

static void revoke_rng(struct iommu_endpoint *endpoint, bool all)
{
	virtio_revoke(rng, all);
}

static void revoke_ring(struct iommu_endpoint *endpoint, bool all)
{
	virtqueue_forget(&ring);
	virtqueue_stop(&ring);
}

static bool has_room(void)
{
	if (room-- > 0)
		return true;
	room = UINT8_MAX + 1;
	return false;
}

static enum iommu_result mirror_bypass(struct iommu_endpoint *endpoint)
{
	MUST(!mirrors_ram);
	for (unsigned int i = 0; i < PAGES; i++)
		MUST(!mirror[i].mapped);
	mirrors_ram = has_room();
	ram_failed = !mirrors_ram;
	return mirrors_ram ? IOMMU_OK : IOMMU_NO_MEMORY;
}

static enum iommu_result mirror_map(struct iommu_endpoint *endpoint,
				    const struct iommu_mapping *mapping)
{
	MUST(!mirrors_ram);
	if (!has_room())
		return IOMMU_NO_MEMORY;
	for (uint64_t i = mapping->start / PAGE; i <= mapping->end / PAGE && i < PAGES; i++) {
		MUST(!mirror[i].mapped);
		mirror[i] = (struct page){ true, mapping->phys + i * PAGE - mapping->start,
					   mapping->start, mapping->end, mapping->allows };
	}
	return IOMMU_OK;
}

static void mirror_unmap(struct iommu_endpoint *endpoint, uint64_t start, uint64_t end)
{
	MUST(start <= end && start % PAGE == 0 && end % PAGE == PAGE - 1 && end <= IOMMU_IOVA_MAX);
	MUST(!mirrors_ram || (start == 0 && end == IOMMU_IOVA_MAX));
	mirrors_ram = false;
	for (unsigned int i = 0; i < PAGES; i++) {
		if (!mirror[i].mapped || mirror[i].last < start || mirror[i].first > end)
			continue;
		MUST(mirror[i].first >= start && mirror[i].last <= end);
		mirror[i].mapped = false;
	}
}

static const struct iommu_mirror_ops mirror_ops = {
	.bypass = mirror_bypass,
	.map = mirror_map,
	.unmap = mirror_unmap,
};

static void activate(struct virtio *virtio, uint32_t high)
{
	virtio_set_status(virtio, 3);
	virtio_set_features(virtio, 0, virtio_get_features(virtio, 0));
	virtio_set_features(virtio, 1, high);
	virtio_set_status(virtio, 11);
}

static void begin_iommu(void)
{
	memset(ram(RING(0), 0x6000), 0, 0x6000);
	offered = taken = 0;
	activate(device, 1);
	for (unsigned int i = 0; i < 2; i++) {
		device->queues[i].layout = (struct virtqueue_layout){ RING(i), RING(i) + 0x1000,
								      RING(i) + 0x2000, 16 };
		virtio_queue_set_ready(&device->queues[i], true);
	}
	virtio_set_status(device, 15);
	turn();
}

/* Requests, and what should come of them. */

static uint32_t request_size(unsigned int type)
{
	static const uint32_t sizes[] = { 0, 20, 20, 36, 28, 72 };

	return type < ARRAY_SIZE(sizes) ? sizes[type] : 0;
}

static struct domain *domain_of(uint32_t id)
{
	for (unsigned int i = 0; i < ENDPOINTS; i++)
		if (attached[i] == id + 1)
			return &domains[id];
	return NULL;
}

static void leave(unsigned int endpoint)
{
	const unsigned int from = attached[endpoint];

	attached[endpoint] = 0;
	if (from > 0 && !domain_of(from - 1))
		memset(&domains[from - 1], 0, sizeof(domains[0]));
}

static void follow_attach(const struct virtio_iommu_req_attach *attach)
{
	/* Who moves leaves first, but does not lose what he stays in. */
	if (attached[attach->endpoint] == attach->domain + 1)
		return;
	leave(attach->endpoint);
	domains[attach->domain].bypass = attach->flags;
	attached[attach->endpoint] = attach->domain + 1;
}

static void follow_map(const struct virtio_iommu_req_map *map)
{
	struct domain *domain = domain_of(map->domain);

	MUST(domain && !domain->bypass);
	MUST(map->virt_start % PAGE == 0 && map->virt_end % PAGE == PAGE - 1 &&
	     map->virt_end > map->virt_start);
	for (uint64_t i = map->virt_start / PAGE; i <= map->virt_end / PAGE && i < PAGES; i++) {
		MUST(!domain->pages[i].mapped);
		domain->pages[i] =
			(struct page){ true, map->phys_start + i * PAGE - map->virt_start,
				       map->virt_start, map->virt_end, map->flags & 3 };
	}
}

static void follow_unmap(const struct virtio_iommu_req_unmap *unmap)
{
	struct domain *domain = domain_of(unmap->domain);

	MUST(domain && !domain->bypass);
	for (unsigned int i = 0; i < PAGES; i++) {
		struct page *page = &domain->pages[i];

		if (!page->mapped || page->last < unmap->virt_start ||
		    page->first > unmap->virt_end)
			continue;
		MUST(page->first >= unmap->virt_start && page->last <= unmap->virt_end);
		page->mapped = false;
	}
	MUST(!virtqueue_lost(&ring) && !virtqueue_lost(&rng->queues[0].ring));
}

static void follow(const void *request, unsigned int type, uint8_t status)
{
	MUST(status == VIRTIO_IOMMU_S_OK ||
	     (status >= VIRTIO_IOMMU_S_INVAL && status <= VIRTIO_IOMMU_S_NOMEM));
	/* It has left, but the mirror has no room for where it was to go. */
	if (status == VIRTIO_IOMMU_S_NOMEM && type == VIRTIO_IOMMU_T_ATTACH) {
		MUST(((const struct virtio_iommu_req_attach *)request)->endpoint == MIRRORED);
		leave(MIRRORED);
	}
	if (status != VIRTIO_IOMMU_S_OK)
		return;
	if (type == VIRTIO_IOMMU_T_ATTACH)
		follow_attach(request);
	else if (type == VIRTIO_IOMMU_T_DETACH)
		leave(((const struct virtio_iommu_req_detach *)request)->endpoint);
	else if (type == VIRTIO_IOMMU_T_MAP)
		follow_map(request);
	else if (type == VIRTIO_IOMMU_T_UNMAP)
		follow_unmap(request);
}

/* Mostly small numbers of pages; whole ones, or nearly. */
static uint64_t take_iova(void)
{
	const uint64_t kind = take(&input, 1);

	if (kind == 0xff)
		return take(&input, 8);
	return (kind % PAGES) * PAGE - (kind >= 0xf0);
}

static void fill(uint8_t *request, unsigned int type)
{
	const uint32_t domain = take(&input, 1) % DOMAINS;
	struct virtio_iommu_req_attach *attach = (void *)request;
	struct virtio_iommu_req_map *map = (void *)request;
	struct virtio_iommu_req_unmap *unmap = (void *)request;

	request[0] = type;
	attach->domain = domain;
	switch (type) {
	case VIRTIO_IOMMU_T_ATTACH:
	case VIRTIO_IOMMU_T_DETACH:
		attach->endpoint = take(&input, 1) % (ENDPOINTS + 1);
		if (type == VIRTIO_IOMMU_T_ATTACH)
			attach->flags = take(&input, 1) % 8 == 0;
		break;
	case VIRTIO_IOMMU_T_MAP:
		map->virt_start = take_iova();
		map->virt_end = map->virt_start + take_iova() - 1;
		map->phys_start = DATA + take_iova();
		map->flags = take(&input, 1) % 12;
		break;
	case VIRTIO_IOMMU_T_UNMAP:
		unmap->virt_start = take_iova();
		unmap->virt_end = unmap->virt_start + take_iova() - 1;
		break;
	case VIRTIO_IOMMU_T_PROBE:
		((struct virtio_iommu_req_probe *)request)->endpoint = domain;
		break;
	}
}

/* Cut in pieces, and at its end, as the input has it. */
static void ask(void)
{
	const unsigned int type = take(&input, 1) % 7, cut = take(&input, 1);
	const uint32_t size = request_size(type) ?: 8;
	const uint32_t answer = type == VIRTIO_IOMMU_T_PROBE ? 260 : 4;
	struct vring_desc *table = ram(RING(0), 64);
	struct vring_avail *avail = ram(RING(0) + 0x1000, 0x100);
	const struct vring_used *used = ram(RING(0) + 0x2000, 0x100);
	const uint32_t first = cut % (size + 1), lost = cut >= 0xf0 ? cut % 16 : 0;
	uint8_t *request = ram(REQUEST, 0x100);

	if (atomic_load(&device->status) & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	memset(request, 0, 0x100);
	fill(request, type);
	memset(ram(ANSWER, 0x200), 0xee, 0x200);
	table[0] = (struct vring_desc){ REQUEST, first, VRING_DESC_F_NEXT, 1 };
	table[1] = (struct vring_desc){ REQUEST + first, size - first, VRING_DESC_F_NEXT, 2 };
	table[2] = (struct vring_desc){ ANSWER, answer - (lost < answer ? lost : 0),
					VRING_DESC_F_WRITE, 0 };
	avail->ring[offered % 16] = 0;
	avail->idx = ++offered;
	event_notify(&device->queues[0].kick);
	turn();
	MUST(used->idx == offered);
	if (used->ring[taken++ % 16].len > 0)
		follow(request, type, *(uint8_t *)ram(ANSWER + answer - 4, 1));
	else
		MUST(lost > 0 || request_size(type) == 0);
}

/* What devices do. */

static void step_ring(void)
{
	struct virtqueue_chain chain;

	switch (take(&input, 1) % 4) {
	case 0: {
		const struct virtqueue_layout layout = { take_iova(), take_iova(), take_iova(),
							 16 };

		virtqueue_forget(&ring);
		virtqueue_start(&ring, &memory, &layout, true);
		break;
	}
	case 1:
		if (virtqueue_pop(&ring, &chain) == 1)
			for (unsigned int i = 0; i < chain.out_count + chain.in_count; i++) {
				const uint8_t *host = chain.out[i].iov_base,
					      *base = ram(RAM_BASE, RAM);

				MUST(chain.out[i].iov_len == 0 ||
				     (host >= base && host + chain.out[i].iov_len <= base + RAM));
			}
		break;
	case 2:
		virtqueue_push(&ring, take(&input, 1) % 16, 0);
		virtqueue_publish(&ring);
		break;
	default:
		virtqueue_kicks_on(&ring);
		virtqueue_interrupt_due(&ring);
		break;
	}
}

static void step_rng(void)
{
	if (atomic_load(&rng->status) & VIRTIO_CONFIG_S_DRIVER_OK) {
		if (take(&input, 1) % 4 == 0)
			virtio_set_status(rng, 0);
		else
			event_notify(&rng->queues[0].kick);
	} else {
		activate(rng, 1 | 1u << (VIRTIO_F_ACCESS_PLATFORM - 32));
		rng->queues[0].layout =
			(struct virtqueue_layout){ take_iova(), take_iova(), take_iova(), 8 };
		virtio_queue_set_ready(&rng->queues[0], true);
		virtio_set_status(rng, 15);
	}
	turn();
}

/* In what may be mapped, and in what a queue may lie in. */
static void write_memory(void)
{
	const uint64_t at = DATA + take(&input, 3) % (PAGES * PAGE);
	const uint64_t value = take(&input, 2);

	memcpy(ram(at, 2), &value, 2);
}

/* What it has in common with what is written down. */
static void check_endpoint(unsigned int which)
{
	const struct domain *domain = attached[which] ? &domains[attached[which] - 1] : NULL;

	for (unsigned int i = 0; i < PAGES; i++) {
		const uint64_t iova = i * PAGE + i;
		const struct page *page = domain && !domain->bypass ? &domain->pages[i] : NULL;
		const uint32_t access = i % 2 ? IOMMU_READ : IOMMU_WRITE;
		struct iommu_mapping *held;
		uint64_t gpa, length = 1;
		const bool may = iommu_translate(&views[which], iova, access, &gpa, &length, &held);

		iommu_release(may ? held : NULL);
		if (!page) {
			MUST(may == (domain ? domain->bypass : bypass));
			MUST(!may || gpa == iova);
			continue;
		}
		MUST(may == (page->mapped && page->allows & access));
		MUST(!may || gpa == page->gpa + i);
	}
}

static void check_mirror(void)
{
	const unsigned int at = attached[MIRRORED];
	const struct domain *domain = at ? &domains[at - 1] : NULL;
	const bool ram = domain ? domain->bypass : bypass;

	MUST(mirrors_ram == ram || (ram && ram_failed));
	for (unsigned int i = 0; i < PAGES; i++) {
		const struct page *page = &mirror[i];

		MUST(page->mapped == (domain && domain->pages[i].mapped));
		MUST(!page->mapped || (page->gpa == domain->pages[i].gpa &&
				       page->allows == domain->pages[i].allows));
	}
}

static void step(void)
{
	const uint64_t what = take(&input, 1);

	if (what < 0x80) {
		ask();
	} else if (what < 0xa0) {
		step_ring();
	} else if (what < 0xb0) {
		step_rng();
	} else if (what < 0xe0) {
		write_memory();
	} else if (what < 0xf0) {
		bypass = what & 1;
		virtio_config_write(device, offsetof(struct virtio_iommu_config, bypass), bypass,
				    1);
	} else if (what == 0xf0) {
		virtio_set_status(device, 0);
		memset(domains, 0, sizeof(domains));
		memset(attached, 0, sizeof(attached));
		begin_iommu();
	} else if (what < 0xf4) {
		room = take(&input, 1);
	}
	turn();
	for (unsigned int i = 0; i < ENDPOINTS; i++)
		check_endpoint(i);
	check_mirror();
	turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct virtio_iommu_options options = { LIMIT, 0x8090000, 0x809ffff };
	struct event_loop loop = { .epoll_fd = -1 };

	input = (struct input){ data, size };
	if (!memory.host)
		MUST(memory_create(&memory, RAM_BASE, RAM, MEMORY_ANON, NULL) == 0);
	memset(ram(RAM_BASE, RAM), 0, RAM);
	memset(domains, 0, sizeof(domains));
	memset(attached, 0, sizeof(attached));
	bypass = true;
	MUST(virtio_iommu_create(&device, &iommu, &memory, &options) == 0);
	MUST(virtio_rng_create(&rng, &memory, &loop) == 0);
	device->transport = rng->transport = &transport;
	iommu_add(iommu, &endpoints[0], 0, revoke_ring);
	iommu_add(iommu, &endpoints[1], 1, revoke_rng);
	MUST(virtio_put_behind(rng, &endpoints[1]) == 0);
	iommu_add(iommu, &endpoints[MIRRORED], MIRRORED, NULL);
	iommu_mirror(&endpoints[MIRRORED], &mirror_ops, PAGE, NULL, 0);
	memset(mirror, 0, sizeof(mirror));
	mirrors_ram = true;
	ram_failed = false;
	room = UINT8_MAX + 1;
	ring = (struct virtqueue){ 0 };
	MUST(virtqueue_dma_create(&ring.dma, &endpoints[0], 8) == 0);
	for (unsigned int i = 0; i < ENDPOINTS; i++)
		views[i] = (struct iommu_view){ .endpoint = &endpoints[i] };
	begin_iommu();
	while (input.size > 0)
		step();
	iommu_remove(&endpoints[MIRRORED]);
	iommu_remove(&endpoints[1]);
	rng->ops->destroy(rng);
	iommu_remove(&endpoints[0]);
	virtqueue_stop(&ring);
	virtqueue_forget(&ring);
	virtqueue_dma_destroy(ring.dma);
	for (unsigned int i = 0; i < LIMIT; i++)
		MUST(atomic_load(&iommu->pool[i].users) == 0);
	device->ops->destroy(device);
	return 0;
}
