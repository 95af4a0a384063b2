// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unit.h"

#include "devices/vhost/vhost_user.h"
#include "mm/memory.h"
#include "util.h"

/* From the specification of the protocol, and not from the code under test. */
enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	GET_QUEUE_NUM = 17,
	SET_VRING_ENABLE = 18,
	GET_CONFIG = 24,
	SET_CONFIG = 25,
	GET_INFLIGHT_FD = 31,
	SET_INFLIGHT_FD = 32,
	REQUESTS,
};

#define BIT(n)		  (UINT64_C(1) << (n))
#define VERSION_1	  BIT(32)
#define MRG_RXBUF	  BIT(15)
#define PROTOCOL_FEATURES BIT(30)
#define MQ		  BIT(0)
#define REPLY_ACK	  BIT(3)
#define CONFIG		  BIT(9)
#define INFLIGHT	  BIT(12)
#define NEED_REPLY	  8u

#define LONG_TIMEOUT  120000 /* milliseconds: for those that answer, however slowly */
#define SHORT_TIMEOUT 50

#define CONFIG_SIZE 60 /* bytes of configuration */

struct seen {
	uint32_t request, flags, size;
	uint64_t payload[40];
	bool with_fd;
	ino_t inode; /* of the descriptor that came with it */
};

enum trick {
	NONE,
	SILENT,
	CLOSED,
	CLOSED_IN_HEADER,
	CLOSED_IN_PAYLOAD,
	OTHER_REQUEST,
	TOO_SHORT,
	TOO_LONG,
	NO_REPLY_FLAG,
	OTHER_VERSION,
	WITH_DESCRIPTORS,
	DESCRIPTORS_LATER,
	REFUSED,
	ENDLESS,
	OTHER_RING,
	LARGE_BASE,
	OTHER_OFFSET,
	NO_CONFIG,
	NO_DESCRIPTOR,
	TWO_DESCRIPTORS,
	NO_FILE,
	SHORT_FILE,
	LARGE_ACCOUNT,
	FAR_ACCOUNT,
	UNREAD,
	TRICKS,
};

/* The other side: a thread that answers, properly but for one request. */
static struct {
	int socket;
	pthread_t thread;
	bool running;
	uint64_t features, protocol, queues;
	uint32_t base;
	int account; /* the file of requests in flight, or -1 */
	enum trick trick;
	uint32_t trick_at;
	uint64_t negotiated; /* protocol features */
	bool died; /* a request that it does not know, or too early */
	unsigned int count;
	struct seen seen[256];
} peer;

static struct vhost *vhost;
static struct event_loop loop;
static struct memory_file ram_file;
static struct memory memory;
static int kick, call;
static unsigned int ended_count;

static bool peer_read(void *buffer, size_t size, struct msghdr *msg)
{
	struct iovec iov = { buffer, size };
	ssize_t n;

	msg->msg_iov = &iov;
	msg->msg_iovlen = 1;
	n = recvmsg(peer.socket, msg, MSG_WAITALL | MSG_CMSG_CLOEXEC);
	return n == (ssize_t)size;
}

static bool peer_receive(struct seen *seen)
{
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(4 * sizeof(int))];
	} control;
	struct msghdr msg = { .msg_control = &control, .msg_controllen = sizeof(control) };
	struct stat st;
	int fd;

	memset(seen, 0, sizeof(*seen));
	if (!peer_read(seen, 12, &msg))
		return false;
	if (CMSG_FIRSTHDR(&msg)) {
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
		/* Exactly one. */
		seen->with_fd = CMSG_FIRSTHDR(&msg)->cmsg_len == CMSG_LEN(sizeof(int)) &&
				fstat(fd, &st) == 0;
		seen->inode = st.st_ino;
		close(fd);
	}
	if (seen->size > sizeof(seen->payload))
		return false;
	return seen->size == 0 || peer_read(seen->payload, seen->size, &(struct msghdr){ 0 });
}

