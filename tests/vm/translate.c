// SPDX-License-Identifier: GPL-2.0-only
/*
 * translate() against the CPU. A tiny virtual machine: tables, registers and addresses are made up
 * here, a guest (stub.S) asks the CPU by AT and by executing, and translate() is asked the same.
 * Where the CPU has no instruction for it, KVM answers in its place, which has a walker of its own.
 * That walker is asked for all of it again where it can be asked, by KVM_TRANSLATE (lookup()), and
 * in the mode "nested" it alone: there is a second stage of random tables, and nothing runs.
 *
 * Usage: translate MODE ROUNDS [SEED], MODE one of those in modes[]. Exit status: 0 all agree, 1
 * they do not, 77 the host cannot. The last line counts what was compared.
 *
 * The guest runs in the range that is not tested, in tables of its own, or, where there is one
 * range only, in the tested tables.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host/kvm.h"
#include "mm/memory.h"
#include "tables.h"
#include "translate/lookup.h"
#include "translate/translate.h"
#include "util.h"

#define BIT(n) (UINT64_C(1) << (n))

/* Physical addresses. */
#define RAM	 GIB(1)
#define RAM_SIZE MIB(192)
#define CODE	 RAM
#define FIXED	 (RAM + MIB(1)) /* the guest's own tables */
#define STAGE2	 (RAM + MIB(3))
#define MAILBOX	 (RAM + MIB(2))
#define TABLES	 (RAM + MIB(4))
#define TARGETS	 (RAM + MIB(128)) /* full of RET */
#define END	 (RAM + RAM_SIZE)
#define DEVICE	 UINT64_C(0x09000000)

#define IPA_BITS 40

#define RET 0xd65f03c0

#define PSTATE_DAIF 0x3c0
#define PSTATE_PAN  BIT(22)

enum kind { READ1, WRITE1, READ0, WRITE0, EXECUTE1, EXECUTE0, READ1_PAN, WRITE1_PAN, KINDS };

/* In the mailbox, after the number of them and the address of the first. */
struct query {
	uint64_t va, kind;
	uint64_t par, esr, far;
};

#define QUERIES 96

enum mode_id { MODE_EL1, MODE_EL20, MODE_EL2, MODE_NESTED };

static const struct mode {
	const char *name;
	enum mode_id id;
	unsigned int el; /* that the guest runs at */
	unsigned int op1; /* of the registers of that level */
} modes[] = {
	{ "el1", MODE_EL1, 1, 0 },
	{ "el2-e2h", MODE_EL20, 2, 4 },
	{ "el2", MODE_EL2, 2, 4 },
	{ "nested", MODE_NESTED, 1, 0 },
};

extern const uint8_t stub_el1[], stub_el1_end[], stub_el2[], stub_el2_end[];

static const struct mode *mode;
static uint64_t seed;
static struct memory memory;
static int vcpu;
static bool by_kvm; /* KVM_TRANSLATE is there */
static unsigned int ipa_limit; /* bits that KVM can have in an IPA */
static uint64_t mmfr0, mmfr1, mmfr2;

/* One round: what is tested. */
static struct {
	const struct shape *shape;
	unsigned int input_bits;
	bool upper, wide, lpa2, big_endian, flat;
	uint64_t root;
	uint64_t next_table;
	uint64_t sctlr, tcr, mair;
	uint64_t vas[16];
	struct query query[QUERIES];
	unsigned int count;
} round;

static struct {
	unsigned int wide; /* rounds with addresses of 52 bits */
	unsigned int done, again, fail, executed, not_executed;
	unsigned int by_kvm;
} counts;

static void __attribute__((noreturn)) die(int status, const char *what)
{
	printf("translate %s: %s\n", mode->name, what);
	exit(status);
}

static uint64_t chance(uint64_t bound)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (seed * UINT64_C(0x2545f4914f6cdd1d) >> 11) % bound;
}

static bool one_in(unsigned int n)
{
	return chance(n) == 0;
}

static uint64_t random_bits(void)
{
	return chance(BIT(32)) << 32 | chance(BIT(32));
}

/* Registers. */

