// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/kvm.h"
#include "tables.h"
#include "translate/translate.h"
#include "unit.h"
#include "util.h"

#define RAM  GIB(1)
#define SIZE MIB(16)

#define BIT(n) (UINT64_C(1) << (n))

/* Descriptors. */
#define PAGE   3
#define BLOCK  1
#define TABLE  3
#define AF     BIT(10)
#define EL0    BIT(6) /* AP[1] */
#define RO     BIT(7) /* AP[2] */
#define DBM    BIT(51)
#define PXN    BIT(53)
#define UXN    BIT(54)
#define S2_R   BIT(6)
#define S2_W   BIT(7)
#define S2_XN0 BIT(53)
#define S2_XN1 BIT(54)

/* A CPU that has everything: 52 bits of all kinds, HAFDBS, HPDS, PAN3, XNX, ST, E0PD. */
#define MMFR0_ALL                                                                      \
	(6u | 2u << 20 | 0u << 24 | 1u << 28 | UINT64_C(3) << 32 | UINT64_C(2) << 36 | \
	 UINT64_C(3) << 40)
#define MMFR1_ALL (2u | 1u << 12 | 3u << 20 | 1u << 28)
#define MMFR2_ALL (1u << 16 | 1u << 28 | UINT64_C(1) << 60)

#define SCTLR_M	   BIT(0)
#define SCTLR_WXN  BIT(19)
#define SCTLR_EE   BIT(25)
#define SCTLR_EPAN BIT(57)

#define EL1H 5
#define EL0T 0
#define EL2H 9

static struct memory memory;
static uint64_t next_table;
static struct regime regime;
static struct translation got;

/* What kvm_get_reg() answers from: see registers_*(). */
static struct {
	uint64_t id, value;
} registers[64];
static size_t register_count;
static int get_error;

int kvm_get_reg(int vcpu_fd, uint64_t id, void *value)
{
	assert_int_equal(vcpu_fd, 7);
	if (get_error)
		return get_error;
	for (size_t i = 0; i < register_count; i++)
		if (registers[i].id == id) {
			memcpy(value, &registers[i].value, sizeof(registers[i].value));
			return 0;
		}
	return -ENOENT;
}

static void set_register(uint64_t id, uint64_t value)
{
	registers[register_count].id = id;
	registers[register_count++].value = value;
}

static int begin(void **state)
{
	memset(memory.host, 0, next_table - RAM);
	next_table = RAM;
	register_count = 0;
	get_error = 0;
	regime = (struct regime){
		.kind = REGIME_EL10,
		.pstate = EL1H,
		.sctlr = SCTLR_M,
		.mmfr0 = MMFR0_ALL,
		.mmfr1 = MMFR1_ALL,
		.mmfr2 = MMFR2_ALL,
	};
	return 0;
}

static int allocate(void **state)
{
	memory = (struct memory){ .base = RAM, .size = SIZE };
	memory.host = aligned_alloc(MIB(2), SIZE);
	next_table = RAM + SIZE;
	return memory.host ? 0 : -1;
}

static int release(void **state)
{
	free(memory.host);
	return 0;
}

static enum translate_result try(uint64_t va, enum translate_access access)
{
	return translate(&regime, &memory, va, access, false, &got);
}

#define assert_again(va, access) assert_int_equal(try(va, access), TRANSLATE_AGAIN)
#define assert_fail(va, access)	 assert_int_equal(try(va, access), TRANSLATE_FAIL)
#define assert_goes(va, access, to)                                \
	do {                                                       \
		assert_int_equal(try(va, access), TRANSLATE_DONE); \
		assert_int_equal(got.gpa, to);                     \
	} while (0)

/* Tables. */

static uint64_t *entry(uint64_t table, uint64_t index)
{
	return (uint64_t *)(memory.host + (table - RAM)) + index;
}

static bool big_endian;

static void store(uint64_t *where, uint64_t descriptor)
{
	*where = big_endian ? htobe64(descriptor) : htole64(descriptor);
}

static uint64_t new_table(uint64_t size)
{
	uint64_t table = (next_table + size - 1) / size * size;

	next_table = table + size;
	assert_in_range(next_table, RAM, RAM + SIZE);
	return table;
}

/*
 * Tables from level first on, with attributes in each, down to a leaf at level last; its address
 * is packed already. Returns where the first one is. first_entries: that it has.
 */
static uint64_t make_path(const struct shape *shape, bool wide, int first, unsigned int input_bits,
			  uint64_t input, int last, uint64_t leaf, uint64_t attributes)
{
	uint64_t root = 0, *link = NULL;

	for (int level = first; level <= last; level++) {
		const unsigned int shift = shape->shift[level + 1];
		const unsigned int top = level == first ? input_bits : shape->shift[level];
		const uint64_t count = UINT64_C(1) << (top - shift);
		uint64_t table = new_table(count * 8 < 64 ? 64 : count * 8);

		if (level == first)
			root = table;
		else
			store(link, pack(table, shape, wide) | attributes | TABLE);
		link = entry(table, (input >> shift) % count);
	}
	store(link, leaf);
	return root;
}

/* The EL1&0 regime for one range, all else of TCR_EL1 as given. */
static void use(const struct shape *shape, unsigned int input_bits, bool upper, uint64_t root,
		uint64_t tcr)
{
	if (upper)
		tcr |= (64 - input_bits) << 16 | (uint64_t)shape->tg1 << 30;
	else
		tcr |= (64 - input_bits) | (uint64_t)shape->tg0 << 14;
	regime.tcr = tcr;
	regime.ttbr[upper] = (root & ~(UINT64_C(0xf) << 48)) | (root >> 48 & 0xf) << 2;
}

#define IPS(n) ((uint64_t)(n) << 32)
#define DS     BIT(59)

/* A 4 KiB page at va of a 39-bit lower range, with these attributes. */
#define PAGE_AT UINT64_C(0x123456000)
static uint64_t simple(uint64_t va, uint64_t attributes, uint64_t table_attributes)
{
	const uint64_t root = make_path(&shapes[0], false, 1, 39, va, 3,
					PAGE_AT | attributes | PAGE, table_attributes);

	use(&shapes[0], 39, false, root, IPS(5));
	return root;
}

/* Every granule, size of addresses, level, range. */

static void walk_once(const struct shape *shape, unsigned int bits, bool wide, bool upper, int last,
		      uint64_t *seed)
{
	const int first = first_level(shape, bits);
	const uint64_t size = UINT64_C(1) << shape->shift[last + 1];
	const uint64_t input = chance(seed) % BIT(bits);
	const uint64_t output = chance(seed) % BIT(wide ? 52 : 48) / size * size;
	const bool *block = wide ? shape->block52 : shape->block;
	const uint64_t va = upper ? input | ~(BIT(bits) - 1) : input;
	uint64_t root;

	begin(NULL);
	if (!wide)
		regime.mmfr0 = (MMFR0_ALL & ~UINT64_C(7)) | 5;
	big_endian = chance(seed) % 2;
	regime.sctlr |= big_endian ? SCTLR_EE : 0;
	root = make_path(shape, wide, first, bits, input, last,
			 pack(output, shape, wide) | AF | (last == 3 ? PAGE : BLOCK), 0);
	use(shape, bits, upper, root, IPS(wide ? 6 : 5) | (wide && shape->page_bits < 16 ? DS : 0));
	if (last < 3 && !block[last + 1]) {
		assert_again(va, TRANSLATE_READ);
	} else {
		assert_goes(va, TRANSLATE_READ, output + input % size);
		assert_int_equal(got.size, size - input % size);
	}
	big_endian = false;
}

