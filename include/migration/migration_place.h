/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The connection that a guest moves by:
 *
 *	unix:PATH		a Unix socket
 *	tcp:ADDRESS:PORT	IPv4, or IPv6 in brackets; nothing is looked up, nor encrypted
 *	exec:COMMAND		what a shell runs, by its standard input and output
 *	fd:N			a connected socket that this process was started with
 *
 * Before the sandbox is entered. Errors: -errno, said; -EINVAL that where is no such place.
 */
#ifndef NIDUS_MIGRATION_PLACE_H
#define NIDUS_MIGRATION_PLACE_H

/* To who waits there. Returns a stream socket, the caller's. */
int migration_place_connect(const char *where);

/* Waits for who comes, once: what is listened at is gone then. Returns the same. */
int migration_place_accept(const char *where);

#endif
