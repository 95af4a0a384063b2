/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one vCPU's exits to user space were for. Written by its thread alone, without atomic
 * read-modify-write; read by any thread at any time, to the last complete count.
 */
#ifndef NIDUS_COUNTERS_H
#define NIDUS_COUNTERS_H

#include <stdbool.h>
#include <stdint.h>

#include "arm/insn.h"
#include "host/counter.h"

#define COUNTERS_REASONS 64 /* KVM_EXIT_* numbers below this are told apart */
#define COUNTERS_MMIO	 128 /* guest physical addresses that are told apart; a power of two */

struct counters_mmio {
	counter address; /* GPA, exact; 0 where the entry is free */
	counter reads, writes;
};

struct counters {
	counter exits[COUNTERS_REASONS]; /* by KVM_EXIT_* */
	struct counters_mmio mmio[COUNTERS_MMIO];
	struct counters_mmio mmio_others; /* all addresses that found no entry */
	/* Instructions that the CPU did not describe: emulated, refused, to be tried again. */
	counter emulated[INSN_CLASSES], aborted[INSN_CLASSES], retried;
};

/* The vCPU's thread. */
void counters_exit(struct counters *counters, unsigned int reason);
void counters_emulated(struct counters *counters, enum insn_class class);
void counters_aborted(struct counters *counters, enum insn_class class);
void counters_retried(struct counters *counters);
void counters_access(struct counters *counters, uint64_t gpa, bool write);

/* Exits in all. */
uint64_t counters_total(const struct counters *counters);

#endif
