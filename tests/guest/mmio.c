// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads and stores of every width to devices and to where there is none. mmio.sh knows how often
 * each register is accessed, and compares that with nidus's statistics.
 */
#include "guest.h"

#define UARTILPR 0x20
#define UARTIBRD 0x24
#define UARTFBRD 0x28
#define UART_ID	 0xfe0 /* UARTPeriphID0-3 and UARTPCellID0-3 */
#define RTCMR	 0x04
#define RTCLR	 0x08

#define RAM_SIZE UINT64_C(0x10000000)

#define LOAD(instruction, address)                          \
	({                                                  \
		uint64_t value_ = 0x1122334455667788;       \
		__asm__ volatile(instruction " [%1]"        \
				 : "+r"(value_)             \
				 : "r"((uint64_t)(address)) \
				 : "memory");               \
		value_;                                     \
	})

static bool all_widths_read_ones(uint64_t address)
{
	return LOAD("ldrb %w0,", address) == 0xff && LOAD("ldrh %w0,", address) == 0xffff &&
	       LOAD("ldr %w0,", address) == 0xffffffff && LOAD("ldr %0,", address) == UINT64_MAX;
}

static bool sign_extended_ones(uint64_t address)
{
	return LOAD("ldrsb %w0,", address) == 0xffffffff &&
	       LOAD("ldrsh %w0,", address) == 0xffffffff &&
	       LOAD("ldrsb %0,", address) == UINT64_MAX &&
	       LOAD("ldrsh %0,", address) == UINT64_MAX && LOAD("ldrsw %0,", address) == UINT64_MAX;
}

static void write_all_widths(uint64_t address)
{
	write8(address, 0);
	write16(address, 0);
	write32(address, 0);
	write64(address, 0);
}