static void every_granule_size_and_level(void **state)
{
	uint64_t seed = 1;
	unsigned int walks = 0;

	for (size_t s = 0; s < ARRAY_SIZE(shapes); s++)
		for (unsigned int bits = shapes[s].from[4]; bits <= 52; bits++)
			for (int wide = bits > 48; wide < 2; wide++)
				for (int last = first_level(&shapes[s], bits); last <= 3; last++)
					for (int upper = 0; upper < 2; upper++, walks++)
						walk_once(&shapes[s], bits, wide, upper, last,
							  &seed);
	assert_in_range(walks, 600, 2000);
}

static void first_levels_are_those_of_the_manual(void **state)
{
	/* Of the tables "Maximum and minimum TxSZ" for each granule. */
	assert_int_equal(first_level(&shapes[0], 52), -1);
	assert_int_equal(first_level(&shapes[0], 48), 0);
	assert_int_equal(first_level(&shapes[0], 39), 1);
	assert_int_equal(first_level(&shapes[0], 30), 2);
	assert_int_equal(first_level(&shapes[0], 21), 3);
	assert_int_equal(first_level(&shapes[1], 48), 0);
	assert_int_equal(first_level(&shapes[1], 47), 1);
	assert_int_equal(first_level(&shapes[1], 36), 2);
	assert_int_equal(first_level(&shapes[2], 52), 1);
	assert_int_equal(first_level(&shapes[2], 42), 2);
	assert_int_equal(first_level(&shapes[2], 29), 3);
}

/* What the registers allow to be walked. */

static void sizes_beyond_what_the_cpu_has_fault(void **state)
{
	simple(0, AF, 0);
	for (unsigned int txsz = 0; txsz < 64; txsz++) {
		bool valid = txsz >= 16 && txsz <= 48;

		regime.tcr = IPS(5) | txsz;
		/* The table is not that of another size: only whether it is looked at counts. */
		regime.ttbr[0] = RAM + SIZE;
		assert_int_equal(try(0, TRANSLATE_READ), valid ? TRANSLATE_FAIL : TRANSLATE_AGAIN);
		regime.mmfr2 &= ~(UINT64_C(0xf) << 28); /* no FEAT_TTST */
		valid = txsz >= 16 && txsz <= 39;
		assert_int_equal(try(0, TRANSLATE_READ), valid ? TRANSLATE_FAIL : TRANSLATE_AGAIN);
		regime.mmfr2 = MMFR2_ALL;
		valid = txsz >= 12 && txsz <= 48;
		regime.tcr |= DS;
		assert_int_equal(try(0, TRANSLATE_READ), valid ? TRANSLATE_FAIL : TRANSLATE_AGAIN);
		regime.tcr = IPS(5) | 1 << 14 | txsz;
		valid = txsz >= 12 && txsz <= 47;
		assert_int_equal(try(0, TRANSLATE_READ), valid ? TRANSLATE_FAIL : TRANSLATE_AGAIN);
	}
}

static void addresses_outside_both_ranges_fault(void **state)
{
	simple(0x7ffffff123, AF, 0);
	regime.ttbr[1] = regime.ttbr[0];
	regime.tcr |= 25 << 16 | UINT64_C(2) << 30;
	assert_goes(0x7ffffff123, TRANSLATE_READ, PAGE_AT + 0x123);
	assert_goes(UINT64_C(0xfffffffffffff123), TRANSLATE_READ, PAGE_AT + 0x123);
	assert_again(0x8000000000 | 0x7ffffff123, TRANSLATE_READ);
	assert_again(UINT64_C(0xffffff7ffffff123), TRANSLATE_READ);
	/* Bit 55 chooses the table, and the rest has to agree with it. */
	assert_again(0x007ffffff123 | BIT(55), TRANSLATE_READ);
	assert_again(UINT64_C(0xfffffffffffff123) & ~BIT(55), TRANSLATE_READ);
}

static void top_byte_is_ignored_when_told_so(void **state)
{
	const uint64_t va = 0x7ffffff123;

	simple(va, AF, 0);
	regime.ttbr[1] = regime.ttbr[0];
	regime.tcr |= 25 << 16 | UINT64_C(2) << 30;
	assert_again(va | BIT(63), TRANSLATE_READ);
	regime.tcr |= BIT(37); /* TBI0 */
	assert_goes(va | BIT(63), TRANSLATE_READ, PAGE_AT + 0x123);
	assert_goes(va | BIT(56), TRANSLATE_EXECUTE, PAGE_AT + 0x123);
	assert_again(va | BIT(54), TRANSLATE_READ);
	assert_again(~UINT64_C(0) ^ BIT(60), TRANSLATE_READ);
	regime.tcr |= BIT(51); /* TBID0 */
	assert_goes(va | BIT(63), TRANSLATE_WRITE, PAGE_AT + 0x123);
	assert_again(va | BIT(63), TRANSLATE_EXECUTE);
	regime.tcr |= BIT(38); /* TBI1 */
	assert_goes(~UINT64_C(0) ^ BIT(60), TRANSLATE_EXECUTE, PAGE_AT + 0xfff);
	regime.tcr |= BIT(52); /* TBID1 */
	assert_goes(~UINT64_C(0) ^ BIT(60), TRANSLATE_READ, PAGE_AT + 0xfff);
	assert_again(~UINT64_C(0) ^ BIT(60), TRANSLATE_EXECUTE);
}

static void walks_can_be_disabled(void **state)
{
	const struct {
		uint64_t tcr;
		bool lower, upper, lower_el0, upper_el0;
	} cases[] = {
		{ 0, true, true, true, true },
		{ BIT(7), false, true, false, true }, /* EPD0 */
		{ BIT(23), true, false, true, false },
		{ BIT(55), true, true, false, true }, /* E0PD0 */
		{ BIT(56), true, true, true, false },
	};

	simple(0x7ffffff123, AF | EL0, 0);
	regime.ttbr[1] = regime.ttbr[0];
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		regime.tcr = IPS(5) | 25 | 25 << 16 | UINT64_C(2) << 30 | cases[i].tcr;
		regime.pstate = EL1H;
		assert_int_equal(try(0x7ffffff123, TRANSLATE_READ) == TRANSLATE_DONE,
				 cases[i].lower);
		assert_int_equal(try(~UINT64_C(0), TRANSLATE_READ) == TRANSLATE_DONE,
				 cases[i].upper);
		regime.pstate = EL0T;
		assert_int_equal(try(0x7ffffff123, TRANSLATE_READ) == TRANSLATE_DONE,
				 cases[i].lower_el0);
		assert_int_equal(try(~UINT64_C(0), TRANSLATE_READ) == TRANSLATE_DONE,
				 cases[i].upper_el0);
	}
}

