// SPDX-License-Identifier: GPL-2.0-only
#include "nest_summary.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/clock.h"
#include "host/file.h"
#include "host/log.h"
#include "nest_report.h"
#include "util.h"

#define SUMMARY_VERSION 1

#define SECOND UINT64_C(1000000000)

void nest_summary_create(struct nest_summary *summary, const struct nest *nest)
{
	*summary = (struct nest_summary){ .nest = nest };
}

void nest_summary_destroy(struct nest_summary *summary)
{
	for (unsigned int i = 0; i < NEST_LEVELS_MAX; i++) {
		json_decref(summary->level[i].up_report);
		json_decref(summary->level[i].command_report);
		json_decref(summary->level[i].ended_report);
	}
	json_decref(summary->saved_report);
}

/* Reports. */

static double seconds_between(uint64_t from, uint64_t to)
{
	return (to - from) / 1e9;
}

/* The beginning of a guest's string as it may be printed. */
static const char *printable(const char *text, char *copy, size_t size)
{
	size_t i;

	for (i = 0; i + 1 < size && text[i]; i++)
		copy[i] = isprint((unsigned char)text[i]) ? text[i] : '?';
	copy[i] = '\0';
	return copy;
}

static bool take_begun(struct nest_progress *level, json_t *report)
{
	(void)report;
	if (level->begun)
		return false;
	level->begun = clock_ns();
	return true;
}

static bool take_up(struct nest_progress *level, json_t *report)
{
	const char *release;
	json_int_t cpus, memory;
	char text[256];

	if (!level->begun || level->up || level->ended ||
	    json_unpack(report, "{sssIsI}", "linux", &release, "cpus", &cpus, "memory", &memory) <
		    0)
		return false;
	level->up = clock_ns();
	level->up_report = json_incref(report);
	/* The nest goes on meanwhile, so this waits for no reader. */
	log_plain("level %d: up after %.3f s: Linux %s, %" JSON_INTEGER_FORMAT
		  " vCPU%s, %" JSON_INTEGER_FORMAT " MiB",
		  (int)json_integer_value(json_object_get(report, "level")),
		  seconds_between(level->begun, level->up), printable(release, text, sizeof(text)),
		  cpus, cpus == 1 ? "" : "s", memory);
	return true;
}

/* Whether the status in a report is one that a process can have. */
static bool has_status(json_t *report)
{
	json_int_t status;

	return json_unpack(report, "{sI}", "status", &status) == 0 && status >= 0 &&
	       status <= UINT8_MAX;
}

static bool take_command(struct nest_progress *level, json_t *report)
{
	if (!level->up || level->ended || level->command_report || !has_status(report))
		return false;
	level->command_report = json_incref(report);
	return true;
}

