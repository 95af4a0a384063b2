// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state that a flat binary starts in. Sums are computed with MMU and caches off, so on
 * hardware they are those of what really is in memory.
 */
#include "tree.h"

#define SCTLR_M (1u << 0)
#define SCTLR_C (1u << 2)
#define SCTLR_I (1u << 12)

/* More than this would take too long. */
#define SUM_MAX 0x1000000

static void put_sum(const char *what, uint64_t start, uint64_t end)
{
	uint32_t sum = 0;

	for (uint64_t address = start; address < end && end - start <= SUM_MAX; address++)
		sum = crc32(sum, read8(address));
	put(what);
	put(" at ");
	put_hex(start);
	put(", ");
	put_number(end - start);
	put(" bytes, sum ");
	put_hex(sum);
	put("\n");
}

static bool all_zero(uint64_t start, uint64_t end)
{
	for (uint64_t address = start; address < end; address += 8)
		if (read64(address) != 0)
			return false;
	return true;
}

int main(void)
{
	const uint64_t tree = boot_registers[0], free = (uintptr_t)stacks[CPUS_MAX];
	const uint32_t *start, *end;

	put_sum("image", (uintptr_t)image_start, (uintptr_t)image_end);
	report_equal(tree_cell((uint32_t *)tree), FDT_MAGIC, "X0 points to a device tree");
	report_equal(boot_registers[1], 0, "X1 is 0");
	report_equal(boot_registers[2], 0, "X2 is 0");
	report_equal(boot_registers[3], 0, "X3 is 0");
	report_equal(read_sysreg(sctlr_el1) & (SCTLR_M | SCTLR_C | SCTLR_I), 0,
		     "MMU and caches are off");
	report_equal(read_sysreg(daif), 0x3c0, "all interrupts are masked");
	report_equal(read_sysreg(currentel), 1 << 2, "at EL1");
	report_equal(read_sysreg(spsel), 1, "with SP_EL1");
	report_equal(read_sysreg(mpidr_el1) & 0xff00ffffff, 0, "vCPU 0");
	report_equal((uintptr_t)image_start, RAM_BASE + 0x80000, "at its place");
	report(all_zero(free, free + 0x40000), "memory behind it is zero");
	put("tree at ");
	put_hex(tree);
	put(", ");
	put_number(tree_cell((uint32_t *)tree + 1));
	put(" bytes\n");
	put("memory ");
	put_number(tree_cells((uint32_t *)tree_find("memory@", 0, "reg") + 2));
	put(" bytes\n");
	put("parameters: ");
	put(tree_params());
	put("\n");
	start = tree_find("chosen", 0, "linux,initrd-start");
	end = tree_find("chosen", 0, "linux,initrd-end");
	if (start && end)
		put_sum("initrd", tree_cells(start), tree_cells(end));
	done("boot");
}
