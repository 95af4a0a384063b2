// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cpu/gic.h"
#include "host/kvm.h"
#include "host/log.h"
#include "memmap.h"
#include "util.h"

/*
 * Interrupts in all, messages apart, a multiple of 32. A guest initializes the registers of every
 * one, each an exit, so there are no more than the memory map gives a use to: 32 private ones and
 * 32 shared.
 */
#define GIC_IRQS (GIC_SPI_BASE + GIC_SPI_COUNT)

#define GICV2_CPUS_MAX 8

static bool gic_is_v3(const struct gic *gic)
{
	return gic->kind != GIC_V2;
}

static int gic_set(const struct gic *gic, unsigned int group, uint64_t attr, const void *value)
{
	return kvm_set_attr(gic->fd, group, attr, value);
}

static int gic_set_address(const struct gic *gic, uint64_t type, uint64_t address)
{
	return gic_set(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, type, &address);
}

/* Redistributors beyond those that fit below the PL011 go to the second region. */
static unsigned int gic_redist_count(const struct gic *gic, unsigned int region)
{
	unsigned int first = gic->cpus < GIC_REDIST_COUNT ? gic->cpus : GIC_REDIST_COUNT;

	return region == 0 ? first : gic->cpus - first;
}

static uint64_t gic_redist_base(unsigned int region)
{
	return region == 0 ? GIC_REDIST_BASE : GIC_REDIST2_BASE;
}

static int gic_place_v3(const struct gic *gic)
{
	int err = gic_set_address(gic, KVM_VGIC_V3_ADDR_TYPE_DIST, GIC_DIST_BASE);

	for (unsigned int region = 0; region < 2 && err >= 0; region++) {
		uint64_t count = gic_redist_count(gic, region);

		if (count > 0)
			err = gic_set_address(gic, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
					      count << 52 | gic_redist_base(region) | region);
	}
	return err;
}

static int gic_place_v2(const struct gic *gic)
{
	int err = gic_set_address(gic, KVM_VGIC_V2_ADDR_TYPE_DIST, GIC_DIST_BASE);

	return err < 0 ? err : gic_set_address(gic, KVM_VGIC_V2_ADDR_TYPE_CPU, GICV2_CPU_BASE);
}

