// SPDX-License-Identifier: GPL-2.0-only
/*
 * Running guests that are to go on elsewhere: from a file, which is made here, and written by the
 * guest's nidus; or in another nidus, by a connection that is made here, and used by that.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/command.h"
#include "control/control_client.h"
#include "host/file.h"
#include "machine/session.h"
#include "migration/migration_place.h"
#include "snapshot/snapshot.h"
#include "util.h"

struct request {
	const char *name, *file;
	const char *base; /* NULL: the file is to stand by itself */
	char base_id[2 * sizeof(struct snapshot_id) + 1]; /* two digits a byte */
	bool stop, track;
	const char *to; /* in place of a file, where it moves to */
	uint32_t timeout; /* seconds; 0: the guest's nidus knows */
};

static int complain(const char *path, int err)
{
	log_error("%s: %s", path, log_reason(-err));
	return err;
}

static int pagemap_of(const struct control_peer *peer)
{
	char path[64];
	int pid = control_client_pid(peer), fd;

	if (pid < 0)
		return complain(peer->who, pid);
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? complain(path, -errno) : fd;
}

/* With where the guest is to go, and what its RAM is found by; arguments are taken over. */
static json_t *ask(struct control_peer *peer, const char *what, json_t *arguments, int fd)
{
	json_t *result;

	peer->hand[0] = fd;
	peer->hand[1] = pagemap_of(peer);
	peer->hand_count = 2;
	if (peer->hand[1] < 0) {
		json_decref(arguments);
		return NULL;
	}
	result = control_client_ask(peer, what, arguments, -1);
	close(peer->hand[1]);
	return result;
}

static int64_t number(const json_t *result, const char *name)
{
	return json_integer_value(json_object_get(result, name));
}

/* Snapshots. */

static void say(const struct request *request, const json_t *result)
{
	const int64_t paused = number(result, "paused_ns");

	printf("Guest %s saved to %s: %" PRId64 " MiB of RAM, paused for %" PRId64 ".%03d ms%s\n",
	       request->name, request->file, number(result, "ram_bytes") >> 20, paused / 1000000,
	       (int)(paused / 1000 % 1000), request->stop ? ", and ended" : "");
}

static json_t *arguments(const struct request *request)
{
	json_t *arguments = json_pack("{sbsb}", "stop", request->stop, "track", request->track);

	if (request->base)
		json_object_set_new(arguments, "base", json_string(request->base_id));
	return arguments;
}

static int save(const struct request *request, struct control_peer *peer, struct file_new *file)
{
	json_t *result = ask(peer, "snapshot", arguments(request), file->fd);
	int err;

	if (!result)
		return -EIO;
	err = file_new_keep(file);
	if (err == 0)
		say(request, result);
	json_decref(result);
	return err;
}