#define REG(op1, crn, crm, op2) ARM64_SYS_REG(3, op1, crn, crm, op2)
#define CORE_X(n)		(KVM_CORE_REG(regs.regs[0]) + 2 * (n))

static void set(uint64_t id, uint64_t value)
{
	if (kvm_set_reg(vcpu, id, &value) < 0) {
		printf("register 0x%" PRIx64 ": %s\n", id, strerror(errno));
		die(1, "cannot be set");
	}
}

static uint64_t get(uint64_t id)
{
	uint64_t value;

	if (kvm_get_reg(vcpu, id, &value) < 0)
		die(1, "a register cannot be read");
	return value;
}

static unsigned int field(uint64_t value, unsigned int low)
{
	return value >> low & 0xf;
}

/* Tables of the tested range. */

static uint64_t *host(uint64_t gpa)
{
	uint64_t *at = memory_at(&memory, gpa, sizeof(*at));

	if (!at)
		die(1, "an address outside RAM in the test itself");
	return at;
}

static uint64_t swap(uint64_t value)
{
	return round.big_endian ? htobe64(value) : value;
}

static uint64_t new_table(void)
{
	const uint64_t size = BIT(round.shape->page_bits);
	uint64_t table = round.next_table;

	round.next_table += size;
	if (round.next_table > TARGETS)
		die(1, "too many tables");
	memset(host(table), 0, size);
	return table;
}

static unsigned int shift_at(int level)
{
	return round.shape->shift[level + 1];
}

/* Somewhere: mostly where RETs are, at times out of reach. */
static uint64_t random_output(void)
{
	if (one_in(6))
		return chance(BIT(round.wide ? 52 : 48)) >> chance(12) & ~UINT64_C(0xfff);
	return TARGETS + chance(END - TARGETS);
}

/* Attributes of leaves: all bits that are not of the address, nor of what may break the guest. */
static uint64_t random_leaf(void)
{
	uint64_t bits = random_bits() & (UINT64_C(0xffe) << 52 | 0xffc);

	bits &= ~(BIT(10) | BIT(4)); /* AF; AttrIndx[2], for MAIR has four */
	if (round.lpa2)
		bits &= ~UINT64_C(0x300);
	return bits | (one_in(8) ? 0 : BIT(10));
}

/* The CPU may have blocks there, but tell the guest that it has no FEAT_LPA. */
static bool has_doubtful_block(int level)
{
	return level == 1 && round.shape->page_bits == 16 && field(mmfr0, 0) < 6;
}

/*
 * No valid table: KVM and the CPU may not agree on what happens beyond the IPA space. Nor on a
 * contiguous bit whose entry is not where that can be.
 */
static uint64_t garbage(int level)
{
	uint64_t bits = random_bits() & ~BIT(52);

	if (one_in(2) || has_doubtful_block(level))
		return bits & ~UINT64_C(1);
	return level == 3 ? bits : bits & ~UINT64_C(2);
}

static uint64_t random_leaf_at(int level)
{
	const uint64_t size = BIT(shift_at(level));

	return pack(random_output() & ~(size - 1), round.shape, round.wide) | random_leaf() |
	       (level == 3 && !one_in(32) ? 3 : 1);
}

static uint64_t random_entry(int level)
{
	if (one_in(20))
		return garbage(level);
	if (level == 3 || (one_in(5) && !has_doubtful_block(level)))
		return random_leaf_at(level);
	if (one_in(48))
		return (chance(BIT(IPA_BITS)) & ~UINT64_C(0xffff)) | 3;
	return pack(new_table(), round.shape, round.wide) | 3 |
	       (one_in(3) ? random_bits() & UINT64_C(0x1f) << 59 : 0);
}

/* The entry for va in a table of that level. */
static uint64_t *entry(uint64_t table, int level, uint64_t va)
{
	unsigned int top = level == first_level(round.shape, round.input_bits)
				   ? round.input_bits
				   : shift_at(level - 1);

	return host(table + ((va & (BIT(top) - 1)) >> shift_at(level)) * 8);
}

