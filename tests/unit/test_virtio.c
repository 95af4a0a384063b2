// SPDX-License-Identifier: GPL-2.0-only
#include <linux/virtio_config.h>
#include <pthread.h>
#include <string.h>

#include "unit.h"

#include "driver.h"
#include "util.h"
#include "virtio/virtio.h"

#define BASE   GIB(1)
#define DATA   (BASE + MIB(1))
#define QUEUES 3
#define SIZE   16

#define ACK	    VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER	    VIRTIO_CONFIG_S_DRIVER
#define DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK
#define FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET

#define OWN_FEATURE 5 /* the device's only one */

static struct memory memory;
static struct event_loop loop;
static struct virtio virtio;
static struct driver driver[QUEUES];

/* The device: takes what it gets. */

static unsigned int processed[QUEUES], drained[QUEUES], handled;
static bool drained_while_running;
static uint8_t config[12];

static bool handle(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	handled++;
	virtqueue_push(&queue->ring, chain->head, chain->in_bytes);
	return true;
}

static bool (*handler)(struct virtio_queue *queue, struct virtqueue_chain *chain);

static void process(struct virtio_queue *queue)
{
	processed[queue->index]++;
	virtio_serve(queue, handler);
	virtio_publish(queue);
}

static void drain(struct virtio_queue *queue)
{
	drained[queue->index]++;
	drained_while_running = virtqueue_running(&queue->ring);
	/* The lock is held. */
	assert_int_not_equal(pthread_mutex_trylock(&queue->lock), 0);
}

static void config_read(struct virtio *which, uint32_t offset, void *value, uint32_t size)
{
	assert_true(offset + size <= sizeof(config));
	memcpy(value, config + offset, size);
}

static void config_write(struct virtio *which, uint32_t offset, const void *value, uint32_t size)
{
	assert_true(offset + size <= sizeof(config));
	memcpy(config + offset, value, size);
}

static bool begun, ended, refuses;

static bool acceptable(const struct virtio *which)
{
	return !refuses;
}

static void device_begin(struct virtio *which)
{
	assert_true(virtio_has(which, VIRTIO_F_VERSION_1));
	for (unsigned int i = 0; i < QUEUES; i++)
		assert_false(virtqueue_running(&which->queues[i].ring));
	begun = true;
}

static void device_end(struct virtio *which)
{
	for (unsigned int i = 0; i < QUEUES; i++)
		assert_false(virtqueue_running(&which->queues[i].ring));
	ended = true;
}

static const struct virtio_ops ops = {
	.name = "virtio-test",
	.device_id = 42,
	.config_size = sizeof(config),
	.config_read = config_read,
	.config_write = config_write,
	.acceptable = acceptable,
	.begin = device_begin,
	.end = device_end,
	.process = process,
	.drain = drain,
};

/* The transport. */

static unsigned int queue_interrupts[QUEUES], config_interrupts;

static void queue_interrupt(struct virtio_transport *which, unsigned int queue)
{
	queue_interrupts[queue]++;
}

static void config_interrupt(struct virtio_transport *which)
{
	config_interrupts++;
}

static struct virtio_transport transport = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
};

static int begin(void **state)
{
	struct event_loop *const loops[QUEUES] = { &loop, &loop, &loop };

	memset(processed, 0, sizeof(processed));
	memset(drained, 0, sizeof(drained));
	memset(queue_interrupts, 0, sizeof(queue_interrupts));
	memset(config, 0, sizeof(config));
	config_interrupts = handled = 0;
	begun = ended = refuses = false;
	handler = handle;
	if (memory_create(&memory, BASE, MIB(4), MEMORY_ANON, NULL) < 0 ||
	    event_loop_create(&loop) < 0 ||
	    virtio_init(&virtio, &ops, &memory, loops, UINT64_C(1) << OWN_FEATURE, QUEUES, SIZE) <
		    0)
		return -1;
	virtio.transport = &transport;
	for (unsigned int i = 0; i < QUEUES; i++)
		driver[i] = driver_create(&memory, BASE + i * 0x4000, SIZE);
	return catch_begin(state);
}

static int end(void **state)
{
	virtio_fini(&virtio);
	event_loop_destroy(&loop);
	memory_destroy(&memory);
	return catch_end(state);
}

