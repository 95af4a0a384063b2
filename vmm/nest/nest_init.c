// SPDX-License-Identifier: GPL-2.0-only
/*
 * nidus as the init of a level of a nest: it makes a bare user space, does what the level is there
 * for, and powers off. The kernel starts it as /init of the initramfs that nest_pack.c has made.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "host/log.h"
#include "init/init.h"
#include "machine/session.h"
#include "nest/nest_init.h"
#include "nest_level.h"
#include "nest_net.h"
#include "nest_plan.h"
#include "nest_report.h"
#include "root/root_mount.h"
#include "virtio/virtio_report.h"

#define PORTS "/sys/class/virtio-ports"

/* A line with a command is no longer, in bytes. */
#define COMMAND_MAX 65536

/* The exit status that shells have for a command that they cannot run. */
#define STATUS_NOT_RUN 127

static bool port_is_ours(const char *port)
{
	char path[PATH_MAX], name[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), PORTS "/%s/name", port);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fgets(name, sizeof(name), file))
		name[strcspn(name, "\n")] = '\0';
	fclose(file);
	return strcmp(name, VIRTIO_REPORT_NAME) == 0;
}

static int port_open(void)
{
	DIR *ports = opendir(PORTS);
	struct dirent *entry;
	int fd = -1;

	while (fd < 0 && ports && (entry = readdir(ports))) {
		char path[PATH_MAX];

		if (!port_is_ours(entry->d_name))
			continue;
		snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
		fd = open(path, O_WRONLY | O_CLOEXEC);
	}
	if (ports)
		closedir(ports);
	return fd;
}

static void report_up(unsigned int level, int fd)
{
	struct utsname name;
	struct sysinfo info;

	uname(&name);
	sysinfo(&info);
	nest_report(fd, json_pack("{sisssssisI}", "level", level, "is", "up", "linux", name.release,
				  "cpus", (int)sysconf(_SC_NPROCESSORS_ONLN), "memory",
				  (json_int_t)((uint64_t)info.totalram * info.mem_unit >> 20)));
}

/* Returns an error number. */
static int start_command(const struct word_list *command, pid_t *child)
{
	static char *const environment[] = { "PATH=/bin:/sbin:/usr/bin:/usr/sbin", "HOME=/",
					     "TERM=linux", NULL };
	char **words = command->words;
	posix_spawnattr_t attributes;
	int error;

	setenv("PATH", strchr(environment[0], '=') + 1, true);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
	error = posix_spawnp(child, words[0], NULL, &attributes, words, environment);
	posix_spawnattr_destroy(&attributes);
	return error;
}

static int run_command(const struct word_list *command)
{
	int status = STATUS_NOT_RUN << 8, error;
	pid_t child, ended;

	error = start_command(command, &child);
	if (error) {
		log_error("%s: %s", command->words[0], strerror(error));
		return STATUS_NOT_RUN;
	}
	/* As init we also inherit the processes that it leaves behind. */
	do
		ended = wait(&status);
	while (ended != child && (ended >= 0 || errno == EINTR));
	return WIFEXITED(status) ? WEXITSTATUS(status) : STATUS_SIGNAL + WTERMSIG(status);
}

/* All of a line of the console, which is not shown; NULL: there was none. The caller's to free. */
static char *read_line(void)
{
	char *line = NULL;
	size_t room = 0, size = 0;
	char byte;

	while (read(STDIN_FILENO, &byte, 1) == 1 && byte != '\n') {
		if (size + 1 >= room) {
			char *more =
				size < COMMAND_MAX ? realloc(line, room = room * 2 + 256) : NULL;

			if (!more)
				break;
			line = more;
		}
		line[size++] = byte;
	}
	if (line)
		line[size] = '\0';
	return line;
}

static void take_words(struct word_list *command, const json_t *words)
{
	json_t *word;
	size_t i;

	json_array_foreach (words, i, word)
		if (json_is_string(word))
			word_list_add(command, json_string_value(word), json_string_length(word));
}

/* What the innermost level waits for: its command as a line of JSON. What follows is for that. */
static void wait_command(unsigned int level, int port, struct word_list *command)
{
	struct termios before, silent;
	const bool has_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
	char *line;
	json_t *words;

	silent = before;
	silent.c_lflag &= ~(ECHO | ICANON);
	if (has_terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &silent);
	nest_report(port, json_pack("{siss}", "level", level, "is", "ready"));
	line = read_line();
	words = line ? json_loads(line, 0, NULL) : NULL;
	take_words(command, words);
	json_decref(words);
	free(line);
	if (has_terminal)
		tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* The root that the nest has: the innermost lives in it, the others hand it down. */
static int take_root(const struct nest *nest, unsigned int level)
{
	if (!nest->root)
		return 0;
	return level == nest->depth ? root_enter(NEST_OWN) : root_mount();
}

static void report_command(unsigned int level, int port, int status)
{
	nest_report(port, json_pack("{sisssi}", "level", level, "is", "command", "status", status));
}

static void live(struct nest *nest, unsigned int level, int port)
{
	struct word_list *command = &nest->levels[level - 1].command;

	report_up(level, port);
	if (take_root(nest, level) < 0) {
		report_command(level, port, STATUS_NOT_RUN);
		return;
	}
	/* What it cannot have is said; a command may do without. */
	nest_net_prepare(nest, level);
	if (nest->waits && level == nest->depth)
		wait_command(level, port, command);
	if (command->count > 0)
		report_command(level, port, run_command(command));
	if (level < nest->depth && nest_take_devices(nest, level) == 0)
		nest_level_run(nest, level + 1, port);
}

bool nest_init_wanted(void)
{
	return access(NEST_PLAN, F_OK) == 0;
}

void nest_init(void)
{
	struct nest nest;
	unsigned int level;
	char subject[32];
	int port;

	init_mount();
	port = port_open();
	if (port < 0)
		log_error("there is no port " VIRTIO_REPORT_NAME " to report by");
	else if (nest_unpack(&nest, &level) == 0) {
		snprintf(subject, sizeof(subject), "level %u", level);
		log_set_subject(subject);
		live(&nest, level, port);
	}
	init_end();
}
