/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A thread that turns an event loop of its own, for devices whose work would keep the main loop
 * from its other duties.
 */
#ifndef NIDUS_WORKER_H
#define NIDUS_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "host/event.h"

/*
 * For threads that vCPUs wait for, some of them without pause and with locks held, as Linux does
 * for the virtio console: the shortest that the scheduler takes.
 */
#define WORKER_SLICE_NS UINT64_C(100000)

struct worker {
	struct event_loop loop;
	struct event_notifier wakeup;
	pthread_t thread;
	char name[16]; /* of the thread */
	atomic_bool stop;
};

/* The loop exists, and sources may be added; nothing turns yet. Errors: -errno, said. */
int worker_create(struct worker *worker);
void worker_destroy(struct worker *worker);

/*
 * Starts and ends the thread; worker_stop() returns when it has ended. name: of the thread, cut to
 * 15 bytes. Errors: -errno, said.
 */
int worker_start(struct worker *worker, const char *name);
void worker_stop(struct worker *worker);

/*
 * Asks the host's scheduler for slices of so many nanoseconds for the calling thread, 0 for those
 * of its own choice. Shorter slices are no more time, but given sooner: the thread may come before
 * those with longer ones when it wakes (since Linux 6.12; before that nothing changes). Threads
 * that are started inherit it.
 */
void worker_slice(uint64_t nanoseconds);

#endif
