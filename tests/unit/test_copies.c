// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies of a guest, with processes that do what a guest might. What starts any runs in a process
 * of its own, for a watcher changes what belongs to the process.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "copies/copies.h"
#include "unit.h"

/* When a test that hangs is over. */
#define SECONDS_MAX 120

static char line[512];
static char *argv[32];
static struct copies copies;

static int complete(struct config *copy, const struct snapshot *snapshot)
{
	return 0;
}

static enum status never(const struct config *copy)
{
	return STATUS_HOST;
}

static void prepare(const char *text, enum status (*live)(const struct config *config))
{
	static char **first;
	struct options_words words;
	struct config config;
	int argc = 0;

	snprintf(line, sizeof(line), "restore %s", text);
	for (char *word = strtok(line, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	free(first);
	first = copies_words(argc, argv, 1);
	assert_int_equal(config_parse_restore(&config, argc, first, &words), 0);
	copies = (struct copies){
		.argc = argc,
		.argv = argv,
		.count = config.copies,
		.path = "/somewhere/wren.snap",
		.complete = complete,
		.live = live,
	};
}

/* Words. */

static void braces_are_the_number_of_a_copy(void **state)
{
	char *words[] = { "restore", "--disk=a{}.{}.img,ro", "{", "{}", "}{", "" };
	char **of = copies_words(6, words, 207);

	assert_string_equal(of[0], "restore");
	assert_string_equal(of[1], "--disk=a207.207.img,ro");
	assert_string_equal(of[2], "{");
	assert_string_equal(of[3], "207");
	assert_string_equal(of[4], "}{");
	assert_string_equal(of[5], "");
	assert_null(of[6]);
	free(of);
}

/* What only one can have. */

static void what_copies_cannot_share_is_said_before_any_starts(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "--count 2 --disk x.img", "--disk x.img: copies cannot write to the same one" },
		{ "--count 2 -d y.img,ro -d x.img,direct", "--disk x.img: copies cannot write" },
		{ "--count 3 --stats s.json", "--stats s.json: copies cannot have the same one" },
		{ "--count 2 --control /run/c", "--control /run/c: copies cannot" },
		{ "--count 2 --pidfile p", "--pidfile p: copies cannot" },
		{ "--count 2 --flash f", "--flash f: copies cannot" },
		{ "--count 2 --report r", "--report r: copies cannot" },
		{ "--count 2 --gdb tcp:1234", "--gdb tcp:1234: copies cannot" },
		{ "--count 2 -n mode=tap,tapif=tap0", "--network tapif=...: copies cannot" },
		{ "--count 2 -n mode=tap,fd=5", "--network fd=...: copies cannot" },
		{ "--count 2 -n mode=user,guest_mac=02:00:00:00:00:01",
		  "--network guest_mac=...: copies cannot" },
		{ "--count 2 -n mode=user,forward=tcp:{}000:80,forward=tcp:80:80",
		  "--network forward=...: copies cannot" },
		/* Only the tenth has no such address. */
		{ "--count 10 -n mode=user,guest_mac=02:00:00:00:00:0{}",
		  "guest_mac=02:00:00:00:00:010" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		prepare(cases[i].text, never);
		assert_int_equal(copies_run(&copies), STATUS_USAGE);
		assert_said(cases[i].message);
	}
}

/* Processes. */

/* What came of a process, as a shell tells it. */
static int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static char shown[1 << 20];

/* Of a pipe, to its end, or until it has that text. */
static void read_until(int fd, const char *text)
{
	size_t used = strlen(shown);
	ssize_t got = 1;

	while (got > 0 && !(text && strstr(shown, text))) {
		got = read(fd, shown + used, sizeof(shown) - 1 - used);
		used += got > 0 ? got : 0;
		shown[used] = '\0';
	}
}

static rlim_t limit; /* of descriptors; 0: as it is */

/* copies_run() in a process whose standard output is *fd. */
static pid_t start(const char *text, enum status (*live)(const struct config *config), int *fd)
{
	int ends[2];
	pid_t pid;

	prepare(text, live);
	shown[0] = '\0';
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		alarm(SECONDS_MAX);
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		if (limit > 0)
			setrlimit(RLIMIT_NOFILE, &(struct rlimit){ limit, limit });
		_exit(copies_run(&copies));
	}
	close(ends[1]);
	*fd = ends[0];
	return pid;
}

