/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signals, turned into events: SIGTERM, SIGINT and SIGHUP end the run, SIGUSR1 asks for statistics.
 */
#ifndef NIDUS_SIGNALS_H
#define NIDUS_SIGNALS_H

#include "event.h"
#include "verdict.h"

struct signals {
	struct event_source source;
	struct event_loop *loop;
	struct verdict *verdict;
	void (*statistics)(void *opaque);
	void *opaque;
};

/*
 * Blocks the signals above for this thread and those it will create, ignores SIGPIPE. statistics is
 * called by the event loop's thread. Errors: -errno, said.
 */
int signals_create(struct signals *signals, struct event_loop *loop, struct verdict *verdict,
		   void (*statistics)(void *opaque), void *opaque);
void signals_destroy(struct signals *signals);

#endif
