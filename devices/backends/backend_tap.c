// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A queue is in the loop of its pair only for what is wanted of it: frames,
 * while the device has buffers, and room, when the interface has refused a frame. Where there is a
 * vhost, no queue is in a loop.
 *
 * What the driver has asked for (offloads, queues, filter) is the kernel's to do, so it holds for a
 * vhost as well. It is kept for an interface that goes away and comes back by its name, to which
 * the same descriptors are connected anew. Whether it is there, and up, is looked at when the
 * kernel tells of a change of any interface.
 */
#include <errno.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/iov.h"
#include "host/log.h"
#include "links.h"
#include "tap_interface.h"
#include "util.h"

/* Addresses that the kernel compares one by one; others have to be multicast, and are hashed. */
#define EXACT_MAX 8

/* A struct tun_filter with all that a filter may have: the broadcast address, and both lists. */
struct kernel_filter {
	uint16_t flags, count;
	uint8_t addresses[1 + 2 * LINK_ADDRESSES_MAX][LINK_ADDRESS];
};

struct tap_queue {
	struct tap *tap;
	struct event_loop *loop;
	struct event_source source;
	pthread_mutex_t lock; /* guards all below: the pair's thread, and main's */
	bool listed; /* is in the loop */
	uint32_t events; /* that it is in the loop for */
};

struct tap {
	struct link link;
	struct tap_interface interface;
	struct tap_queue queues[LINK_PAIRS_MAX];
	struct event_loop *main;
	struct event_source changes; /* of interfaces */
	struct event_notifier
		vanished; /* a queue's thread has seen that it is connected to nothing */
	bool gone; /* the main thread's */

	pthread_mutex_t lock; /* guards all below: what the kernel was told last */
	unsigned int offloads, pairs;
	struct kernel_filter filter;
};

static struct tap *tap_of(struct link *link)
{
	return container_of(link, struct tap, link);
}

/* What the kernel does for the driver. With the tap's lock held. */

/* #syscalls loop served worker: ioctl(TUNSETOFFLOAD) ioctl(TUNSETTXFILTER) ioctl(TUNSETQUEUE) */
static void tell_offloads(struct tap *tap)
{
	ioctl(tap->interface.queues[0], TUNSETOFFLOAD, tap->offloads);
}

static void tell_filter(struct tap *tap)
{
	/* A macvtap has none, and delivers more than is asked for. */
	ioctl(tap->interface.queues[0], TUNSETTXFILTER, &tap->filter);
}

static void tell_pairs(struct tap *tap)
{
	for (unsigned int i = 1; i < tap->interface.pairs; i++) {
		struct ifreq request = {
			.ifr_flags = i < tap->pairs ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE,
		};

		/* Refused where it is so already. */
		ioctl(tap->interface.queues[i], TUNSETQUEUE, &request);
	}
}

static void tell_all(struct tap *tap)
{
	tell_offloads(tap);
	tell_filter(tap);
	tell_pairs(tap);
}

static unsigned int offloads_of(uint64_t features)
{
	static const struct {
		uint64_t features;
		unsigned int offloads;
	} pairs[] = {
		{ LINK_BIT(VIRTIO_NET_F_GUEST_TSO4), TUN_F_TSO4 },
		{ LINK_BIT(VIRTIO_NET_F_GUEST_TSO6), TUN_F_TSO6 },
		{ LINK_BIT(VIRTIO_NET_F_GUEST_ECN), TUN_F_TSO_ECN },
		/* The kernel takes both or none. */
		{ LINK_BIT(VIRTIO_NET_F_GUEST_USO4) | LINK_BIT(VIRTIO_NET_F_GUEST_USO6),
		  TUN_F_USO4 | TUN_F_USO6 },
	};
	unsigned int offloads = TUN_F_CSUM;

	if (!(features & LINK_BIT(VIRTIO_NET_F_GUEST_CSUM)))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++)
		if ((features & pairs[i].features) == pairs[i].features)
			offloads |= pairs[i].offloads;
	return offloads;
}

