// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include "commands/command.h"
#include "control/control_client.h"
#include "control/control_socket.h"
#include "control/printable.h"
#include "machine/session.h"
#include "util.h"

/* One that does not answer so soon does not keep the others, in milliseconds. */
#define PATIENCE 2000

struct request {
	bool json;
};

static const struct option_row rows[] = {
	{ OPTION("json", 0, NULL, "print an array of what each guest says of itself"),
	  OPTION_FLAG(struct request, json, true) },
};

static const struct option_group groups[] = { { rows, ARRAY_SIZE(rows) } };

static const struct options options = {
	.command = "list",
	.groups = groups,
	.group_count = ARRAY_SIZE(groups),
};

/* What it says of itself; NULL: nobody is there, or nobody that answers. */
static json_t *status_of(const char *name)
{
	struct control_peer peer;
	json_t *status;

	if (control_client_open(&peer, name, true) < 0)
		return NULL;
	status = control_client_ask(&peer, "status", NULL, PATIENCE);
	if (!status)
		status = json_pack("{ssss}", "name", name, "state", "no answer");
	control_client_close(&peer);
	return status;
}

static void print(const char *name, const json_t *status)
{
	char state[32];

	printf("%5" JSON_INTEGER_FORMAT " %-20s %s\n",
	       json_integer_value(json_object_get(status, "pid")), name,
	       printable(json_string_value(json_object_get(status, "state")), state,
			 sizeof(state)));
}

static int list(const struct request *request, const struct word_list *names)
{
	json_t *array = json_array();

	if (!request->json) {
		printf("%6s %-20s %s\n", "PID", "NAME", "STATE");
		puts("------------------------------------");
	}
	for (unsigned int i = 0; i < names->count; i++) {
		json_t *status = status_of(names->words[i]);

		if (status && !request->json)
			print(names->words[i], status);
		if (status)
			json_array_append_new(array, status);
	}
	if (request->json) {
		json_dumpf(array, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	json_decref(array);
	return STATUS_OK;
}

static int run(enum config_flavour flavour, int argc, char **argv)
{
	struct request request = { .json = false };
	struct options_words words;
	struct word_list names;
	int result = options_parse(&options, &request, argc, argv, &words);

	(void)flavour;
	if (result == OPTIONS_HELP)
		return cmd_help_print(&cmd_list);
	if (result < 0)
		return STATUS_USAGE;
	if (words.word) {
		log_error("%s: list takes options and no further argument", words.word);
		return STATUS_USAGE;
	}
	if (control_socket_names(&names) < 0)
		return STATUS_HOST;
	result = list(&request, &names);
	word_list_clear(&names);
	return result;
}

const struct command cmd_list = {
	.options = &options,
	.arguments = "[OPTIONS]",
	.summary = "list the guests that run and have a name",
	.about = "Lists the guests that run and have a name: those of this user, and of the "
		 "system's services where this user may look at them.",
	.more = "Exit status: 0 they were listed, 2 the command line is wrong, 3 the host lacks or "
		"refuses something.",
	.run = run,
};