/* Down the way of va, with new entries where there are none; page: what it ends in, 0: random. */
static void add_path(uint64_t va, uint64_t page)
{
	uint64_t table = round.root;

	for (int level = first_level(round.shape, round.input_bits);; level++) {
		uint64_t *where = entry(table, level, va);

		if (*where == 0 && page)
			*where = swap(level == 3 ? page : new_table() | 3);
		else if (*where == 0)
			*where = swap(random_entry(level));
		if (level == 3 || (swap(*where) & 3) != 3)
			return;
		table = swap(*where) & UINT64_C(0xfffffffff000);
		if (round.shape->page_bits == 16)
			table &= ~UINT64_C(0xffff);
		if (table < TABLES || table >= round.next_table ||
		    table % BIT(round.shape->page_bits) != 0)
			return;
	}
}

static uint64_t random_va(void)
{
	uint64_t va = random_bits();

	if (round.upper)
		va |= ~(BIT(round.input_bits) - 1);
	else
		va &= BIT(round.input_bits) - 1;
	return va;
}

/* The guest's own tables: 39 bits, 4 KiB granules, blocks of 2 MiB, identity but for the high bits.
 */

#define OWN_BLOCK (BIT(54) | BIT(10) | 1)

static void make_own_tables(void)
{
	const uint64_t share = round.lpa2 ? 0 : UINT64_C(3) << 8;

	memset(host(FIXED), 0, 3 * 4096);
	*host(FIXED) = swap((FIXED + 4096) | 3);
	*host(FIXED + 8) = swap((FIXED + 8192) | 3);
	*host(FIXED + 4096 + 8 * (DEVICE >> 21)) = swap(DEVICE | OWN_BLOCK | BIT(53) | 1 << 2);
	*host(FIXED + 8192) = swap(CODE | OWN_BLOCK | BIT(7) | share);
	*host(FIXED + 8192 + 8) = swap(MAILBOX | OWN_BLOCK | BIT(53) | share);
}

/* Where one range is all: pages of the guest within the tables that are tested. */
static void make_guest_pages(void)
{
	const uint64_t page = BIT(round.shape->page_bits) - 1;

	add_path(CODE, CODE | BIT(10) | BIT(7) | 3);
	add_path(CODE + 4096, ((CODE + 4096) & ~page) | BIT(10) | BIT(7) | 3);
	for (uint64_t at = 0; at < 2 + sizeof(round.query); at += 4096)
		add_path(MAILBOX + at, ((MAILBOX + at) & ~page) | BIT(54) | BIT(10) | 3);
	add_path(DEVICE, (DEVICE & ~page) | BIT(54) | BIT(10) | 1 << 2 | 3);
}

/* Stage 2: 39 bits, 4 KiB granules; mostly identity, here and there anything. */

static uint64_t stage2_leaf(uint64_t address, uint64_t size, bool page)
{
	uint64_t attributes = BIT(10) | UINT64_C(3) << 6 | UINT64_C(0xf) << 2 | 1;

	/* With TCR_ELx.HA all is writable: translate() does not look at who may set an access flag.
	 */
	if (one_in(12))
		attributes ^= BIT(6) << chance(round.tcr & BIT(39) ? 1 : 2);
	if (one_in(6))
		attributes ^= (random_bits() & 3) << 53;
	if (one_in(16))
		attributes ^= BIT(10);
	if (one_in(24))
		address = TARGETS + chance(END - TARGETS);
	if (one_in(32))
		attributes &= ~UINT64_C(1);
	return (address & ~(size - 1)) | attributes | (page ? 2 : 0);
}

static void make_stage2_pages(uint64_t table, uint64_t address)
{
	for (unsigned int i = 0; i < 512; i++)
		*host(table + i * 8) = stage2_leaf(address + i * 4096, 4096, true);
}

