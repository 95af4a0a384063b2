// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest to a file that comes with the request. That it takes its name only when it is whole is
 * up to who asks.
 */
#include <string.h>

#include "host/log.h"
#include "monitor_parts.h"
#include "util.h"

static void done(struct saver *saver, const char *why)
{
	struct monitor *monitor = container_of(saver, struct monitor, saver);
	const struct snapshot_header *header = &saver->writer.header;
	struct control_client *client = monitor->saves;

	monitor->saves = NULL;
	if (why)
		control_server_refuse(client, CONTROL_FAILED, "the guest cannot be saved: %s", why);
	else
		control_server_answer(client,
				      json_pack("{sIsIsIsIsb}", "ram_bytes",
						(json_int_t)saver->writer.bytes, "ranges",
						(json_int_t)header->range_count, "state_bytes",
						(json_int_t)header->state_size, "paused_ns",
						(json_int_t)saver->paused_ns, "stopped",
						saver->stage == SAVER_STOPPED));
}

/* Two digits a byte. */
static bool read_id(const char *text, struct snapshot_id *id)
{
	static const char digits[] = "0123456789abcdef";

	if (strlen(text) != 2 * sizeof(id->bytes))
		return false;
	for (size_t i = 0; i < 2 * sizeof(id->bytes); i++) {
		const char *digit = strchr(digits, text[i]);

		if (!digit)
			return false;
		id->bytes[i / 2] = id->bytes[i / 2] << 4 | (digit - digits);
	}
	return !snapshot_id_is_none(id);
}

static bool read_order(struct control_client *client, json_t *arguments, struct saver_order *order)
{
	const char *base = NULL;
	int stop = false, track = false;
	json_error_t error;

	*order = (struct saver_order){
		.fd = control_server_handed(client, 0),
		.pagemap_fd = control_server_handed(client, 1),
	};
	if (arguments && json_unpack_ex(arguments, &error, JSON_STRICT, "{s?b,s?b,s?s}", "stop",
					&stop, "track", &track, "base", &base) < 0) {
		control_server_refuse(client, CONTROL_BAD, "%s", error.text);
		return false;
	}
	order->stop = stop;
	order->track = track;
	if (base && !read_id(base, &order->base)) {
		control_server_refuse(client, CONTROL_BAD, "base has to be 32 digits of a number");
		return false;
	}
	if (order->fd < 0 || order->pagemap_fd < 0) {
		control_server_refuse(client, CONTROL_BAD,
				      "a file and the pagemap of this process have to come along");
		return false;
	}
	return true;
}

void monitor_snapshot(struct control_client *client, json_t *arguments, void *opaque)
{
	struct monitor *monitor = opaque;
	struct saver_order order;

	if (!read_order(client, arguments, &order))
		return;
	if (monitor->state == MONITOR_ENDED || monitor->saver.stage == SAVER_STOPPED) {
		control_server_refuse(client, CONTROL_NOT_NOW, "the guest has ended");
	} else if (saver_is_busy(&monitor->saver)) {
		control_server_refuse(client, CONTROL_NOT_NOW, "somebody else has it saved");
	} else if (mover_is_busy(monitor->mover)) {
		control_server_refuse(client, CONTROL_NOT_NOW, "the guest is being moved");
	} else {
		monitor->saves = client;
		saver_begin(&monitor->saver, &order);
	}
}

int monitor_snapshot_prepare(struct monitor *monitor)
{
	const int err = saver_create(&monitor->saver, monitor->session);

	monitor->saver.done = done;
	return err;
}
