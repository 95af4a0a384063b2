/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A debugger of the guests of a session, at every level of a nest (docs/debugging.md): GDB's remote
 * protocol (gdb.h) on one side, vCPUs that are held and KVM_SET_GUEST_DEBUG on the other. With no
 * client, and with one that has set nothing, vCPUs run as if it were not there.
 */
#ifndef NIDUS_DEBUGGER_H
#define NIDUS_DEBUGGER_H

#include <stdbool.h>

#include "machine/session.h"

struct debugger;

/*
 * Listens where the session's config says, for the machines of a session that has not run yet.
 * Errors: -errno, said.
 */
int debugger_create(struct debugger **created, struct session *session);
/* The session's machines are gone; a client is told how nidus ends. */
void debugger_destroy(struct debugger *debugger, unsigned int status);

#endif
