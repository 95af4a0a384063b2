// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>
#include <string.h>

#include "arm/registers.h"
#include "arm/sysreg.h"
#include "host/kvm.h"

#define SYS_ZCR_EL1 ARM64_SYS_REG(3, 0, 1, 2, 0)
#define SYS_ZCR_EL2 ARM64_SYS_REG(3, 4, 1, 2, 0)
#define SYS_SP_EL2  ARM64_SYS_REG(3, 6, 4, 1, 0)

/* Registers of the core are numbered in 32-bit words; X are two words each, V four. */
#define CORE_REG_X(n) (KVM_CORE_REG(regs.regs[0]) + 2 * (n))
#define CORE_REG_V(n)                                           \
	(KVM_REG_ARM64 | KVM_REG_SIZE_U128 | KVM_REG_ARM_CORE | \
	 (KVM_REG_ARM_CORE_REG(fp_regs.vregs[0]) + 4 * (n)))

#define SP	      31
#define QUADWORD      16
#define VECTOR_BYTES  REGISTERS_VECTOR_BYTES
#define QUADWORDS_MAX (VECTOR_BYTES / QUADWORD)

void registers_begin(struct registers *registers, int vcpu_fd, bool sve, uint64_t pc,
		     uint64_t pstate)
{
	/* Vectors that are not known are never looked at, so they need no clearing. */
	registers->vcpu_fd = vcpu_fd;
	registers->sve = sve;
	registers->pc = pc;
	registers->pstate = pstate;
	registers->error = 0;
	registers->x_known = registers->x_changed = 0;
	registers->vector_known = registers->vector_changed = 0;
	registers->predicate_known = registers->predicate_changed = 0;
	registers->pstate_changed = false;
}

static void registers_get(struct registers *registers, uint64_t id, void *value)
{
	int err = kvm_get_reg(registers->vcpu_fd, id, value);

	if (err < 0 && registers->error == 0)
		registers->error = err;
}

static uint64_t x_id(const struct registers *registers, unsigned int n)
{
	const unsigned int el = field_get(PSTATE_EL, registers->pstate);

	if (n != SP)
		return CORE_REG_X(n);
	if (!(registers->pstate & PSTATE_SP) || el == 0)
		return KVM_CORE_REG(regs.sp);
	return el == 1 ? KVM_CORE_REG(sp_el1) : SYS_SP_EL2;
}

uint64_t registers_x_or_sp(struct registers *registers, unsigned int n)
{
	if (!bit(registers->x_known, n)) {
		registers->x[n] = 0;
		registers_get(registers, x_id(registers, n), &registers->x[n]);
		registers->x_known |= BIT(n);
	}
	return registers->x[n];
}

void registers_set_x_or_sp(struct registers *registers, unsigned int n, uint64_t value)
{
	registers->x[n] = value;
	registers->x_known |= BIT(n);
	registers->x_changed |= BIT(n);
}

uint64_t registers_x(struct registers *registers, unsigned int n)
{
	return n == SP ? 0 : registers_x_or_sp(registers, n);
}

void registers_set_x(struct registers *registers, unsigned int n, uint64_t value)
{
	if (n != SP)
		registers_set_x_or_sp(registers, n, value);
}

static uint64_t vector_id(const struct registers *registers, unsigned int n)
{
	return registers->sve ? KVM_REG_ARM64_SVE_ZREG(n, 0) : CORE_REG_V(n);
}

const uint8_t *registers_vector(struct registers *registers, unsigned int n)
{
	if (!bit(registers->vector_known, n)) {
		memset(registers->vector[n], 0, VECTOR_BYTES);
		registers_get(registers, vector_id(registers, n), registers->vector[n]);
		registers->vector_known |= BIT(n);
	}
	return registers->vector[n];
}

uint8_t *registers_new_vector(struct registers *registers, unsigned int n)
{
	registers->vector_known |= BIT(n);
	registers->vector_changed |= BIT(n);
	return memset(registers->vector[n], 0, VECTOR_BYTES);
}

