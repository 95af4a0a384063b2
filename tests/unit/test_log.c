// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/log.h"
#include "unit.h"

static int level_back(void **state)
{
	log_set_level(LOG_WARNING);
	return catch_end(state);
}

static void levels_are_told_apart(void **state)
{
	log_set_level(LOG_DEBUG);
	log_error("one %d", 1);
	log_warning("two");
	log_info("three");
	log_debug("four");
	assert_string_equal(said(), "nidus: error: one 1\n"
				    "nidus: warning: two\n"
				    "nidus: three\n"
				    "nidus: debug: four\n");
}

static void starts_at_warning(void **state)
{
	log_info("not said");
	log_warning("said");
	assert_said("said");
}

static void results_are_plain(void **state)
{
	char text[1200];
	const char *line;

	log_set_level(LOG_ERROR);
	log_set_subject("level 2");
	log_plain("up after %d s\nand well", 3);
	assert_string_equal(said(), "up after 3 s?and well\n");
	log_set_subject("");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_plain("%s", text);
	line = said();
	assert_true(strlen(line) <= 1024);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void long_lines_are_cut_and_end(void **state)
{
	/* Around the size of the line, where one too many would show. */
	for (size_t length = 990; length < 1100; length++) {
		char text[1200];
		const char *line;

		memset(text, 'x', length);
		text[length] = '\0';
		log_error("%s", text);
		line = said();
		assert_true(strlen(line) <= 1024);
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	}
}

static int subject_back(void **state)
{
	log_set_subject("");
	return catch_end(state);
}

static void subject_is_said_first(void **state)
{
	static struct log_limit limit;
	char subject[] = "level 2";

	log_set_subject(subject);
	subject[0] = '!';
	log_error("one %d", 1);
	log_warning("two");
	log_guest(&limit, "three");
	log_set_subject("nest");
	log_error("four");
	log_set_subject("");
	log_error("five");
	assert_string_equal(said(), "nidus: error: level 2: one 1\n"
				    "nidus: warning: level 2: two\n"
				    "nidus: warning: level 2: three\n"
				    "nidus: error: nest: four\n"
				    "nidus: error: five\n");
}

static void subject_is_text_and_no_format(void **state)
{
	log_set_subject("100%s\033%n");
	log_error("said");
	assert_string_equal(said(), "nidus: error: 100%s?%n: said\n");
}

static void long_subjects_are_cut(void **state)
{
	/* Around the size of what holds it, where one too many would show. */
	for (size_t length = 200; length < 300; length++) {
		char text[400];
		const char *line;

		memset(text, 's', length);
		text[length] = '\0';
		log_set_subject(text);
		log_error("what it is about");
		line = said();
		assert_non_null(strstr(line, "s: what it is about\n"));
		assert_true(strlen(line) <= strlen("nidus: error: : what it is about\n") + 255);
	}
}

static void long_lines_with_a_subject_are_cut_and_end(void **state)
{
	log_set_subject("level 2");
	for (size_t length = 980; length < 1100; length++) {
		char text[1200];
		const char *line;

		memset(text, 'x', length);
		text[length] = '\0';
		log_error("%s", text);
		line = said();
		assert_true(strlen(line) <= 1024);
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		assert_ptr_equal(strstr(line, "level 2: xxx"), line + strlen("nidus: error: "));
	}
}

static void guest_warnings_stop(void **state)
{
	static struct log_limit limit, other;
	unsigned int lines = 0;
	const char *text;

	for (unsigned int i = 0; i < 10 * LOG_LIMIT; i++)
		log_guest(&limit, "again");
	text = said();
	for (const char *line = text; (line = strchr(line, '\n')); line++)
		lines++;
	assert_int_equal(lines, LOG_LIMIT);
	assert_string_equal(strrchr(text, ':'), ": again (said no more)\n");

	log_guest(&other, "elsewhere");
	assert_said("elsewhere");
}

/* Who reads standard error does not, for a while. */

static int reader, real_stderr;

static int stall(int kind)
{
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	/* Whoever waits is ended. */
	alarm(120);
	if (kind == 0 ? pipe2(ends, O_CLOEXEC) < 0
		      : socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	real_stderr = dup(STDERR_FILENO);
	reader = ends[0];
	fcntl(reader, F_SETFL, O_NONBLOCK);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	return 0;
}

static int stalled_pipe(void **state)
{
	return stall(0);
}

static int stalled_socket(void **state)
{
	return stall(1);
}

static int stall_ends(void **state)
{
	log_keep_no_more();
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(reader);
	alarm(0);
	return 0;
}

/* Until some are kept; how many were said in all, each with its number. */
static unsigned int say_until_kept(void)
{
	unsigned int count = 0;

	assert_true(log_keep() > STDERR_FILENO);
	while (!log_pending())
		log_error("number %u", count++);
	return count;
}

/* The next line that comes out, or the end. */
static const char *next_line(void)
{
	static char line[256];
	size_t size = 0;

	log_flush();
	while (size < sizeof(line) - 1 && read(reader, line + size, 1) == 1)
		if (line[size++] == '\n')
			break;
	line[size] = '\0';
	return line;
}

static void assert_number(unsigned int number)
{
	char expected[64];

	snprintf(expected, sizeof(expected), "nidus: error: number %u\n", number);
	assert_string_equal(next_line(), expected);
}

static void what_is_not_read_is_kept(void **state)
{
	unsigned int count = say_until_kept();

	for (unsigned int i = 0; i < 100; i++)
		log_error("number %u", count++);
	for (unsigned int i = 0; i < count; i++)
		assert_number(i);
	assert_false(log_pending());
	assert_string_equal(next_line(), "");
	/* From then on as before. */
	log_error("number 1");
	assert_false(log_pending());
	assert_number(1);
}

static void what_is_too_much_is_counted(void **state)
{
	unsigned int count = say_until_kept(), kept = 0, lost = 0;
	const char *line;

	for (unsigned int i = 0; i < LOG_KEPT_MAX / 10; i++)
		log_error("number %u", count++);
	for (line = next_line(); strstr(line, "number"); line = next_line())
		kept++;
	assert_int_equal(sscanf(line,
				"nidus: warning: standard error was not read: %u messages are lost",
				&lost),
			 1);
	assert_int_equal(kept + lost, count);
	assert_true(lost > 0);
	assert_string_equal(next_line(), "");
}

static void reader_that_goes_is_no_matter(void **state)
{
	say_until_kept();
	close(reader);
	reader = -1;
	log_flush();
	assert_false(log_pending());
	log_error("nobody");
	assert_false(log_pending());
}

/* What waits at the end is not waited for: whoever ends has done that. */
static void keeping_ends(void **state)
{
	unsigned int count = say_until_kept();

	log_keep_no_more();
	assert_false(log_pending());
	for (unsigned int i = 0; i + 1 < count; i++)
		assert_number(i);
	log_error("number 7");
	assert_number(7);
}

static void files_are_written_at_once(void **state)
{
	log_keep();
	log_error("one");
	assert_said("one");
	log_keep_no_more();
	log_error("two");
	assert_said("two");
}

/* Standard error is what JOURNAL_STREAM names, or another file by the same number. */
static void journals_get_priorities(void **state)
{
	char name[48];
	struct stat st;

	log_set_level(LOG_DEBUG);
	fstat(STDERR_FILENO, &st);
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)st.st_dev + 1, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", name, 1);
	log_find_journal();
	log_error("one");
	snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", name, 1);
	log_find_journal();
	log_error("two");
	log_warning("three");
	log_info("four");
	log_debug("five");
	log_plain("six");
	unsetenv("JOURNAL_STREAM");
	assert_string_equal(said(), "nidus: error: one\n"
				    "<3>nidus: error: two\n"
				    "<4>nidus: warning: three\n"
				    "<6>nidus: four\n"
				    "<7>nidus: debug: five\n"
				    "six\n");
}

static int journal_back(void **state)
{
	setenv("JOURNAL_STREAM", "0:0", 1);
	log_find_journal();
	unsetenv("JOURNAL_STREAM");
	return level_back(state);
}

#define stalled(test)                                                    \
	cmocka_unit_test_setup_teardown(test, stalled_pipe, stall_ends), \
		cmocka_unit_test_setup_teardown(test, stalled_socket, stall_ends)
#define on_subject(test) cmocka_unit_test_setup_teardown(test, catch_begin, subject_back)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(levels_are_told_apart, catch_begin, level_back),
		caught_test(starts_at_warning),
		cmocka_unit_test_setup_teardown(results_are_plain, catch_begin, level_back),
		caught_test(long_lines_are_cut_and_end),
		on_subject(subject_is_said_first),
		on_subject(subject_is_text_and_no_format),
		on_subject(long_subjects_are_cut),
		on_subject(long_lines_with_a_subject_are_cut_and_end),
		cmocka_unit_test_setup_teardown(journals_get_priorities, catch_begin, journal_back),
		caught_test(guest_warnings_stop),
		stalled(what_is_not_read_is_kept),
		stalled(what_is_too_much_is_counted),
		stalled(reader_that_goes_is_no_matter),
		stalled(keeping_ends),
		caught_test(files_are_written_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