static void peer_send(const void *bytes, size_t size, int descriptors)
{
	struct iovec iov = { (void *)bytes, size };
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(8 * sizeof(int))];
	} control = { .head = { CMSG_LEN(descriptors * sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[8] = { peer.account > 0 ? peer.account : 0 };

	if (descriptors > 0) {
		memcpy(CMSG_DATA(&control.head), fds, descriptors * sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
	}
	sendmsg(peer.socket, &msg, MSG_NOSIGNAL);
}

struct reply {
	uint32_t request, flags, size;
	uint32_t payload[80];
};

/* Sends a reply, with the trick if it is time for that; false: that was the last one. */
static bool peer_reply(struct reply *reply)
{
	const enum trick trick = reply->request == peer.trick_at ? peer.trick : NONE;

	switch (trick) {
	case SILENT:
		return true;
	case CLOSED:
		return false;
	case CLOSED_IN_HEADER:
		peer_send(reply, 7, 0);
		return false;
	case CLOSED_IN_PAYLOAD:
		peer_send(reply, 15, 0);
		return false;
	case OTHER_REQUEST:
		reply->request++;
		break;
	case TOO_SHORT:
		reply->size -= 4;
		break;
	case TOO_LONG:
		reply->size += 4;
		break;
	case NO_REPLY_FLAG:
		reply->flags &= ~4;
		break;
	case OTHER_VERSION:
		reply->flags ^= 3;
		break;
	case WITH_DESCRIPTORS:
		peer_send(reply, 12 + reply->size, 8);
		return true;
	case DESCRIPTORS_LATER:
		peer_send(reply, 16, 0);
		peer_send((uint8_t *)reply + 16, 4, 1);
		return true;
	case REFUSED:
		reply->payload[0] = 1;
		break;
	case OTHER_RING:
		reply->payload[0]++;
		break;
	case LARGE_BASE:
		reply->payload[1] = 0x10000;
		break;
	case OTHER_OFFSET:
		reply->payload[0] = 4;
		break;
	case NO_CONFIG:
		reply->payload[1] = 0;
		break;
	case NO_DESCRIPTOR:
		peer_send(reply, 12 + reply->size, 0);
		return true;
	case TWO_DESCRIPTORS:
		peer_send(reply, 12 + reply->size, 2);
		return true;
	case NO_FILE:
		close(peer.account);
		peer.account = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		break;
	case SHORT_FILE:
		reply->payload[0] = 8192;
		break;
	case LARGE_ACCOUNT:
		assert_int_equal(ftruncate(peer.account, 1 << 30), 0);
		reply->payload[0] = 1 << 24;
		break;
	case FAR_ACCOUNT:
		reply->payload[3] = 0xffffffff; /* the offset's upper half */
		break;
	case ENDLESS:
		reply->size = UINT32_MAX;
		while (send(peer.socket, reply, sizeof(*reply), MSG_NOSIGNAL) > 0)
			;
		return false;
	default:
		break;
	}
	peer_send(reply, 12 + reply->size, reply->request == GET_INFLIGHT_FD ? 1 : 0);
	return true;
}

static bool peer_answer(const struct seen *seen)
{
	struct reply reply = { .request = seen->request, .flags = 5, .size = 8 };
	uint64_t number;

	switch (seen->request) {
	case GET_FEATURES:
		number = peer.features;
		break;
	case GET_PROTOCOL_FEATURES:
		number = peer.protocol;
		break;
	case GET_QUEUE_NUM:
		number = peer.queues;
		break;
	case GET_VRING_BASE:
		number = (uint32_t)seen->payload[0] | (uint64_t)peer.base << 32;
		break;
	case GET_CONFIG:
		reply.size = seen->size;
		for (unsigned int i = 3; i < ARRAY_SIZE(reply.payload); i++)
			reply.payload[i] = 0x1000 + i;
		number = (uint64_t)CONFIG_SIZE << 32;
		break;
	case GET_INFLIGHT_FD:
		reply.size = 20;
		reply.payload[4] = 2 | 64 << 16;
		number = 4096;
		break;
	default:
		number = 0;
		if (!(seen->flags & NEED_REPLY))
			return true;
	}
	memcpy(reply.payload, &number, sizeof(number));
	return peer_reply(&reply);
}

/* As passt: what is not in its table, or comes before its time, is the end of it. */
static bool peer_knows(const struct seen *seen)
{
	static const uint8_t sizes[REQUESTS] = {
		[SET_FEATURES] = 8,
		[SET_MEM_TABLE] = 40,
		[SET_VRING_NUM] = 8,
		[SET_VRING_ADDR] = 40,
		[SET_VRING_BASE] = 8,
		[GET_VRING_BASE] = 8,
		[SET_VRING_KICK] = 8,
		[SET_VRING_CALL] = 8,
		[SET_PROTOCOL_FEATURES] = 8,
		[SET_VRING_ENABLE] = 8,
		[GET_CONFIG] = 12 + CONFIG_SIZE,
		[SET_CONFIG] = 12 + 4,
		[GET_INFLIGHT_FD] = 20,
		[SET_INFLIGHT_FD] = 20,
	};
	const uint64_t number = seen->payload[0];

	if (seen->request >= REQUESTS || seen->size != sizes[seen->request])
		return false;
	if ((seen->flags & ~NEED_REPLY) != 1 ||
	    (seen->flags & NEED_REPLY && !(peer.negotiated & REPLY_ACK)))
		return false;
	switch (seen->request) {
	case 4:
	case 6:
	case 7:
	case 14:
	case 0:
		return false;
	case SET_FEATURES:
		return number & VERSION_1 && (number & ~peer.features) == 0;
	case SET_PROTOCOL_FEATURES:
		peer.negotiated = number;
		return (number & ~peer.protocol) == 0;
	case GET_PROTOCOL_FEATURES:
	case SET_VRING_ENABLE:
		return peer.features & PROTOCOL_FEATURES;
	case GET_QUEUE_NUM:
		return peer.negotiated & MQ;
	case GET_CONFIG:
	case SET_CONFIG:
		return peer.negotiated & CONFIG;
	case GET_INFLIGHT_FD:
	case SET_INFLIGHT_FD:
		return peer.negotiated & INFLIGHT;
	default:
		return true;
	}
}

static void *peer_thread(void *opaque)
{
	for (;;) {
		struct seen seen;

		if (!peer_receive(&seen))
			break;
		if (peer.count < ARRAY_SIZE(peer.seen))
			peer.seen[peer.count++] = seen;
		if (!peer_knows(&seen)) {
			peer.died = true;
			break;
		}
		if (peer.trick == UNREAD && seen.request == peer.trick_at) {
			poll(&(struct pollfd){ .fd = peer.socket, .events = POLLRDHUP }, 1, -1);
			break;
		}
		if (!peer_answer(&seen))
			break;
	}
	shutdown(peer.socket, SHUT_RDWR);
	return NULL;
}

static void peer_stop(void)
{
	if (!peer.running)
		return;
	pthread_join(peer.thread, NULL);
	close(peer.socket);
	peer.running = false;
}

static void ended(void *owner)
{
	assert_ptr_equal(owner, &ended_count);
	assert_true(vhost->lost);
	ended_count++;
}

static unsigned int open_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

/* A network's, before a test has others. */
static struct vhost_user_wishes wishes;

static int begin(void **state)
{
	memset(&peer, 0, sizeof(peer));
	peer.account = -1;
	wishes = (struct vhost_user_wishes){
		.name = "peer", .rings = 2, .rings_max = 2, .pairs = true, .features = UINT64_MAX
	};
	peer.features = VERSION_1 | MRG_RXBUF | PROTOCOL_FEATURES;
	peer.protocol = REPLY_ACK;
	vhost = NULL;
	ended_count = 0;
	kick = eventfd(0, EFD_CLOEXEC);
	call = eventfd(0, EFD_CLOEXEC);
	if (event_loop_create(&loop) < 0 || memory_file_create(&ram_file, MIB(2), false) < 0 ||
	    memory_create(&memory, GIB(1), MIB(2), MEMORY_MEMFD, &ram_file) < 0)
		return -1;
	return catch_begin(state);
}

static void close_vhost(void)
{
	if (vhost)
		vhost->ops->close(vhost);
	vhost = NULL;
	peer_stop();
}

static int finish(void **state)
{
	close_vhost();
	memory_destroy(&memory);
	memory_file_close(&ram_file);
	event_loop_destroy(&loop);
	close(kick);
	close(call);
	if (peer.account >= 0)
		close(peer.account);
	return catch_end(state);
}

/* A peer as it is set up. Returns the other end of its socket. */
static int start_peer(void)
{
	int sockets[2];

	peer.count = 0;
	peer.negotiated = 0;
	peer.died = false;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	peer.socket = sockets[1];
	peer.running = true;
	assert_int_equal(pthread_create(&peer.thread, NULL, peer_thread, NULL), 0);
	return sockets[0];
}

static int connect_peer(unsigned int timeout)
{
	int err = vhost_user_open_within(&vhost, start_peer(), &wishes, timeout);

	if (err == 0) {
		vhost->ended = ended;
		vhost->owner = &ended_count;
	}
	return err;
}

static int start(unsigned int index, uint16_t base)
{
	const struct vhost_ring ring = {
		.desc = 0x1000,
		.avail = 0x2000,
		.used = 0x3000,
		.size = 64,
		.base = base,
		.kick = kick,
		.call = call,
	};

	return vhost->ops->start(vhost, index, &ring);
}

static int stop(unsigned int index, uint16_t *base)
{
	return vhost->ops->stop(vhost, index, base);
}

/* All that is asked in the life of a guest; how it ended. */
static int live(unsigned int timeout)
{
	uint16_t base;
	int err = connect_peer(timeout);

	if (err == 0)
		err = vhost->ops->begin(vhost, VERSION_1 | (vhost->features & MRG_RXBUF), &memory);
	for (unsigned int i = 0; i < 2 && err == 0; i++)
		err = start(i, 0);
	for (unsigned int i = 0; i < 2 && err == 0; i++)
		err = stop(i, &base);
	return err;
}

static void assert_requests(const uint32_t *expected, unsigned int count)
{
	/* The last may be under way, where nobody waits for its answer. */
	close_vhost();
	assert_false(peer.died);
	assert_int_equal(peer.count, count);
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(peer.seen[i].request, expected[i]);
}

static const struct seen *find(uint32_t request)
{
	for (unsigned int i = 0; i < peer.count; i++)
		if (peer.seen[i].request == request)
			return &peer.seen[i];
	return NULL;
}

static void messages_come_in_the_order_of_the_protocol(void **state)
{
	static const uint32_t expected[] = {
		GET_FEATURES,	  GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES, SET_OWNER,
		SET_FEATURES,	  SET_MEM_TABLE,	 SET_VRING_NUM,		SET_VRING_ADDR,
		SET_VRING_BASE,	  SET_VRING_CALL,	 SET_VRING_KICK,	SET_VRING_ENABLE,
		SET_VRING_NUM,	  SET_VRING_ADDR,	 SET_VRING_BASE,	SET_VRING_CALL,
		SET_VRING_KICK,	  SET_VRING_ENABLE,	 SET_VRING_ENABLE,	GET_VRING_BASE,
		SET_VRING_ENABLE, GET_VRING_BASE,
	};

	assert_int_equal(live(LONG_TIMEOUT), 0);
	assert_requests(expected, ARRAY_SIZE(expected));
	assert_silent();
}

static void a_ring_is_told_as_it_is(void **state)
{
	struct stat ram;
	uint16_t base;

	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	assert_int_equal(start(1, 0xfff0), 0);
	peer.base = 0xffff;
	assert_int_equal(stop(1, &base), 0);
	assert_int_equal(base, 0xffff);
	close_vhost();
	assert_int_equal(fstat(memory.fd, &ram), 0);
	/* One region: where the guest has it, its size, where nidus has it, from the start of the
	 * file. */
	assert_int_equal(find(SET_MEM_TABLE)->payload[0], 1);
	assert_int_equal(find(SET_MEM_TABLE)->payload[1], GIB(1));
	assert_int_equal(find(SET_MEM_TABLE)->payload[2], MIB(2));
	assert_int_equal(find(SET_MEM_TABLE)->payload[3], (uintptr_t)memory.host);
	assert_int_equal(find(SET_MEM_TABLE)->payload[4], 0);
	assert_int_equal(find(SET_MEM_TABLE)->inode, ram.st_ino);
	assert_int_equal(find(SET_VRING_NUM)->payload[0], 1 | UINT64_C(64) << 32);
	assert_int_equal(find(SET_VRING_BASE)->payload[0], 1 | UINT64_C(0xfff0) << 32);
	assert_int_equal(find(SET_VRING_ADDR)->payload[0], 1); /* no flags */
	assert_int_equal(find(SET_VRING_ADDR)->payload[1], 0x1000);
	assert_int_equal(find(SET_VRING_ADDR)->payload[2], 0x3000);
	assert_int_equal(find(SET_VRING_ADDR)->payload[3], 0x2000);
	assert_int_equal(find(SET_VRING_KICK)->payload[0], 1);
	assert_int_equal(find(SET_VRING_CALL)->payload[0], 1);
	for (unsigned int i = 0; i < peer.count; i++) {
		const uint32_t request = peer.seen[i].request;

		assert_int_equal(peer.seen[i].with_fd, request == SET_MEM_TABLE ||
							       request == SET_VRING_KICK ||
							       request == SET_VRING_CALL);
	}
}

/* SET_FEATURES before the driver has settled them: passt ends itself without VERSION_1. */
static void features_are_not_set_before_a_driver_has_settled_them(void **state)
{
	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_null(find(SET_FEATURES));
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	close_vhost();
	assert_int_equal(find(SET_FEATURES)->payload[0], VERSION_1 | PROTOCOL_FEATURES);
}

/* A back end that claims everything: no channel of its own requests (BACKEND_REQ), no log. */
static void nothing_is_negotiated_that_is_not_used(void **state)
{
	peer.features = peer.protocol = UINT64_MAX;
	peer.queues = 2;
	assert_int_equal(live(LONG_TIMEOUT), 0);
	assert_false(peer.died);
	assert_int_equal(vhost->features & (BIT(50) - BIT(24)),
			 BIT(28) | BIT(29) | VERSION_1); /* indirect, event index */
	close_vhost();
	assert_int_equal(find(SET_PROTOCOL_FEATURES)->payload[0], MQ | REPLY_ACK);
	assert_int_equal(find(SET_FEATURES)->payload[0], VERSION_1 | MRG_RXBUF | PROTOCOL_FEATURES);
}

/* Bit 30 is between the two, and the back end's to offer. */
static void features_that_only_the_front_end_has_are_not_set(void **state)
{
	static const uint32_t expected[] = {
		GET_FEATURES,	SET_OWNER,	SET_FEATURES,	SET_MEM_TABLE,
		SET_VRING_NUM,	SET_VRING_ADDR, SET_VRING_BASE, SET_VRING_CALL,
		SET_VRING_KICK, SET_VRING_NUM,	SET_VRING_ADDR, SET_VRING_BASE,
		SET_VRING_CALL, SET_VRING_KICK, GET_VRING_BASE, GET_VRING_BASE,
	};

	peer.features = VERSION_1;
	assert_int_equal(live(LONG_TIMEOUT), 0);
	assert_requests(expected, ARRAY_SIZE(expected));
	assert_int_equal(find(SET_FEATURES)->payload[0], VERSION_1);
}

/* REPLY_ACK without GET_PROTOCOL_FEATURES made others wait for ever. */
static void an_answer_is_asked_for_only_where_that_is_negotiated(void **state)
{
	peer.protocol = 0;
	assert_int_equal(live(LONG_TIMEOUT), 0);
	close_vhost();
	assert_false(peer.died);
	for (unsigned int i = 0; i < peer.count; i++)
		assert_int_equal(peer.seen[i].flags, 1);
	peer.protocol = REPLY_ACK;
	assert_int_equal(live(LONG_TIMEOUT), 0);
	close_vhost();
	assert_int_equal(find(SET_PROTOCOL_FEATURES)->flags, 1);
	assert_int_equal(find(SET_FEATURES)->flags, 1 | NEED_REPLY);
	assert_int_equal(find(GET_VRING_BASE)->flags, 1);
}

static void another_life_begins_anew(void **state)
{
	struct memory other;
	struct memory_file file;
	unsigned int before;
	struct stat ram;
	uint16_t base;

	peer.base = 77;
	assert_int_equal(live(LONG_TIMEOUT), 0);
	assert_int_equal(memory_file_create(&file, MIB(4), false), 0);
	assert_int_equal(memory_create(&other, GIB(1), MIB(4), MEMORY_MEMFD, &file), 0);
	before = peer.count;
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &other), 0);
	assert_int_equal(start(0, 0), 0);
	assert_int_equal(stop(0, &base), 0);
	assert_int_equal(base, 77);
	close_vhost();
	assert_int_equal(peer.count, before + 10);
	assert_int_equal(peer.seen[before].request, SET_FEATURES); /* no owner again */
	assert_int_equal(fstat(other.fd, &ram), 0);
	assert_int_equal(peer.seen[before + 1].inode, ram.st_ino);
	assert_int_equal(peer.seen[before + 1].payload[2], MIB(4));
	/* The base is the new driver's, not where the old one was. */
	assert_int_equal(peer.seen[before + 4].request, SET_VRING_BASE);
	assert_int_equal(peer.seen[before + 4].payload[0], 0);
	memory_destroy(&other);
	memory_file_close(&file);
}

static void what_is_no_virtio_1_is_refused(void **state)
{
	peer.features &= ~VERSION_1;
	assert_int_equal(connect_peer(LONG_TIMEOUT), -EPROTO);
	assert_said("peer: does not offer virtio 1");
}

static void too_few_queues_are_refused(void **state)
{
	peer.protocol |= MQ;
	assert_int_equal(connect_peer(LONG_TIMEOUT), -EPROTO);
	assert_said("peer: too few queues");
	peer_stop();
	peer.queues = 1; /* pairs, as network back ends count */
	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_non_null(find(GET_QUEUE_NUM));
}

static void lose_peer(void)
{
	ended_count = 0;
	shutdown(peer.socket, SHUT_RDWR);
	while (ended_count == 0)
		event_loop_turn(&loop, true);
	peer_stop();
}

static void queues_are_counted_as_the_kind_counts_them(void **state)
{
	peer.protocol |= MQ;
	peer.queues = 3;
	wishes.pairs = false;
	wishes.rings_max = 8;
	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_int_equal(vhost->rings, 3);
	close_vhost();
	peer.queues = UINT64_MAX;
	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_int_equal(vhost->rings, 8);
	close_vhost();
	wishes.pairs = true;
	peer.queues = UINT64_C(1) << 63 | 1; /* twice that is 2 */
	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_int_equal(vhost->rings, 8);
	close_vhost();
	/* Who does not say has what is needed. */
	peer.protocol &= ~MQ;
	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_int_equal(vhost->rings, 2);
}

static void wish_all(void)
{
	peer.protocol |= CONFIG | INFLIGHT;
	peer.account = memfd_create("account", MFD_CLOEXEC);
	assert_int_equal(ftruncate(peer.account, 4096), 0);
	wishes.config = true;
	wishes.ring_size = 64;
}

static void configuration_is_told_both_ways(void **state)
{
	uint32_t config[CONFIG_SIZE / 4];
	const uint32_t change = 0x12345678;
	const struct seen *set;

	wish_all();
	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_int_equal(vhost->ops->config_get(vhost, config, sizeof(config)), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(config); i++)
		assert_int_equal(config[i], 0x1003 + i);
	assert_int_equal(vhost->ops->config_set(vhost, 32, &change, sizeof(change)), 0);
	close_vhost();
	set = find(SET_CONFIG);
	assert_int_equal(set->payload[0], UINT64_C(4) << 32 | 32);
	assert_int_equal(set->payload[1], (uint64_t)change << 32);
	assert_false(peer.died);
}

static void configuration_that_is_wanted_has_to_be_told(void **state)
{
	wish_all();
	peer.protocol &= ~CONFIG;
	assert_int_equal(connect_peer(LONG_TIMEOUT), -EPROTO);
	assert_said("peer: does not tell the device's configuration");
}

static void wrong_configuration_loses_the_vhost(void **state)
{
	static const enum trick tricks[] = { OTHER_OFFSET, NO_CONFIG,	  TOO_SHORT,
					     TOO_LONG,	   OTHER_REQUEST, WITH_DESCRIPTORS };
	uint8_t config[CONFIG_SIZE];

	wish_all();
	peer.trick_at = GET_CONFIG;
	for (unsigned int i = 0; i < ARRAY_SIZE(tricks); i++) {
		peer.trick = tricks[i];
		assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
		assert_int_equal(vhost->ops->config_get(vhost, config, sizeof(config)), -EPROTO);
		assert_said("at GET_CONFIG");
		assert_true(vhost->lost);
		close_vhost();
	}
}

static unsigned int count_of(uint32_t request)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < peer.count; i++)
		count += peer.seen[i].request == request;
	return count;
}

