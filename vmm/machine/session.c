// SPDX-License-Identifier: GPL-2.0-only
#include <jansson.h>
#include <linux/capability.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "machine/session.h"

#include "host/clock.h"
#include "host/limits.h"
#include "host/log.h"
#include "machine/stats.h"
#include "util.h"

#define CATCH_UP_TURNS 64

/*
 * How long a user who has typed the escape key waits for who takes what is still to be written: a
 * reader that is there needs no more, and one that is not must keep nobody here.
 */
#define PATIENCE_NS UINT64_C(1000000000)

static void session_told(void *opaque, int signal)
{
	struct session *session = opaque;

	if (signal == SIGWINCH)
		terminal_resized(&session->terminal);
	else if (signal == SIGTSTP)
		terminal_suspend(&session->terminal);
	else if (signal == SIGCONT)
		terminal_resume(&session->terminal);
	else if (session->machine_exists)
		stats_write(&session->resources.stats, &session->machine, session->resets);
}

/* Whether there are programs that nidus has started, and has to end. */
static bool has_children(const struct config *config)
{
	bool has = config->filesystem_count > 0;

	for (unsigned int i = 0; i < config->network_count; i++)
		has |= config->networks[i].mode == NETWORK_USER;
	for (unsigned int i = 0; i < config->disk_count; i++)
		has |= config->disks[i].format != NULL;
	return has;
}

/* Those that something is left to do with. */
static uint64_t session_capabilities(const struct config *config)
{
	uint64_t kept = 0;

	/* Programs that have become another user. */
	if (has_children(config))
		kept |= UINT64_C(1) << CAP_KILL;
	/* An interface that comes back. */
	for (unsigned int i = 0; i < config->network_count; i++)
		if (config->networks[i].mode == NETWORK_TAP)
			kept |= UINT64_C(1) << CAP_NET_ADMIN;
	/* The init of a level of a nest turns that off. */
	if (getpid() == 1)
		kept |= UINT64_C(1) << CAP_SYS_BOOT;
	return kept;
}

/* From here on nothing is opened by a path, but by the porter. */
static int session_confine(struct session *session)
{
	const struct config *config = session->config;
	struct resources *resources = &session->resources;
	const struct sandbox_options options = {
		.mode = config->sandbox,
		.capabilities = session_capabilities(config),
		.signals_children = has_children(config),
	};
	int err = options.mode == SANDBOX_OFF ? 0 : porter_start(&resources->porter);

	/* Else it would open /dev/urandom. */
	json_object_seed(clock_ns() | 1);

	if (err < 0)
		return err;
	err = sandbox_enter(&resources->sandbox, &options);
	if (err < 0)
		log_error("--sandbox %s: %s: %s", sandbox_mode_name(options.mode),
			  resources->sandbox.failed, log_reason(-err));
	return err;
}

enum status session_create(struct session *session, const struct config *config)
{
	enum status status;
	int err;

	*session = (struct session){ .config = config };
	/* From here on nothing is started by exec(2). */
	limits_raise();
	status = resources_open(&session->resources, config);
	if (status != STATUS_OK)
		return status;
	status = STATUS_HOST;
	err = report_create(&session->report, config->report);
	if (err < 0) {
		status = status_of_error(err, STATUS_USAGE);
		goto close_resources;
	}
	vcpu_prepare();
	if (event_loop_create(&session->loop) < 0)
		goto destroy_report;
	if (verdict_create(&session->verdict, &session->loop) < 0)
		goto destroy_loop;
	if (signals_create(&session->signals, &session->loop, &session->verdict, session_told,
			   session) < 0)
		goto destroy_verdict;
	if (terminal_create(&session->terminal, &session->loop, &session->verdict) < 0)
		goto destroy_signals;
	if (report_start(&session->report, &session->loop) < 0)
		goto destroy_terminal;
	session->reports = config->report ? &session->report.sink : NULL;
	messages_start(&session->messages, &session->loop);
	holds_create(&session->holds, &session->loop);
	return STATUS_OK;

destroy_terminal:
	terminal_destroy(&session->terminal);
destroy_signals:
	signals_destroy(&session->signals);
destroy_verdict:
	verdict_destroy(&session->verdict);
destroy_loop:
	event_loop_destroy(&session->loop);
destroy_report:
	report_destroy(&session->report);
close_resources:
	resources_close(&session->resources);
	return status;
}

void session_destroy(struct session *session)
{
	holds_destroy(&session->holds);
	messages_stop(&session->messages);
	report_stop(&session->report);
	terminal_destroy(&session->terminal);
	signals_destroy(&session->signals);
	verdict_destroy(&session->verdict);
	event_loop_destroy(&session->loop);
	report_destroy(&session->report);
	resources_close(&session->resources);
}

