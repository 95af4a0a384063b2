// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. RAM is written while the guest runs, and what it writes meanwhile is logged.
 * Then all vCPUs rest, and all devices; what they are is put together at once, and what was logged
 * is written again. So a guest stands still for what it is and for what it has changed of late, and
 * not for all of its RAM. An increment is the same with a log that is kept already.
 *
 * One that is to end with it rests from the beginning, for what it did meanwhile would be lost with
 * it, but for what it did to its disks; and one whose RAM others write to that no log knows of. So
 * does a hypervisor: a log costs its guests a fault, of the dearest kind, for each page that they
 * write to.
 *
 * All is written in steps, between which the loop turns: signals and clients do not wait for a
 * large guest. A log begins and ends while all rests (dirty.h).
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

static bool is_increment(const struct saver *saver)
{
	return !snapshot_id_is_none(&saver->order.base);
}

static void stop_vcpus(struct saver *saver, enum saver_stage stage)
{
	saver->stage = stage;
	saver->rests_since = clock_ns();
	hold_begin(&saver->session->holds, &saver->rest);
}

static void go_on(struct saver *saver)
{
	if (saver->rests)
		machine_rest(machine_of(saver), false);
	saver->rests = false;
	hold_end(&saver->session->holds, &saver->rest);
	saver->paused_ns += clock_ns() - saver->rests_since;
}

/*
 * What becomes of the log, while all rests. It is as it was where a guest ends with that, or was to
 * end, and nothing was taken.
 */
static void settle_log(struct saver *saver, bool saved)
{
	struct machine *machine = machine_of(saver);

	if (!dirty_log_is_kept(&machine->dirty) ||
	    (saver->order.stop && (saved || !is_increment(saver))))
		return;
	if (saved && (saver->order.track || is_increment(saver))) {
		machine->dirty_since = saver->writer.header.id;
	} else if (is_increment(saver) && saver->writer.has.word) {
		/* The next one has it. */
		dirty_log_return(&machine->dirty, &saver->writer.has);
	} else {
		dirty_log_end(&machine->dirty);
		machine->dirty_since = (struct snapshot_id){ 0 };
	}
}

/* why: as done() has it. vCPUs were asked to stop. */
static void finish(struct saver *saver, const char *why)
{
	if (saver->rests)
		settle_log(saver, !why);
	snapshot_write_end(&saver->writer);
	state_writer_destroy(&saver->state);
	if (!why && saver->order.stop) {
		saver->paused_ns += clock_ns() - saver->rests_since;
		saver->stage = SAVER_STOPPED;
		verdict_reach(&saver->session->verdict, OUTCOME_QUIT);
	} else {
		saver->stage = SAVER_IDLE;
		go_on(saver);
	}
	saver->done(saver, why);
}

static void fail(struct saver *saver, int err)
{
	if (saver->stage == SAVER_COPIES) {
		saver->err = err;
		stop_vcpus(saver, SAVER_SETTLES);
	} else {
		finish(saver, log_reason(-err));
	}
}

static void write_more(struct event_notifier *notifier)
{
	struct saver *saver = container_of(notifier, struct saver, more);
	int more;

	if (saver->stage != SAVER_COPIES && saver->stage != SAVER_RESTS)
		return;
	more = snapshot_write_some(&saver->writer);
	if (more == 0 && saver->stage == SAVER_COPIES) {
		stop_vcpus(saver, SAVER_SETTLES);
		return;
	}
	if (more == 0)
		more = snapshot_write_finish(&saver->writer, &saver->state);
	if (more < 0)
		fail(saver, more);
	else if (more == 0)
		finish(saver, NULL);
	else
		event_notify(&saver->more);
}

/* Goes over RAM, as far as the log goes, or over all of it. */
static void write_ram(struct saver *saver, const struct dirty_log *log)
{
	snapshot_write_pass(&saver->writer, log);
	event_notify(&saver->more);
}

static int begin_file(struct saver *saver)
{
	const struct saver_order *order = &saver->order;

	return snapshot_write_begin(&saver->writer, order->fd, order->pagemap_fd,
				    &machine_of(saver)->memory,
				    is_increment(saver) ? &order->base : NULL);
}

