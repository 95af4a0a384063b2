// SPDX-License-Identifier: GPL-2.0-only
/*
 * On taps of a network namespace of this test's own, whose other side is a packet socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "backends/tap.h"
#include "unit.h"
#include "util.h"
#include "vhost.h"

#define FRAME 100 /* bytes, without the header */

static bool allowed; /* to have taps */
static struct event_loop main_loop, pair_loop;
static struct event_loop *const loops[] = { &pair_loop, &pair_loop, &pair_loop, &pair_loop };
static struct tap_options options;
static struct link *link_; /* link(2) has the name */
static unsigned int arrivals, rooms, changes;

/* In place of the kernel's: what is done about frames that it does not take. */
static int refusal;

ssize_t pwritev2(int fd, const struct iovec *segments, int count, off_t offset, int flags)
{
	if (!refusal)
		return syscall(SYS_pwritev2, fd, segments, count, offset, 0, flags);
	errno = refusal;
	return -1;
}

/* In place of devices/vhost. */
static int vhost_error;
static unsigned int vhost_pairs, vhost_attached, vhost_closed;
static int vhost_queues[LINK_PAIRS_MAX];

static int fake_attach(struct vhost *vhost, struct event_loop *loop)
{
	assert_ptr_equal(loop, &main_loop);
	vhost_attached++;
	return 0;
}

static void fake_detach(struct vhost *vhost)
{
	vhost_attached--;
}

static void fake_close(struct vhost *vhost)
{
	vhost_closed++;
}

static const struct vhost_ops fake_ops = {
	.name = "fake", .attach = fake_attach, .detach = fake_detach, .close = fake_close
};
static struct vhost fake_vhost;

int vhost_net_open(struct vhost **opened, const int *queues, unsigned int pairs)
{
	if (vhost_error)
		return vhost_error;
	vhost_pairs = pairs;
	memcpy(vhost_queues, queues, pairs * sizeof(*queues));
	*opened = &fake_vhost;
	return 0;
}

/* The device. */

static void arrived(void *device, unsigned int pair)
{
	arrivals++;
}

static void room(void *device, unsigned int pair)
{
	rooms++;
}

static void changed(void *device)
{
	changes++;
}

static int begin(void **state)
{
	arrivals = rooms = changes = 0;
	refusal = vhost_closed = vhost_attached = vhost_pairs = 0;
	vhost_error = -ENOENT;
	fake_vhost = (struct vhost){ .ops = &fake_ops };
	link_ = NULL;
	options = (struct tap_options){
		.fd = -1, .pairs = 1, .vhost = LINK_VHOST_NO, .guest_mac = { 2, 0, 0, 0, 0, 1 }
	};
	if (event_loop_create(&main_loop) < 0 || event_loop_create(&pair_loop) < 0)
		return -1;
	return catch_begin(state);
}

static int end(void **state)
{
	event_loop_destroy(&main_loop);
	event_loop_destroy(&pair_loop);
	return catch_end(state);
}

static void open_link(void)
{
	if (!allowed)
		skip();
	assert_int_equal(tap_open(&link_, &options), 0);
	link_->arrived = arrived;
	link_->room = room;
	link_->changed = changed;
}

static void attach(void)
{
	open_link();
	assert_int_equal(link_->ops->attach(link_, &main_loop, loops), 0);
}

static void detach(void)
{
	link_->ops->detach(link_);
	link_->ops->close(link_);
}

static void turn(struct event_loop *loop)
{
	while (event_loop_turn(loop, false) > 0)
		;
}

/* The host. */

static struct ifreq request_of(const char *name)
{
	struct ifreq request = { 0 };

	snprintf(request.ifr_name, IFNAMSIZ, "%s", name);
	return request;
}

static void control(unsigned long what, struct ifreq *request)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_int_equal(ioctl(fd, what, request), 0);
	close(fd);
}

static bool is_up(const char *name)
{
	struct ifreq request = request_of(name);

	control(SIOCGIFFLAGS, &request);
	return request.ifr_flags & IFF_UP;
}