static void make_stage2(void)
{
	const uint64_t level2 = STAGE2 + 4096, level3 = STAGE2 + 8192;

	for (unsigned int i = 0; i < 512; i++) {
		*host(STAGE2 + i * 8) = one_in(4) ? stage2_leaf(GIB(i), GIB(1), false) : 0;
		*host(level2 + i * 8) = stage2_leaf(RAM + i * MIB(2), MIB(2), false);
	}
	*host(STAGE2 + 8) = level2 | 3;
	for (unsigned int i = 0; i < 16; i++) {
		const unsigned int block = chance(RAM_SIZE / MIB(2));

		make_stage2_pages(level3 + i * 4096, RAM + block * MIB(2));
		*host(level2 + block * 8) = (level3 + i * 4096) | 3;
	}
	set(REG(4, 2, 1, 0), STAGE2);
	/* T0SZ 25, SL0 1, PS 40 bits, and HA at times. */
	set(REG(4, 2, 1, 2), BIT(31) | (one_in(3) ? BIT(21) : 0) | 2 << 16 | 1 << 6 | 25);
}

/* Control registers. */

static bool has_granule(unsigned int page_bits, bool lpa2)
{
	unsigned int tgran = field(mmfr0, page_bits == 12 ? 28 : page_bits == 14 ? 20 : 24);

	if (page_bits == 14)
		return tgran >= (lpa2 ? 2 : 1);
	return tgran != 0xf && tgran >= lpa2;
}

static void choose_shape(void)
{
	do
		round.shape = &shapes[chance(3)];
	while (!has_granule(round.shape->page_bits, false));
}

static void choose_sizes(unsigned int *ips)
{
	const bool can_lpa2 =
		round.shape->page_bits < 16 && has_granule(round.shape->page_bits, true);
	const unsigned int pa_range = field(mmfr0, 0);
	const bool ttst = field(mmfr2, 28);
	unsigned int longest = 48, shortest = ttst ? round.shape->from[4] : 25;

	round.lpa2 = can_lpa2 && one_in(2);
	*ips = one_in(2) ? pa_range : chance(pa_range + 1);
	round.wide = round.lpa2 || (round.shape->page_bits == 16 && *ips == 6);
	if (round.lpa2 || (round.shape->page_bits == 16 && field(mmfr2, 16)))
		longest = 52;
	if (mode->id == MODE_EL2)
		shortest = 32;
	round.input_bits = shortest + chance(longest - shortest + 1);
}

static void choose_controls(void)
{
	unsigned int ips;
	uint64_t tcr;

	choose_shape();
	choose_sizes(&ips);
	round.upper = mode->id != MODE_EL2 && one_in(2);
	round.big_endian = field(mmfr0, 8) && one_in(4);
	round.sctlr = UINT64_C(0x30d00800) | BIT(12) | BIT(2) | 1 | (one_in(4) ? BIT(19) : 0) |
		      (round.big_endian ? BIT(25) : 0) |
		      (field(mmfr1, 20) >= 3 && one_in(2) ? BIT(57) : 0);
	/* Device memory in the odd ones. */
	round.mair = UINT64_C(0x044400ff);

	if (mode->id == MODE_EL2) {
		tcr = (64 - round.input_bits) | UINT64_C(0x35) << 8 | round.shape->tg0 << 14 |
		      ips << 16 | BIT(23) | BIT(31);
		/* Of TBI, HA, HPD and TBID, KVM passes on the first to what stands for TCR_EL2. */
		tcr |= random_bits() & BIT(20);
		round.tcr = tcr | (round.lpa2 ? BIT(32) : 0);
		return;
	}
	tcr = UINT64_C(0x35) << 8 | UINT64_C(0x35) << 24 | (uint64_t)ips << 32;
	tcr |= random_bits() & (UINT64_C(0xf) << 37 | BIT(41) | BIT(42) | BIT(51) | BIT(52));
	tcr &= one_in(3) ? ~UINT64_C(0) : ~BIT(39); /* HA */
	if (round.upper)
		tcr |= (64 - round.input_bits) << 16 | (uint64_t)round.shape->tg1 << 30 | 25 |
		       (one_in(16) ? BIT(23) : 0) | (one_in(8) ? BIT(56) : 0);
	else
		tcr |= (64 - round.input_bits) | (uint64_t)round.shape->tg0 << 14 | 25 << 16 |
		       UINT64_C(2) << 30 | (one_in(16) ? BIT(7) : 0) | (one_in(8) ? BIT(55) : 0);
	round.tcr = tcr | (round.lpa2 ? BIT(59) : 0);
}

