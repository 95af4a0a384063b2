// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"
#include "util.h"
#include "vmm/nest/nest_summary.h"

#define DEPTH 3

static struct nest nest;
static struct nest_summary summary;

static int begin(void **state)
{
	nest_create(&nest);
	for (unsigned int level = 0; level < DEPTH; level++)
		if (nest_add_level(&nest) < 0)
			return -1;
	nest_summary_create(&summary, &nest);
	return catch_begin(state);
}

static int finish(void **state)
{
	nest_summary_destroy(&summary);
	nest_destroy(&nest);
	return catch_end(state);
}

/* As from the pipe. */
static bool take(const char *format, ...) __attribute__((format(printf, 1, 2)));

static bool take(const char *format, ...)
{
	char text[8192];
	json_t *report;
	va_list args;
	bool taken;

	va_start(args, format);
	assert_true((size_t)vsnprintf(text, sizeof(text), format, args) < sizeof(text));
	va_end(args);
	report = json_loads(text, 0, NULL);
	assert_non_null(report);
	taken = nest_summary_take(&summary, report);
	json_decref(report);
	return taken;
}

static bool take_begun(unsigned int level)
{
	return take("{\"level\":%u,\"is\":\"begun\"}", level);
}

static bool take_up(unsigned int level)
{
	return take("{\"level\":%u,\"is\":\"up\",\"linux\":\"6.1.0\",\"cpus\":2,\"memory\":240}",
		    level);
}

static bool take_command(unsigned int level, int status)
{
	return take("{\"level\":%u,\"is\":\"command\",\"status\":%d}", level, status);
}

static bool take_ended(unsigned int level, const char *by, int status)
{
	return take("{\"level\":%u,\"is\":\"ended\",\"by\":\"%s\",\"status\":%d}", level, by,
		    status);
}

/* All of a level from its start to a good end. */
static void live(unsigned int level)
{
	assert_true(take_begun(level));
	assert_true(take_up(level));
	assert_true(take_ended(level, "shutdown", 0));
}

/* A run that is good but for level 2. */
static void live_around(void)
{
	assert_true(take_begun(1));
	assert_true(take_up(1));
}

static void end_around(void)
{
	assert_true(take_ended(1, "shutdown", 0));
	live(3);
	said();
}

/* Everything that standard error may see: lines of ASCII. */
static const char *said_plainly(void)
{
	const char *text = said();

	for (const char *c = text; *c; c++)
		if (*c != '\n')
			assert_in_range((unsigned char)*c, ' ', '~');
	return text;
}

/* A thing a line, and times that end where a clock does. */
static bool is_for_people_too(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[8192];
	bool good = file && fgets(line, sizeof(line), file) && strcmp(line, "{\n") == 0;

	while (good && fgets(line, sizeof(line), file)) {
		const char *point = strchr(line, '.');

		good = !strstr(line, "seconds") || !point || strspn(point + 1, "0123456789") <= 9;
	}
	if (file)
		fclose(file);
	return good;
}

static json_t *written(int status)
{
	char path[128];
	json_error_t error;
	json_t *object;

	snprintf(path, sizeof(path), "%s/json", scratch_begin());
	assert_int_equal(nest_summary_write(&summary, path, status), 0);
	object = json_load_file(path, 0, &error);
	assert_true(is_for_people_too(path));
	scratch_end();
	if (!object)
		fail_msg("%s, line %d: %s", path, error.line, error.text);
	return object;
}

static json_t *level_of(json_t *object, unsigned int level)
{
	return json_array_get(json_object_get(object, "levels"), level - 1);
}

/* Table and JSON say that level 2, and it alone, went wrong, and how. */
static void assert_wrong(const char *wrong)
{
	char line[256];
	const char *text;
	json_t *object;

	assert_false(nest_summary_good(&summary));
	nest_summary_print(&summary);
	text = said_plainly();
	snprintf(line, sizeof(line), "nidus: error: level 2 %s\n", wrong);
	if (!strstr(text, line))
		fail_msg("no \"%s\" in:\n%s", line, text);
	assert_null(strstr(text, "level 1 "));
	assert_null(strstr(text, "level 3 "));
	object = written(1);
	for (unsigned int level = 1; level <= DEPTH; level++)
		assert_int_equal(json_is_true(json_object_get(level_of(object, level), "good")),
				 level != 2);
	assert_string_equal(json_string_value(json_object_get(level_of(object, 2), "wrong")),
			    wrong);
	assert_null(json_object_get(level_of(object, 1), "wrong"));
	json_decref(object);
}

