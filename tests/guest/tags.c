// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest with memory tagging, to be saved and restored: gives tags to some pages, one of them of
 * zeroes otherwise and one in a block of its own, and to none around them; says so, and looks
 * whether they are still there when it is sent a letter.
 */
#include "mmu.h"

#define UARTFR	    0x18
#define UARTFR_RXFE (1u << 4)

#define GRANULE 16
#define PAGE	4096

/* Offsets in RAM; what lies between them has been touched, and has no tags. */
static const uint64_t tagged[] = { 0x1000000, 0x1002000, 0x1003000, 0x1800000, 0x2ff0000 };
static const uint64_t plain[] = { 0x1001000, 0x1004000, 0x2fef000, 0x2ff1000 };

/* Never 0. */
static uint64_t tag_of(uint64_t address)
{
	return address / GRANULE % 15 + 1;
}

static uint64_t load_tag(uint64_t address)
{
	uint64_t tagged_address = address;

	__asm__ volatile(".arch armv8.5-a+memtag\n\tldg %0, [%0]"
			 : "+r"(tagged_address)
			 :
			 : "memory");
	return tagged_address >> 56 & 0xf;
}

static void store_tag(uint64_t address, uint64_t tag)
{
	__asm__ volatile(".arch armv8.5-a+memtag\n\tstg %0, [%1]"
			 :
			 : "r"(address | tag << 56), "r"(address)
			 : "memory");
}

/* Tags are stored where memory is Normal, Tagged; and accessed where SCTLR_EL1.ATA says so. */
static void tags_on(void)
{
	mmu_on();
	write_sysreg(mair_el1, 0xf000);
	write_sysreg(tcr_el1, read_sysreg(tcr_el1) | UINT64_C(1) << 37); /* TBI0 */
	write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) | UINT64_C(1) << 43);
	__asm__ volatile("tlbi vmalle1\n\tdsb sy\n\tisb" : : : "memory");
}

static unsigned int wrong_in(uint64_t page, bool has_tags)
{
	unsigned int wrong = 0;

	for (uint64_t at = page; at < page + PAGE; at += GRANULE)
		wrong += load_tag(at) != (has_tags ? tag_of(at) : 0);
	return wrong;
}

static unsigned int wrong(void)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(tagged); i++)
		count += wrong_in(RAM_BASE + tagged[i], true);
	for (unsigned int i = 0; i < ARRAY_SIZE(plain); i++)
		count += wrong_in(RAM_BASE + plain[i], false);
	return count;
}

int main(void)
{
	tags_on();
	for (unsigned int i = 0; i < ARRAY_SIZE(plain); i++)
		write64(RAM_BASE + plain[i], i + 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(tagged); i++)
		for (uint64_t at = RAM_BASE + tagged[i]; at < RAM_BASE + tagged[i] + PAGE;
		     at += GRANULE)
			store_tag(at, tag_of(at));
	report_equal(wrong(), 0, "there are tags");
	put("tagged\n");
	while (read32(PL011_BASE + UARTFR) & UARTFR_RXFE)
		;
	report_equal(wrong(), 0, "they are still there");
	done("tags");
}
