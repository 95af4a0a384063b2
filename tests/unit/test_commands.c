// SPDX-License-Identifier: GPL-2.0-only
/*
 * The subcommands from their command line to what they start, which is made up here, and to their
 * exit status: what is wrong gives one line and 2, before anything starts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "commands/command.h"
#include "control/control_client.h"
#include "control/control_socket.h"
#include "control/peek.h"
#include "debugger/debugger.h"
#include "machine/session.h"
#include "monitor/monitor.h"
#include "nest/nest_watch.h"
#include "unit.h"
#include "util.h"

static char kernel[160], directory[128];

/* What is started, in place of vmm/machine/session.c, vmm/monitor/monitor.c, vmm/nest/nest_watch.c,
 * vmm/control/peek.c, control_socket.c and control_client.c there. */
static unsigned int started;
static int comes_to; /* what the start, or the run, returns */
static void (*looks_at)(const void *what); /* a struct config or a struct nest */
static char json[64]; /* where the report is to go, "": nowhere */

enum status session_create(struct session *session, const struct config *config)
{
	started++;
	session->config = config;
	if (looks_at)
		looks_at(config);
	return comes_to == STATUS_HOST ? STATUS_HOST : STATUS_OK;
}

/* Nobody asks for one. */
int debugger_create(struct debugger **created, struct session *session)
{
	fail();
	return -EINVAL;
}

void debugger_destroy(struct debugger *debugger, unsigned int status)
{
	fail();
}

enum status session_run(struct session *session)
{
	assert_int_not_equal(comes_to, STATUS_HOST);
	return comes_to;
}

void session_destroy(struct session *session)
{
	assert_int_not_equal(comes_to, STATUS_HOST);
}

enum status monitor_create(struct monitor *monitor, struct session *session,
			   struct debugger **debugger)
{
	return STATUS_OK;
}

void monitor_destroy(struct monitor *monitor)
{
}

int nest_watch(const struct nest *nest, const char *json_path)
{
	started++;
	snprintf(json, sizeof(json), "%s", json_path ? json_path : "");
	if (looks_at)
		looks_at(nest);
	return comes_to;
}

int nest_watch_save(struct nest *nest, const char *path)
{
	started++;
	if (looks_at)
		looks_at(nest);
	return comes_to;
}

/* Guests: robin and wren, and dead, whose nidus was killed; mute does not answer. */

static char asked[64]; /* the last of them, what it was asked, and with what */

int control_socket_connect(const char *who, bool quiet)
{
	const bool lives = strcmp(who, "robin") == 0 || strcmp(who, "wren") == 0 ||
			   strcmp(who, "mute") == 0 || strchr(who, '/');

	if (lives)
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	if (!quiet)
		log_error("%s: no guest that runs has that name", who);
	return -ENOENT;
}

static const char *guests = "dead robin wren";

int control_socket_names(struct word_list *names)
{
	char words[64], *left = words;

	*names = (struct word_list){ 0 };
	snprintf(words, sizeof(words), "%s", guests);
	for (char *word = strsep(&left, " "); word; word = strsep(&left, " "))
		word_list_add(names, word, strlen(word));
	return 0;
}

int control_client_open(struct control_peer *peer, const char *who, bool quiet)
{
	*peer = (struct control_peer){ .who = who, .quiet = quiet };
	peer->fd = control_socket_connect(who, quiet);
	return peer->fd < 0 ? peer->fd : 0;
}

void control_client_close(struct control_peer *peer)
{
	close(peer->fd);
}

