// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hypervisor that takes a page from its guest, invalidates TLBs by each of the instructions that
 * do (Arm ARM D8.17), and gives it another one: the guest must fault in between, and then see the
 * other.
 *
 * Stage 2 has no TLB of its own here but the host's shadow tables, which are what this is about.
 * Whether stage 1 was invalidated shows on hardware only: the emulated CPU forgets all
 * translations whenever it goes to EL2.
 */
#include "el2.h"

#define READ 1

#define ASID UINT64_C(5)

/* Stage 1 of the guest: 39 bits in pages of 4 KiB; not cached, as our own accesses are not. */
#define MAIR		0x0044 /* 0: Normal Non-cacheable; 1: Device-nGnRnE */
#define TCR		(UINT64_C(2) << 32 | 1u << 23 | 25u)
#define SCTLR_M		1u
#define S1_VALID	UINT64_C(1)
#define S1_TABLE	UINT64_C(3)
#define S1_PAGE		UINT64_C(3)
#define S1_DEVICE	(UINT64_C(1) << 2)
#define S1_SHARED	(UINT64_C(3) << 8)
#define S1_ACCESSED	(UINT64_C(1) << 10)
#define S1_NOT_GLOBAL	(UINT64_C(1) << 11)
#define S1_WINDOW_ATTRS (S1_PAGE | S1_SHARED | S1_ACCESSED | S1_NOT_GLOBAL)

/* What is in the register of an instruction. */
enum operand { NONE, IPA, IPA_RANGE, VA, VA_RANGE, ANY_ASID, ANY_ASID_RANGE, WHOLE_ASID };

/* What ID_AA64ISAR0_EL1.TLB must be at least: 1 for Outer Shareable, 2 for ranges. */
enum feature { BASE, OUTER, RANGE };

struct scope {
	const char *name;
	void (*invalidate)(uint64_t operand);
	enum operand operand;
	enum feature feature;
};

/* sys because the assembler knows later ones with their features only. */
#define INVALIDATES(name, op1, crm, op2)                                          \
	static void name(uint64_t operand)                                        \
	{                                                                         \
		__asm__ volatile("dsb sy\n\tsys #" #op1 ", c8, c" #crm ", #" #op2 \
				 ", %0\n\tdsb sy\n\tisb"                          \
				 :                                                \
				 : "r"(operand)                                   \
				 : "memory");                                     \
	}

INVALIDATES(ipas2e1is, 4, 0, 1)
INVALIDATES(ripas2e1is, 4, 0, 2)
INVALIDATES(ipas2le1is, 4, 0, 5)
INVALIDATES(ripas2le1is, 4, 0, 6)
INVALIDATES(ipas2e1os, 4, 4, 0)
INVALIDATES(ipas2e1, 4, 4, 1)
INVALIDATES(ripas2e1, 4, 4, 2)
INVALIDATES(ripas2e1os, 4, 4, 3)
INVALIDATES(ipas2le1os, 4, 4, 4)
INVALIDATES(ipas2le1, 4, 4, 5)
INVALIDATES(ripas2le1, 4, 4, 6)
INVALIDATES(ripas2le1os, 4, 4, 7)
INVALIDATES(alle1os, 4, 1, 4)
INVALIDATES(vmalls12e1os, 4, 1, 6)
INVALIDATES(alle1is, 4, 3, 4)
INVALIDATES(vmalls12e1is, 4, 3, 6)
INVALIDATES(alle1, 4, 7, 4)
INVALIDATES(vmalls12e1, 4, 7, 6)