/* What one has begun its successor takes up; what has come to rest is over. */
static void requests_in_flight_outlive_who_has_begun_them(void **state)
{
	struct stat account;
	uint16_t base;

	wish_all();
	assert_int_equal(fstat(peer.account, &account), 0);
	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_true(vhost->remembers);
	assert_int_equal(vhost->ops->attach(vhost, &loop), 0);
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	assert_int_equal(start(0, 0), 0);
	lose_peer();
	assert_int_equal(find(SET_INFLIGHT_FD)->inode, account.st_ino);
	assert_int_equal(stop(0, &base), -ENODEV);

	assert_int_equal(vhost_user_renew(vhost, start_peer()), 0);
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	assert_int_equal(start(0, 7), 0);
	assert_int_equal(stop(0, &base), 0); /* in good order */
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	lose_peer();
	assert_int_equal(count_of(GET_INFLIGHT_FD), 1);
	assert_int_equal(count_of(SET_INFLIGHT_FD), 2);
	assert_int_equal(find(SET_INFLIGHT_FD)->inode, account.st_ino);

	/* The driver has reset the device. */
	vhost->ops->forget(vhost);
	assert_int_equal(vhost_user_renew(vhost, start_peer()), 0);
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	lose_peer();
	assert_int_equal(count_of(GET_INFLIGHT_FD), 1);
	vhost->ops->detach(vhost);
	assert_false(peer.died);
}