/* Where the guest sees what is at gpa. */
static uint64_t own(uint64_t gpa)
{
	if (mode->id == MODE_EL2 || round.upper)
		return gpa;
	return gpa | UINT64_C(0xffffff8000000000);
}

static void set_controls(void)
{
	const unsigned int op1 = mode->op1;

	set(REG(op1, 1, 0, 0), round.sctlr);
	set(REG(op1, 2, 0, 2), round.tcr);
	set(REG(op1, 10, 2, 0), round.mair);
	set(REG(op1, 2, 0, round.upper), round.root);
	if (mode->id != MODE_EL2)
		set(REG(op1, 2, 0, !round.upper), FIXED);
}

/* Queries. */

static void ask(uint64_t va, enum kind kind)
{
	if (round.count < QUERIES)
		round.query[round.count++] = (struct query){ .va = va, .kind = kind };
}

static enum kind random_kind(void)
{
	static const enum kind kinds[] = { READ1,  READ1,  WRITE1,    READ0,
					   WRITE0, WRITE0, READ1_PAN, WRITE1_PAN };

	if (mode->id == MODE_EL2)
		return chance(2);
	if (mode->id == MODE_NESTED)
		return chance(KINDS);
	/* Where KVM stands in for the CPU, it leaves PSTATE.PAN out. */
	return kinds[chance(mode->id == MODE_EL1 ? ARRAY_SIZE(kinds) : 6)];
}

/* A known address, at times spoilt a little. */
static uint64_t query_va(void)
{
	uint64_t va = round.vas[chance(ARRAY_SIZE(round.vas))];

	if (one_in(2))
		va ^= chance(4096);
	if (one_in(8))
		va ^= BIT(chance(64));
	if (one_in(8))
		va ^= chance(256) << 56;
	if (one_in(32))
		va = random_va();
	/* Bit 55 would lead to the guest's own tables. */
	if (mode->id != MODE_EL2)
		va = round.upper ? va | BIT(55) : va & ~BIT(55);
	return va;
}

static void run_guest(struct kvm_run *run, const uint8_t *stub, const uint8_t *stub_end)
{
	uint64_t *mail = host(MAILBOX);
	int err;

	memcpy(host(CODE), stub, stub_end - stub);
	mail[0] = swap(round.count);
	mail[1] = swap(own(MAILBOX) + 16);
	for (size_t i = 0; i < round.count * sizeof(struct query) / 8; i++)
		mail[2 + i] = swap(((uint64_t *)round.query)[i]);

	set(KVM_CORE_REG(regs.pc), own(CODE));
	set(KVM_CORE_REG(regs.pstate), PSTATE_DAIF | mode->el << 2 | 1);
	set(CORE_X(20), own(MAILBOX));
	set(CORE_X(21), own(DEVICE));
	set(CORE_X(22), own(CODE) + 2048);
	err = kvm_run(vcpu);
	if (err < 0 || run->exit_reason != KVM_EXIT_MMIO || run->mmio.phys_addr != DEVICE) {
		printf("KVM_RUN: %d, exit %u, PC 0x%" PRIx64 "\n", err, run->exit_reason,
		       get(KVM_CORE_REG(regs.pc)));
		die(1, "the guest did not come to its end");
	}
	/* Only the next KVM_RUN is done with the store; it shall not do it to what is set until
	 * then. */
	run->immediate_exit = 1;
	kvm_run(vcpu);
	run->immediate_exit = 0;
	for (size_t i = 0; i < round.count * sizeof(struct query) / 8; i++)
		((uint64_t *)round.query)[i] = swap(mail[2 + i]);
}

/* Comparison. */

static const char *const result_names[] = { "done", "again", "fail" };

/* The descriptors on the way. */
static void show_path(uint64_t va)
{
	uint64_t table = round.root;

	for (int level = first_level(round.shape, round.input_bits); level <= 3; level++) {
		const uint64_t descriptor = swap(*entry(table, level, va));

		printf("level %d: 0x%016" PRIx64 "\n", level, descriptor);
		table = descriptor & UINT64_C(0xfffffffff000);
		if ((descriptor & 3) != 3 || table < TABLES || table >= round.next_table)
			break;
	}
}

