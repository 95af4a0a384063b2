/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Has a guest of a session saved to a file while its loop turns. All of it is for the loop's
 * thread. Nothing is opened by a path: who wants it has file and pagemap.
 */
#ifndef NIDUS_SAVER_H
#define NIDUS_SAVER_H

#include "host/event.h"
#include "machine/session.h"
#include "snapshot/snapshot.h"

/* What is to be done. */
struct saver_order {
	int fd; /* an empty file */
	int pagemap_fd; /* /proc/PID/pagemap of this process */
	bool stop; /* the guest is to end with that */
	bool track; /* what it writes from then on is logged, so that the file can be a base */
	struct snapshot_id base; /* the file is to be an increment to that; or none */
};

enum saver_stage {
	SAVER_IDLE,
	SAVER_PREPARES, /* vCPUs are being stopped, for the log to begin */
	SAVER_COPIES, /* RAM is written while the guest runs */
	SAVER_SETTLES, /* vCPUs are being stopped */
	SAVER_RESTS, /* all rests, and the rest is written */
	SAVER_STOPPED, /* it was saved, and is held until it has ended */
};

struct saver {
	struct session *session;
	struct hold rest; /* in all stages but SAVER_IDLE and SAVER_COPIES */
	struct event_notifier more; /* of RAM is to be written */
	struct saver_order order;
	enum saver_stage stage;
	bool live; /* RAM is written while the guest runs */
	bool rests; /* vCPUs and devices do */
	struct snapshot_writer writer;
	struct state_writer state; /* once it rests */
	int err; /* that has to wait until it rests */
	uint64_t rests_since; /* clock_ns(): when vCPUs were asked to stop */
	uint64_t paused_ns; /* for how long the guest was kept from running */

	/* Records that come before the guest's, or NULL. */
	void (*add)(struct saver *saver, struct state_writer *state);
	/*
	 * The end of it: the guest goes on, or is about to end. why: NULL, it is saved, and the
	 * file whole, but not on stable storage; or why not, in words that a line can end with.
	 */
	void (*done)(struct saver *saver, const char *why);
};

/* Opens what saving takes. add and done are the caller's to set. Errors: -errno, said. */
int saver_create(struct saver *saver, struct session *session);
void saver_destroy(struct saver *saver);

static inline bool saver_is_busy(const struct saver *saver)
{
	return saver->stage != SAVER_IDLE && saver->stage != SAVER_STOPPED;
}

/*
 * The order's descriptors are the caller's until done() is called, which may be at once.
 * holds_prepare() has been, and it is not busy.
 */
void saver_begin(struct saver *saver, const struct saver_order *order);

/* The machine is about to go: nothing of it is saved any more. */
void saver_end(struct saver *saver);

#endif