static void turn(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

static void negotiate(uint64_t features)
{
	virtio_set_status(&virtio, ACK);
	virtio_set_status(&virtio, ACK | DRIVER);
	virtio_set_features(&virtio, 0, features);
	virtio_set_features(&virtio, 1, features >> 32);
	virtio_set_status(&virtio, ACK | DRIVER | FEATURES_OK);
}

#define VERSION_1 (UINT64_C(1) << VIRTIO_F_VERSION_1)
#define EVENT_IDX (UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX)

static void lay_out(unsigned int queue)
{
	virtio.queues[queue].layout = driver[queue].layout;
	virtio_queue_set_ready(&virtio.queues[queue], true);
}

/* Queues 0 and 1 are in use, 2 is not. */
static void activate(void)
{
	negotiate(VERSION_1);
	lay_out(0);
	lay_out(1);
	virtio_set_status(&virtio, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_int_equal(virtio.status, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	turn();
	memset(processed, 0, sizeof(processed));
}

static void offer(unsigned int queue, uint16_t head)
{
	driver_desc(&driver[queue], head, DATA + head * 16, 16, WRITE, 0);
	driver_offer(&driver[queue], head);
}

static void kick(unsigned int queue)
{
	event_notify(&virtio.queues[queue].kick);
	turn();
}

static bool running(unsigned int queue)
{
	return virtqueue_running(&virtio.queues[queue].ring);
}

/* Status and features. */

static void features_of_all_devices_are_offered(void **state)
{
	uint64_t offered =
		virtio_get_features(&virtio, 0) | (uint64_t)virtio_get_features(&virtio, 1) << 32;

	assert_true(offered >> OWN_FEATURE & 1);
	assert_true(offered >> VIRTIO_F_VERSION_1 & 1);
	assert_true(offered >> VIRTIO_RING_F_EVENT_IDX & 1);
	assert_true(offered >> VIRTIO_RING_F_INDIRECT_DESC & 1);
	assert_int_equal(__builtin_popcountll(offered), 4);
	assert_int_equal(virtio_get_features(&virtio, 2), 0);
	assert_int_equal(virtio_get_features(&virtio, UINT32_MAX), 0);
}

static void features_are_accepted(void **state)
{
	negotiate(VERSION_1 | 1 << OWN_FEATURE);
	assert_int_equal(virtio.status, ACK | DRIVER | FEATURES_OK);
	assert_true(virtio_has(&virtio, OWN_FEATURE));
	assert_true(virtio_has(&virtio, VIRTIO_F_VERSION_1));
	assert_false(virtio_has(&virtio, VIRTIO_RING_F_EVENT_IDX));
}

static void features_that_were_not_offered_are_refused(void **state)
{
	for (unsigned int bit = 0; bit < 64; bit++) {
		const bool offered = virtio.offered >> bit & 1;

		negotiate(VERSION_1 | UINT64_C(1) << bit);
		assert_int_equal(virtio.status & FEATURES_OK, offered ? FEATURES_OK : 0);
		virtio_set_status(&virtio, 0);
	}
}

/* Legacy drivers are none of ours. */
static void features_without_version_1_are_refused(void **state)
{
	negotiate(1 << OWN_FEATURE);
	assert_int_equal(virtio.status, ACK | DRIVER);
	/* A second try may be better. */
	virtio_set_features(&virtio, 1, 1);
	virtio_set_status(&virtio, ACK | DRIVER | FEATURES_OK);
	assert_int_equal(virtio.status, ACK | DRIVER | FEATURES_OK);
}

static void features_that_do_not_go_together_are_refused(void **state)
{
	refuses = true;
	negotiate(VERSION_1);
	assert_int_equal(virtio.status, ACK | DRIVER);
	refuses = false;
	virtio_set_status(&virtio, ACK | DRIVER | FEATURES_OK);
	assert_int_equal(virtio.status, ACK | DRIVER | FEATURES_OK);
}

static void device_hears_of_its_driver(void **state)
{
	negotiate(VERSION_1);
	lay_out(0);
	assert_false(begun);
	virtio_set_status(&virtio, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_true(begun);
	assert_true(running(0));
	begun = false;
	virtio_set_status(&virtio, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_false(begun);
	assert_false(ended);
	virtio_set_status(&virtio, 0);
	assert_true(ended);
}

/* What has not begun does not end. */
static void device_hears_of_no_driver_that_gave_up(void **state)
{
	negotiate(VERSION_1);
	virtio_set_status(&virtio, 0);
	assert_false(begun);
	assert_false(ended);
}

static void config_that_the_driver_replaced_is_no_interrupt(void **state)
{
	const unsigned int before = atomic_load(&virtio.config_generation);

	activate();
	virtio_config_replaced(&virtio);
	assert_int_not_equal(atomic_load(&virtio.config_generation), before);
	assert_int_equal(config_interrupts, 0);
}

static void features_are_settled_by_features_ok(void **state)
{
	negotiate(VERSION_1);
	virtio_set_features(&virtio, 0, UINT32_MAX);
	virtio_set_features(&virtio, 1, UINT32_MAX);
	assert_true(virtio.accepted == VERSION_1);
	virtio_set_status(&virtio, 0);
	assert_true(virtio.accepted == 0);
	/* Words that do not exist. */
	virtio_set_features(&virtio, 2, UINT32_MAX);
	virtio_set_features(&virtio, UINT32_MAX, UINT32_MAX);
	assert_true(virtio.accepted == 0);
}

static void driver_ok_before_features_ok_is_ignored(void **state)
{
	virtio_set_status(&virtio, ACK | DRIVER);
	lay_out(0);
	virtio_set_status(&virtio, ACK | DRIVER | DRIVER_OK);
	assert_int_equal(virtio.status, ACK | DRIVER);
	assert_false(running(0));
	/* Nor with features that are refused at the same moment. */
	virtio_set_status(&virtio, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_int_equal(virtio.status, ACK | DRIVER);
	assert_false(running(0));
	virtio_set_features(&virtio, 1, 1);
	virtio_set_status(&virtio, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_int_equal(virtio.status, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_true(running(0));
}

static void status_bits_go_by_reset_alone(void **state)
{
	activate();
	virtio_set_status(&virtio, ACK);
	assert_int_equal(virtio.status, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_true(running(0));
	/* To need a reset is not the driver's to say. */
	virtio_set_status(&virtio, 0xff);
	assert_false(virtio.status & NEEDS_RESET);
	assert_int_equal(config_interrupts, 0);
	virtio_set_status(&virtio, 0);
	assert_int_equal(virtio.status, 0);
}

/* Queues. */

static void queues_start_with_the_driver(void **state)
{
	offer(0, 3);
	negotiate(VERSION_1);
	lay_out(0);
	turn();
	assert_false(running(0));
	assert_int_equal(processed[0], 0);
	virtio_set_status(&virtio, DRIVER_OK);
	assert_true(running(0));
	assert_false(running(1));
	/* What was available before is found without a kick. */
	turn();
	assert_taken(&driver[0], 3, 16);
	assert_int_equal(queue_interrupts[0], 1);
}

static void queue_may_become_ready_later(void **state)
{
	activate();
	offer(2, 1);
	kick(2);
	assert_none_taken(&driver[2]);
	lay_out(2);
	turn();
	assert_taken(&driver[2], 1, 16);
}

static void kicks_before_the_start_are_ignored(void **state)
{
	for (unsigned int i = 0; i < QUEUES; i++)
		kick(i);
	negotiate(VERSION_1);
	lay_out(0);
	kick(0);
	assert_int_equal(processed[0], 0);
}

/* Queue registers changed after activation. */
static void registers_are_closed_once_ready(void **state)
{
	assert_true(virtio_queue_open(&virtio.queues[0]));
	activate();
	assert_false(virtio_queue_open(&virtio.queues[0]));
	assert_true(virtio_queue_open(&virtio.queues[2]));
	/* Should one change anyhow, the ring that runs has a copy of its own. */
	virtio.queues[0].layout = (struct virtqueue_layout){ 0, 0, 0, 0xffff };
	offer(0, 0);
	kick(0);
	assert_taken(&driver[0], 0, 16);
	/* Ready once more does not start anew. */
	virtio_queue_set_ready(&virtio.queues[0], true);
	offer(0, 1);
	kick(0);
	assert_taken(&driver[0], 1, 16);
	assert_false(virtio.status & NEEDS_RESET);
}

static void queue_that_is_not_ready_stops(void **state)
{
	activate();
	offer(0, 0);
	virtio_queue_set_ready(&virtio.queues[0], false);
	assert_int_equal(drained[0], 1);
	assert_false(running(0));
	assert_true(running(1));
	kick(0);
	assert_none_taken(&driver[0]);
	virtio_queue_set_ready(&virtio.queues[0], false);
	assert_int_equal(drained[0], 1);
}

static void bad_layout_needs_a_reset(void **state)
{
	static const struct virtqueue_layout layouts[] = {
		{ 0, 0, 0, SIZE },
		{ BASE, BASE, BASE, 0 },
		{ BASE, BASE, BASE, SIZE - 1 },
		{ BASE + 8, BASE, BASE, SIZE },
		{ 0x09000000, BASE, BASE, SIZE },
		{ UINT64_MAX - 15, UINT64_MAX - 15, UINT64_MAX - 15, SIZE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		const unsigned int generation = virtio.config_generation;

		negotiate(VERSION_1);
		virtio.queues[1].layout = layouts[i];
		virtio_queue_set_ready(&virtio.queues[1], true);
		lay_out(0);
		virtio_set_status(&virtio, DRIVER_OK);
		assert_true(virtio.status & NEEDS_RESET);
		assert_false(running(1));
		assert_int_equal(config_interrupts, i + 1);
		assert_int_not_equal(virtio.config_generation, generation);
		kick(1);
		virtio_set_status(&virtio, 0);
	}
}

static void paused_queues_wait(void **state)
{
	activate();
	virtio_pause(&virtio, true);
	for (unsigned int i = 0; i < 2; i++) {
		driver_used(&driver[i])->flags = 0x55;
		driver_used(&driver[i])->idx = 0;
		offer(i, 2);
		kick(i);
		assert_int_equal(driver_used(&driver[i])->flags, 0x55);
		assert_none_taken(&driver[i]);
	}
	/* So does one that becomes ready meanwhile. */
	offer(2, 1);
	lay_out(2);
	turn();
	assert_none_taken(&driver[2]);
	assert_int_equal(queue_interrupts[0] + queue_interrupts[1] + queue_interrupts[2], 0);

	virtio_pause(&virtio, false);
	turn();
	assert_taken(&driver[0], 2, 16);
	assert_taken(&driver[1], 2, 16);
	assert_taken(&driver[2], 1, 16);
	for (unsigned int i = 0; i < QUEUES; i++)
		assert_int_equal(queue_interrupts[i], 1);
}

static void reset_drains_and_forgets(void **state)
{
	activate();
	offer(0, 0);
	virtio_set_status(&virtio, 0);
	assert_int_equal(drained[0], 1);
	assert_int_equal(drained[1], 1);
	assert_int_equal(drained[2], 0);
	assert_true(drained_while_running);
	assert_int_equal(virtio.status, 0);
	assert_true(virtio.accepted == 0);
	for (unsigned int i = 0; i < QUEUES; i++) {
		assert_false(running(i));
		assert_false(virtio.queues[i].ready);
		assert_int_equal(virtio.queues[i].layout.size, 0);
		assert_true(virtio.queues[i].layout.desc == 0);
		kick(i);
		assert_int_equal(processed[i], 0);
	}
	assert_none_taken(&driver[0]);
	/* A second reset finds nothing to do. */
	virtio_set_status(&virtio, 0);
	assert_int_equal(drained[0], 1);
}

/* Indices begin at 0 again, and so do heads in flight. */
static struct virtqueue_chain kept;

static bool keep(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	kept = *chain;
	return true;
}

static void reset_in_mid_flight_forgets_the_request(void **state)
{
	handler = keep;
	activate();
	offer(0, 5);
	kick(0);
	assert_int_equal(kept.head, 5);
	assert_none_taken(&driver[0]);
	virtio_set_status(&virtio, 0);
	/* A completion that comes now touches nothing. */
	virtqueue_push(&virtio.queues[0].ring, kept.head, 1);
	virtio_publish(&virtio.queues[0]);
	assert_none_taken(&driver[0]);
	assert_int_equal(queue_interrupts[0], 0);

	handler = handle;
	driver[0] = driver_create(&memory, BASE, SIZE);
	driver[1] = driver_create(&memory, BASE + 0x4000, SIZE);
	activate();
	offer(0, 5);
	kick(0);
	assert_taken(&driver[0], 5, 16);
	assert_none_taken(&driver[0]);
}

/* Rules broken. */

static void broken_ring_needs_a_reset(void **state)
{
	const unsigned int generation = virtio.config_generation;

	activate();
	driver_offer(&driver[0], SIZE);
	kick(0);
	assert_true(virtio.status & NEEDS_RESET);
	assert_int_equal(virtio.config_generation, generation + 1);
	assert_int_equal(config_interrupts, 1);
	assert_said("virtio-test");
	/* Said once; the queue is left alone from then on, the others work. */
	processed[0] = 0;
	kick(0);
	kick(0);
	assert_int_equal(processed[0], 0);
	assert_int_equal(config_interrupts, 1);
	assert_silent();
	offer(1, 0);
	kick(1);
	assert_taken(&driver[1], 0, 16);
	/* The driver cannot talk it away. */
	virtio_set_status(&virtio, ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_true(virtio.status & NEEDS_RESET);

	virtio_set_status(&virtio, 0);
	driver[0] = driver_create(&memory, BASE, SIZE);
	driver[1] = driver_create(&memory, BASE + 0x4000, SIZE);
	activate();
	offer(0, 0);
	kick(0);
	assert_taken(&driver[0], 0, 16);
}

static void breaking_rules_forever_does_not_flood_the_log(void **state)
{
	for (unsigned int i = 0; i < 100; i++) {
		driver[0] = driver_create(&memory, BASE, SIZE);
		driver[1] = driver_create(&memory, BASE + 0x4000, SIZE);
		activate();
		driver_offer(&driver[0], UINT16_MAX);
		kick(0);
		assert_true(virtio.status & NEEDS_RESET);
		virtio_set_status(&virtio, 0);
	}
	assert_true(strlen(said()) < 2000);
}

static void config_change_before_driver_ok_is_no_interrupt(void **state)
{
	const unsigned int generation = virtio.config_generation;

	virtio_config_changed(&virtio);
	negotiate(VERSION_1);
	virtio_config_changed(&virtio);
	assert_int_equal(config_interrupts, 0);
	assert_int_equal(virtio.config_generation, generation + 2);
	virtio_set_status(&virtio, DRIVER_OK);
	virtio_config_changed(&virtio);
	assert_int_equal(config_interrupts, 1);
	assert_int_equal(virtio.config_generation, generation + 3);
}

/* Configuration space. */

static void config_space_has_bounds(void **state)
{
	static const uint64_t outside[] = {
		12, 13, 255, UINT32_MAX, UINT32_MAX + UINT64_C(1), UINT64_MAX - 7, UINT64_MAX
	};
	uint64_t value;

	for (uint8_t i = 0; i < sizeof(config); i++)
		config[i] = i + 1;
	for (uint32_t size = 1; size <= 8; size *= 2) {
		for (uint64_t offset = 0; offset < 16; offset++) {
			uint64_t want = 0;

			for (uint32_t i = 0; i < size && offset + size <= 12; i++)
				want |= (offset + i + 1) << 8 * i;
			value = UINT64_MAX;
			virtio_config_read(&virtio, offset, &value, size);
			assert_true(value == want);
		}
		for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
			value = UINT64_MAX;
			virtio_config_read(&virtio, outside[i], &value, size);
			assert_true(value == 0);
			virtio_config_write(&virtio, outside[i], UINT64_MAX, size);
		}
	}
	virtio_config_write(&virtio, 9, UINT64_MAX, 4);
	for (uint8_t i = 0; i < sizeof(config); i++)
		assert_int_equal(config[i], i + 1);
	virtio_config_write(&virtio, 10, 0x1234, 2);
	assert_memory_equal(config + 8, "\x09\x0a\x34\x12", 4);
}

static void config_without_write_ignores_it(void **state)
{
	struct virtio_ops read_only = ops;

	read_only.config_write = NULL;
	virtio.ops = &read_only;
	virtio_config_write(&virtio, 0, 0x55, 1);
	assert_int_equal(config[0], 0);
	virtio.ops = &ops;
}

/* Serving. */

static void chains_are_served_and_given_back(void **state)
{
	activate();
	for (uint16_t head = 0; head < 5; head++)
		offer(0, head);
	kick(0);
	assert_int_equal(handled, 5);
	assert_int_equal(processed[0], 1);
	assert_int_equal(queue_interrupts[0], 1);
	for (uint16_t head = 0; head < 5; head++)
		assert_taken(&driver[0], head, 16);
	assert_int_equal(driver_used(&driver[0])->flags, 0);
}

static void driver_that_wants_no_interrupt_gets_none(void **state)
{
	activate();
	driver_avail(&driver[0])->flags = VRING_AVAIL_F_NO_INTERRUPT;
	offer(0, 0);
	kick(0);
	assert_taken(&driver[0], 0, 16);
	assert_int_equal(queue_interrupts[0], 0);
}

static void event_index_is_used_if_negotiated(void **state)
{
	negotiate(VERSION_1 | EVENT_IDX);
	lay_out(0);
	virtio_set_status(&virtio, DRIVER_OK);
	turn();
	*driver_used_event(&driver[0]) = 1;
	offer(0, 0);
	kick(0);
	assert_int_equal(queue_interrupts[0], 0);
	offer(0, 1);
	kick(0);
	assert_int_equal(queue_interrupts[0], 1);
	assert_int_equal(*driver_avail_event(&driver[0]), 2);
}

/* Unbounded work per kick: a driver on another vCPU that gives each chain back at once. */
static unsigned int others, most_between, since;

static bool endless(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	uint16_t head = chain->head;

	virtqueue_push(&queue->ring, head, 0);
	if (++since > most_between)
		most_between = since;
	if (handled++ < 10000)
		driver_offer(&driver[queue->index], head);
	return true;
}

static void other_notified(struct event_notifier *notifier)
{
	others++;
	since = 0;
	event_notify(notifier);
}

static void endless_queue_leaves_others_their_turn(void **state)
{
	struct event_notifier other;

	others = most_between = since = 0;
	handler = endless;
	activate();
	assert_int_equal(event_notifier_create(&other, &loop, other_notified), 0);
	event_notify(&other);
	offer(0, 0);
	event_notify(&virtio.queues[0].kick);
	while (handled < 10000)
		assert_int_equal(event_loop_turn(&loop, false), 1);
	assert_true(others >= 10000 / (2 * SIZE) - 2);
	assert_true(most_between <= 2 * SIZE);
	event_notifier_destroy(&other);
}

/* A chain that comes while kicks are off. */
static bool late(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	handle(queue, chain);
	if (handled == 1)
		offer(queue->index, 1);
	return true;
}

static void nothing_is_left_without_a_kick(void **state)
{
	handler = late;
	activate();
	offer(0, 0);
	kick(0);
	assert_int_equal(handled, 2);
	assert_taken(&driver[0], 0, 16);
	assert_taken(&driver[0], 1, 16);
}

static void full_ring_is_served_in_one_go(void **state)
{
	activate();
	for (unsigned int round = 0; round < 3; round++) {
		for (uint16_t head = 0; head < SIZE; head++)
			offer(0, head);
		kick(0);
		for (uint16_t head = 0; head < SIZE; head++)
			assert_taken(&driver[0], head, 16);
		assert_none_taken(&driver[0]);
		assert_int_equal(driver_used(&driver[0])->flags, 0);
	}
}

/* A completion that a reset would free: the reset comes back only when the worker is done. */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool inside, reset_done;

static bool slow(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	atomic_store(&inside, true);
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	assert_false(atomic_load(&reset_done));
	handle(queue, chain);
	return true;
}

static void *worker(void *opaque)
{
	turn();
	return NULL;
}

static void *resetter(void *opaque)
{
	virtio_set_status(&virtio, 0);
	atomic_store(&reset_done, true);
	return NULL;
}

static void reset_waits_for_the_worker(void **state)
{
	struct timespec moment = { .tv_nsec = 20000000 };
	pthread_t threads[2];

	handler = slow;
	activate();
	atomic_store(&inside, false);
	atomic_store(&reset_done, false);
	pthread_mutex_lock(&gate);
	offer(0, 0);
	event_notify(&virtio.queues[0].kick);
	assert_int_equal(pthread_create(&threads[0], NULL, worker, NULL), 0);
	while (!atomic_load(&inside))
		nanosleep(&moment, NULL);
	assert_int_equal(pthread_create(&threads[1], NULL, resetter, NULL), 0);
	nanosleep(&moment, NULL);
	assert_false(atomic_load(&reset_done));
	assert_int_equal(drained[0], 0);
	pthread_mutex_unlock(&gate);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_true(atomic_load(&reset_done));
	assert_int_equal(drained[0], 1);
	assert_int_equal(virtio.status, 0);
	assert_taken(&driver[0], 0, 16);
}

/* A ring with always one chain more. Its first one takes until somebody stops the queue. */
static bool until_stopped(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	virtqueue_push(&queue->ring, chain->head, 0);
	driver_offer(&driver[queue->index], chain->head);
	handled++;
	while (!virtio_queue_stopping(queue))
		usleep(100);
	/* For the other one to be waiting for the lock. */
	usleep(20000);
	return true;
}

static void *turn_until_reset(void *opaque)
{
	while (!atomic_load(&reset_done))
		event_loop_turn(&loop, false);
	return NULL;
}

/* A mutex may well go to who has just had it, again and again. */
static void who_stops_a_queue_goes_first(void **state)
{
	pthread_t thread;

	handler = until_stopped;
	activate();
	atomic_store(&reset_done, false);
	offer(0, 0);
	event_notify(&virtio.queues[0].kick);
	alarm(120);
	assert_int_equal(pthread_create(&thread, NULL, turn_until_reset, NULL), 0);
	while (pthread_mutex_trylock(&virtio.queues[0].lock) == 0) {
		pthread_mutex_unlock(&virtio.queues[0].lock);
		usleep(100);
	}
	virtio_set_status(&virtio, 0);
	atomic_store(&reset_done, true);
	pthread_join(thread, NULL);
	alarm(0);
	assert_in_range(handled, 0, 1);
}

static void halves_of_addresses_are_set_apart(void **state)
{
	struct virtio_queue *queue = &virtio.queues[0];

	virtio_queue_set_address(queue, VIRTQUEUE_DESC, true, 0x80000001);
	virtio_queue_set_address(queue, VIRTQUEUE_AVAIL, false, 0x80000002);
	virtio_queue_set_address(queue, VIRTQUEUE_USED, false, UINT32_MAX);
	virtio_queue_set_address(queue, VIRTQUEUE_USED, true, UINT32_MAX);
	assert_true(queue->layout.desc == UINT64_C(0x8000000100000000));
	assert_true(queue->layout.avail == 0x80000002);
	assert_true(queue->layout.used == UINT64_MAX);
	virtio_queue_set_address(queue, VIRTQUEUE_DESC, false, 3);
	virtio_queue_set_address(queue, VIRTQUEUE_USED, true, 0);
	assert_true(queue->layout.desc == UINT64_C(0x8000000100000003));
	assert_true(queue->layout.used == UINT32_MAX);
}

#define on_device(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_device(features_of_all_devices_are_offered),
		on_device(features_are_accepted),
		on_device(features_that_were_not_offered_are_refused),
		on_device(features_without_version_1_are_refused),
		on_device(features_that_do_not_go_together_are_refused),
		on_device(device_hears_of_its_driver),
		on_device(device_hears_of_no_driver_that_gave_up),
		on_device(config_that_the_driver_replaced_is_no_interrupt),
		on_device(features_are_settled_by_features_ok),
		on_device(driver_ok_before_features_ok_is_ignored),
		on_device(status_bits_go_by_reset_alone),
		on_device(queues_start_with_the_driver),
		on_device(queue_may_become_ready_later),
		on_device(kicks_before_the_start_are_ignored),
		on_device(registers_are_closed_once_ready),
		on_device(halves_of_addresses_are_set_apart),
		on_device(queue_that_is_not_ready_stops),
		on_device(paused_queues_wait),
		on_device(bad_layout_needs_a_reset),
		on_device(reset_drains_and_forgets),
		on_device(reset_in_mid_flight_forgets_the_request),
		on_device(broken_ring_needs_a_reset),
		on_device(breaking_rules_forever_does_not_flood_the_log),
		on_device(config_change_before_driver_ok_is_no_interrupt),
		on_device(config_space_has_bounds),
		on_device(config_without_write_ignores_it),
		on_device(chains_are_served_and_given_back),
		on_device(driver_that_wants_no_interrupt_gets_none),
		on_device(event_index_is_used_if_negotiated),
		on_device(endless_queue_leaves_others_their_turn),
		on_device(nothing_is_left_without_a_kick),
		on_device(full_ring_is_served_in_one_go),
		on_device(reset_waits_for_the_worker),
		on_device(who_stops_a_queue_goes_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
