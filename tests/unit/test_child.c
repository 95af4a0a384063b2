// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children/child.h"
#include "host/limits.h"
#include "unit.h"
#include "util.h"

#define LONG 60000 /* ms; a machine under load takes its time */

static struct event_loop loop;
static struct child child;
static unsigned int ends;
static int end_status;

static void ended(struct child *which, int status)
{
	assert_ptr_equal(which, &child);
	ends++;
	end_status = status;
}

static int begin(void **state)
{
	ends = 0;
	child = (struct child){ .name = "helper", .ended = ended };
	if (event_loop_create(&loop) < 0)
		return -1;
	return catch_begin(state);
}

static int end(void **state)
{
	event_loop_destroy(&loop);
	return catch_end(state);
}

/* A shell that does as text says, with these descriptors. */
static void start_with(const char *text, const int *descriptors, unsigned int count)
{
	const char *const arguments[] = { "-c", text, NULL };
	const struct child_command command = {
		.program = "sh",
		.arguments = arguments,
		.descriptors = descriptors,
		.descriptor_count = count,
	};

	assert_int_equal(child_start(&child, &command), 0);
	assert_true(child.pid > 0);
}

static void start(const char *text)
{
	start_with(text, NULL, 0);
}

/* To its end. */
static int wait_for(void)
{
	int status = -1;

	assert_true(child_wait(&child, LONG, &status));
	assert_int_equal(child.pid, 0);
	return status;
}

/* Until so many ends have been told. */
static void turn_until(unsigned int count)
{
	while (ends < count)
		assert_true(event_loop_turn(&loop, true) >= 0);
}

/* Of its group no process is there, apart from those whose end only has to be taken note of. */
static void assert_gone(pid_t pid)
{
	while (waitpid(-pid, NULL, 0) > 0)
		;
	assert_int_equal(kill(-pid, 0), -1);
	assert_int_equal(errno, ESRCH);
}

static unsigned int open_descriptors(void)
{
	DIR *fds = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (readdir(fds))
		count++;
	closedir(fds);
	return count;
}

static void its_lines_are_told_with_its_name(void **state)
{
	start("echo one; echo two >&2; printf three");
	assert_int_equal(wait_for(), 0);
	assert_string_equal(said(), "nidus: warning: helper: one\nnidus: warning: helper: two\n"
				    "nidus: warning: helper: three\n");
}

static void what_it_says_cannot_harm_a_terminal(void **state)
{
	start("printf 'a\\033[2Jb\\233c\\177\\td\\r\\n'");
	wait_for();
	assert_said("helper: a?[2Jb?c? d?\n");
}

static void a_long_line_is_cut(void **state)
{
	char expected[CHILD_LINE_MAX + 64] = "helper: ";

	start("head -c 100000 /dev/zero | tr '\\0' x; echo; echo next");
	wait_for();
	memset(expected + 8, 'x', CHILD_LINE_MAX - 3);
	strcpy(expected + 8 + CHILD_LINE_MAX - 3, "...\nnidus: warning: helper: next\n");
	assert_non_null(strstr(said(), expected));
}

static void a_chatterer_is_not_listened_to(void **state)
{
	const char *text, *line;
	unsigned int lines = 0;

	start("i=0; while [ $i -lt 5000 ]; do i=$((i + 1)); echo line $i; done");
	wait_for();
	text = said();
	for (line = text; (line = strchr(line, '\n')); line++)
		lines++;
	assert_int_equal(lines, LOG_LIMIT);
	assert_non_null(strstr(text, "line 8 (said no more)"));
	/* Not if it is started again either. */
	start("echo again");
	wait_for();
	assert_silent();
}

static void noise_is_not_told(void **state)
{
	static const char *const noise[] = { "Failed to hum", "Trifle", NULL };

	child.noise = noise;
	start("echo Failed to hum 12 bars; echo; echo Trifle; echo Failed to sing");
	wait_for();
	assert_said("helper: Failed to sing");
}

static void it_gets_its_descriptors_and_no_others(void **state)
{
	const int leak = open("/dev/null", O_RDONLY); /* without O_CLOEXEC, as of our parent's */
	int one[2], two[2], given[2];

	assert_int_equal(pipe(one), 0);
	assert_int_equal(pipe(two), 0);
	/* Numbers that are in each other's way. */
	given[0] = fcntl(one[1], F_DUPFD, 4);
	given[1] = dup2(two[1], 3) == 3 ? 3 : -1;
	start_with("printf a >&3; printf b >&4; ls /proc/self/fd | tr '\\n' ' '; cat", given, 2);
	assert_int_equal(wait_for(), 0);
	/* ls has one for the directory, and standard input has nothing to read. */
	assert_string_equal(said(), "nidus: warning: helper: 0 1 2 3 4 5 \n");
	(void)leak;
}