static void set_up(const char *name, bool up)
{
	struct ifreq request = request_of(name);

	control(SIOCGIFFLAGS, &request);
	request.ifr_flags = up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP;
	control(SIOCSIFFLAGS, &request);
}

/* A queue of that interface, made persistent or not. */
static int make_queue(const char *name, short flags, int persistent)
{
	struct ifreq request = request_of(name);
	const int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	request.ifr_flags = flags;
	assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, persistent), 0);
	return fd;
}

#define PLAIN (IFF_TAP | IFF_NO_PI)

static void make_persistent(const char *name, short flags)
{
	close(make_queue(name, flags, 1));
}

static void unmake(const char *name, short flags)
{
	close(make_queue(name, flags, 0));
}

/* Sees all that is received by, and sent from, the interface. */
static int open_packets(const char *name)
{
	const struct sockaddr_ll at = { .sll_family = AF_PACKET,
					.sll_protocol = htons(ETH_P_ALL),
					.sll_ifindex = if_nametoindex(name) };
	const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

/* A frame of a kind that the host's kernel has no use for. */
static void make_frame(uint8_t *frame, const uint8_t *to, uint8_t what)
{
	memset(frame, what, FRAME);
	memcpy(frame, to, LINK_ADDRESS);
	frame[12] = 0x88;
	frame[13] = 0xb5;
}

static const uint8_t guest[] = { 2, 0, 0, 0, 0, 1 }, other[] = { 2, 0, 0, 0, 0, 2 };

static void host_sends(int packets, const uint8_t *to, uint8_t what)
{
	uint8_t frame[FRAME];

	make_frame(frame, to, what);
	assert_int_equal(send(packets, frame, sizeof(frame), 0), sizeof(frame));
}

/* The next frame of ours that has come, not what the kernel sends by itself. Its last byte, or -1.
 */
static int guest_gets(unsigned int pair)
{
	uint8_t header[LINK_HEADER], frame[2000];
	const struct iovec segments[] = { { header, sizeof(header) }, { frame, sizeof(frame) } };
	int64_t length;

	do {
		length = link_->ops->receive(link_, pair, segments, 2);
		assert_true(length >= 0);
		if (length == LINK_HEADER + FRAME && frame[12] == 0x88)
			return frame[FRAME - 1];
	} while (length > 0);
	return -1;
}

/* The same where there is one to come: a host that has much to do may deliver it a little later. */
static int guest_waits(unsigned int pair)
{
	int what = guest_gets(pair);

	for (unsigned int i = 0; i < 60000 && what < 0; i++) {
		usleep(1000);
		what = guest_gets(pair);
	}
	return what;
}

static int guest_sends(uint8_t what)
{
	uint8_t header[LINK_HEADER] = { 0 }, frame[FRAME];
	const struct iovec segments[] = {
		{ header, 7 }, { header + 7, 5 }, { frame, 3 }, { frame + 3, FRAME - 3 }
	};

	make_frame(frame, other, what);
	return link_->ops->send(link_, 0, segments, 4);
}

static int host_gets(int packets)
{
	uint8_t frame[2000];
	ssize_t length;

	while ((length = recv(packets, frame, sizeof(frame), 0)) >= 0)
		if (length == FRAME && frame[12] == 0x88)
			return frame[FRAME - 1];
	assert_int_equal(errno, EAGAIN);
	return -1;
}

static uint64_t counted(const counter *counter)
{
	return atomic_load(counter);
}

/* Tests. */

static void one_is_made_and_goes(void **state)
{
	struct ifreq request;

	options.has_host_mac = true;
	memcpy(options.host_mac, other, LINK_ADDRESS);
	options.host_ip.s_addr = htonl(0x0a010203);
	attach();
	assert_string_equal(link_->ops->name, "tap");
	assert_true(atomic_load(&link_->up));
	assert_true(is_up("tap0"));
	request = request_of("tap0");
	control(SIOCGIFADDR, &request);
	assert_int_equal(((struct sockaddr_in *)&request.ifr_addr)->sin_addr.s_addr,
			 htonl(0x0a010203));
	control(SIOCGIFNETMASK, &request);
	assert_int_equal(((struct sockaddr_in *)&request.ifr_addr)->sin_addr.s_addr,
			 htonl(0xffffff00));
	control(SIOCGIFHWADDR, &request);
	assert_memory_equal(request.ifr_hwaddr.sa_data, other, LINK_ADDRESS);
	assert_memory_equal(link_->mac, guest, LINK_ADDRESS);
	assert_int_equal(link_->mtu, 1500);
	assert_int_equal(link_->pairs, 1);
	assert_true(link_->features & (UINT64_C(1) << VIRTIO_NET_F_HOST_TSO4));
	detach();
	assert_int_equal(if_nametoindex("tap0"), 0);
	assert_silent();
}

static void one_by_a_name_that_is_free(void **state)
{
	options.name = "mine";
	attach();
	assert_true(is_up("mine"));
	detach();
	assert_int_equal(if_nametoindex("mine"), 0);
}

/* It is somebody's: neither set up nor given addresses. */
static void one_that_is_there_is_left_as_it_is(void **state)
{
	struct ifreq request;

	if (!allowed)
		skip();
	make_persistent("theirs", PLAIN);
	request = request_of("theirs");
	request.ifr_mtu = 1400;
	control(SIOCSIFMTU, &request);
	options.name = "theirs";
	options.host_ip.s_addr = htonl(0x0a010203);
	attach();
	assert_false(atomic_load(&link_->up));
	assert_false(is_up("theirs"));
	assert_int_equal(link_->mtu, 1400);
	detach();
	assert_int_not_equal(if_nametoindex("theirs"), 0);
	unmake("theirs", PLAIN);
	assert_silent();
}

static void what_cannot_be_had(void **state)
{
	int fd;

	if (!allowed)
		skip();
	options.name = "lo";
	assert_int_equal(tap_open(&link_, &options), -EINVAL);
	assert_said("tap lo: an interface of another kind has this name");
	options.name = "a-name-that-is-too-long";
	assert_int_equal(tap_open(&link_, &options), -EINVAL);
	assert_said("no name of an interface, which has 1 to 15 characters");
	options.name = "";
	assert_int_equal(tap_open(&link_, &options), -EINVAL);
	assert_said("no name of an interface");
	fd = make_queue("busy", PLAIN, 0);
	options.name = "busy";
	assert_int_equal(tap_open(&link_, &options), -EBUSY);
	assert_said("another process has it");
	close(fd);
}

static void descriptors_are_looked_at(void **state)
{
	if (!allowed)
		skip();
	options.fd = 999;
	assert_int_equal(tap_open(&link_, &options), -EINVAL);
	assert_said("fd 999: no such descriptor");
	options.fd = STDERR_FILENO;
	assert_int_equal(tap_open(&link_, &options), -EINVAL);
	assert_said("this is no tap");
	options.fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	assert_int_equal(tap_open(&link_, &options), -EINVAL);
	assert_said("this is no tap");
	close(options.fd);
	options.fd = make_queue("tun0", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR, 0);
	assert_int_equal(tap_open(&link_, &options), -EINVAL);
	assert_said("a tun, and no tap");
	close(options.fd);
	options.fd = make_queue("bare", IFF_TAP, 0);
	assert_int_equal(tap_open(&link_, &options), -EINVAL);
	assert_said("without IFF_VNET_HDR");
	close(options.fd);
	/* One that does, and is whoever's it was afterwards. */
	options.fd = make_queue("given", PLAIN | IFF_VNET_HDR, 0);
	fcntl(options.fd, F_SETFL, 0);
	attach();
	assert_int_equal(guest_gets(0), -1);
	detach();
	assert_int_not_equal(if_nametoindex("given"), 0);
	close(options.fd);
}

static void frames_go_both_ways(void **state)
{
	int packets;

	attach();
	packets = open_packets("tap0");
	assert_int_equal(guest_sends(1), 0);
	assert_int_equal(host_gets(packets), 1);
	assert_int_equal(counted(&link_->counts[0].sent), 1);
	host_sends(packets, guest, 2);
	host_sends(packets, guest, 3);
	assert_int_equal(guest_waits(0), 2);
	assert_int_equal(guest_waits(0), 3);
	assert_int_equal(guest_gets(0), -1);
	assert_true(counted(&link_->counts[0].received) >= 2);
	close(packets);
	detach();
}

/* Nobody is told of frames while there are no buffers, and nothing turns meanwhile. */
static void it_is_listened_to_when_there_are_buffers(void **state)
{
	int packets;

	attach();
	packets = open_packets("tap0");
	host_sends(packets, guest, 1);
	assert_int_equal(event_loop_turn(&pair_loop, false), 0);
	link_->ops->listen(link_, 0, true);
	while (arrivals < 3) /* as long as there is something to be had */
		event_loop_turn(&pair_loop, true);
	link_->ops->listen(link_, 0, false);
	assert_int_equal(event_loop_turn(&pair_loop, false), 0);
	assert_int_equal(guest_waits(0), 1);
	assert_int_equal(guest_gets(0), -1);
	link_->ops->listen(link_, 0, true);
	assert_int_equal(event_loop_turn(&pair_loop, false), 0);
	host_sends(packets, guest, 1);
	assert_int_equal(event_loop_turn(&pair_loop, true), 1);
	close(packets);
	detach();
}

static void a_frame_that_does_not_fit_is_dropped(void **state)
{
	static const size_t sizes[] = { 0, 1, LINK_HEADER, LINK_HEADER + FRAME - 1 };
	uint8_t small[LINK_HEADER + FRAME];
	struct iovec segment = { small, sizeof(small) };
	int packets;

	attach();
	packets = open_packets("tap0");
	while (guest_gets(0) >= 0)
		;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		host_sends(packets, guest, 1);
		segment.iov_len = sizes[i];
		assert_int_equal(link_->ops->receive(link_, 0, &segment, 1), -EMSGSIZE);
		assert_int_equal(counted(&link_->counts[0].receive_dropped), i + 1);
	}
	host_sends(packets, guest, 7);
	segment.iov_len = sizeof(small);
	assert_int_equal(link_->ops->receive(link_, 0, &segment, 1), sizeof(small));
	assert_int_equal(small[sizeof(small) - 1], 7);
	close(packets);
	detach();
}

