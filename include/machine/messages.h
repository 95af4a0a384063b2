/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages while an event loop turns: nobody waits for who reads standard error, and what it does
 * not take at once the loop writes when it can (log_keep()).
 */
#ifndef NIDUS_MESSAGES_H
#define NIDUS_MESSAGES_H

#include "host/event.h"

struct messages {
	struct event_loop *loop;
	struct event_source source; /* standard error; fd -1: messages wait as before */
};

/* The loop's thread. messages_stop(): what is still kept is dropped; messages wait again. */
void messages_start(struct messages *messages, struct event_loop *loop);
void messages_stop(struct messages *messages);

#endif
