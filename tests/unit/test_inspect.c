// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fake_kvm.h"
#include "inspect/inspect.h"
#include "mm/cache.h"
#include "unit.h"
#include "util.h"

#define BIT(n) (UINT64_C(1) << (n))

#define RAM  GIB(1)
#define SIZE MIB(4)

#define SYS(op1, crn, crm, op2) ARM64_SYS_REG(3, op1, crn, crm, op2)

#define PSTATE KVM_CORE_REG(regs.pstate)
#define MMFR0  SYS(0, 0, 7, 0)
#define HCR    SYS(4, 1, 1, 0)
#define VTTBR  SYS(4, 2, 1, 0)
#define VTCR   SYS(4, 2, 1, 2)
#define SP_EL2 SYS(6, 4, 1, 0)

/* op1: 0 for EL1, 4 for EL2 */
#define SCTLR(op1) SYS(op1, 1, 0, 0)
#define TTBR0(op1) SYS(op1, 2, 0, 0)
#define TTBR1(op1) SYS(op1, 2, 0, 1)
#define TCR(op1)   SYS(op1, 2, 0, 2)

#define EL0T 0
#define EL1T 4
#define EL1H 5
#define EL2T 8
#define EL2H 9
#define PAN  BIT(22)

#define HCR_VM	BIT(0)
#define HCR_TGE BIT(27)
#define HCR_E2H BIT(34)
#define HCR_NV	BIT(42)

/* 39 bits of 4 KiB pages in both halves, results of 40. */
#define TCR_39 (25u | 25u << 16 | 2u << 30 | UINT64_C(2) << 32)
/* The same at stage 2: T0SZ 25, SL0 level 1, PS 40 bits. */
#define VTCR_39 (25u | 1u << 6 | 2u << 16)

#define PAGE	(3u | BIT(10))
#define EL0_TOO BIT(6)
#define UXN	BIT(54)
#define S2_READ BIT(6)

static struct memory memory;
static struct cpu_model model;
static struct vcpu_env env = { .memory = &memory, .model = &model };
static struct vcpu vcpu = { .env = &env, .fd = 7 };
static struct inspect inspect;
static struct inspect_where where;
static uint64_t next_table;
static unsigned int cleaned;

uint64_t cache_line_size(void)
{
	return 64;
}

void cache_clean(uintptr_t start, uintptr_t end, uint64_t line)
{
	assert_int_equal((start | end) % line, 0);
	cleaned += end - start;
}

void cache_sync(void)
{
}

static int begin(void **state)
{
	fake_kvm_reset();
	memory = (struct memory){ .base = RAM, .size = SIZE };
	memory.host = aligned_alloc(MIB(2), SIZE);
	memset(memory.host, 0, SIZE);
	next_table = RAM + MIB(2);
	model = (struct cpu_model){ 0 };
	cleaned = 0;
	fake_kvm_give(PSTATE, EL1H);
	fake_kvm_give(MMFR0, 2); /* 40 bits, pages of 4 KiB */
	return 0;
}

static int end(void **state)
{
	free(memory.host);
	return 0;
}

static void give_el2(uint64_t hcr)
{
	fake_kvm_give(HCR, hcr);
	fake_kvm_give(VTTBR, 0);
	fake_kvm_give(VTCR, VTCR_39);
	fake_kvm_give(SP_EL2, 0x5e12);
}

static void look(uint64_t pstate)
{
	fake_kvm_give(PSTATE, pstate);
	assert_int_equal(inspect_begin(&inspect, &vcpu), 0);
	inspect_where(&inspect, &where);
}

static uint64_t new_table(void)
{
	next_table += KIB(4);
	return next_table - KIB(4);
}

/* A page in tables of three levels; root: of the first, 0 where there is none yet. */
static void map(uint64_t *root, uint64_t address, uint64_t descriptor)
{
	uint64_t table;

	if (*root == 0)
		*root = new_table();
	table = *root;
	for (unsigned int shift = 30; shift > 12; shift -= 9) {
		uint64_t *entry =
			(uint64_t *)(memory.host + (table - RAM)) + (address >> shift) % 512;

		if (*entry == 0)
			*entry = new_table() | 3;
		table = *entry & ~UINT64_C(0xfff);
	}
	((uint64_t *)(memory.host + (table - RAM)))[(address >> 12) % 512] = descriptor;
}

