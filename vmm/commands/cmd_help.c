// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "commands/command.h"
#include "host/log.h"
#include "machine/session.h"

static void help_all(void)
{
	puts("nidus: a virtual machine monitor for arm64, made for nested virtualization\n");
	for (const struct command *command = commands; command->name; command++)
		printf("  nidus %-8s %-12s %s\n", command->name, command->arguments,
		       command->summary);
}

/* Called as `help [COMMAND]`, and as `COMMAND --help`. */
int cmd_help(enum config_flavour flavour, int argc, char **argv)
{
	const char *name = argv[0];
	const struct command *command;

	(void)flavour;
	if (strcmp(name, "help") == 0) {
		if (argc < 2) {
			help_all();
			return STATUS_OK;
		}
		name = argv[1];
	}
	command = command_find(name);
	if (!command) {
		log_error("%s: not a command (nidus help lists them)", name);
		return STATUS_USAGE;
	}
	printf("nidus %s%s%s: %s\n", command->name, *command->arguments ? " " : "",
	       command->arguments, command->summary);
	if (command->help)
		command->help();
	return STATUS_OK;
}
