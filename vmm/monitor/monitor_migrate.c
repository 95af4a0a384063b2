// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest to another nidus, by a connection that comes with the request. Who asked for it may
 * call it off by going away.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "monitor_parts.h"
#include "util.h"

#define TIMEOUT_S     30
#define TIMEOUT_MAX_S 86400

static json_t *result(const struct mover *mover)
{
	const struct migration_sender *sender = &mover->sender;

	return json_pack("{sIsIsisI}", "sent_bytes", (json_int_t)sender->sent, "ram_bytes",
			 (json_int_t)sender->page_bytes, "rounds", (int)mover->rounds, "paused_ns",
			 (json_int_t)mover->paused_ns);
}

static void done(struct mover *mover, const char *why)
{
	struct monitor *monitor = mover->opaque;
	struct control_client *client = monitor->moves;

	monitor->moves = NULL;
	if (!why) {
		control_server_answer(client, result(mover));
	} else if (mover_is_adrift(mover)) {
		monitor->state = MONITOR_PAUSED;
		control_server_refuse(client, CONTROL_FAILED,
				      "the guest is paused: %s; nidus resume has it go on here, "
				      "nidus stop ends it",
				      why);
	} else {
		control_server_refuse(client, CONTROL_FAILED, "the guest cannot be moved: %s", why);
	}
}

static void left(void *opaque)
{
	mover_cancel(((struct monitor *)opaque)->mover);
}

/* Why it cannot be now, or NULL. */
static const char *not_now(const struct monitor *monitor)
{
	if (monitor->state == MONITOR_ENDED || monitor->saver.stage == SAVER_STOPPED ||
	    mover_has_moved(monitor->mover))
		return "the guest has ended";
	if (monitor->state != MONITOR_RUNNING)
		return "the guest is paused";
	if (saver_is_busy(&monitor->saver))
		return "the guest is being saved";
	return mover_is_busy(monitor->mover) ? "the guest is being moved" : NULL;
}

static void begin(struct monitor *monitor, struct control_client *client, unsigned int timeout)
{
	if (!monitor->mover)
		monitor->mover = calloc(1, sizeof(*monitor->mover));
	if (!monitor->mover) {
		control_server_refuse(client, CONTROL_FAILED, "%s", strerror(ENOMEM));
		return;
	}
	monitor->mover->session = monitor->session;
	monitor->mover->done = done;
	monitor->mover->opaque = monitor;
	monitor->moves = client;
	control_server_watch(client, left, monitor);
	mover_begin(monitor->mover, control_server_handed(client, 0),
		    control_server_handed(client, 1), timeout * UINT64_C(1000000000));
}

void monitor_migrate(struct control_client *client, json_t *arguments, void *opaque)
{
	struct monitor *monitor = opaque;
	const char *why = not_now(monitor);
	json_error_t error;
	int timeout = TIMEOUT_S;

	if (arguments &&
	    json_unpack_ex(arguments, &error, JSON_STRICT, "{s?i}", "timeout", &timeout) < 0) {
		control_server_refuse(client, CONTROL_BAD, "%s", error.text);
	} else if (timeout < 1 || timeout > TIMEOUT_MAX_S) {
		control_server_refuse(client, CONTROL_BAD, "timeout must be from 1 to %d seconds",
				      TIMEOUT_MAX_S);
	} else if (control_server_handed(client, 1) < 0) {
		control_server_refuse(
			client, CONTROL_BAD,
			"a connection and the pagemap of this process have to come along");
	} else if (why) {
		control_server_refuse(client, CONTROL_NOT_NOW, "%s", why);
	} else {
		begin(monitor, client, timeout);
	}
}

void monitor_migrate_end(struct monitor *monitor)
{
	/* It is the mover's hold that keeps it paused. */
	if (mover_is_adrift(monitor->mover))
		monitor->state = MONITOR_RUNNING;
	if (monitor->mover)
		mover_end(monitor->mover);
	free(monitor->mover);
	monitor->mover = NULL;
}
