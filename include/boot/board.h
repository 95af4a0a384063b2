/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The parts of the device tree that are no device's own: chosen, memory, CPUs, PSCI, timer, PMU.
 */
#ifndef NIDUS_BOARD_H
#define NIDUS_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "arm/devtree.h"
#include "cpu/gic.h"
#include "mm/memory.h"

struct board {
	struct memory_range ram;
	struct memory_range initrd; /* size 0: none */
	const char *params; /* kernel command line, or NULL */
	const char *stdout_path; /* node of the device for early messages, or NULL */
	bool other_console; /* the console that the guest is to choose is another device */
	uint64_t kaslr_seed; /* 0: none, so no KASLR */
	const uint64_t *mpidr; /* of each of gic->cpus vCPUs */
	bool pmu;
	bool nested; /* the guest starts at EL2: HVC is its own, PSCI is called by SMC */
	bool pci; /* there is a PCI bus, whose BARs stay where they are */
	const struct gic *gic;
};

/* Adds the nodes to the open root of tree. -errno, said, where the host gives no randomness. */
int board_describe(const struct board *board, struct devtree *tree);

#endif