/* Reports in their order. */

static void good_nest(void **state)
{
	const char *text;

	for (unsigned int level = 1; level <= DEPTH; level++) {
		char line[64];

		assert_false(nest_summary_good(&summary));
		assert_true(take_begun(level));
		assert_silent();
		assert_true(take_up(level));
		text = said_plainly();
		snprintf(line, sizeof(line), "level %u: up after 0.", level);
		assert_ptr_equal(strstr(text, line), text);
		assert_non_null(strstr(text, " s: Linux 6.1.0, 2 vCPUs, 240 MiB\n"));
	}
	for (unsigned int level = DEPTH; level >= 1; level--) {
		assert_false(nest_summary_good(&summary));
		assert_true(take_ended(level, "shutdown", 0));
		assert_silent();
	}
	assert_true(nest_summary_good(&summary));
}

static void one_cpu_is_one(void **state)
{
	assert_true(take_begun(1));
	assert_true(take("{\"level\":1,\"is\":\"up\",\"linux\":\"6.1\",\"cpus\":1,\"memory\":1}"));
	assert_said("Linux 6.1, 1 vCPU, 1 MiB");
}

static void command_that_is_asked_for(void **state)
{
	assert_int_equal(0, nest_set(&nest, 2, "command", "true"));
	live_around();
	assert_true(take_begun(2));
	assert_true(take_up(2));
	assert_true(take_command(2, 0));
	assert_true(take_ended(2, "shutdown", 0));
	end_around();
	assert_true(nest_summary_good(&summary));
}

/* Each way to fail. */

static void level_that_did_not_begin(void **state)
{
	live(1);
	live(3);
	said();
	assert_wrong("did not begin");
}

static void level_that_did_not_end(void **state)
{
	live_around();
	assert_true(take_begun(2));
	assert_true(take_up(2));
	end_around();
	assert_wrong("did not end");
}

static void level_that_could_not_be_started(void **state)
{
	live_around();
	assert_true(take_begun(2));
	assert_true(take_ended(2, "not-started", 3));
	end_around();
	assert_wrong("could not be started (status 3)");
}

static void level_that_crashed(void **state)
{
	live_around();
	assert_true(take_begun(2));
	assert_true(take_up(2));
	assert_true(take_ended(2, "crashed", 1));
	end_around();
	assert_wrong("ended by crashed");
}

static void level_that_was_reset_before_it_was_up(void **state)
{
	live_around();
	assert_true(take_begun(2));
	assert_true(take_ended(2, "reset", 0));
	end_around();
	assert_wrong("ended by reset before it was up");
}

static void level_that_shut_down_before_it_was_up(void **state)
{
	live_around();
	assert_true(take_begun(2));
	assert_true(take_ended(2, "shutdown", 0));
	end_around();
	assert_wrong("shut down before it was up");
}

static void level_with_a_bad_status(void **state)
{
	live_around();
	assert_true(take_begun(2));
	assert_true(take_up(2));
	assert_true(take_ended(2, "shutdown", 3));
	end_around();
	assert_wrong("ended with status 3");
}

static void level_whose_command_was_not_done(void **state)
{
	assert_int_equal(0, nest_set(&nest, 2, "command", "true"));
	live_around();
	assert_true(take_begun(2));
	assert_true(take_up(2));
	assert_true(take_ended(2, "shutdown", 0));
	end_around();
	assert_wrong("shut down before its command was done");
}

static void level_whose_command_failed(void **state)
{
	assert_int_equal(0, nest_set(&nest, 2, "command", "false"));
	live_around();
	assert_true(take_begun(2));
	assert_true(take_up(2));
	assert_true(take_command(2, 137));
	assert_true(take_ended(2, "shutdown", 0));
	end_around();
	assert_wrong("had its command end with status 137");
}

static void level_that_was_late(void **state)
{
	assert_int_equal(0, nest_set(&nest, 2, "time-limit", "7"));
	live_around();
	assert_true(take_begun(2));
	nest_summary_late(&summary, 2);
	end_around();
	assert_wrong("was not up within 7 seconds");
}

