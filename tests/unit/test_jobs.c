// SPDX-License-Identifier: GPL-2.0-only
/*
 * A console on a real terminal, as a job of a shell: what becomes of the terminal when the job is
 * stopped, continued, moved to the background and back, and when it dies.
 *
 *	the test -- master of a pty        looks at its settings, and types
 *	  shell  -- leader of its session  does what the test commands, a letter each
 *	    job  -- a process group        terminal, signals, event loop; what it reads comes back
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/terminal.h"
#include "host/crash.h"
#include "host/signals.h"
#include "host/worker.h"
#include "unit.h"
#include "util.h"

/* Far more than anything here takes, for a machine that has other things to do. */
#define LIMIT_SECONDS 120

/* These signals are to be nidus's, and its threads are to have no stack for them but its own. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:handle_abort=0:"
	       "use_sigaltstack=0";
}

/* How a job is started. LEADER: it is the shell itself. STRANGER: its terminal is another user's.
 */
enum { FOREGROUND = 1, LEADER = 2, STRANGER = 4 };

#define SOMEBODY 65534

static int master, commands, echoed;
static pid_t shell, job;
static int ignored; /* a signal that the job ignores from the start */
static struct termios cooked;

/* In the job. */

static struct terminal terminal;
static int echo_fd;

/* Deeper than any stack. */
static int overflow(volatile char *above)
{
	volatile char frame[4096];

	frame[0] = *above;
	return frame[0] == 'x' ? 0 : overflow(frame) + frame[0];
}

static void overflow_notified(struct event_notifier *notifier)
{
	char first = 0;

	overflow(&first);
}

static void overflow_in_worker(void)
{
	static struct worker worker;
	static struct event_notifier notifier;

	if (worker_create(&worker) < 0 ||
	    event_notifier_create(&notifier, &worker.loop, overflow_notified) < 0 ||
	    worker_start(&worker, "overflow") < 0)
		_exit(98);
	event_notify(&notifier);
	pause();
}

/* Keys of a test that are no input: they have the job crash. */
static void job_crash(uint8_t key)
{
	if (key == 'O')
		overflow_notified(NULL);
	if (key == 'W')
		overflow_in_worker();
}

static void job_input(void *device)
{
	uint8_t bytes[256];
	size_t got;

	while ((got = terminal.console.read(&terminal.console, bytes, sizeof(bytes))) > 0) {
		job_crash(bytes[0]);
		if (write(echo_fd, bytes, got) < 0)
			_exit(99);
	}
}

static void job_told(void *opaque, int signal)
{
	if (signal == SIGTSTP)
		terminal_suspend(&terminal);
	else if (signal == SIGCONT)
		terminal_resume(&terminal);
}

static void job_run(void)
{
	static struct event_loop loop;
	static struct verdict verdict;
	static struct signals signals;

	if (event_loop_create(&loop) < 0 || verdict_create(&verdict, &loop) < 0 ||
	    signals_create(&signals, &loop, &verdict, job_told, NULL) < 0 ||
	    terminal_create(&terminal, &loop, &verdict) < 0)
		_exit(97);
	terminal.console.input = job_input;
	/* Neither may wait; a terminal has no other way for that. */
	if (terminal.input_stream.kind != STREAM_OWN || terminal.output_stream.kind != STREAM_OWN)
		_exit(93);
	if (write(echo_fd, "!", 1) != 1)
		_exit(96);
	while (verdict_outcome(&verdict) == OUTCOME_RUNNING)
		event_loop_turn(&loop, true);
	terminal_destroy(&terminal);
	signals_destroy(&signals);
	_exit(verdict_outcome(&verdict) == OUTCOME_QUIT ? 0 : 128 + verdict.signal);
}

/* The shell. */

static void say(int fd, int value)
{
	if (write(fd, &value, sizeof(value)) != sizeof(value))
		_exit(95);
}

static int command_of_shell(char command)
{
	int status = 0;

	switch (command) {
	case 'f': /* foreground */
		return tcsetpgrp(STDIN_FILENO, job);
	case 't': /* takes the terminal back */
		return tcsetpgrp(STDIN_FILENO, getpgrp());
	case 'c': /* its settings, too */
		return tcsetattr(STDIN_FILENO, TCSANOW, &cooked);
	case 'w': /* waits for the job to end or to stop */
		waitpid(job, &status, WUNTRACED);
		return status;
	}
	return -1;
}

