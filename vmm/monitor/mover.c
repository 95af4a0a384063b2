// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. While the guest runs its RAM is sent, first what was touched, then what
 * became dirty meanwhile, until that is little, or was tried often enough. Then vCPUs and devices
 * rest, and what is left follows.
 *
 * The guest is this side's until the commitment has been given to the socket whole: whatever fails
 * before, it goes on here, and the other side, which has not got all of that, ends. From then on it
 * is not, whatever the connection does: it goes on here only if the other side says that it never
 * will there. Where nothing can be heard it stays as it is, and who owns it decides. Locks of disks
 * are given up just before, so that the other side can take them; a guest that goes on has to get
 * them back.
 */
#include "monitor/mover.h"

#include <errno.h>
#include <sys/epoll.h>

#include "host/clock.h"
#include "host/log.h"
#include "util.h"

#define ROUNDS_MAX 16
/* Of what is sent, in sizes of RAM. */
#define TIMES_MAX 4

/* What is little: what takes no longer, at the pace of the last round; but not less than that. */
#define PAUSE_NS   UINT64_C(100000000)
#define LITTLE_MIN MIB(1)

static struct machine *machine_of(const struct mover *mover)
{
	return &mover->session->machine;
}

static struct dirty_log *log_of(const struct mover *mover)
{
	return &machine_of(mover)->dirty;
}

static struct event_loop *loop_of(const struct mover *mover)
{
	return &mover->session->loop;
}

/* The end. */

/* The other side is not heard any more. */
static void hang_up(struct mover *mover)
{
	event_remove(loop_of(mover), &mover->link);
	event_timer_destroy(&mover->patience);
	migration_send_end(&mover->sender);
	state_writer_destroy(&mover->guest);
}

static void finish(struct mover *mover, enum mover_state state)
{
	mover->state = state;
	mover->done(mover, mover->why);
}

/* All rests. */
static void forget_log(struct mover *mover)
{
	dirty_log_end(log_of(mover));
	mover->logs = false;
}

/* All vCPUs rest, or have stopped; there may be no machine if there is no log. */
static void end_log(struct mover *mover)
{
	if (!mover->logs)
		return;
	machine_rest(machine_of(mover), true);
	forget_log(mover);
	machine_rest(machine_of(mover), false);
}

/* The machine rests. */
static void go_on(struct mover *mover)
{
	forget_log(mover);
	machine_rest(machine_of(mover), false);
	hold_end(&mover->session->holds, &mover->rest);
}

static void go_adrift(struct mover *mover)
{
	log_error("the guest is paused: %s; nidus resume has it go on here, nidus stop ends it",
		  mover->why);
	finish(mover, MOVER_ADRIFT);
}

static void take_back(struct mover *mover)
{
	if (mover->unlocked && resources_lock(&mover->session->resources) < 0) {
		mover->why = "it could not be moved, and somebody else has its disks";
		go_adrift(mover);
		return;
	}
	mover->unlocked = false;
	go_on(mover);
	finish(mover, MOVER_IDLE);
}

/* vCPUs were asked to come to rest, and have not yet. */
static bool is_stopping(enum mover_state state)
{
	return state == MOVER_BEGINS || state == MOVER_TAKES || state == MOVER_RESTS;
}

/* why: as done() has it. Not once the guest may run there. */
static void give_up(struct mover *mover, const char *why)
{
	const enum mover_state before = mover->state;

	mover->why = why;
	hang_up(mover);
	mover->state = MOVER_ENDS;
	if (before == MOVER_ROUNDS)
		hold_begin(&mover->session->holds, &mover->rest);
	else if (!is_stopping(before))
		take_back(mover);
}

static void fail(struct mover *mover, int err)
{
	if (err == -EPIPE || err == -ECONNRESET)
		give_up(mover, "the other side has gone");
	else if (err == -EPROTO)
		give_up(mover, "the other side says what makes no sense");
	else
		give_up(mover, log_reason(-err));
}

static void stay_committed(struct mover *mover)
{
	mover->why = "it was given to the other side, which has not said that it runs there";
	hang_up(mover);
	go_adrift(mover);
}

/* The way there. */

static void be_patient(struct mover *mover)
{
	event_timer_in(&mover->patience, mover->timeout_ns);
}

static void rest(struct mover *mover, enum mover_state state)
{
	mover->state = state;
	event_modify(loop_of(mover), &mover->link, 0);
	hold_begin(&mover->session->holds, &mover->rest);
}

/* What can be sent in PAUSE_NS, as the last round went. */
static uint64_t little(const struct mover *mover)
{
	const uint64_t took = clock_ns() - mover->round_since,
		       sent = mover->sender.sent - mover->round_sent;
	const uint64_t bytes = took > PAUSE_NS ? sent / (took / PAUSE_NS) : sent;

	return bytes > LITTLE_MIN ? bytes : LITTLE_MIN;
}

