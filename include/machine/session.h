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
	/* If set after session_create(): a machine's vCPUs are about to start. */
	void (*begins)(struct session *session, struct machine *machine);
	/* If set after session_create(): a machine has stopped and is about to be destroyed. */
	void (*ended)(struct session *session, const struct machine *machine);
	void *follower; /* of who has set begins */
	/* The same, for who watches: it is about to run; it has stopped, over: for good. */
	struct session_watcher {
		void (*begins)(struct session_watcher *watcher);
		void (*stopped)(struct session_watcher *watcher, bool over);
	} * watcher;
};

/*
 * All that is opened by a path is opened now. config outlives the session. STATUS_OK, or what to
 * exit with; then nothing is to be destroyed.
 */
enum status session_create(struct session *session, const struct config *config);
/* Until the guest ends for good. What to exit with. */
enum status session_run(struct session *session);
void session_destroy(struct session *session);

#endif