static void tap_accept(struct link *link, uint64_t features)
{
	struct tap *tap = tap_of(link);

	pthread_mutex_lock(&tap->lock);
	tap->offloads = offloads_of(features) & tap->interface.offloads;
	tell_offloads(tap);
	pthread_mutex_unlock(&tap->lock);
}

static void tap_use_pairs(struct link *link, unsigned int pairs)
{
	struct tap *tap = tap_of(link);

	pthread_mutex_lock(&tap->lock);
	tap->pairs = pairs;
	tell_pairs(tap);
	pthread_mutex_unlock(&tap->lock);
}

static void add_addresses(struct kernel_filter *filter, const uint8_t (*addresses)[LINK_ADDRESS],
			  unsigned int number)
{
	memcpy(filter->addresses[filter->count], addresses, number * LINK_ADDRESS);
	filter->count += number;
}

/* No addresses: all frames pass. */
static void make_filter(struct kernel_filter *made, const struct link_filter *filter)
{
	static const uint8_t broadcast[1][LINK_ADDRESS] = { { 255, 255, 255, 255, 255, 255 } };
	const unsigned int exact = filter->no_unicast ? 0 : filter->unicast_count;

	*made = (struct kernel_filter){ 0 };
	if (filter->promiscuous || (filter->all_unicast && !filter->no_unicast))
		return;
	if (!filter->no_broadcast)
		add_addresses(made, broadcast, 1);
	if (made->count + exact > EXACT_MAX) {
		made->count = 0;
		return;
	}
	add_addresses(made, filter->unicast, exact);
	if (filter->no_multicast)
		return;
	if (filter->all_multicast)
		made->flags = TUN_FLT_ALLMULTI;
	else
		add_addresses(made, filter->multicast, filter->multicast_count);
}

static void tap_filter(struct link *link, const struct link_filter *filter)
{
	struct tap *tap = tap_of(link);

	pthread_mutex_lock(&tap->lock);
	make_filter(&tap->filter, filter);
	tell_filter(tap);
	pthread_mutex_unlock(&tap->lock);
}

/* Frames. */

static void set_events(struct tap_queue *queue, uint32_t set, uint32_t clear)
{
	pthread_mutex_lock(&queue->lock);
	queue->events = (queue->events & ~clear) | set;
	if (queue->listed)
		event_modify(queue->loop, &queue->source, queue->events);
	pthread_mutex_unlock(&queue->lock);
}

/* #syscalls worker: pwritev2 */
static int tap_send(struct link *link, unsigned int pair, const struct iovec *frame,
		    unsigned int segments)
{
	struct tap *tap = tap_of(link);
	ssize_t done;

	do
		done = pwritev2(tap->interface.queues[pair], frame, segments, -1, 0);
	while (done < 0 && errno == EINTR);
	if (done < 0 && errno == EAGAIN) {
		set_events(&tap->queues[pair], EPOLLOUT, 0);
		return -EAGAIN;
	}
	/* It is down or gone, has no memory, or makes no sense of the header. */
	if (done < 0)
		counter_add(&link->counts[pair].send_dropped, 1);
	else
		link_count_sent(link, pair, iov_length(frame, segments));
	return 0;
}

/*
 * Of a frame that is longer than there is room for the kernel tells no more than how much room
 * there was. So where that is possible there is room for a byte more.
 */
/* #syscalls worker: preadv2 */
static ssize_t read_frame(int fd, const struct iovec *segments, unsigned int number)
{
	struct iovec roomier[LINK_SEGMENTS_MAX + 1];
	uint8_t more;

	if (number > LINK_SEGMENTS_MAX || iov_length(segments, number) >= LINK_FRAME_MAX)
		return preadv2(fd, segments, number, -1, 0);
	memcpy(roomier, segments, number * sizeof(*segments));
	roomier[number] = (struct iovec){ &more, sizeof(more) };
	return preadv2(fd, roomier, number + 1, -1, 0);
}