const uint8_t *registers_predicate(struct registers *registers, unsigned int n)
{
	if (!bit(registers->predicate_known, n)) {
		memset(registers->predicate[n], 0, REGISTERS_PREDICATE_BYTES);
		registers_get(registers, KVM_REG_ARM64_SVE_PREG(n, 0), registers->predicate[n]);
		registers->predicate_known |= BIT(n);
	}
	return registers->predicate[n];
}

uint8_t *registers_new_predicate(struct registers *registers, unsigned int n)
{
	registers->predicate_known |= BIT(n);
	registers->predicate_changed |= BIT(n);
	return memset(registers->predicate[n], 0, REGISTERS_PREDICATE_BYTES);
}

void registers_set_flags(struct registers *registers, uint32_t nzcv)
{
	registers->pstate = (registers->pstate & ~PSTATE_NZCV) | (nzcv & PSTATE_NZCV);
	registers->pstate_changed = true;
}

/* The quadwords that a ZCR_ELx allows. */
static unsigned int zcr_limit(uint64_t zcr)
{
	return field_get(ZCR_LEN, zcr) + 1;
}

unsigned int registers_vector_length(struct registers *registers, bool el2_only)
{
	uint64_t lengths[KVM_ARM64_SVE_VLS_WORDS] = { 0 }, zcr = 0;
	unsigned int quadwords = QUADWORDS_MAX;

	if (!registers->sve)
		return 0;
	registers_get(registers, KVM_REG_ARM64_SVE_VLS, lengths);
	if (!el2_only) {
		registers_get(registers, SYS_ZCR_EL1, &zcr);
		quadwords = zcr_limit(zcr);
	}
	/* Without EL2 there is no such register. */
	if (kvm_get_reg(registers->vcpu_fd, SYS_ZCR_EL2, &zcr) >= 0 && zcr_limit(zcr) < quadwords)
		quadwords = zcr_limit(zcr);
	while (quadwords > 1 && !bit(lengths[0], quadwords - 1))
		quadwords--;
	return quadwords * QUADWORD;
}

void registers_advance(struct registers *registers)
{
	const uint64_t pstate = registers->pstate & ~(PSTATE_BTYPE | PSTATE_SS);

	registers->pstate_changed |= pstate != registers->pstate;
	registers->pstate = pstate;
	registers->pc += 4;
}

static int commit_general(struct registers *registers)
{
	int err = 0;

	for (unsigned int n = 0; n <= SP && err >= 0; n++)
		if (bit(registers->x_changed, n))
			err = kvm_set_reg(registers->vcpu_fd, x_id(registers, n), &registers->x[n]);
	return err;
}

static int commit_vectors(struct registers *registers)
{
	int err = 0;

	for (unsigned int n = 0; n < 32 && err >= 0; n++)
		if (bit(registers->vector_changed, n))
			err = kvm_set_reg(registers->vcpu_fd, vector_id(registers, n),
					  registers->vector[n]);
	for (unsigned int n = 0; n < 16 && err >= 0; n++)
		if (bit(registers->predicate_changed, n))
			err = kvm_set_reg(registers->vcpu_fd, KVM_REG_ARM64_SVE_PREG(n, 0),
					  registers->predicate[n]);
	return err;
}

int registers_commit(struct registers *registers)
{
	int err = registers->error;

	if (err >= 0)
		err = commit_general(registers);
	if (err >= 0)
		err = commit_vectors(registers);
	if (err >= 0 && registers->pstate_changed)
		err = kvm_set_reg(registers->vcpu_fd, KVM_CORE_REG(regs.pstate),
				  &registers->pstate);
	if (err >= 0)
		err = kvm_set_reg(registers->vcpu_fd, KVM_CORE_REG(regs.pc), &registers->pc);
	return err;
}
