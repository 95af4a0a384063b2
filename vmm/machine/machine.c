// SPDX-License-Identifier: GPL-2.0-only
#include "machine/machine.h"

#include "host/clock.h"
#include "host/worker.h"
#include "steps.h"
#include "util.h"

static void reach(struct machine *machine, enum machine_phase phase)
{
	machine->phase[phase].nanoseconds = clock_ns();
	for (unsigned int i = 0; i < machine->env.count; i++)
		machine->phase[phase].exits += counters_total(&machine->env.vcpus[i].counters);
	machine->phase[phase].reached = true;
}

/* The order of everything. */
static const struct step start_steps[] = {
	{ start_measure, NULL, STATUS_USAGE }, /* kernel, initrd, disks */
	{ vm_map_ram, vm_unmap_ram, STATUS_USAGE }, /* RAM */
	{ start_load, NULL, STATUS_USAGE },
	{ vm_create, vm_destroy, STATUS_HOST },
	{ cpus_create, cpus_destroy, STATUS_HOST }, /* vCPUs, GIC */
	{ devices_create, devices_destroy, STATUS_HOST },
	{ start_describe, start_forget, STATUS_HOST }, /* device tree */
	{ start_edit, NULL, STATUS_USAGE }, /* as the user wants it */
	{ start_tell, NULL, STATUS_HOST }, /* and so does the guest */
	{ start_enter, NULL, STATUS_HOST },
	{ start_clean, NULL, STATUS_HOST },
	{ NULL, NULL, STATUS_OK },
};

/* The same for a guest that was saved. */
static const struct step restore_steps[] = {
	{ start_disks, NULL, STATUS_USAGE },
	{ vm_map_ram, vm_unmap_ram, STATUS_USAGE },
	{ restore_ram, restore_ram_end, STATUS_USAGE },
	{ vm_create, vm_destroy, STATUS_HOST },
	{ cpus_create, cpus_destroy, STATUS_HOST },
	{ devices_create, devices_destroy, STATUS_HOST },
	{ restore_state, NULL, STATUS_USAGE },
	{ NULL, NULL, STATUS_OK },
};

/* And for one that moves here, whose source still runs it for a while. */
static const struct step receive_steps[] = {
	{ start_disks, NULL, STATUS_USAGE },
	{ vm_map_ram, vm_unmap_ram, STATUS_USAGE },
	{ receive_ram, NULL, STATUS_HOST },
	{ vm_create, vm_destroy, STATUS_HOST },
	{ cpus_create, cpus_destroy, STATUS_HOST },
	{ devices_create, devices_destroy, STATUS_HOST },
	{ restore_state, NULL, STATUS_HOST },
	{ receive_commitment, NULL, STATUS_HOST },
	{ NULL, NULL, STATUS_OK },
};

static const struct step *steps_of(const struct config *config)
{
	if (config->migration)
		return receive_steps;
	return config->snapshot ? restore_steps : start_steps;
}

enum status machine_create(struct machine *machine, struct resources *resources,
			   struct event_loop *loop, struct terminal *terminal, struct sink *report,
			   struct verdict *verdict)
{
	*machine = (struct machine){
		.config = resources->config,
		.resources = resources,
		.loop = loop,
		.terminal = terminal,
		.report = report,
		.verdict = verdict,
		.steps = steps_of(resources->config),
	};
	reach(machine, PHASE_BEGUN);
	while (machine->steps[machine->built].up) {
		const struct step *step = &machine->steps[machine->built];
		const int err = step->up(machine);

		if (err < 0) {
			machine_destroy(machine);
			return status_of_error(err, step->blamed);
		}
		machine->built++;
	}
	reach(machine, PHASE_CREATED);
	return STATUS_OK;
}

void machine_destroy(struct machine *machine)
{
	while (machine->built > 0) {
		const struct step *step = &machine->steps[--machine->built];

		if (step->down)
			step->down(machine);
	}
}

/* The first vCPU last: by then the others can be called by it. */
static int start_vcpus(struct machine *machine)
{
	int err = 0;

	for (unsigned int i = machine->env.count; i-- > 0 && err >= 0;)
		err = vcpu_start(&machine->env.vcpus[i]);
	return err;
}

static void stop_vcpus(struct machine *machine)
{
	for (unsigned int i = 0; i < machine->env.count; i++)
		vcpu_stop(&machine->env.vcpus[i]);
}

static int begin(struct machine *machine)
{
	const int err = config_goes_on(machine->config) ? restore_go(machine) : 0;

	reach(machine, PHASE_FIRST_RUN);
	return err < 0 ? err : start_vcpus(machine);
}

/*
 * A guest that was given away runs when nothing can fail any more, or not at all, and who gave it
 * is told which: until then vCPUs stay outside.
 */
static int take_over(struct machine *machine)
{
	struct hold hold = { 0 }; /* over before the loop could tell of it */
	int err = hold_begin(machine->env.holds, &hold);
	const bool holds = err >= 0;

	if (err >= 0)
		err = start_vcpus(machine);
	if (err >= 0)
		err = restore_go(machine);
	if (err < 0)
		stop_vcpus(machine);
	reach(machine, PHASE_FIRST_RUN);
	receive_tell(machine, err >= 0);
	if (holds)
		hold_end(machine->env.holds, &hold);
	return err;
}

void machine_run(struct machine *machine)
{
	int err = machine->config->migration ? take_over(machine) : begin(machine);

	worker_slice(WORKER_SLICE_NS);
	while (err >= 0 && verdict_outcome(machine->verdict) == OUTCOME_RUNNING)
		err = event_loop_turn(machine->loop, true);
	worker_slice(0);
	if (err < 0)
		verdict_reach(machine->verdict, OUTCOME_HOST_ERROR);

	terminal_release(machine->terminal, true);
	stop_vcpus(machine);
	for (unsigned int i = 0; i < machine->env.count; i++)
		vcpu_join(&machine->env.vcpus[i]);
	terminal_release(machine->terminal, false);
	reach(machine, PHASE_SHUTDOWN);
}
