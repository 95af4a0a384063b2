// SPDX-License-Identifier: GPL-2.0-only
/*
 * How all stop and go on. A vCPU that hits something stays (vcpu_stay()) and notifies the loop; the
 * loop holds the others, and when all rest each is made to stay, so that any of them can go on by
 * itself, and the hold ends. All of this is asynchronous: clients come, go and interrupt meanwhile,
 * and what they want then is noted and done when all have stopped.
 */
#include "debugger.h"

#include <errno.h>
#include <stdlib.h>

#include "host/log.h"
#include "util.h"

struct vcpu *debugger_vcpu(struct debugger *debugger, unsigned int index)
{
	struct vcpu_env *env = &debugger->session->machine.env;

	return debugger->session->machine_exists && index < env->count ? &env->vcpus[index] : NULL;
}

static void describe_stop(struct debugger *debugger, struct gdb_stop *stop)
{
	struct debugged *hit = NULL;
	struct vcpu *vcpu;

	*stop = (struct gdb_stop){
		.thread = { 1, 1 },
		.signal = debugger->interrupted ? GDB_SIGINT : GDB_SIGTRAP,
	};
	for (unsigned int i = 0; (vcpu = debugger_vcpu(debugger, i)) && !hit; i++)
		if (debugger->debugged[i].hit) {
			hit = &debugger->debugged[i];
			debugger->last = (int)i;
		}
	vcpu = debugger_vcpu(debugger, debugger->last);
	if (vcpu)
		stop->thread = debugger_target_thread(debugger, vcpu);
	if (!hit)
		return;
	stop->signal = GDB_SIGTRAP;
	stop->reason = hit->reason;
	stop->address = hit->address;
}

/* Nothing of the client is left in the guest, which goes on. */
static void leave(struct debugger *debugger)
{
	struct vcpu *vcpu;

	debugger->leaving = false;
	debugger->split = false;
	debugger->regime = INSPECT_NOW;
	debugger->level = LEVEL_ANY;
	debugger->vmid = VMID_ANY;
	debugger_points_clear(debugger);
	for (unsigned int i = 0; (vcpu = debugger_vcpu(debugger, i)); i++)
		debugger->debugged[i] = (struct debugged){ .action = GDB_CONTINUE };
	if (!debugger->waiting)
		debugger_resume(debugger);
}

static void all_stopped(struct debugger *debugger)
{
	struct gdb_stop stop;

	if (debugger->leaving || !gdb_server_has_client(&debugger->server))
		leave(debugger);
	if (!debugger->stopped)
		return;
	describe_stop(debugger, &stop);
	if (debugger->waiting) {
		debugger_target_begin(debugger);
		gdb_server_begin(&debugger->server, &stop);
	} else {
		gdb_server_stopped(&debugger->server, &stop);
	}
	debugger->waiting = debugger->interrupted = false;
}

static void all_held(struct hold *hold)
{
	struct debugger *debugger = container_of(hold, struct debugger, hold);
	struct vcpu *vcpu;

	for (unsigned int i = 0; (vcpu = debugger_vcpu(debugger, i)); i++) {
		vcpu_stay(vcpu);
		debugger_events_end(debugger, vcpu);
	}
	debugger->holding = false;
	debugger->stopped = true;
	hold_end(&debugger->session->holds, hold);
	all_stopped(debugger);
}

void debugger_stop(struct debugger *debugger)
{
	if (debugger->stopped || debugger->holding)
		return;
	debugger->hold = (struct hold){ .held = all_held };
	debugger->holding = hold_begin(&debugger->session->holds, &debugger->hold) >= 0;
}

static void count_from_here(struct debugged *debugged, const struct vcpu *vcpu)
{
	for (unsigned int reason = 0; reason < COUNTERS_REASONS; reason++)
		debugged->exits[reason] = counter_read(&vcpu->counters.exits[reason]);
}

void debugger_resume(struct debugger *debugger)
{
	struct vcpu *vcpu;

	debugger->stopped = false;
	debugger->stepped = NULL;
	for (unsigned int i = 0; (vcpu = debugger_vcpu(debugger, i)); i++) {
		count_from_here(&debugger->debugged[i], vcpu);
		debugger_events_begin(debugger, vcpu);
	}
	/* When it is known which vCPU steps, and where. */
	for (unsigned int i = 0; (vcpu = debugger_vcpu(debugger, i)); i++)
		debugger_points_arm(debugger, vcpu);
	for (unsigned int i = 0; (vcpu = debugger_vcpu(debugger, i)); i++)
		if (debugger->debugged[i].action != GDB_STAY || debugger->debugged[i].crosses)
			vcpu_go(vcpu);
}

static void client_came(struct gdb_server *server)
{
	struct debugger *debugger = container_of(server, struct debugger, server);

	debugger->waiting = true;
	if (debugger->stopped)
		all_stopped(debugger);
	else
		debugger_stop(debugger);
}

