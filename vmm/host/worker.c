// SPDX-License-Identifier: GPL-2.0-only
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/crash.h"
#include "host/log.h"
#include "host/worker.h"
#include "sandbox/sandbox.h"
#include "util.h"

/*
 * The first version of sched_setattr(2)'s struct sched_attr. <linux/sched/types.h> has it, but does
 * not go with <sched.h> everywhere: older ones define struct sched_param as well.
 */
struct scheduling {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime; /* nanoseconds; of SCHED_OTHER, the slice */
	uint64_t deadline;
	uint64_t period;
};

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

/* #syscalls loop worker: sched_getattr sched_setattr */
void worker_slice(uint64_t nanoseconds)
{
	struct scheduling own = { 0 };

	/* All else stays as the user has it. Nothing depends on success. */
	if (syscall(SYS_sched_getattr, 0, &own, sizeof(own), 0) < 0 || own.policy != SCHED_OTHER)
		return;
	own.runtime = nanoseconds;
	syscall(SYS_sched_setattr, 0, &own, 0);
}

/* #syscalls loop: prctl(PR_SET_NAME) */
static void *worker_thread(void *opaque)
{
	struct worker *worker = opaque;
	uint8_t stack[CRASH_STACK_SIZE];
	int err = 0;

	crash_stack(stack);
	/* By the thread itself: of another's name the C library writes to a file in /proc. */
	pthread_setname_np(pthread_self(), worker->name);
	worker_slice(WORKER_SLICE_NS);
	sandbox_enter_thread(SANDBOX_WORKER);
	while (err >= 0 && !atomic_load(&worker->stop))
		err = event_loop_turn(&worker->loop, true);
	crash_stack(NULL);
	return NULL;
}

/* #syscalls loop: clone mmap munmap mprotect */
int worker_start(struct worker *worker, const char *name)
{
	int err;

	snprintf(worker->name, sizeof(worker->name), "%s", name);
	err = pthread_create(&worker->thread, NULL, worker_thread, worker);
	if (err != 0) {
		log_error("thread of %s: %s", name, log_reason(err));
		return -err;
	}
	return 0;
}

void worker_stop(struct worker *worker)
{
	atomic_store(&worker->stop, true);
	event_notify(&worker->wakeup);
	pthread_join(worker->thread, NULL);
}
