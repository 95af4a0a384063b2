/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The subcommands, one file each. They return the exit status of nidus.
 */
#ifndef NIDUS_COMMAND_H
#define NIDUS_COMMAND_H

#include "machine/config.h"

struct command {
	const char *name;
	const char *arguments;
	const char *summary; /* one line */
	int (*run)(enum config_flavour flavour, int argc, char **argv);
	void (*help)(void); /* the rest of what `help NAME` prints, or NULL */
};

/* Ends with an entry without a name. */
extern const struct command commands[];

/* NULL: there is no such command. */
const struct command *command_find(const char *name);

int cmd_run(enum config_flavour flavour, int argc, char **argv);
void cmd_run_help(void);
int cmd_nest(enum config_flavour flavour, int argc, char **argv);
void cmd_nest_help(void);
int cmd_tlbi(enum config_flavour flavour, int argc, char **argv);
void cmd_tlbi_help(void);
int cmd_help(enum config_flavour flavour, int argc, char **argv);
int cmd_version(enum config_flavour flavour, int argc, char **argv);

#endif
