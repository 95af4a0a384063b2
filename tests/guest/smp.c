// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every vCPU of the device tree is turned on, finds its redistributor, and answers an SGI.
 */
#include "gic.h"
#include "tree.h"

#define SGI 5

static uint64_t cpus[CPUS_MAX];
/* Each written by one vCPU, in a cache line of its own. */
static volatile struct {
	uint64_t mpidr, redistributor, answers;
} __attribute__((aligned(64))) state[CPUS_MAX];

static void handler(unsigned int intid)
{
	if (intid == SGI)
		state[cpu_index()].answers++;
}

static void begin(unsigned int index)
{
	uint64_t redistributor = gic_cpu_init();

	if (redistributor)
		gic_enable(redistributor, SGI);
	irq_enable();
	state[index].redistributor = redistributor;
	barrier();
	state[index].mpidr = cpu_mpidr();
}

static void other(uint64_t context)
{
	begin(context & 0xffff);
	for (;;)
		wfi();
}

int main(void)
{
	unsigned int count = tree_cpus(cpus), on = 0, right = 0, answered = 0, placed = 0;

	gic_init(handler);
	begin(0);
	cpu_main = other;
	for (unsigned int i = 1; i < count; i++) {
		on += cpu_on(cpus[i], i) == PSCI_SUCCESS;
		/* One after the other, so that few wait at a time. */
		while (state[i].mpidr != cpus[i])
			barrier();
	}
	put("vCPUs: ");
	put_number(count);
	put("\n");
	report_equal(on, count - 1, "CPU_ON of each");

	for (unsigned int i = 0; i < count; i++) {
		right += state[i].mpidr == cpus[i];
		placed +=
			state[i].redistributor == (i < 123 ? GICR_BASE + i * GICR_STRIDE
							   : GICR_BASE2 + (i - 123) * GICR_STRIDE);
	}
	report_equal(right, count, "each has its MPIDR_EL1 as in the device tree");
	report_equal(placed, count, "each has its redistributor where it belongs");

	for (unsigned int i = 0; i < count; i++) {
		gic_send(cpus[i], SGI);
		while (state[i].answers == 0)
			barrier();
	}
	for (unsigned int i = 0; i < count; i++)
		answered += state[i].answers == 1;
	report_equal(answered, count, "each answers one SGI");
	done("smp");
}
