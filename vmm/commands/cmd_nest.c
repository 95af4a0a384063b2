// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "commands/command.h"
#include "host/file.h"
#include "host/log.h"
#include "machine/session.h"
#include "nest/nest_watch.h"
#include "snapshot/snapshot.h"
#include "util.h"

/* RAM without --mem: of the innermost level, and how much more each level around it has. */
#define MEM_INNERMOST MIB(256)
#define MEM_STEP      MIB(512)

#define FILES_MAX 32

struct request {
	struct nest nest;
	unsigned int depth; /* 0: a nest file says that */
	uint64_t mem; /* bytes, of the innermost level; 0: not given */
	bool net; /* one of its own choice */
	const char *json;
	const char *save; /* file, or NULL */
	const char *from; /* or NULL */
	const char *gdb; /* of level 1; or NULL */
	bool gdb_wait;
	const char *files[FILES_MAX]; /* for the innermost level */
	unsigned int file_count;
};

/* These are keys of a level as well, and hold for every level that says nothing else. */

static int set_default(void *object, const char *key, const char *value)
{
	struct request *request = object;

	return nest_set(&request->nest, 0, key, value);
}

static int set_kernel(void *object, const char *text)
{
	return set_default(object, "kernel", text);
}

static int set_cpus(void *object, const char *text)
{
	return set_default(object, "cpus", text);
}

static int set_params(void *object, const char *text)
{
	return set_default(object, "params", text);
}

static int set_time_limit(void *object, const char *text)
{
	return set_default(object, "time-limit", text);
}

static int set_net(void *object, const char *text)
{
	return set_default(object, "net", text);
}

static int set_root(void *object, const char *text)
{
	return set_default(object, "root", text);
}

static int set_mem(void *object, const char *text)
{
	struct request *request = object;

	return config_parse_mem(text, &request->mem);
}

static int add_file(void *object, const char *text)
{
	struct request *request = object;

	if (request->file_count == FILES_MAX) {
		log_error("--file %s: there are %d files already, and no more than that", text,
			  FILES_MAX);
		return -EINVAL;
	}
	request->files[request->file_count++] = text;
	return 0;
}

static const struct option_row rows[] = {
	{ OPTION("kernel", 'k', "FILE",
		 "kernel of every level: Linux, with KVM in all but the innermost"),
	  OPTION_CALL(set_kernel), OPTION_FILE },
	{ OPTION("depth", 0, "N", "number of levels, 1 to 8"),
	  OPTION_NUMBER(struct request, depth, 1, NEST_LEVELS_MAX) },
	{ OPTION("mem", 'm', "SIZE",
		 "RAM of the innermost level; each around it has 512M more (256M)"),
	  OPTION_CALL(set_mem) },
	{ OPTION("cpus", 'c', "N", "number of vCPUs of every level (1)"), OPTION_CALL(set_cpus) },
	{ OPTION("params", 'p', "TEXT", "more parameters for every level's kernel"),
	  OPTION_CALL(set_params) },
	{ OPTION("net", 0, NULL, "a network for the innermost level, on passt, as --network user"),
	  OPTION_FLAG(struct request, net, true) },
	{ OPTION("network", 'n', "mode=user|tap[,KEY=VALUE]...",
		 "the same with the words of run --network, of which guest_ip and host_ip are for "
		 "the innermost level"),
	  OPTION_CALL(set_net) },
	{ OPTION("root", 0, "DIR",
		 "a directory that is the innermost level's root; nothing is written to it"),
	  OPTION_CALL(set_root), OPTION_DIRECTORY },
	{ OPTION("file", 0, "FILE[:PATH]",
		 "a file to carry to the innermost level, and where it is to be there; up to 32 "
		 "times (/bin/NAME)"),
	  OPTION_CALL(add_file), OPTION_FILE },
	{ OPTION("time-limit", 0, "SECONDS",
		 "how long each level may take, with all inside it (120)"),
	  OPTION_CALL(set_time_limit) },
	{ OPTION("name", 0, "NAME",
		 "a name for level 1's guest, by which it is watched and controlled"),
	  OPTION_TEXT(struct request, nest.name) },
	{ OPTION("control", 0, "PATH", "the socket for that (that of its name)"),
	  OPTION_TEXT(struct request, nest.control), OPTION_FILE },
	{ OPTION("gdb", 0, "WHERE",
		 "listen for a debugger of level 1 and of what runs inside it: tcp:PORT of this "
		 "machine, unix:PATH or fd:N, an open socket (none)"),
	  OPTION_TEXT(struct request, gdb) },
	{ OPTION("gdb-wait", 0, NULL, "level 1 begins when a debugger lets it"),
	  OPTION_FLAG(struct request, gdb_wait, true) },
	{ OPTION("save", 0, "FILE",
		 "when all levels are up, save the nest to a file, from which --from has it up "
		 "again at once, and end; the innermost level has run no command yet"),
	  OPTION_TEXT(struct request, save), OPTION_FILE },
	{ OPTION("from", 0, "FILE",
		 "a nest that --save has saved, in place of one that is started; COMMAND runs in "
		 "its innermost level"),
	  OPTION_TEXT(struct request, from), OPTION_FILE },
	{ OPTION("json", 0, "FILE",
		 "write to a file what the table at the end says, and the statistics of each "
		 "level"),
	  OPTION_TEXT(struct request, json), OPTION_FILE },
};

static const struct option_group groups[] = { { rows, ARRAY_SIZE(rows) } };

