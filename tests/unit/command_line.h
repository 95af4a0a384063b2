/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The command line of `nidus run` as a line of text.
 */
#ifndef COMMAND_LINE_H
#define COMMAND_LINE_H

#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "unit.h"

#define COMMAND_LINE_WORDS 64

/* Parses words between single blanks, which stay valid until the next line. */
static inline int command_line_parse(struct config *config, enum config_flavour flavour,
				     const char *line)
{
	static char words[1024];
	char *argv[COMMAND_LINE_WORDS + 1] = { "run" };
	int argc = 1;

	snprintf(words, sizeof(words), "%s", line);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) {
		assert_true(argc < COMMAND_LINE_WORDS);
		argv[argc++] = word;
	}
	return config_parse(config, flavour, argc, argv);
}

#endif
