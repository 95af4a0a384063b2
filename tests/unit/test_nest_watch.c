// SPDX-License-Identifier: GPL-2.0-only
/*
 * The watcher of a nest, with processes in place of level 1 that do what a nest might. Each test
 * runs in a process of its own, for the watcher changes what belongs to the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "nest/nest_watch.h"
#include "unit.h"
#include "vmm/nest/nest_level.h"

#define BEGUN	"{\"level\":1,\"is\":\"begun\"}\n"
#define UP	"{\"level\":1,\"is\":\"up\",\"linux\":\"7\",\"cpus\":1,\"memory\":9}\n"
#define ENDED	"{\"level\":1,\"is\":\"ended\",\"by\":\"shutdown\",\"status\":0}\n"
#define CRASHED "{\"level\":1,\"is\":\"ended\",\"by\":\"crashed\",\"status\":1}\n"

/* When a test that hangs is over. */
#define SECONDS_MAX 300

static struct nest nest;

/* What level 1 does, in its process. Returns the exit status. */
static int (*level)(int report_fd);
/* What processes tell each other. */
struct shared {
	volatile pid_t child;
	volatile int left; /* children of a watcher that is done */
};

static struct shared *shared;

/* In place of vmm/nest/nest_level.c. */
int nest_level_run(const struct nest *plan, unsigned int number, int report_fd)
{
	assert_ptr_equal(plan, &nest);
	assert_int_equal(number, 1);
	shared->child = getpid();
	_exit(level(report_fd));
}

static void report(int fd, const char *lines)
{
	assert_int_equal(write(fd, lines, strlen(lines)), strlen(lines));
}

static int for_ever(void)
{
	while (pause() < 0)
		;
	return 0;
}

static int begin(void **state)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	nest_create(&nest);
	if (shared == MAP_FAILED || nest_add_level(&nest) < 0)
		return -1;
	return catch_begin(state);
}

static int finish(void **state)
{
	nest_destroy(&nest);
	munmap(shared, sizeof(*shared));
	return catch_end(state);
}

static void watch(int (*act)(int report_fd))
{
	int status;

	level = act;
	alarm(SECONDS_MAX);
	status = nest_watch(&nest, NULL);
	shared->left = waitpid(-1, NULL, WNOHANG) == 0;
	_exit(status);
}

/* What came of a process, as a shell tells it. */
static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int watched(int (*act)(int report_fd))
{
	const pid_t pid = fork();

	if (pid == 0)
		watch(act);
	return status_of(pid);
}

/* What is believed. */

static int good(int report_fd)
{
	report(report_fd, BEGUN UP ENDED);
	return 0;
}

static void good_nest(void **state)
{
	assert_int_equal(watched(good), 0);
	assert_false(shared->left);
}

static int end_that_is_none(int report_fd)
{
	report(report_fd, BEGUN UP ENDED);
	return for_ever();
}

/* The time of level 1 is over when it has ended, and not when it is said to have. */
static void end_that_is_reported_stops_no_clock(void **state)
{
	assert_int_equal(0, nest_set(&nest, 1, "time-limit", "1"));
	assert_int_equal(watched(end_that_is_none), 1);
	assert_non_null(strstr(said(), "within 1 seconds"));
}

static int silence(int report_fd)
{
	return for_ever();
}

static void beginning_that_is_not_reported_stops_none(void **state)
{
	assert_int_equal(0, nest_set(&nest, 1, "time-limit", "1"));
	assert_int_equal(watched(silence), 1);
}

static int crash_that_is_denied(int report_fd)
{
	report(report_fd, BEGUN UP ENDED CRASHED);
	return 1;
}

static void crash_is_not_talked_away(void **state)
{
	assert_int_equal(watched(crash_that_is_denied), 1);
	assert_non_null(strstr(said(), "level 1 was run by a process that ended with status 1"));
}

static int refusal(int report_fd)
{
	report(report_fd, BEGUN UP ENDED);
	return 3;
}

static void refusal_of_the_host_is_passed_on(void **state)
{
	assert_int_equal(watched(refusal), 3);
}

static int killed(int report_fd)
{
	report(report_fd, BEGUN UP ENDED);
	kill(getpid(), SIGKILL);
	return 0;
}

static void process_that_is_killed_is_no_good_end(void **state)
{
	assert_int_equal(watched(killed), 1);
	assert_non_null(strstr(said(), "ended with status 137"));
}

/* What we were started with. */

