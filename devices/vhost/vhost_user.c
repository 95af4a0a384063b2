// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. nidus is the front end of the vhost-user protocol, another process the back
 * end. All messages are nidus's, some of which are answered: what is asked, and where the other
 * side can (REPLY_ACK) what is told as well, so that it has failed or been done when the call
 * returns.
 *
 * Nothing is negotiated that is not used: some back ends end themselves at a request that they do
 * not know, others offer what they do not have. With F_PROTOCOL_FEATURES rings start disabled.
 *
 * The other side is not trusted. Each call has a time in which all of its answers have to be there;
 * an answer has to be of the right request, flags and size; descriptors are never taken, because
 * none is asked for. Whatever is wrong loses the vhost: the socket is shut down, which tells the
 * other side too, and stays open until vhost_user_close(), since another thread may be using it.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/log.h"
#include "mm/memory.h"
#include "util.h"
#include "vhost_kind.h"
#include "vhost_user.h"

/* A back end at work answers within milliseconds; this is for hosts that have too much to do. */
#define TIMEOUT_MS 5000

#define NO_FILE -1

#define FEATURE(bit)		 (UINT64_C(1) << (bit))
#define F_VERSION_1		 FEATURE(VIRTIO_F_VERSION_1)
#define F_PROTOCOL_FEATURES	 FEATURE(30)
#define PROTOCOL_MQ		 FEATURE(0)
#define PROTOCOL_REPLY_ACK	 FEATURE(3)
#define PROTOCOL_FEATURES_WANTED (PROTOCOL_MQ | PROTOCOL_REPLY_ACK)

#define FLAG_VERSION	1u
#define FLAG_REPLY	4u
#define FLAG_NEED_REPLY 8u

enum request {
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
};

struct header {
	uint32_t request, flags;
	uint32_t size; /* bytes that follow */
};

/* The longest message has the memory table. */
struct message {
	struct header header;
	uint8_t payload[sizeof(struct vhost_table)];
};

struct vhost_user {
	struct vhost_kind kind;
	struct event_source end; /* the socket; in the loop while it is attached */
	struct event_loop *loop; /* NULL: it is not */
	unsigned int timeout; /* milliseconds */
	uint64_t deadline; /* of this call, as clock_ns() */
	bool enables; /* rings start disabled */
	uint64_t protocol_features; /* negotiated */
};

static struct vhost_user *user_of(struct vhost *vhost)
{
	return container_of(vhost, struct vhost_user, kind.vhost);
}