static void level_that_was_late_and_up(void **state)
{
	live_around();
	assert_true(take_begun(2));
	assert_true(take_up(2));
	nest_summary_late(&summary, 2);
	/* It is ended then, which is no news. */
	assert_true(take_ended(2, "killed", 143));
	end_around();
	assert_wrong("was not done within 120 seconds");
}

/* Within one that has ended nothing can have kept it. */
static void level_that_was_late_around_one_that_ended(void **state)
{
	live_around();
	assert_true(take_begun(2));
	assert_true(take_up(2));
	live(3);
	nest_summary_late(&summary, 2);
	assert_int_equal(summary.level[1].late, 2);
	assert_int_equal(summary.level[2].late, 0);
}

static void nothing_at_all(void **state)
{
	const char *text;

	nest_summary_print(&summary);
	text = said_plainly();
	assert_non_null(strstr(text, "level 1 did not begin\n"));
	assert_non_null(strstr(text, "level 2 did not begin\n"));
	assert_non_null(strstr(text, "level 3 did not begin\n"));
	assert_null(strstr(text, "level 4"));
	assert_false(nest_summary_good(&summary));
}

/* What the process of level 1 says is what counts. */

static void good_reports_of_a_process_that_failed(void **state)
{
	nest_summary_started(&summary);
	live(1);
	live(2);
	live(3);
	assert_true(nest_summary_good(&summary));
	nest_summary_gone(&summary, 139);
	assert_false(nest_summary_good(&summary));
	said();
	nest_summary_print(&summary);
	assert_non_null(strstr(said_plainly(),
			       "level 1 was run by a process that ended with status 139\n"));
}

/* Time limits. */

#define SECONDS(n) (UINT64_C(1000000000) * (n))

static void assert_deadline(uint64_t deadline, unsigned int level)
{
	unsigned int urgent;

	assert_int_equal(nest_summary_deadline(&summary, &urgent), deadline);
	if (deadline != UINT64_MAX)
		assert_int_equal(urgent, level);
}

static void time_of_level_1_is_that_of_its_process(void **state)
{
	nest_summary_started(&summary);
	summary.started = SECONDS(1000);
	assert_deadline(SECONDS(1120), 1);
	live(1);
	assert_deadline(SECONDS(1120), 1);
	nest_summary_gone(&summary, 0);
	assert_deadline(UINT64_MAX, 0);
}

static void first_deadline_counts_and_of_several_the_innermost(void **state)
{
	summary.started = SECONDS(1000);
	assert_int_equal(0, nest_set(&nest, 3, "time-limit", "10"));
	assert_true(take_begun(2));
	summary.level[1].begun = SECONDS(1000);
	assert_deadline(SECONDS(1120), 2);
	assert_true(take_begun(3));
	summary.level[2].begun = SECONDS(1100);
	assert_deadline(SECONDS(1110), 3);
	summary.level[2].begun = SECONDS(1111);
	assert_deadline(SECONDS(1120), 2);
	assert_true(take_ended(2, "shutdown", 0));
	assert_deadline(SECONDS(1120), 1);
}

static void time_in_which_nothing_was_at_work_does_not_count(void **state)
{
	json_t *before, *after;

	summary.started = SECONDS(1000);
	live(1);
	assert_true(take_begun(2));
	summary.level[1].begun = SECONDS(1001);
	before = written(0);
	nest_summary_paused(&summary, SECONDS(50));
	assert_deadline(SECONDS(1170), 1);
	assert_int_equal(0, nest_set(&nest, 2, "time-limit", "2"));
	assert_deadline(SECONDS(1053), 2);
	assert_int_equal(summary.level[2].begun, 0);
	after = written(0);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
}

/* Behind its last level a nest has none to put off. */
static void pause_of_all_levels_that_there_may_be(void **state)
{
	while (nest.depth < NEST_LEVELS_MAX)
		assert_int_equal(nest_add_level(&nest), 0);
	summary.started = SECONDS(1000);
	assert_true(take_begun(NEST_LEVELS_MAX));
	summary.level[NEST_LEVELS_MAX - 1].begun = SECONDS(1001);
	nest_summary_paused(&summary, SECONDS(50));
	assert_int_equal(summary.level[NEST_LEVELS_MAX - 1].begun, SECONDS(1051));
	assert_int_equal(summary.started, SECONDS(1050));
}

