// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two vCPUs with an EL2, each with a guest. The guests send each other interrupts: an SGI of a
 * guest comes to its hypervisor, goes from there to the other vCPU, takes that out of its guest or
 * of its guest's WFI, and reaches the guest by a list register.
 */
#include "el2.h"
#include "gic.h"
#include "tree.h"

#define CPUS	  2
#define ROUNDS	  100
#define SGI_HOST  3 /* between hypervisors */
#define SGI_GUEST 7 /* between their guests */
#define DONE	  1

#define EC_SYSREG	   0x18
#define ESR_ICC_SGI1R(esr) ((0x3ffc1f & (esr)) == 0x3a3016) /* a write of it, whatever register */
#define ICH_HCR_EN	   1u
#define LR_PENDING	   (UINT64_C(1) << 62 | UINT64_C(1) << 60 | UINT64_C(0xa0) << 48)

static uint64_t cpus[CPUS_MAX];
/* Each written by one vCPU, in cache lines of its own. */
static struct {
	struct el2_guest guest;
	uint8_t stack[STACK_SIZE] __attribute__((aligned(16)));
	volatile uint64_t received, sent, taken, strange, ready, done;
} __attribute__((aligned(64))) state[CPUS];
static struct stage2 stage2[CPUS];

/* At EL1: what comes to a guest. */
static void handler(unsigned int intid)
{
	state[cpu_index()].received += intid == SGI_GUEST;
}

/* The guest. The second answers what the first sends. */
static void plays(uint64_t index)
{
	write_sysreg(icc_pmr_el1, 0xff);
	write_sysreg(icc_igrpen1_el1, 1);
	for (unsigned int round = 1; round <= ROUNDS; round++) {
		if (index == 0)
			gic_send(cpus[1], SGI_GUEST);
		while (state[index].received < round) {
			wfi();
			irq_enable();
			irq_disable();
		}
		if (index == 1)
			gic_send(cpus[0], SGI_GUEST);
	}
	hypercall(DONE, 0);
}

/* The hypervisor. */

static void take_interrupt(unsigned int index)
{
	const unsigned int intid = read_sysreg(icc_iar1_el1);

	if (intid != SGI_HOST) {
		state[index].strange++;
		return;
	}
	write_sysreg(icc_eoir1_el1, intid);
	write_sysreg(ich_lr0_el2, LR_PENDING | SGI_GUEST);
	state[index].taken++;
}

/* Whether the guest is to go on. */
static bool take_call(unsigned int index)
{
	const uint64_t esr = read_sysreg(esr_el2);

	if (ESR_EC(esr) == EC_SYSREG && ESR_ICC_SGI1R(esr)) {
		gic_send(cpus[!index], SGI_HOST);
		state[index].guest.elr += 4;
		state[index].sent++;
		return true;
	}
	if (ESR_EC(esr) != EC_HVC64 || state[index].guest.x[0] != DONE)
		state[index].strange++;
	return false;
}

static void run(uint64_t index)
{
	bool goes_on = true;

	el2_init(&stage2[index], 1 + index);
	gic_enable(gic_cpu_init(), SGI_HOST);
	write_sysreg(ich_hcr_el2, ICH_HCR_EN);
	guest_begin(&state[index].guest, plays, index, state[index].stack);
	state[index].ready = true;
	while (!state[!index].ready)
		barrier();
	while (goes_on) {
		if (el2_enter(&state[index].guest) == EXIT_IRQ)
			take_interrupt(index);
		else
			goes_on = take_call(index);
	}
	barrier();
	state[index].done = true;
	barrier();
}

static void second(uint64_t context)
{
	run(context);
	cpu_off();
}

int main(void)
{
	report_equal(tree_cpus(cpus), CPUS, "two vCPUs");
	stage2_create(&stage2[0]);
	stage2_create(&stage2[1]);
	gic_init(handler);
	cpu_main = second;
	report_equal(cpu_on(cpus[1], 1), PSCI_SUCCESS, "the second is turned on from EL2");
	run(0);
	while (!state[1].done)
		barrier();
	for (unsigned int i = 0; i < CPUS; i++) {
		report_equal(state[i].sent, ROUNDS, "each guest sends its interrupts");
		report_equal(state[i].taken, ROUNDS, "its hypervisor takes the other's");
		report_equal(state[i].received, ROUNDS, "and so does the guest");
		report_equal(state[i].strange, 0, "there is nothing else");
	}
	done("el2_smp");
}