static bool is_same_file(const char *one, const char *other)
{
	struct stat first, second;

	return stat(one, &first) == 0 && stat(other, &second) == 0 &&
	       first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

/* Errors: -errno, said. */
static int find_base(struct request *request)
{
	struct snapshot_id id;
	int err;

	if (is_same_file(request->base, request->file)) {
		log_error("%s: is the base, without which an increment is of no use; give another "
			  "file",
			  request->file);
		return -EINVAL;
	}
	err = snapshot_identify(request->base, &id);
	for (size_t i = 0; err == 0 && i < sizeof(id.bytes); i++)
		snprintf(request->base_id + 2 * i, 3, "%02x", id.bytes[i]);
	return err;
}

static int act(const struct request *request)
{
	struct control_peer peer;
	struct file_new file;
	int err = control_client_open(&peer, request->name, false);

	if (err < 0)
		return status_of_error(err, STATUS_USAGE);
	if (file_new_open(&file, request->file) < 0) {
		control_client_close(&peer);
		return STATUS_USAGE;
	}
	err = save(request, &peer, &file);
	file_new_close(&file);
	control_client_close(&peer);
	return err < 0 ? STATUS_HOST : STATUS_OK;
}

static const struct option_row rows[] = {
	{ OPTION("stop", 0, NULL, "the guest ends when it is saved"),
	  OPTION_FLAG(struct request, stop, true) },
	{ OPTION("track", 0, NULL,
		 "what the guest writes from then on is logged, so that FILE can be a base"),
	  OPTION_FLAG(struct request, track, true) },
	{ OPTION("base", 0, "BASE",
		 "save what has changed since BASE was made, with --track or --base; restore wants "
		 "BASE as well then, and this one can be a base in turn"),
	  OPTION_TEXT(struct request, base), OPTION_FILE },
};

static const struct option_group groups[] = { { rows, ARRAY_SIZE(rows) } };

static const struct options options = {
	.command = "snapshot",
	.groups = groups,
	.group_count = ARRAY_SIZE(groups),
	.names = OPTION_NAMES_FILE,
	.takes_second = true,
};

static int run(enum config_flavour flavour, int argc, char **argv)
{
	struct request request = { .name = NULL };
	struct options_words words;
	const int result = options_parse(&options, &request, argc, argv, &words);

	(void)flavour;
	if (result == OPTIONS_HELP)
		return cmd_help_print(&cmd_snapshot);
	if (result < 0)
		return STATUS_USAGE;
	if (!words.second) {
		log_error("snapshot takes a guest, by its name or the path of its socket, and a "
			  "file to save it to");
		return STATUS_USAGE;
	}
	request.name = words.word;
	request.file = words.second;
	if (request.stop && request.track) {
		log_error("--track with --stop: a guest that ends writes nothing more");
		return STATUS_USAGE;
	}
	if (request.base && find_base(&request) < 0)
		return STATUS_USAGE;
	return act(&request);
}

const struct command cmd_snapshot = {
	.options = &options,
	.arguments = "[OPTIONS] NAME FILE",
	.summary = "save a running guest to a file",
	.about =
		"Saves a guest, as it is, to a file from which restore starts it again. Its RAM is "
		"written while it runs; then its vCPUs are kept from running for as long as it "
		"takes to save the rest, and go on. What is on its disks is not saved.",
	.more = "Exit status: 0 it was saved, 2 the command line is wrong or there is no such "
		"guest, 3 the guest's nidus does not answer, or refuses, or the file cannot be "
		"written; then there is no such file.",
	.run = run,
};

/* Moves. */

static void say_moved(const struct request *request, const json_t *result)
{
	printf("Guest %s moved to %s: %" PRId64 " MiB in %" PRId64 " rounds, paused for %" PRId64
	       " ms\n",
	       request->name, request->to, number(result, "sent_bytes") >> 20,
	       number(result, "rounds"), number(result, "paused_ns") / 1000000);
}

static int move_to(const struct request *request, struct control_peer *peer, int fd)
{
	json_t *arguments =
		request->timeout ? json_pack("{si}", "timeout", (int)request->timeout) : NULL;
	json_t *result = ask(peer, "migrate", arguments, fd);

	if (!result)
		return STATUS_HOST;
	say_moved(request, result);
	json_decref(result);
	return STATUS_OK;
}

static int move(const struct request *request)
{
	struct control_peer peer;
	int err = control_client_open(&peer, request->name, false), fd, status;

	if (err < 0)
		return status_of_error(err, STATUS_USAGE);
	fd = migration_place_connect(request->to);
	if (fd < 0) {
		control_client_close(&peer);
		return fd == -EINVAL ? STATUS_USAGE : STATUS_HOST;
	}
	status = move_to(request, &peer, fd);
	close(fd);
	control_client_close(&peer);
	return status;
}

static const struct option_row migrate_rows[] = {
	{ OPTION("timeout", 0, "SECONDS",
		 "give up where the other side does nothing for so long; no longer is the guest "
		 "kept from running before it is the other side's (30)"),
	  OPTION_NUMBER(struct request, timeout, 1, 86400) },
};

static const struct option_group migrate_groups[] = {
	{ migrate_rows, ARRAY_SIZE(migrate_rows) },
};

static const struct options migrate_options = {
	.command = "migrate",
	.groups = migrate_groups,
	.group_count = ARRAY_SIZE(migrate_groups),
	.names = OPTION_NAMES_FILE,
	.takes_second = true,
};

static int migrate(enum config_flavour flavour, int argc, char **argv)
{
	struct request request = { .name = NULL };
	struct options_words words;
	const int result = options_parse(&migrate_options, &request, argc, argv, &words);

	(void)flavour;
	if (result == OPTIONS_HELP)
		return cmd_help_print(&cmd_migrate);
	if (result < 0)
		return STATUS_USAGE;
	if (!words.second) {
		log_error("migrate takes a guest, by its name or the path of its socket, and where "
			  "it is to go: unix:PATH, tcp:ADDRESS:PORT or exec:COMMAND");
		return STATUS_USAGE;
	}
	request.name = words.word;
	request.to = words.second;
	return move(&request);
}

const struct command cmd_migrate = {
	.options = &migrate_options,
	.arguments = "[OPTIONS] NAME unix:PATH|tcp:ADDRESS:PORT|exec:COMMAND",
	.summary = "move a running guest to another nidus",
	.about = "Moves a guest, while it runs, to a nidus that waits for it (restore --from), on "
		 "this machine or another one. It is kept from running only at the end, and ends "
		 "here when it runs there. Whoever ends migrate before that calls it off.",
	.more = "Exit status: 0 it has moved, 2 the command line is wrong or there is no such "
		"guest, 3 it has not, and goes on, or is paused because nobody knows whether it "
		"runs there, which is said.",
	.run = migrate,
};
