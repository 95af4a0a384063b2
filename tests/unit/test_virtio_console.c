// SPDX-License-Identifier: GPL-2.0-only
#include <linux/virtio_config.h>
#include <string.h>
#include <time.h>

#include "unit.h"

#include "driver.h"
#include "util.h"
#include "virtio/virtio_console.h"

#define BASE GIB(1)
#define DATA (BASE + MIB(1))
#define SIZE 64

enum { RECEIVE, TRANSMIT, QUEUES };

static struct memory memory;
static struct event_loop loop;
static struct virtio *device;
static struct driver driver[QUEUES];

/* The host's side. */

static struct console console;
static char sent[1024]; /* by the guest */
static size_t sent_count, room;
static const char *pending; /* for the guest */
static bool has_size;
static uint16_t columns, rows;
static unsigned int reads;

static size_t console_offer(struct console *which, const uint8_t *bytes, size_t count)
{
	size_t taken = count < room ? count : room;

	assert_ptr_equal(which, &console);
	assert_true(taken < sizeof(sent) - sent_count);
	memcpy(sent + sent_count, bytes, taken);
	sent_count += taken;
	sent[sent_count] = '\0';
	room -= taken;
	return taken;
}

static size_t console_read(struct console *which, uint8_t *bytes, size_t count)
{
	size_t have = strnlen(pending, count);

	assert_ptr_equal(which, &console);
	reads++;
	memcpy(bytes, pending, have);
	pending += have;
	return have;
}

static bool console_size(struct console *which, uint16_t *width, uint16_t *height)
{
	*width = columns;
	*height = rows;
	return has_size;
}

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