static void use(unsigned int op1, uint64_t lower, uint64_t upper)
{
	fake_kvm_give(SCTLR(op1), 1);
	fake_kvm_give(TCR(op1), TCR_39);
	fake_kvm_give(TTBR0(op1), lower);
	fake_kvm_give(TTBR1(op1), upper);
}

static void write_ram(uint64_t gpa, const char *text)
{
	memcpy(memory.host + (gpa - RAM), text, strlen(text));
}

static void a_guest_without_el2_is_at_level_1(void **state)
{
	look(EL1H);
	assert_int_equal(where.el, 1);
	assert_int_equal(where.level, 1);
	assert_int_equal(where.role, INSPECT_GUEST);
	look(EL0T);
	assert_int_equal(where.el, 0);
	assert_int_equal(where.level, 1);
	assert_string_equal(inspect_role_name(where.role), "guest");
}

static void levels_of_a_nest_are_told_apart(void **state)
{
	static const struct {
		uint64_t pstate, hcr;
		enum inspect_role role;
		unsigned int level, el;
		bool virtual_el2;
	} cases[] = {
		{ EL2H, HCR_E2H | HCR_TGE, INSPECT_HYPERVISOR, 1, 2, false },
		/* On its way into the guest inside. */
		{ EL2H, HCR_E2H | HCR_VM, INSPECT_HYPERVISOR, 1, 2, false },
		{ EL0T, HCR_E2H | HCR_TGE | HCR_VM, INSPECT_HOST, 1, 0, false },
		{ EL1H, 0, INSPECT_HOST, 1, 1, false },
		{ EL1H, HCR_VM, INSPECT_INSIDE, 2, 1, false },
		{ EL0T, HCR_E2H | HCR_VM, INSPECT_INSIDE, 2, 0, false },
		{ EL1H, HCR_VM | HCR_NV, INSPECT_INSIDE, 2, 1, true },
		{ EL0T, HCR_VM | HCR_NV, INSPECT_INSIDE, 2, 0, false },
		/* AArch32: supervisor and user mode. */
		{ 0x13, HCR_VM, INSPECT_INSIDE, 2, 1, false },
		{ 0x10, HCR_VM, INSPECT_INSIDE, 2, 0, false },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		give_el2(cases[i].hcr);
		fake_kvm_give(VTTBR, UINT64_C(0x1234) << 48 | RAM);
		look(cases[i].pstate);
		assert_int_equal(where.role, cases[i].role);
		assert_int_equal(where.level, cases[i].level);
		assert_int_equal(where.el, cases[i].el);
		assert_int_equal(where.virtual_el2, cases[i].virtual_el2);
		assert_int_equal(where.vmid, cases[i].level == 2 ? 0x1234 : 0);
		assert_int_equal(where.aarch32, cases[i].pstate & 0x10 ? 1 : 0);
	}
}

static void sp_is_the_one_in_use(void **state)
{
	static const struct {
		uint64_t pstate, sp;
	} cases[] = {
		{ EL0T, 0x5e10 }, { EL1T, 0x5e10 }, { EL1H, 0x5e11 },
		{ EL2T, 0x5e10 }, { EL2H, 0x5e12 },
	};
	uint64_t sp = 0;

	give_el2(0);
	fake_kvm_give(KVM_CORE_REG(regs.sp), 0x5e10);
	fake_kvm_give(KVM_CORE_REG(sp_el1), 0x5e11);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		look(cases[i].pstate);
		assert_int_equal(inspect_core(&inspect, INSPECT_SP, &sp), 0);
		assert_int_equal(sp, cases[i].sp);
	}
	assert_int_equal(inspect_set_core(&inspect, INSPECT_SP, 0x77), 0);
	assert_int_equal(fake_kvm_value(SP_EL2), 0x77);
}