static int64_t tap_receive(struct link *link, unsigned int pair, const struct iovec *segments,
			   unsigned int number)
{
	const int fd = tap_of(link)->interface.queues[pair];
	ssize_t done;

	do
		done = read_frame(fd, segments, number);
	while (done < 0 && errno == EINTR);
	/* EINVAL: not even the header has room. Of all other errors a look at the interface tells.
	 */
	if ((done < 0 && errno == EINVAL) ||
	    (done > 0 && (size_t)done > iov_length(segments, number))) {
		counter_add(&link->counts[pair].receive_dropped, 1);
		return -EMSGSIZE;
	}
	if (done <= 0)
		return 0;
	link_count_received(link, pair, done);
	return done;
}

static void tap_listen(struct link *link, unsigned int pair, bool wanted)
{
	set_events(&tap_of(link)->queues[pair], wanted ? EPOLLIN : 0, wanted ? 0 : EPOLLIN);
}

static int list_queue(struct tap_queue *queue)
{
	int err = 0;

	pthread_mutex_lock(&queue->lock);
	if (!queue->listed)
		err = event_add(queue->loop, &queue->source, queue->events);
	queue->listed = err == 0;
	pthread_mutex_unlock(&queue->lock);
	return err;
}

static void unlist_queue(struct tap_queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	if (queue->listed)
		event_remove(queue->loop, &queue->source);
	queue->listed = false;
	pthread_mutex_unlock(&queue->lock);
}

static void queue_ready(struct event_source *source, uint32_t events)
{
	struct tap_queue *queue = container_of(source, struct tap_queue, source);
	struct link *link = &queue->tap->link;
	const unsigned int pair = queue - queue->tap->queues;

	if (events & (EPOLLERR | EPOLLHUP)) {
		/* That would be told for ever. */
		unlist_queue(queue);
		event_notify(&queue->tap->vanished);
		return;
	}
	if (events & EPOLLOUT) {
		set_events(queue, 0, EPOLLOUT);
		link->room(link->device, pair);
	}
	/* The device may have run out of buffers just now; only its thread changes this bit. */
	if (events & queue->events & EPOLLIN)
		link->arrived(link->device, pair);
}

/* Its state. The main thread. */

/* An interface of its name has appeared. */
static bool come_back(struct tap *tap)
{
	bool back;

	pthread_mutex_lock(&tap->lock);
	back = tap_interface_return(&tap->interface);
	if (back)
		tell_all(tap);
	pthread_mutex_unlock(&tap->lock);
	if (!back)
		return false;
	if (!tap->link.vhost)
		for (unsigned int i = 0; i < tap->link.pairs; i++)
			list_queue(&tap->queues[i]);
	return true;
}

static bool is_up(struct tap *tap)
{
	bool up = tap_interface_is_up(&tap->interface, &tap->gone);

	if (tap->gone && come_back(tap))
		up = tap_interface_is_up(&tap->interface, &tap->gone);
	return up && !(tap->link.vhost && atomic_load(&tap->link.vhost->lost));
}

/* Returns whether that is news. */
static bool look(struct tap *tap)
{
	const bool up = is_up(tap);

	return atomic_exchange(&tap->link.up, up) != up;
}

static void look_and_tell(struct tap *tap)
{
	if (!look(tap))
		return;
	if (atomic_load(&tap->link.up))
		log_info("tap %s is up", tap->interface.name);
	else
		log_warning("tap %s %s; the guest's network is down until it is back",
			    tap->interface.name, tap->gone ? "is gone" : "is down");
	tap->link.changed(tap->link.device);
}

/* What changed is not read: it may be lost, or be of an interface that we do not know by name yet.
 */
