// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver written by hand against the device, on a link and a vhost that are not real. Threads of
 * the device are loops that the tests turn, so that everything comes in a known order; those of two
 * tests are threads.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <unistd.h>

#include "unit.h"

#include "driver.h"
#include "fake_link.h"
#include "host/worker.h"
#include "net/virtio_net.h"
#include "util.h"
#include "vhost.h"
#include "virtio/virtio_vhost.h"

#define BASE	UINT64_C(0x40000000)
#define RAM	MIB(16)
#define DATA	(BASE + MIB(1))
#define QUEUES	(2 * LINK_PAIRS_MAX + 1)
#define RING(q) (BASE + UINT64_C(0x4000) * (q))
#define SIZE	256

#define HOST_USO 56

#define BIT(bit)  (UINT64_C(1) << (bit))
#define VERSION_1 BIT(VIRTIO_F_VERSION_1)
#define EVENT_IDX BIT(VIRTIO_RING_F_EVENT_IDX)
#define MRG_RXBUF BIT(VIRTIO_NET_F_MRG_RXBUF)
#define CSUM	  BIT(VIRTIO_NET_F_CSUM)
#define TSO4	  BIT(VIRTIO_NET_F_HOST_TSO4)
#define TSO6	  BIT(VIRTIO_NET_F_HOST_TSO6)
#define ECN	  BIT(VIRTIO_NET_F_HOST_ECN)
#define CTRL_VQ	  BIT(VIRTIO_NET_F_CTRL_VQ)
#define CTRL_RX	  BIT(VIRTIO_NET_F_CTRL_RX)
#define MQ	  BIT(VIRTIO_NET_F_MQ)
#define ALL_OF_LINK                                                                            \
	(CSUM | TSO4 | TSO6 | ECN | BIT(HOST_USO) | MRG_RXBUF | BIT(VIRTIO_NET_F_GUEST_CSUM) | \
	 BIT(VIRTIO_NET_F_GUEST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO6) |                         \
	 BIT(VIRTIO_NET_F_GUEST_ECN))

#define RECEIVE	 0
#define TRANSMIT 1

static struct memory memory;
static struct event_loop main_loop;
static struct fake_link fake;
static struct virtio *device;
static struct driver driver[QUEUES];

/* Workers: turned by turn(), or real threads. */

static struct worker *workers[LINK_PAIRS_MAX];
static unsigned int worker_count;
static bool threaded;
static char names[64];

static void woken(struct event_notifier *notifier)
{
}

int worker_create(struct worker *worker)
{
	atomic_init(&worker->stop, false);
	assert_int_equal(event_loop_create(&worker->loop), 0);
	return event_notifier_create(&worker->wakeup, &worker->loop, woken);
}

void worker_destroy(struct worker *worker)
{
	event_notifier_destroy(&worker->wakeup);
	event_loop_destroy(&worker->loop);
}

static void *thread(void *opaque)
{
	struct worker *worker = opaque;

	while (!atomic_load(&worker->stop))
		event_loop_turn(&worker->loop, true);
	return NULL;
}

int worker_start(struct worker *worker, const char *name)
{
	workers[worker_count++] = worker;
	strcat(strcat(names, name), " ");
	return threaded ? -pthread_create(&worker->thread, NULL, thread, worker) : 0;
}

void worker_stop(struct worker *worker)
{
	worker_count--;
	atomic_store(&worker->stop, true);
	event_notify(&worker->wakeup);
	if (threaded)
		pthread_join(worker->thread, NULL);
}

static void turn(void)
{
	for (bool any = true; any;) {
		any = event_loop_turn(&main_loop, false) > 0;
		for (unsigned int i = 0; i < worker_count && !threaded; i++)
			any |= event_loop_turn(&workers[i]->loop, false) > 0;
	}
}

/* The vhost. */

struct virtio_vhost {
	struct virtio *virtio;
	struct vhost *vhost;
};

static struct virtio_vhost handed;
static unsigned int handed_over[QUEUES], taken_back[QUEUES];
static bool vhost_destroyed;

int virtio_vhost_create(struct virtio_vhost **created, struct virtio *virtio, struct vhost *vhost,
			struct event_loop *loop)
{
	assert_ptr_equal(loop, &main_loop);
	handed = (struct virtio_vhost){ virtio, vhost };
	*created = &handed;
	return 0;
}

void virtio_vhost_destroy(struct virtio_vhost *which)
{
	assert_ptr_equal(which, &handed);
	assert_true(fake.attached == false);
	vhost_destroyed = true;
}

void virtio_vhost_process(struct virtio_vhost *which, struct virtio_queue *queue)
{
	assert_ptr_equal(which, &handed);
	handed_over[queue->index]++;
}

void virtio_vhost_drain(struct virtio_vhost *which, struct virtio_queue *queue)
{
	assert_ptr_equal(which, &handed);
	taken_back[queue->index]++;
}

void virtio_vhost_revoke(struct virtio_vhost *which, bool all)
{
	assert_ptr_equal(which, &handed);
}

static unsigned int vhost_changes;

void virtio_vhost_changed(struct virtio_vhost *which)
{
	assert_ptr_equal(which, &handed);
	vhost_changes++;
}

static const struct vhost_ops vhost_ops = { .name = "vhost-fake" };
static struct vhost vhost = { .ops = &vhost_ops };

/* The transport. */

static atomic_uint interrupts[QUEUES], config_interrupts, config_changes;

static void queue_interrupt(struct virtio_transport *transport, unsigned int queue)
{
	interrupts[queue]++;
}

static void config_interrupt(struct virtio_transport *transport)
{
	config_interrupts++;
}

static void config_changed(struct virtio_transport *transport)
{
	config_changes++;
}

static struct virtio_transport transport = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
	.config_changed = config_changed,
};

/* The driver. */

static void *guest(uint64_t gpa)
{
	return memory_at(&memory, gpa, 1);
}

static void set_status(uint8_t status)
{
	pthread_mutex_lock(&device->lock);
	virtio_set_status(device, status);
	pthread_mutex_unlock(&device->lock);
}

static bool negotiate(uint64_t features)
{
	set_status(3);
	pthread_mutex_lock(&device->lock);
	virtio_set_features(device, 0, features);
	virtio_set_features(device, 1, features >> 32);
	pthread_mutex_unlock(&device->lock);
	set_status(11);
	return atomic_load(&device->status) & VIRTIO_CONFIG_S_FEATURES_OK;
}

static void set_queue(unsigned int queue, uint16_t size)
{
	driver[queue] = driver_create(&memory, RING(queue), size);
	pthread_mutex_lock(&device->lock);
	device->queues[queue].layout = driver[queue].layout;
	virtio_queue_set_ready(&device->queues[queue], true);
	pthread_mutex_unlock(&device->lock);
}

static void activate_sized(uint64_t features, uint16_t size)
{
	assert_true(negotiate(features | VERSION_1));
	for (unsigned int i = 0; i < device->queue_count; i++)
		set_queue(i, size);
	set_status(15);
	turn();
}

static void activate(uint64_t features)
{
	activate_sized(features, SIZE);
}

static void create_device(unsigned int pairs)
{
	const struct virtio_net_options options = { &fake.link, pairs };

	names[0] = '\0';
	assert_int_equal(virtio_net_create(&device, &memory, &main_loop, &options), 0);
	device->transport = &transport;
}

static void create(uint64_t features, unsigned int pairs)
{
	fake_link_create(&fake, features, pairs);
	create_device(pairs);
}

static void create_on_vhost(uint64_t features, uint64_t vhost_features, unsigned int pairs)
{
	vhost.features = vhost_features;
	fake_link_create(&fake, features, pairs);
	fake.link.vhost = &vhost;
	create_device(pairs);
}

static int begin(void **state)
{
	for (unsigned int i = 0; i < QUEUES; i++) {
		interrupts[i] = 0;
		handed_over[i] = taken_back[i] = 0;
	}
	config_interrupts = config_changes = worker_count = vhost_changes = 0;
	threaded = vhost_destroyed = false;
	assert_int_equal(memory_create(&memory, BASE, RAM, MEMORY_ANON, NULL), 0);
	assert_int_equal(event_loop_create(&main_loop), 0);
	return catch_begin(state);
}

static int end(void **state)
{
	if (device)
		device->ops->destroy(device);
	device = NULL;
	event_loop_destroy(&main_loop);
	memory_destroy(&memory);
	return catch_end(state);
}

static void kick(unsigned int queue)
{
	event_notify(&device->queues[queue].kick);
	turn();
}

static bool needs_reset(void)
{
	return atomic_load(&device->status) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* By all pairs. */

static uint64_t dropped_to_send(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < LINK_PAIRS_MAX; i++)
		sum += counter_read(&fake.link.counts[i].send_dropped);
	return sum;
}

