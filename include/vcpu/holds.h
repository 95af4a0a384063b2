/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All vCPUs kept out of the guest for as long as somebody wants it: who pauses a guest, looks into
 * it or debugs it. What an emulated access needs for a moment is vcpu_pause_others().
 *
 * All of this is for the event loop's thread, which does not wait: a vCPU outside may be waiting
 * for just that thread, for room in the console's ring for example. So it asks, and is told when
 * the last one has come to rest. Holds outlive machines: the vCPUs of a guest's next life do not
 * begin before they end.
 */
#ifndef NIDUS_HOLDS_H
#define NIDUS_HOLDS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "host/event.h"

struct vcpu_env;

struct holds {
	atomic_uint count;
	struct event_loop *loop;
	struct event_notifier rested; /* once there has been a hold */
	bool notifies; /* it has */
	struct hold *first; /* holds that have begun */
	struct vcpu_env *env; /* of the machine whose vCPUs are held; NULL: there is none */
};

/* One wish that all vCPUs be outside; the struct is its owner's, from hold_begin() to hold_end().
 */
struct hold {
	/*
	 * No vCPU is in the guest, nor does its thread do anything but jobs, and until hold_end()
	 * it stays so. Registers may be read and written by any thread. Called once, by the loop.
	 */
	void (*held)(struct hold *hold);
	bool told;
	struct hold *next;
};

/* loop outlives it. holds_destroy(): all have ended. */
void holds_create(struct holds *holds, struct event_loop *loop);
void holds_destroy(struct holds *holds);

/* env's vCPUs, of whom none has started: before vcpu_start(). NULL: there are none any more. */
void holds_attach(struct holds *holds, struct vcpu_env *env);

/*
 * Opens what the first hold takes, for who may not do so later: hold_begin() does not fail then.
 * Errors: -errno, said.
 */
int holds_prepare(struct holds *holds);

/* Errors of the first one: -errno, said; it has not begun then. */
int hold_begin(struct holds *holds, struct hold *hold);
void hold_end(struct holds *holds, struct hold *hold);

/* For vcpu.c, by any thread: whether vCPUs are to stay outside; that one has come to rest. */
static inline bool holds_any(const struct holds *holds)
{
	return holds && atomic_load(&holds->count) > 0;
}

void holds_rested(struct holds *holds);

#endif