static void output_addresses_have_the_bits_they_may(void **state)
{
	static const unsigned int bits[] = { 32, 36, 40, 42, 44, 48 };

	for (size_t ps = 0; ps < ARRAY_SIZE(bits); ps++)
		for (unsigned int top = 31; top < 48; top++) {
			begin(NULL);
			simple(0, AF, 0);
			/* The root of simple() is the first table, its last one the third. */
			*entry(RAM + 0x2000, 0) = BIT(top) | AF | PAGE;
			regime.tcr = IPS(ps) | 25;
			assert_int_equal(try(0, TRANSLATE_READ),
					 top < bits[ps] ? TRANSLATE_DONE : TRANSLATE_AGAIN);
			/* IPS may say more than the CPU has. */
			regime.tcr = IPS(5) | 25;
			regime.mmfr0 = (MMFR0_ALL & ~UINT64_C(7)) | ps;
			assert_int_equal(try(0, TRANSLATE_READ),
					 top < bits[ps] ? TRANSLATE_DONE : TRANSLATE_AGAIN);
			/* A table there is not in RAM, which only matters if it may be there. */
			*entry(RAM + 0x1000, 0) = BIT(top) | TABLE;
			assert_int_equal(try(0, TRANSLATE_READ),
					 top < bits[ps] ? TRANSLATE_FAIL : TRANSLATE_AGAIN);
			regime.ttbr[0] = BIT(top);
			assert_int_equal(try(0, TRANSLATE_READ),
					 top < bits[ps] ? TRANSLATE_FAIL : TRANSLATE_AGAIN);
		}
}

static void wide_addresses_of_tables(void **state)
{
	/* Bits [5:2] of TTBR0_EL1 are [51:48] of the address with DS only. */
	simple(0, AF, 0);
	regime.tcr = IPS(6) | 25;
	regime.ttbr[0] |= BIT(2);
	assert_goes(0, TRANSLATE_READ, PAGE_AT);
	regime.tcr |= DS;
	assert_fail(0, TRANSLATE_READ);
	regime.tcr = IPS(5) | DS | 25;
	assert_again(0, TRANSLATE_READ);
	/* And virtual addresses of 64 KiB granules have 52 bits with FEAT_LVA only. */
	regime.tcr = IPS(5) | 1 << 14 | 12;
	regime.ttbr[0] = 0;
	assert_fail(0, TRANSLATE_READ);
	regime.mmfr2 &= ~(UINT64_C(0xf) << 16);
	assert_again(0, TRANSLATE_READ);
}

static void granules_that_are_not_there_are_refused(void **state)
{
	const struct {
		uint64_t tg0, mmfr0;
		enum translate_result result;
	} cases[] = {
		{ 0, MMFR0_ALL, TRANSLATE_DONE },
		{ 0, MMFR0_ALL | UINT64_C(0xf) << 28, TRANSLATE_FAIL },
		{ 3, MMFR0_ALL, TRANSLATE_FAIL },
		{ 2, MMFR0_ALL & ~(UINT64_C(0xf) << 20), TRANSLATE_FAIL },
		{ 1, MMFR0_ALL | UINT64_C(0xf) << 24, TRANSLATE_FAIL },
		/* With tables for 4 KiB these two find nothing. */
		{ 2, MMFR0_ALL, TRANSLATE_AGAIN },
		{ 1, MMFR0_ALL, TRANSLATE_AGAIN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(NULL);
		simple(0x123456789, AF, 0);
		regime.tcr |= cases[i].tg0 << 14;
		regime.mmfr0 = cases[i].mmfr0;
		assert_int_equal(try(0x123456789, TRANSLATE_READ), cases[i].result);
	}
	begin(NULL);
	simple(~UINT64_C(0), AF, 0);
	regime.ttbr[1] = regime.ttbr[0];
	regime.tcr = IPS(5) | 25 << 16; /* TG1 0 is reserved */
	assert_fail(~UINT64_C(0), TRANSLATE_READ);
}

/* Descriptors. */

static void access_flag(void **state)
{
	simple(0, 0, 0);
	assert_again(0, TRANSLATE_READ);
	regime.tcr |= BIT(39); /* HA */
	assert_goes(0, TRANSLATE_READ, PAGE_AT);
	regime.mmfr1 &= ~UINT64_C(0xf); /* HA is RES0 without FEAT_HAFDBS */
	assert_again(0, TRANSLATE_READ);
}

static void bits_that_change_nothing(void **state)
{
	/* Attributes, shareability, nG, GP, DBM, contiguous, and what software has for itself. */
	const uint64_t harmless[] = { BIT(2),  BIT(5),	BIT(8),	 BIT(9),  BIT(11), BIT(50),
				      BIT(51), BIT(52), BIT(55), BIT(58), BIT(59), BIT(63) };

	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++) {
		begin(NULL);
		simple(0, AF | harmless[i], 0);
		assert_goes(0, TRANSLATE_WRITE, PAGE_AT);
	}
	/* nT, in a block. */
	begin(NULL);
	simple(0, AF, 0);
	*entry(RAM + 0x1000, 0) = MIB(6) | BIT(16) | AF | BLOCK;
	assert_goes(0x12345, TRANSLATE_READ, MIB(6) + 0x12345);
	assert_int_equal(got.size, MIB(2) - 0x12345);
}

static void invalid_descriptors_fault(void **state)
{
	const uint64_t va = 0x123456789;

	for (int level = 1; level <= 3; level++) {
		uint64_t *where, root;

		begin(NULL);
		root = simple(va, AF, 0);
		where = entry(root + 0x1000 * (level - 1), va >> shapes[0].shift[level + 1] & 511);
		assert_goes(va, TRANSLATE_READ, PAGE_AT + 0x789);
		*where &= ~UINT64_C(1);
		assert_again(va, TRANSLATE_READ);
		*where = 0;
		assert_again(va, TRANSLATE_READ);
	}
	*entry(RAM + 0x2000, va >> 12 & 511) = PAGE_AT | AF | BLOCK; /* reserved at level 3 */
	assert_again(va, TRANSLATE_READ);
}

static void memory_type(void **state)
{
	simple(0, AF | 3 << 2, 0);
	regime.mair = UINT64_C(0xff) << 24;
	assert_goes(0, TRANSLATE_READ, PAGE_AT);
	assert_false(got.device);
	regime.mair = ~regime.mair;
	assert_goes(0, TRANSLATE_READ, PAGE_AT);
	assert_true(got.device);
	regime.mair = UINT64_C(0x0c) << 24; /* Device-GRE */
	assert_goes(0, TRANSLATE_READ, PAGE_AT);
	assert_true(got.device);
}

/* Permissions. "rwx" at EL1, then at EL0, as the Arm ARM tabulates them. */

static const enum translate_access accesses[] = { TRANSLATE_READ, TRANSLATE_WRITE,
						  TRANSLATE_EXECUTE };

static void assert_rights(uint64_t va, const char *want)
{
	char is[8] = "---/---";

	regime.pstate = (regime.pstate & ~UINT64_C(0xf)) | EL1H;
	for (size_t i = 0; i < 3; i++)
		if (try(va, accesses[i]) == TRANSLATE_DONE)
			is[i] = "rwx"[i];
	regime.pstate &= ~UINT64_C(0xf);
	for (size_t i = 0; i < 3; i++)
		if (try(va, accesses[i]) == TRANSLATE_DONE)
			is[4 + i] = "rwx"[i];
	regime.pstate |= EL1H;
	assert_string_equal(is, want);
}

