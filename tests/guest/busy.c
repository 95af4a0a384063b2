// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two vCPUs that are never at rest: one prints, the other asks the clock for the time.
 */
#include "tree.h"

static void second(uint64_t context)
{
	(void)context;
	for (;;)
		read32(PL031_BASE);
}

int main(void)
{
	uint64_t cpus[CPUS_MAX];

	tree_cpus(cpus);
	cpu_main = second;
	cpu_on(cpus[1], 1);
	for (;;)
		put("still busy\n");
}
