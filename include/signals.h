/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signals, turned into events: SIGTERM, SIGINT, SIGQUIT and SIGHUP (unless ignored) end the run,
 * SIGUSR1 asks for statistics, SIGWINCH tells that the terminal's size has changed.
 */
#ifndef NIDUS_SIGNALS_H
#define NIDUS_SIGNALS_H

#include "event.h"
#include "verdict.h"

struct signals {
	struct event_source source;
	struct event_loop *loop;
	struct verdict *verdict;
	void (*told)(void *opaque, int signal);
	void *opaque;
};

/*
 * Blocks the signals above for this thread and those it will create, ignores SIGPIPE and SIGXFSZ.
 * told is called by the event loop's thread for those that do not end the run. Errors: -errno,
 * said.
 */
int signals_create(struct signals *signals, struct event_loop *loop, struct verdict *verdict,
		   void (*told)(void *opaque, int signal), void *opaque);
void signals_destroy(struct signals *signals);

#endif
