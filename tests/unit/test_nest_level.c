// SPDX-License-Identifier: GPL-2.0-only
/*
 * One level of a nest as the level beneath runs it, with sessions that are made up: what is
 * reported, by what status it ends, and who is to blame where it does not come to a session.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "debugger/debugger.h"
#include "machine/session.h"
#include "machine/stats.h"
#include "monitor/monitor.h"
#include "unit.h"
#include "vmm/nest/nest_level.h"

static struct nest nest;
static char kernel[128];
static int reports[2];
static json_t *line[4];
static unsigned int lines;

/* What a session does, in place of vmm/machine/session.c, stats.c and the terminal. */
static enum status refuses;
static enum outcome outcome;
static unsigned int sessions;

enum status session_create(struct session *session, const struct config *config)
{
	sessions++;
	assert_string_equal(config->kernel, kernel);
	assert_non_null(config->initramfs);
	assert_int_equal(strncmp(config->report, "fd:", 3), 0);
	session->config = config;
	return refuses;
}

/* Nobody asks for one. */
int debugger_create(struct debugger **created, struct session *session)
{
	fail();
	return -EINVAL;
}

void debugger_destroy(struct debugger *debugger, unsigned int status)
{
	fail();
}

enum status session_run(struct session *session)
{
	assert_non_null(session->reports);
	atomic_store(&session->verdict.outcome, outcome);
	session->ended(session, NULL);
	return outcome == OUTCOME_SHUTDOWN ? STATUS_OK : STATUS_CRASHED;
}

void session_destroy(struct session *session)
{
}

/* In place of vmm/monitor/monitor.c. */
static enum status unwatched;

enum status monitor_create(struct monitor *monitor, struct session *session,
			   struct debugger **debugger)
{
	assert_string_equal(session->config->name, "wren");
	assert_string_equal(session->config->control, "/socket");
	return unwatched;
}

void monitor_destroy(struct monitor *monitor)
{
	assert_int_equal(unwatched, STATUS_OK);
}

json_t *stats_collect(const struct machine *machine, unsigned int resets)
{
	return json_pack("{si}", "resets", (int)resets);
}

size_t terminal_tail(struct terminal *terminal, char *text, size_t size)
{
	memcpy(text, "oops\x80", 5);
	return 5;
}

static char fed[256]; /* to the console */

void terminal_feed(struct terminal *terminal, const void *bytes, size_t size)
{
	strncat(fed, bytes, size);
}

static int begin(void **state)
{
	int fd;

	snprintf(kernel, sizeof(kernel), "%s/kernel", scratch_begin());
	fd = open(kernel, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (write(fd, "flat", 4) != 4 || pipe2(reports, O_CLOEXEC) < 0)
		return -1;
	close(fd);
	nest_create(&nest);
	nest.name = "wren";
	nest.control = "/socket";
	refuses = unwatched = STATUS_OK;
	outcome = OUTCOME_SHUTDOWN;
	sessions = lines = 0;
	if (nest_set(&nest, 0, "kernel", kernel) < 0 || nest_add_level(&nest) < 0)
		return -1;
	return catch_begin(state);
}

static int finish(void **state)
{
	while (lines > 0)
		json_decref(line[--lines]);
	nest_destroy(&nest);
	scratch_end();
	return catch_end(state);
}

/* Runs level 1 and reads what it reports. */
static int run(void)
{
	const int status = nest_level_run(&nest, 1, reports[1]);
	char text[4096];
	FILE *stream;

	close(reports[1]);
	stream = fdopen(reports[0], "r");
	while (fgets(text, sizeof(text), stream)) {
		if (*text == '\n')
			continue;
		assert_true(lines < 4);
		line[lines++] = json_loads(text, 0, NULL);
	}
	fclose(stream);
	return status;
}

static void assert_reported(const char *by, int status)
{
	assert_int_equal(lines, 2);
	assert_string_equal(json_string_value(json_object_get(line[0], "is")), "begun");
	assert_string_equal(json_string_value(json_object_get(line[1], "is")), "ended");
	assert_string_equal(json_string_value(json_object_get(line[1], "by")), by);
	assert_int_equal(json_integer_value(json_object_get(line[1], "status")), status);
}

static void good_end(void **state)
{
	assert_int_equal(run(), STATUS_OK);
	assert_reported("shutdown", STATUS_OK);
	assert_non_null(json_object_get(line[1], "stats"));
	assert_null(json_object_get(line[1], "console"));
	assert_silent();
}

static void bad_end_has_the_end_of_the_console(void **state)
{
	outcome = OUTCOME_CRASHED;
	assert_int_equal(run(), STATUS_CRASHED);
	assert_reported("crashed", STATUS_CRASHED);
	assert_string_equal(json_string_value(json_object_get(line[1], "console")), "oops?");
}

static void session_that_is_refused(void **state)
{
	refuses = STATUS_HOST;
	assert_int_equal(run(), STATUS_HOST);
	assert_reported("not-started", STATUS_HOST);
}

static void session_that_cannot_be_watched(void **state)
{
	unwatched = STATUS_USAGE;
	assert_int_equal(run(), STATUS_USAGE);
	assert_int_equal(sessions, 1);
	assert_int_equal(json_integer_value(json_object_get(line[1], "status")), STATUS_USAGE);
}

static void bad_input_is_the_users_fault(void **state)
{
	assert_int_equal(nest_set(&nest, 1, "file", "/none/such"), 0);
	assert_int_equal(run(), STATUS_USAGE);
	assert_said("/none/such: No such file or directory");
	assert_reported("not-started", STATUS_USAGE);
	assert_int_equal(sessions, 0);
}

static void bad_option_is_the_users_fault(void **state)
{
	assert_int_equal(nest_set(&nest, 1, "options", "--none-such"), 0);
	assert_int_equal(run(), STATUS_USAGE);
	assert_said("--none-such");
	assert_int_equal(sessions, 0);
}

static void want_of_descriptors_is_the_hosts_fault(void **state)
{
	struct rlimit before, none;

	getrlimit(RLIMIT_NOFILE, &before);
	none = (struct rlimit){ 3, before.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	assert_int_equal(nest_level_run(&nest, 1, reports[1]), STATUS_HOST);
	setrlimit(RLIMIT_NOFILE, &before);
	close(reports[0]);
	close(reports[1]);
	assert_said("Too many open files");
	assert_int_equal(sessions, 0);
}

#define on_level(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_level(good_end),
		on_level(bad_end_has_the_end_of_the_console),
		on_level(session_that_is_refused),
		on_level(session_that_cannot_be_watched),
		on_level(bad_input_is_the_users_fault),
		on_level(bad_option_is_the_users_fault),
		on_level(want_of_descriptors_is_the_hosts_fault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
