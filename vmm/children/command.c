// SPDX-License-Identifier: GPL-2.0-only
#include "children/command.h"

#include <errno.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * The shell that is our child leaves the command behind and ends, so that nobody has to wait for
 * it. What is started by & would have no standard input.
 */
static const char leave[] = "exec 3<&0; eval \"$0\" <&3 3<&- &";

/* In a process of its own, with fd. */
static int run(const char *command, int fd)
{
	char *const words[] = { "sh", "-c", (char *)leave, (char *)command, NULL };
	posix_spawn_file_actions_t actions;
	pid_t pid;
	int err;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&actions, fd, STDOUT_FILENO);
	err = -posix_spawn(&pid, "/bin/sh", &actions, NULL, words, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (err == 0)
		waitpid(pid, NULL, 0);
	return err;
}

int command_connect(const char *command)
{
	int ends[2], err;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	err = run(command, ends[1]);
	close(ends[1]);
	if (err == 0)
		return ends[0];
	close(ends[0]);
	return err;
}