/* Of what is written from now on, one that is kept already included. */
static int begin_log(struct saver *saver)
{
	struct machine *machine = machine_of(saver);

	machine->dirty_since = (struct snapshot_id){ 0 };
	return dirty_log_is_kept(&machine->dirty)
		       ? dirty_log_take(&machine->dirty)
		       : dirty_log_begin(&machine->dirty, machine->vm_fd, &machine->memory,
					 machine->config->nested);
}

/* All but RAM is put together, and what is left of RAM is found. */
static int rest(struct saver *saver)
{
	struct machine *machine = machine_of(saver);
	const bool logged = saver->live || is_increment(saver);
	int err = saver->live ? 0 : begin_file(saver);

	if (err == 0 && !logged && saver->order.track)
		err = begin_log(saver);
	saver->stage = SAVER_RESTS;
	if (saver->add)
		saver->add(saver, &saver->state);
	machine_save(machine, &saver->state, saver->order.pagemap_fd);
	if (err == 0)
		err = saver->state.err;
	if (err == 0 && logged)
		err = dirty_log_take(&machine->dirty);
	if (err == 0)
		write_ram(saver, logged ? &machine->dirty : NULL);
	return err;
}

/* The guest goes on, and what it writes is logged. */
static int prepare(struct saver *saver)
{
	int err = begin_file(saver);

	if (err == 0)
		err = begin_log(saver);
	if (err == 0) {
		saver->stage = SAVER_COPIES;
		go_on(saver);
		write_ram(saver, NULL);
	}
	return err;
}

static void held(struct hold *hold)
{
	struct saver *saver = container_of(hold, struct saver, rest);
	const char *why = saver->session->machine_exists ? machine_unsaved(machine_of(saver))
							 : "it is between two of its lives";
	int err = saver->err;

	saver->rests = saver->session->machine_exists;
	if (saver->rests)
		machine_rest(machine_of(saver), true);
	if (why) {
		finish(saver, why);
		return;
	}
	if (err == 0)
		err = saver->stage == SAVER_PREPARES ? prepare(saver) : rest(saver);
	if (err < 0)
		fail(saver, err);
}

/* What was written since the base; the guest runs on. */
static void begin_increment(struct saver *saver)
{
	struct machine *machine = machine_of(saver);
	int err = begin_file(saver);

	saver->stage = SAVER_COPIES;
	if (err == 0)
		err = dirty_log_take(&machine->dirty);
	if (err == 0)
		write_ram(saver, &machine->dirty);
	else
		fail(saver, err);
}

static bool has_log_since(const struct saver *saver, const struct snapshot_id *base)
{
	const struct machine *machine = machine_of(saver);

	return saver->session->machine_exists && dirty_log_is_kept(&machine->dirty) &&
	       snapshot_id_equals(&machine->dirty_since, base);
}

/* Why the order cannot be carried out, or NULL. */
static const char *refusal(const struct saver *saver, const char *unlogged)
{
	if (unlogged && (saver->order.track || is_increment(saver)))
		return unlogged;
	if (is_increment(saver) && !has_log_since(saver, &saver->order.base))
		return "what it has written since that base is not known; a base is made with "
		       "--track";
	return NULL;
}

void saver_begin(struct saver *saver, const struct saver_order *order)
{
	const char *why, *unlogged = saver->session->machine_exists
					     ? machine_unlogged(machine_of(saver))
					     : NULL;

	saver->order = *order;
	saver->writer = (struct snapshot_writer){ 0 };
	state_writer_create(&saver->state);
	saver->live = !order->stop && !unlogged && !saver->session->config->nested;
	/* All of RAM has to be there, whatever it comes from. */
	saver->err = saver->session->machine_exists ? lazy_finish(&machine_of(saver)->lazy) : 0;
	saver->paused_ns = 0;
	saver->rest.held = held;
	why = refusal(saver, unlogged);
	if (why)
		saver->done(saver, why);
	else if (!saver->live)
		stop_vcpus(saver, SAVER_SETTLES);
	else if (is_increment(saver))
		begin_increment(saver);
	else
		stop_vcpus(saver, SAVER_PREPARES);
}

void saver_end(struct saver *saver)
{
	if (saver->stage == SAVER_COPIES)
		stop_vcpus(saver, SAVER_SETTLES);
	if (saver_is_busy(saver))
		finish(saver, "it has ended");
	if (saver->stage == SAVER_STOPPED)
		hold_end(&saver->session->holds, &saver->rest);
	saver->stage = SAVER_IDLE;
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
