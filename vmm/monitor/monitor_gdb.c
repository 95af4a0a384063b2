// SPDX-License-Identifier: GPL-2.0-only
/*
 * A debugger that comes by the control socket: its connection is accepted already, and becomes
 * GDB's. A run that nobody debugs has no debugger until then.
 */
#include "debugger/debugger.h"
#include "host/log.h"
#include "monitor_parts.h"

void monitor_gdb(struct control_client *client, json_t *arguments, void *opaque)
{
	struct monitor *monitor = opaque;
	int err = 0, fd;

	if (json_object_size(arguments) > 0) {
		control_server_refuse(client, CONTROL_BAD, "takes no arguments");
		return;
	}
	if (monitor->state == MONITOR_ENDED) {
		control_server_refuse(client, CONTROL_NOT_NOW, "the guest has ended");
		return;
	}
	if (debugger_has_client(*monitor->debugger)) {
		control_server_refuse(client, CONTROL_NOT_NOW, "another debugger is there");
		return;
	}
	if (!*monitor->debugger)
		err = debugger_create(monitor->debugger, monitor->session);
	if (err < 0) {
		control_server_refuse(client, CONTROL_FAILED, "%s", log_reason(-err));
		return;
	}
	fd = control_server_hand_over(client);
	if (fd >= 0)
		debugger_attach(*monitor->debugger, fd);
}
