// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "boot/board.h"
#include "host/log.h"
#include "memmap.h"
#include "util.h"

/* The bits of MPIDR_EL1 that a cpu node's one-cell `reg` holds: Aff2, Aff1, Aff0. */
#define MPIDR_AFFINITY 0xffffff

#define STRINGS(list) (list), sizeof(list)

/* Whether a kernel with these parameters is told which console to use. */
static bool names_console(const char *params)
{
	bool quoted = false, begins = true;

	for (; params && *params; params++) {
		if (begins && strncmp(params, "-- ", 3) == 0)
			return false;
		if (begins && strncmp(params, "console=", 8) == 0)
			return true;
		if (*params == '"')
			quoted = !quoted;
		begins = !quoted && isspace((unsigned char)*params);
	}
	return false;
}

/*
 * Linux finds the device for early messages by stdout-path, and where no parameter names a console
 * takes it for the console as well. So it is named only where it cannot be taken for another.
 */
static bool names_stdout(const struct board *board)
{
	return board->stdout_path && (!board->other_console || names_console(board->params));
}

static int describe_chosen(const struct board *board, struct devtree *tree)
{
	uint8_t seed[32];

	if (getrandom(seed, sizeof(seed), 0) != sizeof(seed)) {
		int err = -errno;

		log_error("random numbers for the guest: %s", strerror(-err));
		return err;
	}
	devtree_begin(tree, "chosen");
	if (board->params)
		devtree_string(tree, "bootargs", board->params);
	if (names_stdout(board))
		devtree_string(tree, "stdout-path", board->stdout_path);
	if (board->initrd.size > 0) {
		devtree_u64(tree, "linux,initrd-start", board->initrd.start);
		devtree_u64(tree, "linux,initrd-end", board->initrd.start + board->initrd.size);
	}
	if (board->pci)
		devtree_u32(tree, "linux,pci-probe-only", 1);
	if (board->kaslr_seed)
		devtree_u64(tree, "kaslr-seed", board->kaslr_seed);
	devtree_bytes(tree, "rng-seed", seed, sizeof(seed));
	devtree_end(tree);
	return 0;
}

static void describe_memory(const struct board *board, struct devtree *tree)
{
	devtree_begin_at(tree, "memory", board->ram.start);
	devtree_string(tree, "device_type", "memory");
	devtree_reg(tree, board->ram.start, board->ram.size);
	devtree_end(tree);
}

static void describe_cpus(const struct board *board, struct devtree *tree)
{
	devtree_begin(tree, "cpus");
	devtree_u32(tree, "#address-cells", 1);
	devtree_u32(tree, "#size-cells", 0);
	for (unsigned int i = 0; i < board->gic->cpus; i++) {
		uint32_t affinity = board->mpidr[i] & MPIDR_AFFINITY;

		devtree_begin_at(tree, "cpu", affinity);
		devtree_string(tree, "device_type", "cpu");
		devtree_string(tree, "compatible", "arm,armv8");
		devtree_u32(tree, "reg", affinity);
		devtree_string(tree, "enable-method", "psci");
		devtree_end(tree);
	}
	devtree_end(tree);

	devtree_begin(tree, "psci");
	devtree_strings(tree, "compatible", STRINGS("arm,psci-1.0\0arm,psci-0.2"));
	devtree_string(tree, "method", board->nested ? "smc" : "hvc");
	devtree_end(tree);
}

static void describe_timer(const struct board *board, struct devtree *tree)
{
	/* In the order of the arm,armv8-timer binding; the last needs FEAT_VHE. */
	static const unsigned int ppi[] = {
		TIMER_SECURE_PPI,	TIMER_PHYSICAL_PPI,    TIMER_VIRTUAL_PPI,
		TIMER_EL2_PHYSICAL_PPI, TIMER_EL2_VIRTUAL_PPI,
	};
	const unsigned int count = ARRAY_SIZE(ppi) - (board->nested ? 0 : 1);
	uint32_t cells[ARRAY_SIZE(ppi) * 3];

	for (unsigned int i = 0; i < count; i++) {
		cells[3 * i] = IRQ_TYPE_PPI;
		cells[3 * i + 1] = ppi[i];
		cells[3 * i + 2] = gic_ppi_flags(board->gic);
	}
	devtree_begin(tree, "timer");
	devtree_string(tree, "compatible", "arm,armv8-timer");
	devtree_cells(tree, "interrupts", cells, 3 * count);
	devtree_flag(tree, "always-on");
	devtree_end(tree);
}

static void describe_pmu(const struct board *board, struct devtree *tree)
{
	const uint32_t cells[] = { IRQ_TYPE_PPI, PMU_PPI, gic_ppi_flags(board->gic) };

	devtree_begin(tree, "pmu");
	devtree_string(tree, "compatible", "arm,armv8-pmuv3");
	devtree_cells(tree, "interrupts", cells, ARRAY_SIZE(cells));
	devtree_end(tree);
}

/* The clock that Arm's PrimeCell devices say they run on. */
static void describe_clock(struct devtree *tree)
{
	devtree_begin(tree, "apb-pclk");
	devtree_string(tree, "compatible", "fixed-clock");
	devtree_u32(tree, "#clock-cells", 0);
	devtree_u32(tree, "clock-frequency", 24000000);
	devtree_string(tree, "clock-output-names", "clk24mhz");
	devtree_u32(tree, "phandle", PHANDLE_CLOCK);
	devtree_end(tree);
}

int board_describe(const struct board *board, struct devtree *tree)
{
	int err;

	devtree_u32(tree, "#address-cells", 2);
	devtree_u32(tree, "#size-cells", 2);
	devtree_u32(tree, "interrupt-parent", PHANDLE_GIC);
	devtree_string(tree, "model", "nidus");
	devtree_string(tree, "compatible", "linux,dummy-virt");
	err = describe_chosen(board, tree);
	if (err < 0)
		return err;
	describe_memory(board, tree);
	describe_cpus(board, tree);
	describe_timer(board, tree);
	if (board->pmu)
		describe_pmu(board, tree);
	describe_clock(tree);
	gic_describe(board->gic, tree);
	return 0;
}