static void registers_of_the_core_have_their_numbers(void **state)
{
	uint64_t value = 0;

	fake_kvm.x[30] = 30;
	fake_kvm.pc = 0x1000;
	look(EL1H);
	assert_int_equal(inspect_core(&inspect, 30, &value), 0);
	assert_int_equal(value, 30);
	assert_int_equal(inspect_core(&inspect, INSPECT_PC, &value), 0);
	assert_int_equal(value, 0x1000);
	assert_int_equal(inspect_core(&inspect, INSPECT_CPSR, &value), 0);
	assert_int_equal(value, EL1H);
	/* What it is at follows. */
	give_el2(0);
	assert_int_equal(inspect_set_core(&inspect, INSPECT_CPSR, EL2H), 0);
	inspect_where(&inspect, &where);
	assert_int_equal(where.el, 2);
	assert_int_equal(inspect_set_core(&inspect, 3, 33), 0);
	assert_int_equal(fake_kvm.x[3], 33);
}

static unsigned int find(const char *name)
{
	unsigned int i = 0;

	while (strcmp(inspect_system_name(i), name) != 0)
		assert_true(++i < inspect_system_count());
	return i;
}

static void system_registers_have_names(void **state)
{
	static const struct {
		const char *name;
		uint64_t id;
		unsigned int el;
	} some[] = {
		{ "SP_EL0", KVM_CORE_REG(regs.sp), 0 },
		{ "ELR_EL1", KVM_CORE_REG(elr_el1), 1 },
		{ "SPSR_EL1", KVM_CORE_REG(spsr[0]), 1 },
		{ "ESR_EL1", SYS(0, 5, 2, 0), 1 },
		{ "MDSCR_EL1", ARM64_SYS_REG(2, 0, 0, 2, 2), 1 },
		{ "HCR_EL2", HCR, 2 },
		{ "VTTBR_EL2", VTTBR, 2 },
		{ "ELR_EL2", SYS(4, 4, 0, 1), 2 },
		{ "CNTV_CVAL_EL0", KVM_REG_ARM_TIMER_CVAL, 0 },
	};
	uint64_t value = 0;

	look(EL1H);
	for (unsigned int i = 0; i < ARRAY_SIZE(some); i++) {
		const unsigned int n = find(some[i].name);

		assert_int_equal(inspect_system_el(n), some[i].el);
		if (some[i].id != KVM_REG_ARM_TIMER_CVAL)
			assert_int_equal(inspect_system(&inspect, n, &value), -ENOENT);
		fake_kvm_give(some[i].id, 100 + i);
		assert_int_equal(inspect_system(&inspect, n, &value), 0);
		assert_int_equal(value, 100 + i);
		assert_int_equal(inspect_set_system(&inspect, n, 200 + i), 0);
		assert_int_equal(fake_kvm_value(some[i].id), 200 + i);
	}
}

static void vectors_are_of_fp_or_sve(void **state)
{
	const uint64_t v3 = KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE |
			    (KVM_REG_ARM_CORE_REG(fp_regs.vregs[0]) + 12);
	uint8_t value[16] = { 0 };

	fake_kvm_give(v3, 0x1122);
	look(EL1H);
	assert_int_equal(inspect_vector(&inspect, 3, value), 0);
	assert_int_equal(value[0], 0x22);

	model.init.features[0] = 1 << KVM_ARM_VCPU_SVE;
	fake_kvm_give(KVM_REG_ARM64_SVE_ZREG(3, 0), 0x3344);
	fake_kvm.given[fake_kvm.given_count - 1].value[16] = 0x99;
	look(EL1H);
	assert_int_equal(inspect_vector(&inspect, 3, value), 0);
	assert_int_equal(value[0], 0x44);
	value[0] = 0x55;
	assert_int_equal(inspect_set_vector(&inspect, 3, value), 0);
	assert_int_equal(fake_kvm.given[fake_kvm.given_count - 1].value[0], 0x55);
	assert_int_equal(fake_kvm.given[fake_kvm.given_count - 1].value[16], 0x99);
}

