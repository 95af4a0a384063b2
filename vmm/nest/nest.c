// SPDX-License-Identifier: GPL-2.0-only
#include "nest/nest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "options/number.h"
#include "util.h"

#define TIME_LIMIT     120 /* seconds */
#define TIME_LIMIT_MAX 86400
#define BLANKS	       " \t"

int nest_create(struct nest *nest)
{
	*nest = (struct nest){
		.sources = json_array(),
		.defaults = json_pack("{s[]s[]s[]ssss?si}", "options", "files", "command", "params",
				      "", "kernel", NULL, "time-limit", TIME_LIMIT),
		.levels = json_array(),
	};
	if (nest->sources && nest->defaults && nest->levels)
		return 0;
	log_error("nest: %s", strerror(ENOMEM));
	nest_destroy(nest);
	return -ENOMEM;
}

void nest_destroy(struct nest *nest)
{
	json_decref(nest->sources);
	json_decref(nest->defaults);
	json_decref(nest->levels);
}

unsigned int nest_depth(const struct nest *nest)
{
	return json_array_size(nest->levels);
}

bool nest_add_level(struct nest *nest)
{
	if (nest_depth(nest) == NEST_LEVELS_MAX) {
		log_error("a nest has no more than %d levels", NEST_LEVELS_MAX);
		return false;
	}
	return json_array_append_new(nest->levels, json_deep_copy(nest->defaults)) == 0;
}

static json_t *level_of(const struct nest *nest, unsigned int level)
{
	return level == 0 ? nest->defaults : json_array_get(nest->levels, level - 1);
}

/* Setting. Each function gets the object of a level, or of the defaults. */

/* A file that is to be carried; each is once. Returns its number. */
static size_t add_source(struct nest *nest, const char *path)
{
	size_t i;
	json_t *source;

	json_array_foreach (nest->sources, i, source)
		if (strcmp(json_string_value(source), path) == 0)
			return i;
	json_array_append_new(nest->sources, json_string(path));
	return i;
}

static void add_words(json_t *array, const char *text)
{
	for (text += strspn(text, BLANKS); *text; text += strspn(text, BLANKS)) {
		size_t length = strcspn(text, BLANKS);

		json_array_append_new(array, json_stringn(text, length));
		text += length;
	}
}

static bool add_option(json_t *level, const char *option, const char *value)
{
	json_t *options = json_object_get(level, "options");

	return json_array_append_new(options, json_string(option)) == 0 &&
	       json_array_append_new(options, json_string(value)) == 0;
}

static bool set_kernel(struct nest *nest, json_t *level, const char *value)
{
	return json_object_set_new(level, "kernel", json_integer(add_source(nest, value))) == 0;
}

static bool set_params(struct nest *nest, json_t *level, const char *value)
{
	(void)nest;
	return json_object_set_new(level, "params", json_string(value)) == 0;
}

static bool set_options(struct nest *nest, json_t *level, const char *value)
{
	(void)nest;
	add_words(json_object_get(level, "options"), value);
	return true;
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

/* SOURCE[:DESTINATION] */
static bool set_file(struct nest *nest, json_t *level, const char *value)
{
	const char *colon = strchr(value, ':');
	size_t length = colon ? (size_t)(colon - value) : strlen(value);
	char *source = strndup(value, length);
	const char *name;
	json_t *file;

	if (!source)
		return false;
	if (colon && is_hidden(colon + 1)) {
		log_error("file %s: what is in /dev, /proc and /sys comes from the kernel", value);
		free(source);
		return false;
	}
	name = strrchr(source, '/') ? strrchr(source, '/') + 1 : source;
	file = json_pack("{sIso}", "source", (json_int_t)add_source(nest, source), "path",
			 colon ? json_string(colon + 1) : json_sprintf("/bin/%s", name));
	free(source);
	return json_array_append_new(json_object_get(level, "files"), file) == 0;
}

static bool set_command(struct nest *nest, json_t *level, const char *value)
{
	json_t *words = json_array();

	(void)nest;
	add_words(words, value);
	return json_object_set_new(level, "command", words) == 0;
}

static bool set_time_limit(struct nest *nest, json_t *level, const char *value)
{
	uint64_t seconds;

	(void)nest;
	if (number_parse(value, 1, TIME_LIMIT_MAX, &seconds) < 0) {
		log_error("time-limit %s: must be a number of seconds from 1 to %d", value,
			  TIME_LIMIT_MAX);
		return false;
	}
	return json_object_set_new(level, "time-limit", json_integer(seconds)) == 0;
}

/* Some say by another name what an option of run does. */
static const struct {
	const char *name;
	const char *option; /* or NULL */
	bool (*set)(struct nest *nest, json_t *level, const char *value);
} keys[] = {
	{ "kernel", NULL, set_kernel },
	{ "memory", "--mem", NULL },
	{ "cpus", "--cpus", NULL },
	{ "disk", "--disk", NULL },
	{ "console", "--console", NULL },
	{ "params", NULL, set_params },
	{ "file", NULL, set_file },
	{ "command", NULL, set_command },
	{ "time-limit", NULL, set_time_limit },
	{ "options", NULL, set_options },
};

/* JSON, as which the plan travels, has no other strings. */
static bool is_text(const char *key, const char *value)
{
	json_t *string = json_string(value);

	json_decref(string);
	if (!string)
		log_error("%s: must be UTF-8", key);
	return string;
}

bool nest_set(struct nest *nest, unsigned int level, const char *key, const char *value)
{
	json_t *object = level_of(nest, level);

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i].name, key) != 0)
			continue;
		if (!*value) {
			log_error("%s: has no value", key);
			return false;
		}
		if (!is_text(key, value))
			return false;
		return keys[i].option ? add_option(object, keys[i].option, value)
				      : keys[i].set(nest, object, value);
	}
	log_error("%s: a level has no such thing; there are kernel, memory, cpus, disk, console, "
		  "params, file, command, time-limit and options",
		  key);
	return false;
}

