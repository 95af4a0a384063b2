// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drivers of a network device that do anything, on a link that is not real: a list of operations,
 * of which some are steps of a proper driver. Its threads are loops that are turned here. Whatever
 * has happened: the link gets no frame that is too long or whose header was not checked, what it is
 * to fill is the driver's, no buffer comes back with more bytes than it has, and after a reset
 * everything works.
 */
#include <linux/if_ether.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "driver.h"
#include "fake_link.h"
#include "fuzz.h"
#include "host/worker.h"
#include "memmap.h"
#include "net/virtio_net.h"
#include "util.h"
#include "virtio/virtio_vhost.h"

#define RAM	KIB(512)
#define PAIRS	2
#define QUEUES	(2 * PAIRS + 1)
#define RING(q) (RAM_BASE + UINT64_C(0x3000) * (q))
#define TABLE	RING(QUEUES) /* indirect descriptors, 64 */
#define DATA	(TABLE + 0x1000)

#define GSO_UDP_L4   5
#define HOST_USO     56
#define SIZE_MAX_LOG 6 /* of queues: 64 entries */
#define TURNS	     64 /* of all loops, after a step */

static struct memory memory;
static struct event_loop main_loop;
static struct fake_link fake;
static struct link_ops ops;
static struct virtio *device;
static struct driver driver[QUEUES];
static struct input input;

/*
 * How many bytes the chain at a head may at most have had to write to since it was offered; not
 * known once something has written where rings and tables lie.
 */
static uint64_t room[QUEUES][1 << SIZE_MAX_LOG];
static bool room_known;

static void *ram(uint64_t gpa, uint64_t size)
{
	void *bytes = memory_at(&memory, gpa, size);

	MUST(bytes);
	return bytes;
}

/* Workers. */

static struct worker *workers[PAIRS];
static unsigned int worker_count;

static void woken(struct event_notifier *notifier)
{
	(void)notifier;
}

int worker_create(struct worker *worker)
{
	MUST(event_loop_create(&worker->loop) == 0);
	return event_notifier_create(&worker->wakeup, &worker->loop, woken);
}

void worker_destroy(struct worker *worker)
{
	event_notifier_destroy(&worker->wakeup);
	event_loop_destroy(&worker->loop);
}

int worker_start(struct worker *worker, const char *name)
{
	(void)name;
	workers[worker_count++] = worker;
	return 0;
}

void worker_stop(struct worker *worker)
{
	(void)worker;
	worker_count--;
}

/* Frames do not go by a vhost here. */

int virtio_vhost_create(struct virtio_vhost **created, struct virtio *virtio, struct vhost *vhost,
			struct event_loop *loop)
{
	(void)created, (void)virtio, (void)vhost, (void)loop;
	MUST(false);
	return 0;
}

void virtio_vhost_destroy(struct virtio_vhost *handed)
{
	MUST(!handed);
}

void virtio_vhost_process(struct virtio_vhost *handed, struct virtio_queue *queue)
{
	(void)queue;
	MUST(!handed);
}

void virtio_vhost_drain(struct virtio_vhost *handed, struct virtio_queue *queue)
{
	(void)queue;
	MUST(!handed);
}

void virtio_vhost_revoke(struct virtio_vhost *handed, bool all)
{
	(void)all;
	MUST(!handed);
}

void virtio_vhost_changed(struct virtio_vhost *handed)
{
	MUST(!handed);
}

/* The link: what it is handed is looked at. */

static bool in_ram(const struct iovec *segment)
{
	const uint8_t *begin = ram(RAM_BASE, RAM), *base = segment->iov_base;

	return base >= begin && segment->iov_len <= RAM &&
	       base - begin <= (long)(RAM - segment->iov_len);
}

