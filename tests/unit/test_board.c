// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "boot/board.h"
#include "devices/pl011.h"
#include "devices/pl031.h"
#include "host/event.h"
#include "memmap.h"
#include "unit.h"

#define CPUS_MAX 512

static uint64_t mpidr[CPUS_MAX];
static struct gic gic;
static struct board board;
static struct devtree tree;

static int begin(void **state)
{
	/* As KVM numbers them: 16 to a cluster, and bit 31 is always set. */
	for (unsigned int i = 0; i < CPUS_MAX; i++)
		mpidr[i] = UINT64_C(0x80000000) | i / 16 << 8 | i % 16;
	gic = (struct gic){ .kind = GIC_V3, .fd = -1, .cpus = 1 };
	board = (struct board){
		.ram = { RAM_BASE, MIB(512) },
		.stdout_path = "/pl011@9000000",
		.mpidr = mpidr,
		.gic = &gic,
	};
	return catch_begin(state);
}

static int finish(void **state)
{
	devtree_destroy(&tree);
	return catch_end(state);
}

static void no_irq(const struct irq_line *line, bool level)
{
}

/* Builds what machine.c builds, in up to size bytes. */
static int build_in(size_t size)
{
	const struct irq_line irq = { .set = no_irq };
	struct console console = { 0 };
	struct event_loop loop;
	struct device *uart, *rtc;
	int err;

	devtree_destroy(&tree);
	assert_int_equal(devtree_create(&tree, size), 0);
	assert_int_equal(event_loop_create(&loop), 0);
	assert_int_equal(pl011_create(&uart, PL011_BASE, irq, PL011_SPI, &loop, &console, true), 0);
	assert_int_equal(pl031_create(&rtc, PL031_BASE, irq, PL031_SPI, &loop), 0);
	err = board_describe(&board, &tree);
	if (err >= 0) {
		uart->ops->describe(uart, &tree);
		rtc->ops->describe(rtc, &tree);
		err = devtree_finish(&tree);
	}
	uart->ops->destroy(uart);
	rtc->ops->destroy(rtc);
	event_loop_destroy(&loop);
	return err;
}

static void build(void)
{
	int size = build_in(MIB(2));

	assert_true(size > 0);
	assert_silent();
	assert_int_equal(size, fdt_totalsize(tree.blob));
	assert_int_equal(fdt_check_full(tree.blob, size), 0);
}

/* Reading it. */

static int node(const char *path)
{
	return fdt_path_offset(tree.blob, path);
}

static const void *property(const char *path, const char *name, int *length)
{
	const void *value = fdt_getprop(tree.blob, node(path), name, length);

	if (!value)
		fail_msg("%s: no property %s", path, name);
	return value;
}

static bool has(const char *path, const char *name)
{
	assert_true(node(path) >= 0);
	return fdt_getprop(tree.blob, node(path), name, NULL);
}

static uint32_t cell(const char *path, const char *name, unsigned int index)
{
	int length;
	const fdt32_t *cells = property(path, name, &length);

	assert_true((int)(4 * (index + 1)) <= length);
	return fdt32_ld(&cells[index]);
}

static uint64_t two_cells(const char *path, const char *name, unsigned int index)
{
	return (uint64_t)cell(path, name, index) << 32 | cell(path, name, index + 1);
}

static unsigned int cells(const char *path, const char *name)
{
	int length;

	property(path, name, &length);
	assert_int_equal(length % 4, 0);
	return length / 4;
}

static void assert_text(const char *path, const char *name, const char *expected)
{
	int length;
	const char *text = property(path, name, &length);

	assert_int_equal(length, strlen(expected) + 1);
	assert_string_equal(text, expected);
}

static bool compatible(const char *path, const char *with)
{
	return fdt_node_check_compatible(tree.blob, node(path), with) == 0;
}

/* Chosen. */

