// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "log.h"
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

#define on_subject(test) cmocka_unit_test_setup_teardown(test, catch_begin, subject_back)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(levels_are_told_apart, catch_begin, level_back),
		caught_test(starts_at_warning),
		caught_test(long_lines_are_cut_and_end),
		on_subject(subject_is_said_first),
		on_subject(subject_is_text_and_no_format),
		on_subject(long_subjects_are_cut),
		on_subject(long_lines_with_a_subject_are_cut_and_end),
		caught_test(guest_warnings_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