static void check_segmentation(const struct virtio_net_hdr *header, size_t bytes)
{
	static const unsigned int features[8] = {
		[VIRTIO_NET_HDR_GSO_TCPV4] = VIRTIO_NET_F_HOST_TSO4,
		[VIRTIO_NET_HDR_GSO_TCPV6] = VIRTIO_NET_F_HOST_TSO6,
		[GSO_UDP_L4] = HOST_USO,
	};
	const uint8_t type = header->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;

	MUST(type < 8 && features[type] > 0 && virtio_has(device, features[type]));
	MUST(type == header->gso_type || virtio_has(device, VIRTIO_NET_F_HOST_ECN));
	MUST(header->flags == VIRTIO_NET_HDR_F_NEEDS_CSUM);
	MUST(header->gso_size > 0 && header->hdr_len <= bytes);
}

static void check_header(const struct virtio_net_hdr_mrg_rxbuf *header, size_t bytes)
{
	MUST(header->num_buffers == 0);
	if (header->hdr.flags != 0) {
		MUST(header->hdr.flags == VIRTIO_NET_HDR_F_NEEDS_CSUM);
		MUST(virtio_has(device, VIRTIO_NET_F_CSUM));
		MUST(header->hdr.csum_start + header->hdr.csum_offset + 2u <= bytes);
	}
	if (header->hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		check_segmentation(&header->hdr, bytes);
}

static int send(struct link *link, unsigned int pair, const struct iovec *frame, unsigned int count)
{
	const size_t bytes = iov_length(frame, count);
	struct virtio_net_hdr_mrg_rxbuf header;

	MUST(count <= LINK_SEGMENTS_MAX && bytes <= LINK_FRAME_MAX);
	MUST(bytes >= LINK_HEADER + ETH_HLEN);
	MUST(frame[0].iov_len == LINK_HEADER && !in_ram(&frame[0]));
	memcpy(&header, frame[0].iov_base, sizeof(header));
	check_header(&header, bytes - LINK_HEADER);
	for (unsigned int i = 1; i < count; i++)
		MUST(in_ram(&frame[i]));
	return fake_send(link, pair, frame, count);
}

/* Only the last segment may be the device's own. */
static int64_t receive(struct link *link, unsigned int pair, const struct iovec *segments,
		       unsigned int count)
{
	MUST(count > 0 && count <= LINK_SEGMENTS_MAX);
	for (unsigned int i = 0; i < count - 1; i++)
		MUST(in_ram(&segments[i]));
	MUST(in_ram(&segments[count - 1]) || (segments[count - 1].iov_len == LINK_FRAME_MAX &&
					      virtio_has(device, VIRTIO_NET_F_MRG_RXBUF)));
	return fake_receive(link, pair, segments, count);
}

static void check_filter(struct link *link, const struct link_filter *filter)
{
	MUST(filter->unicast_count >= 1 && filter->unicast_count <= LINK_ADDRESSES_MAX);
	MUST(filter->multicast_count <= LINK_ADDRESSES_MAX);
	fake_filter(link, filter);
}

static void check_pairs(struct link *link, unsigned int pairs)
{
	MUST(pairs >= 1 && pairs <= PAIRS);
	fake_use_pairs(link, pairs);
}

/* The transport. */

static void queue_interrupt(struct virtio_transport *transport, unsigned int queue)
{
	(void)transport;
	MUST(queue < QUEUES);
}

static void config_interrupt(struct virtio_transport *transport)
{
	(void)transport;
}

static struct virtio_transport transport = { .queue_interrupt = queue_interrupt,
					     .config_interrupt = config_interrupt };

static void turn(void)
{
	for (unsigned int i = 0; i < TURNS; i++) {
		bool any = event_loop_turn(&main_loop, false) > 0;

		for (unsigned int j = 0; j < worker_count; j++)
			any |= event_loop_turn(&workers[j]->loop, false) > 0;
		if (!any)
			break;
	}
}

static void create(void)
{
	const struct virtio_net_options options = { &fake.link, PAIRS };
	uint64_t features = UINT64_C(1) << HOST_USO;

	for (unsigned int bit = VIRTIO_NET_F_CSUM; bit <= VIRTIO_NET_F_MRG_RXBUF; bit++)
		features |= UINT64_C(1) << bit;
	MUST(memory_create(&memory, RAM_BASE, RAM, MEMORY_ANON, NULL) == 0);
	MUST(event_loop_create(&main_loop) == 0);
	fake_link_create(&fake, features, PAIRS);
	ops = *fake.link.ops;
	ops.send = send;
	ops.receive = receive;
	ops.filter = check_filter;
	ops.use_pairs = check_pairs;
	fake.link.ops = &ops;
	MUST(virtio_net_create(&device, &memory, &main_loop, &options) == 0);
	device->transport = &transport;
}

/* The driver. */

/* Bytes to write to of what begins at a descriptor, more rather than less. */
static uint64_t chain_room(const struct vring_desc *table, unsigned int entries, unsigned int index)
{
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < VIRTQUEUE_SEGMENTS_MAX && index < entries; i++) {
		const struct vring_desc *desc = &table[index];

		/* Of those within others nothing comes. */
		if (desc->flags & INDIRECT)
			return table == ram(TABLE, 0x400)
				       ? bytes
				       : bytes + chain_room(ram(TABLE, 0x400), 64, 0);
		bytes += desc->flags & WRITE ? desc->len : 0;
		if (!(desc->flags & NEXT))
			break;
		index = desc->next;
	}
	return bytes;
}

