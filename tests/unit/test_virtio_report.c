// SPDX-License-Identifier: GPL-2.0-only
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <string.h>
#include <time.h>

#include "unit.h"

#include "driver.h"
#include "util.h"
#include "virtio/virtio_report.h"

#define BASE GIB(1)
#define DATA (BASE + MIB(1))
#define SIZE 64
#define NAME "org.nidus.report"

enum { RECEIVE, TRANSMIT, ANSWERS, CONTROL, QUEUES };

/* Feature bits of the first word. */
#define WITH_MULTIPORT (1u << VIRTIO_CONSOLE_F_MULTIPORT)
#define WITH_EVENT_IDX (1u << VIRTIO_RING_F_EVENT_IDX)

static struct memory memory;
static struct event_loop loop;
static struct virtio *device;
static struct driver driver[QUEUES];

/* The host's side. */

static char written[4096], kept[4096]; /* by the sink */
static size_t written_count, kept_count, room;
static unsigned int offers;

static size_t append(char *to, size_t *used, const struct iovec *segments, unsigned int count,
		     size_t max)
{
	size_t done = 0;

	for (unsigned int i = 0; i < count && done < max; i++) {
		size_t length = segments[i].iov_len;

		if (length > max - done)
			length = max - done;
		assert_true(*used + length < 4096);
		memcpy(to + *used, segments[i].iov_base, length);
		*used += length;
		done += length;
	}
	to[*used] = '\0';
	return done;
}

static size_t sink_offer(struct sink *which, const struct iovec *segments, unsigned int count)
{
	size_t done = append(written, &written_count, segments, count, room);

	offers++;
	room -= done;
	return done;
}

static void sink_keep(struct sink *which, const struct iovec *segments, unsigned int count)
{
	append(kept, &kept_count, segments, count, SIZE_MAX);
}

static struct sink sink;

/* The transport. */

static unsigned int queue_interrupts[QUEUES];

static void queue_interrupt(struct virtio_transport *which, unsigned int queue)
{
	queue_interrupts[queue]++;
}

static void config_interrupt(struct virtio_transport *which)
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

/* Which queue has parts on top of each other, if any: see driver_create_overlapping(). */
static unsigned int overlapping = QUEUES;
static const struct vring_desc overlapping_chain[QUEUES] = {
	{ DATA, 8, WRITE, 0 }, { DATA, 8, 0, 0 }, { DATA, 8, WRITE, 0 }, { DATA, 8, 0, 0 }
};

static void activate_with(uint32_t features)
{
	virtio_set_status(device, 0);
	virtio_set_status(device, 3);
	virtio_set_features(device, 0, features);
	virtio_set_features(device, 1, 1);
	virtio_set_status(device, 11);
	for (unsigned int i = 0; i < QUEUES; i++) {
		const uint64_t gpa = BASE + i * 0x4000;
		const uint16_t size = device->queues[i].size_max;

		driver[i] = i == overlapping ? driver_create_overlapping(&memory, gpa, size,
									 overlapping_chain[i])
					     : driver_create(&memory, gpa, size);
		device->queues[i].layout = driver[i].layout;
		virtio_queue_set_ready(&device->queues[i], true);
	}
	virtio_set_status(device, 15);
	turn();
}

static void activate(void)
{
	activate_with(WITH_MULTIPORT);
}

static int begin(void **state)
{
	sink = (struct sink){ .offer = sink_offer, .keep = sink_keep };
	memset(queue_interrupts, 0, sizeof(queue_interrupts));
	offers = 0;
	written_count = kept_count = 0;
	written[0] = kept[0] = '\0';
	room = SIZE_MAX;
	if (memory_create(&memory, BASE, MIB(4), MEMORY_ANON, NULL) < 0 ||
	    event_loop_create(&loop) < 0)
		return -1;
	assert_int_equal(virtio_report_create(&device, &memory, &loop, &sink), 0);
	if (!device)
		return -1;
	device->transport = &transport;
	activate();
	return catch_begin(state);
}

