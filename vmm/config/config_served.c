// SPDX-License-Identifier: GPL-2.0-only
/*
 * The arguments of --fs, --vsock, --vhost-user and --vfio: devices that somebody else serves, or
 * the host has.
 */
#include "config/config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "config_words.h"
#include "options/number.h"
#include "served/served_type.h"
#include "util.h"
#include "vfio/vfio_name.h"

/* An hour of waiting is not waiting any more. */
#define RECONNECT_MAX 3600

/* Tags. */

static bool tag_is_taken(const struct config *config, const char *tag)
{
	for (unsigned int i = 0; i < config->filesystem_count; i++)
		if (strcmp(config->filesystems[i].tag, tag) == 0)
			return true;
	for (unsigned int i = 0; i < config->vhost_user_count; i++)
		if (config->vhost_users[i].tag && strcmp(config->vhost_users[i].tag, tag) == 0)
			return true;
	return false;
}

static int check_tag(const struct config *config, const char *option, const char *tag)
{
	if (*tag == '\0' || strlen(tag) > SERVED_TAG_MAX)
		log_error("%s: a file system's tag must have from 1 to %d bytes", option,
			  SERVED_TAG_MAX);
	else if (tag_is_taken(config, tag))
		log_error("%s: there is a file system with the tag '%s' already", option, tag);
	else
		return 0;
	return -EINVAL;
}

/* --fs TAG=DIR[,ro] */

int config_add_fs(void *object, const char *text)
{
	struct config *config = object;
	struct config_fs *fs = &config->filesystems[config->filesystem_count];
	char *const directory = strchr(text, '='), *flag;

	if (config->filesystem_count == CONFIG_FILESYSTEMS_MAX) {
		log_error("--fs %s: there are %d file systems already, and no more than that", text,
			  CONFIG_FILESYSTEMS_MAX);
		return -EINVAL;
	}
	if (!directory || directory[1] == '\0') {
		log_error("--fs %s: must be a tag and a directory, as home=/home", text);
		return -EINVAL;
	}
	*directory = '\0';
	*fs = (struct config_fs){ .tag = text, .directory = directory + 1 };
	flag = strrchr(fs->directory, ',');
	if (flag && strcmp(flag, ",ro") == 0) {
		*flag = '\0';
		fs->read_only = true;
	}
	if (check_tag(config, "--fs", fs->tag) < 0)
		return -EINVAL;
	config->filesystem_count++;
	return 0;
}

/* --vhost-user TYPE,socket=PATH[,KEY=VALUE]... */

static int set_socket(struct config_vhost_user *user, const char *value)
{
	user->socket = value;
	return 0;
}

static int set_tag(struct config_vhost_user *user, const char *value)
{
	user->tag = value;
	return 0;
}

static int set_queues(struct config_vhost_user *user, const char *value)
{
	return config_word_number("--vhost-user queues", value, 1, SERVED_QUEUES_MAX,
				  &user->queues);
}

static int set_config(struct config_vhost_user *user, const char *value)
{
	return config_word_number("--vhost-user config", value, 0, SERVED_CONFIG_MAX,
				  &user->config_size);
}

static int set_reconnect(struct config_vhost_user *user, const char *value)
{
	return config_word_number("--vhost-user reconnect", value, 0, RECONNECT_MAX,
				  &user->reconnect);
}

static const struct {
	const char *name;
	int (*set)(struct config_vhost_user *user, const char *value);
} keys[] = {
	{ "socket", set_socket },	{ "tag", set_tag },
	{ "queues", set_queues },	{ "config", set_config },
	{ "reconnect", set_reconnect },
};

static int set_word(struct config_vhost_user *user, char *word)
{
	char *value = strchr(word, '=');

	if (value)
		*value++ = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (value && *value && strcmp(word, keys[i].name) == 0)
			return keys[i].set(user, value);
	log_error("--vhost-user %s%s%s: there are socket, tag, queues, config and reconnect, each "
		  "with a value",
		  word, value ? "=" : "", value ? value : "");
	return -EINVAL;
}

static int check_vhost_user(const struct config *config, const struct config_vhost_user *user)
{
	if (!user->socket) {
		log_error("--vhost-user %s: where it listens is missing: socket=PATH", user->type);
		return -EINVAL;
	}
	return user->tag ? check_tag(config, "--vhost-user tag", user->tag) : 0;
}

int config_add_vhost_user(void *object, const char *text)
{
	struct config *config = object;
	struct config_vhost_user *user = &config->vhost_users[config->vhost_user_count];
	char *word, *rest = (char *)text;
	int err = 0;

	if (config->vhost_user_count == CONFIG_VHOST_USERS_MAX) {
		log_error("--vhost-user %s: there are %d of them already, and no more than that",
			  text, CONFIG_VHOST_USERS_MAX);
		return -EINVAL;
	}
	*user = (struct config_vhost_user){ .type = strsep(&rest, ",") };
	if (!served_type_parse(user->type, &user->device_id)) {
		log_error(
			"--vhost-user %s: must be fs, blk, vsock, rng, input, scmi, snd, i2c, can, "
			"gpio, or the number of a virtio device",
			user->type);
		return -EINVAL;
	}
	while (err == 0 && (word = strsep(&rest, ",")))
		err = set_word(user, word);
	if (err == 0)
		err = check_vhost_user(config, user);
	if (err == 0)
		config->vhost_user_count++;
	return err;
}

/* --vfio HOST */

int config_add_vfio(void *object, const char *text)
{
	struct config *config = object;

	if (config->vfio_count == CONFIG_VFIO_MAX) {
		log_error("--vfio %s: there are %d of them already, and no more than that", text,
			  CONFIG_VFIO_MAX);
		return -EINVAL;
	}
	if (!vfio_name_is_one(text)) {
		log_error("--vfio %s: must be a PCI address as 0000:00:02.0 or 00:02.0, or "
			  "/dev/vfio/devices/vfioN",
			  text);
		return -EINVAL;
	}
	config->vfio[config->vfio_count++] = text;
	return 0;
}

/* What goes together. */

bool config_has_served(const struct config *config)
{
	for (unsigned int i = 0; i < config->disk_count; i++)
		if (config->disks[i].format)
			return true;
	return config->filesystem_count > 0 || config->vhost_user_count > 0 ||
	       config->vsock_cid != 0;
}

/* What has another process map the guest's RAM, or NULL. */
const char *config_shares_memory(const struct config *config)
{
	for (unsigned int i = 0; i < config->disk_count; i++)
		if (config->disks[i].format)
			return "--disk format=";
	if (config->filesystem_count > 0)
		return config->root ? "--root" : "--fs";
	return config->vhost_user_count > 0 ? "--vhost-user" : NULL;
}