static void note_room(void)
{
	for (unsigned int queue = 0; queue < QUEUES && room_known; queue++) {
		const unsigned int size = driver[queue].layout.size;

		for (unsigned int head = 0; head < size; head++) {
			const uint64_t now = chain_room(ram(RING(queue), 0x400), size, head);

			if (room[queue][head] < now)
				room[queue][head] = now;
		}
	}
}

static void take_used(unsigned int queue)
{
	uint32_t head, written;

	for (unsigned int i = 0; i < 64 && driver_take(&driver[queue], &head, &written); i++)
		MUST(!room_known || (head < 64 && written <= room[queue][head]));
}

static void set_status(uint8_t status)
{
	pthread_mutex_lock(&device->lock);
	virtio_set_status(device, status);
	pthread_mutex_unlock(&device->lock);
}

static void set_ready(unsigned int queue, bool ready)
{
	pthread_mutex_lock(&device->lock);
	if (ready && virtio_queue_open(&device->queues[queue]))
		device->queues[queue].layout = driver[queue].layout;
	virtio_queue_set_ready(&device->queues[queue], ready);
	pthread_mutex_unlock(&device->lock);
}

static void pause_for(void (*meanwhile)(void))
{
	pthread_mutex_lock(&device->lock);
	virtio_pause(device, true);
	pthread_mutex_unlock(&device->lock);
	meanwhile();
	pthread_mutex_lock(&device->lock);
	virtio_pause(device, false);
	pthread_mutex_unlock(&device->lock);
}

static void kick(unsigned int queue)
{
	event_notify(&device->queues[queue].kick);
}

static void negotiate(uint64_t features)
{
	set_status(0);
	MUST(atomic_load(&device->status) == 0);
	MUST(fake.accepted == 0 && fake.pairs_used == 1 && fake.filter.promiscuous);
	set_status(3);
	pthread_mutex_lock(&device->lock);
	virtio_set_features(device, 0, features);
	virtio_set_features(device, 1, features >> 32);
	pthread_mutex_unlock(&device->lock);
	set_status(11);
}

/* Any features; where they do not go together all that are offered, or the least. */
static void activate(void)
{
	const uint64_t how = take(&input, 1), wanted = take(&input, 8);

	negotiate((wanted & device->offered) | UINT64_C(1) << VIRTIO_F_VERSION_1);
	if (!(atomic_load(&device->status) & 8))
		negotiate(how & 0x80 ? device->offered : UINT64_C(1) << VIRTIO_F_VERSION_1);
	MUST(atomic_load(&device->status) & 8);
	memset(room, 0, sizeof(room));
	room_known = true;
	for (unsigned int queue = 0; queue < QUEUES; queue++) {
		driver[queue] = driver_create(&memory, RING(queue), 1u << how % (SIZE_MAX_LOG + 1));
		/* The available index and the used flags in one place. */
		if (how & 0x40 && queue == (how >> 3) % QUEUES) {
			driver[queue].layout.avail += 2;
			driver[queue].layout.used = driver[queue].layout.avail + 2;
			room_known = false;
		}
		set_ready(queue, true);
	}
	set_status(15);
	MUST(fake.accepted == device->accepted);
}

