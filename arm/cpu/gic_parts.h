/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of a GIC's registers by those who look at them (gic_pending.c) and those who save
 * them (gic_state.c): offsets, and how KVM's attributes have a vCPU and its lines.
 */
#ifndef NIDUS_GIC_PARTS_H
#define NIDUS_GIC_PARTS_H

#include "arm/sysreg.h"
#include "cpu/gic.h"
#include "host/kvm.h"

#define GICD_IGROUPR	0x0080
#define GICD_ISENABLER	0x0100
#define GICD_ISPENDR	0x0200
#define GICD_ISACTIVER	0x0300
#define GICD_IPRIORITYR 0x0400
#define GICR_SGI	0x10000 /* a redistributor's, and there as in the distributor */

/* Whether lines are high, not what is latched: with the first of 32 INTIDs. */
#define GIC_LINES (VGIC_LEVEL_INFO_LINE_LEVEL << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT)

/* Affinities without a gap, or with a GICv2 the number of the CPU interface. */
static inline uint64_t gic_who(const struct gic *gic, unsigned int index, uint64_t mpidr)
{
	const uint64_t number = gic->kind == GIC_V2 ? index
						    : field_get(BITS(23, 0), mpidr) |
							      field_get(BITS(39, 32), mpidr) << 24;

	return number << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;
}

#endif