static void turn(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

/* Till the transmit queue's interrupt is due as well. */
static void settle(void)
{
	const struct timespec moment = { .tv_nsec = 3000000 };

	turn();
	nanosleep(&moment, NULL);
	turn();
}

/* Which queue has parts on top of each other, if any: see driver_create_overlapping(). */
static unsigned int overlapping = QUEUES;
static const struct vring_desc overlapping_chain[QUEUES] = { { DATA, 1, WRITE, 0 },
							     { DATA, 1, 0, 0 } };

static void activate(void)
{
	virtio_set_status(device, 0);
	virtio_set_status(device, 3);
	virtio_set_features(device, 0, device->offered & 1);
	virtio_set_features(device, 1, 1);
	virtio_set_status(device, 11);
	for (unsigned int i = 0; i < QUEUES; i++) {
		driver[i] = i == overlapping ? driver_create_overlapping(&memory, BASE + i * 0x4000,
									 SIZE, overlapping_chain[i])
					     : driver_create(&memory, BASE + i * 0x4000, SIZE);
		device->queues[i].layout = driver[i].layout;
		virtio_queue_set_ready(&device->queues[i], true);
	}
	virtio_set_status(device, 15);
	turn();
}

static int begin(void **state)
{
	console = (struct console){
		.offer = console_offer,
		.read = console_read,
		.size = console_size,
	};
	memset(queue_interrupts, 0, sizeof(queue_interrupts));
	config_interrupts = reads = 0;
	sent_count = 0;
	sent[0] = '\0';
	room = SIZE_MAX;
	pending = "";
	has_size = true;
	columns = 80;
	rows = 25;
	if (memory_create(&memory, BASE, MIB(4), MEMORY_ANON, NULL) < 0 ||
	    event_loop_create(&loop) < 0)
		return -1;
	assert_int_equal(virtio_console_create(&device, &memory, &loop, &console), 0);
	if (!device)
		return -1;
	device->transport = &transport;
	activate();
	return catch_begin(state);
}

static int end(void **state)
{
	device->ops->destroy(device);
	assert_null(console.input);
	assert_null(console.room);
	assert_null(console.resized);
	event_loop_destroy(&loop);
	memory_destroy(&memory);
	return catch_end(state);
}

static void kick(unsigned int queue)
{
	event_notify(&device->queues[queue].kick);
	turn();
}

static void *put_text(uint64_t gpa, const char *text)
{
	return memcpy(memory_at(&memory, gpa, strlen(text)), text, strlen(text));
}

/* A chain of one segment with this text, made available. */
static void offer_text(uint16_t head, const char *text)
{
	const uint64_t gpa = DATA + head * KIB(4);

	put_text(gpa, text);
	driver_desc(&driver[TRANSMIT], head, gpa, strlen(text), 0, 0);
	driver_offer(&driver[TRANSMIT], head);
}

static void offer_buffer(uint16_t head, uint32_t size)
{
	driver_desc(&driver[RECEIVE], head, DATA + MIB(1) + head * KIB(4), size, WRITE, 0);
	driver_offer(&driver[RECEIVE], head);
}

static void assert_received(uint16_t head, const char *text)
{
	assert_taken(&driver[RECEIVE], head, strlen(text));
	assert_memory_equal(memory_at(&memory, DATA + MIB(1) + head * KIB(4), 1), text,
			    strlen(text));
}

static void assert_needs_reset(void)
{
	assert_true(device->status & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* After whatever a driver has done: a reset, and all works. */
static void assert_works_after_reset(void)
{
	room = SIZE_MAX;
	pending = "";
	activate();
	assert_int_equal(device->status, 15);
	sent_count = 0;
	offer_text(0, "still here");
	kick(TRANSMIT);
	assert_string_equal(sent, "still here");
	assert_taken(&driver[TRANSMIT], 0, 0);
	offer_buffer(0, 100);
	pending = "so am I";
	console.input(console.device);
	turn();
	assert_received(0, "so am I");
}

static void is_a_console(void **state)
{
	assert_int_equal(device->ops->device_id, 3);
	assert_int_equal(device->queue_count, 2);
	assert_true(device->offered & 1);
}

/* Transmission. */

static void text_is_transmitted(void **state)
{
	offer_text(5, "Hello, ");
	offer_text(6, "world\n");
	kick(TRANSMIT);
	assert_string_equal(sent, "Hello, world\n");
	assert_taken(&driver[TRANSMIT], 5, 0);
	assert_taken(&driver[TRANSMIT], 6, 0);
	assert_none_taken(&driver[TRANSMIT]);
}

static void all_segments_are_transmitted(void **state)
{
	put_text(DATA, "one, two, three");
	driver_desc(&driver[TRANSMIT], 0, DATA, 5, NEXT, 1);
	driver_desc(&driver[TRANSMIT], 1, DATA + 5, 0, NEXT, 2);
	driver_desc(&driver[TRANSMIT], 2, DATA + 5, 5, NEXT, 3);
	driver_desc(&driver[TRANSMIT], 3, DATA + 10, 5, 0, 0);
	driver_offer(&driver[TRANSMIT], 0);
	kick(TRANSMIT);
	assert_string_equal(sent, "one, two, three");
	assert_taken(&driver[TRANSMIT], 0, 0);
}

static void give_room(size_t count)
{
	room = count;
	console.room(console.device);
	turn();
}

/* At each byte of a chain of three segments, empty ones among them. */
static void partial_room_then_the_rest(void **state)
{
	for (size_t first = 0; first <= 15; first++) {
		for (size_t second = 0; second <= 15 - first; second++) {
			activate();
			sent_count = 0;
			room = first;
			put_text(DATA, "abcdefghijklmno");
			driver_desc(&driver[TRANSMIT], 0, DATA, 4, NEXT, 1);
			driver_desc(&driver[TRANSMIT], 1, DATA + 4, 0, NEXT, 2);
			driver_desc(&driver[TRANSMIT], 2, DATA + 4, 1, NEXT, 3);
			driver_desc(&driver[TRANSMIT], 3, DATA + 5, 10, 0, 0);
			driver_offer(&driver[TRANSMIT], 0);
			offer_text(9, "!");
			kick(TRANSMIT);
			assert_int_equal(sent_count, first);
			if (first < 15)
				assert_none_taken(&driver[TRANSMIT]);
			/* A kick without room changes nothing. */
			kick(TRANSMIT);
			assert_int_equal(sent_count, first);
			give_room(second);
			assert_int_equal(sent_count, first + second);
			give_room(100);
			assert_string_equal(sent, "abcdefghijklmno!");
			assert_taken(&driver[TRANSMIT], 0, 0);
			assert_taken(&driver[TRANSMIT], 9, 0);
			assert_none_taken(&driver[TRANSMIT]);
		}
	}
}

static void transmit_interrupt_comes_a_little_later(void **state)
{
	offer_text(0, "x");
	kick(TRANSMIT);
	assert_taken(&driver[TRANSMIT], 0, 0);
	assert_int_equal(queue_interrupts[TRANSMIT], 0);
	settle();
	assert_int_equal(queue_interrupts[TRANSMIT], 1);
	settle();
	assert_int_equal(queue_interrupts[TRANSMIT], 1);
}

static void reset_forgets_a_chain_half_sent(void **state)
{
	room = 3;
	offer_text(0, "abcdef");
	kick(TRANSMIT);
	assert_string_equal(sent, "abc");
	activate();
	sent_count = 0;
	settle();
	room = SIZE_MAX;
	offer_text(0, "ghijkl");
	kick(TRANSMIT);
	assert_string_equal(sent, "ghijkl");
	assert_taken(&driver[TRANSMIT], 0, 0);
	assert_int_equal(queue_interrupts[TRANSMIT], 0);
}

/* Header read twice: the chain that comes back is shorter than what was sent of it. */
static void chain_that_shrinks_half_sent_is_done(void **state)
{
	room = 10;
	offer_text(0, "abcdefghijklmno");
	kick(TRANSMIT);
	driver_desc(&driver[TRANSMIT], 0, DATA, 5, 0, 0);
	give_room(100);
	assert_string_equal(sent, "abcdefghij");
	assert_taken(&driver[TRANSMIT], 0, 0);
	offer_text(1, "next");
	kick(TRANSMIT);
	assert_string_equal(sent, "abcdefghijnext");
}

static void what_is_to_be_written_is_not_transmitted(void **state)
{
	put_text(DATA, "secret");
	driver_desc(&driver[TRANSMIT], 0, DATA, 6, WRITE, 0);
	driver_offer(&driver[TRANSMIT], 0);
	kick(TRANSMIT);
	assert_string_equal(sent, "");
	assert_taken(&driver[TRANSMIT], 0, 0);
}

/* Reception. */

static void input_reaches_a_buffer(void **state)
{
	offer_buffer(3, 100);
	kick(RECEIVE);
	assert_none_taken(&driver[RECEIVE]);
	assert_int_equal(queue_interrupts[RECEIVE], 0);
	pending = "typed";
	console.input(console.device);
	turn();
	assert_received(3, "typed");
	assert_int_equal(queue_interrupts[RECEIVE], 1);
}

static void input_without_buffers_waits(void **state)
{
	pending = "typed too early";
	console.input(console.device);
	turn();
	assert_string_equal(pending, "typed too early");
	assert_int_equal(queue_interrupts[RECEIVE], 0);
	/* A kick is asked for. */
	assert_int_equal(driver_used(&driver[RECEIVE])->flags, 0);
	offer_buffer(0, 100);
	kick(RECEIVE);
	assert_received(0, "typed too early");
}

static void input_fills_buffers_in_turn(void **state)
{
	for (uint16_t head = 0; head < 5; head++)
		offer_buffer(head, 4);
	pending = "one, two, three, f";
	console.input(console.device);
	turn();
	assert_received(0, "one,");
	assert_received(1, " two");
	assert_received(2, ", th");
	assert_received(3, "ree,");
	assert_received(4, " f");
	assert_none_taken(&driver[RECEIVE]);
	assert_int_equal(queue_interrupts[RECEIVE], 1);
}

static void input_fills_segments_in_turn(void **state)
{
	driver_desc(&driver[RECEIVE], 0, DATA, 3, WRITE | NEXT, 1);
	driver_desc(&driver[RECEIVE], 1, DATA + 50, 0, WRITE | NEXT, 2);
	driver_desc(&driver[RECEIVE], 2, DATA + 100, 50, WRITE, 0);
	driver_offer(&driver[RECEIVE], 0);
	pending = "abcdefg";
	console.input(console.device);
	turn();
	assert_taken(&driver[RECEIVE], 0, 7);
	assert_memory_equal(memory_at(&memory, DATA, 4), "abc\0", 4);
	assert_memory_equal(memory_at(&memory, DATA + 100, 5), "defg\0", 5);
}

static void no_input_keeps_the_buffers(void **state)
{
	offer_buffer(0, 10);
	for (unsigned int i = 0; i < 10; i++)
		kick(RECEIVE);
	assert_none_taken(&driver[RECEIVE]);
	pending = "a";
	console.input(console.device);
	turn();
	assert_received(0, "a");
}

static void buffer_without_room_holds_input_up(void **state)
{
	driver_desc(&driver[RECEIVE], 0, DATA, 0, WRITE, 0);
	driver_offer(&driver[RECEIVE], 0);
	driver_desc(&driver[RECEIVE], 1, DATA, 100, 0, 0);
	driver_offer(&driver[RECEIVE], 1);
	pending = "lost on such a driver";
	reads = 0;
	console.input(console.device);
	turn();
	assert_none_taken(&driver[RECEIVE]);
	assert_true(reads <= 2);
	assert_string_equal(pending, "lost on such a driver");
	assert_works_after_reset();
}

/* The terminal's size. */

static uint32_t config_word(uint64_t offset)
{
	uint64_t value;

	virtio_config_read(device, offset, &value, 4);
	return value;
}

static void size_is_in_the_configuration(void **state)
{
	assert_int_equal(config_word(0), 80 | 25 << 16);
	assert_int_equal(config_word(4), 0);
	assert_int_equal(config_word(8), 0);
}

static void resize_is_told(void **state)
{
	const unsigned int generation = device->config_generation;

	columns = 132;
	rows = 50;
	console.resized(console.device);
	assert_int_equal(config_interrupts, 1);
	assert_int_not_equal(device->config_generation, generation);
	assert_int_equal(config_word(0), 132 | 50 << 16);
	has_size = false;
	assert_int_equal(config_word(0), 0);
}

static void without_a_terminal_there_is_no_size(void **state)
{
	struct virtio *other;

	has_size = false;
	device->ops->destroy(device);
	assert_int_equal(virtio_console_create(&other, &memory, &loop, &console), 0);
	assert_non_null(other);
	assert_false(other->offered & 1);
	other->transport = &transport;
	device = other;
}

/* Hostile drivers. */

static void hostile_chains_need_a_reset(void **state)
{
	static const struct vring_desc bad[] = {
		{ 0, 16, 0, 0 },
		{ 0x09000000, 16, 0, 0 }, /* the PL011 */
		{ 0x0a000000, 16, 0, 0 }, /* the device itself */
		{ BASE - 1, 2, 0, 0 },
		{ BASE + MIB(4) - 1, 2, 0, 0 },
		{ UINT64_MAX, UINT32_MAX, 0, 0 },
		{ DATA, UINT32_MAX, 0, 0 },
		{ DATA, 16, NEXT, 0 },
		{ DATA, 16, NEXT, SIZE },
		{ DATA, 16, NEXT, UINT16_MAX },
		{ DATA, 0, INDIRECT, 0 },
		{ DATA, 15, INDIRECT, 0 },
		{ DATA, 16, INDIRECT | NEXT, 1 },
		{ UINT64_MAX - 15, 16, INDIRECT, 0 },
	};

	for (unsigned int queue = 0; queue < QUEUES; queue++) {
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			activate();
			driver_desc(&driver[queue], 0, bad[i].addr, bad[i].len,
				    bad[i].flags | (queue == RECEIVE ? WRITE : 0), bad[i].next);
			driver_offer(&driver[queue], 0);
			pending = "input";
			kick(queue);
			assert_needs_reset();
			assert_none_taken(&driver[queue]);
			assert_works_after_reset();
		}
	}
}

static void hostile_heads_need_a_reset(void **state)
{
	static const uint16_t heads[] = { SIZE, SIZE + 1, 256, UINT16_MAX };

	for (unsigned int queue = 0; queue < QUEUES; queue++) {
		for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
			activate();
			driver_offer(&driver[queue], heads[i]);
			kick(queue);
			assert_needs_reset();
			assert_works_after_reset();
			activate();
			driver_avail(&driver[queue])->idx = SIZE + 1 + i;
			kick(queue);
			assert_needs_reset();
			assert_works_after_reset();
		}
	}
}

/* Unbounded work per kick: a driver on another vCPU that gives each chain back at once. */

static struct event_notifier other;
static unsigned int others, chains, since, most_between;

static void other_notified(struct event_notifier *notifier)
{
	others++;
	since = 0;
	event_notify(notifier);
}

static void came_by(unsigned int queue)
{
	chains++;
	if (++since > most_between)
		most_between = since;
	driver_avail(&driver[queue])->idx++;
}

static size_t endless_offer(struct console *which, const uint8_t *bytes, size_t count)
{
	came_by(TRANSMIT);
	return count;
}

static size_t endless_read(struct console *which, uint8_t *bytes, size_t count)
{
	came_by(RECEIVE);
	return count;
}

/* All entries of the ring name different chains, so that going on needs but another index. */
static void endless_ring(unsigned int queue)
{
	for (uint16_t head = 0; head < SIZE; head++) {
		driver_desc(&driver[queue], head, DATA, 1, queue == RECEIVE ? WRITE : 0, 0);
		driver_avail(&driver[queue])->ring[head] = head;
	}
	driver_avail(&driver[queue])->idx = 1;
}

static void endless_queues_leave_others_their_turn(void **state)
{
	console.offer = endless_offer;
	console.read = endless_read;
	for (unsigned int queue = 0; queue < QUEUES; queue++) {
		activate();
		others = chains = since = most_between = 0;
		assert_int_equal(event_notifier_create(&other, &loop, other_notified), 0);
		event_notify(&other);
		endless_ring(queue);
		event_notify(&device->queues[queue].kick);
		for (unsigned int i = 0; i < 1000; i++)
			assert_int_equal(event_loop_turn(&loop, false), 1);
		assert_true(others >= 300);
		assert_true(chains >= 300 * SIZE);
		assert_in_range(most_between, SIZE, 2 * SIZE);
		event_notifier_destroy(&other);
	}
	assert_int_equal(device->status, 15);
}

static void rings_that_feed_themselves_end(void **state)
{
	for (unsigned int queue = 0; queue < QUEUES; queue++) {
		pending = "some input";
		alarm(120);
		overlapping = queue;
		activate();
		overlapping = QUEUES;
		turn();
		alarm(0);
		assert_needs_reset();
		assert_works_after_reset();
	}
}

static void rings_that_another_vcpu_toggles_leave_others_their_turn(void **state)
{
	struct driver_toggler toggler;

	console.offer = endless_offer;
	console.read = endless_read;
	for (unsigned int queue = 0; queue < QUEUES; queue++) {
		activate();
		driver_table(&driver[queue])[0] = overlapping_chain[queue];
		driver_toggle_begin(&toggler, &driver[queue]);
		for (unsigned int i = 0; i < 2000; i++) {
			event_notify(&device->queues[queue].kick);
			event_loop_turn(&loop, false);
		}
		driver_toggle_end(&toggler);
	}
}

#define on_console(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_console(is_a_console),
		on_console(text_is_transmitted),
		on_console(all_segments_are_transmitted),
		on_console(partial_room_then_the_rest),
		on_console(transmit_interrupt_comes_a_little_later),
		on_console(reset_forgets_a_chain_half_sent),
		on_console(chain_that_shrinks_half_sent_is_done),
		on_console(what_is_to_be_written_is_not_transmitted),
		on_console(input_reaches_a_buffer),
		on_console(input_without_buffers_waits),
		on_console(input_fills_buffers_in_turn),
		on_console(input_fills_segments_in_turn),
		on_console(no_input_keeps_the_buffers),
		on_console(buffer_without_room_holds_input_up),
		on_console(size_is_in_the_configuration),
		on_console(resize_is_told),
		on_console(without_a_terminal_there_is_no_size),
		on_console(hostile_chains_need_a_reset),
		on_console(hostile_heads_need_a_reset),
		on_console(endless_queues_leave_others_their_turn),
		on_console(rings_that_feed_themselves_end),
		on_console(rings_that_another_vcpu_toggles_leave_others_their_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
