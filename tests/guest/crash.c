// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest should not do. The parameters name one way to end the VMM, or to wait for its end;
 * without any, everything is tried that a guest must survive.
 */
#include "guest.h"
#include "tree.h"

#define UARTILPR 0x20

#define SMCCC_VERSION 0x80000000

/* Calls a function where there is none, to come back by abort_take(). */
static void jump(uint64_t address)
{
	((void (*)(void))address)();
}

static void expect_abort(unsigned int ec, const char *name)
{
	report_equal(aborts.count, 1, name);
	report_equal(ESR_EC(aborts.esr), ec, "by the right exception");
	aborts.count = 0;
}

static void test_aborts(void)
{
	uint32_t value;

	aborts.expected = true;
	/* QEMU lets unaligned accesses to Device memory through. */
	value = read32(PL011_BASE + UARTILPR + 2);
	report(aborts.count == 1 || value == UINT32_MAX, "an unaligned load aborts, or fails");
	aborts.count = 0;
	jump(0xf000000);
	expect_abort(EC_INSTRUCTION_ABORT, "a jump to where nothing is aborts");
	jump(PL011_BASE);
	expect_abort(EC_INSTRUCTION_ABORT, "a jump to a device aborts");
	jump(RAM_BASE + 2);
	expect_abort(EC_PC_ALIGNMENT, "a jump to an odd address aborts");
	read32(UINT64_C(0x100000000));
	expect_abort(EC_DATA_ABORT, "a load from above all addresses aborts");
	write32(UINT64_C(0x100000000), 0);
	expect_abort(EC_DATA_ABORT, "a store to above all addresses aborts");
	aborts.expected = false;
}

static void test_calls(void)
{
	static const uint32_t unknown[] = {
		0x80000fff, 0x8400007f, 0xc4000fff, 0x86000fff, 0xbf00ffff, 0x00000007,
	};
	const uint32_t version = hvc(SMCCC_VERSION, 0, 0, 0).x[0];

	report(version >= 0x10001 && version < 0x20000, "SMCCC_VERSION is 1.1 or later");
	for (unsigned int i = 0; i < ARRAY_SIZE(unknown); i++)
		report_equal((int)hvc(unknown[i], 1, 2, 3).x[0], SMCCC_NOT_SUPPORTED,
			     "an unknown HVC");
	for (unsigned int i = 0; i < ARRAY_SIZE(unknown); i++)
		report_equal((int)smc(unknown[i], 1, 2, 3).x[0], SMCCC_NOT_SUPPORTED,
			     "an unknown SMC");
}

/* Where QEMU's board has flash memory there is nothing: neither to read nor to run. */
static void test_hole(void)
{
	report_equal(read32(0), UINT32_MAX, "nothing at address 0");
	write32(0, 0x12345678);
	report_equal(read32(0), UINT32_MAX, "nor after a store");
}

/* Says where, and executes an instruction there whose syndrome does not describe the access. */
#define CRASH(instruction)                                                                 \
	do {                                                                               \
		uint64_t base = PL011_BASE + UARTILPR, here;                               \
                                                                                           \
		__asm__ volatile("adr %0, 1f" : "=r"(here));                               \
		put("crashing at ");                                                       \
		put_hex(here);                                                             \
		put("\n");                                                                 \
		__asm__ volatile("1: " instruction : "+r"(base) : : "x1", "x2", "memory"); \
	} while (0)

static void end_by(const char *way)
{
	if (text_equal(way, "ldp"))
		CRASH("ldp w1, w2, [%0]");
	if (text_equal(way, "stp"))
		CRASH("stp w1, w2, [%0]");
	if (text_equal(way, "writeback"))
		CRASH("ldr w1, [%0], #4");
	if (text_equal(way, "exclusive"))
		CRASH("ldxr w1, [%0]");
	put("went on\n");
}

static void wait_for_end(void)
{
	put("waiting\n");
	for (;;)
		wfi();
}

static void spin(void)
{
	put("waiting\n");
	for (;;)
		;
}

int main(void)
{
	const char *way = tree_params();

	if (text_equal(way, "wait"))
		wait_for_end();
	if (text_equal(way, "spin"))
		spin();
	if (*way) {
		end_by(way);
		power_off();
	}
	test_aborts();
	test_calls();
	test_hole();
	done("crash");
}
