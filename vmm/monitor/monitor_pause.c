// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A pause is a hold of all vCPUs, which outlasts a reset. Its answer comes
 * when they are out of the guest. To stop time with them, the guest's virtual counter is read then,
 * and set to the same again before they go on; a VM with a counter offset has that offset moved
 * instead, and its physical counter with it.
 */
#include <errno.h>

#include "cpu/ticks.h"
#include "host/log.h"
#include "monitor_parts.h"
#include "util.h"

const char *monitor_pause_name(enum monitor_state state)
{
	static const char *const names[] = {
		[MONITOR_RUNNING] = "running",
		[MONITOR_PAUSING] = "pausing",
		[MONITOR_PAUSED] = "paused",
		[MONITOR_ENDED] = "ended",
	};

	return names[state];
}

/* The guest's time. */

/* Whether counters of the host's own choice have been given up (vm.c). */
static bool has_offset(const struct config *config)
{
	return config->has_counter_offset || config->nested;
}

static int stop_time(struct monitor *monitor)
{
	const struct session *session = monitor->session;

	/* In between two lives there is none. */
	if (!session->machine_exists)
		return 0;
	return ticks_read(session->machine.env.vcpus[0].fd, &monitor->ticks);
}

/* As if there had been no time since stop_time(). */
static int start_time(struct monitor *monitor)
{
	const struct machine *machine = &monitor->session->machine;
	const struct config *config = machine->config;
	uint64_t now;
	int vcpu_fd, err;

	if (!monitor->session->machine_exists)
		return 0;
	vcpu_fd = machine->env.vcpus[0].fd;
	if (!has_offset(config))
		return ticks_set(vcpu_fd, monitor->ticks);
	err = ticks_read(vcpu_fd, &now);
	if (err < 0)
		return err;
	monitor->behind += now - monitor->ticks;
	return kvm_set_counter_offset(machine->vm_fd, machine->counter_offset + monitor->behind);
}

/* Pauses. */

static void answer(struct control_client *client, const struct monitor *monitor, bool changed)
{
	control_server_answer(client,
			      json_pack("{sssb}", "state", monitor_pause_name(monitor->state),
					"changed", changed));
}

static void held(struct hold *hold)
{
	struct monitor *monitor = container_of(hold, struct monitor, hold);
	struct control_client *client = monitor->pauses;
	int err = 0;

	if (monitor->stops_time)
		err = stop_time(monitor);
	monitor->pauses = NULL;
	if (err < 0) {
		monitor->state = MONITOR_RUNNING;
		hold_end(&monitor->session->holds, hold);
		control_server_refuse(client, CONTROL_FAILED, "the guest's counter: %s",
				      log_reason(-err));
		return;
	}
	monitor->state = MONITOR_PAUSED;
	answer(client, monitor, true);
}

void monitor_pause(struct control_client *client, json_t *arguments, void *opaque)
{
	struct monitor *monitor = opaque;
	json_error_t error;
	int stops_time = false;

	if (arguments &&
	    json_unpack_ex(arguments, &error, JSON_STRICT, "{s?b}", "stop_time", &stops_time) < 0)
		control_server_refuse(client, CONTROL_BAD, "%s", error.text);
	else if (monitor->state == MONITOR_PAUSED)
		answer(client, monitor, false);
	else if (monitor->state == MONITOR_RUNNING && mover_is_busy(monitor->mover))
		control_server_refuse(client, CONTROL_NOT_NOW, "the guest is being moved");
	else if (monitor->state == MONITOR_PAUSING)
		control_server_refuse(client, CONTROL_NOT_NOW, "the guest is being paused");
	else if (monitor->state == MONITOR_ENDED)
		control_server_refuse(client, CONTROL_NOT_NOW, "the guest has ended");
	else {
		monitor->stops_time = stops_time;
		monitor->pauses = client;
		monitor->state = MONITOR_PAUSING;
		monitor->hold.held = held;
		/* Prepared, it does not fail. */
		hold_begin(&monitor->session->holds, &monitor->hold);
	}
}

/* Vcpus go on, and who waited for them to come to rest is told so. */
static int end_hold(struct monitor *monitor, enum monitor_state state)
{
	const bool timely =
		monitor->state == MONITOR_PAUSED && monitor->stops_time && state == MONITOR_RUNNING;
	struct control_client *client = monitor->pauses;
	const int err = timely ? start_time(monitor) : 0;

	hold_end(&monitor->session->holds, &monitor->hold);
	monitor->state = state;
	monitor->pauses = NULL;
	if (client)
		control_server_refuse(client, CONTROL_NOT_NOW, "the guest goes on, or has ended");
	return err;
}

/* It was given to another nidus, and nobody knows whether that has it. */
static void take_back(struct control_client *client, struct monitor *monitor)
{
	if (mover_resume(monitor->mover) < 0) {
		control_server_refuse(client, CONTROL_FAILED,
				      "the guest stays paused: somebody else has its disks");
		return;
	}
	monitor->state = MONITOR_RUNNING;
	answer(client, monitor, true);
}

void monitor_resume(struct control_client *client, json_t *arguments, void *opaque)
{
	struct monitor *monitor = opaque;
	int err = 0;

	if (json_object_size(arguments) > 0) {
		control_server_refuse(client, CONTROL_BAD, "takes no arguments");
		return;
	}
	if (monitor->state == MONITOR_RUNNING || monitor->state == MONITOR_ENDED) {
		answer(client, monitor, false);
		return;
	}
	if (mover_is_adrift(monitor->mover)) {
		take_back(client, monitor);
		return;
	}
	err = end_hold(monitor, MONITOR_RUNNING);
	if (err < 0)
		control_server_refuse(client, CONTROL_FAILED,
				      "the guest goes on, but its time has gone on meanwhile: %s",
				      log_reason(-err));
	else
		answer(client, monitor, true);
}

void monitor_pause_begins(struct monitor *monitor)
{
	monitor->behind = 0;
	/* The time of another life was stopped. */
	if (monitor->state == MONITOR_PAUSED && monitor->stops_time)
		stop_time(monitor);
}

void monitor_pause_end(struct monitor *monitor)
{
	if (monitor->state == MONITOR_PAUSED || monitor->state == MONITOR_PAUSING)
		end_hold(monitor, MONITOR_ENDED);
	monitor->state = MONITOR_ENDED;
}
