// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A guest is saved when nothing of it moves: first its vCPUs rest, then its
 * devices, which end what they have begun. The order of records is that in which they are taken
 * back: where counters stand, for KVM goes by that when it takes registers of timers; vCPUs; the
 * interrupt controller, whose tables are in guest memory by then; devices, which may interrupt.
 *
 * A machine that is restored is built as any other, of the same configuration, but without what a
 * guest finds at its start. Its devices rest until its vCPUs are about to run.
 *
 * One that moves here comes by a connection, which is a source of the event loop: signals, and who
 * sits at the terminal, do not wait for it. It is the source's until that says that it has been
 * committed; from then on it is ours, and disks can be locked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "cpu/gic_state.h"
#include "cpu/memory_tags.h"
#include "cpu/pvtime.h"
#include "host/log.h"
#include "migration/migration_receive.h"
#include "snapshot/snapshot.h"
#include "steps.h"
#include "util.h"

const char *machine_unsaved(const struct machine *machine)
{
	/* Which pages of a file have tags is not known by this process's tables. */
	if (machine->mte && machine->memory.fd >= 0)
		return "it has memory tagging, and RAM that is a file's";
	/* Its breakpoints are in the guest's memory. */
	if (machine->env.debugged)
		return "a debugger has it";
	if (!gic_can_be_saved(&machine->gic))
		return "it has a GICv2";
	return bus_unsaved(&machine->bus);
}

const char *machine_unlogged(const struct machine *machine)
{
	const struct resources *resources = machine->resources;

	for (unsigned int i = 0; i < resources->link_count; i++)
		if (resources->links[i] && resources->links[i]->vhost)
			return "its network writes to its RAM by itself (vhost=0 has nidus do that)";
	return NULL;
}

void machine_rest(struct machine *machine, bool rest)
{
	bus_rest(&machine->bus, rest);
}

static bool has_offset(const struct machine *machine)
{
	return machine->config->has_counter_offset || machine->config->nested;
}

void machine_save_config(const struct machine *machine, struct state_writer *writer)
{
	const struct config_made made = {
		.irqchip = machine->gic.kind,
		.report = machine->report != NULL,
		.mte = machine->mte,
		.flash_sizes = { machine->resources->flash[0].size,
				 machine->resources->flash[1].size },
	};

	config_save_guest(machine->config, &made, writer);
}

void machine_save(struct machine *machine, struct state_writer *writer, int pagemap_fd)
{
	struct vcpu_env *env = &machine->env;
	uint64_t *mpidr = cpus_mpidrs(machine);

	if (!mpidr) {
		state_fail_write(writer, -ENOMEM);
		return;
	}
	machine_save_config(machine, writer);
	cpu_clock_save(writer, env->vcpus[0].fd, has_offset(machine));
	for (unsigned int i = 0; i < env->count; i++)
		cpu_save(writer, &machine->saved, env->vcpus[i].fd, i);
	gic_save(writer, &machine->gic, mpidr);
	pvtime_save(writer, &machine->held, env->count);
	bus_save(&machine->bus, writer);
	if (machine->mte)
		memory_tags_save(writer, machine->vm_fd, &machine->memory, pagemap_fd);
	free(mpidr);
}

int restore_ram(struct machine *machine)
{
	const struct snapshot *snapshot = machine->config->snapshot;
	int err = machine->resources->lazy_fd;

	if (err >= 0)
		err = snapshot_load_lazily(&machine->source, snapshot, &machine->lazy,
					   machine->resources->lazy_fd, &machine->memory,
					   machine->verdict);
	return err == 0 || err == -EINVAL ? err : snapshot_load(snapshot, &machine->memory);
}

void restore_ram_end(struct machine *machine)
{
	lazy_end(&machine->lazy);
}

