// SPDX-License-Identifier: GPL-2.0-only
#include "nest/nest.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/limits.h"
#include "host/log.h"
#include "init/init_device.h"
#include "machine/session.h"
#include "nest_net.h"
#include "nest_plan.h"
#include "options/number.h"
#include "root/root_program.h"
#include "served/served.h"
#include "snapshot/snapshot.h"
#include "util.h"

#define TIME_LIMIT 120 /* seconds */
#define BLANKS	   " \t"

/* The one error that what is below does not say. */
static int tell(int err)
{
	if (err == -ENOMEM)
		log_error("nest: %s", strerror(ENOMEM));
	return err;
}

int nest_status(int err)
{
	return limits_missing(err) || err == -ENOPKG ? STATUS_HOST : STATUS_USAGE;
}

/* Levels. */

void nest_create(struct nest *nest)
{
	*nest = (struct nest){
		.defaults = { .kernel = -1, .hypervisor = -1, .time_limit = TIME_LIMIT },
		.save_fd = -1,
	};
}

static void level_clear(struct nest_level *level)
{
	word_list_clear(&level->options);
	word_list_clear(&level->command);
	free(level->params);
	free(level->hypervisor_params);
	for (unsigned int i = 0; i < level->file_count; i++)
		free(level->files[i].path);
	free(level->files);
}

void nest_destroy(struct nest *nest)
{
	word_list_clear(&nest->sources);
	level_clear(&nest->defaults);
	for (unsigned int i = 0; i < nest->depth; i++)
		level_clear(&nest->levels[i]);
	free(nest->root);
	free(nest->net);
	word_list_clear(&nest->passthrough);
	word_list_clear(&nest->taken);
}

static int level_add_file(struct nest_level *level, unsigned int source, const char *path)
{
	struct nest_file *files =
		realloc(level->files, (level->file_count + 1) * sizeof(*level->files));
	char *copy = strdup(path);

	if (files)
		level->files = files;
	if (!files || !copy) {
		free(copy);
		return -ENOMEM;
	}
	files[level->file_count++] = (struct nest_file){ source, copy };
	return 0;
}

/* Puts a copy of value in place of what member, malloc()ed or NULL, is. */
static int set_text(char **member, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*member);
	*member = copy;
	return 0;
}

/* to is empty. */
static int level_copy(struct nest_level *to, const struct nest_level *from)
{
	int err = word_list_add_all(&to->options, &from->options);

	to->kernel = from->kernel;
	to->hypervisor = from->hypervisor;
	to->time_limit = from->time_limit;
	if (err == 0)
		err = word_list_add_all(&to->command, &from->command);
	if (err == 0 && from->params)
		err = set_text(&to->params, from->params);
	if (err == 0 && from->hypervisor_params)
		err = set_text(&to->hypervisor_params, from->hypervisor_params);
	for (unsigned int i = 0; i < from->file_count && err == 0; i++)
		err = level_add_file(to, from->files[i].source, from->files[i].path);
	return err;
}

int nest_add_level(struct nest *nest)
{
	if (nest->depth == NEST_LEVELS_MAX) {
		log_error("a nest has no more than %d levels", NEST_LEVELS_MAX);
		return -E2BIG;
	}
	return tell(level_copy(&nest->levels[nest->depth++], &nest->defaults));
}

/* Setting. */

/* A file that is to be carried; each is once. Returns its number, or -ENOMEM. */
static int add_source(struct nest *nest, const char *path)
{
	int err;

	for (unsigned int i = 0; i < nest->sources.count; i++)
		if (strcmp(nest->sources.words[i], path) == 0)
			return i;
	err = word_list_add(&nest->sources, path, strlen(path));
	return err < 0 ? err : (int)nest->sources.count - 1;
}

static int add_word(struct word_list *list, const char *word)
{
	return word_list_add(list, word, strlen(word));
}

static int add_words(struct word_list *list, const char *text)
{
	int err = 0;

	for (text += strspn(text, BLANKS); *text && err == 0; text += strspn(text, BLANKS)) {
		const size_t length = strcspn(text, BLANKS);

		err = word_list_add(list, text, length);
		text += length;
	}
	return err;
}

static int add_option(struct word_list *list, const char *option, const char *value)
{
	const int err = add_word(list, option);

	return err < 0 ? err : add_word(list, value);
}

