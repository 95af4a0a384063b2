/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What stands in place of vmm/host/worker.c and of notifiers of vmm/host/event.c where there are no
 * threads: turn() is the worker. NOTIFIERS_MAX is defined before this is included: how many there
 * are.
 */
#ifndef FAKE_WORKER_H
#define FAKE_WORKER_H

#include "fuzz.h"
#include "host/event.h"
#include "host/worker.h"

static struct event_notifier *notifiers[NOTIFIERS_MAX];
static bool notified[NOTIFIERS_MAX];

int event_notifier_create(struct event_notifier *notifier, struct event_loop *loop,
			  void (*function)(struct event_notifier *notifier))
{
	for (unsigned int i = 0; i < NOTIFIERS_MAX; i++) {
		if (notifiers[i])
			continue;
		notifier->notified = function;
		notifiers[i] = notifier;
		notified[i] = false;
		return 0;
	}
	MUST(false);
	return -1;
}

void event_notifier_destroy(struct event_notifier *notifier)
{
	for (unsigned int i = 0; i < NOTIFIERS_MAX; i++)
		if (notifiers[i] == notifier)
			notifiers[i] = NULL;
}

void event_notify(struct event_notifier *notifier)
{
	for (unsigned int i = 0; i < NOTIFIERS_MAX; i++)
		notified[i] |= notifiers[i] == notifier;
}

/* No worker goes on for ever: it asks to come again, and that is counted. */
static void turn(void)
{
	for (unsigned int left = 64; left > 0; left--) {
		unsigned int i = 0;

		while (i < NOTIFIERS_MAX && !(notifiers[i] && notified[i]))
			i++;
		if (i == NOTIFIERS_MAX)
			return;
		notified[i] = false;
		notifiers[i]->notified(notifiers[i]);
	}
}

int worker_create(struct worker *worker)
{
	return 0;
}

void worker_destroy(struct worker *worker)
{
}

int worker_start(struct worker *worker, const char *name)
{
	return 0;
}

void worker_stop(struct worker *worker)
{
}

#endif
