// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest to a file that comes with the request. That it takes its name only when it is whole is
 * up to who asks.
 */
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
		control_server_answer(
			client,
			json_pack("{sIsIsIsIsb}", "ram_bytes", (json_int_t)saver->writer.bytes,
				  "ranges", (json_int_t)header->range_count, "state_bytes",
				  (json_int_t)header->state_size, "paused_ns",
				  (json_int_t)saver->paused_ns, "stopped", saver->stopped));
}

void monitor_snapshot(struct control_client *client, json_t *arguments, void *opaque)
{
	struct monitor *monitor = opaque;
	const int fd = control_server_handed(client, 0),
		  pagemap_fd = control_server_handed(client, 1);
	json_error_t error;
	int stop = false;

	if (arguments &&
	    json_unpack_ex(arguments, &error, JSON_STRICT, "{s?b}", "stop", &stop) < 0) {
		control_server_refuse(client, CONTROL_BAD, "%s", error.text);
	} else if (fd < 0 || pagemap_fd < 0) {
		control_server_refuse(client, CONTROL_BAD,
				      "a file and the pagemap of this process have to come along");
	} else if (monitor->state == MONITOR_ENDED || monitor->saver.stopped) {
		control_server_refuse(client, CONTROL_NOT_NOW, "the guest has ended");
	} else if (monitor->saver.busy) {
		control_server_refuse(client, CONTROL_NOT_NOW, "somebody else has it saved");
	} else {
		monitor->saves = client;
		saver_begin(&monitor->saver, fd, pagemap_fd, stop);
	}
}

int monitor_snapshot_prepare(struct monitor *monitor)
{
	const int err = saver_create(&monitor->saver, monitor->session);

	monitor->saver.done = done;
	return err;
}
