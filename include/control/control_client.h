/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The other side of a control socket: asks the nidus of a guest, and waits for the answer.
 */
#ifndef NIDUS_CONTROL_CLIENT_H
#define NIDUS_CONTROL_CLIENT_H

#include <jansson.h>
#include <stdbool.h>

struct control_peer {
	const char *who; /* the caller's */
	bool quiet; /* errors are not said */
	int fd;
	/* Descriptors, the caller's, that go with what is asked. */
	int hand[2];
	unsigned int hand_count;
	char *text; /* what has come */
	size_t used, room;
};

/* who: as control_socket_connect() has it. Errors: -errno, said unless quiet. */
int control_client_open(struct control_peer *peer, const char *who, bool quiet);
void control_client_close(struct control_peer *peer);

/*
 * What the request comes to, the caller's to release. arguments are taken over; NULL: there are
 * none. Waits for so many milliseconds, -1: for ever. NULL, said unless quiet, where there is no
 * such answer; then no more is to be asked.
 */
json_t *control_client_ask(struct control_peer *peer, const char *request, json_t *arguments,
			   int milliseconds);

/* The process id of the nidus that answers. Errors: -errno, not said. */
int control_client_pid(const struct control_peer *peer);

/*
 * After a request that ends this protocol: passes on what comes at in, and what the peer says to
 * out, until the peer closes the connection. Errors: -errno, said.
 */
int control_client_relay(struct control_peer *peer, int in, int out);

/* Waits for the end of who was asked. Errors: -errno, said unless quiet. */
int control_client_wait(struct control_peer *peer, int milliseconds);

#endif