static void an_account_that_is_none_loses_the_vhost(void **state)
{
	static const enum trick tricks[] = { NO_DESCRIPTOR, TWO_DESCRIPTORS, WITH_DESCRIPTORS,
					     NO_FILE,	    SHORT_FILE,	     LARGE_ACCOUNT,
					     FAR_ACCOUNT,   TOO_SHORT,	     OTHER_REQUEST };
	unsigned int before;

	for (unsigned int i = 0; i < ARRAY_SIZE(tricks); i++) {
		wish_all();
		before = open_descriptors();
		peer.trick = tricks[i];
		peer.trick_at = GET_INFLIGHT_FD;
		assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
		assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), -EPROTO);
		assert_said("at GET_INFLIGHT_FD");
		close_vhost();
		assert_int_equal(open_descriptors(), before);
		close(peer.account);
	}
	peer.account = -1;
}

/* One wrong answer: one line, an error, and nothing that stays open. */
static void check_trick(enum trick trick, uint32_t at)
{
	const unsigned int before = open_descriptors();
	uint16_t base;

	peer.trick = trick;
	peer.trick_at = at;
	assert_true(live(trick == SILENT ? SHORT_TIMEOUT : LONG_TIMEOUT) < 0);
	assert_said("peer: ");
	if (vhost) {
		assert_true(vhost->lost);
		assert_true(start(0, 0) < 0 && stop(0, &base) < 0);
		assert_true(vhost->ops->begin(vhost, VERSION_1, &memory) < 0);
	}
	close_vhost();
	assert_silent();
	assert_int_equal(open_descriptors(), before);
}

