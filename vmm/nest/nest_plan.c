// SPDX-License-Identifier: GPL-2.0-only
#include "nest_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "init/init_device.h"
#include "root/root_mount.h"

void nest_plan_path(char *path, size_t size, unsigned int source)
{
	snprintf(path, size, NEST_DIRECTORY "/%u", source);
}

/* Packing. NULL is passed on: jansson's functions take it for a value that is missing. */

/* Where there is no memory for it the array becomes NULL, and stays so. */
static void append(json_t **array, json_t *value)
{
	if (json_array_append_new(*array, value) == 0)
		return;
	json_decref(*array);
	*array = NULL;
}

json_t *nest_plan_words(const struct word_list *list)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < list->count; i++)
		append(&array, json_string(list->words[i]));
	return array;
}

static json_t *pack_files(const struct nest_level *level)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < level->file_count; i++) {
		const struct nest_file *file = &level->files[i];

		append(&array,
		       json_pack("{siss}", "source", (int)file->source, "path", file->path));
	}
	return array;
}

static json_t *pack_level(const struct nest_level *level)
{
	return json_pack("{sososssisisssiso}", "options", nest_plan_words(&level->options),
			 "command", nest_plan_words(&level->command), "params",
			 level->params ? level->params : "", "kernel", level->kernel, "hypervisor",
			 level->hypervisor, "hypervisor-params",
			 level->hypervisor_params ? level->hypervisor_params : "", "time-limit",
			 (int)level->time_limit, "files", pack_files(level));
}

static json_t *pack_levels(const struct nest *nest)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < nest->depth; i++)
		append(&array, pack_level(&nest->levels[i]));
	return array;
}

static json_t *pack_sources(const struct nest *nest)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < nest->sources.count; i++) {
		char path[64];

		nest_plan_path(path, sizeof(path), i);
		append(&array, json_string(path));
	}
	return array;
}

json_t *nest_plan_pack(const struct nest *nest, unsigned int level)
{
	return json_pack("{sisososssbsbso}", "level", (int)level, "sources", pack_sources(nest),
			 "levels", pack_levels(nest), "net", nest->net ? nest->net : "", "root",
			 nest->root != NULL, "waits", nest->waits, "passthrough",
			 nest_plan_words(&nest->passthrough));
}

/* Unpacking. */

static int unpack_words(struct word_list *list, const json_t *array)
{
	json_t *word;
	size_t i;
	int err = json_is_array(array) ? 0 : -EINVAL;

	json_array_foreach (array, i, word) {
		if (err == 0 && !json_is_string(word))
			err = -EINVAL;
		if (err == 0)
			err = word_list_add(list, json_string_value(word),
					    json_string_length(word));
	}
	return err;
}

/* A path that cannot mean anything else in another directory. */
static bool is_path(const char *text)
{
	return text[0] == '/';
}

static int unpack_file(const struct nest *nest, struct nest_file *file, json_t *object)
{
	json_int_t source;
	const char *path;

	if (json_unpack(object, "{sIss!}", "source", &source, "path", &path) < 0 || source < 0 ||
	    source >= nest->sources.count || !is_path(path))
		return -EINVAL;
	file->source = source;
	file->path = strdup(path);
	return file->path ? 0 : -ENOMEM;
}

static int unpack_files(const struct nest *nest, struct nest_level *level, const json_t *array)
{
	json_t *object;
	size_t i;
	int err = 0;

	if (!json_is_array(array))
		return -EINVAL;
	/* One more, for none is no reason to fail. */
	level->files = calloc(json_array_size(array) + 1, sizeof(*level->files));
	if (!level->files)
		return -ENOMEM;
	json_array_foreach (array, i, object) {
		if (err == 0)
			err = unpack_file(nest, &level->files[i], object);
		level->file_count += err == 0;
	}
	return err;
}

/* "" stands for NULL. */
static int unpack_text(char **member, const char *text)
{
	*member = *text ? strdup(text) : NULL;
	return *text && !*member ? -ENOMEM : 0;
}

static int unpack_level(const struct nest *nest, struct nest_level *level, json_t *object)
{
	json_t *options, *command, *files;
	json_int_t kernel, hypervisor, time_limit;
	const char *params, *hypervisor_params;
	int err;

	if (json_unpack(object, "{sososssIsIsssIso!}", "options", &options, "command", &command,
			"params", &params, "kernel", &kernel, "hypervisor", &hypervisor,
			"hypervisor-params", &hypervisor_params, "time-limit", &time_limit, "files",
			&files) < 0 ||
	    kernel < 0 || kernel >= nest->sources.count || hypervisor < -1 ||
	    hypervisor >= (json_int_t)nest->sources.count || time_limit < 1 ||
	    time_limit > NEST_TIME_LIMIT_MAX)
		return -EINVAL;
	level->kernel = kernel;
	level->hypervisor = hypervisor;
	level->time_limit = time_limit;
	err = unpack_words(&level->options, options);
	if (err == 0)
		err = unpack_words(&level->command, command);
	if (err == 0)
		err = unpack_files(nest, level, files);
	if (err == 0)
		err = unpack_text(&level->params, params);
	if (err == 0)
		err = unpack_text(&level->hypervisor_params, hypervisor_params);
	return err;
}

/* Words of one kind. */
static int unpack_words_of(struct word_list *list, const json_t *array,
			   bool (*is_one)(const char *))
{
	const int err = unpack_words(list, array);

	for (unsigned int i = 0; i < list->count; i++)
		if (!is_one(list->words[i]))
			return -EINVAL;
	return err;
}

static int unpack_levels(struct nest *nest, const json_t *levels)
{
	json_t *object;
	size_t i;
	int err = 0;

	if (json_array_size(levels) < 1 || json_array_size(levels) > NEST_LEVELS_MAX)
		return -EINVAL;
	json_array_foreach (levels, i, object) {
		nest->depth = i + 1;
		if (err == 0)
			err = unpack_level(nest, &nest->levels[i], object);
	}
	return err;
}

int nest_plan_unpack(struct nest *nest, unsigned int *level, json_t *plan)
{
	json_t *sources, *levels, *passthrough;
	json_int_t number = 0;
	const char *net;
	int root, waits, err = -EINVAL;

	nest_create(nest);
	if (json_unpack(plan, "{sIsososssbsbso!}", "level", &number, "sources", &sources, "levels",
			&levels, "net", &net, "root", &root, "waits", &waits, "passthrough",
			&passthrough) == 0)
		err = unpack_words_of(&nest->sources, sources, is_path);
	if (err == 0)
		err = unpack_levels(nest, levels);
	if (err == 0)
		err = unpack_words_of(&nest->passthrough, passthrough, init_device_is_name);
	nest->waits = err == 0 && waits;
	if (err == 0 && (number < 1 || number > nest->depth))
		err = -EINVAL;
	if (err == 0)
		err = unpack_text(&nest->net, net);
	if (err == 0 && root) {
		nest->root = strdup(ROOT_SHARED);
		err = nest->root ? 0 : -ENOMEM;
	}
	if (err < 0)
		nest_destroy(nest);
	else
		*level = number;
	return err;
}
