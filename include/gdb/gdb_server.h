/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a debugger reaches us: a Unix socket, a TCP port of this machine alone, or a descriptor. One
 * client at a time; all is the event loop's thread's, and nobody waits for a client. Once it
 * listens, nothing is opened by a path.
 */
#ifndef NIDUS_GDB_SERVER_H
#define NIDUS_GDB_SERVER_H

#include "gdb/gdb.h"
#include "host/event.h"

/* Where to listen; path: what to remove at the end, the caller's string, or NULL. */
struct gdb_place {
	int fd;
	bool connected; /* fd is a client already */
	const char *path;
};

/*
 * where: unix:PATH, tcp:PORT, tcp:127.0.0.1:PORT or fd:N. A socket that nobody listens at any more
 * is replaced. Errors: -errno, said; there is nothing to close then.
 */
int gdb_place_open(struct gdb_place *place, const char *where);
/* Removes the path, if there is one; gdb_place_close() does not. */
void gdb_place_remove(const struct gdb_place *place);
void gdb_place_close(struct gdb_place *place);

struct gdb_server {
	struct gdb gdb;
	struct event_loop *loop;
	struct event_source listener, client; /* fd -1: there is none */
	bool greeted; /* what has come so far may be a debugger's */
	/* A client is there: gdb_server_begin() is to follow, once all has stopped. */
	void (*came)(struct gdb_server *server);
	size_t in_used;
	char in[512];
};

/*
 * place and loop outlive it; of place, whose fd may be -1 for nowhere, it takes a client that is
 * there. Errors: -errno, said.
 */
int gdb_server_create(struct gdb_server *server, struct gdb_place *place, struct event_loop *loop,
		      const struct gdb_ops *ops, void *target,
		      void (*came)(struct gdb_server *server));
/* The target is not told any more. */
void gdb_server_destroy(struct gdb_server *server);

/* A client that somebody else has accepted, where there is none: fd is the server's. */
void gdb_server_take(struct gdb_server *server, int fd);

/* All has stopped for the client that came, which is served from now on. */
void gdb_server_begin(struct gdb_server *server, const struct gdb_stop *stop);

/* Whether there is a client. */
static inline bool gdb_server_has_client(const struct gdb_server *server)
{
	return server->client.fd >= 0;
}

/* As gdb_stopped() and gdb_exited(), and what they answer is sent as far as the client takes it. */
void gdb_server_stopped(struct gdb_server *server, const struct gdb_stop *stop);
void gdb_server_exited(struct gdb_server *server, unsigned int status);

#endif