static uint64_t dropped_to_receive(void)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < LINK_PAIRS_MAX; i++)
		sum += counter_read(&fake.link.counts[i].receive_dropped);
	return sum;
}

/* Features. */

static void is_a_network_device(void **state)
{
	create(ALL_OF_LINK, 2);
	assert_int_equal(device->ops->device_id, 1);
	assert_int_equal(device->queue_count, 5);
	assert_int_equal(device->queues[0].size_max, 256);
	assert_string_equal(names, "net-0 net-1 ");
	assert_true(fake.attached);
}

static void pairs_are_those_of_vcpus_and_link(void **state)
{
	assert_int_equal(virtio_net_pairs(1), 1);
	assert_int_equal(virtio_net_pairs(3), 3);
	assert_int_equal(virtio_net_pairs(200), LINK_PAIRS_MAX);
	fake_link_create(&fake, ALL_OF_LINK, 2);
	create_device(4);
	assert_int_equal(device->queue_count, 5);
}

static void link_that_does_not_attach_is_an_error(void **state)
{
	const struct virtio_net_options options = { &fake.link, 1 };

	fake_link_create(&fake, 0, 1);
	fake.attach_error = -EBUSY;
	assert_int_equal(virtio_net_create(&device, &memory, &main_loop, &options), -EBUSY);
	assert_int_equal(worker_count, 0);
}

static void what_the_link_can_do_is_offered(void **state)
{
	create(ALL_OF_LINK | BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_NET_F_RSS), 1);
	assert_true((device->offered & ALL_OF_LINK) == ALL_OF_LINK);
	assert_false(device->offered & (BIT(VIRTIO_NET_F_HOST_UFO) | BIT(VIRTIO_NET_F_RSS) | MQ |
					BIT(VIRTIO_NET_F_MTU)));
	assert_true(device->offered & EVENT_IDX);
}

static void mtu_is_offered_where_it_is_known(void **state)
{
	fake_link_create(&fake, 0, 1);
	fake.link.mtu = 9000;
	create_device(1);
	assert_true(device->offered & BIT(VIRTIO_NET_F_MTU));
}

static void nothing_is_offered_whose_needs_are_not(void **state)
{
	create(TSO4 | ECN | BIT(HOST_USO) | BIT(VIRTIO_NET_F_GUEST_TSO6) |
		       BIT(VIRTIO_NET_F_GUEST_ECN) | MRG_RXBUF,
	       1);
	assert_true((device->offered & ALL_OF_LINK) == MRG_RXBUF);
}

static void features_without_what_they_need_are_refused(void **state)
{
	static const struct {
		uint64_t features;
		bool accepted;
	} cases[] = {
		{ 0, true },
		{ CSUM | TSO4 | TSO6 | ECN | BIT(HOST_USO), true },
		{ TSO4, false },
		{ TSO6, false },
		{ BIT(HOST_USO), false },
		{ CSUM | ECN, false },
		{ CSUM | TSO6 | ECN, true },
		{ BIT(VIRTIO_NET_F_GUEST_TSO4), false },
		{ BIT(VIRTIO_NET_F_GUEST_TSO6) | CSUM, false },
		{ BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_ECN), false },
		{ BIT(VIRTIO_NET_F_GUEST_CSUM) | BIT(VIRTIO_NET_F_GUEST_TSO4), true },
		{ MQ, false },
		{ MQ | CTRL_VQ, true },
		{ CTRL_RX, false },
		{ BIT(VIRTIO_NET_F_CTRL_VLAN), false },
		{ BIT(VIRTIO_NET_F_CTRL_MAC_ADDR), false },
		{ CTRL_VQ | CTRL_RX | BIT(VIRTIO_NET_F_CTRL_MAC_ADDR), true },
	};

	create(ALL_OF_LINK, 2);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(negotiate(cases[i].features | VERSION_1), cases[i].accepted);
		set_status(0);
	}
}

static void link_hears_of_its_driver(void **state)
{
	create(ALL_OF_LINK, 1);
	assert_int_equal(fake.accept_calls, 0);
	activate(CSUM | MRG_RXBUF);
	assert_true(fake.accepted == (CSUM | MRG_RXBUF | VERSION_1));
	set_status(0);
	assert_int_equal(fake.accepted, 0);
	assert_int_equal(fake.accept_calls, 2);
}

/* Configuration. */

static struct virtio_net_config config(void)
{
	struct virtio_net_config config = { 0 };

	for (uint32_t i = 0; i < device->ops->config_size; i++) {
		uint64_t value;

		pthread_mutex_lock(&device->lock);
		virtio_config_read(device, i, &value, 1);
		pthread_mutex_unlock(&device->lock);
		((uint8_t *)&config)[i] = value;
	}
	return config;
}

static void configuration_tells_of_the_link(void **state)
{
	fake_link_create(&fake, 0, 3);
	fake.link.mtu = 1400;
	create_device(3);
	assert_int_equal(device->ops->config_size, 12);
	assert_memory_equal(config().mac, "\x02\x11\x22\x33\x44\x55", 6);
	assert_int_equal(config().status, VIRTIO_NET_S_LINK_UP);
	assert_int_equal(config().max_virtqueue_pairs, 3);
	assert_int_equal(config().mtu, 1400);
}

static void link_goes_down_and_up(void **state)
{
	create(0, 1);
	activate(BIT(VIRTIO_NET_F_STATUS));
	config_changes = 0;
	atomic_store(&fake.link.up, false);
	fake.link.changed(fake.link.device);
	assert_int_equal(config_interrupts, 1);
	assert_int_equal(config_changes, 1);
	assert_int_equal(config().status, 0);
	atomic_store(&fake.link.up, true);
	fake.link.changed(fake.link.device);
	assert_int_equal(config_interrupts, 2);
	assert_int_equal(config().status, VIRTIO_NET_S_LINK_UP);
}

/* Transmit. */

/* A frame of so many bytes behind a header, in one descriptor. */
static void offer_frame(struct virtio_net_hdr_mrg_rxbuf header, uint32_t bytes)
{
	uint8_t *at = guest(DATA);

	memcpy(at, &header, sizeof(header));
	for (uint32_t i = 0; i < bytes; i++)
		at[LINK_HEADER + i] = i * 3 + 1;
	driver_desc(&driver[TRANSMIT], 7, DATA, LINK_HEADER + bytes, 0, 0);
	driver_offer(&driver[TRANSMIT], 7);
}

static void send_frame(struct virtio_net_hdr_mrg_rxbuf header, uint32_t bytes)
{
	offer_frame(header, bytes);
	kick(TRANSMIT);
}

static const struct virtio_net_hdr_mrg_rxbuf plain;

static void frame_is_sent(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	send_frame(plain, 100);
	assert_taken(&driver[TRANSMIT], 7, 0);
	assert_int_equal(fake.pairs[0].sent, 1);
	assert_int_equal(fake.pairs[0].sent_bytes, LINK_HEADER + 100);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(fake.pairs[0].sent_frame[LINK_HEADER + i], (uint8_t)(i * 3 + 1));
}

static void frame_of_another_pair_is_sent_by_that(void **state)
{
	create(ALL_OF_LINK, 2);
	activate(MQ | CTRL_VQ);
	driver_desc(&driver[3], 0, DATA, 100, 0, 0);
	driver_offer(&driver[3], 0);
	kick(3);
	assert_taken(&driver[3], 0, 0);
	assert_int_equal(fake.pairs[1].sent, 1);
	assert_int_equal(fake.pairs[0].sent, 0);
}

/* Wherever descriptors end, in the header or behind it. */
static void frame_may_be_cut_anywhere(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	for (unsigned int cut = 0; cut <= 40; cut++) {
		uint8_t *at = guest(DATA);

		memset(at, 0, LINK_HEADER);
		for (unsigned int i = LINK_HEADER; i < 40; i++)
			at[i] = cut + i;
		driver_desc(&driver[TRANSMIT], 0, DATA, cut, NEXT, 1);
		driver_desc(&driver[TRANSMIT], 1, DATA, 0, NEXT, 2);
		driver_desc(&driver[TRANSMIT], 2, DATA + cut, 40 - cut, 0, 0);
		driver_offer(&driver[TRANSMIT], 0);
		kick(TRANSMIT);
		assert_taken(&driver[TRANSMIT], 0, 0);
		assert_int_equal(fake.pairs[0].sent_bytes, 40);
		assert_memory_equal(fake.pairs[0].sent_frame, at, 40);
	}
	assert_int_equal(fake.pairs[0].sent, 41);
}

static void num_buffers_of_a_driver_is_nothing(void **state)
{
	const struct virtio_net_hdr_mrg_rxbuf header = { .num_buffers = 0xffff };

	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	send_frame(header, 100);
	assert_int_equal(fake.pairs[0].sent, 1);
	assert_memory_equal(fake.pairs[0].sent_frame, &plain, LINK_HEADER);
}