static void shell_run(int how, int fd)
{
	char command;

	/* cmocka has handlers of its own. */
	for (int i = 1; i <= SIGRTMAX; i++)
		signal(i, SIG_DFL);
	signal(SIGTTOU, SIG_IGN);
	if (ignored)
		signal(ignored, SIG_IGN);
	job = how & LEADER ? getpid() : fork();
	if (job == 0 || how & LEADER) {
		setpgid(0, 0);
		if (how & FOREGROUND)
			tcsetpgrp(STDIN_FILENO, getpgrp());
		signal(SIGTTOU, SIG_DFL);
		if (how & STRANGER && (fchmod(STDIN_FILENO, 0600) < 0 || setuid(SOMEBODY) < 0))
			_exit(94);
		if (how & LEADER)
			say(fd, getpid());
		job_run();
	}
	/* The test is to notice when the job is gone. */
	close(echo_fd);
	setpgid(job, job);
	if (how & FOREGROUND)
		tcsetpgrp(STDIN_FILENO, job);
	say(fd, job);
	while (read(fd, &command, 1) == 1)
		say(fd, command_of_shell(command));
	_exit(0);
}

/* The test. */

static int answer(void)
{
	int value;

	assert_int_equal(read(commands, &value, sizeof(value)), sizeof(value));
	return value;
}

static int tell_shell(char command)
{
	assert_int_equal(write(commands, &command, 1), 1);
	return answer();
}

static void expect_input(const char *text)
{
	for (; *text; text++) {
		char found = 0;

		assert_int_equal(read(echoed, &found, 1), 1);
		assert_int_equal(found, *text);
	}
}

static void type(const char *text)
{
	assert_int_equal(write(master, text, strlen(text)), strlen(text));
}

static void start(int how)
{
	int pair[2], echo[2];

	alarm(LIMIT_SECONDS);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pipe(echo), 0);
	shell = forkpty(&master, NULL, NULL, NULL);
	assert_true(shell >= 0);
	if (shell == 0) {
		alarm(0);
		close(pair[0]);
		echo_fd = echo[1];
		tcgetattr(STDIN_FILENO, &cooked);
		shell_run(how, pair[1]);
	}
	close(pair[1]);
	close(echo[1]);
	commands = pair[0];
	echoed = echo[0];
	job = answer();
	expect_input("!");
}

static int finish(void **state)
{
	if (job > 0)
		kill(job, SIGKILL);
	kill(shell, SIGKILL);
	waitpid(shell, NULL, 0);
	close(master);
	close(commands);
	close(echoed);
	ignored = 0;
	alarm(0);
	return 0;
}

static bool is_raw(void)
{
	struct termios now;

	/* Those of the other side: a master has none of its own. */
	assert_int_equal(tcgetattr(master, &now), 0);
	return !(now.c_lflag & (ICANON | ECHO | ISIG));
}

/* A condition that comes about, sooner or later. */
static void until_raw(void)
{
	while (!is_raw())
		usleep(10000);
}

static void until_cooked(void)
{
	while (is_raw())
		usleep(10000);
}

static void assert_runs(void)
{
	type("r");
	expect_input("r");
}

static void assert_ends_by_escape_key(void)
{
	int status;

	type("\001x");
	status = tell_shell('w');
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_false(is_raw());
	job = 0;
}

static void in_the_foreground_it_is_raw(void **state)
{
	start(FOREGROUND);
	assert_true(is_raw());
	type("abc");
	expect_input("abc");
	assert_ends_by_escape_key();
}

/* As after su(1). */
static void terminal_of_another_user(void **state)
{
	if (getuid() != 0) {
		start(FOREGROUND);
		skip();
	}
	start(FOREGROUND | STRANGER);
	assert_true(is_raw());
	assert_runs();
	assert_ends_by_escape_key();
}

static void assert_stops(int signal)
{
	int status;

	kill(job, signal);
	status = tell_shell('w');
	assert_true(WIFSTOPPED(status));
	tell_shell('t');
}

static void sigtstp_gives_the_terminal_back(void **state)
{
	start(FOREGROUND);
	for (unsigned int i = 0; i < 3; i++) {
		assert_stops(SIGTSTP);
		assert_false(is_raw());
		tell_shell('f');
		kill(job, SIGCONT);
		until_raw();
		type("abc");
		expect_input("abc");
	}
	assert_ends_by_escape_key();
}

