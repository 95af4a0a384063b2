// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where every vCPU is: all are held for as long as that takes, also where the guest is paused.
 */
#include <inttypes.h>

#include "arm/sysreg.h"
#include "cpu/gic.h"
#include "inspect/inspect.h"
#include "monitor_parts.h"
#include "util.h"

#define FRAMES 32

static json_t *hex(uint64_t value)
{
	return json_sprintf("0x%" PRIx64, value);
}

static json_t *where_of(const struct inspect *inspect)
{
	struct inspect_where where;
	json_t *object;

	inspect_where(inspect, &where);
	object = json_pack("{sisssi}", "el", (int)where.el, "role", inspect_role_name(where.role),
			   "level", (int)where.level);
	if (where.role == INSPECT_INSIDE)
		json_object_set_new(object, "vmid", json_integer(where.vmid));
	if (where.virtual_el2)
		json_object_set_new(object, "virtual_el2", json_true());
	if (where.aarch32)
		json_object_set_new(object, "aarch32", json_true());
	return object;
}

static json_t *registers_of(const struct inspect *inspect)
{
	static const char *const names[] = { "sp", "pc", "cpsr" };
	json_t *object = json_object();
	uint64_t value;

	for (unsigned int i = 0; i < INSPECT_CORE; i++) {
		char name[8];

		snprintf(name, sizeof(name), "x%u", i);
		if (inspect_core(inspect, i, &value) >= 0)
			json_object_set_new(object, i < INSPECT_SP ? name : names[i - INSPECT_SP],
					    hex(value));
	}
	for (unsigned int i = 0; i < inspect_system_count(); i++)
		if (inspect_system(inspect, i, &value) >= 0)
			json_object_set_new(object, inspect_system_name(i), hex(value));
	return object;
}

static json_t *backtrace_of(struct inspect *inspect)
{
	uint64_t pc[FRAMES];
	const unsigned int count = inspect_backtrace(inspect, pc, FRAMES);
	json_t *array = json_array();

	for (unsigned int i = 0; i < count; i++)
		json_array_append_new(array, hex(pc[i]));
	return array;
}

static json_t *numbers_of(uint64_t bits)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < 64; i++)
		if (bits & BIT(i))
			json_array_append_new(array, json_integer(i));
	return array;
}

/* NULL: KVM does not tell. */
static json_t *pending_of(const struct gic *gic, const struct vcpu *vcpu)
{
	uint64_t mpidr, pending, enabled;

	if (cpu_get_mpidr(vcpu->fd, &mpidr) < 0 ||
	    gic_pending(gic, vcpu->index, mpidr, &pending, &enabled) < 0)
		return NULL;
	return json_pack("{soso}", "enabled", numbers_of(pending & enabled), "disabled",
			 numbers_of(pending & ~enabled));
}

static const char *power_of(const struct vcpu *vcpu)
{
	switch (kvm_get_mp_state(vcpu->fd)) {
	case KVM_MP_STATE_RUNNABLE:
		return "on";
	case KVM_MP_STATE_STOPPED:
		return "off";
	case KVM_MP_STATE_SUSPENDED:
		return "suspended";
	default:
		return "unknown";
	}
}

static json_t *vcpu_object(const struct machine *machine, const struct vcpu *vcpu)
{
	json_t *object = json_pack("{siss}", "index", (int)vcpu->index, "power", power_of(vcpu));
	struct inspect inspect;
	json_t *pending = pending_of(&machine->gic, vcpu);

	if (pending)
		json_object_set_new(object, "pending", pending);
	if (inspect_begin(&inspect, vcpu) < 0)
		return object;
	json_object_set_new(object, "where", where_of(&inspect));
	json_object_set_new(object, "backtrace", backtrace_of(&inspect));
	json_object_set_new(object, "registers", registers_of(&inspect));
	return object;
}

static void held(struct hold *hold)
{
	struct monitor *monitor = container_of(hold, struct monitor, look);
	const struct session *session = monitor->session;
	const struct vcpu_env *env = &session->machine.env;
	struct control_client *client = monitor->looks;
	json_t *vcpus = json_array();

	for (unsigned int i = 0; session->machine_exists && i < env->count; i++)
		json_array_append_new(vcpus, vcpu_object(&session->machine, &env->vcpus[i]));
	hold_end(&monitor->session->holds, hold);
	monitor->looks = NULL;
	control_server_answer(client, json_pack("{so}", "vcpus", vcpus));
}

void monitor_debug(struct control_client *client, json_t *arguments, void *opaque)
{
	struct monitor *monitor = opaque;

	if (json_object_size(arguments) > 0) {
		control_server_refuse(client, CONTROL_BAD, "takes no arguments");
	} else if (monitor->state == MONITOR_ENDED) {
		control_server_refuse(client, CONTROL_NOT_NOW, "the guest has ended");
	} else if (monitor->looks) {
		control_server_refuse(client, CONTROL_NOT_NOW, "somebody else is about to look");
	} else {
		monitor->looks = client;
		monitor->look.held = held;
		hold_begin(&monitor->session->holds, &monitor->look);
	}
}

void monitor_debug_end(struct monitor *monitor)
{
	struct control_client *client = monitor->looks;

	if (!client)
		return;
	hold_end(&monitor->session->holds, &monitor->look);
	monitor->looks = NULL;
	control_server_refuse(client, CONTROL_NOT_NOW, "the guest has ended");
}
