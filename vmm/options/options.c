// SPDX-License-Identifier: GPL-2.0-only
#include "options/options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/log.h"
#include "options/number.h"

/* Milliseconds. */
#define INTERVAL_MIN 10
#define INTERVAL_MAX 86400000

/* Where in the command line we are. */
struct reader {
	const struct options *options;
	void *object;
	int argc;
	char **argv;
	int next; /* the word that is read next */
	struct options_words *words;
};

static const struct option_row help_row = { .name = "help",
					    .letter = 'h',
					    .kind = OPTION_KIND_FLAG };

/* Rows. */

const struct option_choice *options_find(const struct option_choice *choices, const char *text)
{
	for (; choices->word; choices++)
		if (strcmp(text, choices->word) == 0)
			return choices;
	return NULL;
}

/* Says which words there are. */
static int refuse_choice(const struct option_row *row, const char *text)
{
	char list[256] = "";

	for (const struct option_choice *choice = row->choices; choice->word; choice++) {
		const size_t used = strlen(list);
		const char *separator = choice == row->choices ? ""
					: choice[1].word       ? ", "
							       : " or ";

		snprintf(list + used, sizeof(list) - used, "%s%s", separator, choice->word);
	}
	log_error("--%s %s: must be %s", row->name, text, list);
	return -EINVAL;
}

static int set_choice(const struct option_row *row, int *member, const char *text)
{
	const struct option_choice *choice = options_find(row->choices, text);

	if (!choice)
		return refuse_choice(row, text);
	*member = choice->value;
	return 0;
}

/* Says what a number has to be. */
static int refuse_number(const struct option_row *row, const char *text)
{
	if (row->step)
		log_error("--%s %s: must be a multiple of %" PRIu64 " from %" PRIu64 " to %" PRIu64,
			  row->name, text, row->step, row->min, row->max);
	else if (row->max == UINT64_MAX)
		log_error("--%s %s: must be a number of up to 64 bits", row->name, text);
	else
		log_error("--%s %s: must be a number from %" PRIu64 " to %" PRIu64, row->name, text,
			  row->min, row->max);
	return -EINVAL;
}

static int set_number(const struct option_row *row, void *member, const char *text)
{
	uint64_t number;

	if (number_parse(text, row->min, row->max, &number) < 0 ||
	    (row->step && number % row->step != 0))
		return refuse_number(row, text);
	if (row->size == sizeof(uint32_t))
		*(uint32_t *)member = number;
	else
		*(uint64_t *)member = number;
	return 0;
}

static int row_apply(const struct option_row *row, void *object, const char *text)
{
	void *const member = (char *)object + row->member;

	if (row->given)
		*(bool *)((char *)object + row->given - 1) = true;
	switch (row->kind) {
	case OPTION_KIND_TEXT:
		*(const char **)member = text;
		return 0;
	case OPTION_KIND_FLAG:
		*(bool *)member = row->value;
		return 0;
	case OPTION_KIND_CHOICE:
		return set_choice(row, member, text);
	case OPTION_KIND_NUMBER:
		return set_number(row, member, text);
	case OPTION_KIND_CALL:
		return row->set(object, text);
	case OPTION_KIND_REFUSED:
		break;
	}
	log_error("--%s: %s", row->name, row->help);
	return -EINVAL;
}

/* Looking up. */

typedef bool row_matches(const struct option_row *row, const char *text, size_t length);

static bool is_letter(const struct option_row *row, const char *text, size_t length)
{
	return length > 0 && row->letter == *text;
}

static bool is_name(const struct option_row *row, const char *text, size_t length)
{
	return strlen(row->name) == length && memcmp(row->name, text, length) == 0;
}

static bool begins_name(const struct option_row *row, const char *text, size_t length)
{
	return strncmp(row->name, text, length) == 0;
}

/* The first row that matches, and how many do. */
static const struct option_row *row_find(const struct options *options, row_matches *matches,
					 const char *text, size_t length, unsigned int *count)
{
	const struct option_row *found = matches(&help_row, text, length) ? &help_row : NULL;

	*count = found != NULL;
	for (size_t i = 0; i < options->group_count; i++) {
		const struct option_group *group = &options->groups[i];

		for (size_t j = 0; j < group->count; j++) {
			if (!matches(&group->rows[j], text, length))
				continue;
			if ((*count)++ == 0)
				found = &group->rows[j];
		}
	}
	return found;
}