static int watched(const char *text, enum status (*live)(const struct config *config))
{
	int fd;
	const pid_t pid = start(text, live, &fd);

	read_until(fd, NULL);
	close(fd);
	return status_of(pid);
}

static enum status say(const struct config *copy)
{
	char bytes[64];

	alarm(SECONDS_MAX);
	assert_int_equal(read(STDIN_FILENO, bytes, 1), 0);
	snprintf(bytes, sizeof(bytes), "I am %s\nand no line", copy->name);
	assert_int_equal(write(STDOUT_FILENO, bytes, strlen(bytes)), strlen(bytes));
	return STATUS_OK;
}

static void lines_have_the_name_in_front(void **state)
{
	assert_int_equal(watched("--count 3 --name robin", say), STATUS_OK);
	assert_non_null(strstr(shown, "robin-1: I am robin-1\n"));
	assert_non_null(strstr(shown, "robin-2: I am robin-2\n"));
	assert_non_null(strstr(shown, "robin-3: I am robin-3\n"));
	assert_non_null(strstr(shown, "robin-3: and no line\n"));
	assert_null(strstr(shown, "robin-4"));
}

static void names_come_from_the_file_or_a_pattern(void **state)
{
	assert_int_equal(watched("--count 1", say), STATUS_OK);
	assert_string_equal(shown, "wren-1: I am wren-1\nwren-1: and no line\n");
	assert_int_equal(watched("--count 2 --name {}th", say), STATUS_OK);
	assert_non_null(strstr(shown, "2th: I am 2th\n"));
}

/* Far more than there is room for anywhere, of lines that are too long, too. */
static enum status say_much(const struct config *copy)
{
	static char bytes[100000];

	alarm(SECONDS_MAX);
	memset(bytes, '\n', sizeof(bytes) / 2);
	memset(bytes + sizeof(bytes) / 2, 'x', sizeof(bytes) / 2);
	for (size_t at = 0; at < sizeof(bytes);) {
		const ssize_t done = write(STDOUT_FILENO, bytes + at, sizeof(bytes) - at);

		assert_true(done > 0);
		at += done;
	}
	return STATUS_OK;
}

static void nothing_is_lost_on_a_slow_reader(void **state)
{
	size_t lines = 0, letters = 0;
	int fd;
	const pid_t pid = start("--count 2 --name a", say_much, &fd);

	usleep(300000);
	read_until(fd, NULL);
	close(fd);
	assert_int_equal(status_of(pid), STATUS_OK);
	for (const char *at = shown; *at; at++) {
		lines += *at == '\n';
		letters += *at == 'x';
	}
	assert_int_equal(letters, 100000);
	assert_in_range(lines, 2 * (50000 + 50000 / 1024), 2 * (50000 + 50000 / 1024 + 1));
}

/* Wherever descriptors run out, all come to an end, and it is said. */
static void descriptors_may_run_out(void **state)
{
	unsigned int failures = 0;

	for (limit = 4; limit < 40; limit++) {
		const int status = watched("--count 3 --name a", say);

		assert_true(status == STATUS_OK || status == STATUS_HOST);
		assert_true((status == STATUS_OK) == (said()[0] == '\0'));
		failures += status != STATUS_OK;
	}
	limit = 0;
	assert_in_range(failures, 8, 30);
}

static enum status second_fails(const struct config *copy)
{
	return strcmp(copy->name, "a-2") == 0 ? STATUS_HOST : say(copy);
}

