// SPDX-License-Identifier: GPL-2.0-only
/*
 * Timers of a hypervisor, its own and those of its guest: CNTHP, with VHE CNTHV; CNTVOFF_EL2; and
 * the guest's interrupts, which come to us and reach the guest by a list register that is linked
 * to the hardware's, so that the guest deactivates them without an exit.
 */
#include "el2.h"
#include "gic.h"

#define CTL_ENABLE 1u
#define CTL_IMASK  2u

#define TIMER_EL2_PHYSICAL_INTID 26
#define TIMER_EL2_VIRTUAL_INTID	 28
#define GICR_ISACTIVER0		 (GICR_SGI_BASE + 0x300)

#define ICC_CTLR_EOIMODE 2u
#define ICH_HCR_EN	 1u
#define LR_PENDING	 (UINT64_C(1) << 62)
#define LR_HW		 (UINT64_C(1) << 61)
#define LR_GROUP1	 (UINT64_C(1) << 60)
#define LR_PRIORITY	 (UINT64_C(0xa0) << 48)

#define TIMES 1
#define TAKEN 2

static struct stage2 stage2;
static struct el2_guest guest;
static uint8_t guest_stack[STACK_SIZE] __attribute__((aligned(16)));
static uint64_t redistributor;
static volatile unsigned int fired[32];
static volatile bool early;

static uint64_t soon(uint64_t now)
{
	return now + read_sysreg(cntfrq_el0) / 500;
}

/* At EL2 for our timers, at EL1 for those of the guest. */
static void handler(unsigned int intid)
{
	switch (intid) {
	case TIMER_EL2_PHYSICAL_INTID:
		early |= read_sysreg(cntpct_el0) < read_sysreg(cnthp_cval_el2);
		write_sysreg(cnthp_ctl_el2, 0);
		break;
	case TIMER_EL2_VIRTUAL_INTID:
		/* CNTVOFF_EL2 is not for EL2. */
		early |= read_sysreg(cntpct_el0) < read_sysreg(cnthv_cval_el2);
		write_sysreg(cnthv_ctl_el2, 0);
		break;
	case TIMER_VIRTUAL_INTID:
		early |= read_sysreg(cntvct_el0) < read_sysreg(cntv_cval_el0);
		write_sysreg(cntv_ctl_el0, 0);
		break;
	case TIMER_PHYSICAL_INTID:
		early |= read_sysreg(cntpct_el0) < read_sysreg(cntp_cval_el0);
		write_sysreg(cntp_ctl_el0, 0);
		break;
	}
	fired[intid]++;
}

/* The guest. */

static void tells_time(uint64_t unused)
{
	(void)unused;
	for (;;)
		hypercall(TIMES, read_sysreg(cntvct_el0));
}

static void waits_for_timer(uint64_t intid)
{
	write_sysreg(icc_pmr_el1, 0xff);
	write_sysreg(icc_igrpen1_el1, 1);
	irq_enable();
	if (intid == TIMER_VIRTUAL_INTID) {
		write_sysreg(cntv_cval_el0, soon(read_sysreg(cntvct_el0)));
		write_sysreg(cntv_ctl_el0, CTL_ENABLE);
	} else {
		write_sysreg(cntp_cval_el0, soon(read_sysreg(cntpct_el0)));
		write_sysreg(cntp_ctl_el0, CTL_ENABLE);
	}
	while (!fired[intid])
		barrier();
	hypercall(TAKEN, intid);
}

/* The hypervisor. */

static void test_own(void)
{
	gic_enable(redistributor, TIMER_EL2_PHYSICAL_INTID);
	write_sysreg(cnthp_cval_el2, soon(read_sysreg(cntpct_el0)));
	write_sysreg(cnthp_ctl_el2, CTL_ENABLE);
	irq_enable();
	while (!fired[TIMER_EL2_PHYSICAL_INTID])
		wfi();
	irq_disable();
	report(true, "the EL2 physical timer fires");
	if (!has_vhe())
		return;
	gic_enable(redistributor, TIMER_EL2_VIRTUAL_INTID);
	write_sysreg(cnthv_cval_el2, soon(read_sysreg(cntpct_el0)));
	write_sysreg(cnthv_ctl_el2, CTL_ENABLE);
	irq_enable();
	while (!fired[TIMER_EL2_VIRTUAL_INTID])
		wfi();
	irq_disable();
	report(true, "the EL2 virtual timer fires");
}

static void test_offset(uint64_t offset)
{
	uint64_t before, time;

	write_sysreg(cntvoff_el2, offset);
	guest_begin(&guest, tells_time, 0, guest_stack);
	before = read_sysreg(cntpct_el0);
	report(guest_calls(&guest, TIMES), "the guest tells its time");
	time = guest.x[1];
	report(time >= before - offset && time <= read_sysreg(cntpct_el0) - offset,
	       "it is behind ours by CNTVOFF_EL2");
}

static void test_guest(unsigned int intid, const char *name)
{
	enum el2_exit exit;

	put("# ");
	put(name);
	put("\n");
	gic_enable(redistributor, intid);
	guest_begin(&guest, waits_for_timer, intid, guest_stack);
	exit = el2_enter(&guest);
	report(exit == EXIT_IRQ && read_sysreg(icc_iar1_el1) == intid, "its interrupt comes to us");
	/* As long as it is active it does not come again, though the timer's line is high. */
	write_sysreg(icc_eoir1_el1, intid);
	report(read32(redistributor + GICR_ISACTIVER0) & 1u << intid, "it is active");
	write_sysreg(ich_lr0_el2,
		     LR_PENDING | LR_HW | LR_GROUP1 | LR_PRIORITY | (uint64_t)intid << 32 | intid);
	report(guest_calls(&guest, TAKEN) && fired[intid] == 1, "the guest takes it");
	report(!(read32(redistributor + GICR_ISACTIVER0) & 1u << intid), "and deactivates it");
	report_equal(read_sysreg(ich_lr0_el2) >> 62, 0, "the list register is free");
}

int main(void)
{
	stage2_create(&stage2);
	el2_init(&stage2, 1);
	gic_init(handler);
	redistributor = gic_cpu_init();
	test_own();
	test_offset(0);
	test_offset(read_sysreg(cntpct_el0));
	test_offset(UINT64_C(1) << 40);

	write_sysreg(icc_ctlr_el1, read_sysreg(icc_ctlr_el1) | ICC_CTLR_EOIMODE);
	write_sysreg(ich_hcr_el2, ICH_HCR_EN);
	test_guest(TIMER_VIRTUAL_INTID, "the guest's virtual timer");
	test_guest(TIMER_PHYSICAL_INTID, "the guest's physical timer");
	report(!early, "none before its time");
	done("el2_timer");
}