static void wrong_answers_lose_the_vhost(void **state)
{
	static const uint32_t answered[] = {
		GET_FEATURES,	GET_PROTOCOL_FEATURES, GET_QUEUE_NUM,  SET_OWNER,
		SET_FEATURES,	SET_MEM_TABLE,	       SET_VRING_NUM,  SET_VRING_ADDR,
		SET_VRING_BASE, SET_VRING_CALL,	       SET_VRING_KICK, SET_VRING_ENABLE,
		GET_VRING_BASE,
	};

	peer.protocol = MQ | REPLY_ACK;
	peer.queues = 2;
	for (enum trick trick = CLOSED; trick <= DESCRIPTORS_LATER; trick++)
		for (unsigned int i = 0; i < ARRAY_SIZE(answered); i++)
			check_trick(trick, answered[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(answered); i++)
		check_trick(ENDLESS, answered[i]);
}

static void what_is_refused_loses_the_vhost(void **state)
{
	static const uint32_t told[] = { SET_OWNER,	 SET_FEATURES,	 SET_MEM_TABLE,
					 SET_VRING_NUM,	 SET_VRING_ADDR, SET_VRING_BASE,
					 SET_VRING_CALL, SET_VRING_KICK, SET_VRING_ENABLE };

	for (unsigned int i = 0; i < ARRAY_SIZE(told); i++)
		check_trick(REFUSED, told[i]);
}

static void a_base_of_another_ring_loses_the_vhost(void **state)
{
	check_trick(OTHER_RING, GET_VRING_BASE);
	check_trick(LARGE_BASE, GET_VRING_BASE);
}

static void silence_loses_the_vhost(void **state)
{
	static const uint32_t answered[] = { GET_FEATURES, SET_OWNER, SET_MEM_TABLE,
					     GET_VRING_BASE };

	/* Machines that are slow may be too slow for what comes before as well. */
	for (unsigned int i = 0; i < ARRAY_SIZE(answered); i++)
		check_trick(SILENT, answered[i]);
}

/* Nobody waits for an answer, and the socket has no room any more. */
static void who_does_not_read_is_lost(void **state)
{
	int err = 0;

	peer.protocol = 0;
	peer.trick = UNREAD;
	peer.trick_at = SET_MEM_TABLE;
	assert_int_equal(connect_peer(1000), 0);
	err = vhost->ops->begin(vhost, VERSION_1, &memory);
	for (unsigned int i = 0; i < 1000000 && err == 0; i++)
		err = start(0, 0);
	assert_int_equal(err, -ETIMEDOUT);
	assert_said("peer: no answer");
}

static void turn(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

static void its_end_is_told_by_the_loop_once(void **state)
{
	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_int_equal(vhost->ops->attach(vhost, &loop), 0);
	turn();
	assert_int_equal(ended_count, 0);
	shutdown(peer.socket, SHUT_RDWR);
	while (ended_count == 0)
		event_loop_turn(&loop, true);
	/* What it means is for the owner to say. */
	assert_silent();
	turn();
	assert_true(vhost->ops->begin(vhost, VERSION_1, &memory) < 0);
	turn();
	assert_int_equal(ended_count, 1);
	assert_silent();
	vhost->ops->detach(vhost);
	/* The next life's device hears of it too. */
	assert_int_equal(vhost->ops->attach(vhost, &loop), 0);
	turn();
	assert_int_equal(ended_count, 2);
	assert_silent();
	vhost->ops->detach(vhost);
}

/* In the thread of a vCPU. */
static void its_end_in_a_call_is_told_by_the_loop(void **state)
{
	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_int_equal(vhost->ops->attach(vhost, &loop), 0);
	peer.trick = OTHER_REQUEST;
	peer.trick_at = SET_FEATURES;
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), -EPROTO);
	assert_said("peer: answers wrongly at SET_FEATURES");
	assert_int_equal(ended_count, 0);
	while (ended_count == 0)
		event_loop_turn(&loop, true);
	turn();
	assert_int_equal(ended_count, 1);
	assert_silent();
	vhost->ops->detach(vhost);
}

