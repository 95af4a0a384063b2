// SPDX-License-Identifier: GPL-2.0-only
/*
 * emulate [SEED [CASES]]: does vmm/vcpu/emulate.c do what the CPU does?
 *
 * A machine of one vCPU with a window of 16 pages. An instruction is made at random, and runs with
 * the same registers on each of several windows at the same virtual address: one of RAM, which is
 * the CPU's own work, then one of a device that is plain memory, mapped as Normal and as Device
 * memory, and one whose pages are RAM and device in turn. All registers, flags, the place where it
 * stopped and the 64 KiB must be the same afterwards. It runs at EL0 and EL1, in both endiannesses.
 *
 * One line "ok - ..." or "not ok - ..." for each class of instructions.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "memmap.h"
#include "mm/memslot.h"
#include "util.h"
#include "vcpu/exit.h"
#include "vcpu/vcpu.h"
#include "vmm/vcpu/emulate.h"

#define PAGE	     KIB(4)
#define WINDOW_PAGES 16
#define WINDOW_SIZE  (WINDOW_PAGES * PAGE)
#define WINDOW_VA    UINT64_C(0x80000000)
#define DEVICE_BASE  UINT64_C(0x10000000)
#define END_ADDRESS  0x1000 /* a store to which ends a case */

/* Guest physical. */
#define VECTORS	    (RAM_BASE + KIB(8))
#define CODE	    (RAM_BASE + KIB(16))
#define TABLES	    (RAM_BASE + KIB(64))
#define WINDOW_RAM  (RAM_BASE + KIB(512))
#define WINDOW_HALF (RAM_BASE + KIB(768))

#define UDF 0

/* Windows. */
enum window { RAM, NORMAL, DEVICE, MIXED, WINDOWS };

static const char *const window_name[] = { "RAM", "Normal", "Device", "mixed" };

/* Registers. */

#define REG_X(n)   (KVM_CORE_REG(regs.regs[0]) + 2 * (n))
#define SYS_SCTLR  ARM64_SYS_REG(3, 0, 1, 0, 0)
#define SYS_CPACR  ARM64_SYS_REG(3, 0, 1, 0, 2)
#define SYS_ZCR	   ARM64_SYS_REG(3, 0, 1, 2, 0)
#define SYS_TTBR0  ARM64_SYS_REG(3, 0, 2, 0, 0)
#define SYS_TCR	   ARM64_SYS_REG(3, 0, 2, 0, 2)
#define SYS_ESR	   ARM64_SYS_REG(3, 0, 5, 2, 0)
#define SYS_MAIR   ARM64_SYS_REG(3, 0, 10, 2, 0)
#define SYS_VBAR   ARM64_SYS_REG(3, 0, 12, 0, 0)
#define SYS_TPIDR  ARM64_SYS_REG(3, 0, 13, 0, 4)
#define SYS_ELR	   KVM_CORE_REG(elr_el1)
#define SYS_SPSR   KVM_CORE_REG(spsr[0])
#define SYS_SP_EL0 KVM_CORE_REG(regs.sp)
#define SYS_SP_EL1 KVM_CORE_REG(sp_el1)
#define REG_V(n)                                                \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE | \
	 (KVM_REG_ARM_CORE_REG(fp_regs.vregs[0]) + 4 * (n)))

/* SCTLR_EL1: MMU and caches on, unaligned accesses allowed, DC ZVA and MOPS at EL0. */
#define SCTLR	  (UINT64_C(0x30d00800) | UINT64_C(1) << 33 | 1 << 26 | 1 << 15 | 1 << 14 | 1 << 12 | 5)
#define SCTLR_EE  (UINT64_C(1) << 25)
#define SCTLR_E0E (UINT64_C(1) << 24)

struct state {
	uint64_t x[31], sp_el0, sp_el1;
	uint64_t pc, pstate; /* before: where it starts; after: ELR_EL1 and SPSR_EL1 */
	uint64_t ec; /* after: ESR_EL1.EC */
	uint64_t zcr;
	uint8_t vector[32][256];
	uint8_t predicate[16][32];
};

static struct memory memory;
static struct bus bus;
static struct cpu_model model;
static struct vcpu_env env;
static struct vcpu vcpu;
static struct event_loop loop;
static struct verdict verdict;
static bool sve, mops;
static uint8_t device_memory[WINDOW_SIZE];
static unsigned int device_accesses;