static void a_frame_may_be_cut_into_as_many_parts_as_a_chain(void **state)
{
	static uint8_t bytes[4 * LINK_SEGMENTS_MAX];
	struct iovec segments[LINK_SEGMENTS_MAX];
	int packets;

	attach();
	packets = open_packets("tap0");
	for (unsigned int i = 0; i < ARRAY_SIZE(segments); i++)
		segments[i] = (struct iovec){ &bytes[4 * i], 4 };
	while (guest_gets(0) >= 0)
		;
	host_sends(packets, guest, 7);
	assert_int_equal(link_->ops->receive(link_, 0, segments, ARRAY_SIZE(segments)),
			 LINK_HEADER + FRAME);
	assert_int_equal(bytes[LINK_HEADER + FRAME - 1], 7);
	close(packets);
	detach();
}

static void the_socket_is_full(void **state)
{
	attach();
	refusal = EAGAIN;
	assert_int_equal(guest_sends(1), -EAGAIN);
	assert_int_equal(rooms, 0);
	refusal = 0;
	assert_int_equal(event_loop_turn(&pair_loop, true), 1);
	assert_int_equal(rooms, 1);
	assert_int_equal(guest_sends(1), 0);
	/* That was asked for once. */
	assert_int_equal(event_loop_turn(&pair_loop, false), 0);
	assert_int_equal(counted(&link_->counts[0].sent), 1);
	assert_int_equal(counted(&link_->counts[0].send_dropped), 0);
	detach();
}

