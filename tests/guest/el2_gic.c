// SPDX-License-Identifier: GPL-2.0-only
/*
 * The GIC's virtual CPU interface (IHI 0069, 6) as a hypervisor uses it: list registers, what the
 * guest makes of them, and the maintenance interrupt.
 */
#include "el2.h"
#include "gic.h"

#define MAINTENANCE_INTID 25

#define ICH_HCR_EN   1u
#define ICH_HCR_UIE  2u
#define ICH_MISR_EOI 1u
#define ICH_MISR_U   2u

#define LR_STATE(lr) ((lr) >> 62)
#define LR_EOI	     (UINT64_C(1) << 41)

enum { INVALID, PENDING, ACTIVE };

#define READY 1
#define ACKED 2
#define EMPTY 3

static struct stage2 stage2;
static struct el2_guest guest;
static uint8_t guest_stack[STACK_SIZE] __attribute__((aligned(16)));
static unsigned int lrs;

/* The guest: takes what there is, and says so before and after each end of interrupt. */
static void takes_interrupts(uint64_t unused)
{
	(void)unused;
	write_sysreg(icc_pmr_el1, 0xff);
	write_sysreg(icc_igrpen1_el1, 1);
	hypercall(READY, 0);
	for (;;) {
		uint64_t intid = read_sysreg(icc_iar1_el1);

		if (intid == SPURIOUS) {
			hypercall(EMPTY, 0);
			continue;
		}
		hypercall(ACKED, intid);
		write_sysreg(icc_eoir1_el1, intid);
	}
}

static bool guest_acks(unsigned int intid)
{
	return guest_calls(&guest, ACKED) && guest.x[1] == intid;
}

static void test_sanity(void)
{
	const uint64_t all = (UINT64_C(1) << lrs) - 1;

	report(lrs >= 2 && lrs <= 16, "ICH_VTR_EL2 tells of list registers");
	report((read_sysreg(ich_vtr_el2) >> 26 & 7) >= 4,
	       "and of at least five bits of preemption");
	report_equal(read_sysreg(ich_elrsr_el2), all, "ICH_ELRSR_EL2: all are empty");
	report_equal(read_sysreg(ich_eisr_el2), 0, "ICH_EISR_EL2: none has ended");
	report_equal(read_sysreg(ich_misr_el2), 0, "ICH_MISR_EL2: nothing to maintain");
}

static void test_one(void)
{
	const uint64_t all = (UINT64_C(1) << lrs) - 1;

	write_sysreg(ich_lr0_el2, LR(0xa0, 40));
	report_equal(read_sysreg(ich_elrsr_el2), all & ~1, "one is in use");
	report(guest_acks(40), "the guest acknowledges an interrupt");
	report_equal(LR_STATE(read_sysreg(ich_lr0_el2)), ACTIVE, "which is active then");
	report(guest_calls(&guest, EMPTY), "it ends it");
	report_equal(LR_STATE(read_sysreg(ich_lr0_el2)), INVALID, "it is invalid then");
	report_equal(read_sysreg(ich_elrsr_el2), all, "and the list register empty");
	report_equal(read_sysreg(ich_eisr_el2), 0, "with nothing to tell of it");
}

static void test_priorities(void)
{
	write_sysreg(ich_lr0_el2, LR(0xa0, 41));
	write_sysreg(ich_lr1_el2, LR(0x80, 42));
	report(guest_acks(42) && guest_acks(41), "the more urgent of two goes first");
	report(guest_calls(&guest, EMPTY), "and no other");
}

/* ICH_VMCR_EL2 is the guest's ICC_PMR_EL1 and ICC_IGRPEN1_EL1. */
static void test_vmcr(void)
{
	const uint64_t vmcr = read_sysreg(ich_vmcr_el2);
	const unsigned int priority_bits = (read_sysreg(ich_vtr_el2) >> 29 & 7) + 1;

	report_equal(vmcr >> 24 & 0xff, 0xff << (8 - priority_bits) & 0xff,
		     "ICH_VMCR_EL2.VPMR is what the guest wrote");
	report_equal(vmcr >> 1 & 1, 1, "and VENG1");
	write_sysreg(ich_vmcr_el2, vmcr & ~2u);
	write_sysreg(ich_lr0_el2, LR(0xa0, 43));
	report(guest_calls(&guest, EMPTY), "without VENG1 the guest sees no interrupt");
	write_sysreg(ich_vmcr_el2, vmcr);
	report(guest_acks(43) && guest_calls(&guest, EMPTY), "with it it does");
}

/* The guest goes on until the maintenance interrupt, which we acknowledge. */
static bool guest_needs_maintenance(void)
{
	return el2_enter(&guest) == EXIT_IRQ && read_sysreg(icc_iar1_el1) == MAINTENANCE_INTID;
}

static void test_end_of_interrupt(void)
{
	write_sysreg(ich_lr0_el2, LR(0xa0, 44) | LR_EOI);
	report(guest_acks(44), "an interrupt of whose end we want to know");
	report(guest_needs_maintenance(), "the maintenance interrupt comes");
	report_equal(read_sysreg(ich_eisr_el2), 1, "ICH_EISR_EL2 says of which");
	report_equal(read_sysreg(ich_misr_el2), ICH_MISR_EOI, "ICH_MISR_EL2 says why");
	write_sysreg(ich_lr0_el2, 0);
	report_equal(read_sysreg(ich_misr_el2), 0, "it is over when the list register is cleared");
	write_sysreg(icc_eoir1_el1, MAINTENANCE_INTID);
	report(guest_calls(&guest, EMPTY), "the guest goes on");
}

static void test_underflow(void)
{
	write_sysreg(ich_lr0_el2, LR(0xa0, 45));
	write_sysreg(ich_lr1_el2, LR(0xa0, 46));
	write_sysreg(ich_hcr_el2, ICH_HCR_EN | ICH_HCR_UIE);
	report_equal(read_sysreg(ich_misr_el2), 0, "two list registers in use are no underflow");
	report(guest_acks(45), "the guest takes one");
	report(guest_needs_maintenance(), "the maintenance interrupt comes");
	report_equal(read_sysreg(ich_misr_el2), ICH_MISR_U, "ICH_MISR_EL2 says why");
	write_sysreg(ich_hcr_el2, ICH_HCR_EN);
	report_equal(read_sysreg(ich_misr_el2), 0, "it is over without ICH_HCR_EL2.UIE");
	write_sysreg(icc_eoir1_el1, MAINTENANCE_INTID);
	report(guest_acks(46) && guest_calls(&guest, EMPTY), "the guest takes the other");
}

static void unexpected(unsigned int intid)
{
	report_equal(intid, SPURIOUS, "no interrupt at EL2");
}

int main(void)
{
	uint64_t redistributor;

	stage2_create(&stage2);
	el2_init(&stage2, 1);
	gic_init(unexpected);
	redistributor = gic_cpu_init();
	gic_enable(redistributor, MAINTENANCE_INTID);
	lrs = (read_sysreg(ich_vtr_el2) & 0x1f) + 1;

	test_sanity();
	write_sysreg(ich_hcr_el2, ICH_HCR_EN);
	guest_begin(&guest, takes_interrupts, 0, guest_stack);
	report(guest_calls(&guest, READY) && guest_calls(&guest, EMPTY), "the guest sees none");
	test_one();
	test_priorities();
	test_vmcr();
	test_end_of_interrupt();
	test_underflow();
	done("el2_gic");
}
