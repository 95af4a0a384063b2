// SPDX-License-Identifier: GPL-2.0-only
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "devices/pl031.h"
#include "unit.h"
#include "util.h"

/* Offsets, from the manual (Arm DDI 0224) and not from the device under test. */
enum {
	DR = 0x00,
	MR = 0x04,
	LR = 0x08,
	CR = 0x0c,
	IMSC = 0x10,
	RIS = 0x14,
	MIS = 0x18,
	ICR = 0x1c,
};

/* Seconds to an alarm: not one, which may have passed before the alarm is set. */
#define SOON 2

static struct event_loop loop;
static struct device *rtc;
static unsigned int irq_changes;
static bool irq_level;

/* The clock of the host as the device sees it: it may be set, and turn between two looks. */
static long clock_ahead; /* seconds */
static long clock_step; /* seconds that it goes on at each look */

int clock_gettime(clockid_t clock, struct timespec *now)
{
	int err = syscall(SYS_clock_gettime, clock, now);

	if (clock == CLOCK_REALTIME) {
		now->tv_sec += clock_ahead;
		clock_ahead += clock_step;
	}
	return err;
}

static time_t host_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

static time_t armed_for; /* the alarm, in seconds of that clock */

int timerfd_settime(int fd, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	armed_for = value->it_value.tv_sec;
	return syscall(SYS_timerfd_settime, fd, flags, value, old);
}

static void irq_set(const struct irq_line *line, bool level)
{
	assert_int_not_equal(irq_level, level);
	irq_level = level;
	irq_changes++;
}

static int begin(void **state)
{
	irq_changes = 0;
	irq_level = false;
	clock_ahead = clock_step = 0;
	if (event_loop_create(&loop) < 0)
		return -1;
	assert_int_equal(
		pl031_create(&rtc, 0x9010000, (struct irq_line){ .set = irq_set }, 2, &loop), 0);
	return rtc ? 0 : -1;
}

static int finish(void **state)
{
	rtc->ops->destroy(rtc);
	event_loop_destroy(&loop);
	return 0;
}

static uint32_t get(uint64_t offset)
{
	struct mmio_access mmio = { .offset = offset, .size = 4, .value = UINT64_MAX };

	assert_int_equal(rtc->ops->access(rtc, &mmio), MMIO_DONE);
	assert_true(mmio.value <= UINT32_MAX);
	return mmio.value;
}

static void set(uint64_t offset, uint32_t value)
{
	struct mmio_access mmio = { .offset = offset, .size = 4, .write = true, .value = value };

	assert_int_equal(rtc->ops->access(rtc, &mmio), MMIO_DONE);
}

/* Turns the loop if anything happens within the time; whether it did. */
static bool turn_within(int milliseconds)
{
	struct epoll_event event;

	if (epoll_wait(loop.epoll_fd, &event, 1, milliseconds) != 1)
		return false;
	assert_int_equal(event_loop_turn(&loop, true), 1);
	return true;
}

/* Time. */

static void shows_the_time_of_the_host(void **state)
{
	uint32_t before = time(NULL), shown = get(DR), after = time(NULL);

	assert_in_range(shown, before - 1, after + 1);
}

static void load_register_sets_the_time(void **state)
{
	set(LR, 1000);
	assert_in_range(get(DR), 1000, 1060);
	assert_int_equal(get(LR), 1000);
	set(LR, 5);
	assert_in_range(get(DR), 5, 65);
}

static void time_goes_on_from_what_was_loaded(void **state)
{
	const struct timespec a_while = { .tv_sec = 1, .tv_nsec = 100 * 1000 * 1000 };
	uint32_t then;

	set(LR, 1000);
	then = get(DR);
	nanosleep(&a_while, NULL);
	assert_in_range(get(DR), then + 1, then + 60);
}

static void time_wraps(void **state)
{
	set(LR, UINT32_MAX);
	/* A second later it is 0. */
	assert_true(get(DR) == UINT32_MAX || get(DR) < 60);
}

/* Registers. */