static void what_the_host_does_not_take_is_dropped(void **state)
{
	static const int refusals[] = { ENOBUFS, ENOMEM, EIO, EINVAL, EBADFD };

	attach();
	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		refusal = refusals[i];
		assert_int_equal(guest_sends(1), 0);
		assert_int_equal(counted(&link_->counts[0].send_dropped), i + 1);
	}
	assert_int_equal(event_loop_turn(&pair_loop, false), 0);
	assert_int_equal(counted(&link_->counts[0].sent), 0);
	assert_silent();
	detach();
}

/* The kernel says EINVAL to a segment of 0 bytes, or to a header that is longer than its frame. */
static void headers_that_lie_are_the_kernels_to_refuse(void **state)
{
	struct virtio_net_hdr_mrg_rxbuf header = { 0 };
	uint8_t frame[FRAME];
	const struct iovec segments[] = { { &header, LINK_HEADER }, { frame, FRAME } };

	attach();
	make_frame(frame, other, 1);
	header.hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	assert_int_equal(link_->ops->send(link_, 0, segments, 2), 0);
	header = (struct virtio_net_hdr_mrg_rxbuf){ .hdr.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						    .hdr.csum_start = 60000 };
	assert_int_equal(link_->ops->send(link_, 0, segments, 2), 0);
	header = (struct virtio_net_hdr_mrg_rxbuf){ .hdr.hdr_len = 60000 };
	assert_int_equal(link_->ops->send(link_, 0, segments, 2), 0);
	header = (struct virtio_net_hdr_mrg_rxbuf){ 0 };
	assert_int_equal(link_->ops->send(link_, 0, segments, 1), 0); /* no frame at all */
	assert_true(counted(&link_->counts[0].send_dropped) >= 3);
	detach();
}