static int set_kernel(struct nest *nest, struct nest_level *level, const char *value)
{
	const int source = add_source(nest, value);

	if (source < 0)
		return source;
	level->kernel = source;
	return 0;
}

static int set_params(struct nest *nest, struct nest_level *level, const char *value)
{
	(void)nest;
	return set_text(&level->params, value);
}

/* FILE, and what it is told, parted by a blank. */
static int set_hypervisor(struct nest *nest, struct nest_level *level, const char *value)
{
	const size_t length = strcspn(value, BLANKS);
	char *path = strndup(value, length);
	int source = path ? add_source(nest, path) : -ENOMEM;

	free(path);
	if (source < 0)
		return source;
	level->hypervisor = source;
	return set_text(&level->hypervisor_params, value + length + strspn(value + length, BLANKS));
}

static int set_options(struct nest *nest, struct nest_level *level, const char *value)
{
	(void)nest;
	return add_words(&level->options, value);
}

/* Whether nidus as init would mount something over a file at path. */
static bool is_hidden(const char *path)
{
	static const char *const mounts[] = { "/dev/", "/proc/", "/sys/" };

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++)
		if (strncmp(path, mounts[i], strlen(mounts[i])) == 0)
			return true;
	return false;
}

static int add_file(struct nest *nest, struct nest_level *level, const char *source,
		    const char *path)
{
	const int number = add_source(nest, source);

	return number < 0 ? number : level_add_file(level, number, path);
}

/* SOURCE[:PATH] */
static int set_file(struct nest *nest, struct nest_level *level, const char *value)
{
	const char *colon = strchr(value, ':');
	char *source = strndup(value, colon ? (size_t)(colon - value) : strlen(value));
	char *path = NULL;
	int err = -ENOMEM;

	if (!source)
		return -ENOMEM;
	if (colon && is_hidden(colon + 1)) {
		log_error("file %s: what is in /dev, /proc and /sys comes from the kernel", value);
		err = -EINVAL;
	} else if (asprintf(&path, "%s%s", colon ? "" : "/bin/",
			    colon ? colon + 1 : basename(source)) >= 0) {
		err = add_file(nest, level, source, path);
		free(path);
	}
	free(source);
	return err;
}

static int set_command(struct nest *nest, struct nest_level *level, const char *value)
{
	(void)nest;
	word_list_clear(&level->command);
	return add_words(&level->command, value);
}

static int set_time_limit(struct nest *nest, struct nest_level *level, const char *value)
{
	uint64_t seconds;

	(void)nest;
	if (number_parse(value, 1, NEST_TIME_LIMIT_MAX, &seconds) < 0) {
		log_error("time-limit %s: must be a number of seconds from 1 to %d", value,
			  NEST_TIME_LIMIT_MAX);
		return -EINVAL;
	}
	level->time_limit = seconds;
	return 0;
}

/* The nest's, since a level's is the one of the level around it. */
static int set_net(struct nest *nest, struct nest_level *level, const char *value)
{
	struct config_network network;
	char *copy;
	int err;

	(void)level;
	copy = strdup(value);
	err = copy ? config_parse_network(&network, copy) : -ENOMEM;
	free(copy);
	if (err < 0)
		return err;
	if (network.mode != NETWORK_NONE)
		return set_text(&nest->net, value);
	free(nest->net);
	nest->net = NULL;
	return 0;
}

/* The nest's as well: each level hands it down to the next. */
static int set_root(struct nest *nest, struct nest_level *level, const char *value)
{
	(void)level;
	if (strchr(value, ',')) {
		log_error("root %s: is a directory and nothing else, without a comma; a nest only "
			  "reads it",
			  value);
		return -EINVAL;
	}
	return set_text(&nest->root, value);
}

/* Likewise: what level 1 has each level hands on. */
static int set_passthrough(struct nest *nest, struct nest_level *level, const char *value)
{
	(void)level;
	if (!init_device_is_name(value)) {
		log_error("passthrough %s: must be disk0, net0, or another number of these", value);
		return -EINVAL;
	}
	if (nest_hands_on(nest, value)) {
		log_error("passthrough %s: is there already", value);
		return -EINVAL;
	}
	return add_word(&nest->passthrough, value);
}

