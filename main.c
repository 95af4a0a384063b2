// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "commands/command.h"
#include "host/log.h"
#include "machine/session.h"
#include "nest/nest_init.h"
#include "root/root_init.h"

/*
 * Descriptors 0 to 2 must be taken, or else the first files that are opened would become standard
 * input and output. A guest without input or messages is fine; one whose output goes nowhere is a
 * mistake of the caller.
 */
static int check_descriptors(void)
{
	bool output = fcntl(STDOUT_FILENO, F_GETFD) >= 0;
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	if (!output)
		log_error("standard output is closed");
	return output ? 0 : -EBADF;
}

/* Output may fail as late as now: a full disk, a closed pipe. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	log_error("standard output: %s", strerror(errno));
	return status == STATUS_OK ? STATUS_HOST : status;
}

/* A guest whose initramfs nidus has made, which is a level of a nest where there is its plan. */
static void be_init(char **argv)
{
	if (nest_init_wanted())
		nest_init();
	else
		root_init(argv);
}

int main(int argc, char **argv)
{
	const struct command *command;
	enum config_flavour flavour = CONFIG_NIDUS;

	/*
	 * Threads share what there is: an arena for each would be more memory, and calls of mmap(2)
	 * and mprotect(2) by threads that are forbidden to make any.
	 */
	mallopt(M_ARENA_MAX, 1);
	log_find_journal();
	if (check_descriptors() < 0)
		return STATUS_HOST;
	if (getpid() == 1 && argc > 0 && strcmp(argv[0], "/init") == 0)
		be_init(argv);
	if (argc > 0 && strcmp(basename(argv[0]), "lkvm") == 0)
		flavour = CONFIG_LKVM;
	if (argc < 2) {
		log_error("no command given (nidus help lists them)");
		return STATUS_USAGE;
	}
	command = commands_find(argv[1]);
	if (!command) {
		log_error("%s: not a command (nidus help lists them)", argv[1]);
		return STATUS_USAGE;
	}
	return finish(command->run(flavour, argc - 1, argv + 1));
}
