// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "commands/command.h"
#include "machine/session.h"
#include "options/completion.h"
#include "options/help.h"
#include "util.h"

struct request {
	enum { SHELL_NONE, SHELL_BASH, SHELL_ZSH } shell; /* whose completion is asked for */
};

static const struct option_choice shells[] = {
	{ "bash", SHELL_BASH },
	{ "zsh", SHELL_ZSH },
	{ NULL, 0 },
};

static const struct option_row rows[] = {
	{ OPTION("completion", 0, "SHELL",
		 "print what a shell reads to complete the command line of nidus; SHELL is bash or zsh"),
	  OPTION_CHOICE(struct request, shell, shells) },
};

static const struct option_group groups[] = { { rows, ARRAY_SIZE(rows) } };

static const struct options options = {
	.command = "help",
	.groups = groups,
	.group_count = ARRAY_SIZE(groups),
	.names = OPTION_NAMES_COMMAND,
};

static int print_all(void)
{
	puts("nidus: a virtual machine monitor for arm64, made for nested virtualization\n");
	for (unsigned int i = 0; i < COMMANDS_COUNT; i++)
		printf("  nidus %-8s %-12s %s\n", commands[i]->options->command,
		       commands[i]->arguments, commands[i]->summary);
	return STATUS_OK;
}

static int print_completion(const struct request *request)
{
	const struct options *tables[COMMANDS_COUNT];

	for (unsigned int i = 0; i < COMMANDS_COUNT; i++)
		tables[i] = commands[i]->options;
	(request->shell == SHELL_ZSH ? completion_print_zsh
				     : completion_print_bash)(stdout, tables, COMMANDS_COUNT);
	return STATUS_OK;
}

int cmd_help_print(const struct command *command)
{
	printf("nidus %s%s%s: %s\n", command->options->command, *command->arguments ? " " : "",
	       command->arguments, command->summary);
	if (command->about) {
		putchar('\n');
		help_text(stdout, command->about);
	}
	if (command->options->group_count > 0) {
		putchar('\n');
		help_options(stdout, command->options);
	}
	if (command->more) {
		putchar('\n');
		help_text(stdout, command->more);
	}
	return STATUS_OK;
}

static int run(enum config_flavour flavour, int argc, char **argv)
{
	struct request request = { .shell = SHELL_NONE };
	const struct command *command;
	struct options_words words;
	const int result = options_parse(&options, &request, argc, argv, &words);

	(void)flavour;
	if (result == OPTIONS_HELP)
		return cmd_help_print(&cmd_help);
	if (result < 0)
		return STATUS_USAGE;
	if (request.shell != SHELL_NONE)
		return print_completion(&request);
	if (!words.word)
		return print_all();
	command = commands_find(words.word);
	if (command)
		return cmd_help_print(command);
	log_error("%s: not a command (nidus help lists them)", words.word);
	return STATUS_USAGE;
}

const struct command cmd_help = {
	.options = &options,
	.arguments = "[COMMAND]",
	.summary = "say what there is, or explain one command",
	.run = run,
};
