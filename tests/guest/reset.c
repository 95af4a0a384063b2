// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that resets itself for ever. Each life prints what it finds, which must be the same
 * every time, and leaves its traces in all that a reset has to make new.
 */
#include "gic.h"
#include "tree.h"

#define UARTIMSC 0x38
#define RTCMR	 0x04
#define TRACE	 (RAM_BASE + 0x3000000)

static void other(uint64_t context)
{
	(void)context;
	for (;;)
		wfi();
}

static void found(const char *what, uint64_t value)
{
	put(" ");
	put(what);
	put("=");
	put_hex(value);
}

int main(void)
{
	uint64_t cpus[CPUS_MAX];
	uint64_t redistributor = gic_redistributor();

	tree_cpus(cpus);
	put("life:");
	found("ram", read64(TRACE));
	found("sctlr", read_sysreg(sctlr_el1));
	found("ttbr0", read_sysreg(ttbr0_el1));
	found("cntv_ctl", read_sysreg(cntv_ctl_el0));
	found("igrpen1", read_sysreg(icc_igrpen1_el1));
	found("gicd_ctlr", read32(GICD_BASE + GICD_CTLR));
	found("gicd_isenabler1", read32(GICD_BASE + GIC_ISENABLER(32)));
	found("gicr_isenabler0", read32(redistributor + GICR_SGI_BASE + GIC_ISENABLER(0)));
	found("uartimsc", read32(PL011_BASE + UARTIMSC));
	found("rtcmr", read32(PL031_BASE + RTCMR));
	found("second", psci(PSCI_AFFINITY_INFO64, cpus[1], 0, 0));
	put("\n");

	write64(TRACE, 0x0123456789abcdef);
	write_sysreg(ttbr0_el1, 0x12345000);
	write_sysreg(cntv_ctl_el0, 3);
	gic_init(NULL);
	gic_cpu_init();
	gic_enable(redistributor, TIMER_VIRTUAL_INTID);
	gic_enable(redistributor, SPI(PL011_SPI));
	write32(PL011_BASE + UARTIMSC, 0x10);
	write32(PL031_BASE + RTCMR, 7);
	cpu_main = other;
	if (cpu_on(cpus[1], 1) == PSCI_SUCCESS)
		psci(PSCI_SYSTEM_RESET, 0, 0, 0);
	put("SYSTEM_RESET returned\n");
	power_off();
}
