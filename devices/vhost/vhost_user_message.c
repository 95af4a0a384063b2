// SPDX-License-Identifier: GPL-2.0-only
#include "vhost_user_message.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/clock.h"

#define FLAG_VERSION	1u
#define FLAG_REPLY	4u
#define FLAG_NEED_REPLY 8u

struct header {
	uint32_t request, flags;
	uint32_t size; /* bytes that follow */
};

/* The longest message has a whole configuration. */
struct message {
	struct header header;
	uint8_t payload[sizeof(struct vhost_user_config)];
};

/* Room for one descriptor. */
union control {
	struct cmsghdr head;
	uint8_t space[CMSG_SPACE(sizeof(int))];
};

static const char *name_of(enum vhost_user_request request)
{
	static const char *const names[] = {
		[VHOST_USER_GET_FEATURES] = "GET_FEATURES",
		[VHOST_USER_SET_FEATURES] = "SET_FEATURES",
		[VHOST_USER_SET_OWNER] = "SET_OWNER",
		[VHOST_USER_SET_MEM_TABLE] = "SET_MEM_TABLE",
		[VHOST_USER_SET_VRING_NUM] = "SET_VRING_NUM",
		[VHOST_USER_SET_VRING_ADDR] = "SET_VRING_ADDR",
		[VHOST_USER_SET_VRING_BASE] = "SET_VRING_BASE",
		[VHOST_USER_GET_VRING_BASE] = "GET_VRING_BASE",
		[VHOST_USER_SET_VRING_KICK] = "SET_VRING_KICK",
		[VHOST_USER_SET_VRING_CALL] = "SET_VRING_CALL",
		[VHOST_USER_GET_PROTOCOL_FEATURES] = "GET_PROTOCOL_FEATURES",
		[VHOST_USER_SET_PROTOCOL_FEATURES] = "SET_PROTOCOL_FEATURES",
		[VHOST_USER_GET_QUEUE_NUM] = "GET_QUEUE_NUM",
		[VHOST_USER_SET_VRING_ENABLE] = "SET_VRING_ENABLE",
		[VHOST_USER_GET_CONFIG] = "GET_CONFIG",
		[VHOST_USER_SET_CONFIG] = "SET_CONFIG",
		[VHOST_USER_GET_INFLIGHT_FD] = "GET_INFLIGHT_FD",
		[VHOST_USER_SET_INFLIGHT_FD] = "SET_INFLIGHT_FD",
	};

	return names[request];
}

/* #syscalls loop served worker: shutdown */
int vhost_user_lose(struct vhost_user_channel *channel, int err, enum vhost_user_request request,
		    const char *what)
{
	vhost_lose(channel->kind, err, "%s at %s", what, name_of(request));
	shutdown(channel->fd, SHUT_RDWR);
	return err;
}

int vhost_user_begin(struct vhost_user_channel *channel)
{
	channel->deadline = clock_ns() + (uint64_t)channel->timeout * 1000000;
	return atomic_load(&channel->kind->vhost.lost) ? -ENODEV : 0;
}

/* Waits until the socket may do what has just failed with error; 0: to be tried again. */
/* #syscalls loop served worker: ppoll */
static int wait_for(struct vhost_user_channel *channel, enum vhost_user_request request,
		    short events, int error)
{
	struct pollfd socket = { .fd = channel->fd, .events = events };
	const int64_t left = channel->deadline - clock_ns();

	if (error != EAGAIN && error != EINTR)
		return vhost_user_lose(channel, -error, request, strerror(error));
	if (left <= 0)
		return vhost_user_lose(channel, -ETIMEDOUT, request, "no answer");
	poll(&socket, 1, left / 1000000 + 1);
	return 0;
}

/* #syscalls loop served worker: sendmsg */
static int send_message(struct vhost_user_channel *channel, const struct message *message, int fd)
{
	const size_t size = sizeof(message->header) + message->header.size;
	union control control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	size_t sent = 0;
	int err = 0;

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	while (sent < size && err == 0) {
		struct iovec rest = { (uint8_t *)message + sent, size - sent };
		struct msghdr msg = { .msg_iov = &rest, .msg_iovlen = 1 };
		ssize_t n;

		/* A descriptor goes with the first byte. */
		if (fd != VHOST_USER_NO_FILE && sent == 0) {
			msg.msg_control = &control;
			msg.msg_controllen = sizeof(control);
		}
		n = sendmsg(channel->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0)
			err = wait_for(channel, message->header.request, POLLOUT, errno);
		else
			sent += n;
	}
	return err;
}