/* Some are another name of an option of run. */
static const struct {
	const char *name;
	const char *option; /* or NULL */
	bool whole; /* it is the nest's, and no level has one of its own */
	int (*set)(struct nest *nest, struct nest_level *level, const char *value);
} keys[] = {
	{ "kernel", NULL, false, set_kernel },
	{ "memory", "--mem", false, NULL },
	{ "cpus", "--cpus", false, NULL },
	{ "disk", "--disk", false, NULL },
	{ "console", "--console", false, NULL },
	{ "gdb", "--gdb", false, NULL },
	{ "params", NULL, false, set_params },
	{ "hypervisor", NULL, false, set_hypervisor },
	{ "file", NULL, false, set_file },
	{ "command", NULL, false, set_command },
	{ "time-limit", NULL, false, set_time_limit },
	{ "options", NULL, false, set_options },
	{ "net", NULL, true, set_net },
	{ "root", NULL, true, set_root },
	{ "passthrough", NULL, true, set_passthrough },
};

/* The plan travels as JSON, which has no other strings. */
static int check_text(const char *key, const char *value)
{
	json_t *string = json_string(value);

	json_decref(string);
	if (string)
		return 0;
	log_error("%s: must be UTF-8", key);
	return -EINVAL;
}

static int check_value(const char *key, const char *value)
{
	if (*value)
		return check_text(key, value);
	log_error("%s: has no value", key);
	return -EINVAL;
}

static struct nest_level *level_of(struct nest *nest, unsigned int level)
{
	return level == 0 ? &nest->defaults : &nest->levels[level - 1];
}

int nest_set(struct nest *nest, unsigned int level, const char *key, const char *value)
{
	struct nest_level *object = level_of(nest, level);

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].name, key) != 0)
			continue;
		if (check_value(key, value) < 0)
			return -EINVAL;
		if (keys[i].whole && level > 0) {
			log_error("%s: is for the whole nest, and stands outside of its levels",
				  key);
			return -EINVAL;
		}
		return tell(keys[i].option ? add_option(&object->options, keys[i].option, value)
					   : keys[i].set(nest, object, value));
	}
	log_error(
		"%s: a level has no such thing; there are kernel, memory, cpus, disk, console, gdb, "
		"params, hypervisor, file, command, time-limit and options, and of the whole nest "
		"net, root and passthrough",
		key);
	return -EINVAL;
}

bool nest_hands_on(const struct nest *nest, const char *device)
{
	for (unsigned int i = 0; i < nest->passthrough.count; i++)
		if (strcmp(nest->passthrough.words[i], device) == 0)
			return true;
	return false;
}

/* Which one of its kind a device is where only those are that were handed on. */
static unsigned int rank(const struct nest *nest, unsigned int index)
{
	const char *name = nest->passthrough.words[index];
	unsigned int before = 0;

	for (unsigned int i = 0; i < index; i++)
		before += strncmp(nest->passthrough.words[i], name, strlen(name) - 1) == 0;
	return before;
}

int nest_take_devices(struct nest *nest, unsigned int level)
{
	char address[INIT_DEVICE_ADDRESS], name[16];
	int err = 0;

	for (unsigned int i = 0; i < nest->passthrough.count && err == 0; i++) {
		const char *named = nest->passthrough.words[i];

		snprintf(name, sizeof(name), "%s", named);
		if (level > 1)
			snprintf(name, sizeof(name), "%.*s%u", (int)strlen(named) - 1, named,
				 rank(nest, i));
		err = init_device_take(name, address);
		if (err == 0)
			err = tell(add_word(&nest->taken, address));
	}
	return err;
}

int nest_set_command(struct nest *nest, unsigned int level, int argc, char **argv)
{
	struct word_list *command = &level_of(nest, level)->command;
	int err = 0;

	for (int i = 0; i < argc; i++)
		if (check_text("command", argv[i]) < 0)
			return -EINVAL;
	word_list_clear(command);
	for (int i = 0; i < argc && err == 0; i++)
		err = add_word(command, argv[i]);
	return tell(err);
}

/* To where it is found without a PATH, which levels do not all have. */
static int add_virtiofsd(struct nest *nest, struct nest_level *level, const struct word_list *files)
{
	const char *program = files->words[0];
	const char *path = strncmp(program, "/usr/lib", 8) == 0 ? program : SERVED_VIRTIOFSD;
	int err = add_file(nest, level, program, path);

	for (unsigned int i = 1; i < files->count && err == 0; i++)
		err = add_file(nest, level, files->words[i], files->words[i]);
	return tell(err);
}

