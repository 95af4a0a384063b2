// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "commands/command.h"
#include "control/control_client.h"
#include "machine/session.h"
#include "memmap.h"
#include "options/number.h"
#include "util.h"

/* How long nidus may take to answer, in milliseconds. */
#define PATIENCE 10000

struct request {
	const char *name, *size;
	uint64_t target; /* bytes, where there is a size */
};

static const struct option_row rows[] = {
	{ OPTION("name", 'n', "NAME", "the guest's name, which may also stand by itself"),
	  OPTION_TEXT(struct request, name) },
};

static const struct option_group groups[] = { { rows, ARRAY_SIZE(rows) } };

static const struct options options = {
	.command = "balloon",
	.groups = groups,
	.group_count = ARRAY_SIZE(groups),
	.takes_second = true,
};

/* Only nidus knows how large its guest's RAM is. -EINVAL, said. */
static int parse_size(struct request *request)
{
	if (!request->size ||
	    number_parse_size(request->size, 20, RAM_SIZE_MAX, &request->target) == 0)
		return 0;
	log_error("balloon %s: must be a number of MiB, or a number with K, M or G, and no more "
		  "than the guest's RAM",
		  request->size);
	return -EINVAL;
}

/* OPTIONS_HELP, or -EINVAL, said. */
static int parse(struct request *request, int argc, char **argv)
{
	struct options_words words;
	int err = options_parse(&options, request, argc, argv, &words);

	if (err != 0)
		return err;
	request->size = request->name ? words.word : words.second;
	if (!request->name)
		request->name = words.word;
	else if (words.second)
		request->name = NULL;
	if (!request->name) {
		log_error("balloon takes one guest, by its name or the path of its socket, and "
			  "perhaps a size");
		return -EINVAL;
	}
	return parse_size(request);
}

static uint64_t mebibytes(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key)) >> 20;
}

static void show(const char *name, const json_t *balloon)
{
	printf("%s: asked for %" PRIu64 " MiB, has given %" PRIu64
	       " MiB; the host has got back %" PRIu64 " MiB by that, and %" PRIu64
	       " MiB of free pages%s\n",
	       name, mebibytes(balloon, "target_bytes"), mebibytes(balloon, "given_bytes"),
	       mebibytes(balloon, "inflated_bytes"), mebibytes(balloon, "reported_bytes"),
	       json_is_true(json_object_get(balloon, "driver")) ? ""
								: "; it has no driver at work");
}

static int run(enum config_flavour flavour, int argc, char **argv)
{
	struct request request = { .name = NULL };
	struct control_peer peer;
	json_t *arguments = NULL, *balloon;
	int err = parse(&request, argc, argv);

	(void)flavour;
	if (err == OPTIONS_HELP)
		return cmd_help_print(&cmd_balloon);
	if (err < 0)
		return STATUS_USAGE;
	err = control_client_open(&peer, request.name, false);
	if (err < 0)
		return status_of_error(err, STATUS_USAGE);
	if (request.size)
		arguments = json_pack("{sI}", "target_bytes", (json_int_t)request.target);
	balloon = control_client_ask(&peer, "balloon", arguments, PATIENCE);
	control_client_close(&peer);
	if (!balloon)
		return STATUS_HOST;
	show(request.name, balloon);
	json_decref(balloon);
	return STATUS_OK;
}

const struct command cmd_balloon = {
	.options = &options,
	.arguments = "[OPTIONS] NAME [SIZE]",
	.summary = "ask a running guest for memory, or give it back",
	.about =
		"Asks a guest that runs with --balloon to give SIZE of its RAM to the host, in MiB or "
		"with K, M or G: 0 is to have all of it back. Without SIZE nothing is asked for. Says "
		"what the guest was asked for, what it has given by now, and what the host has got. "
		"A guest gives as fast as it can, and may keep what it needs.",
	.more = "Exit status: 0 it was asked, 2 the command line is wrong or there is no such guest, "
		"3 the guest has no balloon or less RAM, or its nidus does not answer.",
	.run = run,
};