static void die(const char *what, int err)
{
	printf("not ok - %s: %s\n", what, strerror(-err));
	exit(1);
}

static uint64_t random_state;

static uint32_t any(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state * UINT64_C(0x2545f4914f6cdd1d) >> 32) % below;
}

static void any_bytes(void *place, size_t size)
{
	for (size_t i = 0; i + 4 <= size; i += 4) {
		uint32_t word = any(UINT32_MAX);

		memcpy((uint8_t *)place + i, &word, 4);
	}
}

/* The device. */

static enum mmio_result device_access(struct device *device, struct mmio_access *mmio)
{
	(void)device;
	device_accesses++;
	if (mmio->write)
		memcpy(&device_memory[mmio->offset], &mmio->value, mmio->size);
	else
		memcpy(&mmio->value, &device_memory[mmio->offset], mmio->size);
	return MMIO_DONE;
}

static const struct device_ops device_ops = { .name = "memory", .access = device_access };
static struct device device = { .ops = &device_ops, .base = DEVICE_BASE, .size = WINDOW_SIZE };

/* The guest's memory: vectors and translation tables. */

static void poke(uint64_t gpa, uint32_t word)
{
	void *place = memory_at(&memory, gpa, 4);

	memcpy(place, &word, 4);
}

static void write_vectors(void)
{
	static const uint32_t vector[] = {
		0xd518d080, /* msr tpidr_el1, x0 */
		0xd2820000, /* mov x0, #0x1000 */
		0xf900001f, /* str xzr, [x0] */
		0x14000000, /* b . */
	};

	for (unsigned int i = 0; i < 16; i++)
		for (unsigned int j = 0; j < ARRAY_SIZE(vector); j++)
			poke(VECTORS + 0x80 * i + 4 * j, vector[j]);
}

/* The three tables of a window: level 1 with blocks of 1 GiB, level 2, level 3. */
static uint64_t table_of(enum window window, bool big_endian)
{
	return TABLES + (2 * window + big_endian) * 3 * PAGE;
}

static void write_entry(uint64_t table, unsigned int index, uint64_t entry, bool big_endian)
{
	uint64_t *place = memory_at(&memory, table + 8 * index, 8);

	*place = big_endian ? __builtin_bswap64(entry) : entry;
}

#define DESCRIPTOR_TABLE  UINT64_C(3)
#define DESCRIPTOR_BLOCK  UINT64_C(0x401) /* access flag */
#define DESCRIPTOR_PAGE	  UINT64_C(0x403)
#define DESCRIPTOR_EL0	  (UINT64_C(1) << 6)
#define DESCRIPTOR_RO	  (UINT64_C(1) << 7)
#define DESCRIPTOR_INNER  (UINT64_C(3) << 8)
#define DESCRIPTOR_DEVICE (UINT64_C(1) << 2) /* Attr1 of MAIR_EL1 */
#define DESCRIPTOR_NG	  (UINT64_C(1) << 11)

static uint64_t page_entry(enum window window, unsigned int page)
{
	const uint64_t in_ram = (window == RAM ? WINDOW_RAM : WINDOW_HALF) + page * PAGE;
	const bool ram = window == RAM || (window == MIXED && page % 2);
	uint64_t entry = DESCRIPTOR_PAGE | DESCRIPTOR_EL0 | DESCRIPTOR_INNER | DESCRIPTOR_NG;

	if (window == DEVICE)
		entry |= DESCRIPTOR_DEVICE;
	return entry | (ram ? in_ram : DEVICE_BASE + page * PAGE);
}

static void write_tables(enum window window, bool big_endian)
{
	const uint64_t level1 = table_of(window, big_endian), level2 = level1 + PAGE;
	const uint64_t level3 = level2 + PAGE;

	write_entry(level1, 0, DESCRIPTOR_BLOCK | DESCRIPTOR_DEVICE | DESCRIPTOR_NG, big_endian);
	write_entry(level1, 1,
		    RAM_BASE | DESCRIPTOR_BLOCK | DESCRIPTOR_INNER | DESCRIPTOR_EL0 |
			    DESCRIPTOR_RO | DESCRIPTOR_NG,
		    big_endian);
	write_entry(level1, 2, level2 | DESCRIPTOR_TABLE, big_endian);
	write_entry(level2, 0, level3 | DESCRIPTOR_TABLE, big_endian);
	for (unsigned int page = 0; page < WINDOW_PAGES; page++)
		write_entry(level3, page, page_entry(window, page), big_endian);
}