/* Whether it is like what verdict_name() says, and may be printed. */
static bool is_word(const char *text)
{
	return *text && text[strspn(text, "abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

static bool take_ended(struct nest_progress *level, json_t *report)
{
	const char *by = json_string_value(json_object_get(report, "by"));

	if (!level->begun || level->ended || !by || !is_word(by) || !has_status(report))
		return false;
	level->ended = clock_ns();
	level->ended_report = json_incref(report);
	return true;
}

/* That of level 1 means all of the nest. */
static bool take_saved(struct nest_summary *summary, json_t *report)
{
	if (summary->saved_report || json_unpack(report, "{sIsI}", "ram", &(json_int_t){ 0 },
						 "paused", &(json_int_t){ 0 }) < 0)
		return false;
	summary->saved_report = json_incref(report);
	return true;
}

static bool take_ready(struct nest_progress *level, json_t *report)
{
	(void)report;
	return level->up && !level->ended;
}

bool nest_summary_take(struct nest_summary *summary, json_t *report)
{
	static const struct {
		bool (*take)(struct nest_progress *level, json_t *report);
	} kinds[NEST_REPORT_KINDS] = {
		[NEST_REPORT_BEGUN] = { take_begun }, [NEST_REPORT_UP] = { take_up },
		[NEST_REPORT_READY] = { take_ready }, [NEST_REPORT_COMMAND] = { take_command },
		[NEST_REPORT_ENDED] = { take_ended },
	};
	enum nest_report_kind kind;
	unsigned int level;

	if (!nest_report_about(report, &level, &kind) || level > summary->nest->depth)
		return false;
	if (kind == NEST_REPORT_SAVED)
		return take_saved(summary, report);
	return kinds[kind].take(&summary->level[level - 1], report);
}

/* Time. */

void nest_summary_started(struct nest_summary *summary)
{
	summary->started = clock_ns();
}

void nest_summary_restored(struct nest_summary *summary)
{
	for (unsigned int i = 0; i < summary->nest->depth; i++)
		summary->level[i].begun = summary->level[i].up = summary->started;
}

void nest_summary_gone(struct nest_summary *summary, int status)
{
	summary->gone = true;
	summary->status = status;
}

void nest_summary_paused(struct nest_summary *summary, uint64_t nanoseconds)
{
	summary->started += nanoseconds;
	for (unsigned int i = 0; i < summary->nest->depth; i++) {
		struct nest_progress *level = &summary->level[i];

		if (level->begun)
			level->begun += nanoseconds;
		if (level->up)
			level->up += nanoseconds;
	}
}

/* Seconds. */
static unsigned int time_limit(const struct nest_summary *summary, unsigned int level)
{
	return summary->nest->levels[level - 1].time_limit;
}

static uint64_t deadline_of(const struct nest_summary *summary, unsigned int level)
{
	const struct nest_progress *state = &summary->level[level - 1];
	const bool at_work = level == 1 ? !summary->gone : state->begun && !state->ended;
	const uint64_t from = level == 1 ? summary->started : state->begun;

	return at_work ? from + time_limit(summary, level) * SECOND : UINT64_MAX;
}

uint64_t nest_summary_deadline(const struct nest_summary *summary, unsigned int *level)
{
	uint64_t first = UINT64_MAX;

	*level = 1;
	for (unsigned int i = 1; i <= summary->nest->depth; i++) {
		const uint64_t deadline = deadline_of(summary, i);

		if (deadline > first)
			continue;
		first = deadline;
		*level = i;
	}
	return first;
}

void nest_summary_late(struct nest_summary *summary, unsigned int level)
{
	unsigned int late = level;

	for (unsigned int inner = level + 1; inner <= summary->nest->depth; inner++)
		if (summary->level[inner - 1].begun && !summary->level[inner - 1].ended)
			late = inner;
	summary->level[late - 1].late = level;
}

/* Results. */

static int status_of(const json_t *report)
{
	return json_integer_value(json_object_get(report, "status"));
}

/* What was wrong with a level, as the end of a sentence, or NULL. */
static const char *wrong_with(const struct nest_summary *summary, unsigned int number, char *text,
			      size_t size)
{
	const struct nest_progress *level = &summary->level[number - 1];
	const char *by = json_string_value(json_object_get(level->ended_report, "by"));

	if (!level->begun)
		return "did not begin";
	if (level->late == number)
		snprintf(text, size, "was not %s within %u seconds", level->up ? "done" : "up",
			 time_limit(summary, number));
	else if (level->late)
		snprintf(text, size, "was not %s when the %u seconds of level %u were over",
			 level->up ? "done" : "up", time_limit(summary, level->late), level->late);
	else if (!level->ended)
		return "did not end";
	else if (strcmp(by, "not-started") == 0)
		snprintf(text, size, "could not be started (status %d)",
			 status_of(level->ended_report));
	else if (strcmp(by, "shutdown") != 0)
		snprintf(text, size, "ended by %.32s%s", by, level->up ? "" : " before it was up");
	else if (!level->up)
		return "shut down before it was up";
	else if (status_of(level->ended_report) != 0)
		snprintf(text, size, "ended with status %d", status_of(level->ended_report));
	else if (summary->nest->levels[number - 1].command.count > 0 && !level->command_report)
		return "shut down before its command was done";
	else if (status_of(level->command_report) != 0)
		snprintf(text, size, "had its command end with status %d",
			 status_of(level->command_report));
	else if (number == 1 && summary->status != 0)
		snprintf(text, size, "was run by a process that ended with status %d",
			 summary->status);
	else
		return NULL;
	return text;
}

bool nest_summary_good(const struct nest_summary *summary)
{
	char text[128];

	for (unsigned int level = 1; level <= summary->nest->depth; level++)
		if (wrong_with(summary, level, text, sizeof(text)))
			return false;
	return true;
}

static const json_t *exits_of(const struct nest_progress *level)
{
	return json_object_get(json_object_get(level->ended_report, "stats"), "exits");
}

static void print_exits(const json_t *exits)
{
	const char *separator = "", *name;
	char text[256];
	json_t *count;

	json_object_foreach ((json_t *)exits, name, count) {
		if (strcmp(name, "total") == 0)
			continue;
		fprintf(stderr, "%s%s %" JSON_INTEGER_FORMAT, separator,
			printable(name, text, sizeof(text)), json_integer_value(count));
		separator = ", ";
	}
}

static void print_row(const struct nest_progress *level, unsigned int number)
{
	const json_t *exits = exits_of(level);
	const char *by = json_string_value(json_object_get(level->ended_report, "by"));

	fprintf(stderr, "%5u  ", number);
	if (level->up)
		fprintf(stderr, "%8.3f s", seconds_between(level->begun, level->up));
	else
		fprintf(stderr, "%10s", "-");
	if (exits)
		fprintf(stderr, "  %8" JSON_INTEGER_FORMAT "  ",
			json_integer_value(json_object_get(exits, "total")));
	else
		fprintf(stderr, "  %8s  ", "-");
	fprintf(stderr, "%-12.12s  ", by ? by : "-");
	print_exits(exits);
	putc('\n', stderr);
}

/* The end of a console, as far as it is text, each line indented. */
static void print_console(const char *text)
{
	bool begins = true;

	for (; *text; text++) {
		if (*text == '\r')
			continue;
		if (begins)
			fputs("    ", stderr);
		begins = *text == '\n';
		putc(begins || isprint((unsigned char)*text) ? *text : '?', stderr);
	}
	if (!begins)
		putc('\n', stderr);
}

/*
 * The end of a level's console, or NULL. One that was late had no end to report of; then it is the
 * end of that which its own went through.
 */
static const char *console_of(const struct nest_summary *summary, unsigned int number)
{
	const bool late = summary->level[number - 1].late;
	const char *console;

	do
		console = json_string_value(
			json_object_get(summary->level[number - 1].ended_report, "console"));
	while (late && !console && --number > 0);
	return console;
}

static void print_wrong(const struct nest_summary *summary, unsigned int number)
{
	char text[128];
	const char *wrong = wrong_with(summary, number, text, sizeof(text));
	const char *console = console_of(summary, number);

	if (!wrong)
		return;
	log_error("level %u %s%s", number, wrong, console ? "; the end of its console:" : "");
	if (console)
		print_console(console);
}

/* The level that was late, 0: none. Those around it were ended for it, those inside never began. */
static unsigned int late_level(const struct nest_summary *summary)
{
	for (unsigned int level = 1; level <= summary->nest->depth; level++)
		if (summary->level[level - 1].late)
			return level;
	return 0;
}

void nest_summary_print(const struct nest_summary *summary)
{
	const unsigned int late = late_level(summary);

	fprintf(stderr, "%5s  %10s  %8s  %-12s  %s\n", "level", "to init", "exits", "ended by",
		"exits by reason");
	for (unsigned int level = 1; level <= summary->nest->depth; level++)
		print_row(&summary->level[level - 1], level);
	for (unsigned int level = 1; level <= summary->nest->depth; level++)
		if (!late || level == late)
			print_wrong(summary, level);
}

static void add_report(json_t *object, const char *name, json_t *report)
{
	if (!report)
		return;
	json_object_del(report, "level");
	json_object_del(report, "is");
	json_object_set(object, name, report);
}

static json_t *level_object(const struct nest_summary *summary, unsigned int number)
{
	const struct nest_progress *level = &summary->level[number - 1];
	json_t *object = json_pack("{si}", "level", number);
	char text[128];
	const char *wrong = wrong_with(summary, number, text, sizeof(text));

	json_object_set_new(object, "good", json_boolean(!wrong));
	if (wrong)
		json_object_set_new(object, "wrong", json_string(wrong));
	if (level->up)
		json_object_set_new(object, "seconds_to_init",
				    json_real(seconds_between(level->begun, level->up)));
	add_report(object, "up", level->up_report);
	add_report(object, "command", level->command_report);
	add_report(object, "ended", level->ended_report);
	return object;
}

int nest_summary_write(const struct nest_summary *summary, const char *path, int status)
{
	json_t *levels, *object;
	char *text;
	int err;

	if (!path)
		return 0;
	levels = json_array();
	for (unsigned int level = 1; level <= summary->nest->depth; level++)
		json_array_append_new(levels, level_object(summary, level));
	object = json_pack("{sisiso}", "version", SUMMARY_VERSION, "status", status, "levels",
			   levels);
	text = object ? json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) : NULL;
	json_decref(object);
	if (!text) {
		log_error("%s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	err = file_replace(path, text, strlen(text));
	free(text);
	return err;
}