static void one_that_fails_is_named_and_others_go_on(void **state)
{
	assert_int_equal(watched("--count 3 --name a", second_fails), STATUS_HOST);
	assert_said("a-2: the copy has ended with status 3");
	assert_non_null(strstr(shown, "a-1: I am a-1\n"));
	assert_non_null(strstr(shown, "a-3: I am a-3\n"));
}

static enum status second_crashes(const struct config *copy)
{
	if (strcmp(copy->name, "a-2") == 0)
		raise(SIGKILL);
	return say(copy);
}

static void one_that_is_killed_is_named(void **state)
{
	assert_int_equal(watched("--count 2 --name a", second_crashes), 128 + SIGKILL);
	assert_said("a-2: the copy was ended by signal 9");
}

static enum status for_ever(const struct config *copy)
{
	alarm(SECONDS_MAX);
	assert_int_equal(write(STDOUT_FILENO, "up\n", 3), 3);
	while (pause() < 0)
		;
	return STATUS_OK;
}

/* The pipe ends when the last one has gone that could write to it. */
static void signals_end_all(void **state)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGKILL };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		int fd;
		const pid_t pid = start("--count 2 --name a", for_ever, &fd);

		read_until(fd, "a-1: up\n");
		read_until(fd, "a-2: up\n");
		kill(pid, signals[i]);
		read_until(fd, NULL);
		close(fd);
		assert_int_equal(status_of(pid), 128 + signals[i]);
	}
	assert_silent();
}

static enum status until_told(const struct config *copy)
{
	sigset_t set;
	int number;

	alarm(SECONDS_MAX);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	assert_int_equal(write(STDOUT_FILENO, "up\n", 3), 3);
	assert_int_equal(sigwait(&set, &number), 0);
	return STATUS_OK;
}

static void wishes_for_statistics_are_passed_on(void **state)
{
	int fd;
	const pid_t pid = start("--count 2 --name a", until_told, &fd);

	read_until(fd, "a-1: up\n");
	read_until(fd, "a-2: up\n");
	kill(pid, SIGUSR1);
	read_until(fd, NULL);
	close(fd);
	assert_int_equal(status_of(pid), STATUS_OK);
}

static enum status will_not_end(const struct config *copy)
{
	signal(SIGTERM, SIG_IGN);
	return for_ever(copy);
}

static void those_that_do_not_end_are_killed(void **state)
{
	int fd;
	const pid_t pid = start("--count 2 --name a", will_not_end, &fd);

	read_until(fd, "a-1: up\n");
	read_until(fd, "a-2: up\n");
	kill(pid, SIGTERM);
	read_until(fd, NULL);
	close(fd);
	assert_int_equal(status_of(pid), 128 + SIGTERM);
}

/* Nobody reads, and a signal ends it nevertheless. */
static void a_reader_that_is_stuck_keeps_nobody(void **state)
{
	int fd;
	const pid_t pid = start("--count 2 --name a", say_much, &fd);

	usleep(300000);
	kill(pid, SIGTERM);
	assert_int_equal(status_of(pid), 128 + SIGTERM);
	close(fd);
}

/* Whose output nobody can get has no reason to go on. */
static void a_reader_that_is_gone_ends_all(void **state)
{
	int fd;
	const pid_t pid = start("--count 2 --name a", say_much, &fd);

	close(fd);
	assert_int_equal(status_of(pid), STATUS_HOST);
	assert_said("standard output: Broken pipe");
}

static int begin(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	return catch_begin(state);
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, catch_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(braces_are_the_number_of_a_copy),
		test(what_copies_cannot_share_is_said_before_any_starts),
		test(lines_have_the_name_in_front),
		test(names_come_from_the_file_or_a_pattern),
		test(nothing_is_lost_on_a_slow_reader),
		test(descriptors_may_run_out),
		test(one_that_fails_is_named_and_others_go_on),
		test(one_that_is_killed_is_named),
		test(signals_end_all),
		test(wishes_for_statistics_are_passed_on),
		test(those_that_do_not_end_are_killed),
		test(a_reader_that_is_stuck_keeps_nobody),
		test(a_reader_that_is_gone_ends_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
