// SPDX-License-Identifier: GPL-2.0-only
/*
 * The engine of options, with tables of its own: two groups, each kind of row.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options/completion.h"
#include "options/help.h"
#include "unit.h"
#include "util.h"

struct settings {
	const char *text;
	bool flag, other_flag, has_number;
	int colour;
	uint32_t number;
	uint64_t large;
	char called[32];
};

static int set_called(void *object, const char *text)
{
	struct settings *settings = object;

	if (strcmp(text, "full") == 0)
		return -ENOMEM;
	snprintf(settings->called, sizeof(settings->called), "%s", text);
	return 0;
}

static const struct option_choice colours[] = {
	{ "red", 1 },
	{ "green", 2 },
	{ "blue", 3 },
	{ NULL, 0 },
};

static const struct option_row first[] = {
	{ OPTION("text", 't', "TEXT", "a text (none)"), OPTION_TEXT(struct settings, text),
	  OPTION_FILE },
	{ OPTION("flag", 'f', NULL, "a flag"), OPTION_FLAG(struct settings, flag, true) },
	{ OPTION("flag-more", 'g', NULL, "no"), OPTION_FLAG(struct settings, other_flag, false) },
	{ OPTION("colour", 0, "COLOUR", "a colour"),
	  OPTION_CHOICE(struct settings, colour, colours) },
};

static const struct option_row second[] = {
	{ OPTION("number", 'n', "N",
		 "a number with a help that is long enough to be wrapped, twice even, for it does not "
		 "come to its end so soon as that"),
	  OPTION_NUMBER(struct settings, number, 2, 10), OPTION_GIVEN(struct settings, has_number),
	  .step = 2 },
	{ OPTION("large", 0, "N", "a large number"),
	  OPTION_NUMBER(struct settings, large, 0, UINT64_MAX) },
	{ OPTION("called", 'c', "WHAT", "called"), OPTION_CALL(set_called) },
	{ OPTION("gone", 'G', "X", "it went out of use"), OPTION_REFUSED },
};

static const struct option_group groups[] = {
	{ first, ARRAY_SIZE(first) },
	{ second, ARRAY_SIZE(second) },
};

static struct options options = {
	.command = "try",
	.groups = groups,
	.group_count = ARRAY_SIZE(groups),
};

static struct settings settings;
static struct options_words words;

/* Words between single blanks; %: an empty one. */
static int parse(const char *line)
{
	static char text[256];
	static char *argv[33];
	int argc = 1;

	argv[0] = "try";
	snprintf(text, sizeof(text), "%s", line);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " "))
		argv[argc++] = strcmp(word, "%") == 0 ? "" : word;
	argv[argc] = NULL;
	settings = (struct settings){ .other_flag = true };
	return options_parse(&options, &settings, argc, argv, &words);
}

static int begin(void **state)
{
	options.takes_command = false;
	return catch_begin(state);
}

static void nothing_sets_nothing(void **state)
{
	assert_int_equal(parse(""), 0);
	assert_null(settings.text);
	assert_false(settings.flag || settings.has_number);
	assert_true(settings.other_flag);
	assert_null(words.word);
	assert_int_equal(words.argc, 0);
	assert_silent();
}

static void each_kind_is_set(void **state)
{
	static const char *const lines[] = {
		"--text a=b --flag --flag-more --colour green --number 4 --large 0x100000000 "
		"--called me",
		"--text=a=b --flag --flag-more --colour=green --number=4 --large=4294967296 "
		"--called=me",
		"-t a=b -f -g --colour green -n 4 --large 4294967296 -c me",
		"-ta=b -fg --col green -n4 --l 4294967296 -cme",
		"-fgta=b --c=blue --co=green -n4 --large 4294967296 --ca me",
	};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		/* --c is colour or called. */
		if (strstr(lines[i], "--c=")) {
			assert_int_equal(parse(lines[i]), -EINVAL);
			assert_said("--c=blue: not an option of try (nidus help try lists them)");
			continue;
		}
		assert_int_equal(parse(lines[i]), 0);
		assert_string_equal(settings.text, "a=b");
		assert_true(settings.flag && settings.has_number);
		assert_false(settings.other_flag);
		assert_int_equal(settings.colour, 2);
		assert_int_equal(settings.number, 4);
		assert_true(settings.large == UINT64_C(1) << 32);
		assert_string_equal(settings.called, "me");
		assert_silent();
	}
}

static void last_one_holds(void **state)
{
	assert_int_equal(parse("-t a --text b -n 2 -n 10"), 0);
	assert_string_equal(settings.text, "b");
	assert_int_equal(settings.number, 10);
	assert_int_equal(parse("--text= -t -n"), 0);
	assert_string_equal(settings.text, "-n");
	assert_int_equal(parse("-t %"), 0);
	assert_string_equal(settings.text, "");
}

static void mistakes_are_named(void **state)
{
	static const struct {
		const char *line, *message;
	} cases[] = {
		{ "--none", "--none: not an option of try (nidus help try lists them)" },
		{ "--none=1", "--none=1: not an option of try" },
		{ "--=1", "--=1: not an option of try" },
		{ "-x", "-x: not an option of try" },
		{ "-fx", "-x: not an option of try" },
		{ "-f-", "--: not an option of try" },
		{ "--text", "--text: needs an argument" },
		{ "-t", "-t: needs an argument, " },
		{ "-ft", "-t: needs an argument" },
		{ "--te", "--te: needs an argument" },
		{ "--flag=1", "--flag=1: takes no argument" },
		{ "--colour pink", "--colour pink: must be red, green or blue" },
		{ "--colour=", "--colour : must be red, green or blue" },
		{ "-n 3", "--number 3: must be a multiple of 2 from 2 to 10" },
		{ "-n 0", "--number 0: must be a multiple of 2 from 2 to 10" },
		{ "-n 12", "--number 12: must be a multiple" },
		{ "-n 4294967300", "--number 4294967300: must be a multiple" },
		{ "--large -1", "--large -1: must be a number of up to 64 bits" },
		{ "--gone 1", "--gone: it went out of use" },
		{ "-G1", "--gone: it went out of use" },
		{ "a b", "b: try takes options and no further argument" },
		{ "a -- b", "b: try takes options and no further argument" },
		{ "-- a b", "b: try takes options and no further argument" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(cases[i].line), -EINVAL);
		assert_said(cases[i].message);
	}
	assert_int_equal(parse("--called full"), -ENOMEM);
	assert_silent();
}