/* Reports out of turn change nothing. */

static void reports_before_the_beginning(void **state)
{
	assert_false(take_up(1));
	assert_false(take_command(1, 0));
	assert_false(take_ended(1, "shutdown", 0));
	assert_int_equal(summary.level[0].up, 0);
	assert_int_equal(summary.level[0].ended, 0);
	assert_null(summary.level[0].up_report);
	assert_null(summary.level[0].command_report);
	assert_null(summary.level[0].ended_report);
	assert_silent();
	assert_true(take_begun(1));
	assert_false(take_command(1, 0));
	assert_true(take_up(1));
}

static void status_is_one_that_a_process_can_have(void **state)
{
	assert_true(take_begun(1));
	assert_true(take_up(1));
	assert_false(take_command(1, -1));
	assert_false(take_command(1, 256));
	assert_true(take_command(1, 255));
}

static void reports_that_come_twice(void **state)
{
	uint64_t begun, up, ended;

	assert_true(take_begun(1));
	begun = summary.level[0].begun;
	assert_false(take_begun(1));
	assert_int_equal(summary.level[0].begun, begun);
	assert_true(take_up(1));
	up = summary.level[0].up;
	said();
	assert_false(take("{\"level\":1,\"is\":\"up\",\"linux\":\"7\",\"cpus\":9,\"memory\":9}"));
	assert_silent();
	assert_int_equal(summary.level[0].up, up);
	assert_true(take_command(1, 1));
	assert_false(take_command(1, 0));
	assert_int_equal(
		json_integer_value(json_object_get(summary.level[0].command_report, "status")), 1);
	assert_true(take_ended(1, "crashed", 1));
	ended = summary.level[0].ended;
	assert_false(take_ended(1, "shutdown", 0));
	assert_int_equal(summary.level[0].ended, ended);
	assert_string_equal(json_string_value(json_object_get(summary.level[0].ended_report, "by")),
			    "crashed");
}

static void reports_after_the_end(void **state)
{
	assert_true(take_begun(1));
	assert_true(take_ended(1, "shutdown", 0));
	assert_false(take_up(1));
	assert_int_equal(summary.level[0].up, 0);
	assert_silent();

	assert_true(take_begun(2));
	assert_true(take_up(2));
	assert_true(take_ended(2, "shutdown", 0));
	assert_false(take_command(2, 0));
	assert_null(summary.level[1].command_report);
}

/* Reports that are none. */

static void reports_of_no_level(void **state)
{
	static const char *const levels[] = {
		"0",
		"-1",
		"4",
		"8",
		"9",
		"2147483648",
		"-2147483647",
		"4294967296",
		"4294967297",
		"-4294967295",
		"9223372036854775807",
		"-9223372036854775808",
		"18446744073709551616e0",
		"1.0",
		"\"1\"",
		"true",
		"null",
		"[1]",
		"{}",
	};
	struct nest_summary before = summary;

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (take("{\"level\":%s,\"is\":\"begun\"}", levels[i]))
			fail_msg("level %s is taken", levels[i]);
	assert_false(take("{\"is\":\"begun\"}"));
	assert_memory_equal(&before, &summary, sizeof(before));
	assert_silent();
}