void debugger_gone(struct debugger *debugger)
{
	debugger->leaving = true;
	debugger->waiting = debugger->interrupted = false;
	if (debugger->stopped)
		leave(debugger);
	else
		debugger_stop(debugger);
}

static void hit(struct event_notifier *notifier)
{
	struct debugger *debugger = container_of(notifier, struct debugger, hits);

	/* It may be told of already, and going on. */
	for (unsigned int i = 0; i < debugger->count; i++)
		if (debugger->debugged[i].hit)
			debugger_stop(debugger);
}

/* The machine's vCPUs come to this debugger from now on; KVM is told nothing. */
static bool adopt(struct debugger *debugger)
{
	struct machine *machine = &debugger->session->machine;
	struct vcpu_env *env = &machine->env;

	free(debugger->debugged);
	debugger->stepped = NULL;
	debugger->debugged = calloc(env->count, sizeof(*debugger->debugged));
	debugger->count = debugger->debugged ? env->count : 0;
	if (!debugger->debugged) {
		log_warning("no memory for debugging this guest");
		return false;
	}
	for (unsigned int i = 0; i < env->count; i++)
		debugger->debugged[i].action = GDB_CONTINUE;
	env->debugged = debugger_events_exit;
	env->debugger = debugger;
	debugger->breakpoints = kvm_check(machine->vm_fd, KVM_CAP_GUEST_DEBUG_HW_BPS);
	debugger->watchpoints = kvm_check(machine->vm_fd, KVM_CAP_GUEST_DEBUG_HW_WPS);
	return true;
}

static void machine_begins(struct session_watcher *watcher)
{
	struct debugger *debugger = container_of(watcher, struct debugger, watcher);
	struct vcpu_env *env = &debugger->session->machine.env;

	if (!adopt(debugger))
		return;
	debugger_points_forget(debugger);
	for (unsigned int i = 0; i < env->count; i++) {
		debugger_points_arm(debugger, &env->vcpus[i]);
		if (debugger->stopped)
			vcpu_stay(&env->vcpus[i]);
	}
}

/* Here or in a porter. */
static int remove_place(struct porter_service *service, const void *request, size_t size,
			struct porter_reply *reply)
{
	(void)request;
	(void)size;
	(void)reply;
	gdb_place_remove(&container_of(service, struct debugger, removal)->place);
	return 0;
}

static void close_place(struct debugger *debugger)
{
	struct porter_reply reply;

	porter_ask(&debugger->removal, NULL, 0, &reply);
	porter_withdraw(&debugger->removal);
	gdb_place_close(&debugger->place);
}

int debugger_create(struct debugger **created, struct session *session)
{
	const struct config *config = session->config;
	struct debugger *debugger;
	int err = 0;

	*created = NULL;
	debugger = calloc(1, sizeof(*debugger));
	if (!debugger) {
		log_error("debugger: %s", log_reason(ENOMEM));
		return -ENOMEM;
	}
	debugger->session = session;
	debugger->stopped = config->gdb_wait;
	debugger->regime = INSPECT_NOW;
	debugger->vmid = VMID_ANY;
	debugger->place.fd = -1;
	if (config->gdb)
		err = gdb_place_open(&debugger->place, config->gdb);
	if (err < 0)
		goto release;
	debugger->removal.serve = remove_place;
	if (debugger->place.path)
		porter_offer(&session->resources.porter, &debugger->removal);
	err = holds_prepare(&session->holds);
	if (err < 0)
		goto give_place_up;
	err = event_notifier_create(&debugger->hits, &session->loop, hit);
	if (err < 0)
		goto give_place_up;
	err = gdb_server_create(&debugger->server, &debugger->place, &session->loop,
				&debugger_target, debugger, client_came);
	if (err < 0)
		goto destroy_hits;
	if (session->machine_exists && !adopt(debugger)) {
		err = -ENOMEM;
		goto destroy_server;
	}
	debugger->watcher.begins = machine_begins;
	session_watch(session, &debugger->watcher);
	*created = debugger;
	return 0;

destroy_server:
	gdb_server_destroy(&debugger->server);
destroy_hits:
	event_notifier_destroy(&debugger->hits);
give_place_up:
	close_place(debugger);
release:
	free(debugger);
	return err;
}

void debugger_destroy(struct debugger *debugger, unsigned int status)
{
	session_watch_no_more(debugger->session, &debugger->watcher);
	gdb_server_exited(&debugger->server, status);
	gdb_server_destroy(&debugger->server);
	if (debugger->holding)
		hold_end(&debugger->session->holds, &debugger->hold);
	event_notifier_destroy(&debugger->hits);
	close_place(debugger);
	free(debugger->debugged);
	free(debugger);
}

bool debugger_has_client(const struct debugger *debugger)
{
	return debugger && gdb_server_has_client(&debugger->server);
}

void debugger_attach(struct debugger *debugger, int fd)
{
	gdb_server_take(&debugger->server, fd);
}
