// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/command.h"
#include "control/control_client.h"
#include "control/control_socket.h"
#include "control/threads.h"
#include "control/top_table.h"
#include "host/clock.h"
#include "machine/session.h"
#include "util.h"

/* Milliseconds. */
#define PATIENCE 10000

/* To the upper left corner; the rest of a line, and of the screen, is cleared (ECMA-48). */
#define HOME	 "\033[H"
#define LINE_END "\033[K\n"
#define REST	 "\033[J"

struct request {
	uint64_t interval; /* milliseconds */
	bool once;
	bool json;
	enum top_sort sort;
	const char *name;
};

static int set_interval(void *object, const char *text)
{
	struct request *request = object;

	return options_parse_interval(text, &request->interval);
}

static const struct option_choice orders[] = {
	{ "rate", TOP_BY_RATE },
	{ "vcpu", TOP_BY_VCPU },
	{ "address", TOP_BY_ADDRESS },
	{ NULL, 0 },
};

static const struct option_row rows[] = {
	{ OPTION("name", 'n', "NAME", "the guest's name, which may also stand by itself"),
	  OPTION_TEXT(struct request, name) },
	{ OPTION("interval", 'i', "SECONDS", "how often to look (1)"), OPTION_CALL(set_interval) },
	{ OPTION("once", '1', NULL, "look once, for that long"),
	  OPTION_FLAG(struct request, once, true) },
	{ OPTION("sort", 's', "ORDER", "of accesses to devices: rate, vcpu or address (rate)"),
	  OPTION_CHOICE(struct request, sort, orders) },
	{ OPTION("json", 0, NULL, "print all of it as a line of JSON each time"),
	  OPTION_FLAG(struct request, json, true) },
};

static const struct option_group groups[] = { { rows, ARRAY_SIZE(rows) } };

static const struct options options = {
	.command = "top",
	.groups = groups,
	.group_count = ARRAY_SIZE(groups),
};

struct look {
	json_t *status, *stats;
	uint64_t moment; /* clock_ns() */
};

static void look_drop(struct look *look)
{
	json_decref(look->status);
	json_decref(look->stats);
	*look = (struct look){ .moment = 0 };
}

/* False: there is no answer; look is empty then. */
static bool look_take(struct look *look, struct control_peer *peer)
{
	*look = (struct look){ .status = control_client_ask(peer, "status", NULL, PATIENCE) };
	if (look->status)
		look->stats = control_client_ask(peer, "stat", NULL, PATIENCE);
	if (!look->stats) {
		look_drop(look);
		return false;
	}
	look->moment = clock_ns();
	threads_add_cpu(look->stats, json_integer_value(json_object_get(look->status, "pid")));
	return true;
}

static void show_json(const struct look *now, json_t *rates)
{
	json_object_set(rates, "guest", now->status);
	json_dumpf(rates, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
	putchar('\n');
}

static void show_table(const struct request *request, const struct look *now, const json_t *rates)
{
	const bool live = isatty(STDOUT_FILENO) && !request->once;
	char *text = NULL;
	size_t size;
	/* Written at once, so that it does not flicker. */
	FILE *stream = open_memstream(&text, &size);

	if (!stream)
		return;
	fputs(live ? HOME : "", stream);
	top_table_print(stream, request->name, now->status, rates, request->sort,
			live ? LINE_END : "\n");
	fputs(live ? REST : request->once ? "" : "\n", stream);
	if (fclose(stream) == 0)
		fwrite(text, 1, size, stdout);
	free(text);
}

static void show(const struct request *request, const struct look *before, const struct look *now)
{
	json_t *rates =
		top_table_rates(before->stats, now->stats, (now->moment - before->moment) / 1e9);

	if (rates && request->json)
		show_json(now, rates);
	else if (rates)
		show_table(request, now, rates);
	json_decref(rates);
	fflush(stdout);
}

/* Until the guest's end, or for one look. */
static int watch(const struct request *request, struct control_peer *peer)
{
	struct look before, now;
	bool more = look_take(&before, peer);

	if (!more)
		return STATUS_HOST;
	/* Its end is what is waited for. */
	peer->quiet = true;
	while (more) {
		more = control_client_wait(peer, request->interval) == -ETIMEDOUT &&
		       look_take(&now, peer);
		if (more) {
			show(request, &before, &now);
			look_drop(&before);
			before = now;
			more = !request->once && !ferror(stdout);
		}
	}
	look_drop(&before);
	return STATUS_OK;
}

/* The only one that there is, if none was named; the caller's to free. NULL, said. */
static char *find_only(void)
{
	struct word_list names;
	char *found = NULL;
	unsigned int count = 0;

	if (control_socket_names(&names) < 0)
		return NULL;
	for (unsigned int i = 0; i < names.count; i++) {
		const int fd = control_socket_connect(names.words[i], true);

		if (fd < 0)
			continue;
		close(fd);
		free(found);
		found = strdup(names.words[i]);
		count++;
	}
	word_list_clear(&names);
	if (count == 1 && found)
		return found;
	log_error(count == 0 ? "no guest runs that has a name"
			     : "more than one guest runs: name one (nidus list shows them)");
	free(found);
	return NULL;
}

static int run_request(struct request *request)
{
	struct control_peer peer;
	int err = control_client_open(&peer, request->name, false);

	if (err < 0)
		return status_of_error(err, STATUS_USAGE);
	err = watch(request, &peer);
	control_client_close(&peer);
	return err;
}

static int run(enum config_flavour flavour, int argc, char **argv)
{
	struct request request = { .interval = 1000 };
	struct options_words words;
	char *found = NULL;
	int result = options_parse(&options, &request, argc, argv, &words);

	(void)flavour;
	if (result == OPTIONS_HELP)
		return cmd_help_print(&cmd_top);
	if (result < 0)
		return STATUS_USAGE;
	if (request.name && words.word) {
		log_error("%s: top takes one guest", words.word);
		return STATUS_USAGE;
	}
	if (words.word)
		request.name = words.word;
	if (!request.name)
		request.name = found = find_only();
	result = request.name ? run_request(&request) : STATUS_USAGE;
	free(found);
	return result;
}

const struct command cmd_top = {
	.options = &options,
	.arguments = "[OPTIONS] [NAME]",
	.summary = "show what a running guest does, as it does it",
	.about =
		"Shows what a running guest does in a second, until it ends: the host's CPU time, "
		"exits in KVM and those to user space by their cause, for each vCPU; accesses to "
		"registers of devices; networks and disks. The guest is named by its name or the path of its "
		"socket; without one it is the only one that runs. It costs nothing while nobody "
		"looks.",
	.more = "Exit status: 0 it was shown, 2 the command line is wrong or there is no such "
		"guest, 3 the guest's nidus does not answer.",
	.run = run,
};
