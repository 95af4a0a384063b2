// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic timer: its counters, and the interrupts of the virtual and the physical timer.
 */
#include "gic.h"

#define CTL_ENABLE  1u
#define CTL_IMASK   2u
#define CTL_ISTATUS 4u

static volatile unsigned int fired[32], others;
static volatile bool early;

static void handler(unsigned int intid)
{
	if (intid == TIMER_VIRTUAL_INTID) {
		early |= read_sysreg(cntvct_el0) < read_sysreg(cntv_cval_el0);
		write_sysreg(cntv_ctl_el0, CTL_ENABLE | CTL_IMASK);
		fired[intid]++;
	} else if (intid == TIMER_PHYSICAL_INTID) {
		early |= read_sysreg(cntpct_el0) < read_sysreg(cntp_cval_el0);
		write_sysreg(cntp_ctl_el0, CTL_ENABLE | CTL_IMASK);
		fired[intid]++;
	} else {
		others++;
	}
}

static void test_counter(void)
{
	uint64_t last = read_sysreg(cntvct_el0), physical = read_sysreg(cntpct_el0);
	bool forward = true;

	for (unsigned int i = 0; i < 10000; i++) {
		uint64_t now = read_sysreg(cntvct_el0);

		forward &= now >= last;
		last = now;
	}
	report(forward, "CNTVCT_EL0 does not go backwards");
	report(read_sysreg(cntpct_el0) > physical, "CNTPCT_EL0 goes on");
	report(read_sysreg(cntfrq_el0) > 1000000, "CNTFRQ_EL0 is set");
}

/* The interrupt comes; and in the second half, WFI ends though interrupts are masked. */
#define TEST_TIMER(timer, intid, name)                                                    \
	do {                                                                              \
		const uint64_t wait = read_sysreg(cntfrq_el0) / 100;                      \
                                                                                          \
		write_sysreg(timer##_tval_el0, wait);                                     \
		write_sysreg(timer##_ctl_el0, CTL_ENABLE);                                \
		irq_enable();                                                             \
		while (fired[intid] == 0)                                                 \
			barrier();                                                        \
		irq_disable();                                                            \
		report(true, name " fires");                                              \
		write_sysreg(timer##_tval_el0, wait);                                     \
		write_sysreg(timer##_ctl_el0, CTL_ENABLE);                                \
		while (!(read_sysreg(timer##_ctl_el0) & CTL_ISTATUS))                     \
			wfi();                                                            \
		report_equal(fired[intid], 1, name " waits while interrupts are masked"); \
		irq_enable();                                                             \
		while (fired[intid] == 1)                                                 \
			barrier();                                                        \
		irq_disable();                                                            \
		write_sysreg(timer##_ctl_el0, 0);                                         \
		report_equal(fired[intid], 2, name " ends WFI");                          \
	} while (0)

int main(void)
{
	uint64_t redistributor;

	test_counter();
	gic_init(handler);
	redistributor = gic_cpu_init();
	gic_enable(redistributor, TIMER_VIRTUAL_INTID);
	gic_enable(redistributor, TIMER_PHYSICAL_INTID);
	TEST_TIMER(cntv, TIMER_VIRTUAL_INTID, "the virtual timer");
	TEST_TIMER(cntp, TIMER_PHYSICAL_INTID, "the physical timer");
	report(!early, "none before its time");
	report_equal(others, 0, "no other interrupt");
	done("timer");
}
