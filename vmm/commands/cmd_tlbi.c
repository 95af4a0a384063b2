// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "commands/command.h"
#include "control/peek.h"
#include "control/tlbi_table.h"
#include "host/clock.h"
#include "machine/session.h"
#include "util.h"

struct request {
	uint64_t interval; /* milliseconds */
	bool once;
	const char *who;
};

static int set_interval(void *object, const char *text)
{
	struct request *request = object;

	return options_parse_interval(text, &request->interval);
}

static const struct option_row rows[] = {
	{ OPTION("interval", 'i', "SECONDS", "how often to look (1)"), OPTION_CALL(set_interval) },
	{ OPTION("once", '1', NULL, "look once"), OPTION_FLAG(struct request, once, true) },
};

static const struct option_group groups[] = { { rows, ARRAY_SIZE(rows) } };

static const struct options options = {
	.command = "tlbi",
	.groups = groups,
	.group_count = ARRAY_SIZE(groups),
};

/* 0, OPTIONS_HELP, or -EINVAL, said. */
static int parse(struct request *request, int argc, char **argv)
{
	struct options_words words;
	const int result = options_parse(&options, request, argc, argv, &words);

	request->who = words.word;
	if (result != 0 || words.word)
		return result;
	log_error("tlbi takes one guest, by the process id of its nidus or by name");
	return -EINVAL;
}

/* The first look, which also tells whether there is anything to see. */
static int look(struct peek *now, const struct request *request, pid_t pid)
{
	int err = peek_take(now, pid);

	if (err < 0)
		return err;
	if (now->count == 0)
		log_error("%s: shows no statistics: no nidus, or one without --trap-tlbi and "
			  "--stats",
			  request->who);
	else if (!tlbi_table_has(now))
		log_error("%s: this host's KVM does not count TLBIs; that takes the kernel patches "
			  "that come with nidus",
			  request->who);
	else
		return 0;
	peek_drop(now);
	return -ENOENT;
}

/* Until the process ends, or we are interrupted. */
static int watch(struct peek *before, const struct request *request, pid_t pid)
{
	struct pollfd end = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	uint64_t then = clock_ns();
	int err = 0;

	while (err == 0 && end.fd >= 0 && poll(&end, 1, request->interval) == 0) {
		struct peek now;
		uint64_t moment;

		err = peek_take(&now, pid);
		moment = clock_ns();
		if (err == 0 && now.count > 0)
			tlbi_table_print(stdout, before, &now, (moment - then) / 1e9);
		fflush(stdout);
		peek_drop(before);
		*before = now;
		then = moment;
	}
	if (end.fd >= 0)
		close(end.fd);
	return err;
}

static int run(enum config_flavour flavour, int argc, char **argv)
{
	const struct peek nothing = { .count = 0 };
	struct request request = { .interval = 1000 };
	struct peek now;
	pid_t pid;
	int err = parse(&request, argc, argv);

	(void)flavour;
	if (err == OPTIONS_HELP)
		return cmd_help_print(&cmd_tlbi);
	if (err < 0)
		return STATUS_USAGE;
	pid = peek_find(request.who);
	if (pid < 0)
		return STATUS_USAGE;
	err = look(&now, &request, pid);
	if (err < 0)
		return STATUS_HOST;
	tlbi_table_print(stdout, &nothing, &now, 0);
	fflush(stdout);
	if (!request.once)
		err = watch(&now, &request, pid);
	peek_drop(&now);
	return err < 0 ? STATUS_HOST : STATUS_OK;
}

const struct command cmd_tlbi = {
	.options = &options,
	.arguments = "[OPTIONS] PID|NAME",
	.summary = "show the TLB invalidations of a running guest",
	.about = "Shows the TLB invalidations of a running guest that KVM traps (nidus run "
		 "--trap-tlbi), by vCPU and kind: first how many there were, then what is done per "
		 "second, until the guest ends. The guest is named by the process id of its nidus "
		 "or by its --name. It is not interrupted for that.",
	.more = "Columns: all: everything of the guest; asid: an ASID; va: an address; range: a "
		"range of them; * for all ASIDs; local: how many of these ask for no other CPU.\n"
		"\n"
		"Exit status: 0 it was shown, 2 the command line is wrong or there is no such "
		"guest, 3 the guest or the host has nothing to show, or refuses to.",
	.run = run,
};
