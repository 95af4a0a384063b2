// SPDX-License-Identifier: GPL-2.0-only
#include "verdict.h"

/* The loop has nothing to do but to come round and look at the outcome again. */
static void verdict_woken(struct event_notifier *notifier)
{
	(void)notifier;
}

int verdict_create(struct verdict *verdict, struct event_loop *loop)
{
	atomic_init(&verdict->outcome, OUTCOME_RUNNING);
	return event_notifier_create(&verdict->wakeup, loop, verdict_woken);
}

void verdict_destroy(struct verdict *verdict)
{
	event_notifier_destroy(&verdict->wakeup);
}

void verdict_reach(struct verdict *verdict, enum outcome outcome)
{
	enum outcome running = OUTCOME_RUNNING;

	if (atomic_compare_exchange_strong(&verdict->outcome, &running, outcome))
		event_notify(&verdict->wakeup);
}

void verdict_kill(struct verdict *verdict, int signal)
{
	verdict->signal = signal;
	atomic_store(&verdict->outcome, OUTCOME_KILLED);
	event_notify(&verdict->wakeup);
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