/* #syscalls loop: recvmsg */
static void drain_changes(struct tap *tap)
{
	char bytes[4096];
	struct iovec part = { bytes, sizeof(bytes) };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };

	while (recvmsg(tap->changes.fd, &message, MSG_DONTWAIT) >= 0 || errno == ENOBUFS)
		;
}

static void changes_ready(struct event_source *source, uint32_t events)
{
	struct tap *tap = container_of(source, struct tap, changes);

	(void)events;
	drain_changes(tap);
	look_and_tell(tap);
}

static void vanished_notified(struct event_notifier *notifier)
{
	look_and_tell(container_of(notifier, struct tap, vanished));
}

static void vhost_ended(void *owner)
{
	look_and_tell(owner);
}

static int open_changes(void)
{
	struct sockaddr_nl links = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
	int err = fd < 0 ? -errno : 0;

	if (err == 0 && bind(fd, (struct sockaddr *)&links, sizeof(links)) < 0) {
		err = -errno;
		close(fd);
	}
	if (err < 0)
		log_error("netlink: %s", log_reason(-err));
	return err < 0 ? err : fd;
}

/* Lives of a guest. */

static void unlist_queues(struct tap *tap)
{
	for (unsigned int i = 0; i < tap->link.pairs; i++)
		unlist_queue(&tap->queues[i]);
}

static int list_queues(struct tap *tap, struct event_loop *const *loops)
{
	int err = 0;

	for (unsigned int i = 0; i < tap->link.pairs && err == 0; i++) {
		tap->queues[i].loop = loops[i];
		tap->queues[i].events = 0;
		err = list_queue(&tap->queues[i]);
	}
	if (err < 0) {
		log_error("tap %s: %s", tap->interface.name, log_reason(-err));
		unlist_queues(tap);
	}
	return err;
}

static int attach_frames(struct tap *tap, struct event_loop *main, struct event_loop *const *loops)
{
	struct vhost *vhost = tap->link.vhost;

	return vhost ? vhost->ops->attach(vhost, main) : list_queues(tap, loops);
}

static void detach_frames(struct tap *tap)
{
	if (tap->link.vhost)
		tap->link.vhost->ops->detach(tap->link.vhost);
	else
		unlist_queues(tap);
}

/* As it is without a driver. */
static void start_anew(struct tap *tap)
{
	pthread_mutex_lock(&tap->lock);
	tap->offloads = 0;
	tap->pairs = 1;
	tap->filter = (struct kernel_filter){ 0 };
	tell_all(tap);
	pthread_mutex_unlock(&tap->lock);
	look(tap);
}

static int tap_attach(struct link *link, struct event_loop *main, struct event_loop *const *loops)
{
	struct tap *tap = tap_of(link);
	int err = event_notifier_create(&tap->vanished, main, vanished_notified);

	if (err < 0)
		return err;
	tap->main = main;
	drain_changes(tap);
	start_anew(tap);
	err = event_add(main, &tap->changes, EPOLLIN);
	if (err < 0)
		log_error("tap %s: %s", tap->interface.name, log_reason(-err));
	if (err == 0) {
		err = attach_frames(tap, main, loops);
		if (err < 0)
			event_remove(main, &tap->changes);
	}
	if (err < 0)
		event_notifier_destroy(&tap->vanished);
	return err;
}

static void tap_detach(struct link *link)
{
	struct tap *tap = tap_of(link);

	detach_frames(tap);
	event_remove(tap->main, &tap->changes);
	event_notifier_destroy(&tap->vanished);
}

static void tap_close(struct link *link)
{
	struct tap *tap = tap_of(link);

	if (link->vhost)
		link->vhost->ops->close(link->vhost);
	tap_interface_close(&tap->interface);
	close(tap->changes.fd);
	free(tap);
}

