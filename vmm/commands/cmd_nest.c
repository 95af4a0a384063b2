// SPDX-License-Identifier: GPL-2.0-only
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands/command.h"
#include "host/file.h"
#include "host/log.h"
#include "machine/session.h"
#include "nest/nest_watch.h"
#include "util.h"

/* Without --mem: of the innermost level, and how much more each around it has. */
#define MEM_INNERMOST "256M"
#define MEM_STEP      MIB(512)

#define FILES_MAX 32

/* What getopt_long() calls a word that is no option's, when it is to tell of these in their place.
 */
#define NO_OPTION 1

struct request {
	const char *file, *depth, *mem, *json;
	const char *files[FILES_MAX]; /* for the innermost level */
	unsigned int file_count;
};

static const struct option options[] = {
	{ "kernel", required_argument, NULL, 'k' },
	{ "depth", required_argument, NULL, 'd' },
	{ "mem", required_argument, NULL, 'm' },
	{ "cpus", required_argument, NULL, 'c' },
	{ "params", required_argument, NULL, 'p' },
	{ "file", required_argument, NULL, 'f' },
	{ "time-limit", required_argument, NULL, 't' },
	{ "json", required_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* Those that are keys of a level as well, and hold for every level that says nothing else. */
static bool set_default(struct nest *nest, int letter, const char *value)
{
	const char *const key = letter == 'k'	? "kernel"
				: letter == 'c' ? "cpus"
				: letter == 'p' ? "params"
						: "time-limit";

	return nest_set(nest, 0, key, value);
}

static bool add_file(struct request *request, const char *value)
{
	if (request->file_count == FILES_MAX) {
		log_error("--file %s: there are %d files already, and no more than that", value,
			  FILES_MAX);
		return false;
	}
	request->files[request->file_count++] = value;
	return true;
}

static bool take_nest_file(struct request *request, const char *name)
{
	if (request->file) {
		log_error("%s: nest takes one file, which is %s here; a command comes after --",
			  name, request->file);
		return false;
	}
	request->file = name;
	return true;
}

static enum config_result parse_option(struct nest *nest, struct request *request, int letter,
				       char **argv)
{
	switch (letter) {
	case 'h':
		return CONFIG_HELP;
	case 'd':
		request->depth = optarg;
		return CONFIG_OK;
	case 'm':
		request->mem = optarg;
		return CONFIG_OK;
	case 'j':
		request->json = optarg;
		return CONFIG_OK;
	case NO_OPTION:
		return take_nest_file(request, optarg) ? CONFIG_OK : CONFIG_ERROR;
	case 'f':
		return add_file(request, optarg) ? CONFIG_OK : CONFIG_ERROR;
	case ':':
		log_error("%s: needs an argument", argv[optind - 1]);
		return CONFIG_ERROR;
	case '?':
		log_error("%s: not an option of nest (nidus help nest lists them)",
			  argv[optind - 1]);
		return CONFIG_ERROR;
	default:
		return set_default(nest, letter, optarg) ? CONFIG_OK : CONFIG_ERROR;
	}
}

static enum config_result parse(struct nest *nest, struct request *request, int argc, char **argv)
{
	enum config_result result = CONFIG_OK;

	opterr = 0;
	optind = 0;
	while (result == CONFIG_OK) {
		int letter = getopt_long(argc, argv, "-:k:m:c:p:h", options, NULL);

		if (letter == -1)
			break;
		result = parse_option(nest, request, letter, argv);
	}
	return result;
}

/* Bytes, as `run` understands them. */
static bool parse_mem(const char *text, uint64_t *bytes)
{
	char *const argv[] = { "run", "--kernel", "-", "--mem", (char *)text, NULL };
	struct config config;

	if (config_parse(&config, CONFIG_NIDUS, ARRAY_SIZE(argv) - 1, (char **)argv) != CONFIG_OK)
		return false;
	*bytes = config.mem_size;
	return true;
}

/* As many levels as --depth says, each with room for those inside it. */
static bool add_levels(struct nest *nest, const struct request *request)
{
	char *end;
	unsigned long depth = strtoul(request->depth, &end, 10);
	uint64_t innermost;

	if (*request->depth < '0' || *request->depth > '9' || *end || depth < 1 ||
	    depth > NEST_LEVELS_MAX) {
		log_error("--depth %s: must be a number from 1 to %d", request->depth,
			  NEST_LEVELS_MAX);
		return false;
	}
	if (!parse_mem(request->mem ? request->mem : MEM_INNERMOST, &innermost))
		return false;
	for (unsigned int level = 1; level <= depth; level++) {
		char mem[32];

		snprintf(mem, sizeof(mem), "%" PRIu64 "B", innermost + (depth - level) * MEM_STEP);
		if (!nest_add_level(nest) || !nest_set(nest, level, "memory", mem))
			return false;
	}
	return true;
}

static bool give_innermost(struct nest *nest, const struct request *request, int argc, char **argv)
{
	const unsigned int level = nest_depth(nest);

	for (unsigned int i = 0; i < request->file_count; i++)
		if (!nest_set(nest, level, "file", request->files[i]))
			return false;
	return argc == 0 || nest_set_command(nest, level, argc, argv);
}

/* Where the levels come from: a file, or their number. */
static bool plan_levels(struct nest *nest, const struct request *request)
{
	const char *file = request->file;

	if (!file && !request->depth) {
		log_error("no nest: give a nest file, or --kernel FILE --depth N");
		return false;
	}
	if (file && (request->depth || request->mem)) {
		log_error("--%s with nest file %s, which says that: leave one of them out",
			  request->depth ? "depth" : "mem", file);
		return false;
	}
	return file ? nest_read_file(nest, file) : add_levels(nest, request);
}

/* argv: the command. */
static bool plan(struct nest *nest, const struct request *request, int argc, char **argv)
{
	return plan_levels(nest, request) && give_innermost(nest, request, argc, argv) &&
	       nest_check(nest);
}

int cmd_nest(enum config_flavour flavour, int argc, char **argv)
{
	struct request request = { .file = NULL };
	int status = STATUS_USAGE;
	struct nest nest;

	if (nest_create(&nest) < 0)
		return STATUS_HOST;
	switch (parse(&nest, &request, argc, argv)) {
	case CONFIG_HELP:
		status = cmd_help(flavour, argc, argv);
		break;
	case CONFIG_ERROR:
		break;
	case CONFIG_OK:
		if (plan(&nest, &request, argc - optind, argv + optind) &&
		    (!request.json || file_check(request.json) == 0))
			status = nest_watch(&nest, request.json);
		break;
	}
	nest_destroy(&nest);
	return status;
}

void cmd_nest_help(void)
{
	puts("\nStarts virtual machines inside each other, each level run by a nidus of its own in\n"
	     "the level around it, and tells what each cost. Its levels are those of a nest file\n"
	     "(man nidus), or as many as --depth says. COMMAND runs in the innermost level.\n"
	     "\n"
	     "  -k, --kernel FILE           kernel of every level: Linux, with KVM in all but the\n"
	     "                              innermost\n"
	     "      --depth N               number of levels, 1 to 8\n"
	     "  -m, --mem SIZE              RAM of the innermost level; each around it has 512M\n"
	     "                              more (256M)\n"
	     "  -c, --cpus N                number of vCPUs of every level (1)\n"
	     "  -p, --params TEXT           more parameters for every level's kernel\n"
	     "      --file FILE[:PATH]      a file to carry to the innermost level, and where it is\n"
	     "                              to be there; repeatable (/bin/NAME)\n"
	     "      --time-limit SECONDS    how long each level may take, with all inside it (120)\n"
	     "      --json FILE             write to a file what the table at the end says, and\n"
	     "                              the statistics of each level\n"
	     "\n"
	     "Consoles of all levels go to standard output, the table to standard error.\n"
	     "\n"
	     "Exit status: 0 every level did what it was to do, 1 one did not, 2 the command line\n"
	     "or a file that it names is wrong, 3 the host lacks or refuses something, 128 + N\n"
	     "signal N ended nidus.");
}
