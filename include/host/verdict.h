/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Why a run ended. Every thread may find a reason, and wakes the event loop with it. The first one
 * counts, but for these:
 *
 *	what comes	overrules
 *	the user	a reset, after which the guest would live on
 *	the host	the same, and what would count as a good end: exit status 0
 *	a signal	everything
 *
 * What the guest did never overrules anything: a crash that comes while the machine is being
 * stopped for another reason is none that ended it.
 */
#ifndef NIDUS_VERDICT_H
#define NIDUS_VERDICT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "host/event.h"

enum outcome {
	OUTCOME_RUNNING,
	OUTCOME_SHUTDOWN, /* the guest powered itself off */
	OUTCOME_RESET, /* the guest asked for a reset */
	OUTCOME_QUIT, /* the user typed the escape key */
	OUTCOME_CRASHED, /* the guest reported a crash, or did what KVM cannot carry on from */
	OUTCOME_KVM_FAILED, /* KVM gave up on a vCPU */
	OUTCOME_HOST_ERROR, /* the host failed us: console output lost, ... */
	OUTCOME_KILLED, /* a signal told nidus to end */
};

struct verdict {
	_Atomic enum outcome outcome;
	atomic_bool quit; /* the escape key was typed, whatever became the outcome */
	int signal; /* with OUTCOME_KILLED: which one */
	struct event_notifier wakeup;
};

/* Registers the wake-up with loop, which outlives the verdict. Errors: -errno, said. */
int verdict_create(struct verdict *verdict, struct event_loop *loop);
void verdict_destroy(struct verdict *verdict);

/* Any thread. Any reason but OUTCOME_RUNNING and OUTCOME_KILLED. */
void verdict_reach(struct verdict *verdict, enum outcome outcome);

/* The event loop's thread: nidus was told by signal to end. */
void verdict_kill(struct verdict *verdict, int signal);

static inline enum outcome verdict_outcome(const struct verdict *verdict)
{
	return atomic_load(&verdict->outcome);
}

/* Whether the user has typed the escape key, at any time, also after the guest's end. Any thread.
 */
static inline bool verdict_quit(const struct verdict *verdict)
{
	return atomic_load(&verdict->quit);
}

/* Ready for the next life of a guest that was reset. */
void verdict_clear(struct verdict *verdict);

/* One lower-case word or two joined by a hyphen, for statistics and messages. */
const char *verdict_name(enum outcome outcome);

#endif