static void complain(const struct query *query, enum translate_result result,
		     const struct translation *is)
{
	printf("VA 0x%" PRIx64 " kind %" PRIu64 ": translate says %s 0x%" PRIx64
	       ", the CPU PAR 0x%" PRIx64 " ESR 0x%" PRIx64 " FAR 0x%" PRIx64 "\n",
	       query->va, query->kind, result_names[result], is->gpa, query->par, query->esr,
	       query->far);
	printf("SCTLR 0x%" PRIx64 " TCR 0x%" PRIx64 " TTBR 0x%" PRIx64 " granule %u, %u bits%s%s\n",
	       round.sctlr, round.tcr, round.root, round.shape->page_bits, round.input_bits,
	       round.upper ? ", upper" : "", round.big_endian ? ", big-endian" : "");
	show_path(query->va);
	die(1, "they do not agree");
}

static const enum translate_access access_of[KINDS] = {
	[WRITE1] = TRANSLATE_WRITE,	[WRITE0] = TRANSLATE_WRITE,
	[WRITE1_PAN] = TRANSLATE_WRITE, [EXECUTE1] = TRANSLATE_EXECUTE,
	[EXECUTE0] = TRANSLATE_EXECUTE,
};

/* For KVM a stage 1 of 52 bits ends where no VM of the host can have anything. */
static bool beyond_kvm(enum translate_result result, const struct translation *is)
{
	if (!round.wide || ipa_limit == 52)
		return false;
	return result == TRANSLATE_FAIL || (result == TRANSLATE_DONE && is->gpa >> ipa_limit);
}

/* Has KVM agree on the same, for the vCPU in the same state. */
static void ask_kvm(const struct query *query, enum translate_result result,
		    const struct translation *is)
{
	const enum translate_access access = access_of[query->kind];
	struct translation kvms = { 0 };
	enum translate_result answer;
	struct lookup lookup_kvm;

	if (!by_kvm)
		return;
	if (lookup_begin(&lookup_kvm, vcpu, true, &memory) < 0)
		die(1, "lookup_begin() fails");
	answer = lookup(&lookup_kvm, query->va, access, false, &kvms);
	counts.by_kvm++;
	if (answer == TRANSLATE_AGAIN && beyond_kvm(result, is))
		return;
	if (answer == result &&
	    (answer != TRANSLATE_DONE ||
	     (kvms.gpa == is->gpa && kvms.device == is->device && kvms.size == is->size)))
		return;
	printf("KVM_TRANSLATE says %s 0x%" PRIx64 ", 0x%" PRIx64 " bytes%s\n", result_names[answer],
	       kvms.gpa, kvms.size, kvms.device ? ", device" : "");
	complain(query, result, is);
}

/* What the vCPU's registers say about an access of that kind. */
static enum translate_result ask_translate(const struct query *query, struct translation *is)
{
	const bool el0 = query->kind == READ0 || query->kind == WRITE0 || query->kind == EXECUTE0;
	const bool pan = query->kind == READ1_PAN || query->kind == WRITE1_PAN;
	enum translate_result result;
	struct regime regime;

	set(KVM_CORE_REG(regs.pstate),
	    PSTATE_DAIF | (el0 ? 0 : mode->el << 2 | 1) | (pan ? PSTATE_PAN : 0));
	if (regime_read(&regime, vcpu) < 0)
		die(1, "regime_read() fails");
	result = translate(&regime, &memory, query->va, access_of[query->kind], false, is);
	ask_kvm(query, result, is);
	return result;
}

#define PAR_F	 1
#define PAR_PA	 UINT64_C(0x000ffffffffff000)
#define PAR_ATTR 60

/* A synchronous external abort of the walk, from level -1 to 3: FST 0b010011 to 0b010111. */
static bool par_is_external(uint64_t par)
{
	const unsigned int fst = par >> 1 & 0x3f;

	return par & PAR_F && fst >= 0x13 && fst <= 0x17;
}