static void bare_chosen_has_nothing_to_say(void **state)
{
	board.stdout_path = NULL;
	build();
	assert_false(has("/chosen", "bootargs"));
	assert_false(has("/chosen", "stdout-path"));
	assert_false(has("/chosen", "linux,initrd-start"));
	assert_false(has("/chosen", "linux,initrd-end"));
	assert_false(has("/chosen", "kaslr-seed"));
}

static void command_line_is_passed_on(void **state)
{
	board.params = "console=ttyAMA0 root=/dev/vda";
	build();
	assert_text("/chosen", "bootargs", "console=ttyAMA0 root=/dev/vda");
}

static void initrd_is_named_by_both_ends(void **state)
{
	board.initrd = (struct memory_range){ UINT64_C(0x123456000), 0x54321 };
	build();
	assert_true(two_cells("/chosen", "linux,initrd-start", 0) == 0x123456000);
	assert_true(two_cells("/chosen", "linux,initrd-end", 0) == 0x1234aa321);
}

static void kaslr_seed_is_passed_on(void **state)
{
	board.kaslr_seed = UINT64_C(0x0123456789abcdef);
	build();
	assert_true(two_cells("/chosen", "kaslr-seed", 0) == 0x0123456789abcdef);
}

static void rng_seed_differs_every_time(void **state)
{
	uint8_t first[32];
	int length;

	build();
	memcpy(first, property("/chosen", "rng-seed", &length), sizeof(first));
	assert_int_equal(length, sizeof(first));
	build();
	assert_memory_not_equal(property("/chosen", "rng-seed", &length), first, sizeof(first));
}

static void stdout_path_leads_to_the_uart(void **state)
{
	int length;

	build();
	assert_true(compatible(property("/chosen", "stdout-path", &length), "arm,pl011"));
}

/* Linux would take it for the console where the parameters name none. */
static void stdout_path_does_not_choose_the_console(void **state)
{
	static const struct {
		const char *params;
		bool named;
	} cases[] = {
		{ NULL, false },
		{ "", false },
		{ "earlycon quiet", false },
		{ "netconsole=1 xconsole=2 consoles=3", false },
		{ "init=/sh -- console=hvc0", false },
		{ "init=\"/sh console=hvc0\"", false },
		{ "console=hvc0", true },
		{ "earlycon console=hvc0 mem=8M", true },
		{ "a=\"b c\" console=hvc0", true },
		{ "quiet\tconsole=hvc0 -- sh", true },
	};

	board.other_console = true;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		board.params = cases[i].params;
		build();
		assert_int_equal(has("/chosen", "stdout-path"), cases[i].named);
	}
}

/* Root, memory and processors. */

static void root_says_how_to_read_the_rest(void **state)
{
	build();
	assert_int_equal(cell("/", "#address-cells", 0), 2);
	assert_int_equal(cell("/", "#size-cells", 0), 2);
	assert_int_equal(cell("/", "interrupt-parent", 0),
			 fdt_get_phandle(tree.blob, node("/intc")));
	assert_true(has("/", "compatible"));
	assert_true(has("/", "model"));
}

static void memory_is_described(void **state)
{
	board.ram.size = GIB(200);
	build();
	assert_text("/memory@40000000", "device_type", "memory");
	assert_int_equal(cells("/memory", "reg"), 4);
	assert_true(two_cells("/memory", "reg", 0) == RAM_BASE);
	assert_true(two_cells("/memory", "reg", 2) == GIB(200));
}

static void every_cpu_has_a_node(void **state)
{
	static const unsigned int counts[] = { 1, 8, 200, 512 };

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		unsigned int count = 0;
		int cpu;

		gic.cpus = counts[i];
		build();
		assert_int_equal(cell("/cpus", "#address-cells", 0), 1);
		assert_int_equal(cell("/cpus", "#size-cells", 0), 0);
		fdt_for_each_subnode(cpu, tree.blob, node("/cpus"))
		{
			uint32_t affinity = mpidr[count] & 0xffffff;
			char name[64];

			snprintf(name, sizeof(name), "/cpus/cpu@%x", affinity);
			assert_int_equal(node(name), cpu);
			assert_int_equal(cell(name, "reg", 0), affinity);
			assert_text(name, "device_type", "cpu");
			assert_text(name, "enable-method", "psci");
			assert_true(compatible(name, "arm,armv8"));
			count++;
		}
		assert_int_equal(count, counts[i]);
	}
}

