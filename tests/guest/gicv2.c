// SPDX-License-Identifier: GPL-2.0-only
/*
 * A GICv2 (IHI 0048): SGIs between two vCPUs, and a timer's interrupt.
 */
#include "gic.h"
#include "tree.h"

#define GICC_BASE UINT64_C(0x08010000)
#define GICC_CTLR 0x00
#define GICC_PMR  0x04
#define GICC_IAR  0x0c
#define GICC_EOIR 0x10
#define GICC_IIDR 0xfc
#define GICD_SGIR 0xf00
#define SGI_THERE 1
#define SGI_BACK  2

static volatile unsigned int seen[2][32], sources, others;
static volatile bool ready;

static void send(unsigned int cpu, unsigned int intid)
{
	barrier();
	write32(GICD_BASE + GICD_SGIR, 1u << (16 + cpu) | intid);
}

static void interrupt(void)
{
	const uint32_t iar = read32(GICC_BASE + GICC_IAR), intid = iar & 0x3ff;

	if (intid < 32)
		seen[cpu_index()][intid]++;
	else
		others++;
	if (intid == SGI_THERE)
		send(iar >> 10 & 7, SGI_BACK);
	else if (intid == SGI_BACK)
		sources |= 1u << (iar >> 10 & 7);
	else if (intid == TIMER_VIRTUAL_INTID)
		write_sysreg(cntv_ctl_el0, 0);
	barrier();
	write32(GICC_BASE + GICC_EOIR, iar);
}

static void cpu_init(void)
{
	write32(GICC_BASE + GICC_PMR, 0xff);
	write32(GICC_BASE + GICC_CTLR, 1);
	write32(GICD_BASE + GIC_ISENABLER(0),
		1u << SGI_THERE | 1u << SGI_BACK | 1u << TIMER_VIRTUAL_INTID);
	irq_enable();
}

static void second(uint64_t context)
{
	(void)context;
	cpu_init();
	ready = true;
	for (;;)
		wfi();
}

int main(void)
{
	uint64_t cpus[CPUS_MAX];

	report_equal(read32(GICC_BASE + GICC_IIDR) >> 16 & 0xf, 2, "GICC_IIDR tells version 2");
	report(tree_find("intc@8000000", 0, "compatible") &&
		       text_equal(tree_find("intc@8000000", 0, "compatible"), "arm,cortex-a15-gic"),
	       "and so does the device tree");
	report_equal(tree_cpus(cpus), 2, "two vCPUs");
	report_equal((read32(GICD_BASE + GICD_TYPER) >> 5 & 7) + 1, 2, "also by GICD_TYPER");
	irq_hook = interrupt;
	write32(GICD_BASE + GICD_CTLR, 1);
	cpu_init();
	cpu_main = second;
	report_equal(cpu_on(cpus[1], 1), PSCI_SUCCESS, "CPU_ON of the second");
	while (!ready)
		barrier();
	send(1, SGI_THERE);
	while (seen[0][SGI_BACK] == 0)
		barrier();
	report_equal(seen[1][SGI_THERE], 1, "an SGI reaches the second");
	report_equal(sources, 1u << 1, "which sends one back");

	write_sysreg(cntv_tval_el0, read_sysreg(cntfrq_el0) / 100);
	write_sysreg(cntv_ctl_el0, 1);
	while (seen[0][TIMER_VIRTUAL_INTID] == 0)
		wfi();
	report_equal(seen[0][TIMER_VIRTUAL_INTID], 1, "the virtual timer's interrupt comes");
	report_equal(others, 0, "and no other");
	done("gicv2");
}