int nest_add_root(struct nest *nest)
{
	struct word_list files = { 0 };
	char path[PATH_MAX];
	int err = 0;

	/* The innermost hands nothing down. */
	if (!nest->root || nest->depth < 2)
		return 0;
	if (!served_fs_find(path)) {
		log_error("root: there is no virtiofsd here; Debian's package virtiofsd has it");
		return -ENOPKG;
	}
	err = root_program_files(&files, path);
	for (unsigned int level = 1; level < nest->depth && err == 0; level++)
		err = add_virtiofsd(nest, &nest->levels[level - 1], &files);
	word_list_clear(&files);
	return err;
}

/* Using. */

void nest_release(struct nest_words *words)
{
	word_list_clear(&words->list);
}

/* By which level 1 is reached. */
static int add_names(const struct nest *nest, struct word_list *list)
{
	int err = 0;

	if (nest->name)
		err = add_option(list, "--name", nest->name);
	if (err == 0 && nest->control)
		err = add_option(list, "--control", nest->control);
	return err;
}

/* Whether it is made one by the level beneath: not where the device itself is handed on. */
static bool has_network(const struct nest *nest, unsigned int number)
{
	return nest->net && (number == 1 || !nest_hands_on(nest, "net0"));
}

/*
 * The words of `run` that a level is started by. Returns which of them names the kernel, or
 * -ENOMEM.
 */
static int compose_words(const struct nest *nest, unsigned int number, struct word_list *list)
{
	const struct nest_level *level = &nest->levels[number - 1];
	const bool is_first_domain = level->hypervisor >= 0;
	const char *path = nest->sources.words[is_first_domain ? level->hypervisor : level->kernel];
	int kernel, err = add_words(list, "run --kernel");

	kernel = list->count;
	if (err == 0)
		err = add_word(list, path);
	if (err == 0)
		err = add_words(list, "--console virtio --no-reboot");
	if (err == 0 && (number < nest->depth || is_first_domain))
		err = add_words(list, "--nested");
	if (err == 0 && is_first_domain)
		err = add_words(list, "--e2h0");
	if (err == 0 && has_network(nest, number))
		err = add_option(list, "--network", number == 1 ? nest->net : NEST_NET_INNER);
	/* For who hands devices on, an IOMMU; and those that were taken here are the next one's. */
	if (err == 0 && nest->passthrough.count > 0 && number < nest->depth)
		err = add_words(list, "--iommu");
	for (unsigned int i = 0; err == 0 && i < nest->taken.count; i++)
		err = add_option(list, "--vfio", nest->taken.words[i]);
	if (err == 0 && nest->root)
		err = add_option(list, "--root", nest->root);
	if (err == 0)
		err = word_list_add_all(list, &level->options);
	if (err == 0 && number == 1)
		err = add_names(nest, list);
	return err < 0 ? err : kernel;
}

/* Whether a level's root is the nest's. */
static int check_root(const struct nest *nest, const struct config *config)
{
	if (!config->root)
		return 0;
	if (nest->root && strcmp(config->root, nest->root) == 0 && !config->root_writable)
		return 0;
	log_error("--root among the options: it is the whole nest's, root outside of the levels");
	return -EINVAL;
}

/* Whether the options of a level leave alone what is a nest's to say. kernel: its own. */
static int check_config(const struct nest *nest, unsigned int number, const struct config *config,
			const char *kernel)
{
	if (config->kernel != kernel) {
		log_error("--kernel among the options: name it as the level's kernel, or it is "
			  "not carried there");
		return -EINVAL;
	}
	if (config->initrd || config->params || config->report) {
		log_error("--%s among the options: a nest makes that by itself",
			  config->initrd   ? "initrd"
			  : config->params ? "params"
					   : "report");
		return -EINVAL;
	}
	if (nest->levels[number - 1].hypervisor >= 0 && number < nest->depth) {
		log_error("hypervisor: in its first domain there is no KVM, so this level has to "
			  "be the innermost");
		return -EINVAL;
	}
	if (config->e2h0 && number + 1 != nest->depth && nest->levels[number - 1].hypervisor < 0) {
		log_error("--e2h0: an EL2 without VHE is for the last guest hypervisor, which is "
			  "level %u here",
			  nest->depth - 1);
		return -EINVAL;
	}
	return check_root(nest, config);
}

/* Parses a level's options as `run` does; the parameters of the kernel are left out. */
static int parse_level(const struct nest *nest, unsigned int number, struct config *config,
		       struct word_list *list)
{
	int kernel, result;