static void ignored_children_have_a_status(void **state)
{
	signal(SIGCHLD, SIG_IGN);
	for (unsigned int i = 0; i < 2; i++) {
		const pid_t pid = fork();

		if (pid == 0)
			watch(i == 0 ? good : refusal);
		signal(SIGCHLD, SIG_DFL);
		assert_int_equal(status_of(pid), i == 0 ? 0 : 3);
		signal(SIGCHLD, SIG_IGN);
	}
	signal(SIGCHLD, SIG_DFL);
}

/* With room for ever more descriptors, until they are enough. Whatever fails ends the nest. */
static void nothing_is_left_when_a_step_fails(void **state)
{
	const int next = dup(STDIN_FILENO);
	unsigned int failed = 0;

	close(next);
	assert_int_equal(0, nest_set(&nest, 1, "time-limit", "1"));
	for (unsigned int more = 0; more < 20; more++) {
		const struct rlimit limit = { next + more, next + more };
		const pid_t pid = fork();
		int status;

		if (pid == 0) {
			/* What whoever runs us has left open counts as well. */
			close_range(next, ~0U, 0);
			setrlimit(RLIMIT_NOFILE, &limit);
			watch(silence);
		}
		status = status_of(pid);
		if (status == 1)
			break;
		assert_int_equal(status, 3);
		assert_false(shared->left);
		assert_null(strstr(said(), ": Success"));
		failed++;
	}
	/* Two of the pipe, one of which epoll gets, the verdict, signals, timer, process, stops. */
	assert_int_equal(failed, 7);
}

static void wait_until(bool (*so)(int fd), int fd, bool is)
{
	for (unsigned int i = 0; i < SECONDS_MAX * 100 && so(fd) != is; i++)
		usleep(10000);
	assert_int_equal(so(fd), is);
}

/* Standard error. */

static int talk_for_ever(int report_fd)
{
	report(report_fd, BEGUN UP "nonsense\n");
	return for_ever();
}

static bool child_is_gone(int fd)
{
	return shared->child && kill(shared->child, 0) < 0 && errno == ESRCH;
}

/* A pipe that takes no more. */
static void fill(int fd)
{
	static const char bytes[4096];

	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	fcntl(fd, F_SETFL, 0);
}

/* All that comes, without the zeroes that a pipe was filled with. */
static void read_all(int fd, char *text, size_t size)
{
	size_t used = 0;
	char byte;

	while (read(fd, &byte, 1) == 1)
		if (byte && used + 1 < size)
			text[used++] = byte;
	text[used] = '\0';
}

/* The time is over and the nest is ended while nobody reads; who reads at last gets all. */
static void messages_keep_nobody(void **state)
{
	static char text[65536];
	int ends[2];
	pid_t pid;

	assert_int_equal(0, nest_set(&nest, 1, "time-limit", "1"));
	assert_int_equal(pipe(ends), 0);
	fill(ends[1]);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		watch(talk_for_ever);
	}
	close(ends[1]);
	wait_until(child_is_gone, -1, true);
	read_all(ends[0], text, sizeof(text));
	close(ends[0]);
	assert_int_equal(status_of(pid), 1);
	assert_non_null(strstr(text, "level 1: up after "));
	assert_non_null(strstr(text, "a report of the nest makes no sense"));
	assert_non_null(strstr(text, "level 1 was not done within 1 seconds"));
}

/* The terminal. */

/* Whether whoever watches us looks after SIGTSTP by now. */
static bool watcher_is_ready(int report_fd)
{
	char path[64], line[256];
	unsigned long long blocked = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", getppid());
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "SigBlk: %llx", &blocked);
	if (file)
		fclose(file);
	return blocked >> (SIGTSTP - 1) & 1;
}

static int raw_for_ever(int report_fd)
{
	struct termios raw;

	wait_until(watcher_is_ready, report_fd, true);
	tcgetattr(STDIN_FILENO, &raw);
	raw.c_lflag &= ~(ICANON | ECHO | ISIG);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	return for_ever();
}

static int raw_and_killed(int report_fd)
{
	struct termios raw;

	tcgetattr(STDIN_FILENO, &raw);
	raw.c_lflag &= ~(ICANON | ECHO | ISIG);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	kill(getpid(), SIGKILL);
	return 0;
}

static int deaf(int report_fd)
{
	signal(SIGTERM, SIG_IGN);
	return raw_for_ever(report_fd);
}

static bool is_raw(int fd)
{
	struct termios now;

	assert_int_equal(tcgetattr(fd, &now), 0);
	return !(now.c_lflag & ICANON);
}