static void sve_has_lengths(void **state)
{
	const uint64_t zcr_el1 = ARM64_SYS_REG(3, 0, 1, 2, 0),
		       zcr_el2 = ARM64_SYS_REG(3, 4, 1, 2, 0);
	uint8_t value[INSPECT_SVE_BYTES] = { 0 };
	uint64_t length;

	look(EL1H);
	assert_int_equal(inspect_sve_length(&inspect), 0);
	/* 128, 256 and 512 bits. */
	model.init.features[0] = 1 << KVM_ARM_VCPU_SVE;
	fake_kvm.sve_lengths[0] = 0xb;
	fake_kvm_give(zcr_el1, 15);
	fake_kvm_give(KVM_REG_ARM64_SVE_PREG(15, 0), 0x66);
	fake_kvm_give(KVM_REG_ARM64_SVE_FFR(0), 0x77);
	look(EL1H);
	assert_int_equal(inspect_sve_length(&inspect), 64);
	assert_int_equal(inspect_sve_length_now(&inspect, &length), 0);
	assert_int_equal(length, 64);
	/* There is none of 384. */
	fake_kvm_give(zcr_el1, 2);
	assert_int_equal(inspect_sve_length_now(&inspect, &length), 0);
	assert_int_equal(length, 32);
	assert_int_equal(inspect_sve(&inspect, INSPECT_P + 15, value), 0);
	assert_int_equal(value[0], 0x66);
	assert_int_equal(inspect_sve(&inspect, INSPECT_FFR, value), 0);
	assert_int_equal(value[0], 0x77);
	value[0] = 0x78;
	assert_int_equal(inspect_set_sve(&inspect, INSPECT_FFR, value), 0);
	assert_int_equal(fake_kvm_value(KVM_REG_ARM64_SVE_FFR(0)), 0x78);
	assert_int_equal(inspect_sve(&inspect, 0, value), -ENOENT);
	/* A hypervisor has the last word; its own length is that alone. */
	fake_kvm_give(ARM64_SYS_REG(3, 4, 2, 1, 0), 0);
	fake_kvm_give(ARM64_SYS_REG(3, 4, 1, 1, 0), 1);
	fake_kvm_give(zcr_el1, 3);
	fake_kvm_give(zcr_el2, 1);
	look(EL1H);
	inspect_sve_length_now(&inspect, &length);
	assert_int_equal(length, 32);
	fake_kvm_give(zcr_el1, 0);
	inspect_sve_length_now(&inspect, &length);
	assert_int_equal(length, 16);
	look(EL2H);
	inspect_sve_length_now(&inspect, &length);
	assert_int_equal(length, 32);
}

static char *read_text(enum inspect_regime regime, uint64_t address, size_t size)
{
	static char text[64];

	memset(text, 0, sizeof(text));
	text[inspect_read(&inspect, regime, address, text, size)] = '\0';
	return text;
}

static void memory_is_that_of_the_exception_level(void **state)
{
	uint64_t lower = 0, upper = 0;

	/* Two pages that are apart in RAM, and none after them; EL0's, which PAN keeps others from.
	 */
	map(&lower, 0x400000, (RAM + 0x5000) | PAGE | EL0_TOO);
	map(&lower, 0x401000, (RAM + 0x3000) | PAGE | EL0_TOO);
	map(&upper, 0x7fffe00000, (RAM + 0x8000) | PAGE | UXN);
	use(0, lower, upper);
	write_ram(RAM + 0x5ffc, "abcd");
	write_ram(RAM + 0x3000, "efgh");
	write_ram(RAM + 0x3ffe, "yz");
	write_ram(RAM + 0x8000, "kernel");
	fake_kvm_give(SYS(0, 0, 7, 1), UINT64_C(1) << 20);
	look(EL1H | PAN);
	assert_string_equal(read_text(INSPECT_NOW, 0x400ffc, 8), "abcdefgh");
	assert_string_equal(read_text(INSPECT_NOW, 0x401ffe, 8), "yz");
	assert_string_equal(read_text(INSPECT_NOW, 0xffffffffffe00000, 6), "kernel");
	assert_string_equal(read_text(INSPECT_NOW, 0x402000, 8), "");
	assert_string_equal(read_text(INSPECT_PHYSICAL, RAM + 0x8000, 6), "kernel");
	/* As far as RAM goes. */
	assert_string_equal(read_text(INSPECT_PHYSICAL, RAM + SIZE, 6), "");
	assert_int_equal(
		inspect_read(&inspect, INSPECT_PHYSICAL, RAM + SIZE - 4, (char[8]){ 0 }, 8), 4);
	/* From user space, too: nobody asks for permission. */
	look(EL0T);
	assert_string_equal(read_text(INSPECT_NOW, 0xffffffffffe00000, 6), "kernel");
	/* There is nothing beyond EL1. */
	assert_string_equal(read_text(INSPECT_EL2, RAM, 6), "");
	assert_string_equal(read_text(INSPECT_STAGE2, RAM, 6), "");
	assert_string_equal(read_text(INSPECT_EL1_STAGE2, 0x400ffc, 6), "");
}

