// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "commands/command.h"

const struct command *const commands[COMMANDS_COUNT] = {
	&cmd_run,   &cmd_nest,	   &cmd_list,	 &cmd_stop,    &cmd_pause,   &cmd_resume,
	&cmd_stat,  &cmd_snapshot, &cmd_migrate, &cmd_restore, &cmd_balloon, &cmd_top,
	&cmd_debug, &cmd_tlbi,	   &cmd_help,	 &cmd_version,
};

const struct command *commands_find(const char *name)
{
	for (unsigned int i = 0; i < COMMANDS_COUNT; i++)
		if (strcmp(commands[i]->options->command, name) == 0)
			return commands[i];
	return NULL;
}
