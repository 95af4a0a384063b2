// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A child is made as by vfork(2): fork(2) would copy the page tables of guest
 * RAM, and have all of it written to anew, page by page, as long as the copy lives. So between the
 * two calls the child runs in our memory, on a stack of its own, while this thread waits, and makes
 * system calls only. What a porter starts becomes nidus's child like any other (CLONE_PARENT).
 *
 * Its end is that of a pidfd, so that neither SIGCHLD is needed nor another process can be meant.
 * It leads a process group, whose other members are killed as long as the leader, although dead,
 * keeps the group's number from being given to others.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children/child.h"
#include "host/clock.h"
#include "host/limits.h"
#include "host/worker.h"
#include "util.h"

#define DEFAULT_PATH  "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ARGUMENTS_MAX 64
#define TERM_MS	      2000 /* that a child has to end when it is asked to */
#define KILL_MS	      2000 /* the same when it is killed, which takes longer where a disk hangs */
#define NS_PER_MS     UINT64_C(1000000)
#define FIRST_GIVEN   3 /* descriptor */
#define STACK_SIZE    KIB(16) /* of a child until it is another program */

#ifndef PIDFD_SIGNAL_PROCESS_GROUP
#define PIDFD_SIGNAL_PROCESS_GROUP (1 << 2) /* Linux 6.9 */
#endif

/* What it says. */

static bool is_noise(const struct child *child, const char *line)
{
	for (const char *const *noise = child->noise; noise && *noise; noise++)
		if (strncmp(line, *noise, strlen(*noise)) == 0)
			return true;
	return *line == '\0';
}

static void end_line(struct child *child)
{
	child->line[child->used] = '\0';
	if (!is_noise(child, child->line))
		log_guest(&child->said, "%s: %s", child->name, child->line);
	child->used = 0;
	child->cut = false;
}

/* A byte of a line: what could control a terminal does not get there. */
static void add_byte(struct child *child, char byte)
{
	if (byte == '\n') {
		end_line(child);
	} else if (child->used < CHILD_LINE_MAX) {
		child->line[child->used++] = byte == '\t'		 ? ' '
					     : byte >= ' ' && byte < 127 ? byte
									 : '?';
	} else if (!child->cut) {
		child->cut = true;
		memset(child->line + CHILD_LINE_MAX - 3, '.', 3);
	}
}

static void keep(struct child *child, const char *bytes, size_t count)
{
	const size_t room = child->kept_size - 1 - child->kept_used;

	if (count > room)
		count = room;
	memcpy(child->kept + child->kept_used, bytes, count);
	child->kept_used += count;
	child->kept[child->kept_used] = '\0';
}

/* Reads what there is, a piece of it. False: there is none for now, or never again. */
static bool read_output(struct child *child)
{
	char bytes[1024];
	const ssize_t got = read(child->output.fd, bytes, sizeof(bytes));

	if (got == 0 && child->loop)
		event_remove(child->loop, &child->output); /* or it would be ready for ever */
	if (got <= 0)
		return false;
	if (child->kept)
		keep(child, bytes, got);
	else
		for (ssize_t i = 0; i < got; i++)
			add_byte(child, bytes[i]);
	return true;
}

static void output_ready(struct event_source *source, uint32_t events)
{
	(void)events;
	read_output(container_of(source, struct child, output));
}

/* All that its pipe holds, which somebody whom it has handed on may be filling still. */
static void read_rest(struct child *child)
{
	for (unsigned int pieces = 0; pieces < 64 && read_output(child); pieces++)
		;
	if (child->used > 0)
		end_line(child);
}

/* Finding it. */

static bool is_program(const char *path)
{
	return access(path, X_OK) == 0;
}

bool child_find(const char *program, char *path, size_t size)
{
	const char *from = getenv("PATH");

	if (strchr(program, '/'))
		return snprintf(path, size, "%s", program) < (int)size && is_program(path);
	if (!from)
		from = DEFAULT_PATH;
	while (*from) {
		const int length = strcspn(from, ":");

		if (length > 0 &&
		    snprintf(path, size, "%.*s/%s", length, from, program) < (int)size &&
		    is_program(path))
			return true;
		from += length + (from[length] == ':');
	}
	return false;
}

bool child_is_installed(const char *program)
{
	char path[PATH_MAX];

	return child_find(program, path, sizeof(path));
}

static int complain_missing(const char *name, const struct child_command *command)
{
	if (command->package)
		log_error("%s: there is no %s here; Debian's package %s has it", name,
			  command->program, command->package);
	else
		log_error("%s: there is no %s here", name, command->program);
	return -ENOENT;
}

/* Starting it. */

struct launch {
	const char *path;
	const char *arguments[ARGUMENTS_MAX + 2];
	const struct child_command *command;
	int null, output; /* standard input; standard output and error */
	pid_t parent; /* whose child it is to be */
	int error; /* set by the child, in our memory */
};

