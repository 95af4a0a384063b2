// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The main thread has the process: starts it, notices its end, and starts it
 * again after a pause. The pair's thread has the connection, alone, so frames take no lock. A new
 * connection is handed to it by an atomic, and it tells when one is over.
 *
 * Where passt has vhost-user frames go past nidus, and there is no connection here. Its vhost is
 * one and the same for each process that comes in place of the last.
 */
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "backends/passt.h"
#include "children/retry.h"
#include "host/clock.h"
#include "host/iov.h"
#include "host/log.h"
#include "links.h"
#include "passt_process.h"
#include "passt_stream.h"
#include "util.h"

#define NS_PER_MS	  UINT64_C(1000000)
#define PAUSE_MS	  1000 /* before it is started again, the first time */
#define PAUSE_MS_MAX	  60000
#define PASST_FAREWELL_MS 200 /* that it has to end once its connection has */
#define PASST_MTU	  65520 /* what it tells guests by DHCP */
#define PASST_RINGS	  2

enum passt_state {
	PASST_DOWN, /* does not run; the timer starts it */
	PASST_STARTING, /* runs, and is not ready; the timer looks again */
	PASST_UP,
};

struct passt {
	struct link link;

	/* The main thread's. */
	struct passt_process process;
	struct event_loop *main;
	enum passt_state state;
	struct event_timer timer;
	struct event_notifier over; /* broken was set */
	int starting; /* our end of its socket, until that is handed over; or -1 */
	uint64_t since; /* in this state; ns */
	struct retry retry;
	struct log_limit said;

	/* Between the two. */
	atomic_int handed; /* a connection for the pair's thread to take, or -1 */
	atomic_bool broken; /* that of the pair's thread has ended */

	/* The pair's thread's. */
	struct event_loop *pair;
	struct event_source source;
	struct event_notifier
		again; /* something was handed over, or frames are left in the stream */
	bool told; /* by that notifier, which has not come round */
	bool turning; /* a callback of ours that looks again after the device's */
	bool listening, refused; /* the device waits for frames, for room */
	uint32_t events; /* that the source is in the loop for */
	struct passt_stream stream;
};

static struct passt *passt_of(struct link *link)
{
	return container_of(link, struct passt, link);
}

/* The connection. The pair's thread. */

static void tell_again(struct passt *passt)
{
	if (!passt->told)
		event_notify(&passt->again);
	passt->told = true;
}

/* Waits for what there is a use for. */
static void set_events(struct passt *passt)
{
	const bool room = passt->refused || passt->stream.out_count > 0;
	const uint32_t events = (passt->listening ? EPOLLIN : 0) | (room ? EPOLLOUT : 0);

	if (passt->stream.fd >= 0 && events != passt->events)
		event_modify(passt->pair, &passt->source, events);
	passt->events = events;
}

static void close_stream(struct passt *passt)
{
	if (passt->stream.fd < 0)
		return;
	if (passt->pair)
		event_remove(passt->pair, &passt->source);
	close(passt->stream.fd);
	passt_stream_begin(&passt->stream, -1);
}

static void lose_stream(struct passt *passt)
{
	if (passt->stream.fd < 0)
		return;
	close_stream(passt);
	/* The device gets room for what it has, which is dropped. */
	if (passt->refused)
		tell_again(passt);
	/* Of the one before that which waits to be taken the main thread knows. */
	if (atomic_load(&passt->handed) < 0) {
		atomic_store(&passt->broken, true);
		event_notify(&passt->over);
	}
}

/* Frames that were read already are told of by nobody else. */
static void look_for_frames(struct passt *passt)
{
	if (passt->listening && !passt->turning && passt_stream_has_frame(&passt->stream))
		tell_again(passt);
}

static void take_frames(struct passt *passt)
{
	if (!passt->listening)
		return;
	passt->turning = true;
	passt->link.arrived(passt->link.device, 0);
	passt->turning = false;
	look_for_frames(passt);
}

static void give_room(struct passt *passt)
{
	if (!passt->refused)
		return;
	passt->refused = false;
	passt->link.room(passt->link.device, 0);
}