static void reports_of_nothing_known(void **state)
{
	static const char *const reports[] = {
		"{}",
		"[]",
		"[1,\"begun\"]",
		"{\"level\":1}",
		"{\"level\":1,\"is\":\"\"}",
		"{\"level\":1,\"is\":\"Begun\"}",
		"{\"level\":1,\"is\":\"begun \"}",
		"{\"level\":1,\"is\":\"gone\"}",
		"{\"level\":1,\"is\":1}",
		"{\"level\":1,\"is\":null}",
		"{\"level\":1,\"is\":[\"begun\"]}",
		"{\"level\":{\"level\":1},\"is\":{\"is\":\"begun\"}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(reports); i++)
		if (take("%s", reports[i]))
			fail_msg("%s is taken", reports[i]);
	assert_false(nest_summary_take(&summary, NULL));
	assert_int_equal(summary.level[0].begun, 0);
	assert_silent();
}

static void reports_of_wrong_types(void **state)
{
	static const char *const reports[] = {
		"{\"level\":1,\"is\":\"up\"}",
		"{\"level\":1,\"is\":\"up\",\"linux\":6,\"cpus\":1,\"memory\":1}",
		"{\"level\":1,\"is\":\"up\",\"linux\":null,\"cpus\":1,\"memory\":1}",
		"{\"level\":1,\"is\":\"up\",\"linux\":\"6\",\"cpus\":\"1\",\"memory\":1}",
		"{\"level\":1,\"is\":\"up\",\"linux\":\"6\",\"cpus\":1,\"memory\":[]}",
		"{\"level\":1,\"is\":\"up\",\"linux\":\"6\",\"cpus\":1.5,\"memory\":1}",
		"{\"level\":1,\"is\":\"up\",\"linux\":\"6\",\"cpus\":1}",
		"{\"level\":1,\"is\":\"command\"}",
		"{\"level\":1,\"is\":\"command\",\"status\":\"0\"}",
		"{\"level\":1,\"is\":\"ended\"}",
		"{\"level\":1,\"is\":\"ended\",\"by\":\"shutdown\"}",
		"{\"level\":1,\"is\":\"ended\",\"status\":0}",
		"{\"level\":1,\"is\":\"ended\",\"by\":0,\"status\":0}",
		"{\"level\":1,\"is\":\"ended\",\"by\":\"shutdown\",\"status\":null}",
		"{\"level\":1,\"is\":\"ended\",\"by\":\"shutdown\",\"status\":0.0}",
	};

	assert_true(take_begun(1));
	for (size_t i = 0; i < ARRAY_SIZE(reports); i++)
		if (take("%s", reports[i]))
			fail_msg("%s is taken", reports[i]);
	assert_int_equal(summary.level[0].up, 0);
	assert_int_equal(summary.level[0].ended, 0);
	assert_silent();
}

/* A number that is 0 only in its lower bits is no good end. */
static void statuses_are_not_cut(void **state)
{
	live_around();
	assert_true(take_begun(2));
	assert_true(take_up(2));
	take("{\"level\":2,\"is\":\"command\",\"status\":4294967296}");
	take("{\"level\":2,\"is\":\"ended\",\"by\":\"shutdown\",\"status\":4294967296}");
	end_around();
	assert_false(nest_summary_good(&summary));
	nest_summary_print(&summary);
	assert_null(strstr(said_plainly(), "status 0"));
}

/* Strings that a terminal would understand. */

#define HOSTILE                                                                       \
	"\\u001b[2J\\u001b]0;title\\u0007\\r\\n\\t\\b\\u007f\\u0080\\u009b31m\\u202e" \
	"\\ud83d\\ude00\\u0001nidus: error: forged"

static void hostile_strings_are_not_printed(void **state)
{
	const char *text;

	live_around();
	said();
	assert_true(take_begun(2));
	assert_true(take("{\"level\":2,\"is\":\"up\",\"linux\":\"" HOSTILE
			 "\",\"cpus\":-1,\"memory\":-2147483648}"));
	text = said_plainly();
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	take("{\"level\":2,\"is\":\"ended\",\"by\":\"" HOSTILE "\",\"status\":0}");
	take("{\"level\":2,\"is\":\"ended\",\"by\":\"crashed\",\"status\":0,\"stats\":"
	     "{\"exits\":{\"total\":1,\"" HOSTILE "\":2}},\"console\":\"" HOSTILE "\"}");
	nest_summary_print(&summary);
	said_plainly();
}

/* Whatever it is, it is told in the JSON that it was wrong. */
static void hostile_ends_are_wrong(void **state)
{
	static const char *const ends[] = {
		"",
		HOSTILE,
		"\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4\\u00e4"
		"\\u00e4\\u00e4\\u00e4\\u00e4x\\u00e4\\u00e4",
		"a-very-long-word-that-does-not-end-where-it-would-have-to-end-at-all",
		"Shutdown",
		"shutdown ",
		"%s%s%s%n",
	};

	live_around();
	assert_true(take_begun(2));
	assert_true(take_up(2));
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		json_t *object;

		take_ended(2, ends[i], 0);
		assert_false(nest_summary_good(&summary));
		nest_summary_print(&summary);
		said_plainly();
		object = written(1);
		assert_true(json_is_string(json_object_get(level_of(object, 2), "wrong")));
		json_decref(object);
		json_decref(summary.level[1].ended_report);
		summary.level[1].ended_report = NULL;
		summary.level[1].ended = 0;
	}
}