static const struct scope stage2_scopes[] = {
	{ "IPAS2E1IS", ipas2e1is, IPA, BASE },
	{ "IPAS2LE1IS", ipas2le1is, IPA, BASE },
	{ "IPAS2E1", ipas2e1, IPA, BASE },
	{ "IPAS2LE1", ipas2le1, IPA, BASE },
	{ "VMALLS12E1IS", vmalls12e1is, NONE, BASE },
	{ "VMALLS12E1", vmalls12e1, NONE, BASE },
	{ "ALLE1IS", alle1is, NONE, BASE },
	{ "ALLE1", alle1, NONE, BASE },
	{ "IPAS2E1OS", ipas2e1os, IPA, OUTER },
	{ "IPAS2LE1OS", ipas2le1os, IPA, OUTER },
	{ "VMALLS12E1OS", vmalls12e1os, NONE, OUTER },
	{ "ALLE1OS", alle1os, NONE, OUTER },
	{ "RIPAS2E1IS", ripas2e1is, IPA_RANGE, RANGE },
	{ "RIPAS2LE1IS", ripas2le1is, IPA_RANGE, RANGE },
	{ "RIPAS2E1", ripas2e1, IPA_RANGE, RANGE },
	{ "RIPAS2LE1", ripas2le1, IPA_RANGE, RANGE },
	{ "RIPAS2E1OS", ripas2e1os, IPA_RANGE, RANGE },
	{ "RIPAS2LE1OS", ripas2le1os, IPA_RANGE, RANGE },
};

INVALIDATES(vmalle1os, 0, 1, 0)
INVALIDATES(vae1os, 0, 1, 1)
INVALIDATES(aside1os, 0, 1, 2)
INVALIDATES(vaae1os, 0, 1, 3)
INVALIDATES(rvae1is, 0, 2, 1)
INVALIDATES(rvaae1is, 0, 2, 3)
INVALIDATES(vmalle1is, 0, 3, 0)
INVALIDATES(vae1is, 0, 3, 1)
INVALIDATES(aside1is, 0, 3, 2)
INVALIDATES(vaae1is, 0, 3, 3)
INVALIDATES(vale1is, 0, 3, 5)
INVALIDATES(vaale1is, 0, 3, 7)
INVALIDATES(rvae1, 0, 6, 1)
INVALIDATES(rvaae1, 0, 6, 3)
INVALIDATES(vmalle1, 0, 7, 0)
INVALIDATES(vae1, 0, 7, 1)
INVALIDATES(aside1, 0, 7, 2)
INVALIDATES(vaae1, 0, 7, 3)

static const struct scope stage1_scopes[] = {
	{ "VMALLE1IS", vmalle1is, NONE, BASE },	  { "VAE1IS", vae1is, VA, BASE },
	{ "VALE1IS", vale1is, VA, BASE },	  { "VAAE1IS", vaae1is, ANY_ASID, BASE },
	{ "VAALE1IS", vaale1is, ANY_ASID, BASE }, { "ASIDE1IS", aside1is, WHOLE_ASID, BASE },
	{ "VMALLE1", vmalle1, NONE, BASE },	  { "VAE1", vae1, VA, BASE },
	{ "VAAE1", vaae1, ANY_ASID, BASE },	  { "ASIDE1", aside1, WHOLE_ASID, BASE },
	{ "VMALLE1OS", vmalle1os, NONE, OUTER },  { "VAE1OS", vae1os, VA, OUTER },
	{ "VAAE1OS", vaae1os, ANY_ASID, OUTER },  { "ASIDE1OS", aside1os, WHOLE_ASID, OUTER },
	{ "RVAE1IS", rvae1is, VA_RANGE, RANGE },  { "RVAAE1IS", rvaae1is, ANY_ASID_RANGE, RANGE },
	{ "RVAE1", rvae1, VA_RANGE, RANGE },	  { "RVAAE1", rvaae1, ANY_ASID_RANGE, RANGE },
};

static struct stage2 stage2;
static struct el2_guest guest;
static uint8_t guest_stack[STACK_SIZE] __attribute__((aligned(16)));
static uint64_t pages[2][512] __attribute__((aligned(4096)));
static uint64_t stage1[3][S2_ENTRY] __attribute__((aligned(4096)));

static void reads(uint64_t address)
{
	for (;;)
		hypercall(READ, read64(address));
}