static void compare_at(const struct query *query)
{
	struct translation is = { 0 };
	enum translate_result result = ask_translate(query, &is);
	bool agree;

	if (query->esr || par_is_external(query->par)) {
		agree = result == TRANSLATE_FAIL;
		counts.fail++;
	} else if (query->par & PAR_F) {
		agree = result == TRANSLATE_AGAIN;
		counts.again++;
	} else {
		agree = result == TRANSLATE_DONE &&
			is.gpa == ((query->par & PAR_PA) | (query->va & 0xfff)) &&
			is.device == (query->par >> PAR_ATTR == 0);
		counts.done++;
	}
	if (!agree)
		complain(query, result, &is);
}

static void compare_execution(const struct query *query)
{
	struct translation is = { 0 };
	enum translate_result result = ask_translate(query, &is);
	/* From EL0 the RET leads to a page that EL0 may not execute, and that is where it aborts.
	 */
	const uint64_t back = own(CODE);
	const bool executed = query->kind == EXECUTE1 ? !query->esr : query->far - back < 4096;

	if (executed != (result == TRANSLATE_DONE) || result == TRANSLATE_FAIL)
		complain(query, result, &is);
	counts.executed += executed;
	counts.not_executed += !executed;
}

/* No CPU to compare with: translate() and KVM do it with each other. */
static void compare_nested(const struct query *query)
{
	struct translation is = { 0 };
	enum translate_result result = ask_translate(query, &is);

	counts.done += result == TRANSLATE_DONE;
	counts.again += result == TRANSLATE_AGAIN;
	counts.fail += result == TRANSLATE_FAIL;
}

/* Access flags and all else that should stay as it is. */
static uint64_t sum_of_tables(void)
{
	uint64_t sum = 0;

	for (uint64_t at = STAGE2; at < round.next_table; at += sizeof(uint64_t))
		sum = sum * 31 + *host(at);
	return sum;
}

/* Each place with RETs that reading found, executed. */
static unsigned int choose_trials(struct query *trials)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < round.count; i++) {
		const struct query *query = &round.query[i];
		const uint64_t pa = query->par & PAR_PA;

		if (query->kind == READ1 && !query->esr && !(query->par & PAR_F) && pa >= TARGETS &&
		    pa < END)
			trials[count++] = (struct query){ .va = query->va & ~UINT64_C(3) };
	}
	return count;
}

static void try_to_execute(struct kvm_run *run, const uint8_t *stub, const uint8_t *stub_end)
{
	struct query trials[QUERIES];
	const unsigned int count = choose_trials(trials);

	round.count = 0;
	for (unsigned int i = 0; i < count; i++)
		ask(trials[i].va, mode->id == MODE_EL2 || one_in(2) ? EXECUTE1 : EXECUTE0);
	if (round.count == 0)
		return;
	run_guest(run, stub, stub_end);
	for (unsigned int i = 0; i < round.count; i++)
		compare_execution(&round.query[i]);
}

static void one_round(struct kvm_run *run, const uint8_t *stub, const uint8_t *stub_end)
{
	uint64_t sum;

	round.next_table = TABLES;
	round.count = 0;
	choose_controls();
	round.root = new_table();
	if (mode->id == MODE_EL2)
		make_guest_pages();
	else
		make_own_tables();
	for (size_t i = 0; i < ARRAY_SIZE(round.vas); i++) {
		round.vas[i] = random_va();
		/* Some beside the last, so that they have tables in common. */
		if (i > 0 && one_in(2))
			round.vas[i] = round.vas[i - 1] ^ BIT(12 + chance(round.input_bits - 12));
		add_path(round.vas[i], 0);
	}
	set_controls();
	counts.wide += round.wide;
	while (round.count < QUERIES)
		ask(query_va(), random_kind());
	if (mode->id == MODE_NESTED) {
		make_stage2();
		sum = sum_of_tables();
		for (unsigned int i = 0; i < round.count; i++)
			compare_nested(&round.query[i]);
	} else {
		run_guest(run, stub, stub_end);
		sum = sum_of_tables();
		for (unsigned int i = 0; i < round.count; i++)
			compare_at(&round.query[i]);
	}
	if (sum_of_tables() != sum)
		die(1, "looking has changed the tables");
	if (mode->id != MODE_NESTED)
		try_to_execute(run, stub, stub_end);
}

