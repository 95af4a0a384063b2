/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The steps that a machine is built in, each of which needs those above it. Each cleans up after
 * itself when it fails; its counterpart, where it has one, takes down what the step made and
 * nothing else. Errors: -errno, said.
 */
#ifndef NIDUS_STEPS_H
#define NIDUS_STEPS_H

#include <stdbool.h>

#include "machine/machine.h"

/* One of them: how it is made and unmade, and who is to blame when it fails, where it is not for
 * want of means. */
struct step {
	int (*up)(struct machine *machine);
	void (*down)(struct machine *machine);
	enum status blamed;
};

/* Disks as they are by now; the files, likewise, and places in RAM. */
int start_disks(struct machine *machine);
int start_measure(struct machine *machine);

int vm_map_ram(struct machine *machine);
void vm_unmap_ram(struct machine *machine);

/* The files into their places. */
int start_load(struct machine *machine);

/* Also what memory slots refer to: later steps hand it over (machine->held). */
int vm_create(struct machine *machine);
void vm_destroy(struct machine *machine);

int cpus_create(struct machine *machine);
void cpus_destroy(struct machine *machine);
/* MPIDR_EL1 of all vCPUs, the caller's to free; NULL, said. */
uint64_t *cpus_mpidrs(const struct machine *machine);
/* Whether virtio devices are to be on PCI, if the host can. */
bool cpus_want_pci(const struct config *config);

int devices_create(struct machine *machine);
void devices_destroy(struct machine *machine);

/* The device tree: made, edited, and given to the guest, after which it is forgotten. */
int start_describe(struct machine *machine);
void start_forget(struct machine *machine);
int start_edit(struct machine *machine);
int start_tell(struct machine *machine);

/* The first vCPU's entry, and cleaning to the Point of Coherency. */
int start_enter(struct machine *machine);
int start_clean(struct machine *machine);

/* In place of these for a guest that goes on from a snapshot: RAM, and all else. */
int restore_ram(struct machine *machine);
void restore_ram_end(struct machine *machine);
int restore_state(struct machine *machine);
/*
 * Or from another nidus: RAM and state, while the loop turns; and what makes the guest ours, all of
 * whose machine is there. -ECANCELED, not said: there is a verdict by now. receive_tell(): that it
 * runs, or never will.
 */
int receive_ram(struct machine *machine);
int receive_commitment(struct machine *machine);
void receive_tell(struct machine *machine, bool runs);
/* Its counters go on, and its devices: just before vCPUs run. Errors: -errno, said. */
int restore_go(struct machine *machine);

#endif
