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

struct saver {
	struct session *session;
	struct hold rest; /* from the beginning, until the guest goes on */
	struct event_notifier more; /* of RAM is to be written */
	struct snapshot_writer writer;
	bool busy; /* saver_begin() was called, and done() was not */
	bool writes; /* writer has begun, and devices rest */
	bool stops; /* the guest is to end with that */
	bool stopped; /* it was saved, and is held until it has ended */
	int fd, pagemap_fd;
	uint64_t rests_since; /* clock_ns() */
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

/*
 * fd: an empty file; pagemap_fd: /proc/PID/pagemap of this process; the caller's until done() is
 * called. holds_prepare() has been, and it is not busy.
 */
void saver_begin(struct saver *saver, int fd, int pagemap_fd, bool stop);

/* The machine is about to go: nothing of it is saved any more. */
void saver_end(struct saver *saver);

#endif
