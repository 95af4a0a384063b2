// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hypervisor and its guest that do the same in each round, instruction for instruction, whatever
 * the time is: for who follows every single one (tests/host/gdb_long.sh). What a round has: ERET to
 * the guest and within it, HVC from it and at EL2, a stage 2 fault, SVC, accesses that the host
 * emulates, registers that it traps, and PSTATE's masks.
 */
#include "el2.h"

#define ROUNDS 40
#define COUNT  1

#define INSN_SIZE 4
#define RTCDR	  0x00

static struct stage2 stage2;
static struct el2_guest guest;
static uint8_t guest_stack[STACK_SIZE] __attribute__((aligned(16)));
static volatile uint64_t calls;

/* At both levels. What calls has ELR_ELx behind it already. */
static bool take_call(struct frame *frame)
{
	(void)frame;
	calls++;
	return true;
}

static void guest_main(uint64_t unused)
{
	(void)unused;
	for (uint64_t round = 0;; round++) {
		irq_enable();
		__asm__ volatile("svc #0" : : : "memory");
		irq_disable();
		read32(PL031_BASE + RTCDR);
		read64(WINDOW);
		hypercall(COUNT, round);
	}
}

/* Not static, nor inlined: it is found by its name. */
bool __attribute__((noinline)) one_round(uint64_t round)
{
	const uint64_t before = calls;

	if (el2_enter(&guest) != EXIT_SYNC || ESR_EC(read_sysreg(esr_el2)) != EC_DATA_ABORT_LOWER ||
	    fault_ipa() != WINDOW)
		return false;
	guest.elr += INSN_SIZE;
	if (!guest_calls(&guest, COUNT) || guest.x[1] != round)
		return false;
	__asm__ volatile("hvc #0" : : : "memory");
	tlbi_ipa(WINDOW);
	read_sysreg(daif);
	return calls == before + 2;
}

int main(void)
{
	uint64_t round = 0;

	el2_init(&stage2, 1);
	stage2_create(&stage2);
	sync_hook = take_call;
	guest_begin(&guest, guest_main, 0, guest_stack);
	while (round < ROUNDS && one_round(round))
		round++;
	report_equal(round, ROUNDS, "each round is as it should be");
	done("el2_steps");
}