/* The window's bytes, as they are before and afterwards. */

static uint8_t *window_page(enum window window, unsigned int page)
{
	if (window == RAM)
		return memory_at(&memory, WINDOW_RAM + page * PAGE, PAGE);
	if (window == MIXED && page % 2)
		return memory_at(&memory, WINDOW_HALF + page * PAGE, PAGE);
	return &device_memory[page * PAGE];
}

static void fill_window(enum window window, const uint8_t *bytes)
{
	for (unsigned int page = 0; page < WINDOW_PAGES; page++)
		memcpy(window_page(window, page), bytes + page * PAGE, PAGE);
}

static void keep_window(enum window window, uint8_t *bytes)
{
	for (unsigned int page = 0; page < WINDOW_PAGES; page++)
		memcpy(bytes + page * PAGE, window_page(window, page), PAGE);
}

/* Registers of the vCPU. */

static void set(uint64_t id, uint64_t value)
{
	int err = kvm_set_reg(vcpu.fd, id, &value);

	if (err < 0)
		die("KVM_SET_ONE_REG", err);
}

static uint64_t get(uint64_t id)
{
	uint64_t value;
	int err = kvm_get_reg(vcpu.fd, id, &value);

	if (err < 0)
		die("KVM_GET_ONE_REG", err);
	return value;
}

static void vectors_set(const struct state *state)
{
	for (unsigned int n = 0; n < 32; n++)
		kvm_set_reg(vcpu.fd, sve ? KVM_REG_ARM64_SVE_ZREG(n, 0) : REG_V(n),
			    state->vector[n]);
	for (unsigned int n = 0; n < 16 && sve; n++)
		kvm_set_reg(vcpu.fd, KVM_REG_ARM64_SVE_PREG(n, 0), state->predicate[n]);
	if (sve)
		set(SYS_ZCR, state->zcr);
}

static void vectors_get(struct state *state)
{
	for (unsigned int n = 0; n < 32; n++)
		kvm_get_reg(vcpu.fd, sve ? KVM_REG_ARM64_SVE_ZREG(n, 0) : REG_V(n),
			    state->vector[n]);
	for (unsigned int n = 0; n < 16 && sve; n++)
		kvm_get_reg(vcpu.fd, KVM_REG_ARM64_SVE_PREG(n, 0), state->predicate[n]);
}

static void give_state(const struct state *state, uint64_t sctlr, enum window window)
{
	const uint64_t asid = 1 + 2 * window + !!(sctlr & SCTLR_EE);

	for (unsigned int n = 0; n < 31; n++)
		set(REG_X(n), state->x[n]);
	set(SYS_SP_EL0, state->sp_el0);
	set(SYS_SP_EL1, state->sp_el1);
	set(KVM_CORE_REG(regs.pc), state->pc);
	set(KVM_CORE_REG(regs.pstate), state->pstate);
	set(SYS_SCTLR, sctlr);
	set(SYS_TTBR0, asid << 48 | table_of(window, sctlr & SCTLR_EE));
	vectors_set(state);
}

static void take_state(struct state *state)
{
	memset(state, 0, sizeof(*state));
	for (unsigned int n = 1; n < 31; n++)
		state->x[n] = get(REG_X(n));
	state->x[0] = get(SYS_TPIDR);
	state->sp_el0 = get(SYS_SP_EL0);
	state->sp_el1 = get(SYS_SP_EL1);
	state->pc = get(SYS_ELR);
	state->pstate = get(SYS_SPSR);
	state->ec = get(SYS_ESR) >> 26;
	vectors_get(state);
}

/* Back into KVM, which carries an exit of the last run to its end, and out again. */
static void finish_exit(void)
{
	vcpu.run->immediate_exit = 1;
	kvm_run(vcpu.fd);
	vcpu.run->immediate_exit = 0;
}