static void source_ready(struct event_source *source, uint32_t events)
{
	struct passt *passt = container_of(source, struct passt, source);
	int err = 0;

	passt->stream.dry = false;
	if (events & EPOLLOUT) {
		err = passt_stream_flush(&passt->stream);
		if (err == 0)
			give_room(passt);
		set_events(passt);
	}
	if (err < 0 && err != -EAGAIN)
		lose_stream(passt);
	else if (events & EPOLLIN && passt->listening)
		take_frames(passt); /* finds out by itself when it is over */
	else if (events & (EPOLLHUP | EPOLLERR))
		lose_stream(passt);
}

/* False: there is none to take. Where the loop does not take it, it is over. */
static bool take_stream(struct passt *passt)
{
	const int fd = atomic_exchange(&passt->handed, -1);

	if (fd < 0)
		return false;
	close_stream(passt);
	passt_stream_begin(&passt->stream, fd);
	passt->source.fd = fd;
	if (passt->pair && event_add(passt->pair, &passt->source, passt->events) < 0)
		lose_stream(passt);
	return true;
}

static void again_notified(struct event_notifier *notifier)
{
	struct passt *passt = container_of(notifier, struct passt, again);

	passt->told = false;
	if (take_stream(passt) || passt->stream.fd < 0)
		give_room(passt);
	set_events(passt);
	if (passt_stream_has_frame(&passt->stream))
		take_frames(passt);
}

static int passt_send(struct link *link, unsigned int pair, const struct iovec *frame,
		      unsigned int count)
{
	struct passt *passt = passt_of(link);
	int err = -ENOTCONN;

	if (passt->stream.fd >= 0)
		err = passt_stream_send(&passt->stream, frame, count);
	if (err == -EAGAIN)
		passt->refused = true;
	else if (err < 0 && err != -EMSGSIZE)
		lose_stream(passt);
	set_events(passt);
	if (err == -EAGAIN)
		return err;
	if (err < 0)
		counter_add(&link->counts[pair].send_dropped, 1);
	else
		link_count_sent(link, pair, iov_length(frame, count));
	return 0;
}

static int64_t passt_receive(struct link *link, unsigned int pair, const struct iovec *segments,
			     unsigned int count)
{
	struct passt *passt = passt_of(link);
	int64_t length;

	if (passt->stream.fd < 0)
		return 0;
	length = passt_stream_receive(&passt->stream, segments, count);
	if (length == -EMSGSIZE) {
		counter_add(&link->counts[pair].receive_dropped, 1);
		return length;
	}
	if (length < 0) {
		if (length == -EPROTO)
			log_guest(&passt->said, "passt: sends a frame of a length that cannot be");
		lose_stream(passt);
		return 0;
	}
	if (length > 0) {
		link_count_received(link, pair, length);
		look_for_frames(passt);
	}
	return length;
}

static void passt_listen(struct link *link, unsigned int pair, bool wanted)
{
	struct passt *passt = passt_of(link);

	(void)pair;
	passt->listening = wanted;
	set_events(passt);
	look_for_frames(passt);
}

/* The process. The main thread. */

static void set_state(struct passt *passt, enum passt_state state)
{
	passt->state = state;
	passt->since = clock_ns();
}

static void tell_up(struct passt *passt, bool up)
{
	if (up)
		retry_succeeded(&passt->retry);
	if (atomic_exchange(&passt->link.up, up) != up && passt->main)
		passt->link.changed(passt->link.device);
}

/* The process is no more. */
static void go_down(struct passt *passt)
{
	if (passt->starting >= 0)
		close(passt->starting);
	passt->starting = -1;
	set_state(passt, PASST_DOWN);
	tell_up(passt, false);
	if (passt->main)
		event_timer_in(&passt->timer, retry_pause(&passt->retry));
}

static void hand_over(struct passt *passt)
{
	const int old = atomic_exchange(&passt->handed, passt->starting);

	if (old >= 0)
		close(old);
	passt->starting = -1;
	atomic_store(&passt->broken, false);
	if (passt->pair)
		event_notify(&passt->again);
	else
		take_stream(passt);
	set_state(passt, PASST_UP);
	tell_up(passt, true);
}

static void say_down(struct passt *passt, const char *how)
{
	log_guest(&passt->said, "passt %s; the guest's network is down until it is back", how);
}

static void child_ended(struct child *child, int status)
{
	struct passt *passt = container_of(child, struct passt, process.child);
	char how[CHILD_HOW];

	if (passt->state == PASST_UP)
		say_down(passt, child_how(status, how));
	go_down(passt);
}