static void one_goes_down(void **state)
{
	attach();
	set_up("tap0", false);
	assert_int_equal(guest_sends(1), 0);
	assert_int_equal(counted(&link_->counts[0].send_dropped), 1);
	turn(&main_loop);
	assert_false(atomic_load(&link_->up));
	assert_int_equal(changes, 1);
	assert_said("tap tap0 is down");
	assert_int_equal(event_loop_turn(&pair_loop, false), 0);
	set_up("tap0", true);
	turn(&main_loop);
	assert_true(atomic_load(&link_->up));
	assert_int_equal(changes, 2);
	assert_int_equal(guest_sends(1), 0);
	assert_int_equal(counted(&link_->counts[0].sent), 1);
	/* What others do is nothing to us. */
	set_up("lo", !is_up("lo"));
	turn(&main_loop);
	assert_int_equal(changes, 2);
	detach();
}

static void remove_interface(const char *name)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} request = {
		.header = { sizeof(request), RTM_DELLINK, NLM_F_REQUEST, 0, 0 },
		.info = { .ifi_index = if_nametoindex(name) },
	};
	const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
	close(fd);
	assert_int_equal(if_nametoindex(name), 0);
}

static void one_goes_away(void **state)
{
	int packets;

	if (!allowed)
		skip();
	make_persistent("gone", PLAIN);
	set_up("gone", true);
	options.name = "gone";
	attach();
	link_->ops->listen(link_, 0, true);
	remove_interface("gone");
	turn(&pair_loop);
	turn(&main_loop);
	assert_false(atomic_load(&link_->up));
	assert_int_equal(changes, 1);
	assert_said("tap gone is gone");
	assert_int_equal(guest_sends(1), 0);
	assert_int_equal(guest_gets(0), -1);
	assert_int_equal(event_loop_turn(&pair_loop, false), 0);
	assert_int_equal(counted(&link_->counts[0].send_dropped), 1);

	make_persistent("gone", PLAIN);
	set_up("gone", true);
	turn(&main_loop);
	assert_true(atomic_load(&link_->up));
	assert_int_equal(changes, 2);
	packets = open_packets("gone");
	assert_int_equal(guest_sends(4), 0);
	assert_int_equal(host_gets(packets), 4);
	/* The kernel takes its time to send by what has only just got a carrier. */
	arrivals = 0;
	do {
		host_sends(packets, guest, 5);
		event_loop_turn(&pair_loop, false);
	} while (guest_gets(0) != 5);
	assert_true(arrivals > 0);
	close(packets);
	detach();
	unmake("gone", PLAIN);
}