static void write_descriptor(uint64_t table)
{
	static const uint32_t lengths[] = { 0, 11, 12, 26, 60, 1536, 65562, 65563 };
	const uint64_t index = take(&input, 1) % 64, how = take(&input, 1);
	struct vring_desc desc = {
		.addr = DATA + take(&input, 2),
		.len = lengths[how % ARRAY_SIZE(lengths)],
		.flags = how >> 3 & (NEXT | WRITE),
		.next = index + 1,
	};

	switch (how >> 5) {
	case 0:
		desc.addr = TABLE;
		desc.len = 16 * (take(&input, 1) % 65);
		desc.flags = INDIRECT;
		break;
	case 1:
		desc.addr = RAM_BASE + take(&input, 3) % RAM;
		break;
	case 2:
		desc.addr = take(&input, 8);
		desc.len = take(&input, 4);
		break;
	case 3:
		desc.len = take(&input, 2);
		break;
	}
	/* What is written to rings and tables is not followed. */
	if (desc.addr < DATA && !(desc.flags & INDIRECT))
		room_known = false;
	memcpy(ram(table + 16 * index, sizeof(desc)), &desc, sizeof(desc));
	note_room();
}

static void write_bytes(void)
{
	const uint64_t gpa = DATA + take(&input, 2), count = take(&input, 1) % 32;

	for (unsigned int i = 0; i < count; i++)
		*(uint8_t *)ram(gpa + i, 1) = take(&input, 1);
}

static void poke(void)
{
	const uint64_t gpa = RAM_BASE + take(&input, 3) % (DATA - RAM_BASE),
		       value = take(&input, 2);

	memcpy(ram(gpa, 2), &value, 2);
	room_known = false;
}

/* Proper ones: a receive buffer, a frame to send, a command. */

static void give_buffer(unsigned int pair, unsigned int head, uint32_t bytes)
{
	driver_desc(&driver[2 * pair], head, DATA + 0x800 * head, bytes, WRITE, 0);
	note_room();
	driver_offer(&driver[2 * pair], head);
}

static void give_frame(unsigned int pair, unsigned int head, uint32_t bytes)
{
	driver_desc(&driver[2 * pair + 1], head, DATA + 0x20000 + 0x800 * head, bytes, 0, 0);
	driver_offer(&driver[2 * pair + 1], head);
}

static void give_command(unsigned int queue, uint32_t bytes, uint32_t cut)
{
	driver_desc(&driver[queue], 0, DATA + 0x50000, cut, NEXT, 1);
	driver_desc(&driver[queue], 1, DATA + 0x50000 + cut, bytes - cut, NEXT, 2);
	driver_desc(&driver[queue], 2, DATA + 0x60000, 1, WRITE, 0);
	note_room();
	driver_offer(&driver[queue], 0);
}

static void write_command(void)
{
	uint8_t *at = ram(DATA + 0x50000, 64);
	const uint32_t bytes = take(&input, 1) % 48;

	for (unsigned int i = 0; i < bytes; i++)
		at[i] = take(&input, 1);
	at[0] %= 5;
	at[1] %= 6;
	if (driver[2].layout.size < 4)
		return;
	give_command(take(&input, 1) % 2 ? 2 : QUEUES - 1, bytes,
		     bytes > 0 ? take(&input, 1) % bytes : 0);
}