/* It cannot be talked to; as a rule because it has ended, and then its status is what to tell. */
static void end_process(struct passt *passt, const char *what)
{
	struct child *const child = &passt->process.child;
	char how[CHILD_HOW];
	int status;

	if (child_wait(child, PASST_FAREWELL_MS, &status))
		what = child_how(status, how);
	else
		child_end(child, false);
	say_down(passt, what);
	go_down(passt);
}

static void over_notified(struct event_notifier *notifier)
{
	struct passt *passt = container_of(notifier, struct passt, over);

	if (!atomic_exchange(&passt->broken, false) || passt->state != PASST_UP)
		return;
	end_process(passt, "has closed its connection");
}

/* The device has its queues back afterwards, also where the process's end was known before. */
static void vhost_ended(void *owner)
{
	struct passt *passt = owner;

	if (passt->state == PASST_UP)
		end_process(passt, "has closed its connection");
	else if (passt->main)
		passt->link.changed(passt->link.device);
}

/*
 * With a vhost: the process, and a connection to it, the first one or another in its place. Waits
 * until passt answers, for some ten milliseconds as a rule. Errors: said; nothing runs.
 */
static int start_vhost(struct passt *passt)
{
	static const struct vhost_user_wishes wishes = {
		.name = "passt",
		.rings = PASST_RINGS,
		.rings_max = PASST_RINGS,
		.pairs = true,
		.features = UINT64_C(1) << VIRTIO_NET_F_MRG_RXBUF,
	};
	struct vhost *vhost = passt->link.vhost;
	const int fd = passt_process_start(&passt->process);
	int err = fd;

	if (fd >= 0)
		err = vhost ? vhost_user_renew(vhost, fd) : vhost_user_open(&vhost, fd, &wishes);
	if (err >= 0 && passt->main)
		err = child_watch(&passt->process.child, passt->main);
	if (err < 0) {
		child_end(&passt->process.child, false);
		return err;
	}
	if (!passt->link.vhost)
		link_hand_over(&passt->link, vhost, vhost_ended, passt);
	set_state(passt, PASST_UP);
	tell_up(passt, true);
	return 0;
}

static void start_vhost_again(struct passt *passt)
{
	/* The device may not have its queues back yet. */
	if (!atomic_load(&passt->link.vhost->lost))
		event_timer_in(&passt->timer, PASST_LOOK_MS * NS_PER_MS);
	else if (start_vhost(passt) < 0)
		go_down(passt);
	else
		log_info("passt is back");
}

static void start_again(struct passt *passt)
{
	passt->starting = passt_process_start(&passt->process);
	if (passt->starting < 0 || child_watch(&passt->process.child, passt->main) < 0) {
		child_end(&passt->process.child, false);
		go_down(passt);
		return;
	}
	set_state(passt, PASST_STARTING);
	event_timer_in(&passt->timer, PASST_LOOK_MS * NS_PER_MS);
}

static void look_whether_ready(struct passt *passt)
{
	if (passt_process_is_ready(passt->starting)) {
		hand_over(passt);
		log_info("passt is back");
	} else if (clock_ns() - passt->since > passt->process.patience * NS_PER_MS) {
		child_end(&passt->process.child, false);
		go_down(passt);
	} else {
		event_timer_in(&passt->timer, PASST_LOOK_MS * NS_PER_MS);
	}
}

static void timer_expired(struct event_timer *timer)
{
	struct passt *passt = container_of(timer, struct passt, timer);

	if (passt->state == PASST_DOWN && passt->link.vhost)
		start_vhost_again(passt);
	else if (passt->state == PASST_DOWN)
		start_again(passt);
	else if (passt->state == PASST_STARTING)
		look_whether_ready(passt);
}

/* Lives of a guest. */

static int add_source(struct passt *passt)
{
	int err;

	if (passt->stream.fd < 0)
		return 0;
	err = event_add(passt->pair, &passt->source, 0);
	if (err < 0)
		log_error("passt: %s", log_reason(-err));
	return err;
}

static int make_pair_sources(struct passt *passt, struct event_loop *pair)
{
	int err = event_notifier_create(&passt->again, pair, again_notified);

	if (err < 0)
		return err;
	passt->pair = pair;
	err = add_source(passt);
	if (err < 0) {
		passt->pair = NULL;
		event_notifier_destroy(&passt->again);
	}
	return err;
}

