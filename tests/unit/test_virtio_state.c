// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

#include "unit.h"

#include "driver.h"
#include "state/state.h"
#include "util.h"
#include "virtio/virtio_rng.h"

#define BASE   GIB(1)
#define BUFFER (BASE + MIB(1))
#define INDEX  5

static struct memory memory;
static struct event_loop loop;
static struct virtio *rng;
static struct driver driver;
static struct state_writer writer;
static struct state_reader reader;
static unsigned int interrupts;

static void queue_interrupt(struct virtio_transport *transport, unsigned int queue)
{
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

static void make(void)
{
	assert_int_equal(virtio_rng_create(&rng, &memory, &loop), 0);
	rng->transport = &transport;
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
	state_writer_create(&writer);
	make();
	interrupts = 0;
	return catch_begin(state);
}

static int end(void **state)
{
	rng->ops->destroy(rng);
	state_writer_destroy(&writer);
	event_loop_destroy(&loop);
	memory_destroy(&memory);
	return catch_end(state);
}

/* Offers a buffer. */
static void ask(uint16_t head)
{
	driver_desc(&driver, head, BUFFER + head * 64, 64, WRITE, 0);
	driver_offer(&driver, head);
	event_notify(&rng->queues[0].kick);
	turn();
}

static void save(void)
{
	virtio_rest(rng, true);
	turn();
	virtio_save(rng, &writer, INDEX);
	assert_int_equal(writer.err, 0);
}

/* Into another device, which rests. */
static void restore(void)
{
	rng->ops->destroy(rng);
	make();
	virtio_rest(rng, true);
	state_reader_create(&reader, writer.bytes, writer.size);
	virtio_restore(rng, &reader, INDEX);
	turn();
}

static void go_on(void)
{
	virtio_rest(rng, false);
	turn();
}

static void a_device_goes_on_where_its_ring_was(void **state)
{
	activate();
	for (unsigned int i = 0; i < 11; i++) {
		ask(i % 8);
		assert_taken(&driver, i % 8, 64);
	}
	save();
	restore();
	state_done(&reader);
	assert_int_equal(reader.err, 0);
	assert_int_equal(rng->status, 15);
	go_on();
	assert_none_taken(&driver);
	ask(4);
	assert_taken(&driver, 4, 64);
	assert_none_taken(&driver);
}

static void what_is_offered_while_it_rests_is_taken_up_by_the_next_one(void **state)
{
	activate();
	save();
	ask(2);
	assert_none_taken(&driver);
	interrupts = 0;
	restore();
	assert_none_taken(&driver);
	assert_int_equal(interrupts, 0);
	go_on();
	assert_taken(&driver, 2, 64);
	assert_int_equal(interrupts, 1);
}

static void one_that_goes_on_by_itself_has_lost_nothing(void **state)
{
	activate();
	save();
	ask(2);
	assert_none_taken(&driver);
	go_on();
	assert_taken(&driver, 2, 64);
}

/* virtio 1.3, 2.7.7: what was used before and not told yet is told now. */
static void an_interrupt_that_is_owed_comes(void **state)
{
	struct virtqueue *ring = &rng->queues[0].ring;

	activate();
	ask(1);
	interrupts = 0;
	ring->signalled--;
	save();
	restore();
	assert_int_equal(interrupts, 0);
	go_on();
	assert_int_equal(interrupts, 1);
}

static void a_queue_that_its_driver_lays_out_stays_so(void **state)
{
	virtio_set_status(rng, 3);
	rng->queues[0].layout.desc = 0x1234567890;
	rng->queues[0].layout.size = 4;
	save();
	restore();
	assert_int_equal(reader.err, 0);
	assert_int_equal(rng->queues[0].layout.desc, 0x1234567890);
	assert_int_equal(rng->queues[0].layout.size, 4);
	assert_false(rng->queues[0].ready);
	assert_int_equal(rng->status, 3);
}

static void a_broken_queue_stays_broken(void **state)
{
	activate();
	driver_offer(&driver, 99);
	event_notify(&rng->queues[0].kick);
	turn();
	assert_true(rng->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	said();
	save();
	restore();
	assert_int_equal(reader.err, 0);
	assert_true(rng->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	go_on();
	ask(1);
	assert_none_taken(&driver);
}

/* Each byte of what was saved, as each of some others: refused, or a device that works. */
static void no_byte_of_it_does_harm(void **state)
{
	static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };
	uint8_t before;

	activate();
	ask(1);
	save();
	for (size_t at = 0; at < writer.size; at++) {
		before = writer.bytes[at];
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			writer.bytes[at] = values[i];
			restore();
			go_on();
			said();
		}
		writer.bytes[at] = before;
	}
	restore();
	assert_int_equal(reader.err, 0);
}

static void that_of_another_device_is_refused(void **state)
{
	activate();
	save();
	state_reader_create(&reader, writer.bytes, writer.size);
	virtio_restore(rng, &reader, INDEX + 1);
	assert_int_equal(reader.err, -EINVAL);
	assert_said("has no virtio (0x6)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
		TEST(a_device_goes_on_where_its_ring_was),
		TEST(what_is_offered_while_it_rests_is_taken_up_by_the_next_one),
		TEST(one_that_goes_on_by_itself_has_lost_nothing),
		TEST(an_interrupt_that_is_owed_comes),
		TEST(a_queue_that_its_driver_lays_out_stays_so),
		TEST(a_broken_queue_stays_broken),
		TEST(no_byte_of_it_does_harm),
		TEST(that_of_another_device_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