/* Flags that it does not know a device ignores (virtio 1.3, 5.1.6.2.2), and what has no meaning. */
static void what_means_nothing_is_not_handed_on(void **state)
{
	const struct virtio_net_hdr_mrg_rxbuf header = { .hdr = {
								 .flags = 0xfe,
								 .hdr_len = 0xffff,
								 .gso_size = 77,
								 .csum_start = 0xffff,
								 .csum_offset = 0xffff,
							 } };

	create(ALL_OF_LINK, 1);
	activate(0);
	send_frame(header, 100);
	assert_int_equal(fake.pairs[0].sent, 1);
	assert_memory_equal(fake.pairs[0].sent_frame, &plain, LINK_HEADER);
}

static struct virtio_net_hdr_mrg_rxbuf gso(uint8_t type)
{
	return (struct virtio_net_hdr_mrg_rxbuf){ .hdr = {
							  .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
							  .gso_type = type,
							  .hdr_len = 54,
							  .gso_size = 500,
							  .csum_start = 34,
							  .csum_offset = 16,
						  } };
}

static void offloads_that_were_negotiated_are_handed_on(void **state)
{
	static const uint8_t types[] = { 1, 4, 5, 0x81, 0x84 };

	create(ALL_OF_LINK, 1);
	activate(CSUM | TSO4 | TSO6 | ECN | BIT(HOST_USO));
	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++) {
		const struct virtio_net_hdr_mrg_rxbuf header = gso(types[i]);

		send_frame(header, 2000);
		assert_int_equal(fake.pairs[0].sent, i + 1);
		assert_memory_equal(fake.pairs[0].sent_frame, &header, LINK_HEADER);
	}
}

/* Nothing of it reaches the link, and the driver has its buffer back. */
static void assert_refused(struct virtio_net_hdr_mrg_rxbuf header, uint32_t bytes)
{
	const uint64_t before = dropped_to_send();
	const unsigned int sent = fake.pairs[0].sent;

	send_frame(header, bytes);
	assert_taken(&driver[TRANSMIT], 7, 0);
	assert_int_equal(fake.pairs[0].sent, sent);
	assert_int_equal(dropped_to_send(), before + 1);
	assert_false(needs_reset());
}

static void offloads_that_were_not_negotiated_are_dropped(void **state)
{
	static const struct {
		uint64_t features;
		uint8_t type;
	} cases[] = {
		{ CSUM, 1 },	       { CSUM | TSO4, 4 },	    { CSUM | TSO6, 1 },
		{ CSUM | TSO4, 0x81 }, { CSUM | TSO4, 3 },	    { CSUM | TSO4 | TSO6, 5 },
		{ CSUM | TSO4, 2 },    { CSUM | TSO4 | ECN, 0x80 }, { CSUM | TSO4, 0x7f },
	};

	create(ALL_OF_LINK, 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		activate(cases[i].features);
		assert_refused(gso(cases[i].type), 2000);
		set_status(0);
	}
}

static void checksum_that_was_not_negotiated_is_dropped(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	assert_refused(gso(0), 2000);
}

static void csum_start_beyond_the_frame_is_dropped(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf header = gso(0);

	create(ALL_OF_LINK, 1);
	activate(CSUM);
	header.hdr.csum_start = 100 - 18;
	send_frame(header, 100);
	assert_taken(&driver[TRANSMIT], 7, 0);
	assert_int_equal(fake.pairs[0].sent, 1);
	header.hdr.csum_start++;
	assert_refused(header, 100);
	header.hdr.csum_start = 0xffff;
	assert_refused(header, 100);
	header.hdr.csum_offset = 0xffff;
	assert_refused(header, 65000);
	header.hdr.csum_start = 0;
	assert_refused(header, 100);
}

static void gso_size_of_nothing_is_dropped(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf header = gso(1);

	create(ALL_OF_LINK, 1);
	activate(CSUM | TSO4);
	header.hdr.gso_size = 0;
	assert_refused(header, 2000);
}

static void hdr_len_beyond_the_frame_is_dropped(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf header = gso(1);

	create(ALL_OF_LINK, 1);
	activate(CSUM | TSO4);
	header.hdr.hdr_len = 2001;
	assert_refused(header, 2000);
}

static void segmentation_without_checksum_is_dropped(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf header = gso(1);

	create(ALL_OF_LINK, 1);
	activate(CSUM | TSO4);
	header.hdr.flags = 0;
	assert_refused(header, 2000);
}

static void frame_of_nothing_is_dropped(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	assert_refused(plain, 0);
	assert_refused(plain, 13);
	send_frame(plain, 14);
	assert_int_equal(fake.pairs[0].sent, 1);
}

static void frame_of_64_kib_is_the_longest(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	send_frame(plain, LINK_FRAME_MAX - LINK_HEADER);
	assert_taken(&driver[TRANSMIT], 7, 0);
	assert_int_equal(fake.pairs[0].sent_bytes, LINK_FRAME_MAX);
	assert_refused(plain, LINK_FRAME_MAX - LINK_HEADER + 1);
	assert_refused(plain, MIB(10));
}

/* A chain that is no frame: the queue is broken, and works again after a reset. */
static void assert_breaks(unsigned int queue)
{
	driver_offer(&driver[queue], 0);
	kick(queue);
	assert_none_taken(&driver[queue]);
	assert_true(needs_reset());
	assert_said("violated");
	assert_int_equal(fake.pairs[0].sent, 0);
	set_status(0);
	activate(0);
	send_frame(plain, 100);
	assert_taken(&driver[TRANSMIT], 7, 0);
	assert_int_equal(fake.pairs[0].sent, 1);
}

static void chain_without_a_whole_header_breaks_the_queue(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	driver_desc(&driver[TRANSMIT], 0, DATA, LINK_HEADER - 1, 0, 0);
	assert_breaks(TRANSMIT);
}

static void chain_of_zero_length_breaks_the_queue(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	driver_desc(&driver[TRANSMIT], 0, DATA, 0, NEXT, 1);
	driver_desc(&driver[TRANSMIT], 1, DATA, 0, 0, 0);
	assert_breaks(TRANSMIT);
}

static void chain_to_write_to_breaks_the_transmit_queue(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	driver_desc(&driver[TRANSMIT], 0, DATA, 2000, WRITE, 0);
	assert_breaks(TRANSMIT);
}

static void what_is_to_be_written_behind_a_frame_is_left_alone(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	memset(guest(DATA), 0, 4096);
	driver_desc(&driver[TRANSMIT], 0, DATA, 100, NEXT, 1);
	driver_desc(&driver[TRANSMIT], 1, DATA + 100, 100, WRITE, 0);
	driver_offer(&driver[TRANSMIT], 0);
	kick(TRANSMIT);
	assert_taken(&driver[TRANSMIT], 0, 0);
	assert_int_equal(fake.pairs[0].sent_bytes, 100);
}

static void frame_waits_for_room(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	fake.pairs[0].full = 2;
	send_frame(plain, 100);
	assert_none_taken(&driver[TRANSMIT]);
	/* A driver may kick although it was told not to. */
	kick(TRANSMIT);
	assert_none_taken(&driver[TRANSMIT]);
	fake.link.room(fake.link.device, 0);
	turn();
	assert_taken(&driver[TRANSMIT], 7, 0);
	assert_int_equal(fake.pairs[0].sent, 1);
	assert_int_equal(dropped_to_send(), 0);
}

static void offer_again(void)
{
	driver_offer(&driver[TRANSMIT], fake.pairs[0].sent % 16);
}

/* Another vCPU that is as fast as the device: other events have their turn all the same. */
static void flood_of_frames_is_bounded_a_turn(void **state)
{
	create(ALL_OF_LINK, 1);
	activate_sized(0, 16);
	for (unsigned int i = 0; i < 16; i++)
		driver_desc(&driver[TRANSMIT], i, DATA, 100, 0, 0);
	fake.pairs[0].on_send = offer_again;
	driver_offer(&driver[TRANSMIT], 0);
	event_notify(&device->queues[TRANSMIT].kick);
	for (unsigned int turns = 1; turns <= 10; turns++) {
		assert_int_equal(event_loop_turn(&workers[0]->loop, false), 1);
		assert_in_range(fake.pairs[0].sent, 1, 16 * turns);
	}
	assert_false(needs_reset());
	fake.pairs[0].on_send = NULL;
	turn();
}

static void flood_of_kicks_is_one_turn_each(void **state)
{
	unsigned int turns = 0;

	create(ALL_OF_LINK, 1);
	activate(0);
	for (unsigned int i = 0; i < 10000; i++) {
		event_notify(&device->queues[TRANSMIT].kick);
		event_notify(&device->queues[RECEIVE].kick);
	}
	while (event_loop_turn(&workers[0]->loop, false) > 0)
		turns++;
	assert_in_range(turns, 1, 4);
	assert_int_equal(fake.pairs[0].sent, 0);
}