/* The log of a hypervisor's RAM is taken while nobody writes to it. */
static bool takes_rest(const struct mover *mover)
{
	return machine_of(mover)->config->nested;
}

/* What it has is the next round. */
static int take_log(struct mover *mover)
{
	int err = dirty_log_take(log_of(mover));

	if (err < 0)
		return err;
	mover->converged = dirty_log_bytes(log_of(mover)) <= little(mover);
	mover->rounds++;
	mover->round_since = clock_ns();
	mover->round_sent = mover->sender.sent;
	migration_send_dirty(&mover->sender, log_of(mover));
	return 0;
}

static void next_round(struct mover *mover)
{
	int err = 0;

	if (mover->converged || mover->rounds == ROUNDS_MAX ||
	    mover->sender.sent / TIMES_MAX >= machine_of(mover)->memory.size)
		rest(mover, MOVER_RESTS);
	else if (takes_rest(mover))
		rest(mover, MOVER_TAKES);
	else
		err = take_log(mover);
	if (err < 0)
		fail(mover, err);
}

/* What was to be sent is gone. */
static void sent(struct mover *mover)
{
	if (mover->state == MOVER_ROUNDS) {
		next_round(mover);
	} else if (mover->state == MOVER_LAST) {
		mover->state = MOVER_WAITS;
		event_modify(loop_of(mover), &mover->link, EPOLLIN);
	} else {
		mover->state = MOVER_ASKS;
		event_modify(loop_of(mover), &mover->link, EPOLLIN);
		be_patient(mover);
	}
}

static void send_more(struct mover *mover)
{
	const uint64_t before = mover->sender.sent;
	const int more = migration_send_some(&mover->sender);

	if (more < 0) {
		fail(mover, more);
		return;
	}
	/* When it rests already, how long that takes is what counts. */
	if (mover->state == MOVER_ROUNDS && mover->sender.sent != before)
		be_patient(mover);
	if (more == 0)
		sent(mover);
}

static void commit(struct mover *mover)
{
	resources_unlock(&mover->session->resources);
	mover->unlocked = true;
	mover->state = MOVER_COMMITS;
	migration_send_commit(&mover->sender);
	event_modify(loop_of(mover), &mover->link, EPOLLOUT);
	send_more(mover);
}

static void moved(struct mover *mover)
{
	mover->paused_ns = clock_ns() - mover->rests_since;
	hang_up(mover);
	verdict_reach(&mover->session->verdict, OUTCOME_QUIT);
	finish(mover, MOVER_MOVED);
}

static void take_answer(struct mover *mover)
{
	const int answer = migration_send_answer(&mover->sender);

	if (answer == 0)
		return;
	if (mover->state == MOVER_WAITS && answer == MIGRATION_READY)
		commit(mover);
	else if (mover->state == MOVER_WAITS)
		fail(mover, answer < 0 ? answer : -EPROTO);
	else if (answer == MIGRATION_RUNS)
		moved(mover);
	else if (answer == MIGRATION_FAILED)
		give_up(mover, "the other side cannot run it");
	else
		stay_committed(mover);
}

static void link_ready(struct event_source *source, uint32_t events)
{
	struct mover *mover = container_of(source, struct mover, link);

	(void)events;
	if (mover->state == MOVER_WAITS || mover->state == MOVER_ASKS)
		take_answer(mover);
	else if (is_stopping(mover->state))
		fail(mover, -EPIPE);
	else
		send_more(mover);
}

static void out_of_patience(struct event_timer *timer)
{
	struct mover *mover = container_of(timer, struct mover, patience);

	if (mover->state == MOVER_ASKS)
		stay_committed(mover);
	else
		give_up(mover, is_stopping(mover->state) ? "its vCPUs did not come to rest in time"
							 : "the other side took too long");
}

/* It has just come to rest for the first time, and goes on when there is a log. */
static int begin(struct mover *mover)
{
	struct machine *machine = machine_of(mover);
	struct state_writer config;
	int err;

	machine_rest(machine, true);
	/* One that is kept for increments ends. */
	dirty_log_end(&machine->dirty);
	machine->dirty_since = (struct snapshot_id){ 0 };
	err = dirty_log_begin(&machine->dirty, machine->vm_fd, &machine->memory,
			      machine->config->nested);
	mover->logs = err == 0;
	machine_rest(machine, false);
	if (err < 0)
		return err;
	state_writer_create(&config);
	machine_save_config(machine, &config);
	err = migration_send_begin(&mover->sender, mover->link.fd, mover->sender.pagemap_fd,
				   &machine->memory, &config);
	state_writer_destroy(&config);
	return err;
}

/* And for the last time. */
static int rest_for_good(struct mover *mover)
{
	struct machine *machine = machine_of(mover);
	int err;

	/* KVM writes to guest memory for that. */
	machine_save(machine, &mover->guest, mover->sender.pagemap_fd);
	err = mover->guest.err;
	if (err == 0)
		err = dirty_log_take_last(log_of(mover));
	if (err == 0)
		migration_send_last(&mover->sender, log_of(mover), &mover->guest);
	return err;
}

