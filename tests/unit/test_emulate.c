// SPDX-License-Identifier: GPL-2.0-only
/*
 * What tests/board/emulate.c cannot have a CPU do: what the bus sees, what fails half-way, the
 * other option of memory copy and set, 64-byte accesses, EL2. Words are named by their assembly.
 */
#include "fake_guest.h"
#include "memmap.h"
#include "unit.h"
#include "util.h"
#include "vcpu/vcpu.h"
#include "vmm/vcpu/emulate.h"

#define DEVICE UINT64_C(0x9000000)

#define LDP_X0_X1_X2	 0xa9400440
#define STP_X0_X1_X2	 0xa9000440
#define STP_W0_W1_SP_PRE 0x29bf07e0
#define LDR_Q0_X2	 0x3dc00040
#define STR_Q0_X2	 0x3d800040
#define LDPSW_X0_X1_X2	 0x69400440
#define LDR_X0_X2_POST_8 0xf8408440
#define LDR_X0_X2	 0xf9400040
#define LDTR_X0_X2	 0xf8400840
#define LDAR_X0_X2	 0xc8dffc40
#define LDIAPP_X0_X1_X2	 0xd9410840
#define STILP_X0_X1_X2	 0xd9010840
#define STILP_W0_W1_X2	 0x99011840
#define LDAPUR_D0_X2_8	 0xdd408840
#define SWPP_X0_X1_X2	 0x19218040
#define LDXR_X0_X2	 0xc85f7c40
#define LDADD_X0_X1_X2	 0xf8200041
#define CAS_X0_X1_X2	 0xc8a07c41
#define CASB_W1_W3_X2	 0x08a17c43
#define CASP_X4_X6_X2	 0x48247c46
#define LD64B_X0_X8	 0xf83fd100
#define ST64B_X0_X8	 0xf83f9100
#define ST64BV_X9_X0_X10 0xf829b140
#define CPYFP_X0_X1_X2	 0x19010440
#define CPYFM_X0_X1_X2	 0x19410440
#define CPYP_X0_X1_X2	 0x1d010440
#define CPYM_X0_X1_X2	 0x1d410440
#define SETP_X0_X2_X1	 0x19c10440
#define SETM_X0_X2_X1	 0x19c14440
#define DC_ZVA_X2	 0xd50b7422
#define LD1B_Z0_P0_X2	 0xa400a040
#define LD1SB_Z0H_P0_X2	 0xa5c0a040
#define ST1B_Z0_P0_X2	 0xe400e040
#define STR_Z0_X2	 0xe5804040
#define LD4_V30_X2	 0x4c40005e
#define ST4_V30_X2	 0x4c00005e
#define LD3_V30_B3_X2	 0x0d402c5e
#define LD1_V0_8B_X2	 0x0c407040
#define PRFM_X2		 0xf9800040
#define LDR_LITERAL	 0x58000000
#define NOP		 0xd503201f

#define PSTATE_EL1H 0x3c5
#define PSTATE_C    (UINT64_C(1) << 29)
#define PSTATE_N    (UINT64_C(1) << 31)

static struct memory memory;
static struct bus bus;
static struct vcpu_env env;
static struct vcpu vcpu;
static enum insn_class class;
/* All tests are done twice: addresses looked up in the guest's tables, and by KVM. */
static bool by_kvm;
static struct kvm_run run;

/* Two pages of registers that keep what is written, and what was done to them. */
static uint8_t bytes[2 * FAKE_PAGE];
static struct mmio_access journal[4096];
static unsigned int accesses;

static enum mmio_result device_access(struct device *device, struct mmio_access *mmio)
{
	/* Only a write may wait, as for the console. */
	assert_false(guest.paused && mmio->write);
	if (mmio->write)
		memcpy(&bytes[mmio->offset], &mmio->value, mmio->size);
	else
		memcpy(&mmio->value, &bytes[mmio->offset], mmio->size);
	journal[accesses++ % ARRAY_SIZE(journal)] = *mmio;
	return MMIO_DONE;
}

static void device_destroy(struct device *device)
{
}

static const struct device_ops device_ops = {
	.name = "device",
	.access = device_access,
	.destroy = device_destroy,
};
static struct device device = { .ops = &device_ops, .base = DEVICE, .size = sizeof(bytes) };