/* Interrupts of the transmit queue. */

static void wait_for_interrupt(void)
{
	for (unsigned int i = 0; i < 100000 && interrupts[TRANSMIT] == 0; i++) {
		usleep(100);
		turn();
	}
	assert_int_equal(interrupts[TRANSMIT], 1);
}

static void idle_driver_is_interrupted_late(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(EVENT_IDX);
	send_frame(plain, 100);
	wait_for_interrupt();
}

static void idle_driver_without_event_index_is_interrupted_late(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	send_frame(plain, 100);
	wait_for_interrupt();
}

/* It has looked by itself when the time is up. */
static void driver_at_work_is_not_interrupted(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(EVENT_IDX);
	offer_frame(plain, 100);
	*driver_used_event(&driver[TRANSMIT]) = 1;
	kick(TRANSMIT);
	assert_taken(&driver[TRANSMIT], 7, 0);
	usleep(3000);
	turn();
	assert_int_equal(interrupts[TRANSMIT], 0);
	/* What comes then has its own time. */
	send_frame(plain, 100);
	wait_for_interrupt();
}

static void driver_with_much_to_take_back_is_interrupted_at_once(void **state)
{
	create(ALL_OF_LINK, 1);
	activate_sized(EVENT_IDX, 16);
	for (unsigned int i = 0; i < 4; i++) {
		driver_desc(&driver[TRANSMIT], i, DATA, 100, 0, 0);
		driver_offer(&driver[TRANSMIT], i);
	}
	event_notify(&device->queues[TRANSMIT].kick);
	event_loop_turn(&workers[0]->loop, false);
	assert_int_equal(interrupts[TRANSMIT], 1);
}

/* Receive. */

#define BUFFER(n) (DATA + UINT64_C(0x10000) * (n))

/* Chains of one buffer each, of so many bytes: heads first to first + count - 1. */
static void offer_buffers(unsigned int first, unsigned int count, uint32_t bytes)
{
	for (unsigned int i = first; i < first + count; i++) {
		memset(guest(BUFFER(i % 128)), 0xee, bytes < 0x10000 ? bytes : 0x10000);
		driver_desc(&driver[RECEIVE], i, BUFFER(i % 128), bytes, WRITE, 0);
		driver_offer(&driver[RECEIVE], i);
	}
}

static void arrive(uint32_t bytes, uint8_t seed)
{
	fake_arrive(&fake, 0, bytes, seed);
	turn();
}

/* A frame that lies in count buffers of so many bytes, from head first on, all of them used. */
static void assert_frame(unsigned int first, unsigned int count, uint32_t each, uint32_t bytes,
			 uint8_t seed)
{
	const struct fake_frame frame = { bytes, seed };
	const uint8_t *header = guest(BUFFER(first % 128));

	for (unsigned int i = 0; i < count; i++) {
		const uint32_t left = bytes - i * each;

		assert_taken(&driver[RECEIVE], first + i, left < each ? left : each);
	}
	assert_int_equal(header[10] | header[11] << 8, count);
	for (uint32_t i = LINK_HEADER; i < bytes; i++) {
		const uint8_t *at = guest(BUFFER((first + i / each) % 128) + i % each);

		if (*at != fake_byte(frame, i))
			fail_msg("byte %u of a frame of %u", i, bytes);
	}
}

static void frame_is_received(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(0, 4, 1536);
	kick(RECEIVE);
	arrive(LINK_HEADER + 100, 1);
	assert_frame(0, 1, 1536, LINK_HEADER + 100, 1);
	assert_none_taken(&driver[RECEIVE]);
	assert_int_equal(interrupts[RECEIVE], 1);
	/* Nothing but the frame was written. */
	assert_int_equal(*(uint8_t *)guest(BUFFER(0) + LINK_HEADER + 100), 0xee);
	assert_int_equal(*(uint8_t *)guest(BUFFER(1)), 0xee);
}

static void frames_share_an_interrupt(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(0, 8, 1536);
	for (unsigned int i = 0; i < 5; i++)
		fake_arrive(&fake, 0, 100 + i, i);
	kick(RECEIVE);
	for (unsigned int i = 0; i < 5; i++)
		assert_frame(i, 1, 1536, 100 + i, i);
	assert_int_equal(interrupts[RECEIVE], 1);
}

static void long_frame_is_spread_over_buffers(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(0, 100, 1536);
	kick(RECEIVE);
	arrive(LINK_FRAME_MAX, 9);
	assert_frame(0, 43, 1536, LINK_FRAME_MAX, 9);
	arrive(1536 * 2, 3);
	assert_frame(43, 2, 1536, 1536 * 2, 3);
	arrive(1536 * 2 + 1, 3);
	assert_frame(45, 3, 1536, 1536 * 2 + 1, 3);
	assert_int_equal(dropped_to_receive(), 0);
}

/* The window goes round its arrays many times. */
static void frames_of_all_lengths_are_received(void **state)
{
	unsigned int next = 0;
	uint64_t seed = 77;

	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(0, 128, 700);
	kick(RECEIVE);
	for (unsigned int round = 0; round < 400; round++) {
		const uint32_t bytes = LINK_HEADER + 1 + chance(&seed) % (round % 3 ? 2000 : 40000);
		const unsigned int count = (bytes + 699) / 700;

		arrive(bytes, round);
		for (unsigned int i = 0; i < count; i++) {
			const uint32_t left = bytes - i * 700;

			assert_taken(&driver[RECEIVE], (next + i) % 128, left < 700 ? left : 700);
		}
		for (unsigned int i = 0; i < count; i++)
			driver_offer(&driver[RECEIVE], (next + i) % 128);
		kick(RECEIVE);
		next += count;
	}
	assert_int_equal(dropped_to_receive(), 0);
	assert_false(needs_reset());
}

/* Chains of 100 segments with 4 bytes each, of which the window can have five. */
static void offer_pieces(void)
{
	for (unsigned int chain = 0; chain < 8; chain++) {
		struct vring_desc *table = guest(BUFFER(chain));

		for (unsigned int i = 0; i < 100; i++)
			table[i] = (struct vring_desc){ BUFFER(20) + chain * 400 + i * 4, 4,
							WRITE | (i < 99 ? NEXT : 0), i + 1 };
		driver_desc(&driver[RECEIVE], chain, BUFFER(chain), 1600, INDIRECT, 0);
		driver_offer(&driver[RECEIVE], chain);
	}
}

static void buffers_of_many_segments_are_filled(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_pieces();
	kick(RECEIVE);
	for (unsigned int chain = 0; chain < 8; chain++) {
		const struct fake_frame frame = { 400, chain };

		arrive(400, chain);
		assert_taken(&driver[RECEIVE], chain, 400);
		for (unsigned int i = LINK_HEADER; i < 400; i++)
			assert_int_equal(*(uint8_t *)guest(BUFFER(20) + chain * 400 + i),
					 fake_byte(frame, i));
	}
	arrive(20, 1);
	assert_none_taken(&driver[RECEIVE]);
	assert_int_equal(fake_left(&fake, 0), 1);
}

/* The driver has had more chains, and has them in the ring, where no room is for their segments. */
static void frame_that_takes_too_many_segments_is_dropped(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(20, 20, 100);
	kick(RECEIVE);
	arrive(2000, 1);
	assert_frame(20, 20, 100, 2000, 1);
	offer_pieces();
	kick(RECEIVE);
	arrive(2001, 1);
	assert_none_taken(&driver[RECEIVE]);
	assert_int_equal(dropped_to_receive(), 1);
	arrive(2000, 1);
	for (unsigned int chain = 0; chain < 5; chain++)
		assert_taken(&driver[RECEIVE], chain, 400);
	assert_none_taken(&driver[RECEIVE]);
}

static void without_mergeable_buffers_a_frame_takes_one(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	offer_buffers(0, 4, 1526);
	kick(RECEIVE);
	arrive(1526, 1);
	assert_frame(0, 1, 1526, 1526, 1);
	arrive(60, 2);
	assert_frame(1, 1, 1526, 60, 2);
}

static void frame_too_long_for_one_buffer_is_dropped(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	offer_buffers(0, 4, 100);
	kick(RECEIVE);
	arrive(101, 1);
	assert_none_taken(&driver[RECEIVE]);
	assert_int_equal(dropped_to_receive(), 1);
	arrive(100, 2);
	assert_frame(0, 1, 100, 100, 2);
}

/* The driver has given all that it has. */
static void frame_too_long_for_all_buffers_is_dropped(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(0, 4, 100);
	kick(RECEIVE);
	arrive(401, 1);
	assert_none_taken(&driver[RECEIVE]);
	assert_int_equal(dropped_to_receive(), 1);
	assert_int_equal(fake_left(&fake, 0), 0);
	arrive(400, 2);
	assert_frame(0, 4, 100, 400, 2);
}

