// SPDX-License-Identifier: GPL-2.0-only
#include <poll.h>
#include <signal.h>

#include "host/verdict.h"
#include "unit.h"
#include "util.h"

static struct event_loop loop;
static struct verdict verdict;

static int begin(void **state)
{
	return event_loop_create(&loop) < 0 || verdict_create(&verdict, &loop) < 0 ? -1 : 0;
}

static int finish(void **state)
{
	verdict_destroy(&verdict);
	event_loop_destroy(&loop);
	return 0;
}

/* Takes nothing from the loop. */
static bool loop_is_woken(void)
{
	struct pollfd epoll = { .fd = loop.epoll_fd, .events = POLLIN };

	return poll(&epoll, 1, 0) == 1;
}

static void begins_running(void **state)
{
	assert_int_equal(verdict_outcome(&verdict), OUTCOME_RUNNING);
	assert_false(loop_is_woken());
}

static void reaching_wakes_the_loop(void **state)
{
	verdict_reach(&verdict, OUTCOME_SHUTDOWN);
	assert_true(loop_is_woken());
	assert_int_equal(event_loop_turn(&loop, true), 1);
	assert_int_equal(verdict_outcome(&verdict), OUTCOME_SHUTDOWN);
	assert_false(loop_is_woken());
}

/* What the outcome is when `later` comes after `first`. */
static enum outcome of_both(enum outcome first, enum outcome later)
{
	atomic_store(&verdict.outcome, OUTCOME_RUNNING);
	verdict_reach(&verdict, first);
	assert_int_equal(verdict_outcome(&verdict), first);
	verdict_reach(&verdict, later);
	return verdict_outcome(&verdict);
}

static void what_the_guest_did_overrules_nothing(void **state)
{
	static const enum outcome guests[] = { OUTCOME_SHUTDOWN, OUTCOME_RESET, OUTCOME_CRASHED,
					       OUTCOME_KVM_FAILED };

	for (enum outcome first = OUTCOME_SHUTDOWN; first <= OUTCOME_HOST_ERROR; first++)
		for (size_t i = 0; i < ARRAY_SIZE(guests); i++)
			assert_int_equal(of_both(first, guests[i]), first);
}

static void the_escape_key_overrules_a_reset_only(void **state)
{
	for (enum outcome first = OUTCOME_SHUTDOWN; first <= OUTCOME_HOST_ERROR; first++)
		assert_int_equal(of_both(first, OUTCOME_QUIT),
				 first == OUTCOME_RESET ? OUTCOME_QUIT : first);
}

/* It is known to have been typed all the same. */
static void the_escape_key_is_never_lost(void **state)
{
	for (enum outcome first = OUTCOME_SHUTDOWN; first <= OUTCOME_HOST_ERROR; first++) {
		atomic_store(&verdict.quit, false);
		verdict_reach(&verdict, first);
		while (loop_is_woken())
			event_loop_turn(&loop, true);
		assert_int_equal(verdict_quit(&verdict), first == OUTCOME_QUIT);
		verdict_reach(&verdict, OUTCOME_QUIT);
		assert_true(verdict_quit(&verdict));
		assert_true(loop_is_woken());
	}
}

static void the_host_overrules_a_good_end(void **state)
{
	for (enum outcome first = OUTCOME_SHUTDOWN; first <= OUTCOME_HOST_ERROR; first++) {
		const bool bad = first == OUTCOME_CRASHED || first == OUTCOME_KVM_FAILED;

		assert_int_equal(of_both(first, OUTCOME_HOST_ERROR),
				 bad ? first : OUTCOME_HOST_ERROR);
	}
}

static void a_signal_overrules(void **state)
{
	for (enum outcome first = OUTCOME_RUNNING; first <= OUTCOME_HOST_ERROR; first++) {
		atomic_store(&verdict.outcome, OUTCOME_RUNNING);
		verdict_reach(&verdict, first);
		verdict_kill(&verdict, SIGTERM);
		assert_int_equal(verdict_outcome(&verdict), OUTCOME_KILLED);
		assert_int_equal(verdict.signal, SIGTERM);
	}
}

static void a_signal_wakes_the_loop(void **state)
{
	verdict_kill(&verdict, SIGHUP);
	assert_true(loop_is_woken());
}

static void nothing_overrules_a_signal(void **state)
{
	verdict_kill(&verdict, SIGINT);
	for (enum outcome later = OUTCOME_SHUTDOWN; later <= OUTCOME_HOST_ERROR; later++) {
		verdict_reach(&verdict, later);
		assert_int_equal(verdict_outcome(&verdict), OUTCOME_KILLED);
		assert_int_equal(verdict.signal, SIGINT);
	}
}

static void clearing_ends_a_reset_only(void **state)
{
	verdict_reach(&verdict, OUTCOME_RESET);
	verdict_clear(&verdict);
	assert_int_equal(verdict_outcome(&verdict), OUTCOME_RUNNING);

	/* Most of all not a signal that came in between. */
	for (enum outcome other = OUTCOME_SHUTDOWN; other <= OUTCOME_KILLED; other++) {
		if (other == OUTCOME_RESET)
			continue;
		atomic_store(&verdict.outcome, other);
		verdict_clear(&verdict);
		assert_int_equal(verdict_outcome(&verdict), other);
	}
}

static void a_cleared_verdict_can_be_reached_again(void **state)
{
	verdict_reach(&verdict, OUTCOME_RESET);
	verdict_clear(&verdict);
	verdict_reach(&verdict, OUTCOME_SHUTDOWN);
	assert_int_equal(verdict_outcome(&verdict), OUTCOME_SHUTDOWN);
}

static void outcomes_have_names(void **state)
{
	static const char *const names[] = {
		"running", "shutdown",	 "reset",      "quit",
		"crashed", "kvm-failed", "host-error", "killed",
	};

	for (enum outcome outcome = OUTCOME_RUNNING; outcome <= OUTCOME_KILLED; outcome++)
		assert_string_equal(verdict_name(outcome), names[outcome]);
}

#define on_verdict(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_verdict(begins_running),
		on_verdict(reaching_wakes_the_loop),
		on_verdict(what_the_guest_did_overrules_nothing),
		on_verdict(the_escape_key_overrules_a_reset_only),
		on_verdict(the_escape_key_is_never_lost),
		on_verdict(the_host_overrules_a_good_end),
		on_verdict(a_signal_overrules),
		on_verdict(a_signal_wakes_the_loop),
		on_verdict(nothing_overrules_a_signal),
		on_verdict(clearing_ends_a_reset_only),
		on_verdict(a_cleared_verdict_can_be_reached_again),
		cmocka_unit_test(outcomes_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