static void another_takes_the_place_of_one_that_has_ended(void **state)
{
	uint16_t base;

	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_int_equal(vhost->ops->attach(vhost, &loop), 0);
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	assert_int_equal(start(0, 0), 0);
	lose_peer();
	assert_int_equal(stop(0, &base), -ENODEV);

	/* It has learnt something, which no driver has settled. */
	peer.features |= BIT(0);
	assert_int_equal(vhost_user_renew(vhost, start_peer()), 0);
	assert_false(vhost->lost);
	assert_false(vhost->features & BIT(0));
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	assert_int_equal(start(0, 7), 0);
	assert_int_equal(stop(0, &base), 0);
	assert_silent();
	/* Its end is noticed like that of the first. */
	lose_peer();
	assert_true(vhost->lost);
	assert_silent();
	vhost->ops->detach(vhost);
}

static void another_that_offers_less_is_refused(void **state)
{
	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_int_equal(vhost->ops->attach(vhost, &loop), 0);
	lose_peer();
	peer.features &= ~MRG_RXBUF;
	assert_int_equal(vhost_user_renew(vhost, start_peer()), -EPROTO);
	assert_said("peer: does not offer what it did at GET_FEATURES");
	assert_true(vhost->lost);
	peer_stop();
	/* The next one may do. */
	peer.features |= MRG_RXBUF;
	assert_int_equal(vhost_user_renew(vhost, start_peer()), 0);
	assert_false(vhost->lost);
	assert_silent();
	vhost->ops->detach(vhost);
}

