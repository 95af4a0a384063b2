// SPDX-License-Identifier: GPL-2.0-only
/*
 * PSCI (DEN 0022) as two vCPUs see it.
 */
#include "guest.h"
#include "tree.h"

static volatile uint64_t seen_context;

static void second(uint64_t context)
{
	seen_context = context;
	barrier();
	cpu_off();
}

/* 0: on, 1: off, 2: on its way. */
static int affinity_info(uint64_t mpidr)
{
	return psci(PSCI_AFFINITY_INFO64, mpidr, 0, 0);
}

static void test_second(uint64_t mpidr, uint64_t context)
{
	seen_context = 0;
	report_equal(cpu_on(mpidr, context), PSCI_SUCCESS, "CPU_ON turns it on");
	while (seen_context == 0)
		barrier();
	report_equal(seen_context, context, "with the context id in X0");
	while (affinity_info(mpidr) != 1)
		;
	report(true, "CPU_OFF turns it off");
}

static void waits_for_ever(uint64_t context)
{
	seen_context = context;
	for (;;)
		wfi();
}

int main(void)
{
	uint64_t cpus[CPUS_MAX];
	uint32_t version = psci(PSCI_VERSION, 0, 0, 0);

	report(version >= 0x10000 && version < 0x20000, "PSCI_VERSION is 1.x");
	report_equal(psci(PSCI_FEATURES, PSCI_CPU_ON64, 0, 0), 0, "PSCI_FEATURES: CPU_ON");
	report_equal(psci(PSCI_FEATURES, PSCI_SYSTEM_SUSPEND64, 0, 0), 0,
		     "PSCI_FEATURES: SYSTEM_SUSPEND");
	report_equal(psci(PSCI_FEATURES, 0x8400001f, 0, 0), PSCI_NOT_SUPPORTED,
		     "PSCI_FEATURES: what does not exist");
	report_equal(psci(PSCI_MIGRATE_INFO_TYPE, 0, 0, 0), 2, "MIGRATE_INFO_TYPE: nothing to");

	report_equal(tree_cpus(cpus), 2, "two vCPUs in the device tree");
	report_equal(cpus[0], cpu_mpidr(), "MPIDR of the first");
	report_equal(cpu_on(cpus[0], 0), PSCI_ALREADY_ON, "CPU_ON of oneself");
	report_equal(cpu_on(0xff00ff00, 0), PSCI_INVALID_PARAMETERS, "CPU_ON of nobody");
	report_equal(affinity_info(cpus[0]), 0, "AFFINITY_INFO of oneself: on");
	report_equal(affinity_info(cpus[1]), 1, "AFFINITY_INFO of the second: off");
	report_equal(affinity_info(0xff00ff00), PSCI_INVALID_PARAMETERS, "AFFINITY_INFO of nobody");
	report_equal(psci(PSCI_AFFINITY_INFO64, cpus[0], 9, 0), PSCI_INVALID_PARAMETERS,
		     "AFFINITY_INFO at a level that is none");

	cpu_main = second;
	test_second(cpus[1], 0x123456789abc0001);
	test_second(cpus[1], 0xfedcba9876540001);
	cpu_main = waits_for_ever;
	seen_context = 0;
	report_equal(cpu_on(cpus[1], 0x10001), PSCI_SUCCESS, "CPU_ON once more");
	while (seen_context == 0)
		barrier();
	report_equal(cpu_on(cpus[1], 1), PSCI_ALREADY_ON, "CPU_ON of who is on");
	report_equal(affinity_info(cpus[1]), 0, "AFFINITY_INFO of the second: on");
	done("psci");
}
