// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "commands/command.h"
#include "control/control_client.h"
#include "control/debug_text.h"
#include "machine/session.h"
#include "util.h"

/* Milliseconds. */
#define PATIENCE 10000

struct request {
	const char *name;
	const char *symbols;
	bool registers;
	bool json;
	bool gdb;
};

static const struct option_row rows[] = {
	{ OPTION("name", 'n', "NAME", "as lkvm: the guest's name, which may also stand by itself"),
	  OPTION_TEXT(struct request, name) },
	{ OPTION("symbols", 's', "FILE",
		 "the kernel's System.map or vmlinux, for names of its code (none)"),
	  OPTION_TEXT(struct request, symbols), OPTION_FILE },
	{ OPTION("registers", 'r', NULL, "print all registers, not only those that tell most"),
	  OPTION_FLAG(struct request, registers, true) },
	{ OPTION("json", 0, NULL, "print all of it as JSON"),
	  OPTION_FLAG(struct request, json, true) },
	{ OPTION("gdb", 0, NULL,
		 "speak GDB's remote protocol by standard input and output, for its command "
		 "\"target remote | nidus debug --gdb NAME\""),
	  OPTION_FLAG(struct request, gdb, true) },
};

static const struct option_group groups[] = { { rows, ARRAY_SIZE(rows) } };

static const struct options options = {
	.command = "debug",
	.groups = groups,
	.group_count = ARRAY_SIZE(groups),
};

static int ask(const struct request *request, const struct symbols *symbols)
{
	struct control_peer peer;
	json_t *answer;
	int err = control_client_open(&peer, request->name, false);

	if (err < 0)
		return status_of_error(err, STATUS_USAGE);
	answer = control_client_ask(&peer, "debug", NULL, PATIENCE);
	control_client_close(&peer);
	if (!answer)
		return STATUS_HOST;
	if (request->json) {
		json_dumpf(answer, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		debug_text_print(stdout, answer, symbols, request->registers);
	}
	json_decref(answer);
	return STATUS_OK;
}

/* Standard input and output are a debugger's. */
static int relay(const struct request *request)
{
	struct control_peer peer;
	json_t *answer;
	int err = control_client_open(&peer, request->name, false);

	if (err < 0)
		return status_of_error(err, STATUS_USAGE);
	answer = control_client_ask(&peer, "gdb", NULL, PATIENCE);
	err = answer ? control_client_relay(&peer, STDIN_FILENO, STDOUT_FILENO) : -EPROTO;
	json_decref(answer);
	control_client_close(&peer);
	return err < 0 ? STATUS_HOST : STATUS_OK;
}

static int run_request(const struct request *request)
{
	struct symbols symbols;
	int result;

	if (!request->symbols)
		return ask(request, NULL);
	result = symbols_read(&symbols, request->symbols);
	if (result < 0)
		return status_of_error(result, STATUS_USAGE);
	result = ask(request, &symbols);
	symbols_drop(&symbols);
	return result;
}

static int run(enum config_flavour flavour, int argc, char **argv)
{
	struct request request = { .name = NULL };
	struct options_words words;
	const int result = options_parse(&options, &request, argc, argv, &words);

	(void)flavour;
	if (result == OPTIONS_HELP)
		return cmd_help_print(&cmd_debug);
	if (result < 0)
		return STATUS_USAGE;
	if (!request.name == !words.word) {
		log_error("debug takes one guest, by its name or the path of its socket");
		return STATUS_USAGE;
	}
	if (request.gdb && (request.symbols || request.registers || request.json)) {
		log_error("--gdb with --symbols, --registers or --json: all of this is the "
			  "debugger's then; leave one of them out");
		return STATUS_USAGE;
	}
	if (words.word)
		request.name = words.word;
	return request.gdb ? relay(&request) : run_request(&request);
}

const struct command cmd_debug = {
	.options = &options,
	.arguments = "[OPTIONS] NAME",
	.summary = "show where the vCPUs of a running guest are",
	.about =
		"Shows where each vCPU of a guest is: at which exception level, and in which level "
		"of a nest; the functions that it is in, by frame pointers; pending interrupts; "
		"registers. All vCPUs are kept out of the guest while they are looked at. With "
		"--gdb it is a debugger's way to the guest, until that lets go.",
	.more = "Exit status: 0 it was shown, 2 the command line or a file that it names is wrong, "
		"or there is no such guest, 3 the guest's nidus does not answer, or refuses.",
	.run = run,
};