/*
 * An access that the CPU does describe: KVM is given anything and moves on; then the vCPU is put
 * back, and the instruction emulated, as on a CPU that would not have described it.
 */
static void emulate_described(void)
{
	const uint64_t pc = get(KVM_CORE_REG(regs.pc)), pstate = get(KVM_CORE_REG(regs.pstate));
	const uint64_t gpa = vcpu.run->mmio.phys_addr;
	enum insn_class class;
	uint64_t x[31];

	for (unsigned int n = 0; n < 31; n++)
		x[n] = get(REG_X(n));
	finish_exit();
	for (unsigned int n = 0; n < 31; n++)
		set(REG_X(n), x[n]);
	set(KVM_CORE_REG(regs.pc), pc);
	set(KVM_CORE_REG(regs.pstate), pstate);
	vcpu.run->arm_nisv.fault_ipa = gpa;
	if (emulate(&vcpu, &class) == EMULATE_DONE)
		counters_emulated(&vcpu.counters, class);
	else
		die("an access that the CPU describes is not emulated", -EIO);
}

/* Runs the vCPU until the vector's store. */
static void run_to_end(bool even_described)
{
	for (unsigned int exits = 0; exits < 10000; exits++) {
		int err = kvm_run(vcpu.fd);

		if (err == -EINTR || err == -EAGAIN)
			continue;
		if (err == 0 && vcpu.run->exit_reason == KVM_EXIT_MMIO &&
		    vcpu.run->mmio.phys_addr == END_ADDRESS)
			break;
		if (even_described && err == 0 && vcpu.run->exit_reason == KVM_EXIT_MMIO)
			emulate_described();
		else if (!exit_handle(&vcpu, err))
			die("exit_handle", -EIO);
	}
	finish_exit();
}

/* Cases. */

struct test {
	struct insn insn;
	uint32_t word[3];
	unsigned int words;
	struct state before;
	uint64_t sctlr;
	bool aligned; /* to 16 bytes */
};

struct tally {
	unsigned int cases, skipped, wrong;
	unsigned int emulated; /* of the classes' own counters */
};

static struct tally tallies[INSN_CLASSES];

/* Groups of encodings, most bits of which are random. */
static const struct {
	uint32_t mask, value;
} groups[] = {
	{ 0x3f000000, 0x08000000 }, /* exclusive, ordered, compare and swap */
	{ 0x3fa07c00, 0x08a07c00 }, /* CAS, CASP */
	{ 0xbfa07c00, 0x08207c00 },
	{ 0xbe000000, 0x0c000000 }, /* structures */
	{ 0xbfa00000, 0x0c800000 }, /* and post-indexed ones */
	{ 0xbf800000, 0x0d800000 },
	{ 0x3f200c00, 0x19000000 }, /* ordered, unscaled */
	{ 0x3a000000, 0x28000000 }, /* pairs */
	{ 0x3a000000, 0x28000000 },
	{ 0x3b200c00, 0x38000000 }, /* one register: unscaled, indexed, unprivileged */
	{ 0x3b200400, 0x38000400 },
	{ 0x3b200c00, 0x38000800 },
	{ 0x3b200c00, 0x38200800 }, /* register offset */
	{ 0x3b000000, 0x39000000 }, /* unsigned immediate */
	{ 0x3f200c00, 0x38200000 }, /* atomics */
	{ 0xffffffe0, 0xd50b7420 }, /* DC ZVA */
	{ 0xfbe00c00, 0x19000400 }, /* CPYP, CPYFP */
	{ 0xffe0cc00, 0x19c00400 }, /* SETP */
	{ 0xfe00e000, 0xa4004000 }, /* SVE */
	{ 0xfe10e000, 0xa400a000 },
	{ 0xfe00e000, 0xe4004000 },
	{ 0xfe10e000, 0xe400e000 },
	{ 0xffc0e000, 0x85804000 },
	{ 0xffc0e010, 0x85800000 },
	{ 0xffc0e000, 0xe5804000 },
	{ 0xffc0e010, 0xe5800000 },
};