static void it_is_not_as_nidus_has_made_itself(void **state)
{
	struct rlimit before;
	sigset_t blocked;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 100, before.rlim_max }), 0);
	limits_raise();
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&blocked);
	pthread_sigmask(SIG_SETMASK, &blocked, NULL);
	/* Signals 32 and 33 are the C library's own, which posix_spawn(3) leaves ignored. */
	start("ulimit -n; while read -r name value; do case $name in SigBlk: | SigIgn:)"
	      "	echo $name $((0x$value & ~0x180000000)) ;; esac; done </proc/self/status;"
	      "read -r pid name state parent group rest </proc/$$/stat; echo $((group - $$))");
	wait_for();
	sigemptyset(&blocked);
	pthread_sigmask(SIG_SETMASK, &blocked, NULL);
	signal(SIGPIPE, SIG_DFL);
	setrlimit(RLIMIT_NOFILE, &before);
	assert_string_equal(said(), "nidus: warning: helper: 100\n"
				    "nidus: warning: helper: SigBlk: 0\n"
				    "nidus: warning: helper: SigIgn: 0\n"
				    "nidus: warning: helper: 0\n");
}

static void a_program_that_is_not_there(void **state)
{
	static const char *const none[] = { NULL };
	struct child_command command = { .program = "no-such-program", .arguments = none };
	const unsigned int before = open_descriptors();

	assert_int_equal(child_start(&child, &command), -ENOENT);
	assert_said("helper: there is no no-such-program here");
	command.package = "such";
	assert_int_equal(child_start(&child, &command), -ENOENT);
	assert_said("Debian's package such has it");
	command.program = "/dev/null";
	assert_int_equal(child_start(&child, &command), -ENOENT);
	assert_said("there is no /dev/null here");
	assert_int_equal(child.pid, 0);
	child_end(&child, true); /* of none there is nothing to end */
	assert_int_equal(open_descriptors(), before);
}