static void direct_permissions(void **state)
{
	const struct {
		uint64_t leaf;
		const char *rights, *wxn;
	} cases[] = {
		{ 0, "rwx/--x", "rw-/--x" },
		{ EL0, "rw-/rwx", "rw-/rw-" },
		{ RO, "r-x/--x", "r-x/--x" },
		{ RO | EL0, "r-x/r-x", "r-x/r-x" },
		{ PXN, "rw-/--x", "rw-/--x" },
		{ PXN | EL0, "rw-/rwx", "rw-/rw-" },
		{ PXN | RO, "r--/--x", "r--/--x" },
		{ PXN | RO | EL0, "r--/r-x", "r--/r-x" },
		{ UXN, "rwx/---", "rw-/---" },
		{ UXN | EL0, "rw-/rw-", "rw-/rw-" },
		{ UXN | RO, "r-x/---", "r-x/---" },
		{ UXN | RO | EL0, "r-x/r--", "r-x/r--" },
		{ UXN | PXN, "rw-/---", "rw-/---" },
		{ UXN | PXN | EL0, "rw-/rw-", "rw-/rw-" },
		{ UXN | PXN | RO, "r--/---", "r--/---" },
		{ UXN | PXN | RO | EL0, "r--/r--", "r--/r--" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(NULL);
		simple(0, AF | cases[i].leaf, 0);
		assert_rights(0, cases[i].rights);
		regime.sctlr |= SCTLR_WXN;
		assert_rights(0, cases[i].wxn);
	}
}

static void permissions_of_tables(void **state)
{
	const struct {
		uint64_t table, leaf;
		const char *rights;
	} cases[] = {
		{ BIT(61), EL0, "rwx/--x" }, /* APTable[0]: not for EL0 */
		{ BIT(61), RO | EL0, "r-x/--x" },
		{ BIT(62), EL0, "r-x/r-x" }, /* APTable[1]: read-only */
		{ BIT(62), 0, "r-x/--x" },
		{ BIT(61) | BIT(62), EL0, "r-x/--x" },
		{ BIT(60), RO | EL0, "r-x/r--" }, /* UXNTable */
		{ BIT(59), RO | EL0, "r--/r-x" }, /* PXNTable */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int level = 0; level < 2; level++) {
			uint64_t root;

			begin(NULL);
			root = simple(0, AF | cases[i].leaf, 0);
			*entry(root + 0x1000 * level, 0) |= cases[i].table;
			assert_rights(0, cases[i].rights);
			/* HPD0 takes them away, HPD1 is of the other range. */
			regime.tcr |= BIT(42);
			assert_rights(0, cases[i].rights);
			regime.tcr |= BIT(41);
			assert_rights(0, cases[i].leaf & RO ? "r-x/r-x"
					 : cases[i].leaf    ? "rw-/rwx"
							    : "rwx/--x");
			regime.mmfr1 &= ~(UINT64_C(0xf) << 12); /* no FEAT_HPDS */
			assert_rights(0, cases[i].rights);
		}
}

static void privileged_access_never(void **state)
{
	const struct {
		uint64_t leaf;
		const char *rights, *epan;
	} cases[] = {
		{ UXN, "rwx/---", "rwx/---" },
		{ 0, "rwx/--x", "--x/--x" }, /* EL0 can execute only: PAN3 alone minds */
		{ EL0 | UXN, "---/rw-", "---/rw-" },
		{ RO | EL0, "--x/r-x", "--x/r-x" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(NULL);
		simple(0, AF | cases[i].leaf, 0);
		regime.pstate |= BIT(22);
		assert_rights(0, cases[i].rights);
		regime.sctlr |= SCTLR_EPAN;
		assert_rights(0, cases[i].epan);
		regime.mmfr1 = (MMFR1_ALL & ~(UINT64_C(0xf) << 20)) | 2 << 20;
		assert_rights(0, cases[i].rights);
	}
}

static void unprivileged_accesses(void **state)
{
	simple(0, AF | UXN, 0);
	assert_goes(0, TRANSLATE_READ, PAGE_AT);
	assert_int_equal(translate(&regime, &memory, 0, TRANSLATE_READ, true, &got),
			 TRANSLATE_AGAIN);
	regime.pstate |= BIT(23); /* UAO: LDTR is as LDR */
	assert_int_equal(translate(&regime, &memory, 0, TRANSLATE_READ, true, &got),
			 TRANSLATE_DONE);
	begin(NULL);
	simple(0, AF | EL0 | UXN, 0);
	regime.pstate |= BIT(22); /* PAN is nothing to LDTR */
	assert_again(0, TRANSLATE_READ);
	assert_int_equal(translate(&regime, &memory, 0, TRANSLATE_WRITE, true, &got),
			 TRANSLATE_DONE);
	/* At EL2 it makes a difference to the host of EL0 alone. */
	regime.pstate = EL2H;
	regime.kind = REGIME_EL20;
	regime.hcr = BIT(34) | BIT(27);
	*entry(RAM + 0x2000, 0) &= ~EL0;
	assert_int_equal(translate(&regime, &memory, 0, TRANSLATE_READ, true, &got),
			 TRANSLATE_AGAIN);
	regime.hcr = BIT(34);
	assert_int_equal(translate(&regime, &memory, 0, TRANSLATE_READ, true, &got),
			 TRANSLATE_DONE);
}

/* S1PIE: what each value of a field of PIR_EL1 and PIRE0_EL1 gives. */
static const char *const pi[16] = { "---", "r--", "--x", "r-x", "---", "rw-", "rw-", "rwx",
				    "r--", "r--", "r-x", "---", "rw-", "---", "rwx", "---" };

static void indirect_permissions(void **state)
{
	for (unsigned int index = 0; index < 16; index++)
		for (unsigned int el1 = 0; el1 < 16; el1++)
			for (unsigned int el0 = 0; el0 < 16; el0++) {
				char want[8];
				/* 6 is executable by itself, if not in the end. */
				const bool x = pi[el1][2] == 'x' || el1 == 6;
				const bool none = x && pi[el0][1] == 'w';

				begin(NULL);
				simple(0,
				       AF | (index & 1 ? EL0 : 0) | (index & 2 ? DBM : 0) |
					       (index & 4 ? PXN : 0) | (index & 8 ? UXN : 0) | RO,
				       UINT64_C(0xf) << 59);
				regime.tcr2 = BIT(1);
				regime.sctlr |= SCTLR_WXN; /* nothing to PIE */
				regime.pir = (uint64_t)el1 << 4 * index;
				regime.pire0 = (uint64_t)el0 << 4 * index;
				snprintf(want, sizeof(want), "%s/%s", none ? "---" : pi[el1],
					 none ? "---" : pi[el0]);
				assert_rights(0, want);
			}
}

static void indirect_permissions_imply_epan(void **state)
{
	simple(0, AF, 0);
	regime.tcr2 = BIT(1);
	regime.pir = 5;
	regime.pire0 = 2;
	assert_rights(0, "rw-/--x");
	regime.pstate |= BIT(22);
	assert_rights(0, "---/--x");
}

static void overlays(void **state)
{
	static const char *const overlay[16] = { "---", "r--", "--x", "r-x", "-w-", "rw-",
						 "-wx", "rwx", "---", "---", "---", "---",
						 "---", "---", "---", "---" };

	for (unsigned int value = 0; value < 16; value++)
		for (unsigned int index = 0; index < 8; index++) {
			char want[8];

			begin(NULL);
			simple(0, AF | (uint64_t)index << 60, UINT64_C(0xf) << 59);
			regime.tcr2 = BIT(3); /* POE: EL1 */
			regime.por = (uint64_t)value << 4 * index;
			snprintf(want, sizeof(want), "%s/--x", overlay[value]);
			assert_rights(0, want);
			regime.por_el0 = regime.por;
			regime.tcr2 = BIT(2); /* E0POE */
			snprintf(want, sizeof(want), "rwx/--%c", overlay[value][2]);
			assert_rights(0, want);
		}

	/* Over indirect ones, but not from 8 on. */
	for (unsigned int value = 0; value < 16; value++) {
		begin(NULL);
		simple(0, AF, 0);
		regime.tcr2 = BIT(1) | BIT(2) | BIT(3);
		regime.pir = value;
		assert_rights(0, value < 8				      ? "---/---"
				 : pi[value][1] == 'w' && pi[value][2] == 'x' ? "rwx/---"
				 : pi[value][1] == 'w'			      ? "rw-/---"
				 : pi[value][2] == 'x'			      ? "r-x/---"
				 : pi[value][0] == 'r'			      ? "r--/---"
									      : "---/---");
	}
	/* Writable and executable (6): the overlay decides which of the two it is. */
	begin(NULL);
	simple(0, AF, 0);
	regime.tcr2 = BIT(1) | BIT(3);
	regime.pir = 6;
	regime.por = 7;
	assert_rights(0, "r-x/---");
	regime.por = 5;
	assert_rights(0, "rw-/---");
}

/* Hostile tables. */

static void tables_that_loop_end(void **state)
{
	/* Every entry points at its own table; at level 3 that is a page. */
	for (size_t i = 0; i < 512; i++)
		*entry(RAM, i) = RAM | AF | TABLE;
	use(&shapes[0], 48, false, RAM, IPS(5));
	assert_goes(0x123456789abc, TRANSLATE_READ, RAM + 0xabc);
	use(&shapes[0], 52, false, RAM, IPS(5) | DS);
	assert_goes(0x123456789abc, TRANSLATE_READ, RAM + 0xabc);
}

static void tables_outside_ram_fail(void **state)
{
	const uint64_t outside[] = { 0, RAM - 0x1000, RAM + SIZE, BIT(47) };

	for (size_t i = 0; i < ARRAY_SIZE(outside); i++)
		for (int level = 0; level < 2; level++) {
			begin(NULL);
			simple(0, AF, 0);
			*entry(RAM + 0x1000 * level, 0) = outside[i] | TABLE;
			assert_fail(0, TRANSLATE_READ);
			use(&shapes[0], 39, false, outside[i], IPS(5));
			assert_fail(0, TRANSLATE_READ);
		}
	/* The last table of RAM, to its last entry. */
	begin(NULL);
	next_table = RAM + SIZE;
	*entry(RAM + SIZE - 0x1000, 511) = AF | BLOCK;
	use(&shapes[0], 39, false, RAM + SIZE - 0x1000, IPS(5));
	assert_goes(BIT(39) - 1, TRANSLATE_READ, BIT(30) - 1);
	assert_int_equal(got.size, 1);
}

static void random_registers_and_tables(void **state)
{
	uint64_t seed = 3;
	unsigned int results[3] = { 0 };

	next_table = RAM + SIZE;
	for (unsigned int round = 0; round < 20000; round++) {
		if (round % 1000 == 0)
			for (size_t i = 0; i < SIZE / 8; i++)
				*entry(RAM, i) = (chance(&seed) & 0xff0000000000fffcu) |
						 (RAM + (chance(&seed) % (SIZE / 4096)) * 4096) | 3;
		regime = (struct regime){
			.kind = chance(&seed) % 3,
			.pstate = chance(&seed) & 0xc0000d,
			.sctlr = chance(&seed) | SCTLR_M,
			.tcr = chance(&seed),
			.ttbr = { RAM + chance(&seed) % SIZE, RAM + chance(&seed) % SIZE },
			.stage2 = round % 2,
			.vttbr = RAM + chance(&seed) % SIZE,
			.vtcr = chance(&seed) & UINT64_C(0x3ffffffff),
			.mmfr0 = MMFR0_ALL,
			.mmfr1 = MMFR1_ALL,
			.mmfr2 = MMFR2_ALL,
		};
		results[try((int64_t)chance(&seed) >> chance(&seed) % 64, chance(&seed) % 3)]++;
	}
	for (size_t i = 0; i < 3; i++)
		assert_true(results[i] > 50);
}

/* Without stage 1. */

static void no_mmu(void **state)
{
	regime.sctlr = SCTLR_WXN;
	regime.mmfr0 = (MMFR0_ALL & ~UINT64_C(7)) | 2; /* 40 bits */
	assert_goes(0x123456789a, TRANSLATE_WRITE, 0x123456789a);
	assert_int_equal(got.size, BIT(40) - 0x123456789a);
	assert_true(got.device);
	assert_goes(BIT(40) - 4, TRANSLATE_EXECUTE, BIT(40) - 4);
	assert_again(BIT(40), TRANSLATE_READ);
	assert_again(BIT(63) | 8, TRANSLATE_READ);
	regime.tcr = BIT(37);
	assert_goes(BIT(63) | 8, TRANSLATE_READ, 8);
	assert_again(BIT(55) | 8, TRANSLATE_READ);
}

/* EL2. */

static void regime_of_el2_alone(void **state)
{
	const struct {
		uint64_t table, leaf;
		const char *rights, *wxn;
	} cases[] = {
		{ 0, EL0, "rwx", "rw-" },	{ 0, 0, "rwx", "rw-" },
		{ 0, EL0 | PXN, "rwx", "rw-" }, { 0, EL0 | RO, "r-x", "r-x" },
		{ 0, EL0 | UXN, "rw-", "rw-" }, { 0, EL0 | RO | UXN, "r--", "r--" },
		{ BIT(62), EL0, "r-x", "r-x" }, { BIT(61), EL0, "rwx", "rw-" },
		{ BIT(60), EL0, "rw-", "rw-" }, { BIT(59), EL0, "rwx", "rw-" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (int wxn = 0; wxn < 2; wxn++) {
			const char *want = wxn ? cases[i].wxn : cases[i].rights;

			begin(NULL);
			simple(0, AF | cases[i].leaf, cases[i].table);
			regime.kind = REGIME_EL2;
			regime.pstate = EL2H | BIT(22); /* PAN is nothing here */
			regime.tcr = 25 | 5 << 16; /* PS */
			regime.sctlr |= wxn ? SCTLR_WXN : 0;
			for (size_t j = 0; j < 3; j++)
				assert_int_equal(try(0, accesses[j]) == TRANSLATE_DONE,
						 want[j] != '-');
			regime.tcr |= BIT(24); /* HPD */
			assert_int_equal(try(0, TRANSLATE_WRITE) == TRANSLATE_DONE,
					 !(cases[i].leaf & RO));
		}
	/* One range: bit 55 is an address bit like others. */
	assert_again(BIT(55), TRANSLATE_READ);
	assert_again(~UINT64_C(0), TRANSLATE_READ);
	regime.tcr |= BIT(20); /* TBI */
	assert_goes(BIT(63), TRANSLATE_READ, PAGE_AT);
	assert_again(BIT(55), TRANSLATE_READ);
	regime.tcr |= BIT(29); /* TBID */
	assert_again(BIT(63), TRANSLATE_EXECUTE);
	/* Access flags by hardware; 52 bits. */
	*entry(RAM + 0x2000, 0) &= ~AF;
	assert_again(0, TRANSLATE_READ);
	regime.tcr |= BIT(21);
	assert_goes(0, TRANSLATE_READ, PAGE_AT);
	regime.tcr |= BIT(32);
	*entry(RAM + 0x2000, 0) |= BIT(49) | BIT(9);
	regime.tcr = (regime.tcr & ~(UINT64_C(7) << 16)) | 6 << 16;
	assert_goes(0, TRANSLATE_READ, PAGE_AT | BIT(51) | BIT(49));
}

/* Stage 2. */

#define VTCR(t0sz, sl0, tg0, ps) ((t0sz) | (sl0) << 6 | (tg0) << 14 | (ps) << 16)

static void use_stage2(uint64_t root, uint64_t vtcr)
{
	regime.stage2 = true;
	regime.hcr = BIT(0);
	regime.vttbr = (root & ~(UINT64_C(0xf) << 48)) | (root >> 48 & 0xf) << 2;
	regime.vtcr = vtcr;
}

/* What each value of SL0 begins with, by granule; with SL2, and DS where it needs it. */
static const struct {
	unsigned int shape, sl0, sl2;
	bool ds;
	int level;
} starts[] = {
	{ 0, 0, 0, false, 2 }, { 0, 1, 0, false, 1 }, { 0, 2, 0, false, 0 }, { 0, 3, 0, false, 3 },
	{ 0, 0, 0, true, 2 },  { 0, 2, 0, true, 0 },  { 0, 0, 1, true, -1 }, { 1, 0, 0, false, 3 },
	{ 1, 1, 0, false, 2 }, { 1, 2, 0, false, 1 }, { 1, 3, 0, true, 0 },  { 2, 0, 0, false, 3 },
	{ 2, 1, 0, false, 2 }, { 2, 2, 0, false, 1 },
};

static void second_stage_of_every_size(void **state)
{
	uint64_t seed = 5;
	unsigned int walks = 0;

	for (size_t i = 0; i < ARRAY_SIZE(starts); i++)
		for (unsigned int bits = 16; bits <= 52; bits++) {
			const struct shape *shape = &shapes[starts[i].shape];
			const unsigned int shift = shape->shift[starts[i].level + 1];
			const bool wide = starts[i].ds || shape->page_bits == 16;
			const bool fits = bits > shift && bits <= shift + shape->page_bits - 3 + 4;
			const uint64_t ipa = chance(&seed) % BIT(bits);
			const uint64_t output = chance(&seed) % BIT(wide ? 52 : 48) >> 16 << 16;
			uint64_t root;

			if (bits < shape->from[4] || (bits > 48 && !wide))
				continue;
			begin(NULL);
			regime.sctlr = 0; /* stage 1 is off */
			/* Outside RAM, where walking would fail. */
			root = fits ? make_path(shape, wide, starts[i].level, bits, ipa, 3,
						pack(output, shape, wide) | AF | S2_R | PAGE, 0)
				    : GIB(16);
			use_stage2(root, VTCR(64 - bits, starts[i].sl0, shape->tg0, 6) |
						 (starts[i].ds ? BIT(32) : 0) |
						 (starts[i].sl2 ? BIT(33) : 0));
			if (!fits) {
				assert_again(ipa, TRANSLATE_READ);
				continue;
			}
			assert_goes(ipa, TRANSLATE_READ, output + ipa % BIT(shape->page_bits));
			assert_int_equal(got.size,
					 BIT(shape->page_bits) - ipa % BIT(shape->page_bits));
			if (bits < 52)
				assert_again(ipa | BIT(bits), TRANSLATE_READ);
			walks++;
		}
	assert_in_range(walks, 150, 500);
}

static void second_stage_start_levels_that_are_reserved(void **state)
{
	uint64_t root = make_path(&shapes[0], false, 2, 30, 0, 3, AF | S2_R | PAGE, 0);

	regime.sctlr = 0;
	use_stage2(root, VTCR(34, 0, 0, 5));
	assert_goes(0, TRANSLATE_READ, 0);
	use_stage2(root, VTCR(34, 1, 0, 5) | BIT(32) | BIT(33));
	assert_again(0, TRANSLATE_READ);
	use_stage2(root, VTCR(34, 3, 2, 5));
	assert_again(0, TRANSLATE_READ);
	use_stage2(root, VTCR(34, 3, 1, 5));
	assert_again(0, TRANSLATE_READ);
	use_stage2(root, VTCR(34, 0, 3, 5)); /* TG0 reserved */
	assert_fail(0, TRANSLATE_READ);
	/* Outside RAM: walking would fail. */
	use_stage2(GIB(16), VTCR(39, 3, 0, 5));
	assert_fail(0, TRANSLATE_READ);
	regime.mmfr2 &= ~(UINT64_C(0xf) << 28); /* level 3 is of FEAT_TTST */
	assert_again(0, TRANSLATE_READ);
	regime.mmfr2 = MMFR2_ALL;
	use_stage2(GIB(16), VTCR(23, 1, 0, 5));
	assert_fail(0, TRANSLATE_READ);
	regime.mmfr0 = (MMFR0_ALL & ~UINT64_C(7)) | 2; /* no addresses of 41 bits */
	assert_again(0, TRANSLATE_READ);
	regime.mmfr0 = MMFR0_ALL;
	/* Level 0 needs 44 bits of physical addresses. */
	root = make_path(&shapes[0], false, 0, 40, 0, 3, AF | S2_R | PAGE, 0);
	use_stage2(root, VTCR(24, 2, 0, 2));
	assert_goes(0, TRANSLATE_READ, 0);
	regime.mmfr0 = (MMFR0_ALL & ~UINT64_C(7)) | 3;
	assert_again(0, TRANSLATE_READ);
}

static void second_stage_permissions(void **state)
{
	const struct {
		uint64_t leaf;
		const char *rights;
	} cases[] = {
		{ 0, "--x/--x" },
		{ S2_R, "r-x/r-x" },
		{ S2_W, "-wx/-wx" },
		{ S2_R | S2_W, "rwx/rwx" },
		{ S2_R | S2_XN1, "r--/r--" },
		{ S2_R | S2_XN0, "r--/r-x" }, /* 01: at EL0 alone */
		{ S2_R | S2_XN1 | S2_XN0, "r-x/r--" }, /* 11: at EL1 alone */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t root;

		begin(NULL);
		regime.sctlr = 0;
		root = make_path(&shapes[0], false, 1, 39, 0, 3, AF | cases[i].leaf | PAGE, 0);
		use_stage2(root, VTCR(25, 1, 0, 5));
		assert_rights(0, cases[i].rights);
	}
	regime.mmfr1 &= ~(UINT64_C(0xf) << 28); /* no FEAT_XNX: XN[1] alone */
	assert_rights(0, "r--/r--");
	*entry(RAM + 0x2000, 0) &= ~AF;
	assert_again(0, TRANSLATE_READ);
	regime.vtcr |= BIT(21); /* HA */
	assert_goes(0, TRANSLATE_READ, 0);
	regime.mmfr1 &= ~UINT64_C(0xf); /* HA is RES0 without FEAT_HAFDBS */
	assert_again(0, TRANSLATE_READ);
}

static void second_stage_has_lpa2_of_its_own(void **state)
{
	uint64_t root = make_path(&shapes[0], false, 1, 39, 0, 3, AF | BIT(9) | S2_R | PAGE, 0);

	regime.sctlr = 0;
	use_stage2(root, VTCR(25, 1, 0, 6) | BIT(32));
	assert_goes(0, TRANSLATE_READ, BIT(51));
	regime.mmfr0 ^= UINT64_C(1) << 40; /* TGran4_2: 4 KiB, but not of 52 bits */
	assert_goes(0, TRANSLATE_READ, 0);
}

/* Stage-1 tables at an IPA that stage 2 puts somewhere else. */
static void both_stages(void **state)
{
	const uint64_t ipa = GIB(100);
	uint64_t root, *leaf;

	root = simple(0x123456789, AF | EL0, 0);
	assert_int_equal(root, RAM);
	/* Tables link to each other by IPA. */
	for (unsigned int level = 0; level < 2; level++)
		for (size_t i = 0; i < 512; i++)
			if (*entry(RAM + 0x1000 * level, i) != 0)
				*entry(RAM + 0x1000 * level, i) += ipa - RAM;
	regime.ttbr[0] += ipa - RAM;
	next_table = RAM + MIB(1);
	root = make_path(&shapes[0], false, 1, 39, ipa, 2, RAM | AF | S2_R | BLOCK, 0);
	use_stage2(root, VTCR(25, 1, 0, 5));
	/* What the page is at has no second stage yet. */
	assert_again(0x123456789, TRANSLATE_READ);

	leaf = entry(root, PAGE_AT >> 30);
	*leaf = GIB(3) | AF | S2_R | BLOCK;
	assert_goes(0x123456789, TRANSLATE_READ, GIB(3) + (PAGE_AT & (GIB(1) - 1)) + 0x789);
	assert_int_equal(got.size, 0x1000 - 0x789);
	assert_again(0x123456789, TRANSLATE_WRITE);

	/* An IPA that has more bits than stage 2. */
	regime.ttbr[0] += BIT(40);
	assert_again(0x123456789, TRANSLATE_READ);
	regime.ttbr[0] -= BIT(40);

	/* Tables have to be readable, and that is all. */
	leaf = entry(root + 0x1000, 0);
	*leaf &= ~S2_R;
	assert_again(0x123456789, TRANSLATE_READ);
	*leaf = RAM | AF | S2_R | S2_XN1 | BLOCK;
	assert_goes(0x123456789, TRANSLATE_READ, GIB(3) + (PAGE_AT & (GIB(1) - 1)) + 0x789);
	*leaf = GIB(4) | AF | S2_R | BLOCK;
	assert_fail(0x123456789, TRANSLATE_READ);
	*leaf = 0;
	assert_again(0x123456789, TRANSLATE_READ);
	/* The tables' own byte order is the hypervisor's. */
	*leaf = RAM | AF | S2_R | BLOCK;
	regime.sctlr_el2 = SCTLR_EE;
	assert_again(0x123456789, TRANSLATE_READ);
}

/* What is refused. */

static void refused(void **state)
{
	simple(0, AF, 0);
	assert_goes(0, TRANSLATE_READ, PAGE_AT);
	regime.pstate = BIT(4) | 3; /* AArch32 SVC */
	assert_fail(0, TRANSLATE_READ);
	regime.pstate = EL1H;
	regime.tcr2 = BIT(5); /* D128 */
	assert_fail(0, TRANSLATE_READ);
	regime.tcr2 = 0;
	regime.hcr = BIT(42) | BIT(43); /* NV, NV1 */
	assert_fail(0, TRANSLATE_READ);
	regime.hcr = BIT(42);
	assert_goes(0, TRANSLATE_READ, PAGE_AT);
	for (unsigned int i = 0; i < 2; i++) {
		use_stage2(RAM, VTCR(25, 1, 0, 5) | (i ? BIT(38) : BIT(36))); /* D128, S2PIE */
		assert_fail(0, TRANSLATE_READ);
	}
}

/* Registers of a vCPU. */

#define REG(op1, crn, crm, op2) ARM64_SYS_REG(3, op1, crn, crm, op2)
#define PSTATE			KVM_CORE_REG(regs.pstate)
#define PC			KVM_CORE_REG(regs.pc)

/* Each register has a value of its own. */
static void set_stage1(unsigned int op1, uint64_t mark)
{
	set_register(REG(op1, 1, 0, 0), mark + 1);
	set_register(REG(op1, 2, 0, 0), mark + 2);
	set_register(REG(op1, 2, 0, 1), mark + 3);
	set_register(REG(op1, 2, 0, 2), mark + 4);
	set_register(REG(op1, 10, 2, 0), mark + 5);
	set_register(REG(op1, 2, 0, 3), mark + 6);
	set_register(REG(op1, 10, 2, 2), mark + 7);
	set_register(REG(op1, 10, 2, 3), mark + 8);
	set_register(REG(op1, 10, 2, 4), mark + 9);
}

static void assert_stage1(uint64_t mark, uint64_t tcr2)
{
	assert_int_equal(regime_read(&regime, 7), 0);
	assert_int_equal(regime.sctlr, mark + 1);
	assert_int_equal(regime.ttbr[0], mark + 2);
	assert_int_equal(regime.ttbr[1], mark + 3);
	assert_int_equal(regime.tcr, mark + 4);
	assert_int_equal(regime.mair, mark + 5);
	assert_int_equal(regime.tcr2, tcr2);
	assert_int_equal(regime.pire0, mark + 7);
	assert_int_equal(regime.pir, mark + 8);
	assert_int_equal(regime.por, mark + 9);
}

static void registers_of_a_cpu_without_el2(void **state)
{
	set_register(PC, 0x1234);
	set_register(PSTATE, EL1H | BIT(22));
	set_stage1(0, 0x100);
	for (unsigned int n = 0; n < 4; n++)
		set_register(REG(0, 0, 7, n), 0x200 + n);
	set_register(REG(3, 10, 2, 4), 0x300);
	memset(&regime, 0xff, sizeof(regime));
	assert_stage1(0x100, 0x106);
	assert_int_equal(regime.kind, REGIME_EL10);
	assert_int_equal(regime.pc, 0x1234);
	assert_int_equal(regime.pstate, EL1H | BIT(22));
	assert_int_equal(regime.mmfr0, 0x200);
	assert_int_equal(regime.mmfr1, 0x201);
	assert_int_equal(regime.mmfr2, 0x202);
	assert_int_equal(regime.mmfr3, 0x203);
	assert_int_equal(regime.por_el0, 0x300);
	assert_int_equal(regime.hcr, 0);
	assert_false(regime.stage2);
}

static void registers_that_are_not_there_are_zero(void **state)
{
	set_register(PC, 0);
	set_register(PSTATE, EL1H);
	memset(&regime, 0xff, sizeof(regime));
	assert_int_equal(regime_read(&regime, 7), 0);
	assert_int_equal(regime.tcr2 | regime.pir | regime.pire0 | regime.por | regime.hcr, 0);
	get_error = -EINVAL;
	assert_int_equal(regime_read(&regime, 7), -EINVAL);
}

static void regime_by_exception_level(void **state)
{
	const uint64_t e2h = BIT(34), tge = BIT(27), vm = BIT(0), dc = BIT(12), tcr2en = BIT(14);
	const struct {
		uint64_t pstate, hcr, hcrx;
		enum regime_kind kind;
		bool stage2, tcr2;
	} cases[] = {
		{ EL2H, 0, 0, REGIME_EL2, false, true },
		{ EL2H, vm, 0, REGIME_EL2, false, true },
		{ EL2H, e2h, 0, REGIME_EL20, false, true },
		{ EL2H, e2h | tge | vm, 0, REGIME_EL20, false, true },
		{ EL0T, e2h | tge | vm, 0, REGIME_EL20, false, true },
		{ EL0T, e2h | vm, tcr2en, REGIME_EL10, true, true },
		{ EL1H, e2h | vm, 0, REGIME_EL10, true, false },
		{ EL1H, vm, tcr2en, REGIME_EL10, true, true },
		{ EL1H, dc, tcr2en, REGIME_EL10, true, true },
		{ EL1H, 0, 0, REGIME_EL10, false, false },
		{ EL0T, tge, 0, REGIME_EL10, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const uint64_t mark = cases[i].kind == REGIME_EL10 ? 0x100 : 0x400;

		register_count = 0;
		set_register(PC, 0);
		set_register(PSTATE, cases[i].pstate);
		set_stage1(0, 0x100);
		set_stage1(4, 0x400);
		set_register(REG(4, 1, 1, 0), cases[i].hcr);
		set_register(REG(4, 1, 2, 2), cases[i].hcrx);
		set_register(REG(4, 2, 1, 0), 0x501);
		set_register(REG(4, 2, 1, 2), 0x502);
		assert_stage1(mark, cases[i].tcr2 ? mark + 6 : 0);
		assert_int_equal(regime.kind, cases[i].kind);
		assert_int_equal(regime.stage2, cases[i].stage2);
		assert_int_equal(regime.sctlr_el2, 0x401);
		assert_int_equal(regime.vttbr, 0x501);
		assert_int_equal(regime.vtcr, 0x502);
	}
}

static void stage1_is_off_by_the_hypervisor(void **state)
{
	simple(0, AF, 0);
	regime.hcr = BIT(27); /* TGE: a host at EL0 */
	regime.pstate = EL0T;
	assert_goes(0x1234, TRANSLATE_READ, 0x1234);
	regime.hcr = BIT(12); /* DC */
	assert_goes(0x1234, TRANSLATE_READ, 0x1234);
	assert_false(got.device);
	/* Neither is anything to the EL2&0 regime. */
	regime.kind = REGIME_EL20;
	regime.pstate = EL2H;
	regime.hcr = BIT(27) | BIT(34);
	assert_goes(0x234, TRANSLATE_READ, PAGE_AT + 0x234);
}

/* The instruction. */

static void set_fetch(uint64_t pc, uint64_t leaf)
{
	begin(NULL);
	simple(pc, leaf, 0);
	set_register(PC, pc);
	set_register(PSTATE, EL1H);
	set_register(REG(0, 1, 0, 0), regime.sctlr);
	set_register(REG(0, 2, 0, 0), regime.ttbr[0]);
	set_register(REG(0, 2, 0, 2), regime.tcr);
	set_register(REG(0, 0, 7, 0), MMFR0_ALL);
	memcpy(memory.host + MIB(8) + 0x788, "\x78\x56\x34\x12", 4);
}

/* By what KVM says of the vCPU's registers. */
static enum translate_result fetch(uint32_t *insn)
{
	struct regime read;

	if (regime_read(&read, 7) < 0)
		return TRANSLATE_FAIL;
	return translate_fetch(&read, &memory, insn);
}

static void fetches(void **state)
{
	const uint64_t page = RAM + MIB(8);
	uint32_t insn = 0;

	set_fetch(0x123456788, page | AF | PAGE);
	*entry(RAM + 0x2000, 0x123456788 >> 12 & 511) = page | AF | PAGE;
	assert_int_equal(fetch(&insn), TRANSLATE_DONE);
	assert_int_equal(insn, 0x12345678);
	registers[2].value |= SCTLR_EE; /* of data and tables, not of instructions */
	for (size_t i = 0; i < 3 * 512; i++)
		*entry(RAM, i) = htobe64(*entry(RAM, i));
	insn = 0;
	assert_int_equal(fetch(&insn), TRANSLATE_DONE);
	assert_int_equal(insn, 0x12345678);
}

static void fetches_that_cannot_be(void **state)
{
	const uint64_t pc = 0x123456788;
	uint64_t *leaf;
	uint32_t insn;

	set_fetch(pc, AF);
	leaf = entry(RAM + 0x2000, pc >> 12 & 511);
	/* PAGE_AT is not in RAM. */
	assert_int_equal(fetch(&insn), TRANSLATE_FAIL);
	*leaf = (RAM + MIB(8)) | AF | PXN | PAGE;
	assert_int_equal(fetch(&insn), TRANSLATE_AGAIN);
	*leaf = 0;
	assert_int_equal(fetch(&insn), TRANSLATE_AGAIN);
	*leaf = (RAM + MIB(8)) | AF | PAGE;
	assert_int_equal(fetch(&insn), TRANSLATE_DONE);
	registers[0].value |= 2;
	assert_int_equal(fetch(&insn), TRANSLATE_AGAIN);
	get_error = -EINVAL;
	assert_int_equal(fetch(&insn), TRANSLATE_FAIL);
}

#define test(function) cmocka_unit_test_setup(function, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(first_levels_are_those_of_the_manual),
		test(every_granule_size_and_level),
		test(sizes_beyond_what_the_cpu_has_fault),
		test(addresses_outside_both_ranges_fault),
		test(top_byte_is_ignored_when_told_so),
		test(walks_can_be_disabled),
		test(output_addresses_have_the_bits_they_may),
		test(granules_that_are_not_there_are_refused),
		test(access_flag),
		test(bits_that_change_nothing),
		test(invalid_descriptors_fault),
		test(memory_type),
		test(direct_permissions),
		test(permissions_of_tables),
		test(privileged_access_never),
		test(unprivileged_accesses),
		test(indirect_permissions),
		test(overlays),
		test(tables_that_loop_end),
		test(tables_outside_ram_fail),
		test(random_registers_and_tables),
		test(no_mmu),
		test(regime_of_el2_alone),
		test(second_stage_of_every_size),
		test(second_stage_start_levels_that_are_reserved),
		test(second_stage_permissions),
		test(second_stage_has_lpa2_of_its_own),
		test(wide_addresses_of_tables),
		test(indirect_permissions_imply_epan),
		test(both_stages),
		test(refused),
		test(registers_of_a_cpu_without_el2),
		test(registers_that_are_not_there_are_zero),
		test(regime_by_exception_level),
		test(stage1_is_off_by_the_hypervisor),
		test(fetches),
		test(fetches_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, allocate, release);
}