/* It has had more, so there will be more. */
static void long_frame_waits_for_buffers(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(0, 8, 1000);
	kick(RECEIVE);
	arrive(5500, 1);
	assert_frame(0, 6, 1000, 5500, 1);
	arrive(6500, 2);
	arrive(200, 3);
	assert_none_taken(&driver[RECEIVE]);
	assert_false(fake.pairs[0].listens);
	offer_buffers(8, 2, 1000);
	kick(RECEIVE);
	assert_none_taken(&driver[RECEIVE]);
	offer_buffers(10, 4, 1000);
	kick(RECEIVE);
	assert_frame(6, 7, 1000, 6500, 2);
	assert_frame(13, 1, 1000, 200, 3);
	assert_int_equal(dropped_to_receive(), 0);
	assert_true(*driver_avail_event(&driver[RECEIVE]) == 0);
}

static void long_frame_may_fill_the_last_buffer_that_came(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(0, 8, 1000);
	kick(RECEIVE);
	arrive(5500, 1);
	assert_frame(0, 6, 1000, 5500, 1);
	arrive(4000, 2);
	assert_none_taken(&driver[RECEIVE]);
	offer_buffers(8, 2, 1000);
	kick(RECEIVE);
	assert_frame(6, 4, 1000, 4000, 2);
	assert_int_equal(dropped_to_receive(), 0);
}

static void without_buffers_the_link_is_not_listened_to(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF | EVENT_IDX);
	assert_false(fake.pairs[0].listens);
	arrive(100, 1);
	assert_int_equal(fake_left(&fake, 0), 1);
	offer_buffers(0, 1, 1536);
	kick(RECEIVE);
	assert_frame(0, 1, 1536, 100, 1);
	/* The last one was used: the next one is to be told of. */
	assert_int_equal(*driver_avail_event(&driver[RECEIVE]), 1);
	for (unsigned int i = 0; i < FAKE_FRAMES - 1; i++)
		arrive(100, 2);
	assert_int_equal(fake_left(&fake, 0), FAKE_FRAMES - 1);
	assert_int_equal(dropped_to_receive(), 0);
	offer_buffers(1, 100, 1536);
	kick(RECEIVE);
	assert_int_equal(fake_left(&fake, 0), 0);
}

/* With buffers it is kicked for none, and tells the link nothing that it knows. */
static void steady_state_needs_no_kick(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(0, 128, 1536);
	kick(RECEIVE);
	for (unsigned int i = 0; i < 30; i++)
		arrive(100, i);
	assert_int_equal(driver_used(&driver[RECEIVE])->flags, VRING_USED_F_NO_NOTIFY);
	assert_int_equal(fake.pairs[0].listen_calls, 1);
	/* What stands behind the window is not popped. */
	assert_in_range(device->queues[RECEIVE].ring.next_avail, 30, 30 + 44);
}

static void turn_of_received_frames_is_bounded(void **state)
{
	create(ALL_OF_LINK, 1);
	activate_sized(MRG_RXBUF, 8);
	offer_buffers(0, 8, 64);
	for (unsigned int i = 0; i < 20; i++)
		fake_arrive(&fake, 0, 65 * 8, 1);
	event_notify(&device->queues[RECEIVE].kick);
	turn();
	/* All were dropped, in turns of eight. */
	assert_int_equal(dropped_to_receive(), 20);
	fake_arrive(&fake, 0, 65 * 8, 1);
	event_loop_turn(&workers[0]->loop, false);
	for (unsigned int i = 0; i < 20; i++)
		fake_arrive(&fake, 0, 65 * 8, 1);
	event_loop_turn(&workers[0]->loop, false);
	assert_in_range(dropped_to_receive(), 21, 21 + 8);
	turn();
}

static void assert_buffer_breaks(void)
{
	driver_offer(&driver[RECEIVE], 0);
	kick(RECEIVE);
	assert_true(needs_reset());
	assert_said("violated");
	arrive(100, 1);
	assert_none_taken(&driver[RECEIVE]);
	assert_false(fake.pairs[0].listens);
	set_status(0);
	activate(MRG_RXBUF);
	offer_buffers(0, 1, 1536);
	kick(RECEIVE);
	assert_frame(0, 1, 1536, 100, 1);
}

static void buffer_shorter_than_a_header_breaks_the_queue(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	driver_desc(&driver[RECEIVE], 0, DATA, LINK_HEADER - 1, WRITE, 0);
	assert_buffer_breaks();
}

static void buffer_of_zero_length_breaks_the_queue(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	driver_desc(&driver[RECEIVE], 0, DATA, 0, WRITE, 0);
	assert_buffer_breaks();
}

static void buffer_to_read_from_breaks_the_queue(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	driver_desc(&driver[RECEIVE], 0, DATA, 2000, 0, 0);
	assert_buffer_breaks();
}

static void header_may_be_cut_anywhere(void **state)
{
	const struct fake_frame frame = { 60, 5 };

	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	for (unsigned int cut = 0; cut <= LINK_HEADER + 1; cut++) {
		uint8_t *at = guest(DATA);

		memset(at, 0xee, 100);
		driver_desc(&driver[RECEIVE], 0, DATA, cut, WRITE | NEXT, 1);
		driver_desc(&driver[RECEIVE], 1, DATA + cut, 100 - cut, WRITE, 0);
		driver_offer(&driver[RECEIVE], 0);
		kick(RECEIVE);
		arrive(60, 5);
		assert_taken(&driver[RECEIVE], 0, 60);
		assert_int_equal(at[10] | at[11] << 8, 1);
		for (unsigned int i = LINK_HEADER; i < 60; i++)
			assert_int_equal(at[i], fake_byte(frame, i));
		assert_int_equal(at[60], 0xee);
	}
}

static void window_is_given_back_at_a_pause(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(0, 8, 1000);
	kick(RECEIVE);
	arrive(100, 1);
	assert_frame(0, 1, 1000, 100, 1);
	assert_int_equal(device->queues[RECEIVE].ring.next_avail, 8);
	pthread_mutex_lock(&device->lock);
	virtio_pause(device, true);
	pthread_mutex_unlock(&device->lock);
	assert_int_equal(device->queues[RECEIVE].ring.next_avail, 1);
	arrive(200, 2);
	assert_none_taken(&driver[RECEIVE]);
	pthread_mutex_lock(&device->lock);
	virtio_pause(device, false);
	pthread_mutex_unlock(&device->lock);
	turn();
	assert_frame(1, 1, 1000, 200, 2);
	arrive(6000, 3);
	assert_frame(2, 6, 1000, 6000, 3);
	assert_int_equal(dropped_to_receive(), 0);
}

/* Its beginning lies in buffers that are the driver's again. */
static void frame_that_waits_is_dropped_at_a_pause(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(0, 8, 1000);
	kick(RECEIVE);
	arrive(5500, 1);
	arrive(6500, 2);
	pthread_mutex_lock(&device->lock);
	virtio_pause(device, true);
	offer_buffers(8, 8, 1000);
	virtio_pause(device, false);
	pthread_mutex_unlock(&device->lock);
	turn();
	assert_int_equal(dropped_to_receive(), 1);
	assert_frame(0, 6, 1000, 5500, 1);
	assert_none_taken(&driver[RECEIVE]);
	arrive(2000, 3);
	assert_frame(6, 2, 1000, 2000, 3);
}

static void window_is_given_back_on_reset(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(0, 8, 1000);
	kick(RECEIVE);
	set_status(0);
	arrive(100, 1);
	assert_int_equal(*(uint8_t *)guest(BUFFER(0)), 0xee);
	/* Other features, other buffers. */
	activate(0);
	offer_buffers(20, 2, 2000);
	kick(RECEIVE);
	assert_frame(20, 1, 2000, 100, 1);
	arrive(2000, 2);
	assert_frame(21, 1, 2000, 2000, 2);
}

/* What another driver has had is no reason to wait. */
static void driver_of_few_buffers_may_come_after_one_of_many(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(0, 20, 100);
	kick(RECEIVE);
	set_status(0);
	activate(MRG_RXBUF);
	offer_buffers(0, 4, 100);
	kick(RECEIVE);
	arrive(401, 1);
	assert_int_equal(dropped_to_receive(), 1);
	arrive(400, 2);
	assert_frame(0, 4, 100, 400, 2);
}

static void link_is_left_alone_after_a_reset(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(MRG_RXBUF);
	offer_buffers(0, 8, 1000);
	kick(RECEIVE);
	assert_true(fake.pairs[0].listens);
	set_status(0);
	arrive(100, 1);
	assert_false(fake.pairs[0].listens);
	fake.link.room(fake.link.device, 0);
	turn();
}

/* The control queue. */

static unsigned int control; /* its index */

