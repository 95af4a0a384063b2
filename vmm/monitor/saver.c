// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. All vCPUs rest, then all devices; what they are is put together at once, and
 * RAM is written in steps, between which the loop turns: signals and clients do not wait for a
 * large guest. One that is to end with it does not go on in between, for what it did then would be
 * lost with it, but for what it did to its disks.
 */
#include "monitor/saver.h"

#include <errno.h>
#include <string.h>

#include "host/clock.h"
#include "host/log.h"
#include "util.h"

static struct machine *machine_of(const struct saver *saver)
{
	return &saver->session->machine;
}

/* why: as done() has it. */
static void finish(struct saver *saver, const char *why)
{
	if (saver->writes)
		snapshot_write_end(&saver->writer);
	saver->busy = false;
	saver->stopped = !why && saver->stops;
	if (saver->stopped) {
		verdict_reach(&saver->session->verdict, OUTCOME_QUIT);
	} else {
		if (saver->writes)
			machine_rest(machine_of(saver), false);
		hold_end(&saver->session->holds, &saver->rest);
	}
	saver->writes = false;
	saver->done(saver, why);
}

static void fail(struct saver *saver, int err)
{
	finish(saver, log_reason(-err));
}

static void write_more(struct event_notifier *notifier)
{
	struct saver *saver = container_of(notifier, struct saver, more);
	int more;

	if (!saver->writes)
		return;
	more = snapshot_write_some(&saver->writer);
	saver->paused_ns = clock_ns() - saver->rests_since;
	if (more < 0)
		fail(saver, more);
	else if (more == 0)
		finish(saver, NULL);
	else
		event_notify(&saver->more);
}

/* All but RAM is put together, and its writing begins. */
static int begin(struct saver *saver)
{
	struct machine *machine = machine_of(saver);
	struct state_writer state;
	int err;

	state_writer_create(&state);
	if (saver->add)
		saver->add(saver, &state);
	machine_save(machine, &state);
	err = state.err;
	if (err == 0)
		err = snapshot_write_begin(&saver->writer, saver->fd, saver->pagemap_fd,
					   &machine->memory, &state);
	state_writer_destroy(&state);
	return err;
}

static void held(struct hold *hold)
{
	struct saver *saver = container_of(hold, struct saver, rest);
	const char *why = saver->session->machine_exists ? machine_unsaved(machine_of(saver))
							 : "it is between two of its lives";
	int err;

	if (why) {
		finish(saver, why);
		return;
	}
	saver->rests_since = clock_ns();
	machine_rest(machine_of(saver), true);
	saver->writer = (struct snapshot_writer){ 0 };
	saver->writes = true;
	err = begin(saver);
	if (err < 0)
		fail(saver, err);
	else
		event_notify(&saver->more);
}

void saver_begin(struct saver *saver, int fd, int pagemap_fd, bool stop)
{
	saver->busy = true;
	saver->fd = fd;
	saver->pagemap_fd = pagemap_fd;
	saver->stops = stop;
	saver->rest.held = held;
	hold_begin(&saver->session->holds, &saver->rest);
}

void saver_end(struct saver *saver)
{
	if (saver->busy)
		finish(saver, "it has ended");
	if (saver->stopped)
		hold_end(&saver->session->holds, &saver->rest);
	saver->stopped = false;
}

int saver_create(struct saver *saver, struct session *session)
{
	*saver = (struct saver){ .session = session };
	return event_notifier_create(&saver->more, &session->loop, write_more);
}

void saver_destroy(struct saver *saver)
{
	event_notifier_destroy(&saver->more);
}