/* What the Arm ARM calls CONSTRAINED UNPREDICTABLE: CPUs may differ, and from nidus. */
static bool unpredictable(const struct insn *insn)
{
	const bool written_back =
		insn->addressing != INSN_OFFSET && insn->addressing != INSN_REGISTER;

	if (insn->class == INSN_PAIR && insn->load && insn->rt == insn->rt2)
		return true;
	if (insn->class == INSN_PAIR && !insn->vector && written_back && insn->rn != 31 &&
	    insn->rn == insn->rt2)
		return true;
	return !insn->vector && written_back && insn->rn != 31 && insn->rn == insn->rt;
}

static bool runs_here(const struct insn *insn, uint32_t word)
{
	if (insn->class == INSN_PREFETCH || insn->class == INSN_LDST64B)
		return false;
	/* A store without a monitor fails before it gets to memory. */
	if (insn->class == INSN_EXCLUSIVE)
		return word >> 22 & 1;
	if (insn->class == INSN_ZERO)
		return insn->rt != 31;
	if (insn->class == INSN_SVE)
		return sve;
	if (insn->class == INSN_COPY || insn->class == INSN_SET)
		return mops;
	return !unpredictable(insn);
}

static void any_instruction(struct test *test)
{
	do {
		unsigned int group = any(ARRAY_SIZE(groups));

		test->word[0] = (any(UINT32_MAX) & ~groups[group].mask) | groups[group].value;
	} while (!insn_decode(test->word[0], &test->insn) ||
		 !runs_here(&test->insn, test->word[0]));
	test->words = 1;
}

static void set_x(struct state *state, unsigned int n, uint64_t value)
{
	if (n != 31)
		state->x[n] = value;
	else if (state->pstate & 1)
		state->sp_el1 = value;
	else
		state->sp_el0 = value;
}

static uint64_t aim_at_window(const struct insn *insn)
{
	uint64_t va = WINDOW_VA + WINDOW_SIZE / 4 + any(WINDOW_SIZE / 2);

	/* Half of them where a page ends. */
	if (any(2))
		va = align_up(va, PAGE) + any(64) - 48;
	/* Most of them aligned, and all that have to be. */
	if (insn->class == INSN_EXCLUSIVE || insn->class == INSN_CAS ||
	    insn->class == INSN_ATOMIC || insn->class == INSN_ORDERED || any(3))
		va = align_down(va, 16);
	return va;
}

/* What is added to the base to make the address, for a vector of quadwords * 16 bytes. */
static uint64_t displacement(const struct insn *insn, const struct state *state,
			     unsigned int quadwords)
{
	uint64_t value = insn->rm == 31 ? 0 : state->x[insn->rm];

	if (insn->addressing == INSN_POST_INDEX || insn->addressing == INSN_POST_REGISTER)
		return 0;
	if (insn->addressing != INSN_REGISTER) {
		int64_t scale = 1;

		if (insn->class == INSN_SVE)
			scale = insn->sve == INSN_SVE_Z ? 16 * quadwords
				: insn->sve == INSN_SVE_P
					? 2 * quadwords
					: 16 * quadwords / insn->lane * insn->bytes;
		return insn->offset * scale;
	}
	if (insn->extend == INSN_UXTW)
		value = (uint32_t)value;
	if (insn->extend == INSN_SXTW)
		value = (int64_t)(int32_t)value;
	return value << insn->shift;
}

static unsigned int quadwords_of(uint64_t zcr)
{
	uint64_t lengths[KVM_ARM64_SVE_VLS_WORDS] = { 1 };
	unsigned int quadwords = (zcr & 0xf) + 1;

	kvm_get_reg(vcpu.fd, KVM_REG_ARM64_SVE_VLS, lengths);
	while (quadwords > 1 && !(lengths[0] >> (quadwords - 1) & 1))
		quadwords--;
	return quadwords;
}