/* The descriptor that has come with msg, or VHOST_USER_NO_FILE. */
static int received_file(struct msghdr *msg)
{
	const struct cmsghdr *head = CMSG_FIRSTHDR(msg);
	int fd;

	if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS ||
	    head->cmsg_len != CMSG_LEN(sizeof(fd)))
		return VHOST_USER_NO_FILE;
	memcpy(&fd, CMSG_DATA(head), sizeof(fd));
	return fd;
}

/*
 * fd: takes a descriptor, where it has none yet; NULL: there is no room for one, so that the kernel
 * gives none.
 */
/* #syscalls loop served worker: recvmsg */
static int receive(struct vhost_user_channel *channel, enum vhost_user_request request,
		   void *buffer, size_t size, int *fd)
{
	union control control;
	size_t got = 0;
	int err = 0;

	while (got < size && err == 0) {
		const bool room = fd && *fd == VHOST_USER_NO_FILE;
		struct iovec rest = { (uint8_t *)buffer + got, size - got };
		struct msghdr msg = { .msg_iov = &rest, .msg_iovlen = 1 };
		ssize_t n;

		if (room) {
			msg.msg_control = &control;
			/* Not the space, in whose padding a second one would find room. */
			msg.msg_controllen = CMSG_LEN(sizeof(int));
		}
		n = recvmsg(channel->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n > 0 && room)
			*fd = received_file(&msg);
		if (n < 0)
			err = wait_for(channel, request, POLLIN, errno);
		else if (n == 0)
			err = vhost_user_lose(channel, -EPIPE, request, "has gone");
		else if (msg.msg_flags & MSG_CTRUNC)
			err = vhost_user_lose(channel, -EPROTO, request,
					      "sends descriptors unasked");
		else
			got += n;
	}
	return err;
}

/* The answer to a request, which has so many bytes. */
static int receive_answer(struct vhost_user_channel *channel, enum vhost_user_request request,
			  void *payload, uint32_t size, int *fd)
{
	struct header header;
	int err = receive(channel, request, &header, sizeof(header), fd);

	if (err < 0)
		return err;
	/* Some leave the flag of the request where it is. */
	if (header.request != request || header.size != size ||
	    (header.flags & ~FLAG_NEED_REPLY) != (FLAG_VERSION | FLAG_REPLY))
		return vhost_user_lose(channel, -EPROTO, request, "answers wrongly");
	return receive(channel, request, payload, size, fd);
}

static int send_request(struct vhost_user_channel *channel, enum vhost_user_request request,
			uint32_t flags, const void *payload, uint32_t size, int fd)
{
	struct message message = { .header = { request, FLAG_VERSION | flags, size } };

	if (size > 0)
		memcpy(message.payload, payload, size);
	return send_message(channel, &message, fd);
}

int vhost_user_ask(struct vhost_user_channel *channel, enum vhost_user_request request,
		   void *payload, uint32_t asked, uint32_t answered, int *fd)
{
	int err = send_request(channel, request, 0, payload, asked, VHOST_USER_NO_FILE);

	if (fd)
		*fd = VHOST_USER_NO_FILE;
	if (err == 0)
		err = receive_answer(channel, request, payload, answered, fd);
	if (err == 0 && fd && *fd == VHOST_USER_NO_FILE)
		err = vhost_user_lose(channel, -EPROTO, request, "sends no descriptor");
	if (err < 0 && fd && *fd != VHOST_USER_NO_FILE) {
		close(*fd);
		*fd = VHOST_USER_NO_FILE;
	}
	return err;
}

int vhost_user_tell(struct vhost_user_channel *channel, enum vhost_user_request request,
		    const void *payload, uint32_t size, int fd)
{
	uint64_t failed = 0;
	int err = send_request(channel, request, channel->acks ? FLAG_NEED_REPLY : 0, payload, size,
			       fd);

	if (err == 0 && channel->acks)
		err = receive_answer(channel, request, &failed, sizeof(failed), NULL);
	return err == 0 && failed ? vhost_user_lose(channel, -EPROTO, request, "refuses") : err;
}