static int begin(void **state)
{
	memset(&guest, 0, sizeof(guest));
	memset(&vcpu, 0, sizeof(vcpu));
	guest.pc = 0x40001000;
	guest.pstate = PSTATE_EL1H;
	guest.absent_result = TRANSLATE_AGAIN;
	for (unsigned int i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 7 + (i >> 8);
	for (unsigned int n = 0; n < 31; n++)
		guest.x[n] = UINT64_C(0x1111111111111111) * (n % 15 + 1);
	guest.x[2] = guest.x[8] = guest.x[10] = DEVICE;
	accesses = 0;
	bus_create(&bus);
	bus_add(&bus, &device);
	bus_freeze(&bus);
	env = (struct vcpu_env){
		.bus = &bus,
		.memory = &memory,
		.lookup_by_kvm = by_kvm,
		.read_modify_write = PTHREAD_MUTEX_INITIALIZER,
	};
	vcpu.env = &env;
	vcpu.run = &run;
	if (memory_create(&memory, RAM_BASE, MIB(2), MEMORY_ANON, NULL) < 0)
		return -1;
	return catch_begin(state);
}

static int finish(void **state)
{
	memory_destroy(&memory);
	bus_destroy(&bus);
	assert_false(guest.paused);
	return catch_end(state);
}

static uint64_t number(const uint8_t *place, unsigned int size)
{
	uint64_t value = 0;

	memcpy(&value, place, size);
	return value;
}

/* What the vCPU stands at, as KVM tells it with the exit if asked to. */
static void stand_at(uint32_t word)
{
	struct kvm_arm_nisv_insn exit = {
		.fault_ipa = DEVICE,
		.flags = guest.fetch == TRANSLATE_DONE ? KVM_EXIT_ARM_NISV_FLAG_INSN_VALID : 0,
		.insn = word,
	};

	guest.word = word;
	memcpy(&run.arm_nisv, &exit, sizeof(exit));
}

static void assert_emulated(uint32_t word)
{
	const uint64_t pc = guest.pc;

	stand_at(word);
	assert_int_equal(emulate(&vcpu, &class), EMULATE_DONE);
	assert_int_equal(guest.pc, pc + 4);
}

/* Nothing of it may be seen. */
static void assert_untouched(uint32_t word, enum emulate_result result)
{
	stand_at(word);
	guest.writes = 0;
	accesses = 0;
	assert_int_equal(emulate(&vcpu, &class), result);
	assert_int_equal(guest.writes, 0);
	assert_int_equal(accesses, 0);
}

static void assert_access(unsigned int i, uint64_t offset, unsigned int size, bool write)
{
	assert_true(i < accesses);
	assert_int_equal(journal[i].offset, offset);
	assert_int_equal(journal[i].size, size);
	assert_int_equal(journal[i].write, write);
}

/* What the bus sees. */

static void pairs_are_two_accesses(void **state)
{
	assert_emulated(LDP_X0_X1_X2);
	assert_int_equal(class, INSN_PAIR);
	assert_int_equal(accesses, 2);
	assert_access(0, 0, 8, false);
	assert_access(1, 8, 8, false);
	assert_int_equal(guest.x[0], number(bytes, 8));
	assert_int_equal(guest.x[1], number(bytes + 8, 8));
}

static void vectors_are_eight_bytes_at_a_time(void **state)
{
	assert_emulated(LDR_Q0_X2);
	assert_int_equal(accesses, 2);
	assert_access(1, 8, 8, false);
	assert_memory_equal(guest.vector[0], bytes, 16);
}

static void writing_v_zeroes_the_rest_of_z(void **state)
{
	guest.sve = true;
	memset(guest.vector[0], 0xee, 256);
	assert_emulated(LDR_Q0_X2);
	assert_memory_equal(guest.vector[0], bytes, 16);
	for (unsigned int i = 16; i < 256; i++)
		assert_int_equal(guest.vector[0][i], 0);
}

static void structures_go_by_element_and_wrap_around(void **state)
{
	assert_emulated(LD4_V30_X2);
	assert_int_equal(accesses, 64);
	for (unsigned int i = 0; i < 64; i++) {
		assert_access(i, i, 1, false);
		assert_int_equal(guest.vector[(30 + i % 4) % 32][i / 4], bytes[i]);
	}
}

static void single_lanes_leave_the_others_alone(void **state)
{
	for (unsigned int n = 0; n < 32; n++)
		memset(guest.vector[n], 0xe0 | n, 16);
	assert_emulated(LD3_V30_B3_X2);
	assert_int_equal(accesses, 3);
	for (unsigned int n = 30; n < 33; n++)
		for (unsigned int i = 0; i < 16; i++)
			assert_int_equal(guest.vector[n % 32][i],
					 i == 3 ? bytes[n - 30] : 0xe0 | n % 32);
}

static void half_a_vector_zeroes_the_other_half(void **state)
{
	memset(guest.vector[0], 0xee, 16);
	assert_emulated(LD1_V0_8B_X2);
	assert_int_equal(accesses, 8);
	assert_memory_equal(guest.vector[0], bytes, 8);
	assert_int_equal(number(guest.vector[0] + 8, 8), 0);
}

static void inactive_elements_are_not_accessed(void **state)
{
	guest.sve = true;
	guest.lengths[0] = 3;
	guest.zcr_el1 = 0xf;
	guest.predicate[0][0] = 0x05;
	memset(guest.vector[0], 0xee, 256);
	assert_emulated(LD1B_Z0_P0_X2);
	assert_int_equal(accesses, 2);
	assert_access(0, 0, 1, false);
	assert_access(1, 2, 1, false);
	assert_int_equal(guest.vector[0][0], bytes[0]);
	assert_int_equal(guest.vector[0][1], 0);
	assert_int_equal(guest.vector[0][2], bytes[2]);

	/* Nor what a predicate has beyond the vector's length. */
	accesses = 0;
	guest.zcr_el1 = 0;
	guest.predicate[0][2] = guest.predicate[0][3] = 0xff;
	assert_emulated(LD1B_Z0_P0_X2);
	assert_int_equal(accesses, 2);
}

static void sve_loads_extend_the_sign(void **state)
{
	guest.sve = true;
	guest.lengths[0] = 1;
	guest.predicate[0][0] = 0x05;
	bytes[0] = 0x7f;
	bytes[1] = 0x85;
	assert_emulated(LD1SB_Z0H_P0_X2);
	assert_int_equal(guest.vector[0][0], 0x7f);
	assert_int_equal(guest.vector[0][1], 0);
	assert_int_equal(guest.vector[0][2], 0x85);
	assert_int_equal(guest.vector[0][3], 0xff);
	assert_int_equal(guest.vector[0][4], 0);
}

static void sve_length_is_that_of_the_exception_level(void **state)
{
	guest.sve = guest.has_el2 = true;
	guest.lengths[0] = 0xff;
	memset(guest.predicate[0], 0xff, 32);
	guest.zcr_el1 = 5;
	guest.zcr_el2 = 3;
	assert_emulated(LD1B_Z0_P0_X2);
	assert_int_equal(accesses, 4 * 16);
	accesses = 0;
	guest.zcr_el2 = 0xf;
	assert_emulated(LD1B_Z0_P0_X2);
	assert_int_equal(accesses, 6 * 16);
	accesses = 0;
	guest.regime.kind = REGIME_EL20;
	guest.zcr_el2 = 6;
	assert_emulated(LD1B_Z0_P0_X2);
	assert_int_equal(accesses, 7 * 16);
	/* Not every length is there. */
	accesses = 0;
	guest.lengths[0] = 0x03;
	assert_emulated(LD1B_Z0_P0_X2);
	assert_int_equal(accesses, 2 * 16);
}

static void sve_without_sve_aborts(void **state)
{
	assert_untouched(LD1B_Z0_P0_X2, EMULATE_ABORT);
}

static void unaligned_accesses_are_made_of_aligned_ones(void **state)
{
	guest.x[2] = DEVICE + 3;
	assert_emulated(LDR_X0_X2);
	assert_int_equal(accesses, 4);
	assert_access(0, 3, 1, false);
	assert_access(1, 4, 4, false);
	assert_access(2, 8, 2, false);
	assert_access(3, 10, 1, false);
	assert_int_equal(guest.x[0], number(bytes + 3, 8));
}

static void ordered_pairs_push_and_pop(void **state)
{
	guest.x[2] = DEVICE + 0x20;
	assert_emulated(LDIAPP_X0_X1_X2);
	assert_access(0, 0x20, 8, false);
	assert_access(1, 0x28, 8, false);
	assert_int_equal(guest.x[1], number(bytes + 0x28, 8));
	assert_int_equal(guest.x[2], DEVICE + 0x30);
	accesses = 0;
	assert_emulated(STILP_X0_X1_X2);
	assert_access(0, 0x20, 8, true);
	assert_access(1, 0x28, 8, true);
	assert_int_equal(guest.x[2], DEVICE + 0x20);
	accesses = 0;
	assert_emulated(STILP_W0_W1_X2);
	assert_access(1, 0x24, 4, true);
	assert_int_equal(guest.x[2], DEVICE + 0x20);
}

static void ordered_accesses_of_vectors_are_aligned(void **state)
{
	guest.x[2] = DEVICE + 8;
	assert_emulated(LDAPUR_D0_X2_8);
	assert_int_equal(accesses, 1);
	assert_access(0, 16, 8, false);
	assert_memory_equal(guest.vector[0], bytes + 16, 8);
	guest.x[2] = DEVICE + 4;
	assert_untouched(LDAPUR_D0_X2_8, EMULATE_ABORT);
}

static void device_memory_takes_none_of_them(void **state)
{
	guest.device = true;
	guest.x[2] = DEVICE + 4;
	assert_untouched(LDR_X0_X2, EMULATE_ABORT);
	guest.x[2] = DEVICE + 8;
	assert_emulated(LDR_Q0_X2);
}

static void each_piece_goes_where_it_lies(void **state)
{
	uint8_t *ram = memory_at(&memory, RAM_BASE, FAKE_PAGE);

	memset(ram, 0xa5, FAKE_PAGE);
	guest.x[2] = RAM_BASE - 8;
	assert_emulated(LDP_X0_X1_X2);
	assert_int_equal(guest.x[0], UINT64_MAX);
	assert_int_equal(guest.x[1], 0xa5a5a5a5a5a5a5a5);
	assert_said("guest read 8 bytes at 0x3ffffff8, where nothing is");
	guest.x[2] = DEVICE + sizeof(bytes) - 8;
	assert_emulated(LDP_X0_X1_X2);
	assert_int_equal(guest.x[0], number(bytes + sizeof(bytes) - 8, 8));
	assert_int_equal(guest.x[1], UINT64_MAX);
}

static void accesses_are_counted_by_address(void **state)
{
	uint64_t reads = 0;

	assert_emulated(LDP_X0_X1_X2);
	for (unsigned int i = 0; i < COUNTERS_MMIO; i++)
		reads += counter_read(&vcpu.counters.mmio[i].reads);
	assert_int_equal(reads, 2);
}

/* Registers. */

static void sign_and_width(void **state)
{
	memset(bytes, 0x80, 8);
	assert_emulated(LDPSW_X0_X1_X2);
	assert_int_equal(guest.x[0], 0xffffffff80808080);
	assert_int_equal(guest.x[1], 0xffffffff80808080);
}

static void big_endian_data(void **state)
{
	static const struct {
		uint64_t sctlr, pstate;
		bool swapped;
	} cases[] = {
		{ 1 << 25, PSTATE_EL1H, true },
		{ 1 << 25, 0x3c0, false },
		{ 1 << 24, PSTATE_EL1H, false },
		{ 1 << 24, 0x3c0, true },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		const uint64_t value = number(bytes, 8);

		guest.regime.sctlr = cases[i].sctlr;
		guest.pstate = cases[i].pstate;
		assert_emulated(LDR_X0_X2);
		assert_true(guest.x[0] == (cases[i].swapped ? __builtin_bswap64(value) : value));
	}
}

static void the_base_is_the_stack_pointer_of_the_level(void **state)
{
	const struct {
		uint64_t pstate;
		uint64_t *sp;
	} cases[] = {
		{ 0x3c0, &guest.sp_el0 }, { 0x3c4, &guest.sp_el0 }, { 0x3c5, &guest.sp_el1 },
		{ 0x3c8, &guest.sp_el0 }, { 0x3c9, &guest.sp_el2 },
	};

	guest.has_el2 = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		guest.sp_el0 = guest.sp_el1 = guest.sp_el2 = 0;
		*cases[i].sp = DEVICE + 0x108;
		guest.pstate = cases[i].pstate;
		accesses = 0;
		assert_emulated(STP_W0_W1_SP_PRE);
		assert_int_equal(accesses, 2);
		assert_access(0, 0x100, 4, true);
		assert_access(1, 0x104, 4, true);
		assert_int_equal(*cases[i].sp, DEVICE + 0x100);
	}
}