/* Memory copy and set: prologue, main and epilogue, or only the latter two of option A. */
static void aim_string(struct test *test)
{
	const struct insn *insn = &test->insn;
	struct state *state = &test->before;
	const bool copy = insn->class == INSN_COPY;
	const uint64_t most = WINDOW_SIZE / 4, size = any(4) ? any(600) : any(most);
	uint64_t to = WINDOW_VA + any(2 * most), from = WINDOW_VA + any(2 * most);
	uint64_t count = size;

	if (copy && insn->forward_only)
		from = to >= WINDOW_VA + most ? to - most : to + most;
	else if (copy && any(2) && to >= WINDOW_VA + most)
		from = to - size + any(2 * size + 1); /* overlapping */
	test->words = 3;
	test->word[1] = test->word[0] + (copy ? 1 << 22 : 1 << 14);
	test->word[2] = test->word[0] + (copy ? 2 << 22 : 2 << 14);
	if (any(3) == 0) {
		/* As behind a prologue that has copied nothing. */
		const bool backward = copy && !insn->forward_only && any(2) && size > 0;

		test->words = 2;
		test->word[0] = test->word[1];
		test->word[1] = test->word[2];
		state->pstate &= ~(UINT64_C(0xf) << 28);
		if (copy)
			from = backward ? to - (to - WINDOW_VA) / 2 : to + any(size + 1);
		count = backward ? size : -size;
		to += backward ? 0 : size;
		from += backward ? 0 : size;
	}
	state->x[insn->rt] = to;
	state->x[insn->rn] = count;
	if (copy)
		state->x[insn->rs] = from;
}

static void aim(struct test *test)
{
	const struct insn *insn = &test->insn;
	struct state *state = &test->before;
	uint64_t va = aim_at_window(insn);

	if (insn->class == INSN_COPY || insn->class == INSN_SET) {
		aim_string(test);
		return;
	}
	if (insn->class == INSN_ZERO) {
		if (insn->rt != 31)
			state->x[insn->rt] = va;
		return;
	}
	/* The index is the base as well: such that both together come to what is wanted. */
	if (insn->addressing == INSN_REGISTER && insn->rm == insn->rn && insn->rn != 31) {
		state->x[insn->rn] = va / ((1 << insn->shift) + 1);
		return;
	}
	test->aligned = va % 16 == 0;
	/* Not decoded, as it is refused. */
	if (insn->class == INSN_EXCLUSIVE) {
		set_x(state, test->word[0] >> 5 & 31, va);
		return;
	}
	set_x(state, insn->rn, va - displacement(insn, state, quadwords_of(state->zcr)));
}

static void make_test(struct test *test)
{
	static const uint64_t modes[] = { 0x3c0, 0x3c4, 0x3c5 }; /* EL0t, EL1t, EL1h */

	memset(test, 0, sizeof(*test));
	any_instruction(test);
	any_bytes(&test->before, sizeof(test->before));
	for (unsigned int n = 0; n < 32 && !sve; n++)
		memset(test->before.vector[n] + 16, 0, 256 - 16);
	test->before.zcr = any(16);
	test->before.pc = CODE;
	test->before.pstate = modes[any(3)] | (uint64_t)any(16) << 28;
	test->sctlr = SCTLR | (any(4) ? 0 : SCTLR_EE) | (any(4) ? 0 : SCTLR_E0E);
	/* CAS that compares equal, now and then. */
	if (test->insn.class == INSN_CAS && any(2))
		memset(test->before.x, 0x5a, sizeof(test->before.x));
	for (unsigned int n = 0; n < 16; n++)
		if (any(4) == 0)
			memset(test->before.predicate[n], 0xff, 32);
	aim(test);
}

static uint64_t emulated_so_far(void)
{
	uint64_t sum = counter_read(&vcpu.counters.retried);

	for (unsigned int class = 0; class < INSN_CLASSES; class ++)
		sum += counter_read(&vcpu.counters.emulated[class]) +
		       counter_read(&vcpu.counters.aborted[class]);
	return sum;
}

static void run_window(const struct test *test, enum window window, const uint8_t *bytes,
		       struct state *after, uint8_t *bytes_after)
{
	for (unsigned int i = 0; i < test->words; i++)
		poke(CODE + 4 * i, test->word[i]);
	poke(CODE + 4 * test->words, UDF);
	__builtin___clear_cache(memory_at(&memory, CODE, 16),
				(char *)memory_at(&memory, CODE, 16) + 16);
	fill_window(window, bytes);
	give_state(&test->before, test->sctlr, window);
	/*
	 * What lies in two pages KVM takes for an access in one, if the CPU describes it, so that
	 * it is no measure for that.
	 */
	run_to_end(window == MIXED || any(2));
	take_state(after);
	keep_window(window, bytes_after);
}