static void restore(struct machine *machine, struct state_reader *reader, const uint64_t *mpidr)
{
	struct vcpu_env *env = &machine->env;
	int err;

	cpu_clock_get(reader, &machine->clock);
	if (reader->err == 0 && machine->clock.has_offset != has_offset(machine))
		state_refuse(reader, "clock", 0, "is of another kind than the guest's");
	if (reader->err < 0)
		return;
	if (machine->config->clock_runs)
		cpu_clock_catch_up(&machine->clock);
	err = cpu_clock_restore(&machine->clock, machine->vm_fd, env->vcpus[0].fd,
				&machine->counter_offset);
	if (err < 0)
		state_fail_read(reader, err);
	for (unsigned int i = 0; i < env->count; i++)
		cpu_restore(reader, env->vcpus[i].fd, i);
	if (reader->err == 0)
		gic_restore(reader, &machine->gic, mpidr);
	pvtime_restore(reader, &machine->held, env->count);
	if (reader->err == 0)
		bus_restore(&machine->bus, reader);
	if (reader->err == 0 && machine->mte)
		memory_tags_restore(reader, machine->vm_fd, &machine->memory);
	state_done(reader);
}

static void read_state(const struct machine *machine, struct state_reader *reader)
{
	const struct snapshot *snapshot = machine->config->snapshot;
	const struct migration_receiver *receiver = machine->config->migration;

	if (receiver)
		state_reader_create(reader, receiver->state, receiver->state_size);
	else
		state_reader_create(reader, snapshot->state, snapshot->header.state_size);
}

int restore_state(struct machine *machine)
{
	uint64_t *mpidr = cpus_mpidrs(machine);
	struct state_reader reader;
	size_t size;

	if (!mpidr)
		return -ENOMEM;
	read_state(machine, &reader);
	machine_rest(machine, true);
	/* What comes before is for others; of that the machine was made. */
	state_seek(&reader, "guest");
	state_take(&reader, "guest", 0, &size);
	restore(machine, &reader, mpidr);
	free(mpidr);
	return reader.err;
}

int restore_go(struct machine *machine)
{
	const bool moved = machine->config->migration != NULL;
	/* Its source has given them up by now. */
	int err = moved ? resources_lock(machine->resources) : 0;

	if (err == 0)
		err = cpu_clock_restore(&machine->clock, machine->vm_fd, machine->env.vcpus[0].fd,
					&machine->counter_offset);
	if (err >= 0)
		machine_rest(machine, false);
	return err;
}

/* A guest that moves here. */

struct receipt {
	struct event_source source;
	struct migration_receiver *receiver;
	int more; /* as migration_receive_some() returns it */
};

static void receipt_ready(struct event_source *source, uint32_t events)
{
	struct receipt *receipt = container_of(source, struct receipt, source);

	(void)events;
	receipt->more = migration_receive_some(receipt->receiver);
}

/* Until what is to come has come, or there is a verdict. Errors: as steps.h has them. */
static int receive(struct machine *machine)
{
	struct receipt receipt = {
		.source = { machine->config->migration->fd, receipt_ready },
		.receiver = machine->config->migration,
		.more = 1,
	};
	int err = event_add(machine->loop, &receipt.source, EPOLLIN);

	if (err < 0) {
		log_error("%s: %s", receipt.receiver->from, log_reason(-err));
		return err;
	}
	while (err >= 0 && receipt.more > 0 && verdict_outcome(machine->verdict) == OUTCOME_RUNNING)
		err = event_loop_turn(machine->loop, true);
	event_remove(machine->loop, &receipt.source);
	if (err < 0)
		return err;
	return receipt.more > 0 ? -ECANCELED : receipt.more;
}

int receive_ram(struct machine *machine)
{
	const int err = migration_receive_into(machine->config->migration, &machine->memory);

	return err < 0 ? err : receive(machine);
}

int receive_commitment(struct machine *machine)
{
	const int err = migration_receive_ready(machine->config->migration);

	return err < 0 ? err : receive(machine);
}

void receive_tell(struct machine *machine, bool runs)
{
	/* It takes them back. */
	if (!runs)
		resources_unlock(machine->resources);
	migration_receive_tell(machine->config->migration, runs);
}