static void single_step_and_branch_type_end(void **state)
{
	guest.pstate = PSTATE_EL1H | 3 << 10 | 1 << 21 | UINT64_C(0xf) << 28;
	assert_emulated(LDR_X0_X2);
	assert_int_equal(guest.pstate, PSTATE_EL1H | UINT64_C(0xf) << 28);
}

static void prefetch_only_moves_on(void **state)
{
	assert_emulated(PRFM_X2);
	assert_int_equal(accesses, 0);
	assert_int_equal(guest.writes, 1);
}

/* What fails. */

static void half_a_translation_leaves_no_trace(void **state)
{
	static const uint32_t words[] = { LDP_X0_X1_X2, LDR_Q0_X2,	  STR_Q0_X2,
					  LD4_V30_X2,	LDR_X0_X2_POST_8, LD1B_Z0_P0_X2 };

	guest.sve = true;
	guest.lengths[0] = 1;
	memset(guest.predicate[0], 0xff, 32);
	guest.x[2] = DEVICE + FAKE_PAGE - 4;
	guest.absent = DEVICE + FAKE_PAGE;
	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++) {
		guest.absent_result = TRANSLATE_AGAIN;
		assert_untouched(words[i], EMULATE_AGAIN);
		guest.absent_result = TRANSLATE_FAIL;
		assert_untouched(words[i], EMULATE_ABORT);
	}
}