/* A file that may be executed and cannot be. */
static void a_program_that_does_not_start(void **state)
{
	static const char *const none[] = { NULL };
	char path[128];
	const struct child_command command = { .program = path, .arguments = none };
	int fd;

	snprintf(path, sizeof(path), "%s/broken", scratch_begin());
	fd = open(path, O_WRONLY | O_CREAT, 0700);
	assert_int_equal(write(fd, "\177ELF", 4), 4);
	close(fd);
	assert_int_equal(child_start(&child, &command), -ENOEXEC);
	assert_said("broken: Exec format error");
	assert_int_equal(child.pid, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	scratch_end();
}

static void it_is_looked_for_in_path(void **state)
{
	static const char *const none[] = { NULL };
	const struct child_command command = { .program = "helper-of-ours", .arguments = none };
	char *const before = strdup(getenv("PATH")), path[128], name[128];
	FILE *file;

	snprintf(path, sizeof(path), "/no/such/directory::%s", scratch_begin());
	snprintf(name, sizeof(name), "%s/helper-of-ours", strrchr(path, ':') + 1);
	file = fopen(name, "we");
	fprintf(file, "#!/bin/sh\necho it is $0\n");
	fclose(file);
	chmod(name, 0700);
	setenv("PATH", path, 1);
	assert_int_equal(child_start(&child, &command), 0);
	wait_for();
	assert_said("helper-of-ours");
	unsetenv("PATH");
	assert_int_equal(child_start(&child, &command), -ENOENT);
	assert_said("there is no helper-of-ours here");
	setenv("PATH", before, 1);
	free(before);
	scratch_end();
}

static void its_end_is_told_once(void **state)
{
	const unsigned int before = open_descriptors();
	char how[CHILD_HOW];

	start("echo last words; exit 3");
	assert_int_equal(child_watch(&child, &loop), 0);
	turn_until(1);
	assert_said("helper: last words");
	assert_int_equal(WEXITSTATUS(end_status), 3);
	assert_string_equal(child_how(end_status, how), "has ended with status 3");
	assert_int_equal(child.pid, 0);
	assert_int_equal(event_loop_turn(&loop, false), 0);
	start("kill -KILL $$");
	assert_int_equal(child_watch(&child, &loop), 0);
	turn_until(2);
	assert_string_equal(child_how(end_status, how), "was ended by signal 9 (Killed)");
	assert_int_equal(open_descriptors(), before);
}

static void what_comes_while_nobody_watches_is_told_later(void **state)
{
	struct pollfd over;

	start("echo meanwhile");
	over = (struct pollfd){ child.end.fd, POLLIN, 0 };
	assert_int_equal(poll(&over, 1, LONG), 1);
	assert_silent();
	assert_int_equal(child_watch(&child, &loop), 0);
	child_unwatch(&child);
	assert_int_equal(event_loop_turn(&loop, false), 0);
	assert_int_equal(child_watch(&child, &loop), 0);
	turn_until(1);
	assert_said("helper: meanwhile");
}

/* Nothing is asked for ever by a child that has closed its output. */
static void it_may_close_its_output(void **state)
{
	start("exec >&- 2>&-; exec sleep 1000");
	assert_int_equal(child_watch(&child, &loop), 0);
	while (child.output.fd >= 0 && event_loop_turn(&loop, true) == 0)
		;
	assert_int_equal(event_loop_turn(&loop, false), 0);
	child_end(&child, true);
	assert_int_equal(ends, 0);
	assert_silent();
}

static void it_ends_when_it_is_asked_to(void **state)
{
	const unsigned int before = open_descriptors();
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	start_with("trap 'echo farewell; exit 0' TERM; echo >&3; while :; do sleep 0.01; done",
		   &ready[1], 1);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	pid = child.pid;
	assert_int_equal(child_watch(&child, &loop), 0);
	child_end(&child, true);
	assert_said("helper: farewell");
	assert_int_equal(ends, 0);
	assert_gone(pid);
	close(ready[0]);
	close(ready[1]);
	assert_int_equal(open_descriptors(), before);
}

/* One that does not listen, has been stopped, or has processes of its own, is ended as well. */
static void nothing_is_left(void **state)
{
	static const char *const stubborn[] = {
		"trap '' TERM; echo >&3; while :; do sleep 0.01; done",
		"sleep 1000 & sleep 1000 & echo >&3; wait",
		"echo >&3; kill -STOP $$; sleep 1000",
	};
	int ready[2];
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	for (size_t i = 0; i < 2 * ARRAY_SIZE(stubborn); i++) {
		pid_t pid;

		start_with(stubborn[i / 2], &ready[1], 1);
		assert_int_equal(read(ready[0], &byte, 1), 1);
		pid = child.pid;
		child_end(&child, i % 2);
		assert_gone(pid);
	}
	assert_silent();
	close(ready[0]);
	close(ready[1]);
}

/* Its leader's end is not survived by the rest of a group. */
static void what_it_leaves_behind_is_ended(void **state)
{
	pid_t pid;

	start("sleep 1000 & exit 0");
	pid = child.pid;
	assert_int_equal(wait_for(), 0);
	assert_gone(pid);
}

static void it_dies_with_nidus(void **state)
{
	int ends_of_pipe[2];
	pid_t pid, nidus;

	assert_int_equal(pipe2(ends_of_pipe, O_CLOEXEC), 0);
	nidus = fork();
	if (nidus == 0) {
		start("exec sleep 1000");
		if (write(ends_of_pipe[1], &child.pid, sizeof(child.pid)) > 0)
			raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(read(ends_of_pipe[0], &pid, sizeof(pid)), sizeof(pid));
	assert_int_equal(waitpid(nidus, NULL, 0), nidus);
	assert_int_equal(waitpid(pid, &end_status, 0), pid);
	assert_true(WIFSIGNALED(end_status));
	close(ends_of_pipe[0]);
	close(ends_of_pipe[1]);
}

static int run(const char *text, unsigned int seconds, char *output, size_t size, int *status)
{
	const char *const arguments[] = { "-c", text, NULL };
	const struct child_command command = { .program = "sh", .arguments = arguments };

	return child_run("script", &command, seconds, output, size, status);
}

static void a_program_is_run_to_its_end(void **state)
{
	char output[8] = "before";
	int status = 0;

	signal(SIGCHLD, SIG_IGN); /* as our parent may have it */
	assert_int_equal(run("echo text; exit 7", 60, NULL, 0, &status), 0);
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_said("script: text");
	assert_int_equal(run("echo much more than fits >&2", 60, output, sizeof(output), &status),
			 0);
	assert_string_equal(output, "much mo");
	assert_int_equal(run("true", 60, output, sizeof(output), &status), 0);
	assert_string_equal(output, "");
	assert_silent();
}

static void one_that_does_not_end_is_killed(void **state)
{
	int status;

	assert_int_equal(run("sleep 1000 & wait", 0, NULL, 0, &status), -ETIMEDOUT);
	assert_said("script: has not ended in 0 seconds");
	/* What it has started is ours now, and ended as well. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	assert_int_equal(errno, ECHILD);
}

#define child_test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		child_test(its_lines_are_told_with_its_name),
		child_test(what_it_says_cannot_harm_a_terminal),
		child_test(a_long_line_is_cut),
		child_test(a_chatterer_is_not_listened_to),
		child_test(noise_is_not_told),
		child_test(it_gets_its_descriptors_and_no_others),
		child_test(it_is_not_as_nidus_has_made_itself),
		child_test(a_program_that_is_not_there),
		child_test(a_program_that_does_not_start),
		child_test(it_is_looked_for_in_path),
		child_test(its_end_is_told_once),
		child_test(what_comes_while_nobody_watches_is_told_later),
		child_test(it_may_close_its_output),
		child_test(it_ends_when_it_is_asked_to),
		child_test(nothing_is_left),
		child_test(what_it_leaves_behind_is_ended),
		child_test(it_dies_with_nidus),
		child_test(a_program_is_run_to_its_end),
		child_test(one_that_does_not_end_is_killed),
	};

	/* What children leave behind becomes ours, to see how it ends. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