static void what_is_written_reaches_instructions(void **state)
{
	uint64_t lower = 0;

	map(&lower, 0x400000, (RAM + 0x5000) | PAGE | BIT(7)); /* read-only */
	use(0, lower, 0);
	look(EL1H);
	assert_int_equal(inspect_write(&inspect, INSPECT_NOW, 0x400ffe, "abcd", 4), 2);
	assert_memory_equal(memory.host + 0x5ffe, "ab", 2);
	assert_int_equal(cleaned, 64);
	assert_true(inspect_write_physical(&memory, RAM + 0x5ffe, "efgh", 4));
	assert_memory_equal(memory.host + 0x5ffe, "efgh", 4);
	assert_int_equal(cleaned, 64 + 128);
	assert_false(inspect_write_physical(&memory, RAM + SIZE - 2, "efgh", 4));
}

/* A page inside, at 0x2000 of its memory, by its own table, which stage 2 finds as well. */
static uint64_t make_inside(void)
{
	uint64_t stage1 = 0, stage2 = 0;

	map(&stage1, 0x400000, 0x2000 | PAGE);
	for (uint64_t table = RAM + MIB(2); table < RAM + MIB(2) + KIB(16); table += KIB(4))
		map(&stage2, table, table | PAGE | S2_READ);
	map(&stage2, 0x2000, (RAM + 0x9000) | PAGE | S2_READ);
	use(0, stage1, 0);
	fake_kvm_give(VTTBR, UINT64_C(5) << 48 | stage2);
	write_ram(RAM + 0x9000, "inside");
	return stage1;
}

static void both_stages_lead_to_the_guest_inside(void **state)
{
	struct translation translation;

	give_el2(HCR_E2H | HCR_VM);
	make_inside();
	look(EL1H);
	assert_string_equal(read_text(INSPECT_NOW, 0x400000, 6), "inside");
	assert_string_equal(read_text(INSPECT_STAGE2, 0x2000, 6), "inside");
	assert_int_equal(inspect_translate(&inspect, INSPECT_EL1, 0x400010, &translation),
			 TRANSLATE_DONE);
	assert_int_equal(translation.gpa, 0x2010);
	assert_int_equal(inspect_translate(&inspect, INSPECT_NOW, 0x400010, &translation),
			 TRANSLATE_DONE);
	assert_int_equal(translation.gpa, RAM + 0x9010);
	assert_int_equal(inspect_translate(&inspect, INSPECT_NOW, 0x500000, &translation),
			 TRANSLATE_AGAIN);
}

static void other_regimes_are_reached_from_the_hypervisor(void **state)
{
	uint64_t upper = 0;

	give_el2(HCR_E2H | HCR_TGE);
	make_inside();
	map(&upper, 0x7fffe00000, (RAM + 0x8000) | PAGE);
	use(4, 0, upper);
	write_ram(RAM + 0x8000, "kernel");
	look(EL2H);
	assert_string_equal(read_text(INSPECT_NOW, 0xffffffffffe00000, 6), "kernel");
	assert_string_equal(read_text(INSPECT_NOW, 0x400000, 6), "");
	assert_string_equal(read_text(INSPECT_EL1_STAGE2, 0x400000, 6), "inside");
	assert_string_equal(read_text(INSPECT_STAGE2, 0x2000, 6), "inside");
	/* And the hypervisor from inside. */
	fake_kvm_give(HCR, HCR_E2H | HCR_VM);
	look(EL1H);
	assert_string_equal(read_text(INSPECT_EL2, 0xffffffffffe00000, 6), "kernel");
	assert_string_equal(read_text(INSPECT_NOW, 0xffffffffffe00000, 6), "");
	/* A register that is set makes another regime of it. */
	fake_kvm_give(SYS(4, 2, 0, 1), 0);
	assert_string_equal(read_text(INSPECT_EL2, 0xffffffffffe00000, 6), "");
	assert_int_equal(inspect_set_system(&inspect, find("TTBR1_EL2"), upper), 0);
	assert_string_equal(read_text(INSPECT_EL2, 0xffffffffffe00000, 6), "kernel");
}

