// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/event.h"
#include "unit.h"
#include "util.h"

#define MILLISECOND UINT64_C(1000000)

static struct event_loop loop;
static struct event_notifier notifier;
static struct event_timer timer;
static unsigned int notified, expired;
static pthread_t caller;

static void on_notified(struct event_notifier *which)
{
	assert_ptr_equal(which, &notifier);
	caller = pthread_self();
	notified++;
}

static void on_expired(struct event_timer *which)
{
	assert_ptr_equal(which, &timer);
	expired++;
}

static int begin(void **state)
{
	notified = expired = 0;
	if (event_loop_create(&loop) < 0 ||
	    event_notifier_create(&notifier, &loop, on_notified) < 0 ||
	    event_timer_create(&timer, &loop, CLOCK_MONOTONIC, on_expired) < 0)
		return -1;
	return catch_begin(state);
}

static int finish(void **state)
{
	event_timer_destroy(&timer);
	event_notifier_destroy(&notifier);
	event_loop_destroy(&loop);
	return catch_end(state);
}

/* Whether a turn of the loop would not wait longer than this. */
static bool ready_within(int milliseconds)
{
	struct epoll_event event;

	return epoll_wait(loop.epoll_fd, &event, 1, milliseconds) == 1;
}

/* Notifiers. */

static void notification_arrives_once(void **state)
{
	event_notify(&notifier);
	event_notify(&notifier);
	event_notify(&notifier);
	assert_int_equal(event_loop_turn(&loop, true), 1);
	assert_int_equal(notified, 1);
	assert_false(ready_within(0));
}

/* One that comes while the function runs has it called again. */
static void renotify(struct event_notifier *which)
{
	if (++notified < 3)
		event_notify(which);
}

static void notifications_within_a_turn_are_not_lost(void **state)
{
	notifier.notified = renotify;
	event_notify(&notifier);
	for (unsigned int i = 1; i <= 3; i++) {
		assert_int_equal(event_loop_turn(&loop, true), 1);
		assert_int_equal(notified, i);
	}
	assert_int_equal(event_loop_turn(&loop, false), 0);
}

static void notifications_after_a_turn_count_again(void **state)
{
	for (unsigned int i = 1; i <= 3; i++) {
		event_notify(&notifier);
		assert_int_equal(event_loop_turn(&loop, true), 1);
		assert_int_equal(notified, i);
	}
}

static void *notify_later(void *opaque)
{
	const struct timespec later = { .tv_nsec = 20 * MILLISECOND };

	nanosleep(&later, NULL);
	event_notify(&notifier);
	return NULL;
}

static void another_thread_wakes_the_loop(void **state)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, notify_later, NULL), 0);
	assert_int_equal(event_loop_turn(&loop, true), 1);
	assert_int_equal(notified, 1);
	assert_true(pthread_equal(caller, pthread_self()));
	pthread_join(thread, NULL);
}

/* Timers. */

static void timer_expires_once_and_not_early(void **state)
{
	uint64_t start = clock_ns();

	event_timer_in(&timer, 30 * MILLISECOND);
	assert_int_equal(event_loop_turn(&loop, true), 1);
	assert_int_equal(expired, 1);
	assert_true(clock_ns() - start >= 30 * MILLISECOND);
	assert_false(ready_within(50));
}

static void disarmed_timer_does_not_expire(void **state)
{
	event_timer_in(&timer, 10 * MILLISECOND);
	event_timer_disarm(&timer);
	assert_false(ready_within(50));
}

static void disarming_after_expiry_is_in_time(void **state)
{
	/* Expired, but the loop has not come round yet. */
	event_timer_in(&timer, 1);
	assert_true(ready_within(10000));
	event_timer_disarm(&timer);
	assert_false(ready_within(0));
}

static void arming_again_replaces(void **state)
{
	event_timer_in(&timer, 10 * MILLISECOND);
	event_timer_in(&timer, UINT64_C(3600) * 1000 * MILLISECOND);
	assert_false(ready_within(50));
	event_timer_in(&timer, MILLISECOND);
	assert_int_equal(event_loop_turn(&loop, true), 1);
	assert_int_equal(expired, 1);
}

static void moment_in_the_past_comes_at_once(void **state)
{
	struct event_timer clock;

	assert_int_equal(event_timer_create(&clock, &loop, CLOCK_REALTIME, on_expired), 0);
	event_timer_at(&clock, time(NULL) - 10);
	assert_true(ready_within(10000));
	event_timer_at(&clock, time(NULL) + 3600);
	assert_false(ready_within(0));
	event_timer_destroy(&clock);
}

/* Sources. */

struct pipe_source {
	struct event_source source;
	int write_fd;
	uint32_t events;
	unsigned int calls;
	struct pipe_source *removes; /* another one, when called */
};

static void on_pipe(struct event_source *source, uint32_t events)
{
	struct pipe_source *pipe = container_of(source, struct pipe_source, source);

	pipe->events = events;
	pipe->calls++;
	if (pipe->removes)
		event_remove(&loop, &pipe->removes->source);
}

static void pipe_begin(struct pipe_source *source)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	*source = (struct pipe_source){
		.source = { .fd = fds[0], .ready = on_pipe },
		.write_fd = fds[1],
	};
}

static void pipe_end(struct pipe_source *source)
{
	close(source->source.fd);
	if (source->write_fd >= 0)
		close(source->write_fd);
}

