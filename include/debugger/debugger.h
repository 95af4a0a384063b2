/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A debugger of the guests of a session, at every level of a nest (docs/debugging.md): GDB's remote
 * protocol (gdb.h) on one side, vCPUs that are held and KVM_SET_GUEST_DEBUG on the other. With no
 * client, and with one that has set nothing, vCPUs run as if it were not there. All of this is for
 * the thread that turns the event loop.
 */
#ifndef NIDUS_DEBUGGER_H
#define NIDUS_DEBUGGER_H

#include <stdbool.h>

#include "machine/session.h"

struct debugger;

/*
 * Runs the session, with a debugger from the beginning where its config wants one. What to exit
 * with. *debugger: NULL before and after; in between it is where the debugger is, once there is
 * one.
 */
enum status debugger_run(struct debugger **debugger, struct session *session);

/*
 * For the machines of a session, that of now included. It listens where config says; where config
 * says nothing it opens nothing by a path, and waits for debugger_attach(). Errors: -errno, said;
 * *created is NULL then.
 */
int debugger_create(struct debugger **created, struct session *session);
/* The session's machines are gone; a client is told how nidus ends. */
void debugger_destroy(struct debugger *debugger, unsigned int status);

/* There is one client at a time. debugger: or NULL. */
bool debugger_has_client(const struct debugger *debugger);
/* A client that is connected already, where there is none: fd is the debugger's. */
void debugger_attach(struct debugger *debugger, int fd);

#endif