#define EC_UNKNOWN     0x00
#define EC_ABORT_SAME  0x25
#define EC_ABORT_LOWER 0x24
#define DFSC_ALIGNMENT 0x21
#define DFSC_EXTERNAL  0x10

static unsigned int fault_status(void)
{
	return get(SYS_ESR) & 0x3f;
}

static bool is_abort(const struct state *state)
{
	return state->ec == EC_ABORT_SAME || state->ec == EC_ABORT_LOWER;
}

static void say(const struct test *test, enum window window, const struct state *want,
		const struct state *got, const char *what)
{
	printf("    %08" PRIx32 " (%s) in the %s window: %s; PC 0x%" PRIx64 " for 0x%" PRIx64
	       ", EC 0x%" PRIx64 " for 0x%" PRIx64 ", PSTATE 0x%" PRIx64 " for 0x%" PRIx64
	       ", DFSC 0x%x\n",
	       test->word[0], insn_class_name(test->insn.class), window_name[window], what, got->pc,
	       want->pc, got->ec, want->ec, got->pstate, want->pstate, fault_status());
	for (unsigned int n = 0; n < 31; n++)
		if (want->x[n] != got->x[n])
			printf("        X%u 0x%" PRIx64 " for 0x%" PRIx64 "\n", n, got->x[n],
			       want->x[n]);
	for (unsigned int n = 0; n < 32; n++)
		if (memcmp(want->vector[n], got->vector[n], 256) != 0)
			printf("        V%u\n", n);
}

/* Device memory takes no unaligned access, DC ZVA and the like: the CPU says so itself. */
static bool cpu_refuses(enum window window, const struct state *after)
{
	return window == DEVICE && is_abort(after) && fault_status() == DFSC_ALIGNMENT;
}

/*
 * The Arm ARM lets a load of a single lane zero what is above 128 bits of the register; not all
 * emulators of a CPU do.
 */
static void forget_above(const struct test *test, struct state *state)
{
	const struct insn *insn = &test->insn;

	if (insn->class != INSN_STRUCTURE || !insn->single || insn->replicate || !insn->load)
		return;
	for (unsigned int n = 0; n < 32; n++)
		memset(state->vector[n] + 16, 0, 256 - 16);
}

/* What is refused by design has an external abort, at the instruction, and changes nothing. */
static bool refused_well(const struct test *test, const struct state *after, const uint8_t *bytes,
			 const uint8_t *bytes_after)
{
	return is_abort(after) && fault_status() == DFSC_EXTERNAL && after->pc == test->before.pc &&
	       memcmp(after->x, test->before.x, sizeof(after->x)) == 0 &&
	       memcmp(bytes, bytes_after, WINDOW_SIZE) == 0;
}

static void run_test(const struct test *test)
{
	static uint8_t bytes[WINDOW_SIZE], want_bytes[WINDOW_SIZE], got_bytes[WINDOW_SIZE];
	static struct state want, got;
	struct tally *tally = &tallies[test->insn.class];

	any_bytes(bytes, sizeof(bytes));
	if (test->insn.class == INSN_CAS)
		memset(bytes, 0x5a, sizeof(bytes));
	run_window(test, RAM, bytes, &want, want_bytes);
	/* The vCPU's CPU does not have it, or the case missed the window. */
	if (want.pc != CODE + 4 * test->words || want.ec != EC_UNKNOWN) {
		tally->skipped++;
		return;
	}
	for (enum window window = NORMAL; window < WINDOWS; window++) {
		const uint64_t before = emulated_so_far();

		run_window(test, window, bytes, &got, got_bytes);
		if (cpu_refuses(window, &got))
			continue;
		/* Device memory takes no unaligned vector either, though not all CPUs here say so.
		 */
		if (window == DEVICE && test->insn.class == INSN_SVE && !test->aligned &&
		    refused_well(test, &got, bytes, got_bytes))
			continue;
		forget_above(test, &want);
		forget_above(test, &got);
		tally->cases++;
		tally->emulated += emulated_so_far() > before;
		if (test->insn.class == INSN_EXCLUSIVE) {
			/* Unless it was the half in RAM. */
			if (!refused_well(test, &got, bytes, got_bytes) &&
			    (window != MIXED || is_abort(&got))) {
				tally->wrong++;
				say(test, window, &test->before, &got, "not refused");
			}
			continue;
		}
		if (memcmp(&want, &got, sizeof(want)) != 0) {
			tally->wrong++;
			say(test, window, &want, &got, "registers");
		} else if (memcmp(want_bytes, got_bytes, WINDOW_SIZE) != 0) {
			tally->wrong++;
			say(test, window, &want, &got, "memory");
		}
	}
}