static int end(void **state)
{
	if (device)
		device->ops->destroy(device);
	assert_null(sink.room);
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

static void offer_text(unsigned int queue, uint16_t head, const char *text)
{
	const uint64_t gpa = DATA + queue * KIB(256) + head * KIB(4);

	put_text(gpa, text);
	driver_desc(&driver[queue], head, gpa, strlen(text), 0, 0);
	driver_offer(&driver[queue], head);
}

/* Control messages. Answers go to buffers whose heads go round. */

static uint16_t answer_head, answers_offered;

static uint64_t answer_gpa(uint16_t head)
{
	return DATA + MIB(2) + head * KIB(4);
}

static void offer_answers(unsigned int count, uint32_t size)
{
	for (unsigned int i = 0; i < count; i++) {
		const uint16_t head = answers_offered++ % driver[ANSWERS].layout.size;

		memset(memory_at(&memory, answer_gpa(head), 64), 0x55, 64);
		driver_desc(&driver[ANSWERS], head, answer_gpa(head), size, WRITE, 0);
		driver_offer(&driver[ANSWERS], head);
	}
	kick(ANSWERS);
}

static void begin_talk(void)
{
	activate();
	answer_head = answers_offered = 0;
}

static void tell_bytes(const void *bytes, size_t length)
{
	uint32_t head, taken;

	memcpy(memory_at(&memory, DATA, 64), bytes, length);
	driver_desc(&driver[CONTROL], 3, DATA, length, 0, 0);
	driver_offer(&driver[CONTROL], 3);
	kick(CONTROL);
	assert_true(driver_take(&driver[CONTROL], &head, &taken));
	assert_int_equal(head, 3);
	assert_int_equal(taken, 0);
}

static void tell(uint32_t id, uint16_t event, uint16_t value)
{
	const struct virtio_console_control message = { id, event, value };

	tell_bytes(&message, sizeof(message));
}

static void assert_told(uint32_t id, uint16_t event, const void *rest, size_t length)
{
	const struct virtio_console_control message = { id, event, 1 };
	const uint16_t head = answer_head++ % driver[ANSWERS].layout.size;
	const uint8_t *bytes = memory_at(&memory, answer_gpa(head), 64);

	assert_taken(&driver[ANSWERS], head, sizeof(message) + length);
	assert_memory_equal(bytes, &message, sizeof(message));
	if (length > 0)
		assert_memory_equal(bytes + sizeof(message), rest, length);
	assert_int_equal(bytes[sizeof(message) + length], 0x55);
}

static void assert_told_all_of_the_port(void)
{
	assert_told(0, VIRTIO_CONSOLE_PORT_NAME, NAME, strlen(NAME));
	assert_told(0, VIRTIO_CONSOLE_PORT_OPEN, NULL, 0);
}

static void assert_works_after_reset(void)
{
	room = SIZE_MAX;
	begin_talk();
	assert_int_equal(device->status, 15);
	offer_answers(8, 64);
	tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_told_all_of_the_port();
	written_count = 0;
	offer_text(TRANSMIT, 0, "still here");
	kick(TRANSMIT);
	assert_string_equal(written, "still here");
	assert_taken(&driver[TRANSMIT], 0, 0);
}

static void has_the_queues_of_one_port_and_no_console(void **state)
{
	uint64_t value;

	assert_int_equal(device->ops->device_id, 3);
	assert_int_equal(device->queue_count, QUEUES);
	assert_int_equal(device->offered & 7, WITH_MULTIPORT);
	virtio_config_read(device, 0, &value, 4);
	assert_int_equal(value, 0);
	virtio_config_read(device, 4, &value, 4);
	assert_int_equal(value, 1);
}

static void the_port_is_told_of(void **state)
{
	begin_talk();
	offer_answers(8, 64);
	assert_none_taken(&driver[ANSWERS]);
	tell(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	assert_told(0, VIRTIO_CONSOLE_PORT_ADD, NULL, 0);
	assert_int_equal(queue_interrupts[ANSWERS], 1);
	tell(1, VIRTIO_CONSOLE_PORT_READY, 1);
	tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_told_all_of_the_port();
	tell(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	tell(0, VIRTIO_CONSOLE_PORT_OPEN, 0);
	assert_none_taken(&driver[ANSWERS]);
}

/* Linux after hibernation. */
static void the_port_may_be_ready_before_the_device(void **state)
{
	begin_talk();
	offer_answers(1, 64);
	tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_told(0, VIRTIO_CONSOLE_PORT_NAME, NAME, strlen(NAME));
	tell(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	offer_answers(7, 64);
	assert_told(0, VIRTIO_CONSOLE_PORT_ADD, NULL, 0);
	assert_told(0, VIRTIO_CONSOLE_PORT_OPEN, NULL, 0);
	assert_none_taken(&driver[ANSWERS]);
}

static void what_is_asked_for_again_is_said_again_and_no_more_often(void **state)
{
	for (unsigned int round = 0; round < 3; round++) {
		begin_talk();
		for (unsigned int i = 0; i < 1000; i++) {
			tell(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
			tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
		}
		offer_answers(8, 64);
		assert_told(0, VIRTIO_CONSOLE_PORT_ADD, NULL, 0);
		assert_told_all_of_the_port();
		tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
		assert_told_all_of_the_port();
		assert_none_taken(&driver[ANSWERS]);
	}
}

static void a_driver_that_failed_is_told_nothing(void **state)
{
	begin_talk();
	tell(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 0);
	tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
	tell(0, VIRTIO_CONSOLE_PORT_READY, 0);
	offer_answers(8, 64);
	assert_none_taken(&driver[ANSWERS]);
}

static void what_means_nothing_is_ignored(void **state)
{
	static const uint32_t ids[] = { 0, 1, 2, 3, 31, 32, 63, 64, 0x7fffffff, UINT32_MAX };
	static const uint16_t events[] = { 1, 2, 4, 5, 6, 7, 8, 31, 32, 35, 0x7fff, 0xffff };
	static const uint16_t values[] = { 0, 1, 2, 0xffff };

	begin_talk();
	offer_answers(8, 64);
	for (size_t id = 0; id < ARRAY_SIZE(ids); id++) {
		for (size_t event = 0; event < ARRAY_SIZE(events); event++)
			for (size_t value = 0; value < ARRAY_SIZE(values); value++)
				tell(ids[id], events[event], values[value]);
		if (ids[id] != 0)
			tell(ids[id], VIRTIO_CONSOLE_PORT_READY, 1);
		tell(ids[id], VIRTIO_CONSOLE_PORT_READY, 2);
		tell(ids[id], VIRTIO_CONSOLE_DEVICE_READY, 2);
	}
	assert_none_taken(&driver[ANSWERS]);
	assert_int_equal(device->status, 15);
}

static void answers_come_one_buffer_at_a_time(void **state)
{
	begin_talk();
	tell(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_none_taken(&driver[ANSWERS]);
	/* A kick is asked for. */
	assert_int_equal(driver_used(&driver[ANSWERS])->flags, 0);
	offer_answers(1, 64);
	assert_told(0, VIRTIO_CONSOLE_PORT_ADD, NULL, 0);
	offer_answers(1, 64);
	assert_told(0, VIRTIO_CONSOLE_PORT_NAME, NAME, strlen(NAME));
	offer_answers(3, 64);
	assert_told(0, VIRTIO_CONSOLE_PORT_OPEN, NULL, 0);
	assert_none_taken(&driver[ANSWERS]);
}

static void answers_in_segments(void **state)
{
	struct driver *answers = &driver[ANSWERS];
	const uint8_t *bytes = memory_at(&memory, DATA + MIB(2), 128);

	begin_talk();
	driver_desc(answers, 0, DATA + MIB(2), 3, WRITE | NEXT, 1);
	driver_desc(answers, 1, DATA + MIB(2) + 32, 0, WRITE | NEXT, 2);
	driver_desc(answers, 2, DATA + MIB(2) + 64, 64, WRITE, 0);
	driver_offer(answers, 0);
	tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_taken(answers, 0, 8 + strlen(NAME));
	assert_memory_equal(bytes, "\0\0\0", 3);
	assert_memory_equal(bytes + 64, "\0\7\0\1\0" NAME, 5 + strlen(NAME));
}

/* No message is lost in a buffer that is too small for it, and such buffers hold nothing up. */
static void tiny_buffers_go_back_empty(void **state)
{
	for (uint32_t size = 0; size < 8 + strlen(NAME); size++) {
		begin_talk();
		tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
		offer_answers(3, size);
		for (uint16_t head = 0; head < 3; head++)
			assert_taken(&driver[ANSWERS], head, 0);
		assert_int_equal(*(uint8_t *)memory_at(&memory, answer_gpa(0), 1), 0x55);
		answer_head = 3;
		offer_answers(2, 8 + strlen(NAME));
		assert_told_all_of_the_port();
	}
	/* One for the device to read from is no buffer either. */
	begin_talk();
	tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
	driver_desc(&driver[ANSWERS], 0, DATA, 64, 0, 0);
	driver_offer(&driver[ANSWERS], 0);
	kick(ANSWERS);
	assert_taken(&driver[ANSWERS], 0, 0);
	assert_works_after_reset();
}

static void messages_of_wrong_sizes(void **state)
{
	struct virtio_console_control message[2] = { { 0, VIRTIO_CONSOLE_PORT_READY, 1 } };

	begin_talk();
	offer_answers(8, 64);
	for (size_t length = 0; length < sizeof(message[0]); length++)
		tell_bytes(message, length);
	assert_none_taken(&driver[ANSWERS]);
	/* What follows a whole one means nothing. */
	tell_bytes(message, sizeof(message));
	assert_told_all_of_the_port();
	/* In segments of a byte or two. */
	memcpy(memory_at(&memory, DATA, 8), message, 8);
	driver_desc(&driver[CONTROL], 0, DATA, 1, NEXT, 1);
	driver_desc(&driver[CONTROL], 1, DATA + 1, 2, NEXT, 2);
	driver_desc(&driver[CONTROL], 2, DATA + 3, 5, 0, 0);
	driver_offer(&driver[CONTROL], 0);
	kick(CONTROL);
	assert_taken(&driver[CONTROL], 0, 0);
	assert_told_all_of_the_port();
	/* And one that the device is to write. */
	driver_desc(&driver[CONTROL], 0, DATA, 8, WRITE, 0);
	driver_offer(&driver[CONTROL], 0);
	kick(CONTROL);
	assert_taken(&driver[CONTROL], 0, 0);
	assert_none_taken(&driver[ANSWERS]);
}

static void hostile_messages(void **state)
{
	uint64_t seed = 1;

	begin_talk();
	for (unsigned int i = 0; i < 20000; i++) {
		const uint64_t number = chance(&seed);

		tell(number % 8 < 6 ? number % 8 - 1 : number >> 32, number >> 8 & 15,
		     number >> 16 & 1);
	}
	assert_none_taken(&driver[ANSWERS]);
	assert_int_equal(device->status, 15);
	/* Whatever was said, three answers are the most that there can be. */
	offer_answers(8, 64);
	assert_in_range(driver_used(&driver[ANSWERS])->idx, 0, 3);
	assert_works_after_reset();
}

static void a_reset_in_the_middle_of_the_talk(void **state)
{
	begin_talk();
	tell(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
	offer_answers(1, 64);
	assert_told(0, VIRTIO_CONSOLE_PORT_ADD, NULL, 0);
	begin_talk();
	offer_answers(8, 64);
	assert_none_taken(&driver[ANSWERS]);
	assert_works_after_reset();
}

static void answers_without_a_queue_for_them_wait(void **state)
{
	begin_talk();
	virtio_queue_set_ready(&device->queues[ANSWERS], false);
	tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_int_equal(device->status, 15);
	driver[ANSWERS] = driver_create(&memory, BASE + ANSWERS * 0x4000, 8);
	virtio_queue_set_ready(&device->queues[ANSWERS], true);
	offer_answers(8, 64);
	assert_told_all_of_the_port();
}

/* A chain is offered as a whole, so that it is one write(2). */
static void segments_are_offered_together(void **state)
{
	put_text(DATA, "one, two, three");
	driver_desc(&driver[TRANSMIT], 0, DATA, 5, NEXT, 1);
	driver_desc(&driver[TRANSMIT], 1, DATA + 5, 0, NEXT, 2);
	driver_desc(&driver[TRANSMIT], 2, DATA + 5, 10, 0, 0);
	driver_offer(&driver[TRANSMIT], 0);
	kick(TRANSMIT);
	assert_string_equal(written, "one, two, three");
	assert_int_equal(offers, 1);
	assert_taken(&driver[TRANSMIT], 0, 0);
	/* Nothing at all is gone at once. */
	driver_desc(&driver[TRANSMIT], 0, DATA, 0, 0, 0);
	driver_offer(&driver[TRANSMIT], 0);
	kick(TRANSMIT);
	assert_int_equal(offers, 1);
	assert_taken(&driver[TRANSMIT], 0, 0);
}

static void give_room(size_t count)
{
	room = count;
	sink.room(sink.device);
	turn();
}

static void buffers_wait_for_room(void **state)
{
	for (size_t first = 0; first <= 9; first++) {
		activate();
		written_count = 0;
		room = first;
		put_text(DATA, "abcdefghi");
		driver_desc(&driver[TRANSMIT], 0, DATA, 4, NEXT, 1);
		driver_desc(&driver[TRANSMIT], 1, DATA + 4, 5, 0, 0);
		driver_offer(&driver[TRANSMIT], 0);
		offer_text(TRANSMIT, 9, "!");
		kick(TRANSMIT);
		assert_int_equal(written_count, first);
		if (first < 9)
			assert_none_taken(&driver[TRANSMIT]);
		give_room(0);
		assert_int_equal(written_count, first);
		give_room(100);
		assert_string_equal(written, "abcdefghi!");
		assert_taken(&driver[TRANSMIT], 0, 0);
		assert_taken(&driver[TRANSMIT], 9, 0);
		assert_none_taken(&driver[TRANSMIT]);
	}
}

static void what_a_reset_takes_away_is_kept(void **state)
{
	room = 3;
	offer_text(TRANSMIT, 0, "abcdef");
	offer_text(TRANSMIT, 1, "ghi");
	kick(TRANSMIT);
	/* This one nobody has looked at yet. */
	offer_text(TRANSMIT, 2, "jkl");
	assert_string_equal(written, "abc");
	virtio_set_status(device, 0);
	assert_string_equal(kept, "defghijkl");
	/* And no more than once. */
	assert_works_after_reset();
	assert_string_equal(kept, "defghijkl");
}

static void what_is_there_at_the_end_is_kept(void **state)
{
	room = 3;
	offer_text(TRANSMIT, 0, "abcdef");
	kick(TRANSMIT);
	offer_text(TRANSMIT, 1, "ghi");
	device->ops->destroy(device);
	device = NULL;
	assert_string_equal(written, "abc");
	assert_string_equal(kept, "defghi");
}

static void of_a_broken_queue_nothing_is_kept(void **state)
{
	room = 0;
	offer_text(TRANSMIT, 0, "abc");
	driver_offer(&driver[TRANSMIT], SIZE);
	kick(TRANSMIT);
	virtio_set_status(device, 0);
	assert_string_equal(kept, "abc");
	activate();
	driver_avail(&driver[TRANSMIT])->idx = SIZE + 1;
	kick(TRANSMIT);
	assert_true(device->status & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_works_after_reset();
	assert_string_equal(kept, "abc");
}

/* Longer than RAM, by way of segments that are the same memory: as much as a turn may. */
static size_t endless_offer(struct sink *which, const struct iovec *segments, unsigned int count)
{
	offers++;
	return segments[0].iov_len < KIB(64) ? segments[0].iov_len : KIB(64);
}

static void a_long_chain_leaves_others_their_turn(void **state)
{
	unsigned int turns = 0;

	sink.offer = endless_offer;
	for (uint16_t i = 0; i < SIZE - 1; i++)
		driver_desc(&driver[TRANSMIT], i, DATA, MIB(2), NEXT, i + 1);
	driver_desc(&driver[TRANSMIT], SIZE - 1, DATA, MIB(2), 0, 0);
	driver_offer(&driver[TRANSMIT], 0);
	event_notify(&device->queues[TRANSMIT].kick);
	while (event_loop_turn(&loop, false) > 0) {
		turns++;
		assert_in_range(offers, 0, 16);
		offers = 0;
	}
	assert_in_range(turns, SIZE * 2, SIZE * 2 + 1);
	assert_taken(&driver[TRANSMIT], 0, 0);
}

/* Interrupts. */

static void wait_ms(unsigned int milliseconds)
{
	const struct timespec moment = { .tv_nsec = milliseconds * 1000000L };

	turn();
	nanosleep(&moment, NULL);
	turn();
}

static void interrupt_comes_much_later(void **state)
{
	offer_text(TRANSMIT, 0, "x");
	kick(TRANSMIT);
	assert_taken(&driver[TRANSMIT], 0, 0);
	wait_ms(20);
	assert_int_equal(queue_interrupts[TRANSMIT], 0);
	wait_ms(120);
	assert_int_equal(queue_interrupts[TRANSMIT], 1);
}

/* Linux looks at the used ring when it transmits, and then wants to be told of the next buffer. */
static void interrupt_comes_at_once_when_half_the_ring_is_unseen(void **state)
{
	activate_with(WITH_MULTIPORT | WITH_EVENT_IDX);
	for (uint16_t head = 0; head < 2 * SIZE; head++) {
		offer_text(TRANSMIT, head % SIZE, "x");
		kick(TRANSMIT);
		assert_taken(&driver[TRANSMIT], head % SIZE, 0);
		*driver_used_event(&driver[TRANSMIT]) = head;
	}
	assert_int_equal(queue_interrupts[TRANSMIT], 0);
	*driver_used_event(&driver[TRANSMIT]) = 2 * SIZE;
	for (uint16_t head = 0; head < SIZE / 2 - 1; head++) {
		offer_text(TRANSMIT, head, "x");
		kick(TRANSMIT);
	}
	assert_int_equal(queue_interrupts[TRANSMIT], 0);
	offer_text(TRANSMIT, SIZE - 1, "x");
	kick(TRANSMIT);
	assert_int_equal(queue_interrupts[TRANSMIT], 1);
}

static void nothing_is_received(void **state)
{
	for (uint16_t head = 0; head < 8; head++) {
		driver_desc(&driver[RECEIVE], head, DATA, 64, WRITE, 0);
		driver_offer(&driver[RECEIVE], head);
	}
	kick(RECEIVE);
	assert_none_taken(&driver[RECEIVE]);
	assert_int_equal(driver_used(&driver[RECEIVE])->flags, VRING_USED_F_NO_NOTIFY);
	assert_int_equal(device->status, 15);
}

static void a_driver_that_does_not_know_of_ports_reports_nothing(void **state)
{
	activate_with(0);
	answer_head = answers_offered = 0;
	offer_text(TRANSMIT, 0, "hello");
	kick(TRANSMIT);
	assert_taken(&driver[TRANSMIT], 0, 0);
	/* Further queues are none of its. */
	offer_answers(8, 64);
	driver_desc(&driver[CONTROL], 0, DATA, 8, 0, 0);
	driver_offer(&driver[CONTROL], 0);
	kick(CONTROL);
	assert_none_taken(&driver[CONTROL]);
	assert_none_taken(&driver[ANSWERS]);
	/* Nor is anything kept of what it leaves behind. */
	offer_text(TRANSMIT, 1, "no");
	virtio_set_status(device, 0);
	assert_string_equal(written, "");
	assert_string_equal(kept, "");
	assert_works_after_reset();
}

static void hostile_chains_need_a_reset(void **state)
{
	static const struct vring_desc bad[] = {
		{ 0, 16, 0, 0 },
		{ 0x0a000000, 16, 0, 0 },
		{ BASE + MIB(4) - 1, 2, 0, 0 },
		{ UINT64_MAX, UINT32_MAX, 0, 0 },
		{ DATA, 16, NEXT, 0 },
		{ DATA, 16, NEXT, UINT16_MAX },
		{ DATA, 15, INDIRECT, 0 },
		{ UINT64_MAX - 15, 16, INDIRECT, 0 },
	};
	static const unsigned int queues[] = { ANSWERS, CONTROL, TRANSMIT };

	for (size_t q = 0; q < ARRAY_SIZE(queues); q++) {
		const unsigned int queue = queues[q];

		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			begin_talk();
			tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
			driver_desc(&driver[queue], 0, bad[i].addr, bad[i].len,
				    bad[i].flags | (queue == ANSWERS ? WRITE : 0), bad[i].next);
			driver_offer(&driver[queue], 0);
			kick(queue);
			assert_true(device->status & VIRTIO_CONFIG_S_NEEDS_RESET);
			assert_works_after_reset();
		}
	}
}

static void rings_that_feed_themselves_end(void **state)
{
	const struct virtio_console_control ready = { 0, VIRTIO_CONSOLE_PORT_READY, 1 };

	for (unsigned int queue = TRANSMIT; queue < QUEUES; queue++) {
		alarm(120);
		memcpy(memory_at(&memory, DATA, sizeof(ready)), &ready, sizeof(ready));
		overlapping = queue;
		begin_talk();
		overlapping = QUEUES;
		/* Something to say. */
		if (queue == ANSWERS)
			tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
		turn();
		alarm(0);
		assert_true(device->status & VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_works_after_reset();
	}
}

static size_t forgetful_offer(struct sink *which, const struct iovec *segments, unsigned int count)
{
	return segments[0].iov_len;
}

static void rings_that_another_vcpu_toggles_leave_others_their_turn(void **state)
{
	struct driver_toggler toggler;

	sink.offer = forgetful_offer;
	for (unsigned int queue = TRANSMIT; queue < QUEUES; queue++) {
		begin_talk();
		tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
		driver_table(&driver[queue])[0] = overlapping_chain[queue];
		driver_toggle_begin(&toggler, &driver[queue]);
		for (unsigned int i = 0; i < 2000; i++) {
			event_notify(&device->queues[queue].kick);
			event_loop_turn(&loop, false);
		}
		driver_toggle_end(&toggler);
	}
}

#define on_report(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_report(has_the_queues_of_one_port_and_no_console),
		on_report(the_port_is_told_of),
		on_report(the_port_may_be_ready_before_the_device),
		on_report(what_is_asked_for_again_is_said_again_and_no_more_often),
		on_report(a_driver_that_failed_is_told_nothing),
		on_report(what_means_nothing_is_ignored),
		on_report(answers_come_one_buffer_at_a_time),
		on_report(answers_in_segments),
		on_report(tiny_buffers_go_back_empty),
		on_report(messages_of_wrong_sizes),
		on_report(hostile_messages),
		on_report(a_reset_in_the_middle_of_the_talk),
		on_report(answers_without_a_queue_for_them_wait),
		on_report(segments_are_offered_together),
		on_report(buffers_wait_for_room),
		on_report(what_a_reset_takes_away_is_kept),
		on_report(what_is_there_at_the_end_is_kept),
		on_report(of_a_broken_queue_nothing_is_kept),
		on_report(a_long_chain_leaves_others_their_turn),
		on_report(interrupt_comes_much_later),
		on_report(interrupt_comes_at_once_when_half_the_ring_is_unseen),
		on_report(nothing_is_received),
		on_report(a_driver_that_does_not_know_of_ports_reports_nothing),
		on_report(hostile_chains_need_a_reset),
		on_report(rings_that_feed_themselves_end),
		on_report(rings_that_another_vcpu_toggles_leave_others_their_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