static void source_is_called_when_ready(void **state)
{
	struct pipe_source in;

	pipe_begin(&in);
	assert_int_equal(event_add(&loop, &in.source, EPOLLIN), 0);
	assert_false(ready_within(0));
	assert_int_equal(write(in.write_fd, "x", 1), 1);
	assert_int_equal(event_loop_turn(&loop, true), 1);
	assert_int_equal(in.calls, 1);
	assert_int_equal(in.events, EPOLLIN);
	event_remove(&loop, &in.source);
	assert_false(ready_within(0));
	pipe_end(&in);
}

static void modified_source_waits_for_what_is_asked(void **state)
{
	struct pipe_source in;

	pipe_begin(&in);
	assert_int_equal(event_add(&loop, &in.source, 0), 0);
	assert_int_equal(write(in.write_fd, "x", 1), 1);
	assert_false(ready_within(0));
	event_modify(&loop, &in.source, EPOLLIN);
	assert_true(ready_within(0));
	event_modify(&loop, &in.source, 0);
	assert_false(ready_within(0));
	event_remove(&loop, &in.source);
	pipe_end(&in);
}

static void hangup_is_told(void **state)
{
	struct pipe_source in;

	pipe_begin(&in);
	assert_int_equal(event_add(&loop, &in.source, 0), 0);
	close(in.write_fd);
	in.write_fd = -1;
	assert_int_equal(event_loop_turn(&loop, true), 1);
	assert_int_equal(in.events, EPOLLHUP);
	event_remove(&loop, &in.source);
	pipe_end(&in);
}

static void removed_source_is_not_called(void **state)
{
	struct pipe_source one, other;

	pipe_begin(&one);
	pipe_begin(&other);
	one.removes = &other;
	other.removes = &one;
	assert_int_equal(event_add(&loop, &one.source, EPOLLIN), 0);
	assert_int_equal(event_add(&loop, &other.source, EPOLLIN), 0);
	assert_int_equal(write(one.write_fd, "x", 1), 1);
	assert_int_equal(write(other.write_fd, "x", 1), 1);
	/* Whichever comes first takes the other one away. */
	assert_int_equal(event_loop_turn(&loop, true), 1);
	assert_int_equal(event_loop_turn(&loop, true), 1);
	assert_int_equal(one.calls + other.calls, 2);
	assert_true(one.calls == 0 || other.calls == 0);
	pipe_end(&one);
	pipe_end(&other);
}

static void files_that_are_always_ready_are_refused(void **state)
{
	struct event_source null = { .fd = open("/dev/null", O_RDWR | O_CLOEXEC) };

	assert_int_equal(event_add(&loop, &null, EPOLLIN), -EPERM);
	assert_silent();
	close(null.fd);
}

static void on_signal(int signal)
{
}

static void a_turn_need_not_wait(void **state)
{
	assert_int_equal(event_loop_turn(&loop, false), 0);
	event_timer_in(&timer, 1);
	assert_true(ready_within(10000));
	event_notify(&notifier);
	while (event_loop_turn(&loop, false) == 1 || expired == 0)
		;
	assert_int_equal(notified, 1);
	assert_int_equal(expired, 1);
}

static void a_signal_ends_a_turn_without_error(void **state)
{
	/* Again and again, in case that the first one comes before the loop waits. */
	const struct itimerval soon = { { .tv_usec = 20000 }, { .tv_usec = 20000 } }, never = { 0 };
	const struct sigaction action = { .sa_handler = on_signal };
	struct sigaction before;

	assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
	assert_int_equal(event_loop_turn(&loop, true), 0);
	assert_silent();
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
}

static void a_broken_loop_is_an_error(void **state)
{
	struct event_loop broken = { .epoll_fd = -1 };

	assert_int_equal(event_loop_turn(&broken, true), -EBADF);
	assert_said("event loop: Bad file descriptor");
}

/* Somebody else waits for the descriptor, and may read it. */
static void a_notifier_that_has_left_is_not_called(void **state)
{
	uint64_t count;

	event_notifier_leave(&notifier);
	event_notify(&notifier);
	assert_int_equal(event_loop_turn(&loop, false), 0);
	assert_int_equal(read(notifier.source.fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(event_notifier_return(&notifier), 0);
	assert_int_equal(event_loop_turn(&loop, false), 0);
	/* What nobody has read is told. */
	event_notifier_leave(&notifier);
	event_notify(&notifier);
	assert_int_equal(event_notifier_return(&notifier), 0);
	assert_int_equal(event_loop_turn(&loop, false), 1);
	assert_int_equal(notified, 1);
	event_notify(&notifier);
	assert_int_equal(event_loop_turn(&loop, false), 1);
	assert_silent();
	assert_int_equal(event_notifier_return(&notifier), -EEXIST);
	assert_said("eventfd: File exists");
}

#define on_loop(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_loop(a_notifier_that_has_left_is_not_called),
		on_loop(notification_arrives_once),
		on_loop(notifications_within_a_turn_are_not_lost),
		on_loop(notifications_after_a_turn_count_again),
		on_loop(another_thread_wakes_the_loop),
		on_loop(timer_expires_once_and_not_early),
		on_loop(disarmed_timer_does_not_expire),
		on_loop(disarming_after_expiry_is_in_time),
		on_loop(arming_again_replaces),
		on_loop(moment_in_the_past_comes_at_once),
		on_loop(source_is_called_when_ready),
		on_loop(modified_source_waits_for_what_is_asked),
		on_loop(hangup_is_told),
		on_loop(removed_source_is_not_called),
		on_loop(files_that_are_always_ready_are_refused),
		on_loop(a_turn_need_not_wait),
		on_loop(a_signal_ends_a_turn_without_error),
		on_loop(a_broken_loop_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
