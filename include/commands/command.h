/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The subcommands, one file each.
 */
#ifndef NIDUS_COMMAND_H
#define NIDUS_COMMAND_H

#include "config/config.h"

struct command {
	const struct options *options; /* its name among them */
	const char *arguments; /* as help has them */
	const char *summary; /* one line */
	/* What help says before the options and after them, by paragraphs, or NULL. */
	const char *about, *more;
	/* Returns the exit status of nidus; argv[0] is the name of the subcommand. */
	int (*run)(enum config_flavour flavour, int argc, char **argv);
};

extern const struct command cmd_run, cmd_nest, cmd_list, cmd_stop, cmd_pause, cmd_resume, cmd_stat,
	cmd_snapshot, cmd_migrate, cmd_restore, cmd_balloon, cmd_top, cmd_debug, cmd_tlbi, cmd_help,
	cmd_version;

#define COMMANDS_COUNT 16

/* In the order in which they are listed. */
extern const struct command *const commands[COMMANDS_COUNT];

/* NULL: there is no such command. */
const struct command *commands_find(const char *name);

/* Prints what `nidus help NAME` prints. Returns the exit status. */
int cmd_help_print(const struct command *command);

#endif
