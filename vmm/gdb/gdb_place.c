// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gdb/gdb_server.h"
#include "host/log.h"
#include "options/number.h"

#define LOOPBACK "127.0.0.1:"

static int fail(const char *where, int err)
{
	log_error("--gdb %s: %s", where, strerror(-err));
	return err;
}

static int begin(int family)
{
	const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* Whether a socket of that name is left over from somebody who has gone. */
static bool is_deserted(const struct sockaddr_un *address)
{
	const int fd = begin(AF_UNIX);
	bool deserted = false;

	if (fd >= 0) {
		deserted = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
			   errno == ECONNREFUSED;
		close(fd);
	}
	return deserted;
}

static int bind_unix(int fd, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct sockaddr *const any = (const struct sockaddr *)&address;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	/* For nobody else: who debugs a guest owns it. */
	fchmod(fd, S_IRUSR | S_IWUSR);
	if (bind(fd, any, sizeof(address)) == 0)
		return 0;
	if (errno != EADDRINUSE || !is_deserted(&address))
		return -errno;
	unlink(path);
	return bind(fd, any, sizeof(address)) < 0 ? -errno : 0;
}

static int bind_tcp(int fd, const char *port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	const int one = 1;
	uint64_t number;

	if (strncmp(port, LOOPBACK, strlen(LOOPBACK)) == 0)
		port += strlen(LOOPBACK);
	if (number_parse(port, 1, UINT16_MAX, &number) < 0)
		return -EINVAL;
	address.sin_port = htons(number);
	/* What is accepted later inherits the last two. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
}

static int open_listener(struct gdb_place *place, const char *where, int family)
{
	const char *const rest = strchr(where, ':') + 1;
	int err;

	place->fd = begin(family);
	if (place->fd < 0)
		return fail(where, place->fd);
	err = family == AF_UNIX ? bind_unix(place->fd, rest) : bind_tcp(place->fd, rest);
	if (err >= 0 && listen(place->fd, 1) < 0)
		err = -errno;
	if (err < 0) {
		close(place->fd);
		if (err != -EINVAL)
			return fail(where, err);
		log_error("--gdb %s: must be tcp:PORT, or tcp:127.0.0.1:PORT, a port of this "
			  "machine alone",
			  where);
		return err;
	}
	place->path = family == AF_UNIX ? rest : NULL;
	return 0;
}

/* A socket that somebody else has made, and connected or listens at. */
static int take_descriptor(struct gdb_place *place, const char *where)
{
	int listens = 0;
	socklen_t size = sizeof(listens);
	uint64_t fd;

	if (number_parse(where + strlen("fd:"), 0, INT32_MAX, &fd) < 0 ||
	    getsockopt((int)fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0) {
		log_error("--gdb %s: is no socket", where);
		return -EINVAL;
	}
	place->fd = (int)fd;
	place->connected = !listens;
	return 0;
}

int gdb_place_open(struct gdb_place *place, const char *where)
{
	*place = (struct gdb_place){ .fd = -1 };
	if (strncmp(where, "unix:", 5) == 0 && where[5])
		return open_listener(place, where, AF_UNIX);
	if (strncmp(where, "tcp:", 4) == 0)
		return open_listener(place, where, AF_INET);
	if (strncmp(where, "fd:", 3) == 0)
		return take_descriptor(place, where);
	log_error("--gdb %s: must be unix:PATH, tcp:PORT or fd:N; a guest with --name needs none, "
		  "as nidus debug --gdb NAME leads a debugger there",
		  where);
	return -EINVAL;
}

void gdb_place_remove(const struct gdb_place *place)
{
	if (place->path)
		unlink(place->path);
}

void gdb_place_close(struct gdb_place *place)
{
	if (place->fd >= 0)
		close(place->fd);
	*place = (struct gdb_place){ .fd = -1 };
}
