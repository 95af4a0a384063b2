// SPDX-License-Identifier: GPL-2.0-only
#include "servers.h"

#include "served/served.h"

void servers_close(struct resources *resources)
{
	while (resources->served_count > 0)
		served_close(resources->served[--resources->served_count]);
}

static struct served **next(struct resources *resources)
{
	return &resources->served[resources->served_count];
}

static int open_fs(struct resources *resources, const struct config_fs *fs)
{
	const struct served_fs_options options = {
		.directory = fs->directory,
		.tag = fs->tag,
		.read_only = fs->read_only,
		.no_submounts = fs->no_submounts,
		.porter = &resources->porter,
	};

	return served_fs_open(next(resources), &options);
}

static int open_socket(struct resources *resources, const struct config_vhost_user *user)
{
	const struct served_socket_options options = {
		.type = user->type,
		.device_id = user->device_id,
		.path = user->socket,
		.tag = user->tag,
		.queues = user->queues,
		.config_size = user->config_size,
		.reconnect = user->reconnect,
		.porter = &resources->porter,
	};

	return served_socket_open(next(resources), &options);
}

int servers_open(struct resources *resources)
{
	const struct config *config = resources->config;
	int err = 0;

	resources->served_count = 0;
	for (unsigned int i = 0; i < config->filesystem_count && err == 0; i++) {
		err = open_fs(resources, &config->filesystems[i]);
		resources->served_count += err == 0;
	}
	if (err == 0 && config->vsock_cid) {
		err = served_vsock_open(next(resources), config->vsock_cid);
		resources->served_count += err == 0;
	}
	for (unsigned int i = 0; i < config->vhost_user_count && err == 0; i++) {
		err = open_socket(resources, &config->vhost_users[i]);
		resources->served_count += err == 0;
	}
	if (err < 0)
		servers_close(resources);
	return err;
}
