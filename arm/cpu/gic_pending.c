// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers of the GIC as KVM has them (Documentation/virt/kvm/devices/arm-vgic-v3.rst). For user
 * space GICD_ISPENDR and GICR_ISPENDR0 of a GICv3 have what is latched, and lines are asked for by
 * themselves.
 */
#include <errno.h>

#include "gic_parts.h"
#include "memmap.h"

_Static_assert(GIC_SPI_BASE + GIC_SPI_COUNT <= 64, "INTIDs are bits of a word");

/* Of 32 interrupts, from the first of its own or from the first SPI on. */
struct bank {
	int fd;
	bool own;
	bool v3;
	uint64_t who; /* as attributes have a vCPU */
};

static int get(const struct bank *bank, unsigned int offset, uint32_t *value)
{
	unsigned int group = KVM_DEV_ARM_VGIC_GRP_DIST_REGS;

	if (!bank->own)
		offset += offset < GICD_IPRIORITYR ? GIC_SPI_BASE / 8 : GIC_SPI_BASE;
	else if (bank->v3) {
		group = KVM_DEV_ARM_VGIC_GRP_REDIST_REGS;
		offset += GICR_SGI;
	}
	return kvm_get_attr(bank->fd, group, bank->who | offset, value);
}

static int get_lines(const struct bank *bank, uint32_t *value)
{
	*value = 0;
	if (!bank->v3)
		return 0;
	return kvm_get_attr(bank->fd, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO,
			    bank->who | GIC_LINES | (bank->own ? 0 : GIC_SPI_BASE), value);
}

static int bank_pending(const struct bank *bank, uint64_t *pending, uint64_t *enabled)
{
	const unsigned int shift = bank->own ? 0 : GIC_SPI_BASE;
	uint32_t latched, lines, enable;
	int err = get(bank, GICD_ISPENDR, &latched);

	if (err >= 0)
		err = get_lines(bank, &lines);
	if (err >= 0)
		err = get(bank, GICD_ISENABLER, &enable);
	if (err < 0)
		return err;
	*pending |= (uint64_t)(latched | lines) << shift;
	*enabled |= (uint64_t)enable << shift;
	return 0;
}

int gic_pending(const struct gic *gic, unsigned int index, uint64_t mpidr, uint64_t *pending,
		uint64_t *enabled)
{
	struct bank bank = {
		.fd = gic->fd,
		.own = true,
		.v3 = gic->kind != GIC_V2,
		.who = gic_who(gic, index, mpidr),
	};
	int err;

	*pending = *enabled = 0;
	err = bank_pending(&bank, pending, enabled);
	bank.own = false;
	return err < 0 ? err : bank_pending(&bank, pending, enabled);
}

static int bank_look(const struct bank *bank, struct gic_look *look)
{
	const unsigned int shift = bank->own ? 0 : GIC_SPI_BASE;
	uint32_t active, group, priority;
	int err = get(bank, GICD_ISACTIVER, &active);

	if (err >= 0)
		err = get(bank, GICD_IGROUPR, &group);
	for (unsigned int i = 0; i < 32 && err >= 0; i += 4) {
		err = get(bank, GICD_IPRIORITYR + i, &priority);
		for (unsigned int j = 0; j < 4 && err >= 0; j++)
			look->priority[shift + i + j] = priority >> 8 * j;
	}
	if (err < 0)
		return err;
	look->active |= (uint64_t)active << shift;
	look->group1 |= (uint64_t)group << shift;
	return 0;
}

int gic_look(const struct gic *gic, unsigned int index, uint64_t mpidr, struct gic_look *look)
{
	struct bank bank = {
		.fd = gic->fd,
		.own = true,
		.v3 = gic->kind != GIC_V2,
		.who = gic_who(gic, index, mpidr),
	};
	int err;

	*look = (struct gic_look){ 0 };
	err = gic_pending(gic, index, mpidr, &look->pending, &look->enabled);
	if (err >= 0)
		err = bank_look(&bank, look);
	bank.own = false;
	return err < 0 ? err : bank_look(&bank, look);
}

int gic_cpu_register(const struct gic *gic, uint64_t mpidr, uint64_t id, uint64_t *value)
{
	if (gic->kind == GIC_V2)
		return -ENOENT;
	return kvm_get_attr(gic->fd, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS,
			    gic_who(gic, 0, mpidr) | (id & KVM_DEV_ARM_VGIC_SYSREG_INSTR_MASK),
			    value);
}
