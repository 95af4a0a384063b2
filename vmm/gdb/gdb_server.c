// SPDX-License-Identifier: GPL-2.0-only
#include "gdb/gdb_server.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/log.h"
#include "util.h"

static void drop_client(struct gdb_server *server)
{
	if (!gdb_server_has_client(server))
		return;
	event_remove(server->loop, &server->client);
	close(server->client.fd);
	server->client.fd = -1;
	server->in_used = 0;
	gdb_disconnect(&server->gdb);
}

/* #syscalls loop: accept4 sendmsg recvmsg */

/* False: it has gone. MSG_DONTWAIT: the descriptor may be somebody else's as well. */
static bool send_answers(struct gdb_server *server)
{
	struct gdb *const gdb = &server->gdb;

	while (gdb->out_sent < gdb->out_used) {
		struct iovec rest = { gdb->out + gdb->out_sent, gdb->out_used - gdb->out_sent };
		const struct msghdr message = { .msg_iov = &rest, .msg_iovlen = 1 };
		const ssize_t sent =
			sendmsg(server->client.fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (sent < 0)
			return errno == EAGAIN || errno == EINTR;
		gdb->out_sent += sent;
	}
	gdb->out_sent = gdb->out_used = 0;
	return true;
}

/*
 * A page in a browser can have it send to a port of this machine whatever the page likes, behind
 * the head of a request: of that nothing is to be taken for packets.
 */
static bool is_greeting(const struct gdb_server *server)
{
	return strchr("+-$\x03", server->in[0]) && server->in[0];
}

static bool receive(struct gdb_server *server)
{
	struct iovec room = { server->in + server->in_used, sizeof(server->in) - server->in_used };
	struct msghdr message = { .msg_iov = &room, .msg_iovlen = 1 };
	const ssize_t got = recvmsg(server->client.fd, &message, MSG_DONTWAIT);

	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	server->in_used += got;
	if (!server->greeted && !is_greeting(server)) {
		log_warning("what has connected to the debugger's socket is no debugger");
		return false;
	}
	server->greeted = true;
	return true;
}

/* Takes what there is, as long as its answers are taken in turn, then waits for either. */
static void serve(struct gdb_server *server)
{
	struct gdb *const gdb = &server->gdb;
	bool there = send_answers(server);

	while (there && gdb->connected && gdb->out_used == 0 && server->in_used > 0) {
		const size_t taken = gdb_take(gdb, server->in, server->in_used);

		server->in_used -= taken;
		memmove(server->in, server->in + taken, server->in_used);
		there = send_answers(server);
	}
	/* Who has let go gets the last word and no more. */
	if (!there || (!gdb->connected && gdb->out_used == 0))
		drop_client(server);
	else
		event_modify(server->loop, &server->client, gdb->out_used > 0 ? EPOLLOUT : EPOLLIN);
}

static void client_ready(struct event_source *source, uint32_t events)
{
	struct gdb_server *server = container_of(source, struct gdb_server, client);

	if (events & ~(uint32_t)EPOLLOUT && !receive(server))
		drop_client(server);
	else
		serve(server);
}

/* Until all has stopped nothing is read; that the client goes is told. */
static void client_waits(struct event_source *source, uint32_t events)
{
	struct gdb_server *server = container_of(source, struct gdb_server, client);

	if (events & (EPOLLHUP | EPOLLERR))
		drop_client(server);
}

void gdb_server_take(struct gdb_server *server, int fd)
{
	server->client = (struct event_source){ .fd = fd, .ready = client_waits };
	server->in_used = 0;
	server->greeted = false;
	if (event_add(server->loop, &server->client, 0) < 0) {
		close(fd);
		server->client.fd = -1;
		return;
	}
	server->came(server);
}

static void listener_ready(struct event_source *source, uint32_t events)
{
	struct gdb_server *server = container_of(source, struct gdb_server, listener);
	const int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0)
		return;
	if (gdb_server_has_client(server))
		close(fd);
	else
		gdb_server_take(server, fd);
}

int gdb_server_create(struct gdb_server *server, struct gdb_place *place, struct event_loop *loop,
		      const struct gdb_ops *ops, void *target,
		      void (*came)(struct gdb_server *server))
{
	int err = 0;

	server->loop = loop;
	server->came = came;
	server->client.fd = server->listener.fd = -1;
	gdb_create(&server->gdb, ops, target);
	if (place->connected) {
		gdb_server_take(server, place->fd);
		place->fd = -1;
		return gdb_server_has_client(server) ? 0 : -EBADF;
	}
	if (place->fd < 0)
		return 0;
	server->listener = (struct event_source){ .fd = place->fd, .ready = listener_ready };
	err = event_add(loop, &server->listener, EPOLLIN);
	if (err < 0) {
		server->listener.fd = -1;
		log_error("waiting for a debugger: %s", strerror(-err));
	}
	return err;
}

void gdb_server_destroy(struct gdb_server *server)
{
	server->gdb.connected = false;
	drop_client(server);
	if (server->listener.fd >= 0)
		event_remove(server->loop, &server->listener);
	server->listener.fd = -1;
}

void gdb_server_begin(struct gdb_server *server, const struct gdb_stop *stop)
{
	gdb_connect(&server->gdb, stop);
	server->client.ready = client_ready;
	event_modify(server->loop, &server->client, EPOLLIN);
}

void gdb_server_stopped(struct gdb_server *server, const struct gdb_stop *stop)
{
	gdb_stopped(&server->gdb, stop);
	if (gdb_server_has_client(server))
		serve(server);
}

void gdb_server_exited(struct gdb_server *server, unsigned int status)
{
	gdb_exited(&server->gdb, status);
	if (gdb_server_has_client(server))
		serve(server);
}
