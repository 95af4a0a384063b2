/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A shell's command at the other end of a connection: what it reads and writes by its standard
 * input and output. It is not watched: it is to end when the connection does.
 */
#ifndef NIDUS_COMMAND_H
#define NIDUS_COMMAND_H

/*
 * Starts it, before the sandbox is entered. Returns our end, a stream socket, the caller's. Errors:
 * -errno, not said.
 */
int command_connect(const char *command);

#endif
