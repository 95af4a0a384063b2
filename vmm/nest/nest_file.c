// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nest files, in the syntax of libconfig: a list `levels` with a group a level, from the outermost,
 * and beside it settings that hold for all levels.
 */
#include <errno.h>
#include <inttypes.h>
#include <libconfig.h>
#include <stdio.h>
#include <string.h>

#include "host/log.h"
#include "nest/nest.h"

/* Leaves room for the line's number in the subject of messages. */
#define NAME_MAX_SHOWN 200

struct reader {
	struct nest *nest;
	const char *path;
};

/* The end of a long name tells more than its beginning. */
static const char *end_of(const char *name)
{
	const size_t length = strlen(name);

	return length > NAME_MAX_SHOWN ? name + length - NAME_MAX_SHOWN : name;
}

static void set_place(const struct reader *reader, const config_setting_t *setting)
{
	const char *file = config_setting_source_file(setting);
	const unsigned int line = config_setting_source_line(setting);
	char subject[256];

	if (!file)
		file = reader->path;
	if (line > 0)
		snprintf(subject, sizeof(subject), "%s, line %u", end_of(file), line);
	else
		snprintf(subject, sizeof(subject), "%s", end_of(file));
	log_set_subject(subject);
}

/* One value: a string or a number. */
static int take_value(struct reader *reader, unsigned int level, const char *key,
		      const config_setting_t *setting)
{
	char number[32];
	const char *value = NULL;

	set_place(reader, setting);
	switch (config_setting_type(setting)) {
	case CONFIG_TYPE_STRING:
		value = config_setting_get_string(setting);
		break;
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		snprintf(number, sizeof(number), "%lld", config_setting_get_int64(setting));
		value = number;
		break;
	}
	if (value)
		return nest_set(reader->nest, level, key, value);
	log_error("%s: must be a string or a number", key);
	return -EINVAL;
}

/* One setting, whose value may be several in brackets. */
static int take_setting(struct reader *reader, unsigned int level, const config_setting_t *setting)
{
	const char *key = config_setting_name(setting);
	const int type = config_setting_type(setting);
	int err = 0;

	if (type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST)
		return take_value(reader, level, key, setting);
	for (int i = 0; i < config_setting_length(setting) && err == 0; i++)
		err = take_value(reader, level, key, config_setting_get_elem(setting, i));
	return err;
}

static int take_group(struct reader *reader, unsigned int level, const config_setting_t *group,
		      const config_setting_t *except)
{
	int err = 0;

	for (int i = 0; i < config_setting_length(group) && err == 0; i++) {
		const config_setting_t *setting = config_setting_get_elem(group, i);

		if (setting != except)
			err = take_setting(reader, level, setting);
	}
	return err;
}

static int take_level(struct reader *reader, const config_setting_t *setting)
{
	int err;

	set_place(reader, setting);
	if (!config_setting_is_group(setting)) {
		log_error("a level is a group: { memory = \"256M\"; }");
		return -EINVAL;
	}
	err = nest_add_level(reader->nest);
	return err < 0 ? err : take_group(reader, reader->nest->depth, setting, NULL);
}

static int take_file(struct reader *reader, const config_t *config)
{
	const config_setting_t *root = config_root_setting(config);
	const config_setting_t *levels = config_setting_get_member(root, "levels");
	int err = take_group(reader, 0, root, levels);

	if (err == 0 &&
	    (!levels || !config_setting_is_list(levels) || config_setting_length(levels) == 0)) {
		set_place(reader, levels ? levels : root);
		log_error("has no levels: they are a list, levels = ( { ... }, { ... } );");
		return -EINVAL;
	}
	for (int i = 0; err == 0 && i < config_setting_length(levels); i++)
		err = take_level(reader, config_setting_get_elem(levels, i));
	return err;
}

/* error: what errno was left at, or 0. Returns -errno. */
static int say_unread(const config_t *config, const char *path, int error)
{
	if (config_error_type(config) == CONFIG_ERR_FILE_IO) {
		log_error("%s: %s", path, error ? log_reason(error) : "cannot be read");
		return error ? -error : -EINVAL;
	}
	log_error("%s, line %d: %s", config_error_file(config) ? config_error_file(config) : path,
		  config_error_line(config), config_error_text(config));
	return -EINVAL;
}

int nest_read_file(struct nest *nest, const char *path)
{
	struct reader reader = { nest, path };
	config_t config;
	int err;

	config_init(&config);
	errno = 0;
	if (config_read_file(&config, path))
		err = take_file(&reader, &config);
	else
		err = say_unread(&config, path, errno);
	log_set_subject("");
	config_destroy(&config);
	return err;
}
