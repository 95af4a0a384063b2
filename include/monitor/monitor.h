/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A run as others see it: what a client of its control socket may ask, what its service manager is
 * told, and the file with its process id. A run that asked for none of these has nothing of it
 * open.
 */
#ifndef NIDUS_MONITOR_H
#define NIDUS_MONITOR_H

#include "children/porter.h"
#include "control/control_server.h"
#include "control/control_socket.h"
#include "host/file.h"
#include "machine/session.h"
#include "monitor/mover.h"
#include "monitor/saver.h"

enum monitor_state {
	MONITOR_RUNNING,
	MONITOR_PAUSING, /* vCPUs have been asked to come to rest */
	MONITOR_PAUSED,
	MONITOR_ENDED, /* the guest has; what it wrote is still to be taken */
};

struct debugger;

struct monitor {
	struct session *session;
	struct debugger **debugger; /* where it is, or comes to be */
	struct session_watcher watcher;
	struct control_socket socket; /* fd -1: there is none */
	int kept[2];
	struct porter_service removal; /* of what has a name, in the end */
	struct control_server server;

	/* monitor_pause.c */
	enum monitor_state state;
	struct hold hold;
	struct control_client *pauses; /* who waits for that */
	bool stops_time;
	uint64_t ticks; /* of the guest's virtual counter, when it was stopped */
	uint64_t behind; /* ticks that this life of the guest was stopped, with a counter offset */

	/* monitor_snapshot.c */
	struct saver saver; /* where there is a socket */
	struct control_client *saves; /* who has the guest saved */

	/* monitor_migrate.c */
	struct mover *mover; /* NULL: nobody has asked for it */
	struct control_client *moves; /* who has the guest moved */

	/* monitor_debug.c */
	struct hold look;
	struct control_client *looks; /* who waits for that, or NULL */

	/* monitor_balloon.c */
	uint64_t balloon_target; /* bytes */

	/* monitor_service.c */
	int notify_fd; /* the service manager's socket, or -1 */
	struct event_notifier begun; /* with notify_fd */
	struct file_place pidfile; /* path NULL: there is none */
	ino_t pidfile_inode; /* ours, unless it is special */
};

/*
 * Between session_create() and session_run(): opens all that it ever will. STATUS_OK, or what to
 * exit with, said; then there is nothing to destroy. debugger: as debugger_run() is given it.
 * monitor_destroy(): before session_destroy().
 */
enum status monitor_create(struct monitor *monitor, struct session *session,
			   struct debugger **debugger);
void monitor_destroy(struct monitor *monitor);

#endif
