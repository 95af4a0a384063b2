// SPDX-License-Identifier: GPL-2.0-only
#include "commands/command.h"
#include "machine/session.h"

int cmd_run(enum config_flavour flavour, int argc, char **argv)
{
	struct config config;
	/* Not on the stack: it holds the terminal's buffers. */
	static struct session session;
	int status;

	switch (config_parse(&config, flavour, argc, argv)) {
	case CONFIG_HELP:
		return cmd_help(flavour, argc, argv);
	case CONFIG_ERROR:
		return STATUS_USAGE;
	case CONFIG_OK:
		break;
	}
	log_set_level(config.log_level);

	status = session_create(&session, &config);
	if (status != STATUS_OK)
		return status;
	status = session_run(&session);
	session_destroy(&session);
	return status;
}

void cmd_run_help(void)
{
	puts("\nStarts a virtual machine and gives its console to standard input and output.\n"
	     "Ctrl-A x ends it; Ctrl-A Ctrl-A sends one Ctrl-A. In brackets: what holds without\n"
	     "the option.\n");
	config_help(stdout);
	puts("\nExit status: 0 the guest shut down, 1 it crashed or KVM gave up on it, 2 the "
	     "command\n"
	     "line or a file that it names is wrong, 3 the host lacks or refuses something,\n"
	     "128 + N signal N ended nidus.");
}
