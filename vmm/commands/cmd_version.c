// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "commands/command.h"
#include "machine/session.h"
#include "version.h"

int cmd_version(enum config_flavour flavour, int argc, char **argv)
{
	(void)flavour;
	(void)argc;
	(void)argv;
	puts("nidus " NIDUS_VERSION);
	return STATUS_OK;
}
