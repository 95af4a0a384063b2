// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "commands/command.h"
#include "machine/session.h"

static const struct options options = { .command = "version" };

static int run(enum config_flavour flavour, int argc, char **argv)
{
	struct options_words words;
	const int result = options_parse(&options, NULL, argc, argv, &words);

	(void)flavour;
	if (result == OPTIONS_HELP)
		return cmd_help_print(&cmd_version);
	if (result < 0)
		return STATUS_USAGE;
	if (words.word) {
		log_error("%s: version takes no argument", words.word);
		return STATUS_USAGE;
	}
	puts("nidus " NIDUS_VERSION);
	return STATUS_OK;
}

const struct command cmd_version = {
	.options = &options,
	.arguments = "",
	.summary = "print the version",
	.run = run,
};
