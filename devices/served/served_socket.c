// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/limits.h"
#include "host/log.h"
#include "served_vhost_user.h"
#include "util.h"

struct served_socket {
	struct served_vhost_user user;
	const char *path;
	char name[160]; /* for messages */
};

static struct served_socket *socket_of(struct served_vhost_user *user)
{
	return container_of(user, struct served_socket, user);
}

static int connect_to(const struct sockaddr_un *address)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int err;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* Here or in a porter. */
static int socket_serve(struct porter_service *service, const void *request, size_t size,
			struct porter_reply *reply)
{
	const struct served_socket *self =
		socket_of(container_of(service, struct served_vhost_user, service));
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	(void)request;
	(void)size;
	/* Its length was looked at when it was opened. */
	strcpy(address.sun_path, self->path);
	fd = connect_to(&address);
	if (fd < 0)
		return fd;
	reply->fds[0] = fd;
	reply->fd_count = 1;
	return 0;
}

static int socket_connect(struct served_vhost_user *user, bool loud)
{
	const struct served_socket *self = socket_of(user);
	struct porter_reply reply;
	const int fd = porter_ask(&user->service, NULL, 0, &reply);

	if (fd == 0)
		return reply.fds[0];
	if (!loud)
		return fd;
	log_error("%s: %s", self->name,
		  fd == -ECONNREFUSED ? "nobody listens there" : log_reason(-fd));
	return limits_missing(fd) ? fd : -EINVAL;
}

static void socket_ended(struct served_vhost_user *user)
{
	log_guest(&user->said, "%s: the connection has ended", user->wishes.name);
}

static int check(const struct served_socket_options *options)
{
	struct sockaddr_un address;

	if (strlen(options->path) < sizeof(address.sun_path))
		return 0;
	log_error(
		"--vhost-user socket=%s: has more than the %zu bytes that a socket's path may have",
		options->path, sizeof(address.sun_path) - 1);
	return -EINVAL;
}

int served_socket_open(struct served **opened, const struct served_socket_options *options)
{
	struct served_socket *self = calloc(1, sizeof(*self));
	int err = self ? check(options) : -ENOMEM;

	if (!self)
		log_error("--vhost-user: %s", strerror(ENOMEM));
	if (err < 0) {
		free(self);
		return err;
	}
	snprintf(self->name, sizeof(self->name), "%s, %s", options->type, options->path);
	self->path = options->path;
	self->user = (struct served_vhost_user){
		.wishes = { .name = self->name },
		.tag = options->tag,
		.patience = options->reconnect,
		.porter = options->porter,
		.service = { .serve = socket_serve },
		.connect = socket_connect,
		.ended = socket_ended,
	};
	self->user.served.by = "vhost-user";
	served_vhost_user_wish(&self->user, options->device_id, options->queues,
			       options->config_size);
	/* Who is of no known kind is called as the user calls it. */
	self->user.served.kind.name = options->type;
	err = served_vhost_user_open(&self->user);
	if (err < 0) {
		free(self);
		return err;
	}
	if (options->reconnect > 0 && self->user.unaccounted) {
		log_error("%s: cannot be waited for when it ends, as it keeps no account of its "
			  "requests (INFLIGHT_SHMFD); leave reconnect out",
			  self->name);
		served_close(&self->user.served);
		return -EINVAL;
	}
	*opened = &self->user.served;
	return 0;
}
