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

/* The files, as they are by now, disks included, and places in RAM. */
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

#endif
