/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vhost-user back end that says what it is asked and works on no ring: the test itself, started
 * as `TEST --back-end [inflight]`, on the socket that it listens at as descriptor 3.
 */
#ifndef FAKE_BACK_END_H
#define FAKE_BACK_END_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* From the specification of the protocol: VERSION_1 and PROTOCOL_FEATURES; MQ and CONFIG. */
#define BACK_END_FEATURES (UINT64_C(1) << 32 | UINT64_C(1) << 30)
#define BACK_END_PROTOCOL (UINT64_C(1) << 0 | UINT64_C(1) << 9)
#define BACK_END_INFLIGHT (UINT64_C(1) << 12)

struct back_end_message {
	uint32_t request, flags, size;
	uint8_t payload[512];
};

static inline bool back_end_receive(int fd, struct back_end_message *message)
{
	/* Descriptors that come along are let go by the kernel. */
	return recv(fd, message, 12, MSG_WAITALL) == 12 &&
	       message->size <= sizeof(message->payload) &&
	       (message->size == 0 ||
		recv(fd, message->payload, message->size, MSG_WAITALL) == (ssize_t)message->size);
}

static inline void back_end_send(int fd, const struct back_end_message *message, int file)
{
	struct iovec iov = { (void *)message, 12 + message->size };
	union {
		struct cmsghdr head;
		uint8_t space[CMSG_SPACE(sizeof(int))];
	} control = { .head = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	memcpy(CMSG_DATA(&control.head), &file, sizeof(file));
	if (file >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
	}
	sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static inline void back_end_answer(int fd, struct back_end_message *message, bool inflight)
{
	uint64_t number;
	int file = -1;

	switch (message->request) {
	case 1: /* GET_FEATURES */
		number = BACK_END_FEATURES;
		break;
	case 15: /* GET_PROTOCOL_FEATURES */
		number = BACK_END_PROTOCOL | (inflight ? BACK_END_INFLIGHT : 0);
		break;
	case 17: /* GET_QUEUE_NUM */
		number = 2;
		break;
	case 11: /* GET_VRING_BASE: the ring's number, and where it stands */
	case 24: /* GET_CONFIG: as it came, with zeroes */
		memcpy(&number, message->payload, sizeof(number));
		break;
	case 31: /* GET_INFLIGHT_FD */
		number = 4096;
		file = memfd_create("account", MFD_CLOEXEC);
		if (ftruncate(file, 4096) < 0)
			return;
		break;
	default:
		return;
	}
	memcpy(message->payload, &number, sizeof(number));
	message->flags = 5;
	if (message->size < sizeof(number))
		message->size = sizeof(number);
	back_end_send(fd, message, file);
	if (file >= 0)
		close(file);
}

/* Serves who is connected to listener, to its end. */
static inline int back_end(int listener, bool inflight)
{
	struct back_end_message message;
	int fd = accept(listener, NULL, NULL);

	while (fd >= 0 && back_end_receive(fd, &message))
		back_end_answer(fd, &message, inflight);
	return fd < 0;
}

#endif