static void begun(struct mover *mover, const char *why)
{
	int err = 0;

	if (!why)
		err = begin(mover);
	if (why || err < 0) {
		mover->why = why ? why : log_reason(-err);
		hang_up(mover);
		end_log(mover);
		hold_end(&mover->session->holds, &mover->rest);
		finish(mover, MOVER_IDLE);
		return;
	}
	hold_end(&mover->session->holds, &mover->rest);
	mover->state = MOVER_ROUNDS;
	mover->rounds = 1;
	mover->round_since = clock_ns();
	event_modify(loop_of(mover), &mover->link, EPOLLOUT);
	be_patient(mover);
}

static void rested(struct mover *mover, const char *why)
{
	int err = 0;

	mover->rests_since = clock_ns();
	machine_rest(machine_of(mover), true);
	mover->state = MOVER_LAST;
	if (!why)
		err = rest_for_good(mover);
	if (why || err < 0) {
		give_up(mover, why ? why : log_reason(-err));
		return;
	}
	event_modify(loop_of(mover), &mover->link, EPOLLOUT);
	be_patient(mover);
}

static void rested_for_log(struct mover *mover)
{
	int err;

	machine_rest(machine_of(mover), true);
	err = take_log(mover);
	machine_rest(machine_of(mover), false);
	hold_end(&mover->session->holds, &mover->rest);
	mover->state = MOVER_ROUNDS;
	event_modify(loop_of(mover), &mover->link, EPOLLOUT);
	if (err < 0)
		fail(mover, err);
}

/* Why the guest cannot be moved, or NULL. */
static const char *unmoved(const struct mover *mover)
{
	const struct machine *machine = machine_of(mover);
	const char *why;

	if (!mover->session->machine_exists)
		return "it is between two of its lives";
	why = machine_unsaved(machine);
	return why ? why : machine_unlogged(machine);
}

static void held(struct hold *hold)
{
	struct mover *mover = container_of(hold, struct mover, rest);

	if (mover->state == MOVER_BEGINS) {
		begun(mover, unmoved(mover));
	} else if (mover->state == MOVER_RESTS) {
		rested(mover, unmoved(mover));
	} else if (mover->state == MOVER_TAKES) {
		rested_for_log(mover);
	} else {
		end_log(mover);
		hold_end(&mover->session->holds, &mover->rest);
		finish(mover, MOVER_IDLE);
	}
}

void mover_begin(struct mover *mover, int fd, int pagemap_fd, uint64_t timeout_ns)
{
	struct session *session = mover->session;
	int err;

	*mover = (struct mover){
		.session = session,
		.done = mover->done,
		.opaque = mover->opaque,
		.link = { fd, link_ready },
		.sender = { .pagemap_fd = pagemap_fd },
		.timeout_ns = timeout_ns,
		.rest.held = held,
	};
	/* All of RAM has to be there, whatever it comes from. */
	err = session->machine_exists ? lazy_finish(&session->machine.lazy) : 0;
	if (err == 0)
		err = event_add(&session->loop, &mover->link, 0);
	if (err == 0) {
		err = event_timer_create(&mover->patience, &session->loop, CLOCK_MONOTONIC,
					 out_of_patience);
		if (err < 0)
			event_remove(&session->loop, &mover->link);
	}
	if (err < 0) {
		mover->why = log_reason(-err);
		finish(mover, MOVER_IDLE);
		return;
	}
	mover->state = MOVER_BEGINS;
	be_patient(mover);
	hold_begin(&session->holds, &mover->rest);
}

void mover_cancel(struct mover *mover)
{
	if (mover->state >= MOVER_BEGINS && mover->state <= MOVER_WAITS)
		give_up(mover, "nobody wants it any more");
}

int mover_resume(struct mover *mover)
{
	const int err = resources_lock(&mover->session->resources);

	if (err < 0)
		return err;
	mover->unlocked = false;
	mover->state = MOVER_IDLE;
	go_on(mover);
	return 0;
}

void mover_end(struct mover *mover)
{
	const enum mover_state before = mover->state;

	if (before == MOVER_IDLE)
		return;
	if (before >= MOVER_BEGINS && before <= MOVER_ASKS)
		hang_up(mover);
	if (is_stopping(before) || before == MOVER_ROUNDS || before == MOVER_ENDS)
		end_log(mover);
	/* Else devices rest, and do so until their end: it may run elsewhere, on the same disks. */
	if (mover->logs)
		forget_log(mover);
	if (before != MOVER_ROUNDS)
		hold_end(&mover->session->holds, &mover->rest);
	mover->state = MOVER_IDLE;
	if (before == MOVER_MOVED || before == MOVER_ADRIFT)
		return;
	if (before == MOVER_ASKS)
		mover->why = "it has ended here, and may run at the other side";
	else if (before != MOVER_ENDS)
		mover->why = "it has ended";
	finish(mover, MOVER_IDLE);
}
