/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's interrupt controller, which KVM emulates (Documentation/virt/kvm/devices/
 * arm-vgic-v3.rst and arm-vgic.rst; GIC architecture, IHI 0069 and IHI 0048).
 */
#ifndef NIDUS_GIC_H
#define NIDUS_GIC_H

#include <stdbool.h>

#include "arm/devtree.h"

enum gic_kind {
	GIC_AUTO, /* version 3 where the host can, else 2 */
	GIC_V3,
	GIC_V2,
	GIC_V3_ITS, /* version 3 with an interrupt translation service, for MSIs */
};

struct gic {
	enum gic_kind kind; /* never GIC_AUTO once created */
	int fd;
	int its_fd; /* -1: none */
	unsigned int cpus;
	bool nested; /* its guest is a hypervisor: there is a maintenance interrupt */
};

/*
 * Makes the controller, after all vCPUs are initialized and before any runs, and places its
 * registers as memmap.h says. nested: for a guest hypervisor, version 3 only. Errors: -errno, said;
 * -ENODEV where the host has none of that kind.
 */
int gic_create(struct gic *gic, int vm_fd, enum gic_kind kind, unsigned int cpus, bool nested);
/* Does nothing where fd is -1. */
void gic_destroy(struct gic *gic);

/*
 * Adds the node that every `interrupts` property refers to, PHANDLE_GIC, and inside it that of the
 * ITS, PHANDLE_ITS.
 */
void gic_describe(const struct gic *gic, struct devtree *tree);

/* The third cell of a private peripheral interrupt that is level-sensitive. */
uint32_t gic_ppi_flags(const struct gic *gic);

/*
 * What is pending for a vCPU, and what of it is enabled, a bit for each INTID: interrupts of its
 * own, and SPIs, of whomever. No vCPU is in KVM_RUN. Errors: -errno, not said.
 */
int gic_pending(const struct gic *gic, unsigned int index, uint64_t mpidr, uint64_t *pending,
		uint64_t *enabled);

/* The same and more: bits of words are INTIDs, as are indices. */
struct gic_look {
	uint64_t pending, enabled, active, group1;
	uint8_t priority[64];
};

int gic_look(const struct gic *gic, unsigned int index, uint64_t mpidr, struct gic_look *look);

/*
 * A system register of a vCPU's interface to a GICv3, ICC_*_EL1, or of its EL2's, ICH_*_EL2; id as
 * ARM64_SYS_REG() has it. No vCPU is in KVM_RUN. Errors: -errno, not said: it or KVM has none.
 */
int gic_cpu_register(const struct gic *gic, uint64_t mpidr, uint64_t id, uint64_t *value);

const char *gic_kind_name(enum gic_kind kind);

#endif