static int gic_init(const struct gic *gic)
{
	const uint32_t irqs = GIC_IRQS, maintenance = GIC_PPI_BASE + GIC_MAINTENANCE_PPI;
	int err = gic_is_v3(gic) ? gic_place_v3(gic) : gic_place_v2(gic);

	if (err >= 0)
		err = gic_set(gic, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &irqs);
	if (err >= 0 && gic->nested)
		err = gic_set(gic, KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ, 0, &maintenance);
	if (err >= 0)
		err = gic_set(gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	return err;
}

/* The ITS, once the GIC that it belongs to is initialized. */
static int gic_init_its(struct gic *gic, int vm_fd)
{
	const uint64_t address = GIC_ITS_BASE;
	int err;

	gic->its_fd = err = kvm_create_device(vm_fd, KVM_DEV_TYPE_ARM_VGIC_ITS);
	if (err >= 0)
		err = kvm_set_attr(gic->its_fd, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE,
				   &address);
	if (err >= 0)
		err = kvm_set_attr(gic->its_fd, KVM_DEV_ARM_VGIC_GRP_CTRL,
				   KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
	return err;
}

static int gic_create_device(struct gic *gic, int vm_fd, enum gic_kind kind)
{
	if (kind == GIC_AUTO) {
		int err = gic_create_device(gic, vm_fd, GIC_V3);

		return err == -ENODEV ? gic_create_device(gic, vm_fd, GIC_V2) : err;
	}
	gic->kind = kind;
	gic->fd = kvm_create_device(vm_fd, gic_is_v3(gic) ? KVM_DEV_TYPE_ARM_VGIC_V3
							  : KVM_DEV_TYPE_ARM_VGIC_V2);
	return gic->fd;
}

int gic_create(struct gic *gic, int vm_fd, enum gic_kind kind, unsigned int cpus, bool nested)
{
	int err;

	*gic = (struct gic){ .fd = -1, .its_fd = -1, .cpus = cpus, .nested = nested };
	err = gic_create_device(gic, vm_fd, kind);
	if (err >= 0 && gic->kind == GIC_V2 && cpus > GICV2_CPUS_MAX) {
		log_error("%u vCPUs with a GICv2, which serves %d at most", cpus, GICV2_CPUS_MAX);
		gic_destroy(gic);
		return -ENOSPC;
	}
	if (err >= 0)
		err = gic_init(gic);
	if (err >= 0 && kind == GIC_V3_ITS)
		err = gic_init_its(gic, vm_fd);
	if (err == -ENODEV)
		log_error("this host cannot give a guest a %s",
			  kind == GIC_AUTO ? "GIC" : gic_kind_name(kind));
	else if (err < 0)
		log_error("%s: %s", gic_kind_name(gic->kind), log_reason(-err));
	if (err < 0)
		gic_destroy(gic);
	return err < 0 ? err : 0;
}

void gic_destroy(struct gic *gic)
{
	if (gic->fd < 0)
		return;
	if (gic->its_fd >= 0)
		close(gic->its_fd);
	close(gic->fd);
	gic->its_fd = gic->fd = -1;
}

static void gic_describe_registers(const struct gic *gic, struct devtree *tree)
{
	struct {
		uint64_t base, size;
	} range[3] = { { GIC_DIST_BASE, GIC_DIST_SIZE } };
	uint32_t cells[ARRAY_SIZE(range) * 4];
	unsigned int count = 1;

	if (gic->kind == GIC_V2) {
		range[count].base = GICV2_CPU_BASE;
		range[count++].size = GICV2_CPU_SIZE;
	}
	for (unsigned int region = 0; region < 2 && gic_is_v3(gic); region++) {
		if (gic_redist_count(gic, region) == 0)
			continue;
		range[count].base = gic_redist_base(region);
		range[count++].size = gic_redist_count(gic, region) * GIC_REDIST_STRIDE;
	}
	for (unsigned int i = 0; i < count; i++) {
		cells[4 * i] = range[i].base >> 32;
		cells[4 * i + 1] = range[i].base;
		cells[4 * i + 2] = range[i].size >> 32;
		cells[4 * i + 3] = range[i].size;
	}
	devtree_cells(tree, "reg", cells, 4 * count);
	if (gic_is_v3(gic))
		devtree_u32(tree, "#redistributor-regions", count - 1);
}

static void gic_describe_maintenance(const struct gic *gic, struct devtree *tree)
{
	const uint32_t cells[] = { IRQ_TYPE_PPI, GIC_MAINTENANCE_PPI, gic_ppi_flags(gic) };

	devtree_cells(tree, "interrupts", cells, ARRAY_SIZE(cells));
}

static void gic_describe_its(struct devtree *tree)
{
	devtree_begin_at(tree, "its", GIC_ITS_BASE);
	devtree_string(tree, "compatible", "arm,gic-v3-its");
	devtree_flag(tree, "msi-controller");
	devtree_u32(tree, "#msi-cells", 1);
	devtree_reg(tree, GIC_ITS_BASE, GIC_ITS_SIZE);
	devtree_u32(tree, "phandle", PHANDLE_ITS);
	devtree_end(tree);
}

void gic_describe(const struct gic *gic, struct devtree *tree)
{
	devtree_begin_at(tree, "intc", GIC_DIST_BASE);
	devtree_string(tree, "compatible", gic_is_v3(gic) ? "arm,gic-v3" : "arm,cortex-a15-gic");
	devtree_flag(tree, "interrupt-controller");
	devtree_u32(tree, "#interrupt-cells", 3);
	devtree_u32(tree, "#address-cells", 2);
	devtree_u32(tree, "#size-cells", 2);
	devtree_flag(tree, "ranges");
	gic_describe_registers(gic, tree);
	if (gic->nested)
		gic_describe_maintenance(gic, tree);
	devtree_u32(tree, "phandle", PHANDLE_GIC);
	if (gic->kind == GIC_V3_ITS)
		gic_describe_its(tree);
	devtree_end(tree);
}

uint32_t gic_ppi_flags(const struct gic *gic)
{
	/* Bits [15:8] are the CPUs that have the interrupt, in the binding of version 2. */
	uint32_t cpus = gic->kind == GIC_V2 ? (1u << gic->cpus) - 1 : 0;

	return cpus << 8 | IRQ_LEVEL_HIGH;
}

const char *gic_kind_name(enum gic_kind kind)
{
	static const char *const name[] = {
		[GIC_AUTO] = "auto",
		[GIC_V3] = "gicv3",
		[GIC_V2] = "gicv2",
		[GIC_V3_ITS] = "gicv3-its",
	};

	return name[kind];
}