static void memory_that_is_only_executed_is_there(void **state)
{
	uint64_t lower = 0;

	/* With indirect permissions: PIR_EL1 and PIRE0_EL1 give index 0 execution, or nothing. */
	map(&lower, 0x400000, (RAM + 0x5000) | PAGE);
	use(0, lower, 0);
	fake_kvm_give(SYS(0, 2, 0, 3), 2);
	write_ram(RAM + 0x5000, "text");
	look(EL1H);
	assert_string_equal(read_text(INSPECT_NOW, 0x400000, 4), "");
	fake_kvm_give(SYS(0, 10, 2, 3), 2);
	look(EL1H);
	assert_string_equal(read_text(INSPECT_NOW, 0x400000, 4), "text");
	fake_kvm_give(SYS(0, 10, 2, 3), 0);
	fake_kvm_give(SYS(0, 10, 2, 2), 2);
	look(EL1H);
	assert_string_equal(read_text(INSPECT_NOW, 0x400000, 4), "text");
}

static void frame_records_are_followed(void **state)
{
	uint64_t upper = 0, pc[8];
	uint64_t *const stack = (uint64_t *)(memory.host + 0x8000);
	const uint64_t at = 0xffffffffffe00000;

	map(&upper, 0x7fffe00000, (RAM + 0x8000) | PAGE);
	use(0, 0, upper);
	fake_kvm.pc = 0x1000;
	fake_kvm.x[29] = at + 16;
	stack[2] = at + 64;
	stack[3] = 0xffd5ff8012345678; /* signed */
	stack[8] = 0;
	stack[9] = 0xffffff8087654320;
	look(EL1H);
	assert_int_equal(inspect_backtrace(&inspect, pc, 8), 3);
	assert_int_equal(pc[0], 0x1000);
	assert_int_equal(pc[1], 0xffffff8012345678);
	assert_int_equal(pc[2], 0xffffff8087654320);
	/* A circle, and a chain that leads nowhere. */
	stack[8] = at + 16;
	assert_int_equal(inspect_backtrace(&inspect, pc, 8), 8);
	assert_int_equal(inspect_backtrace(&inspect, pc, 1), 1);
	assert_int_equal(inspect_backtrace(&inspect, pc, 0), 0);
	stack[2] = 0x12345678;
	assert_int_equal(inspect_backtrace(&inspect, pc, 8), 2);
	stack[2] = at + 4;
	assert_int_equal(inspect_backtrace(&inspect, pc, 8), 2);
}

static void errors_of_kvm_are_told(void **state)
{
	fake_kvm.fails = "get_reg";
	fake_kvm.error = -EINVAL;
	assert_int_equal(inspect_begin(&inspect, &vcpu), -EINVAL);
	fake_kvm.fails = NULL;
	look(EL1H);
	fake_kvm.fails = "get_reg";
	assert_string_equal(read_text(INSPECT_NOW, RAM, 4), "");
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(a_guest_without_el2_is_at_level_1),
		test(levels_of_a_nest_are_told_apart),
		test(sp_is_the_one_in_use),
		test(registers_of_the_core_have_their_numbers),
		test(system_registers_have_names),
		test(vectors_are_of_fp_or_sve),
		test(sve_has_lengths),
		test(memory_is_that_of_the_exception_level),
		test(what_is_written_reaches_instructions),
		test(both_stages_lead_to_the_guest_inside),
		test(other_regimes_are_reached_from_the_hypervisor),
		test(memory_that_is_only_executed_is_there),
		test(frame_records_are_followed),
		test(errors_of_kvm_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