/* What happened while no guest had it is known when the next one gets it. */
static void it_changes_between_two_lives(void **state)
{
	attach();
	link_->ops->detach(link_);
	set_up("tap0", false);
	assert_int_equal(link_->ops->attach(link_, &main_loop, loops), 0);
	assert_false(atomic_load(&link_->up));
	turn(&main_loop);
	assert_int_equal(changes, 0);
	set_up("tap0", true);
	turn(&main_loop);
	assert_int_equal(changes, 1);
	detach();
}

static int anywhere(unsigned int pairs)
{
	int found = -1;

	for (unsigned int i = 0; i < 60000 && found < 0; i++) {
		for (unsigned int pair = 0; pair < pairs && found < 0; pair++)
			found = guest_gets(pair);
		if (found < 0)
			usleep(1000);
	}
	return found;
}

/* Queues that the driver does not use get nothing. */
static void unused_pairs_get_no_frames(void **state)
{
	int packets;

	options.pairs = 4;
	attach();
	packets = open_packets("tap0");
	for (unsigned int used = 1; used <= 4; used++) {
		link_->ops->use_pairs(link_, used);
		for (uint8_t i = 0; i < 20; i++) {
			host_sends(packets, guest, i);
			assert_int_equal(anywhere(used), i);
		}
	}
	/* The next guest begins with one. */
	link_->ops->detach(link_);
	assert_int_equal(link_->ops->attach(link_, &main_loop, loops), 0);
	for (uint8_t i = 0; i < 20; i++) {
		host_sends(packets, guest, i);
		assert_int_equal(guest_waits(0), i);
	}
	close(packets);
	detach();
}

/* An interface that is for several queues, or for one, is so for whoever uses it. */
static void pairs_are_as_many_as_the_interface_has(void **state)
{
	if (!allowed)
		skip();
	make_persistent("several", PLAIN | IFF_MULTI_QUEUE);
	options.name = "several";
	attach();
	assert_int_equal(link_->pairs, 1);
	detach();
	unmake("several", PLAIN | IFF_MULTI_QUEUE);
	make_persistent("single", PLAIN);
	options.name = "single";
	options.pairs = 4;
	attach();
	assert_int_equal(link_->pairs, 1);
	detach();
	unmake("single", PLAIN);
	assert_silent();
}

/* Whether the kernel may hand the interface frames without a checksum, or to be cut. */
static bool may(unsigned int what)
{
	struct ethtool_value value = { .cmd = what };
	struct ifreq request = request_of("tap0");

	request.ifr_data = (void *)&value;
	control(SIOCETHTOOL, &request);
	return value.data;
}

static void accepted_offloads_reach_the_kernel(void **state)
{
	const uint64_t csum = UINT64_C(1) << VIRTIO_NET_F_GUEST_CSUM;
	const uint64_t tso = UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO4 |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_TSO6 |
			     UINT64_C(1) << VIRTIO_NET_F_GUEST_ECN;
	const uint64_t uso =
		UINT64_C(1) << VIRTIO_NET_F_GUEST_USO4 | UINT64_C(1) << VIRTIO_NET_F_GUEST_USO6;
	const struct {
		uint64_t features;
		bool csum, tso;
	} cases[] = {
		{ 0, false, false },
		{ csum, true, false },
		{ csum | tso, true, true },
		{ csum | tso | uso, true, true },
		{ csum | (uso & -uso), true,
		  false }, /* one of two that the kernel takes together */
		{ tso | uso, false, false },
		{ UINT64_MAX, true, true },
		{ 0, false, false },
	};

	attach();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		link_->ops->accept(link_, cases[i].features);
		assert_int_equal(may(ETHTOOL_GTXCSUM), cases[i].csum);
		assert_int_equal(may(ETHTOOL_GTSO), cases[i].tso);
	}
	link_->ops->accept(link_, UINT64_MAX);
	link_->ops->detach(link_);
	assert_int_equal(link_->ops->attach(link_, &main_loop, loops), 0);
	assert_false(may(ETHTOOL_GTXCSUM));
	assert_silent();
	detach();
}