json_t *control_client_ask(struct control_peer *peer, const char *request, json_t *arguments,
			   int milliseconds)
{
	char *text = arguments ? json_dumps(arguments, JSON_COMPACT) : strdup("");

	assert_true(milliseconds > 0);
	snprintf(asked, sizeof(asked), "%s %s %s", peer->who, request, text);
	free(text);
	json_decref(arguments);
	if (strcmp(peer->who, "mute") == 0) {
		if (!peer->quiet)
			log_error("mute: does not answer");
		return NULL;
	}
	if (strcmp(request, "debug") == 0)
		return json_pack("{s[{siss}]}", "vcpus", "index", 0, "power", "off");
	if (strcmp(request, "balloon") == 0)
		return json_pack("{sbsIsIsIsI}", "driver", strcmp(peer->who, "wren") == 0,
				 "target_bytes", (json_int_t)MIB(9), "given_bytes",
				 (json_int_t)MIB(8), "inflated_bytes", (json_int_t)MIB(7),
				 "reported_bytes", (json_int_t)GIB(6));
	if (strcmp(request, "status") == 0)
		return json_pack("{sisssI}", "pid", 1234, "state", "running", "mem_bytes",
				 (json_int_t)MIB(64));
	return json_pack("{sbsi}", "changed", strcmp(peer->who, "wren") == 0, "resets", 0);
}

int control_client_relay(struct control_peer *peer, int in, int out)
{
	assert_int_equal(in, STDIN_FILENO);
	assert_int_equal(out, STDOUT_FILENO);
	printf("relayed\n");
	return 0;
}

static unsigned int waits;

int control_client_wait(struct control_peer *peer, int milliseconds)
{
	/* Of top, which looks again and again. */
	return waits++ < 3 && !strstr(asked, "stop") ? -ETIMEDOUT : 0;
}

int control_client_pid(const struct control_peer *peer)
{
	return getpid();
}

pid_t peek_find(const char *who)
{
	if (strcmp(who, "nobody") != 0)
		return 1;
	log_error("nobody: no guest has that name");
	return -ESRCH;
}

int peek_take(struct peek *peek, pid_t pid)
{
	started++;
	*peek = (struct peek){ .count = 0 };
	return 0;
}

void peek_drop(struct peek *peek)
{
}

