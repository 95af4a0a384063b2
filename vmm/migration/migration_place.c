// SPDX-License-Identifier: GPL-2.0-only
#include "migration/migration_place.h"

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

#include "children/command.h"
#include "host/log.h"
#include "options/number.h"

/* Of a socket that this one was not told the number of by mistake. */
#define FD_MIN 3

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_un local;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t size;
};

static int fail(const char *where, int err)
{
	log_error("%s: %s", where, log_reason(-err));
	return err;
}

/* What stands behind kind, or NULL. */
static const char *rest_of(const char *where, const char *kind)
{
	const size_t length = strlen(kind);

	return strncmp(where, kind, length) == 0 && where[length] ? where + length : NULL;
}

/* Addresses. */

static int parse_unix(struct address *address, const char *path)
{
	address->local = (struct sockaddr_un){ .sun_family = AF_UNIX };
	address->size = sizeof(address->local);
	if (strlen(path) >= sizeof(address->local.sun_path))
		return -ENAMETOOLONG;
	strcpy(address->local.sun_path, path);
	return 0;
}

/* ADDRESS:PORT */
static int parse_tcp(struct address *address, const char *text)
{
	const char *colon = strrchr(text, ':');
	const size_t length = colon ? colon - text : 0;
	char host[INET6_ADDRSTRLEN + 2];
	uint64_t port;

	if (!colon || length >= sizeof(host) || number_parse(colon + 1, 1, UINT16_MAX, &port) < 0)
		return -EINVAL;
	memcpy(host, text, length);
	host[length] = '\0';
	address->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
	address->size = sizeof(address->v4);
	if (inet_pton(AF_INET, host, &address->v4.sin_addr) == 1)
		return 0;
	if (length < 2 || host[0] != '[' || host[length - 1] != ']')
		return -EINVAL;
	host[length - 1] = '\0';
	address->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
	address->size = sizeof(address->v6);
	return inet_pton(AF_INET6, host + 1, &address->v6.sin6_addr) == 1 ? 0 : -EINVAL;
}

/* -EINVAL is not said: where is no place of this kind. */
static int parse(struct address *address, const char *where)
{
	const char *path = rest_of(where, "unix:"), *place = rest_of(where, "tcp:");
	int err = -EINVAL;

	if (path)
		err = parse_unix(address, path);
	else if (place)
		err = parse_tcp(address, place);
	return err < 0 && err != -EINVAL ? fail(where, err) : err;
}

static int begin(const struct address *address)
{
	const int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0)
		return -errno;
	if (address->any.sa_family == AF_UNIX)
		return fd;
	/* What is accepted inherits the last two: a peer that is no more is to be found out. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static int connect_to(const char *where, const struct address *address)
{
	const int fd = begin(address);
	int err = fd;

	if (fd >= 0 && connect(fd, &address->any, address->size) < 0) {
		err = -errno;
		close(fd);
	}
	return err < 0 ? fail(where, err) : fd;
}

/* Whether a socket of that name is left over from somebody who has gone. */
static bool is_deserted(const struct address *address)
{
	const int fd = begin(address);
	const bool deserted =
		fd >= 0 && connect(fd, &address->any, address->size) < 0 && errno == ECONNREFUSED;

	if (fd >= 0)
		close(fd);
	return deserted;
}

static int bind_to(int fd, const struct address *address)
{
	const bool local = address->any.sa_family == AF_UNIX;

	/* For nobody else: who comes there brings a guest. */
	if (local)
		fchmod(fd, S_IRUSR | S_IWUSR);
	if (bind(fd, &address->any, address->size) == 0)
		return 0;
	if (errno != EADDRINUSE || !local || !is_deserted(address))
		return -errno;
	unlink(address->local.sun_path);
	return bind(fd, &address->any, address->size) < 0 ? -errno : 0;
}

static int accept_at(const char *where, const struct address *address)
{
	const int listener = begin(address);
	int err = listener, fd = -1;

	if (listener >= 0)
		err = bind_to(listener, address);
	if (err == 0) {
		if (listen(listener, 1) == 0)
			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		err = fd < 0 ? -errno : 0;
		if (address->any.sa_family == AF_UNIX)
			unlink(address->local.sun_path);
	}
	if (listener >= 0)
		close(listener);
	return err < 0 ? fail(where, err) : fd;
}

static int start(const char *where, const char *command)
{
	const int fd = command_connect(command);

	return fd < 0 ? fail(where, fd) : fd;
}

/* Sockets that are there. */

static int take_descriptor(const char *where, const char *number)
{
	int listens = 1;
	socklen_t size = sizeof(listens);
	uint64_t fd;

	if (number_parse(number, FD_MIN, INT32_MAX, &fd) < 0 ||
	    getsockopt((int)fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) < 0 || listens) {
		log_error("%s: is no connected socket, from descriptor %d on", where, FD_MIN);
		return -EINVAL;
	}
	return (int)fd;
}

static int complain(const char *where, const char *more)
{
	log_error("%s: must be unix:PATH, tcp:ADDRESS:PORT%s or exec:COMMAND", where, more);
	return -EINVAL;
}

int migration_place_connect(const char *where)
{
	const char *command = rest_of(where, "exec:");
	struct address address;
	int err;

	if (command)
		return start(where, command);
	err = parse(&address, where);
	if (err == 0)
		return connect_to(where, &address);
	return err == -EINVAL ? complain(where, "") : err;
}

int migration_place_accept(const char *where)
{
	const char *command = rest_of(where, "exec:"), *number = rest_of(where, "fd:");
	struct address address;
	int err;

	if (command)
		return start(where, command);
	if (number)
		return take_descriptor(where, number);
	err = parse(&address, where);
	if (err == 0)
		return accept_at(where, &address);
	return err == -EINVAL ? complain(where, ", fd:N") : err;
}
