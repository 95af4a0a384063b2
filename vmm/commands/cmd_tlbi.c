// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "commands/command.h"
#include "control/peek.h"
#include "control/tlbi_table.h"
#include "host/clock.h"
#include "machine/session.h"

#define INTERVAL_MAX 86400

struct request {
	double interval; /* seconds; 0: one look */
	const char *who;
};

static const struct option options[] = {
	{ "interval", required_argument, NULL, 'i' },
	{ "once", no_argument, NULL, '1' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static bool set_interval(struct request *request, const char *text)
{
	char *end;

	request->interval = strtod(text, &end);
	if (*end == '\0' && request->interval >= 0.01 && request->interval <= INTERVAL_MAX)
		return true;
	log_error("--interval %s: must be a number of seconds, 0.01 to %d", text, INTERVAL_MAX);
	return false;
}

static enum config_result parse(struct request *request, int argc, char **argv)
{
	opterr = 0;
	optind = 0;
	for (;;) {
		switch (getopt_long(argc, argv, ":i:1h", options, NULL)) {
		case 'i':
			if (!set_interval(request, optarg))
				return CONFIG_ERROR;
			break;
		case '1':
			request->interval = 0;
			break;
		case 'h':
			return CONFIG_HELP;
		case ':':
			log_error("%s: needs an argument", argv[optind - 1]);
			return CONFIG_ERROR;
		case '?':
			log_error("%s: not an option of tlbi (nidus help tlbi lists them)",
				  argv[optind - 1]);
			return CONFIG_ERROR;
		default:
			if (argc - optind != 1) {
				log_error(
					"tlbi takes one guest, by the id of its nidus or by name");
				return CONFIG_ERROR;
			}
			request->who = argv[optind];
			return CONFIG_OK;
		}
	}
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

	while (err == 0 && end.fd >= 0 && poll(&end, 1, request->interval * 1000) == 0) {
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

int cmd_tlbi(enum config_flavour flavour, int argc, char **argv)
{
	const struct peek nothing = { .count = 0 };
	struct request request = { .interval = 1 };
	struct peek now;
	pid_t pid;
	int err;

	switch (parse(&request, argc, argv)) {
	case CONFIG_HELP:
		return cmd_help(flavour, argc, argv);
	case CONFIG_ERROR:
		return STATUS_USAGE;
	case CONFIG_OK:
		break;
	}
	pid = peek_find(request.who);
	if (pid < 0)
		return STATUS_USAGE;
	err = look(&now, &request, pid);
	if (err < 0)
		return STATUS_HOST;
	tlbi_table_print(stdout, &nothing, &now, 0);
	fflush(stdout);
	if (request.interval > 0)
		err = watch(&now, &request, pid);
	peek_drop(&now);
	return err < 0 ? STATUS_HOST : STATUS_OK;
}

void cmd_tlbi_help(void)
{
	puts("\nShows the TLB invalidations of a running guest that KVM traps (nidus run\n"
	     "--trap-tlbi), by vCPU and kind: first how many there were, then what is done per\n"
	     "second, until the guest ends. The guest is named by the process id of its nidus or\n"
	     "by its --name. It is not interrupted for that.\n"
	     "\n"
	     "  -i, --interval SECONDS      how often to look (1)\n"
	     "  -1, --once                  look once\n"
	     "\n"
	     "Columns: all: everything of the guest; asid: an ASID; va: an address; range: a range\n"
	     "of them; * for all ASIDs; local: how many of these ask for no other CPU.\n"
	     "\n"
	     "Exit status: 0 it was shown, 2 the command line is wrong or there is no such guest,\n"
	     "3 the guest or the host has nothing to show, or refuses to.");
}