static void an_instruction_that_cannot_be_read(void **state)
{
	guest.fetch = TRANSLATE_AGAIN;
	/* KVM has the guest try again by itself. */
	assert_untouched(LDP_X0_X1_X2, by_kvm ? EMULATE_ABORT : EMULATE_AGAIN);
	assert_int_equal(class, INSN_NONE);
	guest.fetch = TRANSLATE_FAIL;
	assert_untouched(LDP_X0_X1_X2, EMULATE_ABORT);
}

static void what_is_refused_aborts(void **state)
{
	assert_untouched(LDXR_X0_X2, EMULATE_ABORT);
	assert_int_equal(class, INSN_EXCLUSIVE);
	assert_untouched(LDR_LITERAL, EMULATE_ABORT);
	assert_int_equal(class, INSN_REFUSED);
	assert_untouched(SWPP_X0_X1_X2, EMULATE_ABORT);
	assert_int_equal(class, INSN_REFUSED);
	assert_untouched(NOP, EMULATE_ABORT);
	assert_int_equal(class, INSN_NONE);
	guest.x[2] = DEVICE + 4;
	assert_untouched(LDAR_X0_X2, EMULATE_ABORT);
	assert_untouched(LDADD_X0_X1_X2, EMULATE_ABORT);
	assert_untouched(CAS_X0_X1_X2, EMULATE_ABORT);
	guest.x[8] = DEVICE + 32;
	assert_untouched(LD64B_X0_X8, EMULATE_ABORT);
}

static void aarch32_aborts(void **state)
{
	guest.pstate = 0x1d0;
	assert_untouched(LDP_X0_X1_X2, EMULATE_ABORT);
}

static void a_register_that_kvm_refuses(void **state)
{
	guest.refused = KVM_CORE_REG(regs.regs[0]) + 2 * 2;
	assert_untouched(LDP_X0_X1_X2, EMULATE_ERROR);
	guest.refused = KVM_CORE_REG(regs.regs[0]);
	assert_untouched(LDADD_X0_X1_X2, EMULATE_ERROR);
	assert_untouched(CAS_X0_X1_X2, EMULATE_ERROR);
	assert_untouched(ST64B_X0_X8, EMULATE_ERROR);
}

static void unprivileged_accesses_are_translated_as_such(void **state)
{
	guest.absent = DEVICE;
	guest.present_unprivileged = true;
	assert_emulated(LDTR_X0_X2);
	assert_untouched(LDR_X0_X2, EMULATE_AGAIN);
}

