// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host/event.h"
#include "host/log.h"
#include "util.h"

#define NS_PER_SECOND UINT64_C(1000000000)

/* #syscalls loop: epoll_create1 close */
int event_loop_create(struct event_loop *loop)
{
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		int err = -errno;

		log_error("event loop: %s", log_reason(-err));
		return err;
	}
	return 0;
}

void event_loop_destroy(struct event_loop *loop)
{
	close(loop->epoll_fd);
}

/* #syscalls loop worker: epoll_pwait */
int event_loop_turn(struct event_loop *loop, bool wait)
{
	/*
	 * One event a turn: the callback of one may remove the source of another, which a batch
	 * would still call. Sources are few, and what is not handed out waits for the next turn.
	 */
	struct epoll_event event;
	int count = epoll_wait(loop->epoll_fd, &event, 1, wait ? -1 : 0);

	if (count < 0) {
		int err = -errno;

		if (err == -EINTR)
			return 0;
		log_error("event loop: %s", strerror(-err));
		return err;
	}
	if (count == 1) {
		struct event_source *source = event.data.ptr;

		source->ready(source, event.events);
	}
	return count;
}

/* #syscalls all: epoll_ctl */
int event_add(struct event_loop *loop, struct event_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0)
		return -errno;
	return 0;
}

void event_modify(struct event_loop *loop, struct event_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	/* Fails only for a source that was never added, which is a mistake of the caller. */
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event);
}

void event_remove(struct event_loop *loop, struct event_source *source)
{
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
}

/* Registers a descriptor that this file has just made, and closes it if that fails. */
static int event_own(struct event_loop *loop, struct event_source *source, uint32_t events,
		     const char *what)
{
	int err = source->fd < 0 ? -errno : event_add(loop, source, events);

	if (err < 0) {
		log_error("%s: %s", what, log_reason(-err));
		if (source->fd >= 0)
			close(source->fd);
	}
	return err;
}

static void event_disown(struct event_loop *loop, struct event_source *source)
{
	event_remove(loop, source);
	close(source->fd);
}

static void notifier_ready(struct event_source *source, uint32_t events)
{
	struct event_notifier *notifier = container_of(source, struct event_notifier, source);

	(void)events;
	notifier->notified(notifier);
}

/* Each write is an edge, whatever the counter says, so a kick takes no read(2). */
#define NOTIFIER_EVENTS (EPOLLIN | EPOLLET)

/* #syscalls loop: eventfd2 */
int event_notifier_create(struct event_notifier *notifier, struct event_loop *loop,
			  void (*notified)(struct event_notifier *notifier))
{
	notifier->source.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	notifier->source.ready = notifier_ready;
	notifier->loop = loop;
	notifier->notified = notified;
	return event_own(loop, &notifier->source, NOTIFIER_EVENTS, "eventfd");
}

void event_notifier_destroy(struct event_notifier *notifier)
{
	event_disown(notifier->loop, &notifier->source);
}

void event_notifier_leave(struct event_notifier *notifier)
{
	event_remove(notifier->loop, &notifier->source);
}

int event_notifier_return(struct event_notifier *notifier)
{
	int err = event_add(notifier->loop, &notifier->source, NOTIFIER_EVENTS);

	if (err < 0)
		log_error("eventfd: %s", log_reason(-err));
	return err;
}

/* #syscalls all: write */
void event_notify(struct event_notifier *notifier)
{
	const uint64_t one = 1;
	/* Fails only when the counter is full, which takes 2^64 calls. */
	ssize_t ignored = write(notifier->source.fd, &one, sizeof(one));

	(void)ignored;
}

/* #syscalls loop worker: read */
static void timer_ready(struct event_source *source, uint32_t events)
{
	struct event_timer *timer = container_of(source, struct event_timer, source);
	uint64_t count;

	(void)events;
	/* There is nothing to read where it was armed anew meanwhile. */
	if (read(source->fd, &count, sizeof(count)) == sizeof(count))
		timer->expired(timer);
}

/* #syscalls loop: timerfd_create */
int event_timer_create(struct event_timer *timer, struct event_loop *loop, int clock,
		       void (*expired)(struct event_timer *timer))
{
	timer->source.fd = timerfd_create(clock, TFD_CLOEXEC | TFD_NONBLOCK);
	timer->source.ready = timer_ready;
	timer->loop = loop;
	timer->expired = expired;
	return event_own(loop, &timer->source, EPOLLIN, "timerfd");
}

void event_timer_destroy(struct event_timer *timer)
{
	event_disown(timer->loop, &timer->source);
}

/* #syscalls all: timerfd_settime */
void event_timer_in(struct event_timer *timer, uint64_t nanoseconds)
{
	const struct itimerspec in = {
		.it_value.tv_sec = nanoseconds / NS_PER_SECOND,
		.it_value.tv_nsec = nanoseconds % NS_PER_SECOND,
	};

	timerfd_settime(timer->source.fd, 0, &in, NULL);
}

void event_timer_at(struct event_timer *timer, uint64_t seconds)
{
	const struct itimerspec at = { .it_value.tv_sec = seconds };

	timerfd_settime(timer->source.fd, TFD_TIMER_ABSTIME, &at, NULL);
}

void event_timer_disarm(struct event_timer *timer)
{
	const struct itimerspec never = { 0 };

	timerfd_settime(timer->source.fd, 0, &never, NULL);
}
