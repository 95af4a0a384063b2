// SPDX-License-Identifier: GPL-2.0-only
/*
 * PSCI SYSTEM_SUSPEND. Each sleep begins with an interrupt to come and ends at woken().
 */
#include "gic.h"
#include "tree.h"

#define CONTEXT UINT64_C(0x5a5a5a5a5a5a0000)
#define ROUNDS	200

#define RTCDR	0x00
#define RTCMR	0x04
#define RTCIMSC 0x10

static uint64_t cpus[CPUS_MAX], redistributor;
static volatile unsigned int turn[2], refused[2];
static volatile bool leave;
static bool to_timer;
static unsigned int wakes;
/* When the sleep is to end: RTCDR, or CNTVCT_EL0 for one that the timer ends. */
static uint64_t wake_time;

static int suspend(uint64_t entry, uint64_t context)
{
	barrier();
	return psci(PSCI_SYSTEM_SUSPEND64, entry, context, 0);
}

/* Asks ROUNDS times for a sleep that cannot be had, at the same time as the other vCPU. */
static void race(unsigned int self)
{
	for (unsigned int i = 1; i <= ROUNDS; i++) {
		turn[self] = i;
		barrier();
		while (turn[1 - self] < i)
			barrier();
		refused[self] += suspend((uintptr_t)secondary_start, 0) == PSCI_DENIED;
	}
}

static void second(uint64_t context)
{
	(void)context;
	race(1);
	while (!leave)
		barrier();
	cpu_off();
}

static void test_errors(void)
{
	report_equal(suspend((uintptr_t)secondary_start + 2, 0), PSCI_INVALID_ADDRESS,
		     "a misaligned entry point");
	cpu_main = second;
	report_equal(cpu_on(cpus[1], 1), PSCI_SUCCESS, "CPU_ON of the second");
	race(0);
	while (turn[1] < ROUNDS)
		barrier();
	report_equal(refused[0], ROUNDS, "denied while another vCPU is on");
	report_equal(suspend((uintptr_t)secondary_start, 0), PSCI_DENIED,
		     "denied also to one who asks alone");
	report_equal(refused[1], ROUNDS, "denied to the other as well");
	leave = true;
	barrier();
	while (psci(PSCI_AFFINITY_INFO64, cpus[1], 0, 0) != 1)
		;
}

/* A sleep that the PL031 ends. */
static void sleep_to_alarm(void)
{
	gic_enable(redistributor, SPI(PL031_SPI));
	write32(PL031_BASE + RTCIMSC, 1);
	wake_time = read32(PL031_BASE + RTCDR) + 1;
	write32(PL031_BASE + RTCMR, wake_time);
	report_equal(suspend((uintptr_t)secondary_start, CONTEXT), PSCI_SUCCESS,
		     "SYSTEM_SUSPEND with an alarm to come");
}

/* A sleep that the virtual timer ends. */
static void sleep_to_timer(void)
{
	gic_enable(redistributor, TIMER_VIRTUAL_INTID);
	wake_time = read_sysreg(cntvct_el0) + read_sysreg(cntfrq_el0) / 4;
	write_sysreg(cntv_cval_el0, wake_time);
	write_sysreg(cntv_ctl_el0, 1);
	report_equal(suspend((uintptr_t)secondary_start, CONTEXT), PSCI_SUCCESS,
		     "SYSTEM_SUSPEND with a timer to come");
}

static void woken(uint64_t context)
{
	const uint64_t now = to_timer ? read_sysreg(cntvct_el0) : read32(PL031_BASE + RTCDR);

	report_equal(++wakes, 1, "woken once");
	report(now >= wake_time, "when the interrupt came");
	report_equal(context, CONTEXT, "with the context id in X0");
	report_equal(read_sysreg(sctlr_el1) & 0x1005, 0, "with MMU and caches off");
	report_equal(read_sysreg(daif), 0x3c0, "with interrupts masked");
	report_equal(read_sysreg(currentel), 4, "at EL1");
	done("suspend");
}

int main(void)
{
	tree_cpus(cpus);
	gic_init(NULL);
	redistributor = gic_cpu_init();
	to_timer = text_equal(tree_params(), "timer");
	test_errors();
	cpu_main = woken;
	if (to_timer)
		sleep_to_timer();
	else
		sleep_to_alarm();
	done("suspend");
}