static void reset_values(void **state)
{
	assert_int_equal(get(MR), 0);
	assert_int_equal(get(LR), 0);
	assert_int_equal(get(CR), 1);
	assert_int_equal(get(IMSC), 0);
	assert_int_equal(get(RIS), 0);
	assert_int_equal(get(MIS), 0);
}

static void identification(void **state)
{
	static const uint8_t id[] = { 0x31, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(get(0xfe0 + 4 * i), id[i]);
}

static void clock_cannot_be_stopped(void **state)
{
	set(CR, 0);
	assert_int_equal(get(CR), 1);
}

static void mask_has_one_bit(void **state)
{
	set(IMSC, UINT32_MAX);
	assert_int_equal(get(IMSC), 1);
}

static void bad_accesses_are_told(void **state)
{
	static const struct mmio_access cases[] = {
		{ .offset = DR, .size = 1 },
		{ .offset = DR, .size = 2 },
		{ .offset = DR, .size = 8 },
		{ .offset = DR + 2, .size = 4 },
		{ .offset = DR, .size = 4, .write = true },
		{ .offset = RIS, .size = 4, .write = true },
		{ .offset = MIS, .size = 4, .write = true },
		{ .offset = ICR, .size = 4 },
		{ .offset = 0x20, .size = 4 },
		{ .offset = 0xfdc, .size = 4 },
		{ .offset = 0xfe0, .size = 4, .write = true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mmio_access mmio = cases[i];

		assert_int_equal(rtc->ops->access(rtc, &mmio), MMIO_BAD);
	}
}

static void registers_have_names(void **state)
{
	static const char *const names[] = {
		"RTCDR", "RTCMR", "RTCLR", "RTCCR", "RTCIMSC", "RTCRIS", "RTCMIS", "RTCICR",
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		assert_string_equal(rtc->ops->register_name(4 * i), names[i]);
	assert_string_equal(rtc->ops->register_name(0xfe0), "identification");
	assert_string_equal(rtc->ops->register_name(0xffc), "identification");
	assert_null(rtc->ops->register_name(0x20));
	assert_null(rtc->ops->register_name(0xfdc));
}

/* The alarm. */

static void alarm_comes(void **state)
{
	set(IMSC, 1);
	set(MR, get(DR) + SOON);
	assert_int_equal(get(RIS), 0);
	assert_false(irq_level);
	assert_true(turn_within(10000));
	assert_int_equal(get(RIS), 1);
	assert_int_equal(get(MIS), 1);
	assert_true(irq_level);
	assert_int_equal(irq_changes, 1);
	/* It comes once. */
	assert_false(turn_within(100));
}

static void alarm_follows_the_loaded_time(void **state)
{
	set(IMSC, 1);
	set(MR, 5000 + SOON);
	set(LR, 5000);
	assert_false(irq_level);
	assert_true(turn_within(10000));
	assert_true(irq_level);
}

static void alarm_of_this_second_comes_at_once(void **state)
{
	set(IMSC, 1);
	/* Once more, in case that the second passes between the two. */
	for (unsigned int i = 0; i < 10 && !irq_level; i++)
		set(MR, get(DR));
	assert_true(irq_level);
}

static void alarm_in_the_past_never_comes(void **state)
{
	set(IMSC, 1);
	set(MR, get(DR) - 1);
	assert_false(turn_within(100));
	set(MR, get(DR) - INT32_MAX);
	assert_false(turn_within(0));
	assert_int_equal(get(RIS), 0);
	assert_int_equal(irq_changes, 0);
}

static void alarm_that_was_moved_does_not_come(void **state)
{
	set(IMSC, 1);
	set(MR, get(DR) + SOON);
	set(MR, get(DR) + 3600);
	assert_false(turn_within(1000 * SOON + 200));
	assert_int_equal(get(RIS), 0);
}

static void alarm_moved_to_the_past_does_not_come(void **state)
{
	set(IMSC, 1);
	set(MR, get(DR) + SOON);
	set(MR, get(DR) - 1);
	assert_false(turn_within(1000 * SOON + 200));
	assert_int_equal(get(RIS), 0);
}

static void late_loop_still_gives_the_alarm(void **state)
{
	const struct timespec late = { .tv_sec = SOON + 2 };

	/* Host suspended, or nidus kept from running: the moment has passed when the loop turns. */
	set(IMSC, 1);
	set(MR, get(DR) + SOON);
	nanosleep(&late, NULL);
	assert_true(turn_within(10000));
	assert_int_equal(get(RIS), 1);
	assert_true(irq_level);
}

/* The clock is set back when the timer has expired and its owner was not called yet. */
static void alarm_survives_a_clock_that_is_set_back(void **state)
{
	set(IMSC, 1);
	set(MR, get(DR) + SOON);
	clock_ahead = -SOON;
	assert_true(turn_within(10000));
	assert_int_equal(get(RIS), 0);
	assert_false(irq_level);
	/* The timer goes by the host's clock, which was not set, so it expires at once. */
	clock_ahead = 0;
	assert_true(turn_within(10000));
	assert_int_equal(get(RIS), 1);
	assert_true(irq_level);
}

static void a_second_that_turns_does_not_move_the_alarm(void **state)
{
	const uint32_t offset = get(DR) - host_seconds();

	clock_step = 1;
	set(MR, get(DR) + 100);
	assert_int_equal(armed_for + offset, get(MR));
	set(LR, 1000);
	set(MR, 1100);
	clock_step = 0;
	assert_int_equal(armed_for - host_seconds(), 1100 - get(DR));
}

static void masked_alarm_stays_raw(void **state)
{
	for (unsigned int i = 0; i < 10 && !get(RIS); i++)
		set(MR, get(DR));
	assert_int_equal(get(RIS), 1);
	assert_int_equal(get(MIS), 0);
	assert_int_equal(irq_changes, 0);
	set(IMSC, 1);
	assert_int_equal(get(MIS), 1);
	assert_true(irq_level);
	set(IMSC, 0);
	assert_false(irq_level);
	assert_int_equal(get(RIS), 1);
}

static void clearing_lowers_the_line(void **state)
{
	set(IMSC, 1);
	for (unsigned int i = 0; i < 10 && !irq_level; i++)
		set(MR, get(DR));
	set(ICR, 0);
	assert_true(irq_level);
	set(ICR, 1);
	assert_int_equal(get(RIS), 0);
	assert_false(irq_level);
}

static void destroyed_alarm_does_not_come(void **state)
{
	struct device *other;

	assert_int_equal(pl031_create(&other, 0, (struct irq_line){ .set = irq_set }, 2, &loop), 0);
	struct mmio_access mmio = { .offset = MR, .size = 4, .write = true, .value = get(DR) + 1 };

	assert_int_equal(other->ops->access(other, &mmio), MMIO_DONE);
	other->ops->destroy(other);
	assert_false(turn_within(1200));
}

#define on_rtc(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_rtc(shows_the_time_of_the_host),
		on_rtc(load_register_sets_the_time),
		on_rtc(time_goes_on_from_what_was_loaded),
		on_rtc(time_wraps),
		on_rtc(reset_values),
		on_rtc(identification),
		on_rtc(clock_cannot_be_stopped),
		on_rtc(mask_has_one_bit),
		on_rtc(bad_accesses_are_told),
		on_rtc(registers_have_names),
		on_rtc(alarm_comes),
		on_rtc(alarm_follows_the_loaded_time),
		on_rtc(alarm_of_this_second_comes_at_once),
		on_rtc(alarm_in_the_past_never_comes),
		on_rtc(alarm_that_was_moved_does_not_come),
		on_rtc(alarm_moved_to_the_past_does_not_come),
		on_rtc(late_loop_still_gives_the_alarm),
		on_rtc(alarm_survives_a_clock_that_is_set_back),
		on_rtc(a_second_that_turns_does_not_move_the_alarm),
		on_rtc(masked_alarm_stays_raw),
		on_rtc(clearing_lowers_the_line),
		on_rtc(destroyed_alarm_does_not_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
