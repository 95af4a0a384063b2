// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hypervisor and its guest at EL1: hypercalls, memory and devices through stage 2, its faults as
 * ESR_EL2, FAR_EL2 and HPFAR_EL2 tell them (Arm ARM D8.15, D24.2), and going on once the table is
 * mended.
 */
#include "el2.h"

#define READ   1
#define WROTE  2
#define CALLED 3

#define FSC_ADDRESS_SIZE 0x00 /* and the level */
#define FSC_ACCESS_FLAG	 0x08
#define ESR_SAS(esr)	 ((esr) >> 22 & 3)
#define ESR_SRT(esr)	 ((esr) >> 16 & 0x1f)
#define SAS_64_BIT	 3

#define OFFSET	   0x128 /* in the page, of all accesses */
#define A64_RET	   0xd65f03c0
#define PERIPH_ID0 (PL011_BASE + 0xfe0)

static struct stage2 stage2;
static struct el2_guest guest;
static uint8_t guest_stack[STACK_SIZE] __attribute__((aligned(16)));
static uint64_t page[512] __attribute__((aligned(4096)));

/* The guests. */

static void reads(uint64_t address)
{
	for (;;)
		hypercall(READ, read64(address));
}

static void reads32(uint64_t address)
{
	for (;;)
		hypercall(READ, read32(address));
}

static void writes(uint64_t address)
{
	for (uint64_t n = 1;; n++) {
		write64(address, n);
		hypercall(WROTE, n);
	}
}

static void executes(uint64_t address)
{
	for (;;) {
		((void (*)(void))address)();
		hypercall(CALLED, 0);
	}
}

static void asks(uint64_t value)
{
	for (;;)
		value = hypercall(READ, value);
}

/* The hypervisor. */

static void begin(void (*function)(uint64_t argument), uint64_t argument)
{
	guest_begin(&guest, function, argument, guest_stack);
}

/* The guest's next exit is an abort of that class and status, at that address, without a stage 1.
 */
static void expect_fault(unsigned int class, unsigned int status, uint64_t address,
			 const char *name)
{
	const enum el2_exit exit = el2_enter(&guest);
	const uint64_t esr = read_sysreg(esr_el2);

	if (exit != EXIT_SYNC || ESR_EC(esr) != class)
		report_equal(exit << 8 | ESR_EC(esr), EXIT_SYNC << 8 | class, name);
	else if (ESR_FSC(esr) != status)
		report_equal(ESR_FSC(esr), status, name);
	else if (read_sysreg(far_el2) != address)
		report_equal(read_sysreg(far_el2), address, name);
	else if ((status & 0x3c) != FSC_PERMISSION && fault_ipa() != address - address % S2_PAGE)
		/* HPFAR_EL2 is UNKNOWN after a permission fault. */
		report_equal(fault_ipa(), address, name);
	else
		report(true, name);
}

static void expect_read(uint64_t value, const char *name)
{
	report(guest_calls(&guest, READ) && guest.x[1] == value, name);
}

static void test_hypercall(void)
{
	begin(asks, 1);
	report(guest_calls(&guest, READ) && guest.x[1] == 1, "an HVC of the guest comes to us");
	report_equal(ESR_FSC(read_sysreg(esr_el2)), 0, "with its immediate value");
	guest.x[0] = 0x123456789a;
	report(guest_calls(&guest, READ) && guest.x[1] == 0x123456789a, "and gets what we answer");
	report_equal(guest.spsr & 0x1f, SPSR_EL1H & 0x1f, "from EL1");
}

static void test_memory(void)
{
	window_map(&stage2, 0, page, S2_RAM);
	begin(writes, WINDOW + OFFSET);
	report(guest_calls(&guest, WROTE) && page[OFFSET / 8] == 1, "a write through another IPA");
	page[OFFSET / 8] = 0xabcdef;
	begin(reads, WINDOW + OFFSET);
	expect_read(0xabcdef, "a read");
	begin(reads32, PERIPH_ID0);
	expect_read(0x11, "a device of nidus's");
}

static void test_translation(void)
{
	const uint64_t third = WINDOW + S2_PAGE + OFFSET, second = WINDOW + S2_BLOCK + OFFSET,
		       first = WINDOW + (UINT64_C(1) << 30) + OFFSET;

	page[OFFSET / 8] = 0x77;
	begin(reads, third);
	expect_fault(EC_DATA_ABORT_LOWER, FSC_TRANSLATION + 3, third, "translation fault, level 3");
	window_map(&stage2, 1, page, S2_RAM);
	expect_read(0x77, "the same load again, when the page is there");

	begin(reads, second);
	expect_fault(EC_DATA_ABORT_LOWER, FSC_TRANSLATION + 2, second, "level 2");
	table_set(&stage2.window[1], RAM_BASE | S2_RAM);
	expect_read(*(uint64_t *)(RAM_BASE + OFFSET),
		    "the same load again, when the block is there");

	begin(reads, first);
	expect_fault(EC_DATA_ABORT_LOWER, FSC_TRANSLATION + 1, first, "level 1");
	begin(executes, first);
	expect_fault(EC_INSTRUCTION_ABORT_LOWER, FSC_TRANSLATION + 1, first, "of an instruction");
}

