/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One `nidus run`: what lives as long as the process (event loop, signals, terminal, verdict), and
 * the machine, or one machine after another while the guest resets.
 */
#ifndef NIDUS_SESSION_H
#define NIDUS_SESSION_H

#include "backends/report.h"
#include "backends/terminal.h"
#include "host/event.h"
#include "host/signals.h"
#include "host/verdict.h"
#include "machine/config.h"
#include "machine/machine.h"

/* The exit status of nidus, for test runners; 128 + N when signal N ended it. */
enum status {
	STATUS_OK = 0, /* the guest shut down, or the user ended it */
	STATUS_CRASHED = 1, /* the guest crashed, or KVM gave up on it */
	STATUS_USAGE = 2, /* the command line is wrong, or a file that it has nidus read or write */
	STATUS_HOST = 3, /* the host lacks or refuses something */
	STATUS_SIGNAL = 128,
};

struct session {
	const struct config *config;
	struct event_loop loop;
	struct verdict verdict;
	struct signals signals;
	struct terminal terminal;
	struct report report;
	struct event_source
		messages; /* standard error, with messages that wait for it; fd -1: no */
	struct machine machine;
	bool machine_exists; /* for statistics on request */
	unsigned int resets;
	bool out_of_patience; /* what the guest wrote last is waited for no more */

	/* Where the guest's reports go, NULL: nowhere; report's, if not set after session_create().
	 */
	struct sink *reports;
	/* If set after session_create(): a machine has stopped and is about to be destroyed. */
	void (*ended)(struct session *session, const struct machine *machine);
};

/* config outlives the session. STATUS_OK, or what to exit with; then nothing is to be destroyed. */
enum status session_create(struct session *session, const struct config *config);
/* Until the guest ends for good. What to exit with. */
int session_run(struct session *session);
void session_destroy(struct session *session);

#endif
