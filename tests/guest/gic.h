/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A driver for GICv3 (IHI 0069), as little as payloads need. Interrupts are in Group 1 and go to
 * the vCPU that enables them.
 */
#ifndef GIC_H
#define GIC_H

#include "guest.h"

#define GICD_BASE     UINT64_C(0x08000000)
#define GICR_BASE     UINT64_C(0x080a0000)
#define GICR_BASE2    UINT64_C(0x4000000000)
#define GICR_STRIDE   UINT64_C(0x20000)
#define GICR_SGI_BASE UINT64_C(0x10000)

#define GICD_CTLR	      0x0000
#define GICD_TYPER	      0x0004
#define GIC_IGROUPR(intid)    (0x0080 + (intid) / 32 * 4)
#define GIC_ISENABLER(intid)  (0x0100 + (intid) / 32 * 4)
#define GIC_ICENABLER(intid)  (0x0180 + (intid) / 32 * 4)
#define GIC_IPRIORITYR(intid) (0x0400 + (intid))
#define GIC_ICFGR(intid)      (0x0c00 + (intid) / 16 * 4)
#define GICD_IROUTER(intid)   (0x6000 + 8 * (intid))
#define GICR_TYPER	      0x0008
#define GICR_WAKER	      0x0014

#define GICD_CTLR_ENABLE_GRP1 (1u << 1)
#define GICD_CTLR_ARE	      (1u << 4)
#define GICR_TYPER_LAST	      (1u << 4)
#define GICR_WAKER_SLEEP      (1u << 1)
#define GICR_WAKER_ASLEEP     (1u << 2)

#define SPI(number)	     (32 + (number))
#define TIMER_VIRTUAL_INTID  27
#define TIMER_PHYSICAL_INTID 30

/* What is done about an interrupt, by the vCPU that it came to. */
static void (*gic_handler)(unsigned int intid);

static inline void gic_dispatch(void)
{
	unsigned int intid = read_sysreg(icc_iar1_el1) & 0xffffff;

	barrier();
	if (intid >= 1020)
		return;
	gic_handler(intid);
	barrier();
	write_sysreg(icc_eoir1_el1, intid);
}

/* This vCPU's redistributor: that whose GICR_TYPER has its affinity; 0 where there is none. */
static inline uint64_t gic_redistributor(void)
{
	static const uint64_t regions[] = { GICR_BASE, GICR_BASE2 };
	const uint64_t mpidr = cpu_mpidr();
	const uint32_t affinity = mpidr >> 32 << 24 | (mpidr & 0xffffff);

	for (unsigned int i = 0; i < ARRAY_SIZE(regions); i++) {
		uint64_t base = regions[i], typer;

		do {
			typer = read64(base + GICR_TYPER);
			if (typer >> 32 == affinity)
				return base;
			base += GICR_STRIDE;
		} while (!(typer & GICR_TYPER_LAST));
	}
	return 0;
}

/* For the first vCPU, before any gic_cpu_init(). */
static inline void gic_init(void (*handler)(unsigned int intid))
{
	gic_handler = handler;
	irq_hook = gic_dispatch;
	write32(GICD_BASE + GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_ENABLE_GRP1);
}

/* For each vCPU. Returns its redistributor. */
static inline uint64_t gic_cpu_init(void)
{
	const uint64_t base = gic_redistributor();

	if (!base)
		return 0;
	write32(base + GICR_WAKER, read32(base + GICR_WAKER) & ~GICR_WAKER_SLEEP);
	while (read32(base + GICR_WAKER) & GICR_WAKER_ASLEEP)
		;
	write32(base + GICR_SGI_BASE + GIC_IGROUPR(0), UINT32_MAX);
	write_sysreg(icc_sre_el1, read_sysreg(icc_sre_el1) | 1);
	write_sysreg(icc_pmr_el1, 0xff);
	write_sysreg(icc_igrpen1_el1, 1);
	return base;
}

/*
 * Enables a private (SGI or PPI) or shared interrupt, the latter as level-sensitive; redistributor
 * is gic_cpu_init()'s.
 */
static inline void gic_enable(uint64_t redistributor, unsigned int intid)
{
	const uint64_t base = intid < 32 ? redistributor + GICR_SGI_BASE : GICD_BASE;

	write8(base + GIC_IPRIORITYR(intid), 0xa0);
	if (intid >= 32) {
		write32(base + GIC_IGROUPR(intid),
			read32(base + GIC_IGROUPR(intid)) | 1u << intid % 32);
		write32(base + GIC_ICFGR(intid),
			read32(base + GIC_ICFGR(intid)) & ~(3u << intid % 16 * 2));
		write64(base + GICD_IROUTER(intid), cpu_mpidr());
	}
	write32(base + GIC_ISENABLER(intid), 1u << intid % 32);
}

/* Sends SGI intid to the one vCPU of that MPIDR. */
static inline void gic_send(uint64_t mpidr, unsigned int intid)
{
	const uint64_t aff0 = mpidr & 0xff;

	barrier();
	write_sysreg(icc_sgi1r_el1, (mpidr >> 32 & 0xff) << 48 | (aff0 >> 4) << 44 |
					    (mpidr >> 16 & 0xff) << 32 | (uint64_t)intid << 24 |
					    (mpidr >> 8 & 0xff) << 16 |
					    UINT64_C(1) << (aff0 & 0xf));
}

#endif