/* A command in one descriptor, and its answer in another; what a driver would see. */
static uint8_t command_cut(const void *bytes, uint32_t size, uint32_t cut)
{
	uint8_t *at = guest(DATA), *ack = guest(DATA + 0x8000);

	memcpy(at, bytes, size);
	*ack = 0xee;
	driver_desc(&driver[control], 0, DATA, cut, NEXT, 1);
	driver_desc(&driver[control], 1, DATA + cut, size - cut, NEXT, 2);
	driver_desc(&driver[control], 2, DATA + 0x8000, 1, WRITE, 0);
	driver_offer(&driver[control], 0);
	kick(control);
	assert_taken(&driver[control], 0, 1);
	return *ack;
}

static uint8_t command(const void *bytes, uint32_t size)
{
	return command_cut(bytes, size, size);
}

#define COMMAND(...) command((const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))

#define assert_ok(...)	assert_int_equal(COMMAND(__VA_ARGS__), VIRTIO_NET_OK)
#define assert_err(...) assert_int_equal(COMMAND(__VA_ARGS__), VIRTIO_NET_ERR)

#define CONTROLS                                                                             \
	(CTRL_VQ | CTRL_RX | BIT(VIRTIO_NET_F_CTRL_RX_EXTRA) | BIT(VIRTIO_NET_F_CTRL_VLAN) | \
	 BIT(VIRTIO_NET_F_CTRL_MAC_ADDR))

static void activate_control(unsigned int pairs, uint64_t features)
{
	create(ALL_OF_LINK, pairs);
	activate(features);
	control = features & MQ ? 2 * pairs : 2;
}

static void receive_modes_are_set(void **state)
{
	activate_control(1, CONTROLS);
	assert_ok(0, 0, 0);
	assert_false(fake.filter.promiscuous);
	assert_int_equal(fake.filter.unicast_count, 1);
	assert_memory_equal(fake.filter.unicast[0], fake.link.mac, 6);
	assert_ok(0, 1, 1);
	assert_true(fake.filter.all_multicast);
	assert_ok(0, 2, 1);
	assert_true(fake.filter.all_unicast);
	assert_ok(0, 3, 1);
	assert_true(fake.filter.no_multicast);
	assert_ok(0, 4, 1);
	assert_true(fake.filter.no_unicast);
	assert_ok(0, 5, 1);
	assert_true(fake.filter.no_broadcast);
	assert_ok(0, 1, 0);
	assert_false(fake.filter.all_multicast);
	assert_err(0, 6, 1);
	assert_err(9, 0, 1);
}

static void commands_that_were_not_negotiated_are_refused(void **state)
{
	activate_control(2, CTRL_VQ);
	assert_err(0, 0, 0);
	assert_err(1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_err(1, 1, 1, 2, 3, 4, 5, 6);
	assert_err(2, 0, 1, 0);
	assert_err(4, 0, 1, 0);
	assert_int_equal(fake.filter_calls, 0);
	set_status(0);
	activate(CTRL_VQ | CTRL_RX);
	assert_err(0, 2, 1);
	assert_ok(0, 1, 1);
}

static void address_lists_are_set(void **state)
{
	activate_control(1, CONTROLS);
	assert_ok(1, 0, 1, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 1, 1, 1, 1, 1, 1, 3, 3, 3, 3, 3,
		  3);
	assert_int_equal(fake.filter.unicast_count, 2);
	assert_memory_equal(fake.filter.unicast[1], "\2\2\2\2\2\2", 6);
	assert_int_equal(fake.filter.multicast_count, 2);
	assert_memory_equal(fake.filter.multicast[1], "\3\3\3\3\3\3", 6);
	assert_ok(1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
	assert_int_equal(fake.filter.unicast_count, 1);
	assert_int_equal(fake.filter.multicast_count, 0);
}

/* So many addresses of each kind. */
static uint8_t set_lists(uint32_t unicast, uint32_t multicast)
{
	static uint8_t bytes[0x8000];
	uint8_t *at = bytes + 2;

	bytes[0] = VIRTIO_NET_CTRL_MAC;
	bytes[1] = VIRTIO_NET_CTRL_MAC_TABLE_SET;
	memcpy(at, &unicast, 4);
	memset(at + 4, 2, unicast * 6);
	at += 4 + unicast * 6;
	memcpy(at, &multicast, 4);
	memset(at + 4, 3, multicast * 6);
	return command(bytes, at + 4 + multicast * 6 - bytes);
}

static void lists_that_are_too_long_are_all_of_their_kind(void **state)
{
	activate_control(1, CONTROLS);
	assert_int_equal(set_lists(LINK_ADDRESSES_MAX - 1, LINK_ADDRESSES_MAX), VIRTIO_NET_OK);
	assert_int_equal(fake.filter.unicast_count, LINK_ADDRESSES_MAX);
	assert_int_equal(fake.filter.multicast_count, LINK_ADDRESSES_MAX);
	assert_false(fake.filter.all_unicast || fake.filter.all_multicast);
	/* With the device's own there is one too many. */
	assert_int_equal(set_lists(LINK_ADDRESSES_MAX, LINK_ADDRESSES_MAX + 1), VIRTIO_NET_OK);
	assert_true(fake.filter.all_unicast && fake.filter.all_multicast);
	assert_int_equal(fake.filter.unicast_count, 1);
	assert_int_equal(fake.filter.multicast_count, 0);
	assert_int_equal(set_lists(2000, 2000), VIRTIO_NET_OK);
	assert_true(fake.filter.all_unicast && fake.filter.all_multicast);
	assert_int_equal(set_lists(1, 1), VIRTIO_NET_OK);
	assert_false(fake.filter.all_unicast || fake.filter.all_multicast);
	assert_int_equal(fake.filter.unicast_count, 2);
}

static void own_address_is_changed(void **state)
{
	activate_control(1, CONTROLS);
	config_changes = 0;
	assert_ok(1, 1, 2, 9, 8, 7, 6, 5);
	assert_memory_equal(config().mac, "\2\x9\x8\x7\x6\x5", 6);
	assert_memory_equal(fake.filter.unicast[0], "\2\x9\x8\x7\x6\x5", 6);
	assert_int_equal(config_changes, 1);
	assert_int_equal(config_interrupts, 0);
	set_status(0);
	assert_memory_equal(config().mac, fake.link.mac, 6);
	assert_int_equal(config_changes, 2);
}

/* Saves the device, and has another one go on that is to have that address. */
static void go_on_as(const char *mac, bool keeps)
{
	struct state_writer writer;
	struct state_reader reader;

	state_writer_create(&writer);
	virtio_rest(device, true);
	turn();
	virtio_save(device, &writer, 1);
	device->ops->destroy(device);
	memcpy(fake.link.mac, mac, LINK_ADDRESS);
	fake.link.keeps_mac = keeps;
	create_device(1);
	config_interrupts = 0;
	virtio_rest(device, true);
	state_reader_create(&reader, writer.bytes, writer.size);
	virtio_restore(device, &reader, 1);
	state_done(&reader);
	assert_int_equal(reader.err, 0);
	virtio_rest(device, false);
	turn();
	state_writer_destroy(&writer);
}

#define FIRST  "\x02\x11\x22\x33\x44\x55" /* the link's */
#define SECOND "\x02\x00\x00\x00\x00\x02"
#define THIRD  "\x02\x00\x00\x00\x00\x03"

static void a_copy_has_another_address_and_hears_by_the_old_one(void **state)
{
	activate_control(1, CONTROLS);
	assert_ok(0, 0, 0);
	go_on_as(SECOND, false);
	assert_memory_equal(config().mac, SECOND, 6);
	assert_int_equal(config_interrupts, 1);
	assert_int_equal(fake.filter.unicast_count, 2);
	assert_memory_equal(fake.filter.unicast[0], SECOND, 6);
	assert_memory_equal(fake.filter.unicast[1], FIRST, 6);
	/* The driver still goes by what it has read. */
	go_on_as(THIRD, false);
	assert_memory_equal(fake.filter.unicast[0], THIRD, 6);
	assert_memory_equal(fake.filter.unicast[1], FIRST, 6);
	go_on_as(THIRD, false);
	assert_int_equal(config_interrupts, 0);
	assert_int_equal(fake.filter.unicast_count, 2);
	assert_memory_equal(fake.filter.unicast[1], FIRST, 6);
	/* And no longer. */
	assert_ok(1, 1, 2, 0, 0, 0, 0, 3);
	assert_int_equal(fake.filter.unicast_count, 1);
	assert_memory_equal(fake.filter.unicast[0], THIRD, 6);
}

static void a_driver_that_begins_anew_has_only_the_new_address(void **state)
{
	activate_control(1, CONTROLS);
	go_on_as(SECOND, false);
	set_status(0);
	activate(CONTROLS);
	assert_ok(0, 0, 0);
	assert_memory_equal(config().mac, SECOND, 6);
	assert_int_equal(fake.filter.unicast_count, 1);
	assert_memory_equal(fake.filter.unicast[0], SECOND, 6);
}

static void one_that_nobody_gives_an_address_keeps_its_own(void **state)
{
	activate_control(1, CONTROLS);
	assert_ok(1, 1, 2, 9, 8, 7, 6, 5);
	go_on_as(SECOND, true);
	assert_memory_equal(config().mac, "\2\x9\x8\x7\x6\x5", 6);
	assert_int_equal(config_interrupts, 0);
	assert_int_equal(fake.filter.unicast_count, 1);
	set_status(0);
	assert_memory_equal(config().mac, FIRST, 6);
}

static void one_that_goes_on_as_itself_keeps_what_its_driver_has_set(void **state)
{
	activate_control(1, CONTROLS);
	assert_ok(1, 1, 2, 9, 8, 7, 6, 5);
	go_on_as(FIRST, false);
	assert_memory_equal(config().mac, "\2\x9\x8\x7\x6\x5", 6);
	assert_int_equal(config_interrupts, 0);
	set_status(0);
	assert_memory_equal(config().mac, FIRST, 6);
}

static void vlans_are_checked(void **state)
{
	activate_control(1, CONTROLS);
	assert_ok(2, 0, 0, 0);
	assert_ok(2, 0, 0xff, 0x0f);
	assert_ok(2, 1, 0xff, 0x0f);
	assert_err(2, 0, 0x00, 0x10);
	assert_err(2, 2, 1, 0);
}

static void pairs_are_chosen(void **state)
{
	activate_control(3, CONTROLS | MQ);
	assert_ok(4, 0, 3, 0);
	assert_int_equal(fake.pairs_used, 3);
	assert_ok(4, 0, 1, 0);
	assert_int_equal(fake.pairs_used, 1);
}

static void pairs_that_were_not_offered_are_refused(void **state)
{
	activate_control(3, CONTROLS | MQ);
	assert_err(4, 0, 0, 0);
	assert_err(4, 0, 4, 0);
	assert_err(4, 0, 0xff, 0xff);
	assert_err(4, 1, 1, 0);
	assert_int_equal(fake.pairs_used, 1);
}

/* Every command with bytes missing or too many is refused, and changes nothing. */
static void commands_cut_short_are_refused(void **state)
{
	static const uint8_t commands[][32] = {
		{ 3, 0, 0, 0 },
		{ 8, 1, 1, 2, 9, 8, 7, 6, 5 },
		{ 22, 1, 0, 1, 0, 0, 0, 2, 2, 2, 2, 2, 2, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1 },
		{ 4, 2, 0, 1, 0 },
		{ 4, 4, 0, 2, 0 },
	};

	activate_control(2, CONTROLS | MQ);
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		const uint8_t size = commands[i][0];

		for (uint32_t cut = 0; cut < size; cut++)
			assert_int_equal(command(commands[i] + 1, cut), VIRTIO_NET_ERR);
		assert_int_equal(command(commands[i] + 1, size + 1u), VIRTIO_NET_ERR);
	}
	assert_int_equal(fake.filter_calls, 0);
	assert_int_equal(fake.pairs_used, 1);
	assert_memory_equal(config().mac, fake.link.mac, 6);
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++)
		for (uint32_t cut = 0; cut <= commands[i][0]; cut++)
			assert_int_equal(command_cut(commands[i] + 1, commands[i][0], cut),
					 VIRTIO_NET_OK);
}