static void after_sigstop_it_is_raw_again(void **state)
{
	start(FOREGROUND);
	assert_stops(SIGSTOP);
	/* As bash does, and not every shell. */
	tell_shell('c');
	assert_false(is_raw());
	tell_shell('f');
	kill(job, SIGCONT);
	until_raw();
	type("abc");
	expect_input("abc");
	assert_ends_by_escape_key();
}

/* Then raw is what it finds, but not what is to be put back. */
static void sigstop_that_leaves_it_raw(void **state)
{
	start(FOREGROUND);
	assert_stops(SIGSTOP);
	assert_true(is_raw());
	tell_shell('f');
	kill(job, SIGCONT);
	assert_runs();
	assert_ends_by_escape_key();
}

static void started_in_the_background(void **state)
{
	start(0);
	assert_false(is_raw());
	/* Neither stopped nor reading what is typed for others. */
	type("for the shell\n");
	usleep(300000);
	assert_int_equal(poll(&(struct pollfd){ .fd = echoed, .events = POLLIN }, 1, 0), 0);
	assert_false(is_raw());
	tcflush(master, TCOFLUSH);
	/* Not every shell sends SIGCONT to what runs. */
	tell_shell('f');
	until_raw();
	tcflush(master, TCOFLUSH);
	type("abc");
	for (char found = 0; found != 'c';)
		assert_int_equal(read(echoed, &found, 1), 1);
	assert_ends_by_escape_key();
}

static void continued_in_the_background(void **state)
{
	start(FOREGROUND);
	for (unsigned int i = 0; i < 2; i++) {
		assert_stops(i == 0 ? SIGTSTP : SIGSTOP);
		tell_shell('c');
		kill(job, SIGCONT);
		usleep(300000);
		assert_false(is_raw());
		tell_shell('f');
		until_raw();
		type("abc");
		expect_input("abc");
	}
	/* From there it ends without touching what is another's. */
	assert_stops(SIGTSTP);
	kill(job, SIGCONT);
	kill(job, SIGTERM);
	assert_int_equal(WEXITSTATUS(tell_shell('w')), 128 + SIGTERM);
	assert_false(is_raw());
	job = 0;
}

static void nobody_would_continue_it(void **state)
{
	start(FOREGROUND | LEADER);
	kill(job, SIGTSTP);
	assert_runs();
	until_raw();
	job = 0;
}

static void what_is_ignored_stays_ignored(void **state)
{
	static const int signals[] = {
		SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGUSR2, SIGALRM
	};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		ignored = signals[i];
		start(FOREGROUND);
		kill(job, signals[i]);
		assert_runs();
		assert_true(is_raw());
		assert_ends_by_escape_key();
		finish(NULL);
	}
	start(FOREGROUND);
}

static void assert_killed(int signal)
{
	const int status = tell_shell('w');

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), signal);
	until_cooked();
	job = 0;
}

static void every_fatal_signal_puts_it_back(void **state)
{
	static const int signals[] = {
		SIGSEGV, SIGBUS,  SIGILL,  SIGFPE,    SIGABRT, SIGTRAP, SIGSYS,	   SIGXCPU,
		SIGUSR2, SIGALRM, SIGPROF, SIGVTALRM, SIGIO,   SIGPWR,	SIGSTKFLT,
	};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
		start(FOREGROUND);
		kill(job, signals[i]);
		assert_killed(signals[i]);
		finish(NULL);
	}
	for (int signal = SIGRTMIN; signal <= SIGRTMAX; signal += 5) {
		start(FOREGROUND);
		kill(job, signal);
		assert_killed(signal);
		finish(NULL);
	}
	start(FOREGROUND);
}

static void stack_overflow_puts_it_back(void **state)
{
	start(FOREGROUND);
	type("O");
	assert_killed(SIGSEGV);
	finish(NULL);
	start(FOREGROUND);
	type("W");
	assert_killed(SIGSEGV);
}

#define on_terminal(test) cmocka_unit_test_teardown(test, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_terminal(in_the_foreground_it_is_raw),
		on_terminal(terminal_of_another_user),
		on_terminal(sigtstp_gives_the_terminal_back),
		on_terminal(after_sigstop_it_is_raw_again),
		on_terminal(sigstop_that_leaves_it_raw),
		on_terminal(started_in_the_background),
		on_terminal(continued_in_the_background),
		on_terminal(nobody_would_continue_it),
		on_terminal(what_is_ignored_stays_ignored),
		on_terminal(every_fatal_signal_puts_it_back),
		on_terminal(stack_overflow_puts_it_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