/*
 * A guest that resets itself over and over may never let the event loop turn. What has come
 * meanwhile, signals above all, is looked at before the verdict is. Devices that are still at work
 * may go on making events, hence the bound.
 */
static void session_catch_up(struct session *session)
{
	for (unsigned int turns = 0; turns < CATCH_UP_TURNS; turns++)
		if (verdict_outcome(&session->verdict) == OUTCOME_KILLED ||
		    event_loop_turn(&session->loop, false) <= 0)
			break;
}

/* Whether the guest gets another life. */
static bool session_goes_on(const struct session *session)
{
	return session->config->reboot && verdict_outcome(&session->verdict) == OUTCOME_RESET;
}

static void session_tell_begin(struct session *session)
{
	for (struct session_watcher *watcher = session->watchers; watcher; watcher = watcher->next)
		if (watcher->begins)
			watcher->begins(watcher);
}

static void session_tell_stop(struct session *session)
{
	const bool over = !session_goes_on(session);

	for (struct session_watcher *watcher = session->watchers; watcher; watcher = watcher->next)
		if (watcher->stopped)
			watcher->stopped(watcher, over);
}

/* One machine's life. */
static enum status session_live(struct session *session)
{
	struct machine *machine = &session->machine;
	enum status status =
		machine_create(machine, &session->resources, &session->loop, &session->terminal,
			       session->reports, &session->verdict);

	/* One that waits for its guest may be told to end before there is one. */
	if (status != STATUS_OK)
		return verdict_outcome(&session->verdict) == OUTCOME_RUNNING ? status : STATUS_OK;
	session->machine_exists = true;
	holds_attach(&session->holds, &machine->env);
	session_tell_begin(session);
	machine_run(machine);
	session_catch_up(session);
	session_tell_stop(session);
	if (session->ended)
		session->ended(session, machine);
	if (stats_write(&session->resources.stats, machine, session->resets) < 0)
		status = STATUS_HOST;
	session->machine_exists = false;
	holds_attach(&session->holds, NULL);
	machine_destroy(machine);
	return status;
}

/* Whether something that was written is worth waiting for who takes it. */
static bool session_pending(struct session *session)
{
	if (verdict_outcome(&session->verdict) == OUTCOME_KILLED || session->out_of_patience)
		return false;
	return terminal_pending(&session->terminal) || report_pending(&session->report) ||
	       log_pending();
}

struct patience {
	struct event_timer timer;
	struct session *session;
};

static void patience_over(struct event_timer *timer)
{
	container_of(timer, struct patience, timer)->session->out_of_patience = true;
}

/* Until all is written, or a signal comes, or some time after the user has typed the escape key. */
static void session_wait(struct session *session)
{
	struct patience patience = { .session = session };
	bool hurried = false;

	if (event_timer_create(&patience.timer, &session->loop, CLOCK_MONOTONIC, patience_over) < 0)
		return;
	while (session_pending(session)) {
		if (verdict_quit(&session->verdict) && !hurried) {
			event_timer_in(&patience.timer, PATIENCE_NS);
			hurried = true;
		}
		if (event_loop_turn(&session->loop, true) < 0)
			break;
	}
	event_timer_destroy(&patience.timer);
}

/* What the guest wrote last still gets out. */
static void session_drain(struct session *session)
{
	report_flush(&session->report);
	log_flush();
	if (session_pending(session))
		session_wait(session);
}

static enum status status_of(const struct verdict *verdict)
{
	switch (verdict_outcome(verdict)) {
	case OUTCOME_SHUTDOWN:
	case OUTCOME_RESET:
	case OUTCOME_QUIT:
	case OUTCOME_RUNNING:
		return STATUS_OK;
	case OUTCOME_CRASHED:
	case OUTCOME_KVM_FAILED:
		return STATUS_CRASHED;
	case OUTCOME_HOST_ERROR:
		return STATUS_HOST;
	case OUTCOME_KILLED:
		return STATUS_SIGNAL + verdict->signal;
	}
	return STATUS_HOST;
}

enum status session_run(struct session *session)
{
	enum status status = session_confine(session) < 0 ? STATUS_HOST : session_live(session);

	while (status == STATUS_OK && session_goes_on(session)) {
		verdict_clear(&session->verdict);
		session->resets++;
		log_info("the guest reset itself");
		status = session_live(session);
	}
	session_drain(session);
	if (status == STATUS_OK)
		status = status_of(&session->verdict);
	return status;
}
