/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtual machine, from its RAM to its vCPUs: built in one visible order, run, torn down in
 * reverse. A guest that resets gets a new one.
 */
#ifndef NIDUS_MACHINE_H
#define NIDUS_MACHINE_H

#include "arm/devtree.h"
#include "backends/terminal.h"
#include "boot/boot.h"
#include "bus/bus.h"
#include "bus/irq.h"
#include "config/config.h"
#include "cpu/cpu_state.h"
#include "cpu/gic.h"
#include "devices/pci.h"
#include "host/verdict.h"
#include "machine/resources.h"
#include "machine/status.h"
#include "mm/dirty.h"
#include "mm/memory.h"
#include "mm/memslot.h"
#include "mm/poc.h"
#include "sink.h"
#include "snapshot/snapshot.h"
#include "vcpu/vcpu.h"

struct step;

enum machine_phase {
	PHASE_BEGUN, /* machine_create() was called */
	PHASE_CREATED, /* everything is built, loaded and cleaned */
	PHASE_FIRST_RUN, /* the first vCPU is about to enter the guest */
	PHASE_SHUTDOWN, /* the vCPUs have stopped */
	PHASES,
};

struct machine {
	/* Not the machine's; they outlive it. */
	const struct config *config; /* that of resources */
	struct resources *resources;
	struct event_loop *loop;
	struct terminal *terminal;
	struct sink *report; /* NULL: none was asked for */
	struct verdict *verdict;

	/* In the order in which they are built. */
	struct boot boot;
	struct memory memory;
	enum memory_backing mem_backing; /* of it: not always what was asked for */
	int vm_fd;
	bool mte; /* vCPUs have memory tagging */
	uint64_t counter_offset; /* ticks, where the VM has one: how far its counters are behind */
	struct memslot_held held; /* what memory slots refer to, RAM apart */
	struct lazy lazy; /* RAM that is not there yet, of a guest that is restored */
	struct snapshot_source source; /* where it comes from */
	struct dirty_log dirty; /* kept for who asks, one at a time: the loop's thread */
	/* The snapshot since which it is kept, by that it can be the base of an increment; or none.
	 */
	struct snapshot_id dirty_since;
	struct cpu_model model;
	struct vcpu_env env;
	struct cpu_saved saved;
	struct gic gic;
	struct bus bus;
	unsigned int virtio_count; /* virtio-mmio transports so far */
	/* What a guest reads without an exit; or NULL. */
	void *readable_pci, *readable_mmio;
	struct irq_routes routes;
	struct pci *pci; /* NULL: there is none */
	struct iommu *iommu; /* that disks and networks are behind; NULL: there is none */
	struct virtio *balloon; /* of balloon/balloon.h; NULL: there is none */
	struct devtree tree; /* until the guest has it */
	int tree_size; /* bytes */
	struct poc_report cleaned;
	struct cpu_clock clock; /* of a guest that is restored: where its counters go on */
	const struct step *steps; /* that it is built in, up to one without up() */
	unsigned int built; /* steps done */

	struct {
		bool reached;
		uint64_t nanoseconds; /* clock_ns() */
		uint64_t exits; /* of all vCPUs, so far */
	} phase[PHASES];
};

/*
 * Builds everything up to the first KVM_RUN, of what is open already. resources: no other machine
 * has them now. What is wrong is said; nothing is left then.
 */
enum status machine_create(struct machine *machine, struct resources *resources,
			   struct event_loop *loop, struct terminal *terminal, struct sink *report,
			   struct verdict *verdict);
void machine_destroy(struct machine *machine);

/*
 * What becomes of a guest that goes on elsewhere. All vCPUs rest (holds.h); the loop's thread.
 *
 * machine_unsaved(): why it cannot be saved, said in words that a line can end with, or NULL;
 * machine_unlogged(): likewise, why a log does not tell all that is written to its RAM (dirty.h).
 * machine_save_config(): the record "guest" alone, at any time.
 * machine_rest(): devices come to rest, or go on. machine_save(): while they rest; its tables in
 * guest memory are up to date then, and guest memory is to be saved after it. pagemap_fd: of this
 * process.
 */
const char *machine_unsaved(const struct machine *machine);
const char *machine_unlogged(const struct machine *machine);
void machine_save_config(const struct machine *machine, struct state_writer *writer);
void machine_rest(struct machine *machine, bool rest);
void machine_save(struct machine *machine, struct state_writer *writer, int pagemap_fd);

/* Runs the vCPUs, and the event loop in the calling thread, until there is a verdict. */
void machine_run(struct machine *machine);

#endif