static void counts_that_lie_are_refused(void **state)
{
	activate_control(1, CONTROLS);
	assert_err(1, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0);
	assert_err(1, 0, 0xab, 0xaa, 0xaa, 0x2a, 0, 0, 0, 0);
	assert_err(1, 0, 1, 0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 1, 1, 1, 1, 1, 1);
	assert_int_equal(fake.filter_calls, 0);
}

static void command_without_room_for_an_answer_breaks_the_queue(void **state)
{
	activate_control(1, CONTROLS);
	memset(guest(DATA), 0, 16);
	driver_desc(&driver[control], 0, DATA, 3, 0, 0);
	driver_offer(&driver[control], 0);
	kick(control);
	assert_none_taken(&driver[control]);
	assert_true(needs_reset());
	assert_said("violated");
	assert_int_equal(fake.filter_calls, 0);
}

static void answer_goes_to_the_first_byte_there_is(void **state)
{
	uint8_t *at = guest(DATA);

	activate_control(1, CONTROLS);
	memcpy(at, "\0\0\0\xee\xee\xee", 6);
	driver_desc(&driver[control], 0, DATA, 3, NEXT, 1);
	driver_desc(&driver[control], 1, DATA + 3, 0, WRITE | NEXT, 2);
	driver_desc(&driver[control], 2, DATA + 4, 2, WRITE, 0);
	driver_offer(&driver[control], 0);
	kick(control);
	assert_taken(&driver[control], 0, 1);
	assert_memory_equal(at + 3, "\xee\0\xee", 3);
}

static void control_queue_is_queue_2_without_mq(void **state)
{
	activate_control(3, CONTROLS);
	assert_ok(0, 1, 1);
	assert_true(fake.filter.all_multicast);
	/* Where it would be with MQ is nothing. */
	control = 6;
	driver_desc(&driver[control], 0, DATA, 3, NEXT, 1);
	driver_desc(&driver[control], 1, DATA + 3, 1, WRITE, 0);
	driver_offer(&driver[control], 0);
	kick(control);
	assert_none_taken(&driver[control]);
	/* Nor is the second pair, whose queue it is. */
	fake_arrive(&fake, 1, 100, 1);
	fake.link.arrived(fake.link.device, 1);
	turn();
	assert_int_equal(fake_left(&fake, 1), 1);
	assert_false(fake.pairs[1].listens);
	assert_false(needs_reset());
}

static void control_queue_is_behind_all_pairs_with_mq(void **state)
{
	activate_control(3, CONTROLS | MQ);
	assert_int_equal(control, 6);
	assert_ok(0, 1, 1);
	assert_true(fake.filter.all_multicast);
}

static void without_a_control_queue_there_is_none(void **state)
{
	create(ALL_OF_LINK, 1);
	activate(0);
	driver_desc(&driver[2], 0, DATA, 3, NEXT, 1);
	driver_desc(&driver[2], 1, DATA + 3, 1, WRITE, 0);
	driver_offer(&driver[2], 0);
	kick(2);
	assert_none_taken(&driver[2]);
}

static void reset_forgets_what_was_set(void **state)
{
	activate_control(2, CONTROLS | MQ);
	assert_ok(0, 0, 0);
	assert_ok(4, 0, 2, 0);
	assert_ok(1, 1, 2, 9, 8, 7, 6, 5);
	assert_int_equal(set_lists(3, 3), VIRTIO_NET_OK);
	set_status(0);
	assert_int_equal(fake.pairs_used, 1);
	assert_true(fake.filter.promiscuous);
	assert_int_equal(fake.filter.unicast_count, 1);
	assert_memory_equal(fake.filter.unicast[0], fake.link.mac, 6);
	assert_int_equal(fake.filter.multicast_count, 0);
	assert_int_equal(fake.accepted, 0);
}

static void end_of_the_device_forgets_what_was_set(void **state)
{
	activate_control(2, CONTROLS | MQ);
	assert_ok(0, 0, 0);
	assert_ok(4, 0, 2, 0);
	device->ops->destroy(device);
	device = NULL;
	assert_int_equal(fake.pairs_used, 1);
	assert_true(fake.filter.promiscuous);
	assert_int_equal(fake.accepted, 0);
	assert_false(fake.attached);
}

/* A vhost. */

#define RINGS_OF_PASST (VERSION_1 | MRG_RXBUF)

static void vhost_offers_what_it_can_do_with_rings(void **state)
{
	create_on_vhost(MRG_RXBUF, RINGS_OF_PASST, 1);
	assert_false(device->offered & (EVENT_IDX | BIT(VIRTIO_RING_F_INDIRECT_DESC)));
	assert_true(device->offered & MRG_RXBUF);
	assert_true(device->offered & CTRL_VQ);
	assert_string_equal(names, "");
}

static void vhost_without_mergeable_buffers_offers_none(void **state)
{
	create_on_vhost(ALL_OF_LINK, VERSION_1 | EVENT_IDX, 1);
	assert_false(device->offered & MRG_RXBUF);
	assert_true((device->offered & (EVENT_IDX | CSUM | TSO4)) == (EVENT_IDX | CSUM | TSO4));
}

static void vhost_of_another_age_is_an_error(void **state)
{
	const struct virtio_net_options options = { &fake.link, 1 };

	fake_link_create(&fake, 0, 1);
	fake.link.vhost = &vhost;
	vhost.features = MRG_RXBUF;
	assert_int_equal(virtio_net_create(&device, &memory, &main_loop, &options), -EPROTO);
	assert_said("vhost-fake");
}