static void test_nothing(void)
{
	static const struct {
		uint64_t address;
		const char *name;
	} nothing[] = {
		{ 0x1000, "nothing at 0x1000, far below RAM" },
		{ RAM_BASE - 8, "nothing just below RAM" },
		{ RAM_BASE + RAM_SIZE, "nothing just above RAM" },
		{ 0xfffffff8, "nothing at the end of 32 bits" },
		{ PL011_BASE - 8, "nothing just below the PL011" },
		{ PL011_BASE + 0x1000, "nothing just above the PL011" },
		{ PL031_BASE + 0x1000, "nothing just above the PL031" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(nothing); i++) {
		bool ok = all_widths_read_ones(nothing[i].address);

		write_all_widths(nothing[i].address);
		ok &= all_widths_read_ones(nothing[i].address);
		report(ok & sign_extended_ones(nothing[i].address), nothing[i].name);
	}
}

static void test_uart(void)
{
	write8(PL011_BASE + UARTILPR, 0x80);
	report_equal(LOAD("ldrb %w0,", PL011_BASE + UARTILPR), 0x80, "a byte of the PL011");
	report_equal(LOAD("ldrsb %w0,", PL011_BASE + UARTILPR), 0xffffff80, "LDRSB to W");
	report_equal(LOAD("ldrsb %0,", PL011_BASE + UARTILPR), (uint64_t)-128, "LDRSB to X");
	write16(PL011_BASE + UARTIBRD, 0x8001);
	report_equal(LOAD("ldrh %w0,", PL011_BASE + UARTIBRD), 0x8001, "a halfword of the PL011");
	report_equal(LOAD("ldrsh %w0,", PL011_BASE + UARTIBRD), 0xffff8001, "LDRSH to W");
	report_equal(LOAD("ldrsh %0,", PL011_BASE + UARTIBRD), (uint64_t)-32767, "LDRSH to X");
	write32(PL011_BASE + UARTFBRD, 0x2a);
	report_equal(LOAD("ldr %w0,", PL011_BASE + UARTFBRD), 0x2a, "a word of the PL011");
	write64(PL011_BASE + UARTFBRD, 0);
	report_equal(LOAD("ldr %0,", PL011_BASE + UARTFBRD), UINT64_MAX, "no doubleword there");
	report_equal(read32(PL011_BASE + UARTFBRD), 0x2a, "and the write of one is ignored");
	report(all_widths_read_ones(PL011_BASE + 0x800), "no register at 0x800");
	for (unsigned int i = 0; i < 8; i++) {
		static const uint8_t id[] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

		report_equal(read32(PL011_BASE + UART_ID + 4 * i), id[i], "identification");
	}
}

static void test_clock(void)
{
	write32(PL031_BASE + RTCMR, 0x80000001);
	report_equal(LOAD("ldr %w0,", PL031_BASE + RTCMR), 0x80000001, "a word of the PL031");
	report_equal(LOAD("ldrsw %0,", PL031_BASE + RTCMR), 0xffffffff80000001, "LDRSW to X");
	report_equal(LOAD("ldrb %w0,", PL031_BASE + RTCMR), 0xff, "no byte there");
	report_equal(LOAD("ldrh %w0,", PL031_BASE + RTCMR), 0xffff, "no halfword there");
	report_equal(LOAD("ldr %0,", PL031_BASE + RTCMR), UINT64_MAX, "no doubleword there");
	write8(PL031_BASE + RTCMR, 0);
	write16(PL031_BASE + RTCMR, 0);
	write64(PL031_BASE + RTCMR, 0);
	report_equal(read32(PL031_BASE + RTCMR), 0x80000001, "and writes of such are ignored");
}

/*
 * Unaligned accesses are faults while the MMU is off, and to Device memory. So the MMU is turned
 * on with blocks of 1 GiB: devices and RAM where they are, the first gigabyte once more as Normal
 * memory.
 */
#define ALIAS	   UINT64_C(0x80000000)
#define BLOCK_FLAG (1u << 10 | 1u) /* AF, block */

static uint64_t table[512] __attribute__((aligned(4096)));

static void mmu_on(void)
{
	table[0] = BLOCK_FLAG;
	table[1] = RAM_BASE | 1u << 2 | BLOCK_FLAG;
	table[ALIAS >> 30] = 1u << 2 | BLOCK_FLAG;
	barrier();
	write_sysreg(mair_el1, 0x4400); /* 0: Device-nGnRnE, 1: Normal Non-cacheable */
	/* T0SZ 25: 39 bits, which begin at level 1; no TTBR1_EL1 */
	write_sysreg(tcr_el1, UINT64_C(2) << 32 | 1u << 23 | 25);
	write_sysreg(ttbr0_el1, (uintptr_t)table);
	__asm__ volatile("tlbi vmalle1\n\tdsb sy" : : : "memory");
	/* M; not A, nor any cache */
	write_sysreg(sctlr_el1, (read_sysreg(sctlr_el1) | 1) & ~UINT64_C(2));
}

static void test_unaligned(void)
{
	mmu_on();
	report_equal(read32(ALIAS + PL011_BASE + 0xffe), UINT32_MAX, "across the PL011's end");
	report_equal(read64(ALIAS + PL031_BASE + 0xffc), UINT64_MAX, "across the PL031's end");
	report_equal(read32(ALIAS + PL011_BASE - 2), UINT32_MAX, "across the PL011's beginning");
	write32(ALIAS + PL011_BASE - 2, 0x41414141);
	write64(ALIAS + PL031_BASE + 0xffc, 0);
	report_equal(read32(ALIAS + PL011_BASE + UARTIBRD + 2), UINT32_MAX, "across two registers");
	report_equal(read16(ALIAS + PL011_BASE + UARTFBRD + 1), UINT16_MAX, "inside a register");
	write16(ALIAS + PL011_BASE + UARTFBRD + 1, 0);
	report_equal(read32(PL011_BASE + UARTFBRD), 0x2a, "and such writes are ignored");
}

/* More addresses than the statistics tell apart. */
static void test_many(void)
{
	bool ok = true;

	for (uint64_t i = 0; i < 200; i++)
		ok &= read32(0xf000000 + 4 * i) == UINT32_MAX;
	report(ok, "nothing at 200 addresses");
}

int main(void)
{
	test_nothing();
	test_uart();
	test_clock();
	test_unaligned();
	test_many();
	done("mmio");
}