bool nest_set_command(struct nest *nest, unsigned int level, int argc, char **argv)
{
	json_t *words;

	for (int i = 0; i < argc; i++)
		if (!is_text("command", argv[i]))
			return false;
	words = json_array();
	for (int i = 0; i < argc; i++)
		json_array_append_new(words, json_string(argv[i]));
	return json_object_set_new(level_of(nest, level), "command", words) == 0;
}

/* Using. */

unsigned int nest_time_limit(const struct nest *nest, unsigned int level)
{
	return json_integer_value(json_object_get(level_of(nest, level), "time-limit"));
}

const json_t *nest_command(const struct nest *nest, unsigned int level)
{
	return json_object_get(level_of(nest, level), "command");
}

static bool add_word(struct nest_words *words, const char *word)
{
	/* The last one is NULL. */
	if (words->argc + 1 == ARRAY_SIZE(words->argv)) {
		log_error("more options than %zu", ARRAY_SIZE(words->argv));
		return false;
	}
	words->argv[words->argc] = strdup(word ? word : "");
	words->argv[words->argc + 1] = NULL;
	return words->argv[words->argc++] != NULL;
}

void nest_release(struct nest_words *words)
{
	while (words->argc > 0)
		free(words->argv[--words->argc]);
}

/* Which of the words names the kernel. */
#define KERNEL_WORD 2

static const char *kernel_of(const struct nest *nest, const json_t *level)
{
	const json_t *number = json_object_get(level, "kernel");

	return json_is_integer(number) ? json_string_value(json_array_get(
						 nest->sources, json_integer_value(number)))
				       : NULL;
}

/* What `run` makes of a level's options. */
static bool parse_level(const struct nest *nest, unsigned int number, struct config *config,
			struct nest_words *words)
{
	const json_t *level = level_of(nest, number);
	const char *kernel = kernel_of(nest, level);
	bool inner = number < nest_depth(nest), fits;
	json_t *option;
	int result;
	size_t i;

	words->argc = 0;
	if (!kernel) {
		log_error("no kernel: each level needs one");
		return false;
	}
	fits = add_word(words, "run") && add_word(words, "--kernel") && add_word(words, kernel) &&
	       add_word(words, "--console") && add_word(words, "virtio") &&
	       add_word(words, "--no-reboot") && (!inner || add_word(words, "--nested"));
	json_array_foreach (json_object_get(level, "options"), i, option)
		fits = fits && add_word(words, json_string_value(option));
	if (!fits)
		return false;
	result = config_parse(config, CONFIG_NIDUS, words->argc, words->argv);
	if (result == OPTIONS_HELP)
		log_error("--help among the options: it is none of a level");
	if (result != 0)
		return false;
	if (config->kernel != words->argv[KERNEL_WORD]) {
		log_error("--kernel among the options: name it as the level's kernel, or it is "
			  "not carried there");
		return false;
	}
	if (config->initrd || config->params || config->report) {
		log_error("--%s among the options: a nest makes that by itself",
			  config->initrd   ? "initrd"
			  : config->params ? "params"
					   : "report");
		return false;
	}
	if (config->e2h0 && number + 1 != nest_depth(nest)) {
		log_error("--e2h0: an EL2 without VHE is for the last guest hypervisor, which is "
			  "level %u here",
			  nest_depth(nest) - 1);
		return false;
	}
	return true;
}

/* Whether the kernel of a level has to give its own guest an EL2. */
static bool gives_el2(const struct nest *nest, unsigned int level)
{
	struct config config;
	struct nest_words words = { .argc = 0 };
	bool nested;

	if (level == nest_depth(nest))
		return false;
	nested = parse_level(nest, level + 1, &config, &words) && config.nested;
	nest_release(&words);
	return nested;
}

bool nest_configure(const struct nest *nest, unsigned int level, struct config *config,
		    struct nest_words *words)
{
	const char *params = json_string_value(json_object_get(level_of(nest, level), "params"));

	if (!parse_level(nest, level, config, words))
		return false;
	if ((size_t)snprintf(
		    words->params, sizeof(words->params), "console=%s quiet panic=-1%s%s%s",
		    config->console == CONSOLE_VIRTIO ? "hvc0" : "ttyAMA0",
		    gives_el2(nest, level) ? " kvm-arm.mode=nested" : "",
		    params && *params ? " " : "", params ? params : "") >= sizeof(words->params)) {
		log_error("params: are longer than %zu characters", sizeof(words->params));
		return false;
	}
	config->params = words->params;
	return true;
}