static void queues_of_frames_are_handed_over(void **state)
{
	create_on_vhost(ALL_OF_LINK, RINGS_OF_PASST, 2);
	activate(CONTROLS | MQ);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(handed_over[i], 1);
	assert_int_equal(handed_over[4], 0);
	control = 4;
	assert_ok(4, 0, 2, 0);
	assert_int_equal(fake.pairs_used, 2);
	set_status(0);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(taken_back[i], 1);
	assert_int_equal(taken_back[4], 0);
}

static void control_queue_is_not_handed_over_without_mq(void **state)
{
	create_on_vhost(ALL_OF_LINK, RINGS_OF_PASST, 2);
	activate(CONTROLS);
	control = 2;
	assert_ok(0, 1, 1);
	set_status(0);
	for (unsigned int i = 0; i < QUEUES; i++) {
		assert_int_equal(handed_over[i] > 0, i < 2);
		assert_int_equal(taken_back[i], i < 2);
	}
	device->ops->destroy(device);
	device = NULL;
	assert_true(vhost_destroyed);
}

static void a_vhost_that_is_lost_or_back_is_told_of(void **state)
{
	create_on_vhost(ALL_OF_LINK, RINGS_OF_PASST, 1);
	activate(CONTROLS);
	assert_int_equal(vhost_changes, 0);
	fake.link.changed(fake.link.device);
	assert_int_equal(vhost_changes, 1);
	assert_int_equal(config_interrupts, 1);
}

static void pause_takes_queues_back(void **state)
{
	create_on_vhost(ALL_OF_LINK, RINGS_OF_PASST, 1);
	activate(CONTROLS);
	pthread_mutex_lock(&device->lock);
	virtio_pause(device, true);
	virtio_pause(device, false);
	pthread_mutex_unlock(&device->lock);
	turn();
	assert_int_equal(taken_back[0], 1);
	assert_int_equal(taken_back[1], 1);
	assert_int_equal(handed_over[0], 2);
	assert_int_equal(handed_over[1], 2);
}

/* With threads. */

static void offer_all(void)
{
	for (unsigned int i = 0; i < 64; i++) {
		driver_desc(&driver[TRANSMIT], i, DATA + i * 2048, 1000, 0, 0);
		driver_offer(&driver[TRANSMIT], i);
	}
	offer_buffers(0, 128, 300);
	for (unsigned int i = 0; i < 40; i++)
		fake_arrive(&fake, 0, 100 + i * 100, i);
	event_notify(&device->queues[TRANSMIT].kick);
	event_notify(&device->queues[RECEIVE].kick);
}

/* Once the driver has read a status of 0 nothing is written any more. */
static void reset_comes_in_mid_flight(void **state)
{
	uint8_t *ram = guest(BASE);

	threaded = true;
	create(ALL_OF_LINK, 1);
	for (unsigned int round = 0; round < 100; round++) {
		activate(round % 2 ? MRG_RXBUF : 0);
		offer_all();
		if (round % 3)
			usleep(round * 10);
		set_status(0);
		assert_int_equal(atomic_load(&device->status), 0);
		memset(ram, 0x5a, RAM);
		usleep(100);
		assert_true(ram[0] == 0x5a && memcmp(ram, ram + 1, RAM - 1) == 0);
	}
}

static void destroy_comes_in_mid_flight(void **state)
{
	threaded = true;
	for (unsigned int round = 0; round < 50; round++) {
		create(ALL_OF_LINK, 2);
		activate(round % 2 ? MRG_RXBUF : 0);
		offer_all();
		if (round % 3)
			usleep(round * 10);
		device->ops->destroy(device);
		device = NULL;
		assert_false(fake.attached);
		assert_int_equal(fake.accepted, 0);
	}
}

#define on_device(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_device(is_a_network_device),
		on_device(pairs_are_those_of_vcpus_and_link),
		on_device(link_that_does_not_attach_is_an_error),
		on_device(what_the_link_can_do_is_offered),
		on_device(mtu_is_offered_where_it_is_known),
		on_device(nothing_is_offered_whose_needs_are_not),
		on_device(features_without_what_they_need_are_refused),
		on_device(link_hears_of_its_driver),
		on_device(configuration_tells_of_the_link),
		on_device(link_goes_down_and_up),
		on_device(frame_is_sent),
		on_device(frame_of_another_pair_is_sent_by_that),
		on_device(frame_may_be_cut_anywhere),
		on_device(num_buffers_of_a_driver_is_nothing),
		on_device(what_means_nothing_is_not_handed_on),
		on_device(offloads_that_were_negotiated_are_handed_on),
		on_device(offloads_that_were_not_negotiated_are_dropped),
		on_device(checksum_that_was_not_negotiated_is_dropped),
		on_device(csum_start_beyond_the_frame_is_dropped),
		on_device(gso_size_of_nothing_is_dropped),
		on_device(hdr_len_beyond_the_frame_is_dropped),
		on_device(segmentation_without_checksum_is_dropped),
		on_device(frame_of_nothing_is_dropped),
		on_device(frame_of_64_kib_is_the_longest),
		on_device(chain_without_a_whole_header_breaks_the_queue),
		on_device(chain_of_zero_length_breaks_the_queue),
		on_device(chain_to_write_to_breaks_the_transmit_queue),
		on_device(what_is_to_be_written_behind_a_frame_is_left_alone),
		on_device(frame_waits_for_room),
		on_device(flood_of_frames_is_bounded_a_turn),
		on_device(flood_of_kicks_is_one_turn_each),
		on_device(idle_driver_is_interrupted_late),
		on_device(idle_driver_without_event_index_is_interrupted_late),
		on_device(driver_at_work_is_not_interrupted),
		on_device(driver_with_much_to_take_back_is_interrupted_at_once),
		on_device(frame_is_received),
		on_device(frames_share_an_interrupt),
		on_device(long_frame_is_spread_over_buffers),
		on_device(frames_of_all_lengths_are_received),
		on_device(buffers_of_many_segments_are_filled),
		on_device(frame_that_takes_too_many_segments_is_dropped),
		on_device(without_mergeable_buffers_a_frame_takes_one),
		on_device(frame_too_long_for_one_buffer_is_dropped),
		on_device(frame_too_long_for_all_buffers_is_dropped),
		on_device(long_frame_waits_for_buffers),
		on_device(long_frame_may_fill_the_last_buffer_that_came),
		on_device(without_buffers_the_link_is_not_listened_to),
		on_device(steady_state_needs_no_kick),
		on_device(turn_of_received_frames_is_bounded),
		on_device(buffer_shorter_than_a_header_breaks_the_queue),
		on_device(buffer_of_zero_length_breaks_the_queue),
		on_device(buffer_to_read_from_breaks_the_queue),
		on_device(header_may_be_cut_anywhere),
		on_device(window_is_given_back_at_a_pause),
		on_device(frame_that_waits_is_dropped_at_a_pause),
		on_device(window_is_given_back_on_reset),
		on_device(driver_of_few_buffers_may_come_after_one_of_many),
		on_device(link_is_left_alone_after_a_reset),
		on_device(receive_modes_are_set),
		on_device(commands_that_were_not_negotiated_are_refused),
		on_device(address_lists_are_set),
		on_device(lists_that_are_too_long_are_all_of_their_kind),
		on_device(own_address_is_changed),
		on_device(a_copy_has_another_address_and_hears_by_the_old_one),
		on_device(a_driver_that_begins_anew_has_only_the_new_address),
		on_device(one_that_nobody_gives_an_address_keeps_its_own),
		on_device(one_that_goes_on_as_itself_keeps_what_its_driver_has_set),
		on_device(vlans_are_checked),
		on_device(pairs_are_chosen),
		on_device(pairs_that_were_not_offered_are_refused),
		on_device(commands_cut_short_are_refused),
		on_device(counts_that_lie_are_refused),
		on_device(command_without_room_for_an_answer_breaks_the_queue),
		on_device(answer_goes_to_the_first_byte_there_is),
		on_device(control_queue_is_queue_2_without_mq),
		on_device(control_queue_is_behind_all_pairs_with_mq),
		on_device(without_a_control_queue_there_is_none),
		on_device(reset_forgets_what_was_set),
		on_device(end_of_the_device_forgets_what_was_set),
		on_device(vhost_offers_what_it_can_do_with_rings),
		on_device(vhost_without_mergeable_buffers_offers_none),
		on_device(vhost_of_another_age_is_an_error),
		on_device(queues_of_frames_are_handed_over),
		on_device(control_queue_is_not_handed_over_without_mq),
		on_device(pause_takes_queues_back),
		on_device(a_vhost_that_is_lost_or_back_is_told_of),
		on_device(reset_comes_in_mid_flight),
		on_device(destroy_comes_in_mid_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