/* What reads and writes in one needs to be allowed both. */
static void nothing_writes_where_it_may_only_read(void **state)
{
	static const uint32_t words[] = { STP_X0_X1_X2, STR_Q0_X2,     LDADD_X0_X1_X2,
					  CAS_X0_X1_X2, CASB_W1_W3_X2, CASP_X4_X6_X2,
					  ST64B_X0_X8,	DC_ZVA_X2 };

	guest.read_only = DEVICE;
	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
		assert_untouched(words[i], EMULATE_AGAIN);
	assert_emulated(LDP_X0_X1_X2);
}

/* Read and write in one. */

static void atomics_read_and_write_once(void **state)
{
	const uint64_t old = number(bytes, 8), operand = guest.x[0];

	assert_emulated(LDADD_X0_X1_X2);
	assert_int_equal(accesses, 2);
	assert_access(0, 0, 8, false);
	assert_access(1, 0, 8, true);
	assert_int_equal(guest.x[1], old);
	assert_true(number(bytes, 8) == old + operand);
}

/* LDADD, LDCLR, LDEOR, LDSET, LDSMAX, LDSMIN, LDUMAX, LDUMIN, SWP: of 1 << size bytes at X2. */
#define ATOMICS				 9
#define ATOMIC_X1_X3_X2(size, operation) (0x38210043 | (uint32_t)(size) << 30 | (operation) << 12)

/* Signed numbers have the order of unsigned ones when their signs are turned round. */
static uint64_t atomic_by_hand(unsigned int operation, uint64_t old, uint64_t operand,
			       uint64_t sign)
{
	const bool is_more = operation < 6 ? (old ^ sign) > (operand ^ sign) : old > operand;
	const uint64_t more = is_more ? old : operand, less = is_more ? operand : old;
	const uint64_t results[ATOMICS] = {
		old + operand, old & ~operand, old ^ operand, old | operand, more,
		less,	       more,	       less,	      operand,
	};

	return results[operation];
}

/* Of a register no more counts than what there is in memory. */
static void atomics_of_all_kinds_and_sizes(void **state)
{
	static const uint64_t values[] = { 0, 1, 0x7f, 0x80, 0xff, 0x55, 0xaa };

	for (unsigned int size = 0; size < 4; size++) {
		const unsigned int bits = 8 << size;
		const uint64_t mask = UINT64_MAX >> (64 - bits);

		for (unsigned int i = 0; i < ATOMICS * 49; i++) {
			/* At both ends of what is looked at. */
			const uint64_t old = values[i % 7] << (bits - 8) | values[i / 7 % 7];
			const uint64_t operand = values[i / 7 % 7] << (bits - 8) | values[i % 7];

			memcpy(bytes, &old, 8);
			guest.x[1] = bits < 64 ? operand | UINT64_C(0x5a5a) << bits : operand;
			assert_emulated(ATOMIC_X1_X3_X2(size, i / 49));
			assert_true(guest.x[3] == (old & mask));
			assert_true(number(bytes, bits / 8) ==
				    (mask & atomic_by_hand(i / 49, old & mask, operand & mask,
							   UINT64_C(1) << (bits - 1))));
		}
	}
}

static void narrow_compares_see_no_more_than_they_write(void **state)
{
	bytes[0] = 0x22;
	bytes[1] = 0x77;
	guest.x[1] = 0x1122;
	guest.x[3] = 0x3344;
	assert_emulated(CASB_W1_W3_X2);
	assert_int_equal(bytes[0], 0x44);
	assert_int_equal(bytes[1], 0x77);
	assert_int_equal(guest.x[1], 0x22);
}

static void compare_writes_only_what_is_equal(void **state)
{
	const uint64_t old = number(bytes, 8);

	assert_emulated(CAS_X0_X1_X2);
	assert_int_equal(accesses, 1);
	assert_int_equal(guest.x[0], old);
	assert_emulated(CAS_X0_X1_X2);
	assert_int_equal(accesses, 3);
	assert_true(number(bytes, 8) == guest.x[1]);
}

/* Half of it is nothing. */
static void pairs_are_compared_whole(void **state)
{
	uint8_t before[16];

	for (unsigned int other = 0; other < 3; other++) {
		memcpy(before, bytes, 16);
		guest.x[4] = number(bytes, 8) + (other == 1);
		guest.x[5] = number(bytes + 8, 8) + (other == 2);
		accesses = 0;
		assert_emulated(CASP_X4_X6_X2);
		assert_access(0, 0, 8, false);
		assert_access(1, 8, 8, false);
		assert_int_equal(accesses, other == 0 ? 4 : 2);
		assert_true(guest.x[4] == number(before, 8));
		assert_true(guest.x[5] == number(before + 8, 8));
		assert_true(number(bytes, 8) == guest.x[6]);
		assert_true(number(bytes + 8, 8) == guest.x[7]);
	}
}

static void atomics_on_ram_are_the_cpus(void **state)
{
	guest.x[2] = RAM_BASE;
	assert_untouched(LDADD_X0_X1_X2, EMULATE_AGAIN);
	assert_untouched(CAS_X0_X1_X2, EMULATE_AGAIN);
}

/* 64 bytes. */

static void sixty_four_bytes_are_eight_accesses(void **state)
{
	assert_emulated(ST64B_X0_X8);
	assert_int_equal(accesses, 8);
	for (unsigned int i = 0; i < 8; i++) {
		assert_access(i, 8 * i, 8, true);
		assert_true(journal[i].value == guest.x[i]);
	}
	for (unsigned int i = 0; i < 64; i++)
		bytes[i] = i;
	assert_emulated(LD64B_X0_X8);
	for (unsigned int i = 0; i < 8; i++)
		assert_true(guest.x[i] == number(bytes + 8 * i, 8));
}