static const struct options options = {
	.command = "nest",
	.groups = groups,
	.group_count = ARRAY_SIZE(groups),
	.names = OPTION_NAMES_FILE,
	.takes_command = true,
};

/* As many levels as --depth says, each with room for those inside it. */
static int add_levels(struct request *request)
{
	const uint64_t innermost = request->mem ? request->mem : MEM_INNERMOST;
	int err = 0;

	for (unsigned int level = 1; level <= request->depth && err == 0; level++) {
		char mem[32];

		snprintf(mem, sizeof(mem), "%" PRIu64 "B",
			 innermost + (request->depth - level) * MEM_STEP);
		err = nest_add_level(&request->nest);
		if (err == 0)
			err = nest_set(&request->nest, level, "memory", mem);
	}
	return err;
}

static int give_innermost(struct request *request, const struct options_words *words)
{
	struct nest *nest = &request->nest;
	int err = 0;

	for (unsigned int i = 0; i < request->file_count && err == 0; i++)
		err = nest_set(nest, nest->depth, "file", request->files[i]);
	if (err == 0 && words->argc > 0)
		err = nest_set_command(nest, nest->depth, words->argc, words->argv);
	return err;
}

/* Where the levels come from: a file, or their number. */
static int plan_levels(struct request *request, const char *file)
{
	if (!file && !request->depth) {
		log_error("no nest: give a nest file, or --kernel FILE --depth N");
		return -EINVAL;
	}
	if (file && (request->depth || request->mem)) {
		log_error("--%s with nest file %s, which says that: leave one of them out",
			  request->depth ? "depth" : "mem", file);
		return -EINVAL;
	}
	return file ? nest_read_file(&request->nest, file) : add_levels(request);
}

/* Everything that can be found out before anything starts. */
static int plan(struct request *request, const struct options_words *words)
{
	int err = plan_levels(request, words->word);

	if (err == 0 && request->net && !request->nest.net)
		err = set_net(request, "mode=user");
	if (err == 0 && request->gdb)
		err = nest_set(&request->nest, 1, "gdb", request->gdb);
	if (err == 0 && request->gdb_wait)
		err = nest_set(&request->nest, 1, "options", "--gdb-wait");
	if (err == 0)
		err = give_innermost(request, words);
	if (err == 0)
		err = nest_add_root(&request->nest);
	if (err == 0)
		err = nest_check(&request->nest);
	if (err == 0 && request->json)
		err = file_check(request->json);
	return err;
}

/* What makes no sense together. */
static int check_saving(const struct request *request, const struct options_words *words)
{
	if (request->save && (request->json || words->argc > 0)) {
		log_error("--save with %s: the nest is only saved; --from then runs a command",
			  request->json ? "--json" : "a command");
		return -EINVAL;
	}
	if (!request->from)
		return 0;
	if (request->save || words->word || request->depth || request->mem ||
	    request->nest.defaults.kernel >= 0 || request->file_count > 0 || request->net ||
	    request->nest.net || request->nest.root || request->gdb) {
		log_error("--from %s: what the nest is was saved with it; besides there may be "
			  "--name, --control, --json and a command",
			  request->from);
		return -EINVAL;
	}
	if (words->argc == 0) {
		log_error("--from %s: give a command for the innermost level, after --",
			  request->from);
		return -EINVAL;
	}
	return 0;
}

static int run_from(struct request *request, const struct options_words *words)
{
	const struct nest asked = request->nest;
	struct snapshot snapshot;
	int result = snapshot_open(&snapshot, request->from);

	if (result < 0)
		return nest_status(result);
	result = snapshot_join(&snapshot, NULL, 0);
	if (result == 0)
		result = nest_read_snapshot(&request->nest, &snapshot);
	if (result == 0) {
		request->nest.name = asked.name;
		request->nest.control = asked.control;
		result = nest_set_command(&request->nest, request->nest.depth, words->argc,
					  words->argv);
	}
	result = result < 0 ? nest_status(result) : nest_watch(&request->nest, request->json);
	snapshot_close(&snapshot);
	return result;
}

static int run_request(struct request *request, int argc, char **argv)
{
	struct options_words words;
	int result = options_parse(&options, request, argc, argv, &words);

	if (result == OPTIONS_HELP)
		return cmd_help_print(&cmd_nest);
	if (result == 0)
		result = check_saving(request, &words);
	if (result == 0 && request->from)
		return run_from(request, &words);
	if (result == 0)
		result = plan(request, &words);
	if (result < 0)
		return nest_status(result);
	return request->save ? nest_watch_save(&request->nest, request->save)
			     : nest_watch(&request->nest, request->json);
}

static int run(enum config_flavour flavour, int argc, char **argv)
{
	struct request request = { .depth = 0 };
	int status;

	(void)flavour;
	nest_create(&request.nest);
	status = run_request(&request, argc, argv);
	nest_destroy(&request.nest);
	return status;
}

const struct command cmd_nest = {
	.options = &options,
	.arguments = "[OPTIONS] [FILE | -- COMMAND]",
	.summary = "start virtual machines inside each other",
	.about = "Starts virtual machines inside each other, each level run by a nidus of its own "
		 "in the level around it, and tells what each cost. Its levels are those of a nest "
		 "file (man nidus), or as many as --depth says. COMMAND runs in the innermost "
		 "level.",
	.more = "Consoles of all levels go to standard output, the table to standard error.\n"
		"\n"
		"Exit status: 0 every level did what it was to do, 1 one did not, 2 the command "
		"line or a file that it names is wrong, 3 the host lacks or refuses something, "
		"128 + N signal N ended nidus.",
	.run = run,
};
