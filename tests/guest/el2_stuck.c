// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hypervisor with a mistake, which docs/debugging.md finds: its guest waits for an interrupt that
 * is in a list register, and never gets it.
 */
#include "el2.h"

#define INTID 40

#define HAS_COME 1

static struct stage2 stage2;
static struct el2_guest guest;
static uint8_t guest_stack[STACK_SIZE] __attribute__((aligned(16)));

static uint64_t wait_for_interrupt(void)
{
	uint64_t intid;

	do {
		asm volatile("wfi");
		intid = read_sysreg(icc_iar1_el1);
	} while (intid == SPURIOUS);
	return intid;
}

static void waits(uint64_t unused)
{
	(void)unused;
	write_sysreg(icc_pmr_el1, 0xff);
	write_sysreg(icc_igrpen1_el1, 1);
	hypercall(HAS_COME, wait_for_interrupt());
}

int main(void)
{
	stage2_create(&stage2);
	el2_init(&stage2, 1);
	/* The mistake: nothing sets ICH_HCR_EL2.En. */
	write_sysreg(ich_lr0_el2, LR(0xa0, INTID));
	guest_begin(&guest, waits, 0, guest_stack);
	report(guest_calls(&guest, HAS_COME), "the guest has got its interrupt");
	done("el2_stuck");
}