static void a_store_with_status_is_not_taken(void **state)
{
	assert_emulated(ST64BV_X9_X0_X10);
	assert_int_equal(accesses, 0);
	assert_true(guest.x[9] == UINT64_MAX);
}

/* Memory copy and set, and zeroing. */

#define FROM (RAM_BASE + 0x1000)

static void option_b_goes_on_as_it_began(void **state)
{
	uint8_t *ram = memory_at(&memory, FROM, FAKE_PAGE);

	memset(ram, 0x3c, 100);
	guest.x[0] = DEVICE;
	guest.x[1] = FROM;
	guest.x[2] = 100;
	guest.pstate = PSTATE_EL1H | PSTATE_C;
	assert_emulated(CPYFM_X0_X1_X2);
	assert_int_equal(guest.x[0], DEVICE + 100);
	assert_int_equal(guest.x[1], FROM + 100);
	assert_int_equal(guest.x[2], 0);
	assert_int_equal(guest.pstate, PSTATE_EL1H | PSTATE_C);
	assert_memory_equal(bytes, ram, 100);
}

static void option_b_goes_backward(void **state)
{
	uint8_t want[100];

	memcpy(want, bytes, 100);
	guest.x[0] = DEVICE + 110;
	guest.x[1] = DEVICE + 100;
	guest.x[2] = 100;
	guest.pstate = PSTATE_EL1H | PSTATE_C | PSTATE_N;
	assert_emulated(CPYM_X0_X1_X2);
	assert_int_equal(guest.x[0], DEVICE + 10);
	assert_int_equal(guest.x[1], DEVICE);
	assert_int_equal(guest.x[2], 0);
	assert_memory_equal(bytes + 10, want, 100);
}

/* Much more than goes at once: what is overwritten has been read before. */
static void overlapping_copies_go_from_the_right_end(void **state)
{
	static const uint64_t from[] = { 0, 100, 0, 1500 }, to[] = { 100, 0, 1500, 0 };
	uint8_t want[1500];

	for (unsigned int i = 0; i < ARRAY_SIZE(from); i++) {
		memcpy(want, bytes + from[i], sizeof(want));
		guest.x[0] = DEVICE + to[i];
		guest.x[1] = DEVICE + from[i];
		guest.x[2] = sizeof(want);
		accesses = 0;
		assert_emulated(CPYP_X0_X1_X2);
		assert_memory_equal(bytes + to[i], want, sizeof(want));
		/* Only one that overlaps with its source from above goes downwards. */
		assert_int_equal(journal[0].offset,
				 i == 0 ? sizeof(want) - journal[0].size : from[i]);
	}
}

static void option_b_sets(void **state)
{
	guest.x[0] = DEVICE + 1;
	guest.x[1] = 0x5a;
	guest.x[2] = 9;
	guest.pstate = PSTATE_EL1H | PSTATE_C;
	assert_emulated(SETM_X0_X2_X1);
	assert_int_equal(guest.x[0], DEVICE + 10);
	assert_int_equal(guest.x[2], 0);
	assert_int_equal(bytes[0], 0);
	assert_int_equal(bytes[1], 0x5a);
	assert_int_equal(bytes[9], 0x5a);
	assert_int_not_equal(bytes[10], 0x5a);
}

static void an_exit_is_bounded(void **state)
{
	const uint64_t pc = guest.pc;

	guest.x[0] = RAM_BASE;
	guest.x[1] = 0;
	guest.x[2] = UINT64_MAX;
	assert_emulated(SETP_X0_X2_X1);
	/* Option A: from the end, and saturated. */
	assert_true(guest.x[2] == -(uint64_t)(INT64_MAX - EMULATE_STRING_MAX));
	assert_true(guest.x[0] == RAM_BASE + INT64_MAX);
	guest.pc = pc;
	stand_at(SETM_X0_X2_X1);
	assert_int_equal(emulate(&vcpu, &class), EMULATE_DONE);
	assert_int_equal(guest.pc, pc);
	assert_true(guest.x[2] == -(uint64_t)(INT64_MAX - 2 * EMULATE_STRING_MAX));
}

static void progress_is_kept_when_the_rest_fails(void **state)
{
	guest.x[0] = DEVICE + FAKE_PAGE - 20;
	guest.x[1] = RAM_BASE;
	guest.x[2] = 50;
	guest.absent = DEVICE + FAKE_PAGE;
	guest.absent_result = TRANSLATE_FAIL;
	assert_emulated(CPYFP_X0_X1_X2);
	assert_true(guest.x[2] == (uint64_t)-30);
	assert_true(guest.x[0] == DEVICE + FAKE_PAGE + 30);
	assert_true(guest.x[1] == RAM_BASE + 50);
	assert_untouched(CPYFM_X0_X1_X2, EMULATE_ABORT);
	/* A source that cannot be read, and nothing is done. */
	guest.x[0] = DEVICE;
	guest.x[1] = DEVICE + FAKE_PAGE;
	guest.x[2] = 8;
	assert_untouched(CPYFP_X0_X1_X2, EMULATE_ABORT);
}

