// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <unistd.h>

#include "machine/stats.h"
#include "monitor_parts.h"
#include "util.h"

/* Requests without arguments. False: it had some, and is answered. */
static bool takes_none(struct control_client *client, const json_t *arguments)
{
	if (json_object_size(arguments) == 0)
		return true;
	control_server_refuse(client, CONTROL_BAD, "takes no arguments");
	return false;
}

static void say_version(struct control_client *client, json_t *arguments, void *opaque)
{
	(void)opaque;
	if (takes_none(client, arguments))
		control_server_answer(client,
				      json_pack("{sssiss}", "schema", "nidus-control", "version",
						CONTROL_VERSION, "nidus", NIDUS_VERSION));
}

/* A name is any bytes, and JSON is UTF-8. */
static json_t *name_of(const struct config *config)
{
	json_t *name = config->name ? json_string(config->name) : json_null();

	return name ? name : json_string("?");
}

static void say_status(struct control_client *client, json_t *arguments, void *opaque)
{
	const struct monitor *monitor = opaque;
	const struct session *session = monitor->session;
	const struct config *config = session->config;

	if (takes_none(client, arguments))
		control_server_answer(client,
				      json_pack("{sosisssisisI}", "name", name_of(config), "pid",
						(int)getpid(), "state",
						monitor_pause_name(monitor->state), "resets",
						(int)session->resets, "cpus", (int)config->cpus,
						"mem_bytes", (json_int_t)config->mem_size));
}

static void say_statistics(struct control_client *client, json_t *arguments, void *opaque)
{
	const struct session *session = ((struct monitor *)opaque)->session;
	json_t *stats;

	if (!takes_none(client, arguments))
		return;
	if (!session->machine_exists) {
		control_server_refuse(client, CONTROL_NOT_NOW, "the guest has ended");
		return;
	}
	stats = stats_collect(&session->machine, session->resets);
	stats_add_mmio(stats, &session->machine);
	control_server_answer(client, stats);
	monitor_balloon_ask(opaque);
}

/* As the escape key. */
static void stop(struct control_client *client, json_t *arguments, void *opaque)
{
	struct monitor *monitor = opaque;

	if (!takes_none(client, arguments))
		return;
	control_server_answer(client, json_object());
	verdict_reach(&monitor->session->verdict, OUTCOME_QUIT);
}

static const struct control_request requests[] = {
	{ "version", say_version },	{ "status", say_status },
	{ "stat", say_statistics },	{ "stop", stop },
	{ "pause", monitor_pause },	{ "resume", monitor_resume },
	{ "debug", monitor_debug },	{ "gdb", monitor_gdb },
	{ "balloon", monitor_balloon }, { "snapshot", monitor_snapshot },
	{ "migrate", monitor_migrate }, { NULL, NULL },
};

static void begins(struct session_watcher *watcher)
{
	struct monitor *monitor = container_of(watcher, struct monitor, watcher);

	monitor_pause_begins(monitor);
	monitor_balloon_begins(monitor);
	monitor_service_begins(monitor);
}

static void stopped(struct session_watcher *watcher, bool over)
{
	struct monitor *monitor = container_of(watcher, struct monitor, watcher);

	saver_end(&monitor->saver);
	monitor_migrate_end(monitor);
	if (!over)
		return;
	monitor_pause_end(monitor);
	monitor_debug_end(monitor);
	monitor_service_ends(monitor);
}

/* Where config wants it, or nowhere. Errors: -errno, said. */
static int open_socket(struct monitor *monitor, const struct config *config)
{
	int err = 0;

	monitor->socket.fd = -1;
	if (config->control)
		return control_socket_open(&monitor->socket, config->control);
	if (config->name)
		err = control_socket_open_named(&monitor->socket, config->name);
	/* It is a guest without a socket, which was said; but who waits for somebody needs one. */
	return err == -ENOENT && (config->gdb || !config->gdb_wait) ? 0 : err;
}

static int serve(struct monitor *monitor)
{
	struct session *session = monitor->session;
	int err;

	if (monitor->socket.fd < 0)
		return 0;
	err = holds_prepare(&session->holds);
	if (err == 0)
		err = monitor_snapshot_prepare(monitor);
	if (err < 0)
		return err;
	err = control_server_start(&monitor->server, &session->loop, monitor->socket.fd, requests,
				   monitor);
	if (err < 0)
		saver_destroy(&monitor->saver);
	return err;
}

/* Here or in a porter. */
static int remove_names(struct porter_service *service, const void *request, size_t size,
			struct porter_reply *reply)
{
	const struct monitor *monitor = container_of(service, struct monitor, removal);

	(void)request;
	(void)size;
	(void)reply;
	control_socket_remove(&monitor->socket);
	monitor_service_remove(monitor);
	return 0;
}

static void offer_removal(struct monitor *monitor)
{
	const bool has_socket = monitor->socket.fd >= 0, has_file = monitor->pidfile.path != NULL;

	monitor->kept[0] = has_socket ? monitor->socket.directory : -1;
	monitor->kept[1] = has_file ? monitor->pidfile.directory : -1;
	monitor->removal = (struct porter_service){
		.serve = remove_names,
		.keep = monitor->kept,
		.keep_count = ARRAY_SIZE(monitor->kept),
	};
	if (has_socket || has_file)
		porter_offer(&monitor->session->resources.porter, &monitor->removal);
}

static void close_all(struct monitor *monitor)
{
	struct porter_reply reply;

	porter_ask(&monitor->removal, NULL, 0, &reply);
	porter_withdraw(&monitor->removal);
	monitor_service_close(monitor);
	control_socket_close(&monitor->socket);
}

enum status monitor_create(struct monitor *monitor, struct session *session,
			   struct debugger **debugger)
{
	int err;

	*monitor = (struct monitor){
		.session = session,
		.debugger = debugger,
		.watcher = { .begins = begins, .stopped = stopped },
	};
	err = open_socket(monitor, session->config);
	if (err < 0)
		return status_of_error(err, STATUS_USAGE);
	err = monitor_service_open(monitor);
	if (err < 0) {
		control_socket_remove(&monitor->socket);
		control_socket_close(&monitor->socket);
		return status_of_error(err, STATUS_USAGE);
	}
	offer_removal(monitor);
	err = serve(monitor);
	if (err < 0) {
		close_all(monitor);
		return status_of_error(err, STATUS_USAGE);
	}
	if (monitor->socket.fd >= 0 || monitor->notify_fd >= 0)
		session_watch(session, &monitor->watcher);
	return STATUS_OK;
}

void monitor_destroy(struct monitor *monitor)
{
	const bool serves = monitor->socket.fd >= 0;

	session_watch_no_more(monitor->session, &monitor->watcher);
	if (serves) {
		saver_end(&monitor->saver);
		monitor_migrate_end(monitor);
		monitor_pause_end(monitor);
		monitor_debug_end(monitor);
	}
	/* Who waits for the end of the connection may then start a guest of the same name. */
	close_all(monitor);
	if (serves) {
		control_server_stop(&monitor->server);
		saver_destroy(&monitor->saver);
	}
}