static void change_link(unsigned int how)
{
	if (how & 1)
		fake.pairs[how >> 1 & 1].full = take(&input, 1) % 8;
	if (how & 4)
		fake.link.room(fake.link.device, how >> 1 & 1);
	if (how & 8) {
		atomic_store(&fake.link.up, how >> 4 & 1);
		fake.link.changed(fake.link.device);
	}
}

static void step(void)
{
	const unsigned int what = take(&input, 1), queue = (what >> 4) % QUEUES,
			   pair = what >> 4 & 1;

	switch (what % 16) {
	case 0:
	case 1:
		write_descriptor(RING(queue));
		break;
	case 2:
		write_descriptor(TABLE);
		break;
	case 3:
		write_bytes();
		break;
	case 4:
	case 5:
		driver_offer(&driver[queue], take(&input, 1) % 64);
		break;
	case 6:
	case 7:
		fake_arrive(&fake, pair,
			    LINK_HEADER + 1 + take(&input, 2) % (what & 0x80 ? 65550 : 3000), what);
		break;
	case 8:
		set_ready(queue, what & 0x80);
		break;
	case 9:
		activate();
		break;
	case 10:
		poke();
		break;
	case 11:
		for (unsigned int i = take(&input, 1) % 64; i < driver[2 * pair].layout.size; i++)
			give_buffer(pair, i, what & 0x40 ? 1536 : 100);
		break;
	case 12:
		give_frame(pair, take(&input, 1) % driver[1].layout.size, take(&input, 2));
		break;
	case 13:
		write_command();
		break;
	case 14:
		change_link(take(&input, 1));
		break;
	default:
		pause_for(what & 0x80 ? turn : write_bytes);
		break;
	}
	kick(queue);
	turn();
	for (unsigned int i = 0; i < QUEUES; i++)
		take_used(i);
}

/* What a proper driver finds afterwards. */

static void check_pair(unsigned int pair)
{
	const struct fake_frame frame = { 3000, 7 };
	uint32_t head, written;

	for (unsigned int i = 0; i < 8; i++)
		give_buffer(pair, i, 0x800);
	fake_arrive(&fake, pair, frame.bytes, frame.seed);
	memset(ram(DATA + 0x20000, 60), 0, 60);
	give_frame(pair, 0, 60);
	kick(2 * pair);
	kick(2 * pair + 1);
	turn();
	MUST(driver_take(&driver[2 * pair + 1], &head, &written) && head == 0 && written == 0);
	MUST(fake.pairs[pair].sent_bytes == 60);
	MUST(driver_take(&driver[2 * pair], &head, &written) && head == 0 && written == 0x800);
	MUST(driver_take(&driver[2 * pair], &head, &written) && head == 1 && written == 952);
	for (unsigned int i = LINK_HEADER; i < frame.bytes; i++)
		MUST(*(uint8_t *)ram(DATA + i, 1) == fake_byte(frame, i));
}

static void check_works(void)
{
	negotiate(device->offered);
	for (unsigned int queue = 0; queue < QUEUES; queue++) {
		driver[queue] = driver_create(&memory, RING(queue), 16);
		set_ready(queue, true);
	}
	for (unsigned int pair = 0; pair < PAIRS; pair++) {
		fake.pairs[pair].first = fake.pairs[pair].last = 0;
		fake.pairs[pair].full = 0;
	}
	set_status(15);
	turn();
	MUST(atomic_load(&device->status) == 15);
	for (unsigned int pair = 0; pair < PAIRS; pair++)
		check_pair(pair);
	memcpy(ram(DATA + 0x50000, 4), "\4\0\2\0", 4);
	give_command(QUEUES - 1, 4, 1);
	kick(QUEUES - 1);
	turn();
	MUST(*(uint8_t *)ram(DATA + 0x60000, 1) == VIRTIO_NET_OK && fake.pairs_used == 2);
	set_status(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = (struct input){ data, size };
	if (!device)
		create();
	memset(ram(RAM_BASE, RAM), 0, RAM);
	activate();
	while (input.size > 0)
		step();
	check_works();
	return 0;
}