static void console_is_indented_lines_of_text(void **state)
{
	const char *text;

	live_around();
	assert_true(take_begun(2));
	assert_true(take("{\"level\":2,\"is\":\"ended\",\"by\":\"crashed\",\"status\":1,"
			 "\"console\":\"one\\r\\ntwo\\u001b[31m\\n\\nnidus: error: x\"}"));
	end_around();
	nest_summary_print(&summary);
	text = said_plainly();
	text = strstr(text, "nidus: error: level 2");
	assert_non_null(text);
	assert_string_equal(text, "nidus: error: level 2 ended by crashed before it was up; the "
				  "end of its console:\n"
				  "    one\n    two?[31m\n    \n    nidus: error: x\n");
}

static void statistics_of_any_kind(void **state)
{
	static const char *const stats[] = {
		"null",
		"1",
		"[]",
		"\"x\"",
		"{}",
		"{\"exits\":null}",
		"{\"exits\":[1,2]}",
		"{\"exits\":\"x\"}",
		"{\"exits\":{}}",
		"{\"exits\":{\"total\":\"x\",\"\":null,\"a\":{},\"b\":-9223372036854775808}}",
		"{\"exits\":{\"total\":9223372036854775807,\"a\":1.5}}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(stats); i++) {
		json_t *object;

		assert_true(take_begun(1));
		assert_true(take("{\"level\":1,\"is\":\"ended\",\"by\":\"shutdown\",\"status\":0,"
				 "\"console\":%s,\"stats\":%s}",
				 stats[i], stats[i]));
		nest_summary_print(&summary);
		said_plainly();
		object = written(1);
		json_decref(object);
		nest_summary_destroy(&summary);
		nest_summary_create(&summary, &nest);
	}
}

/* Output. */

static void table_has_a_row_a_level(void **state)
{
	unsigned int lines = 0;
	const char *text;
	char row[128];

	assert_true(take_begun(1));
	assert_true(take_up(1));
	assert_true(take("{\"level\":1,\"is\":\"ended\",\"by\":\"shutdown\",\"status\":0,\"stats\":"
			 "{\"exits\":{\"total\":1234,\"mmio\":1000,\"psci\":234}}}"));
	summary.level[0].begun = 1;
	summary.level[0].up = UINT64_C(12345678901) + 1;
	live(2);
	said();
	nest_summary_print(&summary);
	text = said_plainly();
	assert_ptr_equal(
		strstr(text, "level     to init     exits  ended by      exits by reason\n"), text);
	assert_non_null(
		strstr(text, "\n    1    12.346 s      1234  shutdown      mmio 1000, psci 234\n"));
	snprintf(row, sizeof(row), "\n%5u  %8.3f s  %8s  shutdown      \n", 2, 0.0, "-");
	assert_non_null(strstr(text, row));
	assert_non_null(strstr(text, "\n    3           -         -  -             \n"));
	for (const char *c = text; *c; c++)
		lines += *c == '\n';
	/* A heading, the rows, and level 3 did not begin. */
	assert_int_equal(lines, 1 + 3 + 1);
}

