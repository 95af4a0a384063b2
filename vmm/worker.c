// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "crash.h"
#include "log.h"
#include "util.h"
#include "worker.h"

/* The loop comes round and sees stop. */
static void worker_woken(struct event_notifier *notifier)
{
	(void)notifier;
}

int worker_create(struct worker *worker)
{
	int err = event_loop_create(&worker->loop);

	atomic_init(&worker->stop, false);
	if (err < 0)
		return err;
	err = event_notifier_create(&worker->wakeup, &worker->loop, worker_woken);
	if (err < 0)
		event_loop_destroy(&worker->loop);
	return err;
}

void worker_destroy(struct worker *worker)
{
	event_notifier_destroy(&worker->wakeup);
	event_loop_destroy(&worker->loop);
}

static void *worker_thread(void *opaque)
{
	struct worker *worker = opaque;
	uint8_t stack[CRASH_STACK_SIZE];
	int err = 0;

	crash_stack(stack);
	while (err >= 0 && !atomic_load(&worker->stop))
		err = event_loop_turn(&worker->loop, true);
	crash_stack(NULL);
	return NULL;
}

int worker_start(struct worker *worker, const char *name)
{
	char cut[16];
	int err = pthread_create(&worker->thread, NULL, worker_thread, worker);

	if (err != 0) {
		log_error("thread of %s: %s", name, log_reason(err));
		return -err;
	}
	snprintf(cut, sizeof(cut), "%s", name);
	pthread_setname_np(worker->thread, cut);
	return 0;
}

void worker_stop(struct worker *worker)
{
	atomic_store(&worker->stop, true);
	event_notify(&worker->wakeup);
	pthread_join(worker->thread, NULL);
}
