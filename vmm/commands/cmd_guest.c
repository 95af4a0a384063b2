// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is done to guests that run, by name: stop, pause, resume, stat.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "commands/command.h"
#include "control/control_client.h"
#include "control/control_socket.h"
#include "machine/session.h"
#include "util.h"

/* How long nidus may take to answer, or to end, in milliseconds. */
#define PATIENCE 10000

struct request {
	const char *name;
	bool all;
	bool stop_time;
};

/* Says what it came to, as lkvm does. -errno, said. */
typedef int act_function(struct control_peer *peer, const struct request *request);

static int act_stop(struct control_peer *peer, const struct request *request)
{
	json_t *result = control_client_ask(peer, "stop", NULL, PATIENCE);

	(void)request;
	if (!result)
		return -EIO;
	json_decref(result);
	return control_client_wait(peer, PATIENCE);
}

static int ask_and_say(struct control_peer *peer, const char *what, json_t *arguments,
		       const char *done, const char *already)
{
	json_t *result = control_client_ask(peer, what, arguments, PATIENCE);

	if (!result)
		return -EIO;
	printf(json_is_true(json_object_get(result, "changed")) ? "Guest %s %s\n"
								: "Guest %s is %s.\n",
	       peer->who, json_is_true(json_object_get(result, "changed")) ? done : already);
	json_decref(result);
	return 0;
}

static int act_pause(struct control_peer *peer, const struct request *request)
{
	return ask_and_say(peer, "pause", json_pack("{sb}", "stop_time", request->stop_time),
			   "paused", "already paused");
}

static int act_resume(struct control_peer *peer, const struct request *request)
{
	(void)request;
	return ask_and_say(peer, "resume", NULL, "resumed", "still running");
}

static int act_stat(struct control_peer *peer, const struct request *request)
{
	json_t *result = control_client_ask(peer, "stat", NULL, PATIENCE);

	(void)request;
	if (!result)
		return -EIO;
	json_dumpf(result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(result);
	return 0;
}

static int act_on(const char *who, const struct request *request, act_function *act)
{
	struct control_peer peer;
	int err = control_client_open(&peer, who, false);

	if (err < 0)
		return status_of_error(err, STATUS_USAGE);
	err = act(&peer, request);
	control_client_close(&peer);
	return err < 0 ? STATUS_HOST : STATUS_OK;
}

/* All that live; the worst that it comes to. */
static int act_on_all(const struct request *request, act_function *act)
{
	struct word_list names;
	int worst = STATUS_OK;

	if (control_socket_names(&names) < 0)
		return STATUS_HOST;
	for (unsigned int i = 0; i < names.count; i++) {
		const int fd = control_socket_connect(names.words[i], true);
		int status = STATUS_OK;

		if (fd >= 0) {
			close(fd);
			status = act_on(names.words[i], request, act);
		}
		if (status > worst)
			worst = status;
	}
	word_list_clear(&names);
	return worst;
}

static int act(const struct command *command, act_function *act, int argc, char **argv)
{
	struct request request = { .name = NULL };
	struct options_words words;
	const int result = options_parse(command->options, &request, argc, argv, &words);

	if (result == OPTIONS_HELP)
		return cmd_help_print(command);
	if (result < 0)
		return STATUS_USAGE;
	if (!!request.name + !!words.word + request.all != 1) {
		log_error("%s takes one guest, by its name or the path of its socket, or --all",
			  command->options->command);
		return STATUS_USAGE;
	}
	if (request.all)
		return act_on_all(&request, act);
	return act_on(request.name ? request.name : words.word, &request, act);
}

static const struct option_row common_rows[] = {
	{ OPTION("name", 'n', "NAME", "as lkvm: the guest's name, which may also stand by itself"),
	  OPTION_TEXT(struct request, name) },
	{ OPTION("all", 'a', NULL, "all guests that have a name"),
	  OPTION_FLAG(struct request, all, true) },
};

static const struct option_row pause_rows[] = {
	{ OPTION("stop-time", 0, NULL,
		 "no time goes by for the guest: its counter goes on from where it was"),
	  OPTION_FLAG(struct request, stop_time, true) },
};

static const struct option_group pause_groups[] = {
	{ common_rows, ARRAY_SIZE(common_rows) },
	{ pause_rows, ARRAY_SIZE(pause_rows) },
};

/* A subcommand of those options, or of more of them. */
#define GUEST_COMMAND(name, groups_, summary_, about_)                                            \
	static int run_##name(enum config_flavour flavour, int argc, char **argv)                 \
	{                                                                                         \
		(void)flavour;                                                                    \
		return act(&cmd_##name, act_##name, argc, argv);                                  \
	}                                                                                         \
                                                                                                  \
	static const struct options name##_options = {                                            \
		.command = #name,                                                                 \
		.groups = pause_groups,                                                           \
		.group_count = groups_,                                                           \
	};                                                                                        \
                                                                                                  \
	const struct command cmd_##name = {                                                       \
		.options = &name##_options,                                                       \
		.arguments = "[OPTIONS] NAME",                                                    \
		.summary = summary_,                                                              \
		.about = about_,                                                                  \
		.more = "Exit status: 0 it was done, 2 the command line is wrong or there is no " \
			"such guest, 3 the guest's nidus does not answer, or refuses.",           \
		.run = run_##name,                                                                \
	}

GUEST_COMMAND(stop, 1, "end a running guest",
	      "Ends a guest, as if the power were cut, and waits until its nidus has ended.");
GUEST_COMMAND(
	pause, 2, "keep a running guest's vCPUs from running",
	"Keeps the vCPUs of a guest from running until it is resumed. Devices finish what they "
	"have begun, and clocks go on.");
GUEST_COMMAND(resume, 1, "have a paused guest go on", "Has a paused guest go on.");
GUEST_COMMAND(
	stat, 1, "print the statistics of a running guest",
	"Prints the statistics of a guest as JSON, as run --stats writes them at its end, and "
	"accesses to devices for each vCPU.");