static void json_has_all_that_was_told(void **state)
{
	json_t *object, *level, *expected;

	assert_true(take_begun(1));
	assert_true(take_up(1));
	assert_true(take_command(1, 4));
	assert_true(take("{\"level\":1,\"is\":\"ended\",\"by\":\"shutdown\",\"status\":0,"
			 "\"stats\":{\"exits\":{\"total\":3}}}"));
	summary.level[0].begun = 1;
	summary.level[0].up = UINT64_C(1500000000) + 1;
	assert_true(take_begun(2));

	object = written(1);
	assert_int_equal(json_integer_value(json_object_get(object, "version")), 1);
	assert_int_equal(json_integer_value(json_object_get(object, "status")), 1);
	assert_int_equal(json_array_size(json_object_get(object, "levels")), DEPTH);
	level = level_of(object, 1);
	expected =
		json_pack("{sisbsssfs{sssisi}s{si}s{sssis{s{si}}}}", "level", 1, "good", 0, "wrong",
			  "had its command end with status 4", "seconds_to_init", 1.5, "up",
			  "linux", "6.1.0", "cpus", 2, "memory", 240, "command", "status", 4,
			  "ended", "by", "shutdown", "status", 0, "stats", "exits", "total", 3);
	assert_non_null(expected);
	assert_true(json_equal(level, expected));
	json_decref(expected);
	expected = json_pack("{sisbss}", "level", 2, "good", 0, "wrong", "did not end");
	assert_true(json_equal(level_of(object, 2), expected));
	json_decref(expected);
	expected = json_pack("{sisbss}", "level", 3, "good", 0, "wrong", "did not begin");
	assert_true(json_equal(level_of(object, 3), expected));
	json_decref(expected);
	json_decref(object);
}

static void json_of_a_good_nest(void **state)
{
	json_t *first, *second;

	live(1);
	live(2);
	live(3);
	first = written(0);
	assert_int_equal(json_integer_value(json_object_get(first, "status")), 0);
	for (unsigned int level = 1; level <= DEPTH; level++) {
		json_t *object = level_of(first, level);

		assert_true(json_is_true(json_object_get(object, "good")));
		assert_null(json_object_get(object, "wrong"));
		assert_true(json_is_real(json_object_get(object, "seconds_to_init")));
	}
	/* Writing changes nothing of what can be told. */
	second = written(0);
	assert_true(json_equal(first, second));
	assert_true(nest_summary_good(&summary));
	json_decref(first);
	json_decref(second);
}

static void json_is_written_where_asked_only(void **state)
{
	assert_int_equal(nest_summary_write(&summary, NULL, 0), 0);
	assert_silent();
	assert_int_equal(nest_summary_write(&summary, "/none/such/file", 0), -ENOENT);
	assert_said("No such file or directory");
}

static void eight_levels(void **state)
{
	while (nest.depth < NEST_LEVELS_MAX)
		assert_int_equal(nest_add_level(&nest), 0);
	for (unsigned int level = 1; level <= NEST_LEVELS_MAX; level++)
		live(level);
	assert_false(take_begun(NEST_LEVELS_MAX + 1));
	assert_true(nest_summary_good(&summary));
}

#define on_summary(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_summary(good_nest),
		on_summary(one_cpu_is_one),
		on_summary(command_that_is_asked_for),
		on_summary(level_that_did_not_begin),
		on_summary(level_that_did_not_end),
		on_summary(level_that_could_not_be_started),
		on_summary(level_that_crashed),
		on_summary(level_that_was_reset_before_it_was_up),
		on_summary(level_that_shut_down_before_it_was_up),
		on_summary(level_with_a_bad_status),
		on_summary(level_whose_command_was_not_done),
		on_summary(level_whose_command_failed),
		on_summary(level_that_was_late),
		on_summary(level_that_was_late_and_up),
		on_summary(level_that_was_late_around_one_that_ended),
		on_summary(nothing_at_all),
		on_summary(good_reports_of_a_process_that_failed),
		on_summary(time_of_level_1_is_that_of_its_process),
		on_summary(first_deadline_counts_and_of_several_the_innermost),
		on_summary(time_in_which_nothing_was_at_work_does_not_count),
		on_summary(pause_of_all_levels_that_there_may_be),
		on_summary(reports_before_the_beginning),
		on_summary(status_is_one_that_a_process_can_have),
		on_summary(reports_that_come_twice),
		on_summary(reports_after_the_end),
		on_summary(reports_of_no_level),
		on_summary(reports_of_nothing_known),
		on_summary(reports_of_wrong_types),
		on_summary(statuses_are_not_cut),
		on_summary(hostile_strings_are_not_printed),
		on_summary(hostile_ends_are_wrong),
		on_summary(console_is_indented_lines_of_text),
		on_summary(statistics_of_any_kind),
		on_summary(table_has_a_row_a_level),
		on_summary(json_has_all_that_was_told),
		on_summary(json_of_a_good_nest),
		on_summary(json_is_written_where_asked_only),
		on_summary(eight_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
