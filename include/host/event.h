/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Event loops: a thread waits for host descriptors and calls their owners. The thread that started
 * nidus turns one, each worker (worker.h) another. Callbacks run in the thread of their loop only
 * and do not wait: all else there would wait for them.
 */
#ifndef NIDUS_EVENT_H
#define NIDUS_EVENT_H

#include <stdbool.h>
#include <stdint.h>

struct event_loop {
	int epoll_fd;
};

/* Errors: -errno, said. */
int event_loop_create(struct event_loop *loop);
void event_loop_destroy(struct event_loop *loop);

/*
 * Has one event's owner called; wait: until there is one. Returns how many events there were, 0 or
 * 1, or -errno, said.
 */
int event_loop_turn(struct event_loop *loop, bool wait);

/* A descriptor that its owner waits on; fd and the struct stay the owner's. */
struct event_source {
	int fd;
	/* events: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR as in epoll_ctl(2) */
	void (*ready)(struct event_source *source, uint32_t events);
};

/*
 * events: EPOLLIN, EPOLLOUT or none for the time being. -EPERM, not said, for files that cannot be
 * waited for because they are always ready (regular files, /dev/null). Any thread may call these,
 * but for event_remove() of a source that is then freed: that is the loop's thread's.
 */
int event_add(struct event_loop *loop, struct event_source *source, uint32_t events);
void event_modify(struct event_loop *loop, struct event_source *source, uint32_t events);
void event_remove(struct event_loop *loop, struct event_source *source);

/* A way for any thread to have a function called by the loop's thread. */
struct event_notifier {
	struct event_source source;
	struct event_loop *loop;
	void (*notified)(struct event_notifier *notifier);
};

int event_notifier_create(struct event_notifier *notifier, struct event_loop *loop,
			  void (*notified)(struct event_notifier *notifier));
void event_notifier_destroy(struct event_notifier *notifier);

/*
 * Leaves its descriptor, which is source.fd, to somebody else to wait for, and has the loop wait
 * for it again: what came meanwhile and nobody has read is told then. Any thread. Errors: -errno,
 * said; then nothing is told.
 */
void event_notifier_leave(struct event_notifier *notifier);
int event_notifier_return(struct event_notifier *notifier);

/* Any thread. Several calls before the loop comes round are one. */
void event_notify(struct event_notifier *notifier);

/* A one-shot timer whose function is called by the loop's thread. */
struct event_timer {
	struct event_source source;
	struct event_loop *loop;
	void (*expired)(struct event_timer *timer);
};

/* clock: CLOCK_MONOTONIC or CLOCK_REALTIME */
int event_timer_create(struct event_timer *timer, struct event_loop *loop, int clock,
		       void (*expired)(struct event_timer *timer));
void event_timer_destroy(struct event_timer *timer);

/*
 * Any thread. Replaces what was armed before; 0 disarms. event_timer_at() takes seconds of the
 * timer's clock.
 */
void event_timer_in(struct event_timer *timer, uint64_t nanoseconds);
void event_timer_at(struct event_timer *timer, uint64_t seconds);
void event_timer_disarm(struct event_timer *timer);

#endif