/* The machine. */

static void make_machine(void)
{
	const struct cpu_wishes wishes = { .pmu = false };
	int kvm_fd = kvm_open(), vm_fd, err = kvm_fd;

	vcpu_prepare();
	if (err >= 0)
		err = event_loop_create(&loop);
	if (err >= 0)
		err = verdict_create(&verdict, &loop);
	if (err >= 0)
		err = memory_create(&memory, RAM_BASE, MIB(2), MEMORY_ANON, NULL);
	if (err < 0)
		die("preparing", err);
	vm_fd = err = kvm_create_vm(kvm_fd, 36);
	if (err >= 0)
		err = kvm_enable(vm_fd, KVM_CAP_ARM_NISV_TO_USER);
	if (err >= 0)
		err = memslot_add(vm_fd, MEMSLOT_RAM, RAM_BASE,
				  memory_at(&memory, RAM_BASE, memory.size), memory.size);
	if (err >= 0)
		err = cpu_model_create(&model, vm_fd, &wishes);
	if (err < 0)
		die("VM", err);
	bus_create(&bus);
	bus_add(&bus, &device);
	bus_freeze(&bus);
	env = (struct vcpu_env){
		.bus = &bus,
		.memory = &memory,
		.model = &model,
		.verdict = &verdict,
		.emulation = true,
		.vcpus = &vcpu,
		.count = 1,
		.read_modify_write = PTHREAD_MUTEX_INITIALIZER,
		.pausing = PTHREAD_MUTEX_INITIALIZER,
		.gate = PTHREAD_RWLOCK_INITIALIZER,
	};
	err = vcpu_create(&vcpu, &env, vm_fd, 0, kvm_run_size(kvm_fd));
	if (err < 0)
		die("vCPU", err);
	sve = cpu_model_has(&model, KVM_ARM_VCPU_SVE);
}

static void set_machine(void)
{
	const uint64_t isar2 = get(ARM64_SYS_REG(3, 0, 0, 6, 2));

	mops = (isar2 >> 16 & 0xf) != 0;
	write_vectors();
	for (enum window window = RAM; window < WINDOWS; window++) {
		write_tables(window, false);
		write_tables(window, true);
	}
	set(SYS_MAIR, 0x04ff);
	/* 39 bits of address, 4 KiB pages, Normal and Inner Shareable walks, no TTBR1. */
	set(SYS_TCR, UINT64_C(2) << 32 | 1 << 23 | 3 << 12 | 1 << 10 | 1 << 8 | 25);
	set(SYS_VBAR, VECTORS);
	set(SYS_CPACR, 3 << 20 | 3 << 16);
}

static bool report(enum insn_class class)
{
	const struct tally *tally = &tallies[class];
	/* A test of nothing is none. */
	const bool ok =
		tally->wrong == 0 && tally->emulated > 0 && tally->skipped <= tally->cases / 2;

	if (tally->cases + tally->skipped == 0)
		return true;
	printf("%s - as the CPU does it: %s (%u cases, %u of them emulated, %u skipped, %u wrong)\n",
	       ok ? "ok" : "not ok", insn_class_name(class), tally->cases, tally->emulated,
	       tally->skipped, tally->wrong);
	return ok;
}

int main(int argc, char **argv)
{
	const unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
	const unsigned long cases = argc > 2 ? strtoul(argv[2], NULL, 0) : 3000;
	static struct test test;
	bool ok = true;

	random_state = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	make_machine();
	set_machine();
	for (unsigned long i = 0; i < cases; i++) {
		make_test(&test);
		run_test(&test);
	}
	printf("SVE: %s, MOPS: %s\n", sve ? "yes" : "no", mops ? "yes" : "no");
	for (enum insn_class class = 0; class < INSN_CLASSES; class ++)
		ok &= report(class);
	return !ok;
}
