// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's balloon. What was asked for is the session's, and holds in the guest's next life too.
 */
#include <inttypes.h>

#include "balloon/balloon.h"
#include "machine/stats.h"
#include "monitor_parts.h"
#include "util.h"

/* The one of the guest that runs, or NULL. */
static struct virtio *balloon_of(const struct monitor *monitor)
{
	return monitor->session->machine_exists ? monitor->session->machine.balloon : NULL;
}

/* False: that cannot be, and client is told so. */
static bool set_target(struct monitor *monitor, struct control_client *client, json_int_t bytes)
{
	const uint64_t most = monitor->session->config->mem_size;

	if (bytes < 0 || bytes % BALLOON_PAGE != 0 || (uint64_t)bytes > most) {
		control_server_refuse(client, CONTROL_BAD,
				      "target_bytes: must be a multiple of %d, and no more than "
				      "the guest's RAM of %" PRIu64,
				      BALLOON_PAGE, most);
		return false;
	}
	monitor->balloon_target = bytes;
	balloon_set_target(balloon_of(monitor), bytes);
	return true;
}

void monitor_balloon(struct control_client *client, json_t *arguments, void *opaque)
{
	struct monitor *monitor = opaque;
	json_error_t error;
	json_int_t target = -1;
	const bool sets = json_object_size(arguments) > 0;

	if (sets &&
	    json_unpack_ex(arguments, &error, JSON_STRICT, "{sI}", "target_bytes", &target) < 0)
		control_server_refuse(client, CONTROL_BAD, "%s", error.text);
	else if (!monitor->session->config->balloon)
		control_server_refuse(client, CONTROL_NOT_NOW,
				      "the guest has no balloon: it runs without --balloon");
	else if (!balloon_of(monitor))
		control_server_refuse(client, CONTROL_NOT_NOW, "the guest has ended");
	else if (!sets || set_target(monitor, client, target))
		control_server_answer(client, stats_balloon(&monitor->session->machine));
}

void monitor_balloon_begins(struct monitor *monitor)
{
	struct virtio *balloon = balloon_of(monitor);

	if (balloon)
		balloon_set_target(balloon, monitor->balloon_target);
}

void monitor_balloon_ask(const struct monitor *monitor)
{
	struct virtio *balloon = balloon_of(monitor);

	if (balloon)
		balloon_ask(balloon);
}
