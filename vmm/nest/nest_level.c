// SPDX-License-Identifier: GPL-2.0-only
#include "nest_level.h"

#include <stdio.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "debugger/debugger.h"
#include "machine/session.h"
#include "machine/stats.h"
#include "monitor/monitor.h"
#include "monitor/saver.h"
#include "nest_plan.h"
#include "nest_relay.h"
#include "nest_report.h"
#include "snapshot/snapshot.h"

/* How much of a console is told of a guest that came to a bad end. */
#define CONSOLE_END 2048

struct level_run {
	struct session session;
	struct monitor monitor;
	json_t *report; /* of how it ended */
	int report_fd;
	struct nest_relay relay;
	const struct nest *nest;

	/* Of one that is saved. */
	struct saver saver;
	struct session_watcher watcher;
	int pagemap_fd;
};

/* Saving the outermost level, and all of the nest with it. */

static void add_plan(struct saver *saver, struct state_writer *state)
{
	const struct nest *nest = container_of(saver, struct level_run, saver)->nest;
	json_t *plan = nest_plan_pack(nest, 1);
	char *text = plan ? json_dumps(plan, JSON_COMPACT) : NULL;

	if (text)
		state_put(state, NEST_RECORD, 0, text, strlen(text));
	else
		state_fail_write(state, -ENOMEM);
	free(text);
	json_decref(plan);
}

static void saved(struct saver *saver, const char *why)
{
	struct level_run *level = container_of(saver, struct level_run, saver);

	if (why)
		log_error("the nest cannot be saved: %s", why);
	else
		nest_report(level->report_fd, json_pack("{sisssIsI}", "level", 1, "is", "saved",
							"ram", (json_int_t)saver->writer.bytes,
							"paused", (json_int_t)saver->paused_ns));
	if (why)
		verdict_reach(&level->session.verdict, OUTCOME_QUIT);
}

/* All levels are up, and the innermost waits. */
static void ready(struct nest_relay *relay)
{
	struct level_run *level = container_of(relay, struct level_run, relay);

	const struct saver_order order = {
		.fd = level->nest->save_fd,
		.pagemap_fd = level->pagemap_fd,
		.stop = true,
	};

	saver_begin(&level->saver, &order);
}

static void stopped(struct session_watcher *watcher, bool over)
{
	(void)over;
	saver_end(&container_of(watcher, struct level_run, watcher)->saver);
}

/* Before the session is confined. Errors: -errno, said. */
static int prepare_saving(struct level_run *level)
{
	int err = holds_prepare(&level->session.holds);

	if (err == 0)
		err = saver_create(&level->saver, &level->session);
	if (err < 0)
		return err;
	level->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (level->pagemap_fd < 0) {
		err = -errno;
		log_error("/proc/self/pagemap: %s", log_reason(-err));
		saver_destroy(&level->saver);
		return err;
	}
	level->saver.add = add_plan;
	level->saver.done = saved;
	level->relay.ready = ready;
	level->watcher = (struct session_watcher){ .stopped = stopped };
	session_watch(&level->session, &level->watcher);
	return 0;
}

static void end_saving(struct level_run *level)
{
	session_watch_no_more(&level->session, &level->watcher);
	saver_destroy(&level->saver);
	close(level->pagemap_fd);
}

/* What the innermost level of one that is restored waits for. */
static void tell_command(struct level_run *level)
{
	const struct nest *nest = level->nest;
	json_t *words = nest_plan_words(&nest->levels[nest->depth - 1].command);
	char *text = words ? json_dumps(words, JSON_COMPACT) : NULL;

	if (text) {
		terminal_feed(&level->session.terminal, text, strlen(text));
		terminal_feed(&level->session.terminal, "\n", 1);
	}
	free(text);
	json_decref(words);
}

/* The machine is still there, and its statistics with it. */
static void level_ended(struct session *session, const struct machine *machine)
{
	struct level_run *level = container_of(session, struct level_run, session);
	const enum outcome outcome = verdict_outcome(&session->verdict);

	json_object_set_new(level->report, "by", json_string(verdict_name(outcome)));
	json_object_set_new(level->report, "stats", stats_collect(machine, session->resets));
}

static json_t *console_end(struct session *session)
{
	char text[CONSOLE_END];
	size_t size = terminal_tail(&session->terminal, text, sizeof(text));

	/* JSON is UTF-8, and a console is what it likes. */
	for (size_t i = 0; i < size; i++)
		if ((unsigned char)text[i] >= 0x7f || text[i] == '\0')
			text[i] = '?';
	return json_stringn(text, size);
}

/* watched: somebody may be there who watches it; in a level of a nest that is nobody. */
static enum status level_session(struct level_run *level, bool watched)
{
	struct debugger *debugger = NULL;
	enum status status;

	if (!watched)
		return debugger_run(&debugger, &level->session);
	status = monitor_create(&level->monitor, &level->session, &debugger);
	if (status == STATUS_OK) {
		status = debugger_run(&debugger, &level->session);
		monitor_destroy(&level->monitor);
	}
	return status;
}

static enum status level_live(struct level_run *level, const struct nest *nest, unsigned int number,
			      const struct config *config)
{
	struct session *session = &level->session;
	enum status status = session_create(session, config);

	if (status != STATUS_OK)
		return status;
	session->ended = level_ended;
	nest_relay_init(&level->relay, &session->report.sink, number, nest->depth);
	session->reports = &level->relay.sink;
	if (number == 1 && nest->from)
		tell_command(level);
	if (number == 1 && nest->save_fd >= 0 && prepare_saving(level) < 0) {
		session_destroy(session);
		return STATUS_HOST;
	}
	status = level_session(level, number == 1 || config->control);
	if (number == 1 && nest->save_fd >= 0)
		end_saving(level);
	if (verdict_outcome(&session->verdict) != OUTCOME_SHUTDOWN)
		json_object_set_new(level->report, "console", console_end(session));
	session_destroy(session);
	return status;
}

static enum status level_build(struct level_run *level, const struct nest *nest,
			       unsigned int number, int report_fd)
{
	struct nest_words words = { 0 };
	struct archive *archive = NULL;
	struct config config;
	char report[16];
	const bool restored = number == 1 && nest->from;
	int err = restored ? nest_restore_config(nest, &config, &words)
			   : nest_configure(nest, number, &config, &words);
	enum status status;

	if (err == 0 && !restored)
		err = nest_pack(nest, number, &archive);
	if (err == 0) {
		snprintf(report, sizeof(report), "fd:%d", report_fd);
		config.report = report;
		config.initramfs = archive;
		status = level_live(level, nest, number, &config);
	} else {
		status = nest_status(err);
	}
	archive_destroy(archive);
	nest_release(&words);
	return status;
}

int nest_level_run(const struct nest *nest, unsigned int number, int report_fd)
{
	/* Not on the stack: it holds the terminal's buffers. */
	static struct level_run level;
	enum status status;

	level.nest = nest;
	level.report_fd = report_fd;
	if (number > 1 || !nest->from)
		nest_report(report_fd, json_pack("{siss}", "level", number, "is", "begun"));
	level.report = json_pack("{sissss}", "level", number, "is", "ended", "by", "not-started");
	status = level_build(&level, nest, number, report_fd);
	json_object_set_new(level.report, "status", json_integer(status));
	nest_report(report_fd, level.report);
	return status;
}
