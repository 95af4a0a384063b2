/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One `nidus run`: what lives as long as the process (files, event loop, signals, terminal,
 * verdict), and the machine, or one machine after another while the guest resets.
 */
#ifndef NIDUS_SESSION_H
#define NIDUS_SESSION_H

#include "backends/report.h"
#include "backends/terminal.h"
#include "config/config.h"
#include "host/event.h"
#include "host/signals.h"
#include "host/verdict.h"
#include "machine/machine.h"
#include "machine/messages.h"
#include "machine/resources.h"
#include "machine/status.h"
#include "vcpu/holds.h"

/* Who follows the session's machines; the struct is its owner's. */
struct session_watcher {
	/* The machine's vCPUs are about to start; or NULL. */
	void (*begins)(struct session_watcher *watcher);
	/* They have stopped, over: for good; or NULL. */
	void (*stopped)(struct session_watcher *watcher, bool over);
	struct session_watcher *next;
};

struct session {
	const struct config *config;
	struct resources resources;
	struct event_loop loop;
	struct verdict verdict;
	struct signals signals;
	struct terminal terminal;
	struct report report;
	struct messages messages;
	struct holds holds; /* of all machines' vCPUs */
	struct machine machine;
	bool machine_exists; /* for statistics on request */
	unsigned int resets;
	bool out_of_patience; /* what the guest wrote last is waited for no more */

	/* Where the guest's reports go, NULL: nowhere; report's, if not set after session_create().
	 */
	struct sink *reports;
	/* If set after session_create(): a machine has stopped and is about to be destroyed. */
	void (*ended)(struct session *session, const struct machine *machine);
	struct session_watcher *watchers; /* session_watch() */
};

/*
 * All that is opened by a path is opened now. config outlives the session. STATUS_OK, or what to
 * exit with; then nothing is to be destroyed.
 */
enum status session_create(struct session *session, const struct config *config);
/* Until the guest ends for good. What to exit with. */
enum status session_run(struct session *session);
void session_destroy(struct session *session);

/* Before and after session_run(). They are called in the order in which they came. */
static inline void session_watch(struct session *session, struct session_watcher *watcher)
{
	struct session_watcher **link = &session->watchers;

	while (*link)
		link = &(*link)->next;
	watcher->next = NULL;
	*link = watcher;
}

static inline void session_watch_no_more(struct session *session, struct session_watcher *watcher)
{
	struct session_watcher **link = &session->watchers;

	while (*link && *link != watcher)
		link = &(*link)->next;
	if (*link)
		*link = watcher->next;
}

#endif