static void zeroing_is_of_the_whole_block(void **state)
{
	guest.x[2] = DEVICE + 64 + 17;
	assert_emulated(DC_ZVA_X2);
	assert_int_equal(accesses, 8);
	assert_access(0, 64, 8, true);
	for (unsigned int i = 64; i < 128; i++)
		assert_int_equal(bytes[i], 0);
	assert_int_not_equal(bytes[63], 0);
	assert_int_not_equal(bytes[129], 0);
}

/*
 * Order with what other vCPUs invalidate. The page below the device is RAM, OLD; before the other
 * vCPUs are paused, another one has put NEW there in its place, and uses OLD for something else.
 */

#define EDGE DEVICE
#define OLD  (RAM_BASE + 0x10000)
#define NEW  (RAM_BASE + 0x11000)

static void replace_old(void)
{
	guest.moved_to = NEW;
	memset(memory_at(&memory, OLD, FAKE_PAGE), 0xdd, FAKE_PAGE);
}

static void replace_meanwhile(uint8_t **old, uint8_t **new)
{
	*old = memory_at(&memory, OLD, FAKE_PAGE);
	*new = memory_at(&memory, NEW, FAKE_PAGE);
	memset(*old, 0x11, FAKE_PAGE);
	memset(*new, 0x22, FAKE_PAGE);
	guest.moved = EDGE - FAKE_PAGE;
	guest.moved_to = OLD;
	guest.meanwhile = replace_old;
	guest.pauses = 0;
	memset(bytes, 0x33, sizeof(bytes));
	guest.sve = true;
	guest.lengths[0] = 1;
	memset(guest.predicate[0], 0xff, 32);
	memset(guest.vector, 0x44, sizeof(guest.vector));
	guest.x[0] = guest.x[1] = 0x4444444444444444;
}

static void assert_all(const uint8_t *place, uint8_t value, unsigned int size)
{
	for (unsigned int i = 0; i < size; i++)
		assert_int_equal(place[i], value);
}

static void a_page_that_was_taken_away_is_not_written(void **state)
{
	static const struct {
		uint32_t word;
		unsigned int bytes;
	} cases[] = {
		{ STP_X0_X1_X2, 16 },  { STR_Q0_X2, 16 }, { ST4_V30_X2, 64 },
		{ ST1B_Z0_P0_X2, 16 }, { STR_Z0_X2, 16 },
	};
	uint8_t *old, *new;

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		const unsigned int half = cases[i].bytes / 2;

		replace_meanwhile(&old, &new);
		guest.x[2] = EDGE - half;
		assert_emulated(cases[i].word);
		assert_int_equal(guest.pauses, 1);
		assert_all(old, 0xdd, FAKE_PAGE);
		assert_all(new, 0x22, FAKE_PAGE - half);
		assert_all(new + FAKE_PAGE - half, 0x44, half);
		assert_all(bytes, 0x44, half);
		assert_all(bytes + half, 0x33, half);
	}
}

static void a_page_that_was_taken_away_is_not_read(void **state)
{
	uint8_t *old, *new;

	replace_meanwhile(&old, &new);
	guest.x[2] = EDGE - 8;
	assert_emulated(LDP_X0_X1_X2);
	assert_true(guest.x[0] == 0x2222222222222222);
	assert_true(guest.x[1] == 0x3333333333333333);

	replace_meanwhile(&old, &new);
	assert_emulated(LDR_Q0_X2);
	assert_all(guest.vector[0], 0x22, 8);
	assert_all(guest.vector[0] + 8, 0x33, 8);

	replace_meanwhile(&old, &new);
	assert_emulated(LD1B_Z0_P0_X2);
	assert_all(guest.vector[0], 0x22, 8);
	assert_all(guest.vector[0] + 8, 0x33, 8);
	assert_int_equal(guest.pauses, 1);
}

static void copies_know_the_page_of_now(void **state)
{
	uint8_t *old, *new;

	/* Three batches, the last of which is a small one. */
	replace_meanwhile(&old, &new);
	guest.x[0] = EDGE - 600;
	guest.x[1] = DEVICE;
	guest.x[2] = 600;
	assert_emulated(CPYFP_X0_X1_X2);
	assert_int_equal(guest.x[2], 0);
	assert_all(old, 0xdd, FAKE_PAGE);
	assert_all(new, 0x22, FAKE_PAGE - 600);
	assert_all(new + FAKE_PAGE - 600, 0x33, 600);
	assert_int_equal(guest.pauses, 3);

	replace_meanwhile(&old, &new);
	guest.x[0] = DEVICE;
	guest.x[1] = EDGE - 600;
	guest.x[2] = 600;
	assert_emulated(CPYFP_X0_X1_X2);
	assert_all(bytes, 0x22, 600);

	replace_meanwhile(&old, &new);
	guest.x[0] = EDGE - 8;
	guest.x[1] = 0x55;
	guest.x[2] = 16;
	assert_emulated(SETP_X0_X2_X1);
	assert_all(old, 0xdd, FAKE_PAGE);
	assert_all(new + FAKE_PAGE - 8, 0x55, 8);
	assert_all(bytes, 0x55, 8);
}

static void vanish(void)
{
	guest.absent = EDGE - FAKE_PAGE;
}