/* The descriptors get their numbers, and all others are closed. False, and errno. */
static bool give_descriptors(const struct launch *launch)
{
	const struct child_command *command = launch->command;
	const int beyond = FIRST_GIVEN + command->descriptor_count;
	const int output = fcntl(launch->output, F_DUPFD_CLOEXEC, beyond);
	int given[CHILD_DESCRIPTORS_MAX];
	bool done = output >= 0;

	/* Out of the way first: one's number may be what another is to get. */
	for (unsigned int i = 0; i < command->descriptor_count; i++) {
		given[i] = fcntl(command->descriptors[i], F_DUPFD_CLOEXEC, beyond);
		done = done && given[i] >= 0;
	}
	done = done && dup2(launch->null, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
	       dup2(output, STDERR_FILENO) >= 0;
	for (unsigned int i = 0; i < command->descriptor_count && done; i++)
		done = dup2(given[i], FIRST_GIVEN + i) >= 0;
	/* Before Linux 5.9 there is no such call, and those that we were started with stay open. */
	syscall(SYS_close_range, beyond, ~0U, 0);
	return done;
}

static void reset_signals(void)
{
	sigset_t none;

	/* What we ignore it would ignore as well. */
	for (int number = 1; number <= SIGRTMAX; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The child, until it is another program. */
static int become(void *opaque)
{
	struct launch *launch = opaque;

	setpgid(0, 0);
	limits_restore();
	worker_slice(0);
	/* Should we be gone already, there is nobody to be killed by. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == launch->parent &&
	    give_descriptors(launch)) {
		reset_signals();
		execve(launch->path, (char **)launch->arguments, environ);
	}
	launch->error = errno;
	syscall(SYS_exit_group, 127);
	return 0;
}

/* Returns its number, or -errno. No signal's handler of ours runs in the child. */
static pid_t launch_child(struct launch *launch, bool for_parent)
{
	const int flags = CLONE_VM | CLONE_VFORK | SIGCHLD | (for_parent ? CLONE_PARENT : 0);
	_Alignas(16) char stack[STACK_SIZE];
	sigset_t all, before;
	pid_t pid;
	int err;

	/* With SIGCHLD ignored, as our parent may have left it, there would be no status. */
	signal(SIGCHLD, SIG_DFL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	launch->parent = for_parent ? getppid() : getpid();
	pid = clone(become, stack + sizeof(stack), flags, launch);
	err = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return -err;
	if (launch->error == 0)
		return pid;
	if (!for_parent)
		waitpid(pid, NULL, 0);
	return -launch->error;
}

static int launch_prepare(struct launch *launch, const struct child_command *command,
			  const char *path)
{
	unsigned int count = 0;

	*launch = (struct launch){ .path = path, .command = command };
	launch->arguments[count++] = command->program;
	for (const char *const *next = command->arguments; *next; next++) {
		if (count > ARGUMENTS_MAX)
			return -E2BIG;
		launch->arguments[count++] = *next;
	}
	launch->arguments[count] = NULL;
	return 0;
}

/* Takes over ends, the pipe of its output. */
static int launch_with(struct child *child, struct launch *launch, const int *ends)
{
	pid_t pid;
	int err;

	launch->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	launch->output = ends[1];
	pid = launch->null < 0 ? -errno : launch_child(launch, child->for_parent);
	if (launch->null >= 0)
		close(launch->null);
	close(ends[1]);
	if (pid > 0) {
		child->pid = pid;
		child->output.fd = ends[0];
		child->end.fd = pidfd_open(pid, 0);
		if (child->end.fd >= 0)
			return 0;
	}
	err = pid > 0 ? -errno : pid;
	if (pid > 0) {
		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	child->pid = 0;
	close(ends[0]);
	return err;
}

int child_start(struct child *child, const struct child_command *command)
{
	struct launch launch;
	char path[PATH_MAX];
	int ends[2], err;

	child->output.ready = output_ready;
	child->used = child->kept_used = 0;
	child->cut = false;
	if (!child_find(command->program, path, sizeof(path)))
		return complain_missing(child->name, command);
	err = launch_prepare(&launch, command, path);
	if (err == 0 && pipe2(ends, O_CLOEXEC) < 0)
		err = -errno;
	if (err == 0) {
		fcntl(ends[0], F_SETFL, O_NONBLOCK);
		err = launch_with(child, &launch, ends);
	}
	if (err < 0)
		log_error("%s: %s: %s", child->name, path, log_reason(-err));
	return err;
}

void child_adopt(struct child *child, const struct porter_reply *reply)
{
	child->output.ready = output_ready;
	child->used = child->kept_used = 0;
	child->cut = false;
	child->pid = reply->value;
	child->end.fd = reply->fds[PORTER_CHILD_END];
	child->output.fd = reply->fds[PORTER_CHILD_OUTPUT];
}

void child_hand_over(struct child *child, int fd, struct porter_reply *reply)
{
	reply->value = child->pid;
	reply->fds[PORTER_CHILD_END] = child->end.fd;
	reply->fds[PORTER_CHILD_OUTPUT] = child->output.fd;
	reply->fds[PORTER_CHILD_SOCKET] = fd;
	reply->fd_count = PORTER_CHILD_FDS;
}

/* Its end. */

/*
 * By its descriptor, which means nobody else: who is confined may signal no process by its number.
 * #syscalls loop served: pidfd_send_signal
 */
static void signal_child(const struct child *child, int signal)
{
	syscall(SYS_pidfd_send_signal, child->end.fd, signal, NULL, 0);
}

static void kill_group(const struct child *child)
{
	if (syscall(SYS_pidfd_send_signal, child->end.fd, SIGKILL, NULL,
		    PIDFD_SIGNAL_PROCESS_GROUP) < 0 &&
	    errno == EINVAL)
		kill(-child->pid, SIGKILL);
}

/* It is dead, and goes. Returns its status. */
/* #syscalls loop served: wait4 close read */
static int reap(struct child *child)
{
	int status = 0;

	/* Not before: a group's number is its own as long as one of its processes is there. */
	kill_group(child);
	waitpid(child->pid, &status, 0);
	read_rest(child);
	child_unwatch(child);
	close(child->end.fd);
	close(child->output.fd);
	child->pid = 0;
	return status;
}

static void end_ready(struct event_source *source, uint32_t events)
{
	struct child *child = container_of(source, struct child, end);
	const int status = reap(child);

	(void)events;
	if (child->ended)
		child->ended(child, status);
}

int child_watch(struct child *child, struct event_loop *loop)
{
	int err;

	child->end.ready = end_ready;
	err = event_add(loop, &child->output, EPOLLIN);
	if (err == 0) {
		err = event_add(loop, &child->end, EPOLLIN);
		if (err < 0)
			event_remove(loop, &child->output);
	}
	if (err < 0)
		log_error("%s: %s", child->name, log_reason(-err));
	else
		child->loop = loop;
	return err;
}

void child_unwatch(struct child *child)
{
	if (!child->loop)
		return;
	event_remove(child->loop, &child->output);
	event_remove(child->loop, &child->end);
	child->loop = NULL;
}

/* Whether it is dead, after no more than so much time; it is not reaped. */
static bool is_dead(struct child *child, unsigned int milliseconds)
{
	const uint64_t begin = clock_ns(), whole = milliseconds * NS_PER_MS;
	struct pollfd ready[] = { { child->end.fd, POLLIN, 0 }, { child->output.fd, POLLIN, 0 } };
	uint64_t passed = 0;

	do {
		const uint64_t left =
			whole > passed ? (whole - passed + NS_PER_MS - 1) / NS_PER_MS : 0;

		if (poll(ready, ARRAY_SIZE(ready), left) > 0) {
			if (ready[0].revents)
				return true;
			if (ready[1].revents && !read_output(child))
				ready[1].fd = -1;
		}
		passed = clock_ns() - begin;
	} while (passed < whole);
	return false;
}

bool child_wait(struct child *child, unsigned int milliseconds, int *status)
{
	if (!is_dead(child, milliseconds))
		return false;
	*status = reap(child);
	return true;
}

void child_end(struct child *child, bool patience)
{
	if (child->pid == 0)
		return;
	child_unwatch(child);
	if (patience) {
		signal_child(child, SIGTERM);
		/* For who has been stopped. */
		signal_child(child, SIGCONT);
	}
	if (!patience || !is_dead(child, TERM_MS)) {
		kill_group(child);
		if (!is_dead(child, KILL_MS)) {
			log_warning("%s: process %d does not end", child->name, child->pid);
			close(child->end.fd);
			close(child->output.fd);
			child->pid = 0;
			return;
		}
	}
	reap(child);
}

int child_run(const char *name, const struct child_command *command, unsigned int seconds,
	      char *output, size_t size, int *status)
{
	struct child child = { .name = name, .kept = output, .kept_size = size };
	int err = child_start(&child, command);

	if (output)
		*output = '\0';
	if (err < 0)
		return err;
	if (child_wait(&child, seconds * 1000, status))
		return 0;
	child_end(&child, false);
	log_error("%s: has not ended in %u seconds", name, seconds);
	return -ETIMEDOUT;
}

const char *child_how(int status, char *text)
{
	if (WIFSIGNALED(status))
		snprintf(text, CHILD_HOW, "was ended by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(text, CHILD_HOW, "has ended with status %d", WEXITSTATUS(status));
	return text;
}
