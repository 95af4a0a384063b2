/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * passt, the process: its command line, its start, and how it is known to be ready. The main
 * thread.
 */
#ifndef PASST_PROCESS_H
#define PASST_PROCESS_H

#include "backends/passt.h"
#include "children/child.h"

#define PASST_LOOK_MS 5 /* as often whether it is ready is looked at */

struct passt_process {
	struct child child; /* ended() is the owner's */
	struct porter_service service; /* starts it */
	const char *program;
	bool vhost_user;
	unsigned int patience; /* ms that a start may take */
	/* All that the command line is made of. */
	const char *arguments[16 + 2 * PASST_FORWARDS_MAX];
	struct passt_forward forwards[PASST_FORWARDS_MAX];
	char guest_ip[INET_ADDRSTRLEN], host_ip[INET_ADDRSTRLEN];
	uint8_t guest_mac[LINK_ADDRESS];
};

/* Finds out whether it has vhost-user where that is wanted. Errors: -errno, said. */
int passt_process_prepare(struct passt_process *process, const struct passt_options *options);

/* Returns our end of its socket, or -errno, said. */
int passt_process_start(struct passt_process *process);
/* It is ended for good. */
void passt_process_release(struct passt_process *process);

/*
 * Whether it has read what it was sent when it was started, so it does its work. Where there is a
 * vhost, that is for whoever talks to it to find out.
 */
bool passt_process_is_ready(int socket);

/* Waits for that. -errno, said: it has ended, or is not ready in time, and was ended. */
int passt_process_wait(struct passt_process *process, int socket);

#endif
