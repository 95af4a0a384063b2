/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command line of a subcommand as tables: what options there are, what help says of them, how a
 * shell completes them, and what is set by each. Nothing else needs to know an option's name.
 *
 * Tables are rows in groups, so that those of one part of nidus stand with that part. What is set
 * are members of one struct, which the caller of options_parse() has filled with defaults.
 */
#ifndef NIDUS_OPTIONS_H
#define NIDUS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_kind {
	OPTION_KIND_TEXT, /* const char *: the argument as it is, argv's */
	OPTION_KIND_FLAG, /* bool: becomes .value */
	OPTION_KIND_CHOICE, /* an enum, or int: what the word stands for in .choices */
	OPTION_KIND_NUMBER, /* uint32_t or uint64_t, from .min to .max */
	OPTION_KIND_CALL, /* whatever .set makes of the argument */
	OPTION_KIND_REFUSED, /* known to others than nidus, and not listed: .help says why not */
};

/* A word that an option takes, and what it stands for. A list ends in an entry without a word. */
struct option_choice {
	const char *word;
	int value;
};

/* Which names a shell completes a word to, where there are no choices. */
enum option_names {
	OPTION_NAMES_NOTHING,
	OPTION_NAMES_FILE,
	OPTION_NAMES_DIRECTORY,
	OPTION_NAMES_COMMAND, /* a subcommand of nidus */
};

struct option_row {
	const char *name; /* without the dashes */
	char letter; /* 0: has only a name */
	enum option_kind kind;
	const char *argument; /* what help calls it; NULL: takes none */
	const char *help; /* a clause; in brackets at its end what holds without the option */
	size_t member, size; /* what is set: where in the struct, in bytes */
	size_t given; /* 1 + where the bool is that tells whether it was set; 0: there is none */
	bool value;
	const struct option_choice *choices; /* of OPTION_KIND_CALL only for completion */
	enum option_names names;
	uint64_t min, max;
	uint64_t step; /* what a number is a multiple of; 0: of nothing */
	/* object: as options_parse() got it. Errors: -errno, said. */
	int (*set)(void *object, const char *text);
};

/*
 * What rows are written with: OPTION() first, then one of those that say what is set, then further
 * members if need be. letter: 0 for none; argument: NULL for none.
 */
#define OPTION(name_, letter_, argument_, help_) \
	.name = name_, .letter = letter_, .argument = argument_, .help = help_

#define OPTION_TEXT(type, name) .kind = OPTION_KIND_TEXT, OPTION_MEMBER(type, name)
#define OPTION_FLAG(type, name, value_) \
	.kind = OPTION_KIND_FLAG, OPTION_MEMBER(type, name), .value = value_
#define OPTION_CHOICE(type, name, choices_) \
	.kind = OPTION_KIND_CHOICE, OPTION_MEMBER(type, name), .choices = choices_
#define OPTION_NUMBER(type, name, min_, max_) \
	.kind = OPTION_KIND_NUMBER, OPTION_MEMBER(type, name), .min = min_, .max = max_
#define OPTION_CALL(set_) .kind = OPTION_KIND_CALL, .set = set_
#define OPTION_REFUSED	  .kind = OPTION_KIND_REFUSED

#define OPTION_MEMBER(type, name) \
	.member = offsetof(type, name), .size = sizeof(((type *)NULL)->name)
#define OPTION_GIVEN(type, name) .given = offsetof(type, name) + 1
#define OPTION_FILE		 .names = OPTION_NAMES_FILE
#define OPTION_DIRECTORY	 .names = OPTION_NAMES_DIRECTORY

struct option_group {
	const struct option_row *rows;
	size_t count;
};

struct options {
	const char *command; /* the subcommand's name */
	const struct option_group *groups;
	size_t group_count;
	enum option_names names; /* of the word that may stand by itself, the last one */
	bool takes_second; /* a second word may */
	bool takes_command; /* what stands after "--" is a command line of another program */
};

/* The words that belong to no option. NULL and 0 where there are none; strings are argv's. */
struct options_words {
	const char *word;
	const char *second; /* with takes_second */
	int argc; /* the words after "--", with takes_command */
	char **argv;
};

/* Instead of an error: help was asked for, by -h or --help. */
#define OPTIONS_HELP 1

/*
 * Reads a command line, whose argv[0] is the name of the subcommand, from left to right. Options
 * and words may be mixed; a long option may be cut as long as it is still the only one.
 * Returns 0 or OPTIONS_HELP. Errors: -EINVAL or what a row's set() returned, said.
 */
int options_parse(const struct options *options, void *object, int argc, char **argv,
		  struct options_words *words);

/* The entry of a list of choices whose word is text, or NULL. */
const struct option_choice *options_find(const struct option_choice *choices, const char *text);

/* For --interval, which more than one command has: seconds, from 0.01 to a day. -EINVAL, said. */
int options_parse_interval(const char *text, uint64_t *milliseconds);

#endif
