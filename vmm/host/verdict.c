// SPDX-License-Identifier: GPL-2.0-only
#include "host/verdict.h"

#define REASON(outcome) (1u << (outcome))

/* For each outcome that may come: those that it overrules. */
static const unsigned int overruled[] = {
	[OUTCOME_SHUTDOWN] = REASON(OUTCOME_RUNNING),
	[OUTCOME_RESET] = REASON(OUTCOME_RUNNING),
	[OUTCOME_CRASHED] = REASON(OUTCOME_RUNNING),
	[OUTCOME_KVM_FAILED] = REASON(OUTCOME_RUNNING),
	[OUTCOME_QUIT] = REASON(OUTCOME_RUNNING) | REASON(OUTCOME_RESET),
	[OUTCOME_HOST_ERROR] = REASON(OUTCOME_RUNNING) | REASON(OUTCOME_RESET) |
			       REASON(OUTCOME_SHUTDOWN) | REASON(OUTCOME_QUIT),
	[OUTCOME_KILLED] = ~0u,
};

/* The loop has nothing to do but to come round and look at the outcome again. */
static void verdict_woken(struct event_notifier *notifier)
{
	(void)notifier;
}

int verdict_create(struct verdict *verdict, struct event_loop *loop)
{
	atomic_init(&verdict->outcome, OUTCOME_RUNNING);
	atomic_init(&verdict->quit, false);
	return event_notifier_create(&verdict->wakeup, loop, verdict_woken);
}

void verdict_destroy(struct verdict *verdict)
{
	event_notifier_destroy(&verdict->wakeup);
}

static void verdict_become(struct verdict *verdict, enum outcome outcome)
{
	enum outcome before = atomic_load(&verdict->outcome);

	while (overruled[outcome] & REASON(before))
		if (atomic_compare_exchange_weak(&verdict->outcome, &before, outcome))
			break;
	/* Also where nothing was overruled: the loop looks at verdict_quit(), too. */
	event_notify(&verdict->wakeup);
}

void verdict_reach(struct verdict *verdict, enum outcome outcome)
{
	if (outcome == OUTCOME_QUIT)
		atomic_store(&verdict->quit, true);
	verdict_become(verdict, outcome);
}

void verdict_kill(struct verdict *verdict, int signal)
{
	verdict->signal = signal;
	verdict_become(verdict, OUTCOME_KILLED);
}

void verdict_clear(struct verdict *verdict)
{
	enum outcome reset = OUTCOME_RESET;

	atomic_compare_exchange_strong(&verdict->outcome, &reset, OUTCOME_RUNNING);
}

const char *verdict_name(enum outcome outcome)
{
	static const char *const name[] = {
		[OUTCOME_RUNNING] = "running",	     [OUTCOME_SHUTDOWN] = "shutdown",
		[OUTCOME_RESET] = "reset",	     [OUTCOME_QUIT] = "quit",
		[OUTCOME_CRASHED] = "crashed",	     [OUTCOME_KVM_FAILED] = "kvm-failed",
		[OUTCOME_HOST_ERROR] = "host-error", [OUTCOME_KILLED] = "killed",
	};

	return name[outcome];
}