/* Runs the watcher in the foreground of a terminal of its own, without a shell. */
static pid_t start_at_terminal(int (*act)(int report_fd), int *terminal)
{
	const int messages = dup(STDERR_FILENO);
	const pid_t pid = forkpty(terminal, NULL, NULL, NULL);

	assert_true(pid >= 0);
	if (pid == 0) {
		dup2(messages, STDERR_FILENO);
		watch(act);
	}
	close(messages);
	return pid;
}

static void terminal_is_put_back_for_who_was_killed(void **state)
{
	int terminal;
	const pid_t pid = start_at_terminal(raw_and_killed, &terminal);

	assert_int_equal(status_of(pid), 1);
	assert_false(is_raw(terminal));
	close(terminal);
}

static void terminal_is_put_back_for_who_had_to_be_killed(void **state)
{
	int terminal;
	const pid_t pid = start_at_terminal(deaf, &terminal);

	wait_until(is_raw, terminal, true);
	kill(pid, SIGTERM);
	assert_int_equal(status_of(pid), 128 + SIGTERM);
	assert_false(is_raw(terminal));
	close(terminal);
}

/* Job control, with this process as the shell. */

static char state_of(pid_t pid)
{
	char path[64], text[512] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	assert_non_null(file);
	assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
	fclose(file);
	return strrchr(text, ')')[2];
}

static bool child_is_stopped(int terminal)
{
	return state_of(shared->child) == 'T';
}

/* The watcher in a process group of its own in the foreground; its parent is the shell. */
static void shell(void)
{
	const pid_t shell = getpid();
	pid_t pid;
	int status;

	signal(SIGTTOU, SIG_IGN);
	pid = fork();
	setpgid(pid, pid);
	tcsetpgrp(STDIN_FILENO, pid ? pid : getpid());
	if (pid == 0) {
		setpgid(0, 0);
		signal(SIGTTOU, SIG_DFL);
		watch(raw_for_ever);
	}
	wait_until(is_raw, STDIN_FILENO, true);

	/* It alone is told; both stop, and the terminal is as it was. */
	kill(pid, SIGTSTP);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	wait_until(child_is_stopped, 0, true);
	assert_false(is_raw(STDIN_FILENO));

	/* In the background they leave the terminal alone. */
	tcsetpgrp(STDIN_FILENO, shell);
	kill(pid, SIGCONT);
	wait_until(child_is_stopped, 0, false);
	assert_false(is_raw(STDIN_FILENO));

	tcsetpgrp(STDIN_FILENO, pid);
	kill(pid, SIGCONT);
	wait_until(is_raw, STDIN_FILENO, true);
	kill(pid, SIGTERM);
	assert_int_equal(status_of(pid), 128 + SIGTERM);
	assert_false(is_raw(STDIN_FILENO));
}

static void both_stop_and_go_on_together(void **state)
{
	int terminal;
	const int messages = dup(STDERR_FILENO);
	const pid_t pid = forkpty(&terminal, NULL, NULL, NULL);

	if (pid == 0) {
		dup2(messages, STDERR_FILENO);
		alarm(SECONDS_MAX);
		shell();
		_exit(0);
	}
	close(messages);
	assert_int_equal(status_of(pid), 0);
	close(terminal);
}

/* Without a shell nobody would have them go on. */
static void nothing_stops_without_a_shell(void **state)
{
	int terminal;
	const pid_t pid = start_at_terminal(raw_for_ever, &terminal);

	wait_until(is_raw, terminal, true);
	kill(pid, SIGTSTP);
	usleep(100000);
	kill(pid, SIGTERM);
	assert_int_equal(status_of(pid), 128 + SIGTERM);
	assert_false(is_raw(terminal));
	close(terminal);
}

#define on_nest(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_nest(good_nest),
		on_nest(end_that_is_reported_stops_no_clock),
		on_nest(beginning_that_is_not_reported_stops_none),
		on_nest(crash_is_not_talked_away),
		on_nest(refusal_of_the_host_is_passed_on),
		on_nest(process_that_is_killed_is_no_good_end),
		on_nest(ignored_children_have_a_status),
		on_nest(nothing_is_left_when_a_step_fails),
		on_nest(messages_keep_nobody),
		on_nest(terminal_is_put_back_for_who_was_killed),
		on_nest(terminal_is_put_back_for_who_had_to_be_killed),
		on_nest(both_stop_and_go_on_together),
		on_nest(nothing_stops_without_a_shell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