static void psci_is_called_by_hvc(void **state)
{
	build();
	assert_true(compatible("/psci", "arm,psci-1.0"));
	assert_true(compatible("/psci", "arm,psci-0.2"));
	assert_text("/psci", "method", "hvc");
}

/* Interrupts. */

static void timer_interrupts_are_in_order(void **state)
{
	static const unsigned int ppis[] = { 13, 14, 11, 10 };

	build();
	assert_true(compatible("/timer", "arm,armv8-timer"));
	assert_int_equal(cells("/timer", "interrupts"), 12);
	for (unsigned int i = 0; i < ARRAY_SIZE(ppis); i++) {
		assert_int_equal(cell("/timer", "interrupts", 3 * i), 1);
		assert_int_equal(cell("/timer", "interrupts", 3 * i + 1), ppis[i]);
		assert_int_equal(cell("/timer", "interrupts", 3 * i + 2), 4);
	}
}

static void a_hypervisor_has_its_own_timer_and_conduit(void **state)
{
	static const unsigned int ppis[] = { 13, 14, 11, 10, 12 };

	board.nested = gic.nested = true;
	build();
	assert_text("/psci", "method", "smc");
	assert_int_equal(cells("/timer", "interrupts"), 15);
	for (unsigned int i = 0; i < ARRAY_SIZE(ppis); i++)
		assert_int_equal(cell("/timer", "interrupts", 3 * i + 1), ppis[i]);
	/* The maintenance interrupt. */
	assert_int_equal(cells("/intc@8000000", "interrupts"), 3);
	assert_int_equal(cell("/intc@8000000", "interrupts", 0), 1);
	assert_int_equal(cell("/intc@8000000", "interrupts", 1), 9);
	assert_int_equal(cell("/intc@8000000", "interrupts", 2), 4);
}

static void others_get_no_maintenance_interrupt(void **state)
{
	build();
	assert_false(has("/intc@8000000", "interrupts"));
}

static void pmu_is_there_if_asked_for(void **state)
{
	build();
	assert_int_equal(node("/pmu"), -FDT_ERR_NOTFOUND);
	board.pmu = true;
	build();
	assert_true(compatible("/pmu", "arm,armv8-pmuv3"));
	assert_int_equal(cells("/pmu", "interrupts"), 3);
	assert_int_equal(cell("/pmu", "interrupts", 0), 1);
	assert_int_equal(cell("/pmu", "interrupts", 1), 7);
	assert_int_equal(cell("/pmu", "interrupts", 2), 4);
}

static void gicv3_has_one_region_up_to_123_cpus(void **state)
{
	static const unsigned int counts[] = { 1, 123 };

	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		gic.cpus = counts[i];
		build();
		assert_true(compatible("/intc@8000000", "arm,gic-v3"));
		assert_true(has("/intc", "interrupt-controller"));
		assert_int_equal(cell("/intc", "#interrupt-cells", 0), 3);
		assert_int_equal(cell("/intc", "#redistributor-regions", 0), 1);
		assert_int_equal(cells("/intc", "reg"), 8);
		assert_true(two_cells("/intc", "reg", 0) == GIC_DIST_BASE);
		assert_true(two_cells("/intc", "reg", 2) == GIC_DIST_SIZE);
		assert_true(two_cells("/intc", "reg", 4) == GIC_REDIST_BASE);
		assert_true(two_cells("/intc", "reg", 6) == counts[i] * GIC_REDIST_STRIDE);
	}
	assert_true(GIC_REDIST_BASE + 123 * GIC_REDIST_STRIDE <= PL011_BASE);
}