/* That it was refused is told by the loop, where another may have come before its turn. */
static void an_end_that_is_told_late_is_not_that_of_another(void **state)
{
	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_int_equal(vhost->ops->attach(vhost, &loop), 0);
	lose_peer();
	peer.features &= ~MRG_RXBUF;
	assert_int_equal(vhost_user_renew(vhost, start_peer()), -EPROTO);
	assert_said("does not offer what it did");
	peer_stop();
	peer.features |= MRG_RXBUF;
	assert_int_equal(vhost_user_renew(vhost, start_peer()), 0);
	ended_count = 0;
	while (event_loop_turn(&loop, false) > 0)
		;
	assert_int_equal(ended_count, 0);
	assert_false(vhost->lost);
	vhost->ops->detach(vhost);
}

static void it_owes_what_it_may_have_begun(void **state)
{
	uint16_t base;

	assert_int_equal(connect_peer(LONG_TIMEOUT), 0);
	assert_int_equal(vhost->ops->attach(vhost, &loop), 0);
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), 0);
	assert_false(vhost->owes);
	assert_int_equal(start(0, 0), 0);
	assert_int_equal(start(1, 0), 0);
	assert_int_equal(stop(0, &base), 0);
	assert_true(vhost->owes);
	assert_int_equal(stop(1, &base), 0);
	assert_false(vhost->owes);
	assert_int_equal(start(0, 0), 0);
	lose_peer();
	assert_int_equal(stop(0, &base), -ENODEV);
	assert_true(vhost->owes);
	/* With the reset nobody waits for it any more, and a lost one begins nothing. */
	vhost->ops->forget(vhost);
	assert_int_equal(start(0, 0), -ENODEV);
	assert_false(vhost->owes);
	vhost->ops->detach(vhost);
}

