// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests that live in this process: run, from the beginning, and restore.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "commands/command.h"
#include "copies/copies.h"
#include "debugger/debugger.h"
#include "machine/session.h"
#include "migration/migration_place.h"
#include "migration/migration_receive.h"
#include "monitor/monitor.h"
#include "root/root.h"
#include "snapshot/snapshot.h"

static enum status live(const struct config *config)
{
	/* Not on the stack: it holds the terminal's buffers. */
	static struct session session;
	struct monitor monitor;
	enum status status = session_create(&session, config);
	struct debugger *debugger = NULL;

	if (status != STATUS_OK)
		return status;
	status = monitor_create(&monitor, &session, &debugger);
	if (status == STATUS_OK) {
		status = debugger_run(&debugger, &session);
		monitor_destroy(&monitor);
	}
	session_destroy(&session);
	return status;
}

static int run(enum config_flavour flavour, int argc, char **argv)
{
	struct config config;
	struct root root;
	const int result = config_parse(&config, flavour, argc, argv);
	enum status status;
	int err;

	if (result == OPTIONS_HELP)
		return cmd_help_print(&cmd_run);
	if (result < 0)
		return STATUS_USAGE;
	log_set_level(config.log_level);
	err = root_prepare(&root, &config);
	if (err < 0)
		return status_of_error(err, STATUS_USAGE);
	status = live(&config);
	root_release(&root);
	return status;
}

const struct command cmd_run = {
	.options = &config_options,
	.arguments = "[OPTIONS]",
	.summary = "start a virtual machine",
	.about = "Starts a virtual machine and gives its console to standard input and output. "
		 "Ctrl-A x ends it; Ctrl-A Ctrl-A sends one Ctrl-A. In brackets: what holds "
		 "without the option.",
	.more = "Exit status: 0 the guest shut down, 1 it crashed or KVM gave up on it, 2 the "
		"command line or a file that it names is wrong, 3 the host lacks or refuses "
		"something, 128 + N signal N ended nidus.",
	.run = run,
};

/* The same from where it was saved. */

/* What the guest is, by records, into a configuration that has what is the host's. */
static int complete_by(struct config *config, const void *records, size_t size)
{
	struct state_reader reader;

	state_reader_create(&reader, records, size);
	/* A nest has its plan before it, and is a guest as any other. */
	state_seek(&reader, "guest");
	config_restore_guest(config, &reader);
	return reader.err;
}

static int complete(struct config *config, const struct snapshot *snapshot)
{
	config->snapshot = snapshot;
	return complete_by(config, snapshot->state, snapshot->header.state_size);
}

/* A snapshot and all that it stands on: one after another, and in order. */
struct chain {
	struct snapshot snapshot, bases[CONFIG_BASES_MAX];
	unsigned int base_count;
};

static void close_chain(struct chain *chain)
{
	while (chain->base_count > 0)
		snapshot_close(&chain->bases[--chain->base_count]);
	snapshot_close(&chain->snapshot);
}

/* Errors: -errno, said; nothing is open then. */
static int open_chain(struct chain *chain, const char *path, const struct config *config)
{
	int err = snapshot_open(&chain->snapshot, path);

	chain->base_count = 0;
	if (err < 0)
		return err;
	while (err == 0 && chain->base_count < config->base_count) {
		err = snapshot_open(&chain->bases[chain->base_count],
				    config->bases[chain->base_count]);
		chain->base_count += err == 0;
	}
	if (err == 0)
		err = snapshot_join(&chain->snapshot, chain->bases, chain->base_count);
	if (err < 0)
		close_chain(chain);
	return err;
}

static int restore_file(const char *path, struct config *config, int argc, char **argv)
{
	struct chain chain;
	struct copies copies = {
		.argc = argc,
		.argv = argv,
		.count = config->copies,
		.path = path,
		.snapshot = &chain.snapshot,
		.complete = complete,
		.live = live,
	};
	int result = open_chain(&chain, path, config);

	if (result < 0)
		return status_of_error(result, STATUS_USAGE);
	if (config->copies > 0) {
		result = copies_run(&copies);
	} else {
		result = complete(config, &chain.snapshot);
		result = result < 0 ? status_of_error(result, STATUS_USAGE) : live(config);
	}
	close_chain(&chain);
	return result;
}

static int receive(struct config *config, struct migration_receiver *receiver, int fd)
{
	int err;

	if (migration_receive_begin(receiver, fd, config->from) < 0)
		return STATUS_HOST;
	config->migration = receiver;
	err = complete_by(config, receiver->guest, receiver->guest_size);
	return err < 0 ? status_of_error(err, STATUS_USAGE) : live(config);
}

static int restore_from(struct config *config)
{
	struct migration_receiver receiver;
	const int fd = migration_place_accept(config->from);
	int status;

	if (fd < 0)
		return fd == -EINVAL ? STATUS_USAGE : STATUS_HOST;
	status = receive(config, &receiver, fd);
	migration_receive_end(&receiver);
	close(fd);
	return status;
}

/* first: the command line of the first copy, if there are any. */
static int restore_by(char **first, int argc, char **argv)
{
	struct options_words words;
	struct config config;
	int result = config_parse_restore(&config, argc, first, &words);

	if (result == 0 && config.copies == 0)
		result = config_parse_restore(&config, argc, argv, &words);
	if (result == OPTIONS_HELP)
		return cmd_help_print(&cmd_restore);
	if (result < 0)
		return STATUS_USAGE;
	if (!words.word == !config.from || (config.from && config.base_count + config.copies > 0)) {
		log_error("restore takes a file that snapshot has made, or --from");
		return STATUS_USAGE;
	}
	log_set_level(config.log_level);
	return config.from ? restore_from(&config) : restore_file(words.word, &config, argc, argv);
}

static int restore(enum config_flavour flavour, int argc, char **argv)
{
	char **first = copies_words(argc, argv, 1);
	int status;

	(void)flavour;
	if (!first)
		return STATUS_HOST;
	status = restore_by(first, argc, argv);
	free(first);
	return status;
}

const struct command cmd_restore = {
	.options = &config_restore_options,
	.arguments = "[OPTIONS] FILE | --from WHERE",
	.summary = "start a guest that was saved, or that moves here",
	.about =
		"Starts a guest where it was when snapshot saved it, or waits for one that migrate "
		"moves here. What it is comes with it; what it has of the host is given anew: "
		"disks and networks, as many and in the order of then.",
	.more = "With --count standard output has the lines of all consoles, each with the name of "
		"its copy in front, and there is no input.\n"
		"\n"
		"Exit status: as of run, of copies the worst; 2 too where the file is no snapshot, "
		"or of another guest than the options are for.",
	.run = restore,
};