static void gicv3_has_two_regions_beyond(void **state)
{
	gic.cpus = 124;
	build();
	assert_int_equal(cell("/intc", "#redistributor-regions", 0), 2);
	assert_int_equal(cells("/intc", "reg"), 12);
	assert_true(two_cells("/intc", "reg", 6) == 123 * GIC_REDIST_STRIDE);
	assert_true(two_cells("/intc", "reg", 8) == GIC_REDIST2_BASE);
	assert_true(two_cells("/intc", "reg", 10) == GIC_REDIST_STRIDE);
}

static void gicv2_has_a_cpu_interface(void **state)
{
	gic.kind = GIC_V2;
	gic.cpus = 8;
	build();
	assert_true(compatible("/intc", "arm,cortex-a15-gic"));
	assert_int_equal(cells("/intc", "reg"), 8);
	assert_true(two_cells("/intc", "reg", 0) == GIC_DIST_BASE);
	assert_true(two_cells("/intc", "reg", 4) == GICV2_CPU_BASE);
	assert_true(two_cells("/intc", "reg", 6) == GICV2_CPU_SIZE);
	assert_false(has("/intc", "#redistributor-regions"));
}

static void gicv2_private_interrupts_name_their_cpus(void **state)
{
	static const struct {
		unsigned int cpus;
		uint32_t flags;
	} cases[] = { { 1, 0x104 }, { 2, 0x304 }, { 7, 0x7f04 }, { 8, 0xff04 } };

	gic.kind = GIC_V2;
	board.pmu = true;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		gic.cpus = cases[i].cpus;
		build();
		for (unsigned int timer = 0; timer < 4; timer++)
			assert_int_equal(cell("/timer", "interrupts", 3 * timer + 2),
					 cases[i].flags);
		assert_int_equal(cell("/pmu", "interrupts", 2), cases[i].flags);
	}
}

/* Devices. */

static void devices_are_complete(void **state)
{
	static const struct {
		const char *path, *compatible;
		uint64_t base;
		unsigned int spi, clocks;
		uint32_t periphid;
	} cases[] = {
		{ "/pl011@9000000", "arm,pl011", PL011_BASE, PL011_SPI, 2, 0x00141011 },
		{ "/pl031@9010000", "arm,pl031", PL031_BASE, PL031_SPI, 1, 0x00141031 },
	};

	build();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *path = cases[i].path;

		assert_true(compatible(path, cases[i].compatible));
		assert_true(compatible(path, "arm,primecell"));
		assert_int_equal(cell(path, "arm,primecell-periphid", 0), cases[i].periphid);
		assert_true(two_cells(path, "reg", 0) == cases[i].base);
		assert_true(two_cells(path, "reg", 2) == 0x1000);
		assert_int_equal(cells(path, "interrupts"), 3);
		assert_int_equal(cell(path, "interrupts", 0), 0);
		assert_int_equal(cell(path, "interrupts", 1), cases[i].spi);
		assert_int_equal(cell(path, "interrupts", 2), 4);
		assert_int_equal(cells(path, "clocks"), cases[i].clocks);
		for (unsigned int clock = 0; clock < cases[i].clocks; clock++)
			assert_int_equal(
				fdt_node_offset_by_phandle(tree.blob, cell(path, "clocks", clock)),
				node("/apb-pclk"));
		assert_int_equal(fdt_stringlist_count(tree.blob, node(path), "clock-names"),
				 cases[i].clocks);
		assert_true(fdt_stringlist_search(tree.blob, node(path), "clock-names",
						  "apb_pclk") >= 0);
	}
	assert_true(compatible("/apb-pclk", "fixed-clock"));
	assert_int_equal(cell("/apb-pclk", "#clock-cells", 0), 0);
}

/* The builder. */

