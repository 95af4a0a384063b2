/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Moves a guest of a session to another nidus while its loop turns. All of it is for the loop's
 * thread. Nothing is opened by a path: who wants it has connection and pagemap.
 */
#ifndef NIDUS_MOVER_H
#define NIDUS_MOVER_H

#include "host/event.h"
#include "machine/session.h"
#include "migration/migration_send.h"
#include "mm/dirty.h"

enum mover_state {
	MOVER_IDLE,
	MOVER_BEGINS, /* vCPUs come to rest, so that a log can be kept */
	MOVER_ROUNDS, /* the guest runs, and RAM is sent */
	MOVER_TAKES, /* vCPUs come to rest, so that the log can be taken */
	MOVER_RESTS, /* vCPUs come to rest for the last time */
	MOVER_LAST, /* what is left is sent */
	MOVER_WAITS, /* for the other side, which makes a machine of it */
	MOVER_COMMITS, /* the commitment is not sent whole yet: the guest is still ours */
	MOVER_ASKS, /* it is, so that only the other side knows whose the guest is */
	MOVER_ENDS, /* given up: vCPUs come to rest, so that no log is kept any more */
	MOVER_MOVED, /* the guest runs there, and is held here until it has ended */
	MOVER_ADRIFT, /* nobody here knows whether it runs there, or its disks are another's */
};

struct mover {
	struct session *session;
	enum mover_state state;
	struct hold rest;
	struct event_source link; /* to the other side */
	struct event_timer patience;
	uint64_t timeout_ns;
	bool logs; /* the machine's log is kept for this */
	struct migration_sender sender;
	struct state_writer guest; /* all of its state, in the end */
	bool unlocked; /* disks are */
	const char *why; /* it was given up, or NULL */

	unsigned int rounds; /* that have begun while the guest ran */
	bool converged; /* what this one sends is so little that the next one is the last */
	uint64_t round_since, round_sent; /* clock_ns() and bytes when it began */
	uint64_t rests_since; /* clock_ns() */
	uint64_t paused_ns; /* for how long the guest was kept from running */

	/*
	 * The end of it. why: NULL, the guest runs there, and ends here; or why not, in words that
	 * a line can end with: then it goes on here, unless it is adrift.
	 */
	void (*done)(struct mover *mover, const char *why);
	void *opaque; /* whose done() it is */
};

/* Of all three, NULL is none that does anything. */
static inline bool mover_is_busy(const struct mover *mover)
{
	return mover && mover->state != MOVER_IDLE;
}

static inline bool mover_is_adrift(const struct mover *mover)
{
	return mover && mover->state == MOVER_ADRIFT;
}

static inline bool mover_has_moved(const struct mover *mover)
{
	return mover && mover->state == MOVER_MOVED;
}

/*
 * fd: a stream socket; pagemap_fd: /proc/PID/pagemap of this process; the caller's until done() is
 * called. Where the other side does nothing for timeout_ns it is given up, and the guest is kept
 * from running for no longer, until it is committed. holds_prepare() has been, and the mover is
 * idle; session, done and opaque are set.
 */
void mover_begin(struct mover *mover, int fd, int pagemap_fd, uint64_t timeout_ns);

/* Nobody wants it any more. Without effect once the guest is about to be the other side's. */
void mover_cancel(struct mover *mover);

/* Has a guest that is adrift go on here. Errors: -errno, said: its disks are not to be had. */
int mover_resume(struct mover *mover);

/* The machine is about to go: nothing of it is moved any more. */
void mover_end(struct mover *mover);

#endif
