// SPDX-License-Identifier: GPL-2.0-only
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "balloon/balloon.h"
#include "driver.h"
#include "unit.h"
#include "util.h"

#define BASE	     GIB(1)
#define SIZE	     MIB(8)
#define LISTS	     (BASE + MIB(1)) /* what descriptors of the driver's point to */
#define PAGES	     (BASE + MIB(2))
#define PAGE(n)	     (uint32_t)((PAGES >> 12) + (n))
#define QUEUES	     5
#define FEATURE(bit) (UINT32_C(1) << (bit))

enum { INFLATE, DEFLATE, STATISTICS, REPORTING_OF_LINUX, REPORTING };

#define ALL                                                                              \
	(FEATURE(VIRTIO_BALLOON_F_STATS_VQ) | FEATURE(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) | \
	 FEATURE(VIRTIO_BALLOON_F_REPORTING))

static struct memory memory;
static struct memory_file file;
static struct virtio *balloon;
static struct driver drivers[QUEUES];
static atomic_uint interrupts, config_interrupts;

/* The worker's. */
static void queue_interrupt(struct virtio_transport *transport, unsigned int queue)
{
	atomic_fetch_add(&interrupts, 1);
}

static void config_interrupt(struct virtio_transport *transport)
{
	atomic_fetch_add(&config_interrupts, 1);
}

static struct virtio_transport transport = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
};

static void activate(uint32_t features)
{
	virtio_set_status(balloon, 3);
	virtio_set_features(balloon, 0, features);
	virtio_set_features(balloon, 1, 1);
	virtio_set_status(balloon, 11);
	for (unsigned int i = 0; i < QUEUES; i++) {
		drivers[i] = driver_create(&memory, BASE + i * 0x4000, 64);
		balloon->queues[i].layout = drivers[i].layout;
		virtio_queue_set_ready(&balloon->queues[i], true);
	}
	virtio_set_status(balloon, 15);
}

static int begin_on(void **state, enum memory_backing backing)
{
	if (backing != MEMORY_ANON)
		assert_int_equal(memory_file_create(&file, SIZE, false), 0);
	assert_int_equal(
		memory_create(&memory, BASE, SIZE, backing, backing == MEMORY_ANON ? NULL : &file),
		0);
	assert_int_equal(balloon_create(&balloon, &memory), 0);
	balloon->transport = &transport;
	atomic_store(&interrupts, 0);
	atomic_store(&config_interrupts, 0);
	activate(ALL);
	memset(memory_at(&memory, PAGES, MIB(5)), 0x5a, MIB(5));
	return catch_begin(state);
}

static int begin(void **state)
{
	return begin_on(state, MEMORY_ANON);
}

static int begin_with_file(void **state)
{
	return begin_on(state, MEMORY_MEMFD);
}

static int end(void **state)
{
	const bool has_file = memory.fd >= 0;

	balloon->ops->destroy(balloon);
	memory_destroy(&memory);
	if (has_file)
		memory_file_close(&file);
	return catch_end(state);
}

/* Until the worker has come to rest: it works on the queues one after the other. */
static void rest(void)
{
	for (unsigned int i = 0; i < QUEUES; i++) {
		virtio_queue_pause(&balloon->queues[i], true);
		virtio_queue_pause(&balloon->queues[i], false);
	}
}

/* The next chain of a queue comes back, within ten seconds. */
static void assert_comes_back(unsigned int queue, uint32_t head)
{
	const struct vring_used *used = driver_used(&drivers[queue]);

	for (unsigned int i = 0; i < 10000; i++) {
		if (__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE) != drivers[queue].seen)
			break;
		usleep(1000);
	}
	assert_taken(&drivers[queue], head, 0);
}

static void offer(unsigned int queue, uint16_t head)
{
	driver_offer(&drivers[queue], head);
	event_notify(&balloon->queues[queue].kick);
}