static void too_small_a_buffer_is_an_error(void **state)
{
	int size;

	build();
	size = fdt_totalsize(tree.blob);
	/* Whatever the place where it runs out. */
	for (int room = 0; room < size; room += 7) {
		assert_int_equal(build_in(room), -EMSGSIZE);
		assert_said("device tree of up to");
	}
	assert_true(build_in(size) > 0);
}

static void finishing_twice_is_an_error(void **state)
{
	assert_int_equal(devtree_create(&tree, 4096), 0);
	assert_true(devtree_finish(&tree) > 0);
	assert_int_equal(devtree_finish(&tree), -EINVAL);
	assert_said("device tree");
}

static void errors_stick(void **state)
{
	assert_int_equal(devtree_create(&tree, 100), 0);
	devtree_bytes(&tree, "large", mpidr, sizeof(mpidr));
	devtree_begin(&tree, "n");
	devtree_u32(&tree, "small", 1);
	devtree_cells(&tree, "small", (uint32_t[]){ 1 }, 1);
	devtree_end(&tree);
	assert_int_equal(devtree_finish(&tree), -EMSGSIZE);
	assert_said("device tree of up to 100 bytes");
}

/* Far beyond what a tree begins with, and odd in length: padding is zeroes wherever it lies. */
static void trees_grow(void **state)
{
	enum { NODES = 2000 };
	char name[16], bytes[33];
	int size, node, length;

	memset(bytes, 0xa5, sizeof(bytes));
	assert_int_equal(devtree_create(&tree, MIB(2)), 0);
	for (unsigned int i = 0; i < NODES; i++) {
		snprintf(name, sizeof(name), "node%u", i);
		devtree_begin(&tree, name);
		devtree_u32(&tree, "number", i);
		devtree_bytes(&tree, "bytes", bytes, sizeof(bytes));
		devtree_end(&tree);
	}
	size = devtree_finish(&tree);
	assert_true(size > NODES * (int)sizeof(bytes));
	assert_int_equal(fdt_check_full(tree.blob, size), 0);

	node = fdt_first_subnode(tree.blob, 0);
	for (unsigned int i = 0; i < NODES; i++) {
		const fdt32_t *number = fdt_getprop(tree.blob, node, "number", &length);
		const char *value;

		assert_int_equal(length, sizeof(*number));
		assert_int_equal(fdt32_to_cpu(*number), i);
		value = fdt_getprop(tree.blob, node, "bytes", &length);
		assert_int_equal(length, sizeof(bytes));
		assert_memory_equal(value, bytes, sizeof(bytes));
		assert_memory_equal(value + sizeof(bytes), "\0\0\0", 3);
		node = fdt_next_subnode(tree.blob, node);
	}
	assert_int_equal(node, -FDT_ERR_NOTFOUND);
}

#define on_board(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_board(bare_chosen_has_nothing_to_say),
		on_board(command_line_is_passed_on),
		on_board(initrd_is_named_by_both_ends),
		on_board(kaslr_seed_is_passed_on),
		on_board(rng_seed_differs_every_time),
		on_board(stdout_path_leads_to_the_uart),
		on_board(stdout_path_does_not_choose_the_console),
		on_board(root_says_how_to_read_the_rest),
		on_board(memory_is_described),
		on_board(every_cpu_has_a_node),
		on_board(psci_is_called_by_hvc),
		on_board(timer_interrupts_are_in_order),
		on_board(a_hypervisor_has_its_own_timer_and_conduit),
		on_board(others_get_no_maintenance_interrupt),
		on_board(pmu_is_there_if_asked_for),
		on_board(gicv3_has_one_region_up_to_123_cpus),
		on_board(gicv3_has_two_regions_beyond),
		on_board(gicv2_has_a_cpu_interface),
		on_board(gicv2_private_interrupts_name_their_cpus),
		on_board(devices_are_complete),
		on_board(too_small_a_buffer_is_an_error),
		on_board(finishing_twice_is_an_error),
		on_board(errors_stick),
		on_board(trees_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
