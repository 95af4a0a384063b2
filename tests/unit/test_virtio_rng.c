// SPDX-License-Identifier: GPL-2.0-only
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "unit.h"

#include "driver.h"
#include "util.h"
#include "virtio/virtio_rng.h"

#define BASE   GIB(1)
#define BUFFER (BASE + MIB(1))

static struct memory memory;
static struct event_loop loop;
static struct virtio *rng;
static struct driver driver;
static unsigned int interrupts;

static void queue_interrupt(struct virtio_transport *transport, unsigned int queue)
{
	assert_int_equal(queue, 0);
	interrupts++;
}

static void config_interrupt(struct virtio_transport *transport)
{
}

static struct virtio_transport transport = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
};

static void turn(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

static void activate(void)
{
	driver = driver_create(&memory, BASE, 8);
	virtio_set_status(rng, 3);
	virtio_set_features(rng, 1, 1);
	virtio_set_status(rng, 11);
	rng->queues[0].layout = driver.layout;
	virtio_queue_set_ready(&rng->queues[0], true);
	virtio_set_status(rng, 15);
	turn();
}

static int begin(void **state)
{
	assert_int_equal(memory_create(&memory, BASE, MIB(4), MEMORY_ANON, NULL), 0);
	assert_int_equal(event_loop_create(&loop), 0);
	assert_int_equal(virtio_rng_create(&rng, &memory, &loop), 0);
	assert_non_null(rng);
	rng->transport = &transport;
	interrupts = 0;
	activate();
	return catch_begin(state);
}

static int end(void **state)
{
	rng->ops->destroy(rng);
	event_loop_destroy(&loop);
	memory_destroy(&memory);
	return catch_end(state);
}

static void kick(void)
{
	event_notify(&rng->queues[0].kick);
	turn();
}

/* Whether the bytes are all what RAM was before: of 64 random ones none is. */
static bool untouched(uint64_t gpa, size_t size)
{
	const uint8_t *bytes = memory_at(&memory, gpa, size);

	for (size_t i = 0; i < size; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

static bool needs_reset(void)
{
	return rng->status & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static void is_an_entropy_device(void **state)
{
	assert_int_equal(rng->ops->device_id, 4);
	assert_int_equal(rng->ops->config_size, 0);
	assert_int_equal(rng->queue_count, 1);
	assert_true(rng->status == 15);
}

static void buffer_is_filled(void **state)
{
	driver_desc(&driver, 2, BUFFER, 64, WRITE, 0);
	driver_offer(&driver, 2);
	kick();
	assert_taken(&driver, 2, 64);
	assert_none_taken(&driver);
	assert_false(untouched(BUFFER, 64));
	assert_true(untouched(BUFFER + 64, 4096));
	assert_int_equal(interrupts, 1);
}

static void two_buffers_differ(void **state)
{
	driver_desc(&driver, 0, BUFFER, 64, WRITE, 0);
	driver_desc(&driver, 1, BUFFER + 64, 64, WRITE, 0);
	driver_offer(&driver, 0);
	driver_offer(&driver, 1);
	kick();
	assert_taken(&driver, 0, 64);
	assert_taken(&driver, 1, 64);
	assert_memory_not_equal(memory_at(&memory, BUFFER, 64), memory_at(&memory, BUFFER + 64, 64),
				64);
	assert_int_equal(interrupts, 1);
}

static void all_segments_of_a_chain_are_filled(void **state)
{
	driver_desc(&driver, 0, BUFFER, 64, WRITE | NEXT, 3);
	driver_desc(&driver, 3, BUFFER + 4096, 0, WRITE | NEXT, 1);
	driver_desc(&driver, 1, BUFFER + 8192, 100, WRITE, 0);
	driver_offer(&driver, 0);
	kick();
	assert_taken(&driver, 0, 164);
	assert_false(untouched(BUFFER, 64));
	assert_true(untouched(BUFFER + 64, 8192 - 64));
	assert_false(untouched(BUFFER + 8192, 100));
	assert_true(untouched(BUFFER + 8192 + 100, 4096));
}

/* Unbounded work: the length of a request is the driver's to claim. */
static void work_of_a_request_is_bounded(void **state)
{
	driver_desc(&driver, 0, BUFFER, KIB(40), WRITE | NEXT, 1);
	driver_desc(&driver, 1, BUFFER + KIB(40), KIB(40), WRITE | NEXT, 2);
	driver_desc(&driver, 2, BUFFER + KIB(80), MIB(2), WRITE, 0);
	driver_offer(&driver, 0);
	kick();
	assert_taken(&driver, 0, KIB(64));
	assert_false(untouched(BUFFER + KIB(64) - 64, 64));
	assert_true(untouched(BUFFER + KIB(64), KIB(64)));
	assert_false(needs_reset());
}

/* There is nothing that a driver could have to say to this device. */
static void what_is_read_only_is_left_alone(void **state)
{
	memset(memory_at(&memory, BUFFER, 64), 0x5a, 64);
	driver_desc(&driver, 0, BUFFER, 64, 0, 0);
	driver_offer(&driver, 0);
	kick();
	assert_taken(&driver, 0, 0);
	for (unsigned int i = 0; i < 64; i++)
		assert_int_equal(*(uint8_t *)memory_at(&memory, BUFFER + i, 1), 0x5a);
	assert_false(needs_reset());
}

static void bad_address_wants_a_reset_which_mends_it(void **state)
{
	driver_desc(&driver, 0, BASE - 32, 64, WRITE, 0);
	driver_offer(&driver, 0);
	kick();
	assert_none_taken(&driver);
	assert_true(needs_reset());
	assert_said("virtio-rng");

	virtio_set_status(rng, 0);
	activate();
	assert_int_equal(rng->status, 15);
	driver_desc(&driver, 0, BUFFER, 64, WRITE, 0);
	driver_offer(&driver, 0);
	kick();
	assert_taken(&driver, 0, 64);
}

/* Without the event index, as activate() has it. */
static void activate_overlapping(void)
{
	virtio_set_status(rng, 0);
	driver = driver_create_overlapping(&memory, BASE, 8,
					   (struct vring_desc){ BUFFER, 64, WRITE, 0 });
	virtio_set_status(rng, 3);
	virtio_set_features(rng, 1, 1);
	virtio_set_status(rng, 11);
	rng->queues[0].layout = driver.layout;
	virtio_queue_set_ready(&rng->queues[0], true);
	virtio_set_status(rng, 15);
}

static void ring_that_feeds_itself_ends(void **state)
{
	alarm(120);
	activate_overlapping();
	turn();
	alarm(0);
	assert_true(needs_reset());
	assert_said("violated the virtio protocol");
}

static void ring_that_another_vcpu_toggles_lets_others_in(void **state)
{
	struct driver_toggler toggler;

	virtio_set_status(rng, 0);
	activate();
	driver_desc(&driver, 0, BUFFER, 64, WRITE, 0);
	driver_toggle_begin(&toggler, &driver);
	for (unsigned int round = 0; round < 2000; round++) {
		event_notify(&rng->queues[0].kick);
		event_loop_turn(&loop, false);
	}
	driver_toggle_end(&toggler);
	said();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(is_an_entropy_device, begin, end),
		cmocka_unit_test_setup_teardown(buffer_is_filled, begin, end),
		cmocka_unit_test_setup_teardown(two_buffers_differ, begin, end),
		cmocka_unit_test_setup_teardown(all_segments_of_a_chain_are_filled, begin, end),
		cmocka_unit_test_setup_teardown(work_of_a_request_is_bounded, begin, end),
		cmocka_unit_test_setup_teardown(what_is_read_only_is_left_alone, begin, end),
		cmocka_unit_test_setup_teardown(bad_address_wants_a_reset_which_mends_it, begin,
						end),
		cmocka_unit_test_setup_teardown(ring_that_feeds_itself_ends, begin, end),
		cmocka_unit_test_setup_teardown(ring_that_another_vcpu_toggles_lets_others_in,
						begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
