// SPDX-License-Identifier: GPL-2.0-only
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "util.h"
#include "vmm/nest/nest_relay.h"

#define DEPTH 3

/* What goes out, as far as there is room; what is kept comes after it. */
static char went[NEST_LINE_MAX * 2], kept[NEST_LINE_MAX * 2];
static size_t went_size, kept_size, room;
static unsigned int told;
static struct nest_relay relay;

static size_t collect(char *to, size_t *size, const struct iovec *segments, unsigned int count,
		      size_t max)
{
	size_t done = 0;

	for (unsigned int i = 0; i < count; i++) {
		const size_t length =
			segments[i].iov_len < max - done ? segments[i].iov_len : max - done;

		memcpy(to + *size, segments[i].iov_base, length);
		*size += length;
		done += length;
	}
	to[*size] = '\0';
	return done;
}

static size_t out_offer(struct sink *sink, const struct iovec *segments, unsigned int count)
{
	const size_t done = collect(went, &went_size, segments, count, room);

	room -= done;
	return done;
}

static void out_keep(struct sink *sink, const struct iovec *segments, unsigned int count)
{
	collect(kept, &kept_size, segments, count, SIZE_MAX);
}

static struct sink out = { .offer = out_offer, .keep = out_keep };

static void told_of_room(void *opaque)
{
	told++;
}

/* Of the guest of level 1. */
static int begin(void **state)
{
	went_size = kept_size = told = 0;
	went[0] = kept[0] = '\0';
	room = SIZE_MAX;
	/* Whatever was there before. */
	memset(&relay, 0xa5, sizeof(relay));
	nest_relay_init(&relay, &out, 1, DEPTH);
	return catch_begin(state);
}

static size_t offer(const char *bytes, size_t size)
{
	return relay.sink.offer(&relay.sink, &(struct iovec){ (char *)bytes, size }, 1);
}

static void say(const char *text)
{
	assert_int_equal(offer(text, strlen(text)), strlen(text));
}

static void assert_went(const char *text)
{
	assert_string_equal(went, text);
	went_size = 0;
	went[0] = '\0';
}

#define UP(level)      "{\"level\":" #level ",\"is\":\"up\",\"linux\":\"7\",\"cpus\":1,\"memory\":9}\n"
#define BEGUN(level)   "{\"level\":" #level ",\"is\":\"begun\"}\n"
#define ENDED(level)   "{\"level\":" #level ",\"is\":\"ended\",\"by\":\"shutdown\",\"status\":0}\n"
#define COMMAND(level) "{\"level\":" #level ",\"is\":\"command\",\"status\":0}\n"

/* Who may say what. */

static void what_only_the_guest_knows_passes(void **state)
{
	say("\n" UP(1) "\n" COMMAND(1));
	assert_went(UP(1) COMMAND(1));
	assert_silent();
}

static void all_of_the_levels_inside_passes(void **state)
{
	say("\n" BEGUN(2) "\n" UP(2) COMMAND(2) BEGUN(3) UP(3) COMMAND(3) ENDED(3) ENDED(2));
	assert_went(BEGUN(2) UP(2) COMMAND(2) BEGUN(3) UP(3) COMMAND(3) ENDED(3) ENDED(2));
	assert_silent();
}

static void its_own_beginning_and_end_do_not_pass(void **state)
{
	say(ENDED(1));
	assert_said("level 1");
	say(BEGUN(1));
	assert_said("level 1");
	say("{\"level\":1,\"is\":\"ended\",\"by\":\"shutdown\",\"status\":0,\"stats\":{\"exits\":{}}}\n");
	assert_went("");
}

static void nothing_of_levels_around_passes(void **state)
{
	nest_relay_init(&relay, &out, 2, DEPTH);
	say(BEGUN(1) UP(1) COMMAND(1) ENDED(1));
	assert_went("");
	say(BEGUN(2) ENDED(2));
	assert_went("");
	say(UP(2) BEGUN(3));
	assert_went(UP(2) BEGUN(3));
}

static void levels_that_are_not_there_do_not_pass(void **state)
{
	say(UP(0) UP(4) UP(-1) UP(9) UP(4294967297) UP(4294967298) UP(1.0) UP("2"));
	assert_went("");
}

static void what_is_no_report_does_not_pass(void **state)
{
	say("x\n{}\n[]\n{\"level\":2}\n{\"is\":\"up\"}\n{\"level\":2,\"is\":\"gone\"}\n1\n");
	assert_went("");
}

/* Another reader might see the other value. */
static void names_that_come_twice_do_not_pass(void **state)
{
	say("{\"level\":1,\"level\":2,\"is\":\"ended\"}\n");
	say("{\"level\":2,\"level\":1,\"is\":\"ended\"}\n");
	say("{\"level\":2,\"is\":\"ended\",\"is\":\"up\"}\n");
	assert_went("");
}

static void each_thing_passes_once(void **state)
{
	say(UP(1) BEGUN(2) UP(1) BEGUN(2));
	assert_went(UP(1) BEGUN(2));
}

