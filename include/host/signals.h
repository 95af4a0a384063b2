/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Signals, turned into events: SIGTERM, SIGINT, SIGQUIT and SIGHUP end the run, SIGUSR1 asks for
 * statistics, SIGWINCH tells that the terminal's size has changed, SIGTSTP stops the process and
 * SIGCONT tells that it was continued. Those that are ignored at the start stay ignored.
 */
#ifndef NIDUS_SIGNALS_H
#define NIDUS_SIGNALS_H

#include <signal.h>

#include "host/event.h"
#include "host/verdict.h"

struct signals {
	struct event_source source;
	sigset_t ending; /* those that end the run, and are blocked while it lasts */
	struct event_loop *loop;
	struct verdict *verdict;
	void (*told)(void *opaque, int signal);
	void *opaque;
};

/*
 * Blocks the signals above for this thread and those it will create, ignores SIGPIPE, SIGXFSZ and
 * SIGTTIN. told is called by the event loop's thread for those that do not end the run: SIGUSR1;
 * SIGWINCH; SIGTSTP before the process stops; SIGCONT when it goes on, also where only that was
 * seen, or twice. Errors: -errno, said.
 */
int signals_create(struct signals *signals, struct event_loop *loop, struct verdict *verdict,
		   void (*told)(void *opaque, int signal), void *opaque);
/* Signals that would have ended the run are unblocked, and do again what they did before. */
void signals_destroy(struct signals *signals);

/*
 * Stops this process as SIGTSTP does by itself, which does nothing where nobody would continue it,
 * and returns when it has been continued. For a thread that has SIGTSTP blocked, as all others
 * have, so that it is this one that takes the signal.
 */
void signals_stop_here(void);

#endif
