// SPDX-License-Identifier: GPL-2.0-only
#include "nest_level.h"

#include <stdio.h>

#include "debugger/debugger.h"
#include "machine/session.h"
#include "machine/stats.h"
#include "monitor/monitor.h"
#include "nest_relay.h"
#include "nest_report.h"

/* How much of a console is told of a guest that came to a bad end. */
#define CONSOLE_END 2048

struct level_run {
	struct session session;
	struct monitor monitor;
	json_t *report; /* of how it ended */
	struct nest_relay relay;
};

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

static enum status level_debugged(struct level_run *level)
{
	struct debugger *debugger = NULL;
	enum status status;
	int err = 0;

	if (level->session.config->gdb)
		err = debugger_create(&debugger, &level->session);
	status = err < 0 ? status_of_error(err, STATUS_USAGE) : session_run(&level->session);
	if (debugger)
		debugger_destroy(debugger, status);
	return status;
}

/* watched: somebody may be there who watches it; in a level of a nest that is nobody. */
static enum status level_session(struct level_run *level, bool watched)
{
	enum status status;

	if (!watched)
		return level_debugged(level);
	status = monitor_create(&level->monitor, &level->session);
	if (status == STATUS_OK) {
		status = level_debugged(level);
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
	status = level_session(level, number == 1 || config->control);
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
	int err = nest_configure(nest, number, &config, &words);
	enum status status;

	if (err == 0)
		err = nest_pack(nest, number, &archive);
	if (err == 0) {
		snprintf(report, sizeof(report), "fd:%d", report_fd);
		config.report = report;
		config.initramfs = archive;
		if (number == 1 && nest->name)
			config.name = nest->name;
		if (number == 1 && nest->control)
			config.control = nest->control;
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

	nest_report(report_fd, json_pack("{siss}", "level", number, "is", "begun"));
	level.report = json_pack("{sissss}", "level", number, "is", "ended", "by", "not-started");
	status = level_build(&level, nest, number, report_fd);
	json_object_set_new(level.report, "status", json_integer(status));
	nest_report(report_fd, level.report);
	return status;
}