static void only_frames_that_are_wanted_arrive(void **state)
{
	static const uint8_t group[] = { 0x33, 0x33, 0, 0, 0, 9 },
			     all[] = { 255, 255, 255, 255, 255, 255 };
	struct link_filter filter = { .unicast_count = 1 };
	int packets;

	attach();
	packets = open_packets("tap0");
	host_sends(packets, other, 1);
	assert_int_equal(guest_waits(0), 1); /* no filter yet */

	memcpy(filter.unicast[0], guest, LINK_ADDRESS);
	link_->ops->filter(link_, &filter);
	host_sends(packets, other, 2);
	host_sends(packets, group, 3);
	host_sends(packets, all, 4);
	host_sends(packets, guest, 5);
	assert_int_equal(guest_waits(0), 4);
	assert_int_equal(guest_waits(0), 5);
	assert_int_equal(guest_gets(0), -1);

	filter.multicast_count = 1;
	memcpy(filter.multicast[0], group, LINK_ADDRESS);
	filter.no_broadcast = true;
	link_->ops->filter(link_, &filter);
	host_sends(packets, all, 6);
	host_sends(packets, group, 7);
	assert_int_equal(guest_waits(0), 7);

	filter = (struct link_filter){ .promiscuous = true };
	link_->ops->filter(link_, &filter);
	host_sends(packets, other, 8);
	assert_int_equal(guest_waits(0), 8);
	close(packets);
	detach();
}

/* More than the kernel takes lets all pass, and never less than is wanted. */
static void long_lists_are_never_too_strict(void **state)
{
	struct link_filter filter = { 0 };
	uint8_t address[LINK_ADDRESS] = { 2, 7 };
	int packets;

	attach();
	packets = open_packets("tap0");
	for (unsigned int i = 0; i < LINK_ADDRESSES_MAX; i++) {
		address[5] = i;
		memcpy(filter.unicast[i], address, LINK_ADDRESS);
		memcpy(filter.multicast[i], address, LINK_ADDRESS);
		filter.multicast[i][0] = 0x33;
	}
	for (unsigned int count = 0; count <= LINK_ADDRESSES_MAX; count++) {
		filter.unicast_count = filter.multicast_count = count;
		link_->ops->filter(link_, &filter);
		for (unsigned int i = 0; i < count; i++) {
			host_sends(packets, filter.unicast[i], 2 * i);
			assert_int_equal(guest_waits(0), 2 * i);
			host_sends(packets, filter.multicast[i], 2 * i + 1);
			assert_int_equal(guest_waits(0), 2 * i + 1);
		}
	}
	close(packets);
	detach();
}

static void make_script(char *path, size_t size, const char *text)
{
	FILE *file;

	snprintf(path, size, "%s/script", scratch_begin());
	file = fopen(path, "we");
	fprintf(file, "#!/bin/sh\n%s\n", text);
	fclose(file);
	chmod(path, 0700);
}

static void scripts_are_run_with_its_name(void **state)
{
	char path[128];
	struct ifreq request;

	make_script(path, sizeof(path), "echo \"[$*]\"");
	options.script = options.downscript = path;
	options.host_ip.s_addr = htonl(0x0a010203);
	attach();
	assert_said("[tap0]");
	assert_true(is_up("tap0"));
	/* Addresses are the script's business then. */
	request = request_of("tap0");
	assert_int_equal(
		ioctl(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), SIOCGIFADDR, &request), -1);
	detach();
	assert_said("[tap0]");
	scratch_end();
}

static void a_script_that_fails(void **state)
{
	char path[128];

	if (!allowed)
		skip();
	make_script(path, sizeof(path), "exit 4");
	options.script = path;
	assert_int_equal(tap_open(&link_, &options), -EINVAL);
	assert_said("tap0: has ended with status 4");
	assert_int_equal(if_nametoindex("tap0"), 0);
	options.script = "no-such-script";
	options.downscript = path;
	assert_int_equal(tap_open(&link_, &options), -ENOENT);
	assert_said("no-such-script");
	scratch_end();
}