static void a_page_that_is_gone_is_not_touched(void **state)
{
	static const uint32_t words[] = { STP_X0_X1_X2, LDP_X0_X1_X2, STR_Q0_X2, ST4_V30_X2 };
	uint8_t *old, *new;

	replace_meanwhile(&old, &new);
	guest.x[2] = EDGE - 8;
	guest.meanwhile = vanish;
	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++) {
		guest.absent = 0;
		assert_untouched(words[i], EMULATE_AGAIN);
	}
	guest.absent = 0;
	guest.x[0] = EDGE - 8;
	guest.x[1] = DEVICE;
	guest.x[2] = 8;
	assert_untouched(CPYFP_X0_X1_X2, EMULATE_AGAIN);
	assert_all(old, 0x11, FAKE_PAGE);
	assert_int_equal(guest.pauses, 5);
}

static void appear(void)
{
	guest.absent = 0;
}

/* A walk that others run into half-way may find anything. */
static void a_fault_without_order_is_none(void **state)
{
	uint8_t *old, *new;

	replace_meanwhile(&old, &new);
	guest.x[2] = EDGE - 8;
	guest.absent = EDGE - FAKE_PAGE;
	guest.absent_result = TRANSLATE_FAIL;
	guest.meanwhile = appear;
	assert_emulated(STP_X0_X1_X2);
	assert_all(old + FAKE_PAGE - 8, 0x44, 8);
}

static void change_instruction(void)
{
	guest.word = NOP;
}

static void another_instruction_is_not_taken_for_it(void **state)
{
	uint8_t *old, *new;

	replace_meanwhile(&old, &new);
	guest.x[2] = EDGE - 8;
	guest.meanwhile = change_instruction;
	assert_untouched(STP_X0_X1_X2, EMULATE_AGAIN);
	assert_all(old, 0x11, FAKE_PAGE);
}

static void nobody_is_paused_for_the_page_of_the_fault(void **state)
{
	static const uint32_t words[] = { STP_X0_X1_X2,	  LDP_X0_X1_X2, LD4_V30_X2,
					  LDADD_X0_X1_X2, DC_ZVA_X2,	LDR_Q0_X2 };

	guest.x[2] = DEVICE + 64;
	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
		assert_emulated(words[i]);
	guest.x[0] = DEVICE;
	guest.x[2] = FAKE_PAGE;
	assert_emulated(SETP_X0_X2_X1);
	assert_int_equal(guest.pauses, 0);
	/* Of the second page the CPU has said nothing. */
	guest.x[2] = DEVICE + FAKE_PAGE - 8;
	assert_emulated(STP_X0_X1_X2);
	assert_int_equal(guest.pauses, 1);
}

#define on_vcpu(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_vcpu(pairs_are_two_accesses),
		on_vcpu(vectors_are_eight_bytes_at_a_time),
		on_vcpu(writing_v_zeroes_the_rest_of_z),
		on_vcpu(structures_go_by_element_and_wrap_around),
		on_vcpu(single_lanes_leave_the_others_alone),
		on_vcpu(half_a_vector_zeroes_the_other_half),
		on_vcpu(inactive_elements_are_not_accessed),
		on_vcpu(sve_loads_extend_the_sign),
		on_vcpu(sve_length_is_that_of_the_exception_level),
		on_vcpu(sve_without_sve_aborts),
		on_vcpu(unaligned_accesses_are_made_of_aligned_ones),
		on_vcpu(ordered_pairs_push_and_pop),
		on_vcpu(ordered_accesses_of_vectors_are_aligned),
		on_vcpu(device_memory_takes_none_of_them),
		on_vcpu(each_piece_goes_where_it_lies),
		on_vcpu(accesses_are_counted_by_address),
		on_vcpu(sign_and_width),
		on_vcpu(big_endian_data),
		on_vcpu(the_base_is_the_stack_pointer_of_the_level),
		on_vcpu(single_step_and_branch_type_end),
		on_vcpu(prefetch_only_moves_on),
		on_vcpu(half_a_translation_leaves_no_trace),
		on_vcpu(an_instruction_that_cannot_be_read),
		on_vcpu(what_is_refused_aborts),
		on_vcpu(aarch32_aborts),
		on_vcpu(a_register_that_kvm_refuses),
		on_vcpu(unprivileged_accesses_are_translated_as_such),
		on_vcpu(nothing_writes_where_it_may_only_read),
		on_vcpu(atomics_read_and_write_once),
		on_vcpu(atomics_of_all_kinds_and_sizes),
		on_vcpu(narrow_compares_see_no_more_than_they_write),
		on_vcpu(compare_writes_only_what_is_equal),
		on_vcpu(pairs_are_compared_whole),
		on_vcpu(atomics_on_ram_are_the_cpus),
		on_vcpu(sixty_four_bytes_are_eight_accesses),
		on_vcpu(a_store_with_status_is_not_taken),
		on_vcpu(option_b_goes_on_as_it_began),
		on_vcpu(option_b_goes_backward),
		on_vcpu(overlapping_copies_go_from_the_right_end),
		on_vcpu(option_b_sets),
		on_vcpu(an_exit_is_bounded),
		on_vcpu(progress_is_kept_when_the_rest_fails),
		on_vcpu(zeroing_is_of_the_whole_block),
		on_vcpu(a_page_that_was_taken_away_is_not_written),
		on_vcpu(a_page_that_was_taken_away_is_not_read),
		on_vcpu(copies_know_the_page_of_now),
		on_vcpu(a_page_that_is_gone_is_not_touched),
		on_vcpu(a_fault_without_order_is_none),
		on_vcpu(another_instruction_is_not_taken_for_it),
		on_vcpu(nobody_is_paused_for_the_page_of_the_fault),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	by_kvm = true;
	return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