/* What a hypervisor has to know to carry out a load itself. */
static void test_emulation(void)
{
	const uint64_t address = WINDOW + 2 * S2_PAGE + OFFSET;
	uint64_t esr;

	begin(reads, address);
	expect_fault(EC_DATA_ABORT_LOWER, FSC_TRANSLATION + 3, address, "a load from nowhere");
	esr = read_sysreg(esr_el2);
	report(esr & ESR_ISV && !(esr & ESR_WNR) && ESR_SAS(esr) == SAS_64_BIT,
	       "is described by its syndrome");
	guest.x[ESR_SRT(esr)] = 0xfeed;
	guest.elr += 4;
	expect_read(0xfeed, "and can be carried out for it");
}

static void test_write_permission(void)
{
	const uint64_t address = WINDOW + 3 * S2_PAGE + OFFSET;

	page[OFFSET / 8] = 0x55;
	window_map(&stage2, 3, page, S2_RAM & ~S2_WRITE);
	begin(reads, address);
	expect_read(0x55, "a page that is read-only can be read");
	begin(writes, address);
	expect_fault(EC_DATA_ABORT_LOWER, FSC_PERMISSION + 3, address, "and not written");
	report(read_sysreg(esr_el2) & ESR_WNR, "ESR_EL2.WnR says that it was a write");
	report_equal(page[OFFSET / 8], 0x55, "nothing is written");
	window_unmap(&stage2, 3);
	tlbi_ipa(address);
	window_map(&stage2, 3, page, S2_RAM);
	report(guest_calls(&guest, WROTE) && page[OFFSET / 8] == 1,
	       "the same store again, when it is allowed");
}

static void test_read_permission(void)
{
	const uint64_t address = WINDOW + 4 * S2_PAGE + OFFSET;

	page[OFFSET / 8] = 0x66;
	window_map(&stage2, 4, page, S2_RAM & ~S2_READ);
	begin(reads, address);
	expect_fault(EC_DATA_ABORT_LOWER, FSC_PERMISSION + 3, address, "a page that is write-only");
	window_unmap(&stage2, 4);
	tlbi_ipa(address);
	window_map(&stage2, 4, page, S2_RAM);
	expect_read(0x66, "the same load again, when it is allowed");
}

static void test_execution(void)
{
	const uint64_t address = WINDOW + 5 * S2_PAGE + OFFSET;

	page[OFFSET / 8] = A64_RET;
	__asm__ volatile("dsb sy\n\tic ialluis\n\tdsb sy\n\tisb" : : : "memory");
	window_map(&stage2, 5, page, S2_RAM | S2_XN);
	begin(reads, address);
	expect_read(A64_RET, "a page that is not for execution can be read");
	begin(executes, address);
	expect_fault(EC_INSTRUCTION_ABORT_LOWER, FSC_PERMISSION + 3, address, "and not executed");
	window_unmap(&stage2, 5);
	tlbi_ipa(address);
	window_map(&stage2, 5, page, S2_RAM);
	report(guest_calls(&guest, CALLED), "the same fetch again, when it is allowed");
}

static void test_descriptors(void)
{
	const uint64_t unused = WINDOW + 6 * S2_PAGE + OFFSET, far = unused + S2_PAGE;

	page[OFFSET / 8] = 0x99;
	window_map(&stage2, 6, page, S2_RAM & ~S2_ACCESSED);
	begin(reads, unused);
	expect_fault(EC_DATA_ABORT_LOWER, FSC_ACCESS_FLAG + 3, unused, "access flag fault");
	window_map(&stage2, 6, page, S2_RAM);
	expect_read(0x99, "the same load again, when the flag is set");

	window_map(&stage2, 7, (void *)(UINT64_C(1) << 41), S2_RAM);
	begin(reads, far);
	expect_fault(EC_DATA_ABORT_LOWER, FSC_ADDRESS_SIZE + 3, far, "address size fault");
	table_set(&stage2.pages[7], (uintptr_t)page | S2_RAM);
	expect_fault(EC_DATA_ABORT_LOWER, FSC_TRANSLATION + 3, far, "a block at level 3 is none");
}

int main(void)
{
	stage2_create(&stage2);
	el2_init(&stage2, 1);
	test_hypercall();
	test_memory();
	test_translation();
	test_emulation();
	test_write_permission();
	test_read_permission();
	test_execution();
	test_descriptors();
	done("el2_fault");
}