/* The machine. */

/* Not to be used, but KVM wants one for a vCPU with EL2. */
static void make_gic(int vm)
{
	const uint64_t distributor = 0x08000000, redistributors = 0x080a0000;
	int gic = kvm_create_device(vm, KVM_DEV_TYPE_ARM_VGIC_V3);

	if (gic < 0 ||
	    kvm_set_attr(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST, &distributor) <
		    0 ||
	    kvm_set_attr(gic, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST,
			 &redistributors) < 0 ||
	    kvm_set_attr(gic, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL) < 0)
		die(77, "this host has no GICv3");
}

static struct kvm_run *make_vm(void)
{
	struct kvm_userspace_memory_region region = { .guest_phys_addr = RAM,
						      .memory_size = RAM_SIZE };
	struct kvm_vcpu_init init;
	struct kvm_run *run;
	int kvm = kvm_open(), vm, err;

	if (kvm < 0)
		die(77, "no /dev/kvm");
	vm = kvm_create_vm(kvm, IPA_BITS);
	if (vm < 0 || memory_create(&memory, RAM, RAM_SIZE, MEMORY_ANON, NULL) < 0)
		die(1, "no VM");
	region.userspace_addr = (uintptr_t)memory_at(&memory, RAM, RAM_SIZE);
	vcpu = kvm_set_memory_region(vm, &region) < 0 ? -1 : kvm_create_vcpu(vm, 0);
	if (vcpu < 0 || kvm_preferred_target(vm, &init) < 0)
		die(1, "no vCPU");
	by_kvm = lookup_enable(vm);
	ipa_limit = kvm_check(kvm, KVM_CAP_ARM_VM_IPA_SIZE);
	if (mode->id == MODE_NESTED && !by_kvm)
		die(77, "this host's KVM has no KVM_TRANSLATE");
	if (mode->id != MODE_EL1) {
		init.features[0] |= BIT(KVM_ARM_VCPU_HAS_EL2);
		if (mode->id == MODE_EL2)
			init.features[0] |= BIT(KVM_ARM_VCPU_HAS_EL2_E2H0);
		if (kvm_check(kvm, KVM_CAP_ARM_EL2) <= 0)
			die(77, "this host has no nested virtualization");
	}
	err = kvm_vcpu_init(vcpu, &init);
	if (err < 0)
		die(1, strerror(-err));
	make_gic(vm);
	run = mmap(NULL, kvm_run_size(kvm), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (run == MAP_FAILED)
		die(1, "no kvm_run");
	return run;
}

int main(int argc, char **argv)
{
	const uint8_t *stub = stub_el1, *stub_end = stub_el1_end;
	struct kvm_run *run;
	unsigned int rounds = argc > 2 ? atoi(argv[2]) : 0;

	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(modes); i++)
		if (strcmp(argv[1], modes[i].name) == 0)
			mode = &modes[i];
	if (!mode || rounds == 0)
		return 2;
	seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	run = make_vm();
	mmfr0 = get(REG(0, 0, 7, 0));
	mmfr1 = get(REG(0, 0, 7, 1));
	mmfr2 = get(REG(0, 0, 7, 2));
	for (uint64_t at = TARGETS; at < END; at += 4)
		*(uint32_t *)memory_at(&memory, at, 4) = htole32(RET);

	if (mode->id == MODE_EL20)
		set(REG(4, 1, 1, 0), BIT(34) | BIT(31) | BIT(27));
	if (mode->id == MODE_NESTED)
		set(REG(4, 1, 1, 0), BIT(34) | BIT(31) | 1);
	if (mode->id == MODE_EL2)
		stub = stub_el2, stub_end = stub_el2_end;
	for (unsigned int i = 0; i < rounds; i++)
		one_round(run, stub, stub_end);
	if (by_kvm)
		printf("KVM_TRANSLATE agrees %u times\n", counts.by_kvm);
	printf("translate %s: %u rounds, %u wide; %u done, %u again, %u fail; %u executed, %u not\n",
	       mode->name, rounds, counts.wide, counts.done, counts.again, counts.fail,
	       counts.executed, counts.not_executed);
	return 0;
}