static const struct link_ops tap_ops = {
	.name = "tap",
	.attach = tap_attach,
	.detach = tap_detach,
	.accept = tap_accept,
	.use_pairs = tap_use_pairs,
	.filter = tap_filter,
	.send = tap_send,
	.receive = tap_receive,
	.listen = tap_listen,
	.close = tap_close,
};

/* Opening. */

static uint64_t features_of(unsigned int offloads)
{
	uint64_t features = LINK_BIT(VIRTIO_NET_F_MRG_RXBUF);

	if (offloads & TUN_F_CSUM)
		features |= LINK_BIT(VIRTIO_NET_F_CSUM) | LINK_BIT(VIRTIO_NET_F_GUEST_CSUM) |
			    LINK_BIT(VIRTIO_NET_F_HOST_TSO4) | LINK_BIT(VIRTIO_NET_F_HOST_TSO6) |
			    LINK_BIT(VIRTIO_NET_F_HOST_ECN) | LINK_BIT(VIRTIO_NET_F_GUEST_TSO4) |
			    LINK_BIT(VIRTIO_NET_F_GUEST_TSO6) | LINK_BIT(VIRTIO_NET_F_GUEST_ECN);
	if (offloads & TUN_F_USO4)
		features |= LINK_BIT(VIRTIO_NET_F_HOST_USO) | LINK_BIT(VIRTIO_NET_F_GUEST_USO4) |
			    LINK_BIT(VIRTIO_NET_F_GUEST_USO6);
	return features;
}

static bool is_missing(int err)
{
	return err == -ENOENT || err == -ENODEV || err == -ENXIO || err == -EACCES || err == -EPERM;
}

static int open_vhost(struct tap *tap, enum link_vhost wanted)
{
	struct link *link = &tap->link;
	struct vhost *vhost;
	int err;

	if (wanted == LINK_VHOST_NO)
		return 0;
	err = vhost_net_open(&vhost, tap->interface.queues, link->pairs);
	if (is_missing(err) && wanted == LINK_VHOST_AUTO) {
		log_info("tap %s: without vhost-net: %s", tap->interface.name, strerror(-err));
		return 0;
	}
	if (is_missing(err))
		log_error("vhost-net: %s; the kernel needs its module, and nidus the right to open "
			  "/dev/vhost-net",
			  strerror(-err));
	if (err < 0)
		return err;
	link_hand_over(link, vhost, vhost_ended, tap);
	return 0;
}

static void set_up_link(struct tap *tap, const struct tap_options *options)
{
	const int mtu = tap_interface_mtu(&tap->interface);
	struct link *link = &tap->link;

	link->ops = &tap_ops;
	link->features = features_of(tap->interface.offloads);
	link->pairs = tap->interface.pairs;
	link->mtu = mtu > 0 && mtu <= UINT16_MAX ? mtu : 0;
	memcpy(link->mac, options->guest_mac, LINK_ADDRESS);
	pthread_mutex_init(&tap->lock, NULL);
	tap->changes.ready = changes_ready;
	for (unsigned int i = 0; i < link->pairs; i++) {
		tap->queues[i].tap = tap;
		tap->queues[i].source =
			(struct event_source){ tap->interface.queues[i], queue_ready };
		pthread_mutex_init(&tap->queues[i].lock, NULL);
	}
}

int tap_open(struct link **opened, const struct tap_options *options)
{
	struct tap *tap = calloc(1, sizeof(*tap));
	int err;

	if (!tap) {
		log_error("tap: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = tap_interface_open(&tap->interface, options);
	if (err < 0) {
		free(tap);
		return err;
	}
	set_up_link(tap, options);
	err = tap->changes.fd = open_changes();
	if (err >= 0)
		err = open_vhost(tap, options->vhost);
	if (err < 0) {
		tap_interface_close(&tap->interface);
		if (tap->changes.fd >= 0)
			close(tap->changes.fd);
		free(tap);
		return err;
	}
	start_anew(tap);
	*opened = &tap->link;
	return 0;
}