static int begin(void **state)
{
	int fd;

	snprintf(directory, sizeof(directory), "%s", scratch_begin());
	snprintf(kernel, sizeof(kernel), "%s/kernel", directory);
	fd = open(kernel, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (write(fd, "flat", 4) != 4)
		return -1;
	close(fd);
	started = 0;
	comes_to = STATUS_OK;
	looks_at = NULL;
	return catch_begin(state);
}

static int finish(void **state)
{
	scratch_end();
	return catch_end(state);
}

/* What went to standard output. */
static char *shown;

/* Words between blanks; KERNEL and DIRECTORY are the above. */
static int run_as(enum config_flavour flavour, const char *line)
{
	FILE *const real = stdout;
	char words[512], *argv[65];
	const struct command *command;
	size_t size;
	int argc = 0, status;

	snprintf(words, sizeof(words), "%s", line);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
		argv[argc++] = strcmp(word, "KERNEL") == 0	? kernel
			       : strcmp(word, "DIRECTORY") == 0 ? directory
								: word;
	argv[argc] = NULL;
	command = commands_find(argv[0]);
	assert_non_null(command);
	free(shown);
	shown = NULL;
	stdout = open_memstream(&shown, &size);
	status = command->run(flavour, argc, argv);
	fclose(stdout);
	stdout = real;
	return status;
}

static int run(const char *line)
{
	return run_as(CONFIG_NIDUS, line);
}

/* All of them. */

static void names_are_found(void **state)
{
	for (unsigned int i = 0; i < COMMANDS_COUNT; i++)
		assert_ptr_equal(commands_find(commands[i]->options->command), commands[i]);
	assert_null(commands_find("walk"));
	assert_null(commands_find(""));
	assert_null(commands_find("runs"));
}

static void bad_options_are_refused_by_all(void **state)
{
	for (unsigned int i = 0; i < COMMANDS_COUNT; i++) {
		const char *name = commands[i]->options->command;
		char line[64], message[64];

		snprintf(line, sizeof(line), "%s --none-such", name);
		snprintf(message, sizeof(message), "--none-such: not an option of %s", name);
		assert_int_equal(run(line), STATUS_USAGE);
		assert_said(message);
		assert_string_equal(shown, "");
	}
	assert_int_equal(started, 0);
}

static void help_is_the_same_from_both_sides(void **state)
{
	for (unsigned int i = 0; i < COMMANDS_COUNT; i++) {
		const char *name = commands[i]->options->command;
		char line[64], begin[64], *first;

		snprintf(line, sizeof(line), "%s -h", name);
		assert_int_equal(run(line), STATUS_OK);
		first = strdup(shown);
		snprintf(line, sizeof(line), "help %s", name);
		assert_int_equal(run(line), STATUS_OK);
		assert_string_equal(shown, first);
		snprintf(begin, sizeof(begin), "nidus %s", name);
		assert_int_equal(strncmp(shown, begin, strlen(begin)), 0);
		free(first);
	}
	assert_int_equal(started, 0);
	assert_silent();
}

/* run */

static void run_is_refused(void **state)
{
	static const struct {
		const char *line, *message;
	} cases[] = {
		{ "run", "no kernel" },
		{ "run --mem 1Q KERNEL", "--mem 1Q" },
		{ "run KERNEL more", "more: run takes options" },
		{ "run KERNEL --cpus", "--cpus: needs an argument" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(run(cases[i].line), STATUS_USAGE);
		assert_said(cases[i].message);
	}
	assert_int_equal(started, 0);
}

static void look_at_config(const void *what)
{
	const struct config *config = what;

	assert_string_equal(config->kernel, kernel);
	assert_int_equal(config->mem_size, MIB(320));
	assert_false(config->reboot);
}

static void run_passes_on_what_became_of_it(void **state)
{
	static const int statuses[] = { STATUS_OK, STATUS_CRASHED, STATUS_HOST,
					STATUS_SIGNAL + 15 };

	looks_at = look_at_config;
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		comes_to = statuses[i];
		assert_int_equal(run_as(CONFIG_LKVM, "run -c 2 KERNEL --loglevel warning"),
				 statuses[i]);
	}
	assert_int_equal(started, ARRAY_SIZE(statuses));
	assert_silent();
}

/* nest */

static void nest_is_refused(void **state)
{
	static const struct {
		const char *line, *message;
	} cases[] = {
		{ "nest", "no nest: give a nest file, or --kernel FILE --depth N" },
		{ "nest -k KERNEL", "no nest" },
		{ "nest -k KERNEL --depth 0", "--depth 0: must be a number from 1 to 8" },
		{ "nest -k KERNEL --depth 9", "--depth 9: must be a number from 1 to 8" },
		{ "nest --depth 2", "level 2: no kernel" },
		{ "nest -k KERNEL --depth 2 --mem 1Q", "--mem 1Q" },
		{ "nest -k KERNEL --depth 2 --cpus 0", "level 2: --cpus 0" },
		{ "nest -k KERNEL --depth 2 --time-limit 0", "time-limit 0" },
		{ "nest -k KERNEL --depth 2 --file DIRECTORY", "is not a regular file" },
		{ "nest -k KERNEL --depth 2 --file /none/such", "/none/such: No such file" },
		{ "nest -k KERNEL --depth 2 --json DIRECTORY", "Is a directory" },
		{ "nest -k KERNEL --depth 2 file", "--depth with nest file file" },
		{ "nest -k KERNEL --mem 64M file", "--mem with nest file file" },
		{ "nest -k KERNEL one two", "two: nest takes options and no further argument" },
		{ "nest /none/such", "/none/such: No such file or directory" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(run(cases[i].line), STATUS_USAGE);
		assert_said(cases[i].message);
	}
	assert_int_equal(started, 0);
}

static void nest_has_a_limit_of_files(void **state)
{
	char line[512] = "nest";

	for (unsigned int i = 0; i < 33; i++)
		strcat(line, " --file=/x");
	assert_int_equal(run(line), STATUS_USAGE);
	assert_said("--file /x: there are 32 files already");
}

/* The host's lack of descriptors, whatever they were for. */
static void nest_that_the_host_cannot_check(void **state)
{
	static const char *const lines[] = {
		"nest -k KERNEL --depth 2",
		"nest KERNEL",
	};
	struct rlimit before, none;

	getrlimit(RLIMIT_NOFILE, &before);
	none = (struct rlimit){ 3, before.rlim_max };
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		int status;

		setrlimit(RLIMIT_NOFILE, &none);
		status = run(lines[i]);
		setrlimit(RLIMIT_NOFILE, &before);
		assert_int_equal(status, STATUS_HOST);
		assert_said("Too many open files");
	}
	assert_int_equal(started, 0);
}

static void look_at_nest(const void *what)
{
	const struct nest *nest = what;
	const struct nest_level *inner = &nest->levels[1];

	assert_int_equal(nest->depth, 2);
	assert_string_equal(nest->levels[0].options.words[2], "--mem");
	assert_string_equal(nest->levels[0].options.words[3], "671088640B");
	assert_string_equal(inner->options.words[0], "--cpus");
	assert_string_equal(inner->options.words[1], "2");
	assert_string_equal(inner->options.words[3], "134217728B");
	assert_string_equal(inner->params, "quiet");
	assert_int_equal(inner->time_limit, 5);
	assert_int_equal(inner->file_count, 1);
	assert_string_equal(inner->files[0].path, "/bin/exe");
	assert_string_equal(inner->command.words[0], "a");
	assert_string_equal(inner->command.words[1], "--help");
	assert_int_equal(nest->levels[0].command.count, 0);
}

static void nest_starts_what_was_asked_for(void **state)
{
	comes_to = STATUS_CRASHED;
	looks_at = look_at_nest;
	assert_int_equal(run("nest -c 2 -p quiet --time-limit 5 --file /proc/self/exe -k KERNEL "
			     "--depth 2 -m 128M -- a --help"),
			 STATUS_CRASHED);
	assert_int_equal(started, 1);
	assert_string_equal(json, "");
	looks_at = NULL;
	assert_int_equal(run("nest -k KERNEL --depth 1 --json /dev/null"), STATUS_CRASHED);
	assert_string_equal(json, "/dev/null");
	assert_silent();
}

/* list, stop, pause, resume, stat, top */

static void guests_are_listed(void **state)
{
	assert_int_equal(run("list"), STATUS_OK);
	assert_string_equal(shown, "   PID NAME                 STATE\n"
				   "------------------------------------\n"
				   " 1234 robin                running\n"
				   " 1234 wren                 running\n");
	guests = "mute";
	assert_int_equal(run("list --json"), STATUS_OK);
	assert_non_null(strstr(shown, "\"state\": \"no answer\""));
	guests = "dead robin wren";
	assert_silent();
}

static void guests_are_told(void **state)
{
	static const struct {
		const char *line, *asked, *shown;
	} cases[] = {
		{ "stop wren", "wren stop ", "" },
		{ "stop ./socket", "./socket stop ", "" },
		{ "pause wren", "wren pause {\"stop_time\":false}", "Guest wren paused\n" },
		{ "pause --stop-time -n robin", "robin pause {\"stop_time\":true}",
		  "Guest robin is already paused.\n" },
		{ "resume --name wren", "wren resume ", "Guest wren resumed\n" },
		{ "resume robin", "robin resume ", "Guest robin is still running.\n" },
		{ "resume --all", "wren resume ",
		  "Guest robin is still running.\nGuest wren resumed\n" },
		{ "debug wren", "wren debug ", "vCPU 0: off\n" },
		{ "debug -n wren --json", "wren debug ",
		  "{\n  \"vcpus\": [\n    {\n      \"index\": 0,\n      \"power\": \"off\"\n    }\n  ]\n}\n" },
		{ "debug --gdb wren", "wren gdb ", "relayed\n" },
		{ "balloon wren", "wren balloon ",
		  "wren: asked for 9 MiB, has given 8 MiB; the host has got back 7 MiB by that, "
		  "and 6144 MiB of free pages\n" },
		{ "balloon robin 256", "robin balloon {\"target_bytes\":268435456}",
		  "robin: asked for 9 MiB, has given 8 MiB; the host has got back 7 MiB by that, "
		  "and 6144 MiB of free pages; it has no driver at work\n" },
		{ "balloon 12K -n wren", "wren balloon {\"target_bytes\":12288}",
		  "wren: asked for 9 MiB, has given 8 MiB; the host has got back 7 MiB by that, "
		  "and 6144 MiB of free pages\n" },
		{ "stat wren", "wren stat ", "{\n  \"changed\": true,\n  \"resets\": 0\n}\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		waits = 0;
		assert_int_equal(run(cases[i].line), STATUS_OK);
		assert_string_equal(asked, cases[i].asked);
		assert_string_equal(shown, cases[i].shown);
	}
	assert_silent();
}

static void guests_are_not_told(void **state)
{
	static const struct {
		const char *line, *message;
		int status;
	} cases[] = {
		{ "list robin", "robin: list takes options and no further", STATUS_USAGE },
		{ "stop", "stop takes one guest", STATUS_USAGE },
		{ "pause robin --name wren", "pause takes one guest", STATUS_USAGE },
		{ "resume robin --all", "resume takes one guest", STATUS_USAGE },
		{ "stat nobody", "nobody: no guest that runs", STATUS_USAGE },
		{ "resume --stop-time wren", "--stop-time: not an option of resume", STATUS_USAGE },
		{ "pause mute", "mute: does not answer", STATUS_HOST },
		{ "stop mute", "mute: does not answer", STATUS_HOST },
		{ "top mute", "mute: does not answer", STATUS_HOST },
		{ "balloon", "balloon takes one guest", STATUS_USAGE },
		{ "balloon -n wren 1 2", "balloon takes one guest", STATUS_USAGE },
		{ "balloon wren 1 2", "2: balloon takes options and no further", STATUS_USAGE },
		{ "balloon wren much", "balloon much: must be a number of MiB", STATUS_USAGE },
		{ "balloon wren 1024G", "balloon 1024G: must be a number of MiB", STATUS_USAGE },
		{ "balloon nobody 1", "nobody: no guest that runs", STATUS_USAGE },
		{ "balloon mute 1", "mute: does not answer", STATUS_HOST },
		{ "debug", "debug takes one guest", STATUS_USAGE },
		{ "debug wren -n wren", "debug takes one guest", STATUS_USAGE },
		{ "debug nobody", "nobody: no guest that runs", STATUS_USAGE },
		{ "debug mute", "mute: does not answer", STATUS_HOST },
		{ "debug --gdb mute", "mute: does not answer", STATUS_HOST },
		{ "debug --gdb nobody", "nobody: no guest that runs", STATUS_USAGE },
		{ "debug --gdb --json wren", "--gdb with --symbols", STATUS_USAGE },
		{ "debug wren -s /none/such", "/none/such: No such file", STATUS_USAGE },
		{ "debug wren -s KERNEL", "is neither a System.map nor an ELF file", STATUS_USAGE },
		{ "top nobody", "nobody: no guest that runs", STATUS_USAGE },
		{ "top", "more than one guest runs", STATUS_USAGE },
		{ "top -n wren robin", "robin: top takes one guest", STATUS_USAGE },
		{ "top -i 0 wren", "--interval 0: must be a number of seconds", STATUS_USAGE },
		{ "top --sort name wren", "--sort name: must be", STATUS_USAGE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		waits = 0;
		assert_int_equal(run(cases[i].line), cases[i].status);
		assert_said(cases[i].message);
	}
	guests = "dead";
	assert_int_equal(run("top"), STATUS_USAGE);
	assert_said("no guest runs that has a name");
	guests = "mute wren";
	assert_int_equal(run("resume --all"), STATUS_HOST);
	assert_said("mute: does not answer");
	assert_string_equal(shown, "Guest wren resumed\n");
	guests = "dead robin wren";
}

static unsigned int lines(void)
{
	unsigned int count = 0;

	for (const char *at = shown; (at = strchr(at, '\n')); at++)
		count++;
	return count;
}

static void guests_are_watched_until_they_end(void **state)
{
	waits = 0;
	assert_int_equal(run("top --json wren"), STATUS_OK);
	assert_int_equal(lines(), 3);
	waits = 0;
	assert_int_equal(run("top --json --once wren"), STATUS_OK);
	assert_int_equal(lines(), 1);
	assert_non_null(strstr(shown, "\"guest\":{\"pid\":1234"));
	waits = 0;
	guests = "dead wren";
	assert_int_equal(run("top -1"), STATUS_OK);
	assert_non_null(strstr(shown, "wren: running, pid 1234, 64 MiB"));
	guests = "dead robin wren";
	assert_silent();
}

/* tlbi, help, version */

static void moves_are_refused(void **state)
{
	static const struct {
		const char *line, *message;
		int status;
	} cases[] = {
		{ "migrate", "migrate takes a guest", STATUS_USAGE },
		{ "migrate wren", "and where it is to go: unix:PATH", STATUS_USAGE },
		{ "migrate wren here", "here: must be unix:PATH", STATUS_USAGE },
		{ "migrate wren fd:3", "fd:3: must be unix:PATH", STATUS_USAGE },
		{ "migrate --timeout 0 wren unix:x", "--timeout 0: must be", STATUS_USAGE },
		{ "migrate nobody unix:x", "no guest that runs has that name", STATUS_USAGE },
		{ "migrate wren unix:/no/such/place", "No such file", STATUS_HOST },
		{ "restore", "takes a file that snapshot has made, or --from", STATUS_USAGE },
		{ "restore --from unix:x file", "takes a file that snapshot has made, or --from",
		  STATUS_USAGE },
		{ "restore --from here", "here: must be unix:PATH", STATUS_USAGE },
		{ "restore --from exec:true", "ended before the guest had come", STATUS_HOST },
		{ "restore --from unix:/no/such/place", "No such file", STATUS_HOST },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(run(cases[i].line), cases[i].status);
		assert_said(cases[i].message);
	}
	assert_int_equal(started, 0);
}

static void tlbi_is_refused(void **state)
{
	static const struct {
		const char *line, *message;
		int status;
	} cases[] = {
		{ "tlbi", "tlbi takes one guest", STATUS_USAGE },
		{ "tlbi one two", "two: tlbi takes options and no further argument", STATUS_USAGE },
		{ "tlbi -i 0 one", "--interval 0: must be a number of seconds from 0.01",
		  STATUS_USAGE },
		{ "tlbi -i nan one", "--interval nan: must be a number", STATUS_USAGE },
		{ "tlbi -i 86401 one", "--interval 86401: must be a number", STATUS_USAGE },
		{ "tlbi nobody", "no guest has that name", STATUS_USAGE },
		{ "tlbi -1 one", "one: shows no statistics", STATUS_HOST },
		{ "tlbi -i 0.5 one", "one: shows no statistics", STATUS_HOST },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(run(cases[i].line), cases[i].status);
		assert_said(cases[i].message);
	}
}

static void help_lists_all(void **state)
{
	assert_int_equal(run("help"), STATUS_OK);
	for (unsigned int i = 0; i < COMMANDS_COUNT; i++)
		assert_non_null(strstr(shown, commands[i]->summary));
	assert_silent();
}

static void help_is_refused(void **state)
{
	assert_int_equal(run("help walk"), STATUS_USAGE);
	assert_said("walk: not a command");
	assert_int_equal(run("help run nest"), STATUS_USAGE);
	assert_said("nest: help takes options and no further argument");
	assert_int_equal(run("help --completion cmd"), STATUS_USAGE);
	assert_said("--completion cmd: must be bash or zsh");
}

static void versions(void **state)
{
	assert_int_equal(run("version"), STATUS_OK);
	assert_string_equal(shown, "nidus " NIDUS_VERSION "\n");
	assert_int_equal(run("version 2"), STATUS_USAGE);
	assert_said("2: version takes no argument");
}

#define on_commands(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_commands(names_are_found),
		on_commands(bad_options_are_refused_by_all),
		on_commands(help_is_the_same_from_both_sides),
		on_commands(run_is_refused),
		on_commands(run_passes_on_what_became_of_it),
		on_commands(nest_is_refused),
		on_commands(nest_has_a_limit_of_files),
		on_commands(nest_that_the_host_cannot_check),
		on_commands(nest_starts_what_was_asked_for),
		on_commands(guests_are_listed),
		on_commands(guests_are_told),
		on_commands(guests_are_not_told),
		on_commands(guests_are_watched_until_they_end),
		on_commands(moves_are_refused),
		on_commands(tlbi_is_refused),
		on_commands(help_lists_all),
		on_commands(help_is_refused),
		on_commands(versions),
	};
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);

	free(shown);
	return failed;
}