static void a_lost_vhost_is_left_alone(void **state)
{
	unsigned int before;
	uint16_t base;

	peer.trick = WITH_DESCRIPTORS;
	peer.trick_at = GET_VRING_BASE;
	assert_int_equal(live(LONG_TIMEOUT), -EPROTO);
	assert_said("peer: sends descriptors unasked at GET_VRING_BASE");
	pthread_join(peer.thread, NULL);
	peer.running = false;
	before = peer.count;
	assert_int_equal(start(0, 0), -ENODEV);
	assert_int_equal(stop(0, &base), -ENODEV);
	assert_int_equal(vhost->ops->begin(vhost, VERSION_1, &memory), -ENODEV);
	assert_int_equal(peer.count, before);
	assert_silent();
	close(peer.socket);
}

#define on_peer(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_peer(messages_come_in_the_order_of_the_protocol),
		on_peer(a_ring_is_told_as_it_is),
		on_peer(features_are_not_set_before_a_driver_has_settled_them),
		on_peer(nothing_is_negotiated_that_is_not_used),
		on_peer(features_that_only_the_front_end_has_are_not_set),
		on_peer(an_answer_is_asked_for_only_where_that_is_negotiated),
		on_peer(another_life_begins_anew),
		on_peer(what_is_no_virtio_1_is_refused),
		on_peer(too_few_queues_are_refused),
		on_peer(queues_are_counted_as_the_kind_counts_them),
		on_peer(configuration_is_told_both_ways),
		on_peer(configuration_that_is_wanted_has_to_be_told),
		on_peer(wrong_configuration_loses_the_vhost),
		on_peer(requests_in_flight_outlive_who_has_begun_them),
		on_peer(an_account_that_is_none_loses_the_vhost),
		on_peer(wrong_answers_lose_the_vhost),
		on_peer(what_is_refused_loses_the_vhost),
		on_peer(a_base_of_another_ring_loses_the_vhost),
		on_peer(silence_loses_the_vhost),
		on_peer(who_does_not_read_is_lost),
		on_peer(its_end_is_told_by_the_loop_once),
		on_peer(its_end_in_a_call_is_told_by_the_loop),
		on_peer(another_takes_the_place_of_one_that_has_ended),
		on_peer(another_that_offers_less_is_refused),
		on_peer(an_end_that_is_told_late_is_not_that_of_another),
		on_peer(it_owes_what_it_may_have_begun),
		on_peer(a_lost_vhost_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