static const char *name_of(enum request request)
{
	static const char *const names[] = {
		[GET_FEATURES] = "GET_FEATURES",
		[SET_FEATURES] = "SET_FEATURES",
		[SET_OWNER] = "SET_OWNER",
		[SET_MEM_TABLE] = "SET_MEM_TABLE",
		[SET_VRING_NUM] = "SET_VRING_NUM",
		[SET_VRING_ADDR] = "SET_VRING_ADDR",
		[SET_VRING_BASE] = "SET_VRING_BASE",
		[GET_VRING_BASE] = "GET_VRING_BASE",
		[SET_VRING_KICK] = "SET_VRING_KICK",
		[SET_VRING_CALL] = "SET_VRING_CALL",
		[GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
		[SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
		[GET_QUEUE_NUM] = "GET_QUEUE_NUM",
		[SET_VRING_ENABLE] = "SET_VRING_ENABLE",
	};

	return names[request];
}

/* The end of it: what the other side did wrong with a request. Returns err. */
static int lose(struct vhost_user *user, int err, enum request request, const char *what)
{
	vhost_lose(&user->kind, err, "%s at %s", what, name_of(request));
	shutdown(user->end.fd, SHUT_RDWR);
	return err;
}

/* Messages. */

/* The beginning of a call: 0, or -ENODEV when there is nobody to call any more. */
static int begin_call(struct vhost_user *user)
{
	user->deadline = clock_ns() + (uint64_t)user->timeout * 1000000;
	return atomic_load(&user->kind.vhost.lost) ? -ENODEV : 0;
}

/* Waits until the socket may do what has just failed with error; 0: to be tried again. */
static int wait_for(struct vhost_user *user, enum request request, short events, int error)
{
	struct pollfd socket = { .fd = user->end.fd, .events = events };
	const int64_t left = user->deadline - clock_ns();

	if (error != EAGAIN && error != EINTR)
		return lose(user, -error, request, strerror(error));
	if (left <= 0)
		return lose(user, -ETIMEDOUT, request, "no answer");
	poll(&socket, 1, left / 1000000 + 1);
	return 0;
}

/* fd: goes with it, or NO_FILE. */
static int send_message(struct vhost_user *user, const struct message *message, int fd)
{
	const size_t size = sizeof(message->header) + message->header.size;
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	size_t sent = 0;
	int err = 0;

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	while (sent < size && err == 0) {
		struct iovec rest = { (uint8_t *)message + sent, size - sent };
		struct msghdr msg = { .msg_iov = &rest, .msg_iovlen = 1 };
		ssize_t n;

		/* A descriptor goes with the first byte. */
		if (fd != NO_FILE && sent == 0) {
			msg.msg_control = &control;
			msg.msg_controllen = sizeof(control);
		}
		n = sendmsg(user->end.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			err = wait_for(user, message->header.request, POLLOUT, errno);
		else
			sent += n;
	}
	return err;
}

/* Without room for descriptors, so that the kernel gives none. */
static int receive(struct vhost_user *user, enum request request, void *buffer, size_t size)
{
	size_t got = 0;
	int err = 0;

	while (got < size && err == 0) {
		struct iovec rest = { (uint8_t *)buffer + got, size - got };
		struct msghdr msg = { .msg_iov = &rest, .msg_iovlen = 1 };
		ssize_t n = recvmsg(user->end.fd, &msg, MSG_DONTWAIT);

		if (n < 0)
			err = wait_for(user, request, POLLIN, errno);
		else if (n == 0)
			err = lose(user, -EPIPE, request, "has gone");
		else if (msg.msg_flags & MSG_CTRUNC)
			err = lose(user, -EPROTO, request, "sends descriptors unasked");
		else
			got += n;
	}
	return err;
}

/* The answer to a request, which has so many bytes. */
static int receive_answer(struct vhost_user *user, enum request request, void *payload,
			  uint32_t size)
{
	struct header header;
	int err = receive(user, request, &header, sizeof(header));

	if (err < 0)
		return err;
	/* Some leave the flag of the request where it is. */
	if (header.request != request || header.size != size ||
	    (header.flags & ~FLAG_NEED_REPLY) != (FLAG_VERSION | FLAG_REPLY))
		return lose(user, -EPROTO, request, "answers wrongly");
	return receive(user, request, payload, size);
}

static int send_request(struct vhost_user *user, enum request request, uint32_t flags,
			const void *payload, uint32_t size, int fd)
{
	struct message message = { .header = { request, FLAG_VERSION | flags, size } };

	if (size > 0)
		memcpy(message.payload, payload, size);
	return send_message(user, &message, fd);
}

/* Asks; payload is what for, and becomes the answer. */
static int ask(struct vhost_user *user, enum request request, void *payload, uint32_t size)
{
	/* What has no argument has no payload. */
	int err = send_request(user, request, 0, payload, request == GET_VRING_BASE ? size : 0,
			       NO_FILE);

	return err < 0 ? err : receive_answer(user, request, payload, size);
}

/* Tells, and is told when it is done, where the other side can. */
static int tell(struct vhost_user *user, enum request request, const void *payload, uint32_t size,
		int fd)
{
	const bool acks = user->protocol_features & PROTOCOL_REPLY_ACK;
	uint64_t failed = 0;
	int err = send_request(user, request, acks ? FLAG_NEED_REPLY : 0, payload, size, fd);

	if (err == 0 && acks)
		err = receive_answer(user, request, &failed, sizeof(failed));
	return err == 0 && failed ? lose(user, -EPROTO, request, "refuses") : err;
}

static int tell_number(struct vhost_user *user, enum request request, uint64_t number)
{
	return tell(user, request, &number, sizeof(number), NO_FILE);
}

/* What a vhost does. */

static int user_begin(struct vhost *vhost, uint64_t features, const struct memory *memory)
{
	struct vhost_user *user = user_of(vhost);
	const struct vhost_table table = vhost_table(memory);
	int err = begin_call(user);

	if (err == 0)
		err = tell_number(user, SET_FEATURES,
				  features | (user->enables ? F_PROTOCOL_FEATURES : 0));
	if (err == 0)
		err = tell(user, SET_MEM_TABLE, &table, sizeof(table), memory->fd);
	return err;
}

static int tell_setting(struct vhost_user *user, enum vhost_what what,
			const union vhost_setting *setting)
{
	switch (what) {
	case VHOST_NUM:
		return tell(user, SET_VRING_NUM, &setting->state, sizeof(setting->state), NO_FILE);
	case VHOST_ADDR:
		return tell(user, SET_VRING_ADDR, &setting->addr, sizeof(setting->addr), NO_FILE);
	case VHOST_BASE:
		return tell(user, SET_VRING_BASE, &setting->state, sizeof(setting->state), NO_FILE);
	default: {
		const uint64_t index = setting->file.index;

		return tell(user, what == VHOST_CALL ? SET_VRING_CALL : SET_VRING_KICK, &index,
			    sizeof(index), setting->file.fd);
	}
	}
}

static int enable(struct vhost_user *user, unsigned int index, bool on)
{
	const struct vhost_vring_state state = { index, on };

	if (!user->enables)
		return 0;
	return tell(user, SET_VRING_ENABLE, &state, sizeof(state), NO_FILE);
}

static int user_start(struct vhost *vhost, unsigned int index, const struct vhost_ring *ring)
{
	struct vhost_user *user = user_of(vhost);
	union vhost_setting settings[VHOST_SETTINGS];
	int err = begin_call(user);

	vhost_settings(settings, index, ring);
	for (unsigned int i = 0; i < VHOST_SETTINGS && err == 0; i++)
		err = tell_setting(user, i, &settings[i]);
	return err < 0 ? err : enable(user, index, true);
}

static int user_stop(struct vhost *vhost, unsigned int index, uint16_t *base)
{
	struct vhost_user *user = user_of(vhost);
	struct vhost_vring_state state = { .index = index };
	int err = begin_call(user);

	if (err == 0)
		err = enable(user, index, false);
	/* Answered when the ring has come to rest. */
	if (err == 0)
		err = ask(user, GET_VRING_BASE, &state, sizeof(state));
	if (err == 0 && (state.index != index || state.num > UINT16_MAX))
		err = lose(user, -EPROTO, GET_VRING_BASE, "answers wrongly");
	*base = state.num;
	return err;
}

/* The loop's thread. It is never readable for what is not asked for, and never asked for here. */
static void socket_ended(struct event_source *source, uint32_t events)
{
	struct vhost_user *user = container_of(source, struct vhost_user, end);

	(void)events;
	event_remove(user->loop, source);
	vhost_end(&user->kind);
}

static int user_attach(struct vhost *vhost, struct event_loop *loop)
{
	struct vhost_user *user = user_of(vhost);
	int err = vhost_attach(&user->kind, loop);

	if (err < 0)
		return err;
	user->loop = loop;
	err = event_add(loop, &user->end, EPOLLRDHUP);
	if (err < 0) {
		log_error("%s: %s", user->kind.name, log_reason(-err));
		vhost_detach(&user->kind);
	}
	return err;
}

static void user_detach(struct vhost *vhost)
{
	struct vhost_user *user = user_of(vhost);

	event_remove(user->loop, &user->end);
	vhost_detach(&user->kind);
}

static void user_close(struct vhost *vhost)
{
	close(user_of(vhost)->end.fd);
	free(user_of(vhost));
}

static const struct vhost_ops user_ops = {
	.name = "vhost-user",
	.begin = user_begin,
	.start = user_start,
	.stop = user_stop,
	.attach = user_attach,
	.detach = user_detach,
	.close = user_close,
};

/* Making one. */

static int negotiate_protocol(struct vhost_user *user)
{
	uint64_t features = 0;
	int err = ask(user, GET_PROTOCOL_FEATURES, &features, sizeof(features));

	if (err < 0)
		return err;
	features &= PROTOCOL_FEATURES_WANTED;
	err = tell_number(user, SET_PROTOCOL_FEATURES, features);
	user->protocol_features = features;
	return err;
}

/* Whether the other side has as many rings as the device; network back ends count pairs. */
static int check_rings(struct vhost_user *user)
{
	uint64_t count = 0;
	int err;

	if (!(user->protocol_features & PROTOCOL_MQ))
		return 0;
	err = ask(user, GET_QUEUE_NUM, &count, sizeof(count));
	if (err == 0 && count < (user->kind.vhost.rings + 1) / 2)
		err = lose(user, -EPROTO, GET_QUEUE_NUM, "too few queues");
	return err;
}

static int negotiate(struct vhost_user *user)
{
	uint64_t features = 0;
	int err = begin_call(user);

	if (err == 0)
		err = ask(user, GET_FEATURES, &features, sizeof(features));
	if (err == 0 && !(features & F_VERSION_1))
		err = lose(user, -EPROTO, GET_FEATURES, "does not offer virtio 1");
	user->enables = features & F_PROTOCOL_FEATURES;
	user->kind.vhost.features = vhost_offer(features, UINT64_MAX);
	if (err == 0 && user->enables)
		err = negotiate_protocol(user);
	if (err == 0)
		err = check_rings(user);
	return err < 0 ? err : tell(user, SET_OWNER, NULL, 0, NO_FILE);
}

int vhost_user_open_within(struct vhost **opened, int socket, const char *name, unsigned int rings,
			   unsigned int milliseconds)
{
	struct vhost_user *user = calloc(1, sizeof(*user));
	int err;

	if (!user) {
		log_error("%s: %s", name, strerror(ENOMEM));
		close(socket);
		return -ENOMEM;
	}
	user->kind.name = name;
	user->kind.vhost.ops = &user_ops;
	user->kind.vhost.rings = rings;
	user->kind.vhost.shares_memory = true;
	user->end = (struct event_source){ .fd = socket, .ready = socket_ended };
	user->timeout = milliseconds;
	err = negotiate(user);
	if (err < 0)
		user_close(&user->kind.vhost);
	else
		*opened = &user->kind.vhost;
	return err;
}

/* Whether a driver that has settled with the first one can go on with this. */
static int check_features(struct vhost_user *user, uint64_t offered)
{
	if ((user->kind.vhost.features & offered) != offered)
		return lose(user, -EPROTO, GET_FEATURES, "does not offer what it did");
	user->kind.vhost.features = offered;
	return 0;
}

static int watch_socket(struct vhost_user *user)
{
	int err = user->kind.attached ? event_add(user->loop, &user->end, EPOLLRDHUP) : 0;

	return err < 0 ? vhost_lose(&user->kind, err, "%s", log_reason(-err)) : 0;
}

int vhost_user_renew(struct vhost *vhost, int socket)
{
	struct vhost_user *user = user_of(vhost);
	const uint64_t offered = vhost->features;
	int err;

	if (user->kind.attached)
		event_remove(user->loop, &user->end);
	close(user->end.fd);
	user->end.fd = socket;
	user->protocol_features = 0;
	atomic_store(&vhost->lost, false);
	err = negotiate(user);
	if (err == 0)
		err = check_features(user, offered);
	if (err == 0)
		err = watch_socket(user);
	vhost->features = offered;
	return err;
}

int vhost_user_open(struct vhost **opened, int socket, const char *name, unsigned int rings)
{
	return vhost_user_open_within(opened, socket, name, rings, TIMEOUT_MS);
}
