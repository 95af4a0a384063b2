/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages of the vhost-user protocol: what is asked and told, by a front end that does not trust
 * the other side. Each call has a time in which all of its answers have to be there; an answer has
 * to be of the right request, flags and size, and has a descriptor only where one was asked for.
 * Whatever is wrong loses the vhost and shuts the socket down, which tells the other side too; it
 * stays open, since another thread may be using it.
 */
#ifndef NIDUS_VHOST_USER_MESSAGE_H
#define NIDUS_VHOST_USER_MESSAGE_H

#include "vhost_kind.h"

#define VHOST_USER_NO_FILE -1

enum vhost_user_request {
	VHOST_USER_GET_FEATURES = 1,
	VHOST_USER_SET_FEATURES = 2,
	VHOST_USER_SET_OWNER = 3,
	VHOST_USER_SET_MEM_TABLE = 5,
	VHOST_USER_SET_VRING_NUM = 8,
	VHOST_USER_SET_VRING_ADDR = 9,
	VHOST_USER_SET_VRING_BASE = 10,
	VHOST_USER_GET_VRING_BASE = 11,
	VHOST_USER_SET_VRING_KICK = 12,
	VHOST_USER_SET_VRING_CALL = 13,
	VHOST_USER_GET_PROTOCOL_FEATURES = 15,
	VHOST_USER_SET_PROTOCOL_FEATURES = 16,
	VHOST_USER_GET_QUEUE_NUM = 17,
	VHOST_USER_SET_VRING_ENABLE = 18,
	VHOST_USER_GET_CONFIG = 24,
	VHOST_USER_SET_CONFIG = 25,
	VHOST_USER_GET_INFLIGHT_FD = 31,
	VHOST_USER_SET_INFLIGHT_FD = 32,
};

/* What the two requests of configuration carry; no more than size bytes of what is told. */
struct vhost_user_config {
	uint32_t offset, size, flags;
	uint8_t bytes[VHOST_CONFIG_MAX];
};

struct vhost_user_channel {
	struct vhost_kind *kind;
	int fd; /* the socket, the owner's */
	unsigned int timeout; /* milliseconds that a call may take */
	uint64_t deadline; /* of this call, as clock_ns() */
	bool acks; /* REPLY_ACK was negotiated: what is told is done when the call returns */
};

/* The end of it: what the other side did wrong with a request. Returns err. */
int vhost_user_lose(struct vhost_user_channel *channel, int err, enum vhost_user_request request,
		    const char *what);

/* Before the messages of a call: 0, or -ENODEV when there is nobody to call any more. */
int vhost_user_begin(struct vhost_user_channel *channel);

/* Errors of these are -errno; the vhost is lost then. */

/*
 * Asks, with so many bytes of payload, which becomes the answer of so many. fd: takes the
 * descriptor that is to come with it, the caller's from then on; or NULL.
 */
int vhost_user_ask(struct vhost_user_channel *channel, enum vhost_user_request request,
		   void *payload, uint32_t asked, uint32_t answered, int *fd);

/* Tells. fd: goes with it, and stays the caller's; or VHOST_USER_NO_FILE. */
int vhost_user_tell(struct vhost_user_channel *channel, enum vhost_user_request request,
		    const void *payload, uint32_t size, int fd);

#endif