static void offer_list(unsigned int queue, const void *list, uint32_t bytes)
{
	memcpy(memory_at(&memory, LISTS, bytes), list, bytes);
	driver_desc(&drivers[queue], 5, LISTS, bytes, 0, 0);
	offer(queue, 5);
}

static void inflate(const uint32_t *pages, size_t count)
{
	offer_list(INFLATE, pages, count * sizeof(*pages));
	assert_comes_back(INFLATE, 5);
}

static bool is_full_of(uint8_t byte, uint64_t gpa, uint64_t size)
{
	const uint8_t *bytes = memory_at(&memory, gpa, size);

	for (uint64_t i = 0; i < size; i++)
		if (bytes[i] != byte)
			return false;
	return true;
}

static bool is_gone(unsigned int page)
{
	return is_full_of(0, PAGES + page * KIB(4), KIB(4));
}

static bool is_there(unsigned int page)
{
	return is_full_of(0x5a, PAGES + page * KIB(4), KIB(4));
}

static struct balloon_state look(void)
{
	struct balloon_state state;

	balloon_look(balloon, &state);
	return state;
}

static bool needs_reset(void)
{
	return atomic_load(&balloon->status) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static void is_a_balloon(void **state)
{
	assert_int_equal(balloon->ops->device_id, 5);
	assert_int_equal(balloon->ops->config_size, 8);
	assert_int_equal(balloon->queue_count, QUEUES);
	/* Linux's reports take 32 entries. */
	assert_true(balloon->queues[REPORTING].size_max >= 32);
	assert_int_equal(balloon->offered & 0x0fffffff, ALL);
	assert_int_equal(atomic_load(&balloon->status), 15);
	assert_true(look().driver);
}

static void pages_go_to_the_host(void **state)
{
	const uint32_t pages[] = { PAGE(1), PAGE(2), PAGE(3), PAGE(9), PAGE(8), PAGE(6), PAGE(6) };

	inflate(pages, ARRAY_SIZE(pages));
	for (unsigned int i = 0; i < 12; i++) {
		if (i == 1 || i == 2 || i == 3 || i == 6 || i == 8 || i == 9)
			assert_true(is_gone(i));
		else
			assert_true(is_there(i));
	}
	assert_int_equal(look().inflated, 7 * KIB(4));
	rest();
	assert_int_equal(atomic_load(&interrupts), 1);
	/* They are memory again when they are used. */
	memset(memory_at(&memory, PAGES + KIB(4), 64), 1, 64);
	assert_true(is_full_of(1, PAGES + KIB(4), 64));
}

static uint64_t file_bytes(void)
{
	struct stat is;

	assert_int_equal(fstat(file.fd, &is), 0);
	return (uint64_t)is.st_blocks * 512;
}

/* To take them out of our mapping alone would leave them in the file. */
static void pages_of_a_file_go_as_well(void **state)
{
	uint32_t pages[512];
	uint64_t before;

	memset(memory_at(&memory, LISTS, KIB(4)), 1, KIB(4));
	before = file_bytes();
	for (unsigned int i = 0; i < 512; i++)
		pages[i] = PAGE(i);
	inflate(pages, 512);
	assert_true(before - file_bytes() >= MIB(2));
	assert_true(is_gone(0) && is_gone(511) && is_there(512));
	assert_int_equal(look().inflated, MIB(2));
}

static void a_list_may_be_in_any_pieces(void **state)
{
	const uint32_t pages[] = { PAGE(2), PAGE(4), 0xffffffff };

	memcpy(memory_at(&memory, LISTS, 12), pages, 12);
	driver_desc(&drivers[INFLATE], 0, LISTS, 3, NEXT, 1);
	driver_desc(&drivers[INFLATE], 1, LISTS + 64, 0, NEXT, 2);
	driver_desc(&drivers[INFLATE], 2, LISTS + 3, 8, 0, 0);
	offer(INFLATE, 0);
	assert_comes_back(INFLATE, 0);
	/* What is no whole number at the end is none. */
	assert_int_equal(look().inflated, 2 * KIB(4));
	assert_true(is_gone(2) && is_gone(4) && is_there(3));
	assert_silent();
}

static void what_is_no_ram_is_left_alone(void **state)
{
	const uint32_t first = BASE >> 12, end = (BASE + SIZE) >> 12;
	const uint32_t pages[] = { 0,	    first - 1, end,	0xffffffff, PAGE(1),
				   end - 1, end,       end + 1, PAGE(3) };

	inflate(pages, ARRAY_SIZE(pages));
	assert_int_equal(look().inflated, 3 * KIB(4));
	assert_true(is_gone(1) && is_gone(3) && is_there(2));
	assert_true(is_full_of(0, BASE + SIZE - KIB(4), KIB(4)));
	assert_non_null(
		strstr(said(), "virtio-balloon: its driver gives page 0x40800, which is no RAM"));
	assert_false(needs_reset());
}

/* Upwards from the last page that there is to 0, and down again. */
static void numbers_that_wrap_are_no_run(void **state)
{
	const uint32_t pages[] = { 0xffffffff, 0, 1, 0, 0xffffffff, PAGE(0) };

	inflate(pages, ARRAY_SIZE(pages));
	assert_int_equal(look().inflated, KIB(4));
	said();
}

static void work_of_a_chain_is_bounded(void **state)
{
	static uint32_t pages[1025];

	for (unsigned int i = 0; i < 1025; i++)
		pages[i] = PAGE(1024 - i);
	inflate(pages, 1025);
	assert_int_equal(look().inflated, 1024 * KIB(4));
	assert_true(is_there(0) && is_gone(1) && is_gone(1024) && is_there(1025));
}

static void pages_that_are_taken_back_are_acknowledged(void **state)
{
	const uint32_t pages[] = { PAGE(1), 0 };

	offer_list(DEFLATE, pages, sizeof(pages));
	assert_comes_back(DEFLATE, 5);
	assert_true(is_there(1));
	assert_silent();
}

static void assert_reports_by(unsigned int queue, unsigned int page)
{
	const uint64_t before = look().reported;

	driver_desc(&drivers[queue], 0, PAGES + page * KIB(4), KIB(8), WRITE | NEXT, 1);
	driver_desc(&drivers[queue], 1, PAGES + (page + 4) * KIB(4), KIB(4), WRITE, 0);
	offer(queue, 0);
	assert_comes_back(queue, 0);
	assert_true(is_gone(page) && is_gone(page + 1) && is_there(page + 2));
	assert_true(is_there(page + 3) && is_gone(page + 4) && is_there(page + 5));
	assert_int_equal(look().reported - before, KIB(12));
}

static void free_pages_go_to_the_host(void **state)
{
	assert_reports_by(REPORTING, 0);
	/* As Linux counts queues where it has statistics, and where it has not. */
	assert_reports_by(REPORTING_OF_LINUX, 8);
	assert_int_equal(look().inflated, 0);
	virtio_set_status(balloon, 0);
	activate(FEATURE(VIRTIO_BALLOON_F_REPORTING));
	assert_reports_by(STATISTICS, 16);
}

static void free_pages_of_a_file_go_as_well(void **state)
{
	const uint64_t before = file_bytes();

	driver_desc(&drivers[REPORTING], 0, PAGES, MIB(4), WRITE, 0);
	offer(REPORTING, 0);
	assert_comes_back(REPORTING, 0);
	assert_true(before - file_bytes() >= MIB(4));
	assert_int_equal(look().reported, MIB(4));
}

static void parts_of_pages_stay(void **state)
{
	driver_desc(&drivers[REPORTING], 0, PAGES + 1, KIB(8), WRITE | NEXT, 1);
	driver_desc(&drivers[REPORTING], 1, PAGES + KIB(16), KIB(4) - 1, WRITE | NEXT, 2);
	driver_desc(&drivers[REPORTING], 2, PAGES + KIB(32), 0, WRITE, 0);
	offer(REPORTING, 0);
	assert_comes_back(REPORTING, 0);
	assert_true(is_there(0) && is_gone(1) && is_there(2) && is_there(4) && is_there(8));
	assert_int_equal(look().reported, KIB(4));
}

/* What the device may only read is no page that it is given. */
static void what_is_read_only_is_not_reported(void **state)
{
	driver_desc(&drivers[REPORTING], 0, PAGES, KIB(4), 0, 0);
	offer(REPORTING, 0);
	assert_comes_back(REPORTING, 0);
	assert_true(is_there(0));
}

static void queues_of_features_that_were_not_accepted_do_nothing(void **state)
{
	virtio_set_status(balloon, 0);
	activate(0);
	for (unsigned int queue = STATISTICS; queue <= REPORTING; queue++) {
		driver_desc(&drivers[queue], 0, PAGES, KIB(4), WRITE, 0);
		offer(queue, 0);
	}
	rest();
	for (unsigned int queue = STATISTICS; queue <= REPORTING; queue++)
		assert_none_taken(&drivers[queue]);
	assert_true(is_there(0));
	assert_false(needs_reset());
}

/* Statistics. */

static void offer_statistics(uint16_t head, const struct virtio_balloon_stat *list, size_t count)
{
	const uint64_t place = LISTS + head * KIB(4);

	memcpy(memory_at(&memory, place, count * sizeof(*list)), list, count * sizeof(*list));
	driver_desc(&drivers[STATISTICS], head, place, count * sizeof(*list), 0, 0);
	offer(STATISTICS, head);
}

static void await_statistic(unsigned int tag, uint64_t value)
{
	for (unsigned int i = 0; i < 10000 && look().statistics[tag] != value; i++)
		usleep(1000);
	assert_true(look().has[tag]);
	assert_true(look().statistics[tag] == value);
	rest();
}

static void statistics_are_kept_and_asked_for(void **state)
{
	const struct virtio_balloon_stat first[] = {
		{ VIRTIO_BALLOON_S_MEMFREE, 1000 },
		{ 16, 7 },
		{ 0xffff, 7 },
		{ VIRTIO_BALLOON_S_MEMTOT, UINT64_MAX },
	};
	const struct virtio_balloon_stat second[] = { { VIRTIO_BALLOON_S_MEMFREE, 2000 } };

	assert_true(look().moment == 0);
	offer_statistics(1, first, ARRAY_SIZE(first));
	await_statistic(VIRTIO_BALLOON_S_MEMFREE, 1000);
	await_statistic(VIRTIO_BALLOON_S_MEMTOT, UINT64_MAX);
	assert_true(look().moment > 0);
	/* The buffer is given back when somebody wants to know. */
	assert_none_taken(&drivers[STATISTICS]);
	balloon_ask(balloon);
	assert_comes_back(STATISTICS, 1);
	offer_statistics(1, second, ARRAY_SIZE(second));
	await_statistic(VIRTIO_BALLOON_S_MEMFREE, 2000);
	assert_false(look().has[VIRTIO_BALLOON_S_MEMTOT]);
	assert_none_taken(&drivers[STATISTICS]);
	assert_string_equal(balloon_statistic_name(VIRTIO_BALLOON_S_MEMFREE), "free_bytes");
}

static void a_question_without_a_buffer_is_answered_by_the_next_one(void **state)
{
	const struct virtio_balloon_stat list[] = { { VIRTIO_BALLOON_S_CACHES, 3 } };

	balloon_ask(balloon);
	rest();
	offer_statistics(2, list, 1);
	await_statistic(VIRTIO_BALLOON_S_CACHES, 3);
	assert_none_taken(&drivers[STATISTICS]);
}

static void there_is_one_buffer_of_statistics(void **state)
{
	const struct virtio_balloon_stat list[] = { { VIRTIO_BALLOON_S_CACHES, 3 } };

	offer_statistics(2, list, 1);
	await_statistic(VIRTIO_BALLOON_S_CACHES, 3);
	offer_statistics(3, list, 1);
	assert_comes_back(STATISTICS, 2);
	assert_none_taken(&drivers[STATISTICS]);
}

static void a_reset_forgets_what_the_driver_said(void **state)
{
	const struct virtio_balloon_stat list[] = { { VIRTIO_BALLOON_S_CACHES, 3 } };

	offer_statistics(2, list, 1);
	await_statistic(VIRTIO_BALLOON_S_CACHES, 3);
	virtio_config_write(balloon, 4, 100, 4);
	assert_true(look().given == 100 * KIB(4));
	virtio_set_status(balloon, 0);
	assert_true(look().given == 0 && look().moment == 0);
	assert_false(look().has[VIRTIO_BALLOON_S_CACHES]);
	assert_false(look().driver);
	/* Nor does it get the old buffer back. */
	activate(ALL);
	balloon_ask(balloon);
	rest();
	assert_none_taken(&drivers[STATISTICS]);
}

static void nothing_is_asked_of_a_driver_that_pauses(void **state)
{
	const struct virtio_balloon_stat list[] = { { VIRTIO_BALLOON_S_CACHES, 3 } };

	offer_statistics(2, list, 1);
	await_statistic(VIRTIO_BALLOON_S_CACHES, 3);
	virtio_pause(balloon, true);
	balloon_ask(balloon);
	usleep(20000);
	assert_none_taken(&drivers[STATISTICS]);
	virtio_pause(balloon, false);
	assert_comes_back(STATISTICS, 2);
}

/* Configuration. */

static uint64_t config(uint64_t offset, uint32_t size)
{
	uint64_t value = 0;

	virtio_config_read(balloon, offset, &value, size);
	return value;
}

static void the_target_is_told(void **state)
{
	assert_int_equal(config(0, 4), 0);
	balloon_set_target(balloon, MIB(3));
	assert_int_equal(config(0, 4), 768);
	assert_int_equal(atomic_load(&config_interrupts), 1);
	assert_true(look().target == MIB(3));
	/* It is not the driver's to change. */
	virtio_config_write(balloon, 0, 5, 4);
	assert_int_equal(config(0, 4), 768);
	assert_true(look().given == 0);
}

static void what_was_given_is_the_drivers_word(void **state)
{
	virtio_config_write(balloon, 4, 0x203, 2);
	virtio_config_write(balloon, 5, 1, 1);
	assert_int_equal(config(4, 4), 0x103);
	assert_true(look().given == 0x103 * KIB(4));
	virtio_config_write(balloon, 4, 0xffffffff, 4);
	assert_true(look().given == SIZE);
	/* Across the end, and behind it. */
	virtio_config_write(balloon, 4, 0, 8);
	virtio_config_write(balloon, 8, 0, 4);
	assert_int_equal(config(4, 4), 0xffffffff);
	assert_int_equal(config(8, 4), 0);
}

static void bad_address_wants_a_reset_which_mends_it(void **state)
{
	const uint32_t page = PAGE(1);

	driver_desc(&drivers[INFLATE], 0, BASE - 32, 64, 0, 0);
	offer(INFLATE, 0);
	rest();
	for (unsigned int i = 0; i < 10000 && !needs_reset(); i++)
		usleep(1000);
	assert_true(needs_reset());
	assert_said("virtio-balloon");
	virtio_set_status(balloon, 0);
	activate(ALL);
	inflate(&page, 1);
	assert_true(is_gone(1));
}

/* Rings are RAM as all else: a driver may give them away while they are in use. */
static void rings_may_be_given_away(void **state)
{
	uint32_t pages[QUEUES * 4 + 1];

	for (unsigned int i = 0; i < QUEUES * 4; i++)
		pages[i] = (BASE >> 12) + i;
	pages[QUEUES * 4] = LISTS >> 12;
	offer_list(INFLATE, pages, sizeof(pages));
	for (unsigned int i = 0; i < 10000 && look().inflated == 0; i++)
		usleep(1000);
	assert_int_equal(look().inflated, sizeof(pages) / 4 * KIB(4));
	virtio_set_status(balloon, 0);
	activate(ALL);
	inflate(pages, 0);
	said();
}

static void two_balloons_do_not_know_each_other(void **state)
{
	struct balloon_state other_state;
	struct virtio *other;

	assert_int_equal(balloon_create(&other, &memory), 0);
	other->transport = &transport;
	balloon_set_target(balloon, MIB(1));
	balloon_look(other, &other_state);
	assert_true(other_state.target == 0);
	assert_false(other_state.driver);
	other->ops->destroy(other);
}

/* State. */

static void what_was_asked_and_given_is_saved(void **state)
{
	const struct virtio_balloon_stat list[] = { { VIRTIO_BALLOON_S_CACHES, 3 } };
	const uint32_t actual = 3, beyond = SIZE / BALLOON_PAGE + 1;
	struct state_writer writer;
	struct state_reader reader;
	struct balloon_state now;
	struct virtio *other;

	balloon_set_target(balloon, 5 * BALLOON_PAGE);
	balloon->ops->config_write(balloon, 4, &actual, sizeof(actual));
	offer_statistics(1, list, 1);
	await_statistic(VIRTIO_BALLOON_S_CACHES, 3);
	virtio_rest(balloon, true);
	/* The buffer that the device held, so that none is in flight. */
	assert_comes_back(STATISTICS, 1);
	state_writer_create(&writer);
	virtio_save(balloon, &writer, 0);
	assert_int_equal(writer.err, 0);
	virtio_rest(balloon, false);

	assert_int_equal(balloon_create(&other, &memory), 0);
	other->transport = &transport;
	virtio_rest(other, true);
	state_reader_create(&reader, writer.bytes, writer.size);
	virtio_restore(other, &reader, 0);
	state_done(&reader);
	assert_int_equal(reader.err, 0);
	balloon_look(other, &now);
	assert_true(now.target == 5 * BALLOON_PAGE && now.given == 3 * BALLOON_PAGE);

	memcpy(writer.bytes + writer.size - 8, &beyond, sizeof(beyond));
	state_reader_create(&reader, writer.bytes, writer.size);
	virtio_restore(other, &reader, 0);
	assert_true(reader.err < 0);
	assert_said("is to be larger than the guest's RAM");
	other->ops->destroy(other);
	state_writer_destroy(&writer);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(is_a_balloon),
		TEST(pages_go_to_the_host),
		cmocka_unit_test_setup_teardown(pages_of_a_file_go_as_well, begin_with_file, end),
		TEST(a_list_may_be_in_any_pieces),
		TEST(what_is_no_ram_is_left_alone),
		TEST(numbers_that_wrap_are_no_run),
		TEST(work_of_a_chain_is_bounded),
		TEST(pages_that_are_taken_back_are_acknowledged),
		TEST(free_pages_go_to_the_host),
		cmocka_unit_test_setup_teardown(free_pages_of_a_file_go_as_well, begin_with_file,
						end),
		TEST(parts_of_pages_stay),
		TEST(what_is_read_only_is_not_reported),
		TEST(queues_of_features_that_were_not_accepted_do_nothing),
		TEST(statistics_are_kept_and_asked_for),
		TEST(a_question_without_a_buffer_is_answered_by_the_next_one),
		TEST(there_is_one_buffer_of_statistics),
		TEST(a_reset_forgets_what_the_driver_said),
		TEST(nothing_is_asked_of_a_driver_that_pauses),
		TEST(the_target_is_told),
		TEST(what_was_given_is_the_drivers_word),
		TEST(bad_address_wants_a_reset_which_mends_it),
		TEST(rings_may_be_given_away),
		TEST(two_balloons_do_not_know_each_other),
		TEST(what_was_asked_and_given_is_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