static void first_mistake_is_the_only_one(void **state)
{
	assert_int_equal(parse("-n 3 --none"), -EINVAL);
	assert_said("--number 3");
	assert_int_equal(parse("--help --none"), OPTIONS_HELP);
	assert_silent();
	assert_int_equal(parse("-fh"), OPTIONS_HELP);
	assert_int_equal(parse("--he"), OPTIONS_HELP);
}

static void words_that_are_no_options(void **state)
{
	assert_int_equal(parse("-f word -t x"), 0);
	assert_string_equal(words.word, "word");
	assert_string_equal(settings.text, "x");
	assert_int_equal(parse("-"), 0);
	assert_string_equal(words.word, "-");
	assert_int_equal(parse("%"), 0);
	assert_string_equal(words.word, "");
	assert_int_equal(parse("-f -- -t"), 0);
	assert_string_equal(words.word, "-t");
	assert_null(settings.text);
	assert_int_equal(parse("--"), 0);
	assert_null(words.word);
}

static void a_second_word(void **state)
{
	options.takes_second = true;
	assert_int_equal(parse("one -f two"), 0);
	assert_string_equal(words.word, "one");
	assert_string_equal(words.second, "two");
	assert_int_equal(parse("one"), 0);
	assert_null(words.second);
	assert_int_equal(parse("one -- two"), 0);
	assert_string_equal(words.second, "two");
	assert_int_equal(parse("one two three"), -EINVAL);
	assert_said("three: try takes options and no further argument");
	options.takes_second = false;
}

static void commands_of_others(void **state)
{
	options.takes_command = true;
	assert_int_equal(parse("-f word -- -t x --"), 0);
	assert_string_equal(words.word, "word");
	assert_int_equal(words.argc, 3);
	assert_string_equal(words.argv[0], "-t");
	assert_string_equal(words.argv[2], "--");
	assert_null(settings.text);
	assert_int_equal(parse("--"), 0);
	assert_int_equal(words.argc, 0);
	assert_int_equal(parse("a b"), -EINVAL);
	assert_said("b: try takes options and no further argument; a command comes after --");
}

/* What is printed for people and for shells. */

static char *printed(void (*completion)(FILE *, const struct options *const *, size_t))
{
	const struct options *const tables[] = { &options };
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	if (completion)
		completion(stream, tables, 1);
	else
		help_options(stream, &options);
	fclose(stream);
	return text;
}

static void help_is_wrapped(void **state)
{
	char *text = printed(NULL);

	assert_string_equal(
		text,
		"  -t, --text TEXT             a text (none)\n"
		"  -f, --flag                  a flag\n"
		"  -g, --flag-more             no\n"
		"      --colour COLOUR         a colour\n"
		"  -n, --number N              a number with a help that is long enough to be\n"
		"                              wrapped, twice even, for it does not come to its\n"
		"                              end so soon as that\n"
		"      --large N               a large number\n"
		"  -c, --called WHAT           called\n");
	free(text);
}

static void expect_lines(char *text, const char *const *lines, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!strstr(text, lines[i]))
			fail_msg("there is no %sin:\n%s", lines[i], text);
	assert_null(strstr(text, "gone"));
	free(text);
}

static void completion_knows_what_options_take(void **state)
{
	static const char *const lines[] = {
		"_nidus_commands='try'\n",
		"\t'try -t' | 'try --text') files=-f ;;\n",
		"\t'try --colour') words='red green blue' ;;\n",
		"\t'try -n' | 'try --number') ;;\n",
		"\ttry) options='--text --flag --flag-more --colour --number --large --called --help' "
		";;\n",
	};
	char *text = printed(completion_print_bash);

	assert_null(strstr(text, "'try --flag')"));
	expect_lines(text, lines, ARRAY_SIZE(lines));
}

static void completion_of_zsh_says_what_help_does(void **state)
{
	static const char *const lines[] = {
		"#compdef nidus lkvm\n",
		"\tlocal -a commands=(try)\n",
		"\t\t'*'{-t+,--text=}'[a text (none)]:TEXT:_files' \\\n",
		"\t\t'*'{-f,--flag}'[a flag]' \\\n",
		"\t\t'*--colour=[a colour]:COLOUR:(red green blue)' \\\n",
		"\t\t'*--large=[a large number]:N: ' \\\n",
		"\t\t'*'{-c+,--called=}'[called]:WHAT: '\n",
	};

	expect_lines(printed(completion_print_zsh), lines, ARRAY_SIZE(lines));
}

#define on_table(test) cmocka_unit_test_setup_teardown(test, begin, catch_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_table(nothing_sets_nothing),
		on_table(each_kind_is_set),
		on_table(last_one_holds),
		on_table(mistakes_are_named),
		on_table(first_mistake_is_the_only_one),
		on_table(words_that_are_no_options),
		on_table(a_second_word),
		on_table(commands_of_others),
		on_table(help_is_wrapped),
		on_table(completion_knows_what_options_take),
		on_table(completion_of_zsh_says_what_help_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
