// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk image in one of the formats of others, by qemu-storage-daemon, which reads and writes it,
 * and the images that it names as its own base.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/log.h"
#include "served_daemon.h"
#include "util.h"

#define PROGRAM "qemu-storage-daemon"
#define PACKAGE "qemu-utils"

/* A comma in an option is two. False: it is too long. */
static bool escape(char *escaped, size_t size, const char *path)
{
	size_t used = 0;

	for (; *path && used + 3 <= size; path++) {
		escaped[used++] = *path;
		if (*path == ',')
			escaped[used++] = ',';
	}
	escaped[used] = '\0';
	return *path == '\0';
}

static int check_file(const struct served_disk_options *options, bool *is_device)
{
	const int wanted = options->read_only ? R_OK : R_OK | W_OK;
	struct stat st;
	int err = 0;

	if (stat(options->path, &st) < 0 || access(options->path, wanted) < 0)
		err = errno;
	else if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		err = EINVAL;
	*is_device = !err && S_ISBLK(st.st_mode);
	if (err == EINVAL)
		log_error("%s: is neither a file nor a block device", options->path);
	else if (err)
		log_error("%s: %s", options->path, log_reason(err));
	return -err;
}

static void make_words(struct served_daemon *daemon, const struct served_disk_options *options,
		       bool is_device, const char *escaped)
{
	const char *const read_only = options->read_only ? "on" : "off";

	served_daemon_word(daemon, "--blockdev");
	served_daemon_words(daemon,
			    "driver=%s,node-name=file,read-only=%s,cache.direct=%s,discard=unmap,"
			    "filename=%s",
			    is_device ? "host_device" : "file", read_only,
			    options->direct ? "on" : "off", escaped);
	served_daemon_word(daemon, "--blockdev");
	served_daemon_words(daemon, "driver=%s,node-name=disk,read-only=%s,discard=unmap,file=file",
			    options->format, read_only);
	served_daemon_word(daemon, "--export");
	served_daemon_words(daemon,
			    "type=vhost-user-blk,id=disk,node-name=disk,writable=%s,num-queues=%u,"
			    "addr.type=fd,addr.str=3",
			    options->read_only ? "off" : "on", options->queues);
}

static int prepare(struct served_daemon *daemon, const struct served_disk_options *options)
{
	char escaped[sizeof(daemon->text[0]) - 256];
	bool is_device;
	int err = check_file(options, &is_device);

	if (err < 0)
		return err;
	if (!escape(escaped, sizeof(escaped), options->path)) {
		log_error("%s: %s", options->path, strerror(ENAMETOOLONG));
		return -ENAMETOOLONG;
	}
	daemon->program = PROGRAM;
	daemon->package = PACKAGE;
	snprintf(daemon->name, sizeof(daemon->name), PROGRAM ", %.60s", options->path);
	daemon->user.served.by = PROGRAM;
	served_vhost_user_wish(&daemon->user, VIRTIO_ID_BLOCK, options->queues, 0);
	make_words(daemon, options, is_device, escaped);
	return 0;
}

int served_disk_open(struct served **opened, const struct served_disk_options *options)
{
	struct served_daemon *daemon = calloc(1, sizeof(*daemon));
	int err = -ENOMEM;

	if (!daemon)
		log_error(PROGRAM ": %s", strerror(ENOMEM));
	else
		err = prepare(daemon, options);
	if (err < 0) {
		free(daemon);
		return err;
	}
	daemon->user.porter = options->porter;
	return served_daemon_open(opened, daemon);
}