	if (nest->levels[number - 1].kernel < 0) {
		log_error("no kernel: each level needs one");
		return -EINVAL;
	}
	kernel = compose_words(nest, number, list);
	if (kernel < 0)
		return tell(kernel);
	result = config_parse(config, CONFIG_NIDUS, list->count, list->words);
	if (result == OPTIONS_HELP) {
		log_error("--help among the options: it is none of a level");
		return -EINVAL;
	}
	return result < 0 ? result : check_config(nest, number, config, list->words[kernel]);
}

/* Whether the kernel of a level has to give its own guest an EL2: 0 or 1, or -errno, said. */
static int gives_el2(const struct nest *nest, unsigned int level)
{
	struct config config;
	struct word_list list = { 0 };
	int err;

	if (level == nest->depth)
		return 0;
	err = parse_level(nest, level + 1, &config, &list);
	word_list_clear(&list);
	return err < 0 ? err : config.nested;
}

/* What was for the kernel is for a module, and the hypervisor takes the kernel's place. */
static int start_by_hypervisor(const struct nest *nest, unsigned int number, struct config *config)
{
	const struct nest_level *level = &nest->levels[number - 1];

	if (config->module_count == CONFIG_MODULES_MAX) {
		log_error("--module among the options: with a hypervisor there may be %d only",
			  CONFIG_MODULES_MAX - 1);
		return -EINVAL;
	}
	config->modules[config->module_count++] = (struct config_module){
		.path = nest->sources.words[level->kernel],
		.kind = "kernel",
		.params = config->params,
		.node = "/chosen",
	};
	config->params = level->hypervisor_params;
	return 0;
}

int nest_configure(const struct nest *nest, unsigned int level, struct config *config,
		   struct nest_words *words)
{
	const char *params = nest->levels[level - 1].params;
	int el2, length, err = parse_level(nest, level, config, &words->list);

	if (err < 0)
		return err;
	el2 = gives_el2(nest, level);
	if (el2 < 0)
		return el2;
	length = snprintf(words->params, sizeof(words->params), "console=%s quiet panic=-1%s%s%s",
			  config->console == CONSOLE_VIRTIO ? "hvc0" : "ttyAMA0",
			  el2 ? " kvm-arm.mode=nested" : "", params ? " " : "",
			  params ? params : "");
	if ((size_t)length >= sizeof(words->params)) {
		log_error("params: are longer than %zu characters", sizeof(words->params) - 1);
		return -EINVAL;
	}
	config->params = words->params;
	if (nest->levels[level - 1].hypervisor >= 0) {
		err = start_by_hypervisor(nest, level, config);
		if (err < 0)
			return err;
	}
	/* It is a layer in the innermost only; who hands it down has to tell its mounts apart. */
	if (nest->root)
		config->filesystems[config->filesystem_count - 1].no_submounts =
			level == nest->depth;
	return 0;
}

int nest_restore_config(const struct nest *nest, struct config *config, struct nest_words *words)
{
	struct word_list *list = &words->list;
	struct options_words none;
	struct state_reader reader;
	int err = add_word(list, "restore");

	if (err == 0 && nest->net)
		err = add_option(list, "--network", nest->net);
	if (err < 0)
		return tell(err);
	err = config_parse_restore(config, list->count, list->words, &none);
	if (err < 0)
		return err;
	state_reader_create(&reader, nest->from->state, nest->from->header.state_size);
	state_seek(&reader, "guest");
	config_restore_guest(config, &reader);
	config->snapshot = nest->from;
	return reader.err;
}

int nest_read_snapshot(struct nest *nest, const struct snapshot *snapshot)
{
	struct state_reader reader;
	const char *text;
	unsigned int level;
	json_t *plan;
	size_t size;
	int err;

	state_reader_create(&reader, snapshot->state, snapshot->header.state_size);
	if (!state_is_next(&reader, NEST_RECORD)) {
		log_error("%s: is a snapshot, but not of a nest", snapshot->path);
		return -EINVAL;
	}
	text = state_take(&reader, NEST_RECORD, 0, &size);
	plan = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);
	err = nest_plan_unpack(nest, &level, plan);
	json_decref(plan);
	if (err == -EINVAL)
		log_error("%s: has a plan of a nest that makes no sense", snapshot->path);
	nest->from = snapshot;
	return tell(err);
}
