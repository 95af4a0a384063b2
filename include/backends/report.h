/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file that a guest's reports go to, byte by byte as they come: a regular file, a pipe, a
 * socket, or a character device such as a port of the outer guest that nidus runs in.
 *
 * What cannot be written any more (nobody reads, no space is left) is dropped from then on, which
 * is said once. The run goes on.
 */
#ifndef NIDUS_REPORT_H
#define NIDUS_REPORT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/event.h"
#include "host/stream.h"
#include "sink.h"
#include "util.h"

/* What keep() keeps at most: twice a full ring of the longest buffers that Linux makes. */
#define REPORT_KEPT_MAX MIB(4)

struct report {
	struct sink sink;
	const char *name;
	struct event_loop *loop;
	struct stream stream; /* fd -1: there is no such file */
	struct event_source source;
	struct event_notifier flush; /* keep() has something for the event loop's thread */
	bool pollable; /* may not be ready, and then can be waited for */

	pthread_mutex_t lock; /* guards all below, and writing */
	bool refused; /* offer() took nothing, and room() is owed */
	bool lost;
	uint8_t *kept; /* kept_count bytes from kept_start on, of kept_size */
	size_t kept_start, kept_count, kept_size;
};

/*
 * Opens a file by its name, or takes the descriptor N of whoever started nidus where name is fd:N.
 * A regular file is made if need be, and emptied, unless its name is a special one
 * (file_is_special()); all is written at its end. A FIFO is waited for until it has a
 * reader: call it while signals still end the process. Errors: -errno, said; nothing is to be
 * destroyed then. NULL: no file, and the calls below do nothing.
 */
int report_create(struct report *report, const char *name);
void report_destroy(struct report *report);

/* Before the sink is used, and after. Errors: -errno, said. */
int report_start(struct report *report, struct event_loop *loop);
void report_stop(struct report *report);

/* Writes what has been kept, as far as that can be done at once. The event loop's thread. */
void report_flush(struct report *report);

/* Whether something that was kept is still to be written. */
bool report_pending(struct report *report);

#endif