static void who_talks_nonsense_is_not_listened_to_any_more(void **state)
{
	for (unsigned int i = 0; i < 99; i++)
		say("{}\n");
	say(UP(1));
	assert_went(UP(1));
	say("{}\n" COMMAND(1));
	assert_went("");
	said();
	for (unsigned int i = 0; i < 1000; i++)
		say("{}\n");
	assert_silent();
}

/* Lines. */

static void lines_come_in_pieces(void **state)
{
	const char *const text = "\n" BEGUN(2) "\n\nx\n" UP(2);

	for (size_t i = 0; i < strlen(text); i++)
		assert_int_equal(offer(text + i, 1), 1);
	assert_went(BEGUN(2) UP(2));
}

static void segments_are_one_after_the_other(void **state)
{
	char first[] = "{\"level\":2,", second[] = "\"is\":\"begun\"}", third[] = "\n";
	const struct iovec segments[] = {
		{ first, strlen(first) }, { NULL, 0 }, { second, strlen(second) }, { third, 1 }
	};

	assert_int_equal(relay.sink.offer(&relay.sink, segments, 4),
			 1 + strlen(first) + strlen(second));
	assert_went(BEGUN(2));
}

static void half_a_line_does_not_pass(void **state)
{
	say("{\"level\":2,\"is\":\"begun\"}");
	assert_went("");
}

static void lines_may_be_long_and_not_too_long(void **state)
{
	char *text = malloc(NEST_LINE_MAX + 3);
	int end;

	assert_non_null(text);
	for (unsigned int more = 0; more < 2; more++) {
		memset(text, ' ', NEST_LINE_MAX + more);
		end = sprintf(text, "{\"level\":%u,\"is\":\"begun\"}", 2 + more);
		text[end] = ' ';
		strcpy(text + NEST_LINE_MAX + more, "\n");
		say(text);
		assert_int_equal(went_size, NEST_LINE_MAX + 1);
	}
	free(text);
	went_size = 0;
	say(BEGUN(3));
	assert_went(BEGUN(3));
}

/* Where there is no room. */

static void end_of_a_line_stays_until_there_is_room(void **state)
{
	const char *const text = BEGUN(2) UP(2);
	const size_t line = strlen(BEGUN(2));

	room = 0;
	assert_int_equal(offer(text, strlen(text)), line - 1);
	assert_int_equal(offer(text + line - 1, 1), 0);
	room = 3;
	assert_int_equal(offer(text + line - 1, 1), 0);
	assert_int_equal(went_size, 3);
	room = line - 3;
	assert_int_equal(offer(text + line - 1, strlen(text) - line + 1), strlen(UP(2)));
	assert_went(BEGUN(2));
	room = SIZE_MAX;
	assert_int_equal(offer("\n", 1), 1);
	assert_went(UP(2));
}

/* The driver's memory is the guest's, who may write to it at any time. */
static void what_ended_a_line_may_change(void **state)
{
	const char *const line = BEGUN(2), *const forged = ",\"level\":1,\"is\":\"ended\"}\n";

	room = 5;
	assert_int_equal(offer(line, strlen(line)), strlen(line) - 1);
	room = SIZE_MAX;
	say(forged);
	say("\n" ENDED(1) UP(2));
	assert_went(BEGUN(2) UP(2));
}

static void room_is_told_to_the_device(void **state)
{
	out.room(out.device);
	relay.sink.room = told_of_room;
	out.room(out.device);
	assert_int_equal(told, 1);
}

static void what_is_kept_is_looked_at_as_well(void **state)
{
	char text[] = "\n" ENDED(1) ENDED(2) "x\n{\"level\":3,";

	room = 4;
	assert_int_equal(offer(BEGUN(2), strlen(BEGUN(2))), strlen(BEGUN(2)) - 1);
	relay.sink.keep(&relay.sink, &(struct iovec){ text, strlen(text) }, 1);
	assert_string_equal(went, "{\"le");
	assert_string_equal(kept, strchr(BEGUN(2) ENDED(2), 'v'));
}

#define on_relay(test) cmocka_unit_test_setup_teardown(test, begin, catch_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_relay(what_only_the_guest_knows_passes),
		on_relay(all_of_the_levels_inside_passes),
		on_relay(its_own_beginning_and_end_do_not_pass),
		on_relay(nothing_of_levels_around_passes),
		on_relay(levels_that_are_not_there_do_not_pass),
		on_relay(what_is_no_report_does_not_pass),
		on_relay(names_that_come_twice_do_not_pass),
		on_relay(each_thing_passes_once),
		on_relay(who_talks_nonsense_is_not_listened_to_any_more),
		on_relay(lines_come_in_pieces),
		on_relay(segments_are_one_after_the_other),
		on_relay(half_a_line_does_not_pass),
		on_relay(lines_may_be_long_and_not_too_long),
		on_relay(end_of_a_line_stays_until_there_is_room),
		on_relay(what_ended_a_line_may_change),
		on_relay(room_is_told_to_the_device),
		on_relay(what_is_kept_is_looked_at_as_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