static int make_sources(struct passt *passt, struct event_loop *main, struct event_loop *pair)
{
	int err = event_timer_create(&passt->timer, main, CLOCK_MONOTONIC, timer_expired);

	if (err < 0)
		return err;
	err = event_notifier_create(&passt->over, main, over_notified);
	if (err == 0) {
		err = make_pair_sources(passt, pair);
		if (err < 0)
			event_notifier_destroy(&passt->over);
	}
	if (err < 0)
		event_timer_destroy(&passt->timer);
	return err;
}

static void destroy_sources(struct passt *passt)
{
	if (passt->stream.fd >= 0)
		event_remove(passt->pair, &passt->source);
	passt->pair = NULL;
	event_notifier_destroy(&passt->again);
	event_notifier_destroy(&passt->over);
	event_timer_destroy(&passt->timer);
	/* What was not taken in time. */
	take_stream(passt);
}

static int watch(struct passt *passt, struct event_loop *main)
{
	struct vhost *const vhost = passt->link.vhost;
	int err = 0;

	if (passt->process.child.pid)
		err = child_watch(&passt->process.child, main);
	if (err < 0 || !vhost)
		return err;
	err = vhost->ops->attach(vhost, main);
	if (err < 0)
		child_unwatch(&passt->process.child);
	return err;
}

static int passt_attach(struct link *link, struct event_loop *main, struct event_loop *const *loops)
{
	struct passt *passt = passt_of(link);
	int err;

	passt->listening = passt->refused = passt->told = false;
	passt->events = 0;
	err = make_sources(passt, main, loops[0]);
	if (err < 0)
		return err;
	passt->main = main;
	err = watch(passt, main);
	if (err < 0) {
		passt->main = NULL;
		destroy_sources(passt);
		return err;
	}
	/* On from where the last life has left it. */
	if (passt->state != PASST_UP)
		event_timer_in(&passt->timer, PASST_LOOK_MS * NS_PER_MS);
	if (atomic_load(&passt->broken))
		event_notify(&passt->over);
	set_events(passt);
	return 0;
}

static void passt_detach(struct link *link)
{
	struct passt *passt = passt_of(link);

	if (link->vhost)
		link->vhost->ops->detach(link->vhost);
	child_unwatch(&passt->process.child);
	destroy_sources(passt);
	passt->main = NULL;
}

static void passt_accept(struct link *link, uint64_t features)
{
	/* It has no offloads. */
	(void)link;
	(void)features;
}

static void passt_close(struct link *link)
{
	struct passt *passt = passt_of(link);

	if (link->vhost)
		link->vhost->ops->close(link->vhost);
	close_stream(passt);
	if (passt->starting >= 0)
		close(passt->starting);
	passt_process_release(&passt->process);
	free(passt);
}

static const struct link_ops passt_ops = {
	.name = "passt",
	.attach = passt_attach,
	.detach = passt_detach,
	.accept = passt_accept,
	.send = passt_send,
	.receive = passt_receive,
	.listen = passt_listen,
	.close = passt_close,
};

/* Opening. */

static int open_stream(struct passt *passt)
{
	int err;

	passt->starting = passt_process_start(&passt->process);
	if (passt->starting < 0)
		return passt->starting;
	err = passt_process_wait(&passt->process, passt->starting);
	if (err < 0)
		close(passt->starting);
	else
		hand_over(passt);
	return err;
}

int passt_open(struct link **opened, const struct passt_options *options)
{
	struct passt *passt = calloc(1, sizeof(*passt));
	int err;

	if (!passt) {
		log_error("passt: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	passt->link.ops = &passt_ops;
	passt->link.features = LINK_BIT(VIRTIO_NET_F_MRG_RXBUF);
	passt->link.pairs = 1;
	passt->link.mtu = PASST_MTU;
	memcpy(passt->link.mac, options->guest_mac, LINK_ADDRESS);
	passt->source.ready = source_ready;
	passt->starting = -1;
	passt->retry.shortest = PAUSE_MS * NS_PER_MS;
	passt->retry.longest = PAUSE_MS_MAX * NS_PER_MS;
	atomic_init(&passt->handed, -1);
	passt_stream_begin(&passt->stream, -1);
	err = passt_process_prepare(&passt->process, options);
	passt->process.child.ended = child_ended;
	if (err == 0)
		err = passt->process.vhost_user ? start_vhost(passt) : open_stream(passt);
	if (err < 0) {
		passt_process_release(&passt->process);
		free(passt);
		return err;
	}
	*opened = &passt->link;
	return 0;
}
