/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sockets by which a nidus is controlled, and where they are: at a path, or after a guest's name in
 * a directory of the user's. Only the user may connect.
 */
#ifndef NIDUS_CONTROL_SOCKET_H
#define NIDUS_CONTROL_SOCKET_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "options/word_list.h"

struct control_socket {
	int fd; /* listens; -1: there is none */
	int directory; /* that it is in, so that it can be removed without a path */
	char name[NAME_MAX + 1];
	dev_t device;
	ino_t inode;
};

/*
 * Listens at path, or where the socket of a guest of that name is. One whose nidus was killed is
 * replaced, one that somebody listens at is not: -EADDRINUSE. Errors: -errno, said, and fd is -1;
 * by name -ENOENT is but a warning that this user has no directory for it.
 */
int control_socket_open(struct control_socket *socket, const char *path);
int control_socket_open_named(struct control_socket *socket, const char *name);
/* Removes the socket's name, unless that is somebody else's by now. Opens nothing. */
void control_socket_remove(const struct control_socket *socket);
void control_socket_close(struct control_socket *socket);

/*
 * Connects to the guest of that name, of this user or else of the system, or to the socket at
 * a path, which is what has a slash. The descriptor, the caller's to close. Errors: -errno;
 * quiet: not said.
 */
int control_socket_connect(const char *who, bool quiet);

/*
 * The names that have a socket, sorted, dead ones included. The caller's to clear. Errors: -errno,
 * said.
 */
int control_socket_names(struct word_list *names);

#endif
