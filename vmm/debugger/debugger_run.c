// SPDX-License-Identifier: GPL-2.0-only
#include "debugger/debugger.h"
#include "machine/status.h"

enum status debugger_run(struct debugger **debugger, struct session *session)
{
	const struct config *config = session->config;
	enum status status;
	int err = 0;

	/* Who is waited for may also come by the control socket. */
	if (config->gdb || config->gdb_wait)
		err = debugger_create(debugger, session);
	status = err < 0 ? status_of_error(err, STATUS_USAGE) : session_run(session);
	if (*debugger)
		debugger_destroy(*debugger, status);
	*debugger = NULL;
	return status;
}