static void a_vhost_has_the_queues(void **state)
{
	const uint64_t rings = UINT64_C(1) << 29 | UINT64_C(1) << 32;

	vhost_error = 0;
	fake_vhost.features = rings | UINT64_C(1) << 41;
	options.vhost = LINK_VHOST_AUTO;
	options.pairs = 2;
	attach();
	assert_ptr_equal(link_->vhost, &fake_vhost);
	assert_int_equal(vhost_pairs, 2);
	assert_true(fcntl(vhost_queues[1], F_GETFD) >= 0);
	assert_int_equal(vhost_attached, 1);
	/* Merging is the vhost's to offer, segmentation the interface's. */
	assert_int_equal(link_->features & UINT64_C(1) << VIRTIO_NET_F_MRG_RXBUF, 0);
	assert_true(link_->features & UINT64_C(1) << VIRTIO_NET_F_HOST_TSO4);
	assert_int_equal(link_->features >> 24 << 24 & ~(UINT64_C(7) << 54), rings);
	/* Nothing of frames is nidus's any more. */
	host_sends(open_packets("tap0"), guest, 1);
	assert_int_equal(event_loop_turn(&pair_loop, false), 0);
	atomic_store(&fake_vhost.lost, true);
	fake_vhost.ended(fake_vhost.owner);
	assert_false(atomic_load(&link_->up));
	assert_int_equal(changes, 1);
	detach();
	assert_int_equal(vhost_attached, 0);
	assert_int_equal(vhost_closed, 1);
}

static void without_a_vhost(void **state)
{
	options.vhost = LINK_VHOST_AUTO;
	attach();
	assert_null(link_->vhost);
	assert_silent();
	detach();
	options.vhost = LINK_VHOST_YES;
	assert_int_equal(tap_open(&link_, &options), -ENOENT);
	assert_said("vhost-net: No such file");
	/* That was said by whom it befell. */
	vhost_error = -ENOMEM;
	assert_int_equal(tap_open(&link_, &options), -ENOMEM);
	assert_silent();
	assert_int_equal(if_nametoindex("tap0"), 0);
}

/* A network namespace of our own, in a user namespace where we are not root. */
static bool may_have_taps(void)
{
	struct ifreq request = { .ifr_flags = PLAIN };
	int fd;
	bool may;

	if (unshare(geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	may = fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0;
	if (fd >= 0)
		close(fd);
	return may;
}

#define tap_test(function)                                   \
	{                                                    \
		"tap_" #function, function, begin, end, NULL \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tap_test(one_is_made_and_goes),
		tap_test(one_by_a_name_that_is_free),
		tap_test(one_that_is_there_is_left_as_it_is),
		tap_test(what_cannot_be_had),
		tap_test(descriptors_are_looked_at),
		tap_test(frames_go_both_ways),
		tap_test(it_is_listened_to_when_there_are_buffers),
		tap_test(a_frame_that_does_not_fit_is_dropped),
		tap_test(a_frame_may_be_cut_into_as_many_parts_as_a_chain),
		tap_test(the_socket_is_full),
		tap_test(what_the_host_does_not_take_is_dropped),
		tap_test(headers_that_lie_are_the_kernels_to_refuse),
		tap_test(one_goes_down),
		tap_test(one_goes_away),
		tap_test(it_changes_between_two_lives),
		tap_test(unused_pairs_get_no_frames),
		tap_test(pairs_are_as_many_as_the_interface_has),
		tap_test(accepted_offloads_reach_the_kernel),
		tap_test(only_frames_that_are_wanted_arrive),
		tap_test(long_lists_are_never_too_strict),
		tap_test(scripts_are_run_with_its_name),
		tap_test(a_script_that_fails),
		tap_test(a_vhost_has_the_queues),
		tap_test(without_a_vhost),
	};

	allowed = may_have_taps();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