static const struct option_row *row_of_name(const struct options *options, const char *name,
					    size_t length)
{
	unsigned int count;
	const struct option_row *row = row_find(options, is_name, name, length, &count);

	if (row)
		return row;
	row = row_find(options, begins_name, name, length, &count);
	return count == 1 ? row : NULL;
}

/* Words. */

static int refuse(const struct reader *reader, const char *option)
{
	log_error("%s: not an option of %s (nidus help %s lists them)", option,
		  reader->options->command, reader->options->command);
	return -EINVAL;
}

/* argument: what stands in the same word, or NULL; shown: how the user wrote the option. */
static int take_option(struct reader *reader, const struct option_row *row, const char *argument,
		       const char *shown)
{
	if (row == &help_row)
		return OPTIONS_HELP;
	if (row->argument && !argument) {
		if (reader->next == reader->argc) {
			log_error("%s: needs an argument, %s: %s", shown, row->argument, row->help);
			return -EINVAL;
		}
		argument = reader->argv[reader->next++];
	}
	return row_apply(row, reader->object, argument);
}

/* --NAME, --NAME=ARGUMENT */
static int take_long(struct reader *reader, const char *word)
{
	const char *const name = word + 2;
	const size_t length = strcspn(name, "=");
	const char *const argument = name[length] ? name + length + 1 : NULL;
	const struct option_row *row = row_of_name(reader->options, name, length);

	if (!row)
		return refuse(reader, word);
	if (argument && !row->argument) {
		log_error("%s: takes no argument", word);
		return -EINVAL;
	}
	return take_option(reader, row, argument, word);
}

/* -L, -LARGUMENT, or several letters of which the last one may have an argument */
static int take_letters(struct reader *reader, const char *letters)
{
	int result = 0;

	for (; *letters && result == 0; letters++) {
		const char shown[] = { '-', *letters, '\0' };
		unsigned int count;
		const struct option_row *row =
			row_find(reader->options, is_letter, letters, 1, &count);

		if (!row)
			return refuse(reader, shown);
		if (row->argument)
			return take_option(reader, row, letters[1] ? letters + 1 : NULL, shown);
		result = take_option(reader, row, NULL, shown);
	}
	return result;
}

static int take_word(struct reader *reader, const char *word)
{
	struct options_words *words = reader->words;

	if (!words->word) {
		words->word = word;
	} else if (reader->options->takes_second && !words->second) {
		words->second = word;
	} else {
		log_error("%s: %s takes options and no further argument%s", word,
			  reader->options->command,
			  reader->options->takes_command ? "; a command comes after --" : "");
		return -EINVAL;
	}
	return 0;
}

/* After "--". */
static int take_rest(struct reader *reader)
{
	int err = 0;

	if (reader->options->takes_command) {
		reader->words->argc = reader->argc - reader->next;
		reader->words->argv = reader->argv + reader->next;
		reader->next = reader->argc;
	}
	while (err == 0 && reader->next < reader->argc)
		err = take_word(reader, reader->argv[reader->next++]);
	return err;
}

int options_parse(const struct options *options, void *object, int argc, char **argv,
		  struct options_words *words)
{
	struct reader reader = { options, object, argc, argv, 1, words };
	int result = 0;

	*words = (struct options_words){ 0 };
	while (result == 0 && reader.next < argc) {
		const char *word = argv[reader.next++];

		if (strcmp(word, "--") == 0)
			result = take_rest(&reader);
		else if (strncmp(word, "--", 2) == 0)
			result = take_long(&reader, word);
		else if (word[0] == '-' && word[1])
			result = take_letters(&reader, word + 1);
		else
			result = take_word(&reader, word);
	}
	return result;
}

int options_parse_interval(const char *text, uint64_t *milliseconds)
{
	if (number_parse_seconds(text, INTERVAL_MIN, INTERVAL_MAX, milliseconds) == 0)
		return 0;
	log_error("--interval %s: must be a number of seconds from 0.01 to %d", text,
		  INTERVAL_MAX / 1000);
	return -EINVAL;
}
