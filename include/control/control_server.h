/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The nidus side of a control socket: clients, lines, and which function a request is for.
 * docs/control.md has the protocol. All of this is for the event loop's thread, and opens nothing
 * but what accept4(2) returns.
 *
 * Whatever clients do, what they take is bounded: so many of them, a line of input each, and one
 * request at a time, whose answer is kept until its client reads it.
 */
#ifndef NIDUS_CONTROL_SERVER_H
#define NIDUS_CONTROL_SERVER_H

#include <jansson.h>

#include "host/event.h"

#define CONTROL_VERSION	     1
#define CONTROL_LINE_MAX     4096 /* bytes of a request, its newline included */
#define CONTROL_CLIENTS_MAX  64
#define CONTROL_MESSAGE_SIZE 256
#define CONTROL_HANDED_MAX   2 /* descriptors that come with a request */

/* Kinds of errors, as answers have them. */
#define CONTROL_BAD	"bad-request" /* what was asked for makes no sense */
#define CONTROL_UNKNOWN "unknown-request"
#define CONTROL_NOT_NOW "not-now" /* the guest is in no state for it */
#define CONTROL_FAILED	"failed" /* the host refuses */

/* A request that has begun, until it is answered. */
struct control_client;

struct control_request {
	const char *name;
	/*
	 * Answers, now or later, once. arguments: an object, or NULL where there are none; for the
	 * length of the call.
	 */
	void (*handle)(struct control_client *client, json_t *arguments, void *opaque);
};

struct control_server {
	struct event_source listener;
	struct event_loop *loop;
	const struct control_request *requests; /* up to one without a name */
	void *opaque;
	struct control_client *first;
	uint64_t turns; /* tells who has been silent for longest */
};

/*
 * Serves who connects to fd, which stays the caller's, as requests has it. Errors: -errno, said.
 * After control_server_stop() nothing is answered any more.
 */
int control_server_start(struct control_server *server, struct event_loop *loop, int fd,
			 const struct control_request *requests, void *opaque);
void control_server_stop(struct control_server *server);

/*
 * The answer to a request; client may be gone afterwards, and need not be there any more before.
 * result is taken over; NULL: there was no memory. kind: one of the above.
 */
void control_server_answer(struct control_client *client, json_t *result);
void control_server_refuse(struct control_client *client, const char *kind, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/*
 * Answers with an empty result, after which the connection is no more of this protocol: returns its
 * descriptor, the caller's, which does not block. Errors: -errno; the client is answered or gone.
 * For a request that is being handled.
 */
int control_server_hand_over(struct control_client *client);

/*
 * Has left() called, once, by the loop, if the client goes before its request is answered; it is
 * answered all the same. For a request that is being handled.
 */
void control_server_watch(struct control_client *client, void (*left)(void *opaque), void *opaque);

/*
 * The descriptors that came with the request (SCM_RIGHTS), in their order, or -1; they are closed
 * with the answer. What they are nobody has looked at.
 */
int control_server_handed(const struct control_client *client, unsigned int index);

#endif