/* The operand for the pages from WINDOW on: one, or two where it is a range (NUM and SCALE 0). */
static uint64_t operand_of(enum operand operand)
{
	const uint64_t page = WINDOW / S2_PAGE, granule_4k = UINT64_C(1) << 46;

	switch (operand) {
	case IPA:
	case ANY_ASID:
		return page;
	case IPA_RANGE:
	case ANY_ASID_RANGE:
		return granule_4k | page;
	case VA:
		return ASID << 48 | page;
	case VA_RANGE:
		return ASID << 48 | granule_4k | page;
	case WHOLE_ASID:
		return ASID << 48;
	default:
		return 0;
	}
}

static bool guest_reads(const uint64_t *page)
{
	return guest_calls(&guest, READ) && guest.x[1] == page[0];
}

static bool guest_faults(void)
{
	const uint64_t esr =
		el2_enter(&guest) == EXIT_SYNC ? read_sysreg(esr_el2) : (uint64_t)EC_HVC64 << 26;

	return ESR_EC(esr) == EC_DATA_ABORT_LOWER && ESR_FSC(esr) == FSC_TRANSLATION + 3;
}

static void test_stage2(const struct scope *scope)
{
	bool before, between, after;

	window_map(&stage2, 0, pages[0], S2_RAM);
	guest_begin(&guest, reads, WINDOW, guest_stack);
	before = guest_reads(pages[0]);
	window_unmap(&stage2, 0);
	scope->invalidate(operand_of(scope->operand));
	/* By IPA it is stage 2 alone, and the combination with stage 1 has to go too. */
	if (scope->operand != NONE)
		vmalle1is(0);
	between = guest_faults();
	window_map(&stage2, 0, pages[1], S2_RAM);
	after = guest_reads(pages[1]);
	report(before && between && after, scope->name);
	window_unmap(&stage2, 0);
	tlbi_ipa(WINDOW);
}

static void test_stage1(const struct scope *scope)
{
	bool before, after;

	table_set(&stage1[2][0], (uintptr_t)pages[0] | S1_WINDOW_ATTRS);
	vmalle1is(0);
	guest_begin(&guest, reads, WINDOW, guest_stack);
	before = guest_reads(pages[0]);
	table_set(&stage1[2][0], 0);
	scope->invalidate(operand_of(scope->operand));
	table_set(&stage1[2][0], (uintptr_t)pages[1] | S1_WINDOW_ATTRS);
	after = guest_reads(pages[1]);
	report(before && after, scope->name);
}

static void stage1_create(void)
{
	table_set(&stage1[0][0], S1_VALID | S1_DEVICE | S1_ACCESSED);
	table_set(&stage1[0][1], RAM_BASE | S1_VALID | S1_SHARED | S1_ACCESSED);
	table_set(&stage1[0][2], (uintptr_t)stage1[1] | S1_TABLE);
	table_set(&stage1[1][0], (uintptr_t)stage1[2] | S1_TABLE);
	write_el1(mair, MAIR);
	write_el1(tcr, TCR);
	write_el1(ttbr0, ASID << 48 | (uintptr_t)stage1[0]);
	write_el1(sctlr, SCTLR_EL1_OFF | SCTLR_M);
}

static void test_all(const struct scope *scopes, unsigned int count,
		     void (*test)(const struct scope *scope))
{
	const unsigned int level = read_sysreg(id_aa64isar0_el1) >> 56 & 0xf;

	for (unsigned int i = 0; i < count; i++)
		if (scopes[i].feature <= level)
			test(&scopes[i]);
}

int main(void)
{
	pages[0][0] = 0xaaaa;
	pages[1][0] = 0xbbbb;
	stage2_create(&stage2);
	el2_init(&stage2, 7);
	test_all(stage2_scopes, ARRAY_SIZE(stage2_scopes), test_stage2);
	stage1_create();
	test_all(stage1_scopes, ARRAY_SIZE(stage1_scopes), test_stage1);
	done("el2_tlbi");
}
