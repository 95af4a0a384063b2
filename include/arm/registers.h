/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The registers that one instruction of a vCPU reads and writes. What is read comes from KVM when
 * it is first asked for; what is written goes there all at once, by registers_commit(), and not
 * before. Called by the vCPU's own thread, outside KVM_RUN.
 */
#ifndef NIDUS_REGISTERS_H
#define NIDUS_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

#define REGISTERS_VECTOR_BYTES	  256 /* of Z, as KVM_REG_ARM64_SVE_ZREG has it; of V the first 16 */
#define REGISTERS_PREDICATE_BYTES 32

struct registers {
	int vcpu_fd;
	bool sve; /* SVE is finalized: KVM gives Z registers instead of V registers */
	uint64_t pc, pstate;
	int error; /* the first one, -errno; what is read after it is 0 */

	/* A bit each for those that hold a value, and those that are to be written. */
	uint64_t x_known, x_changed;
	uint32_t vector_known, vector_changed, predicate_known, predicate_changed;
	bool pstate_changed;
	uint64_t x[32]; /* [31]: SP */
	uint8_t vector[32][REGISTERS_VECTOR_BYTES];
	uint8_t predicate[16][REGISTERS_PREDICATE_BYTES];
};

/* The registers of a vCPU that stands at pc with pstate; the others are not read yet. */
void registers_begin(struct registers *registers, int vcpu_fd, bool sve, uint64_t pc,
		     uint64_t pstate);

/* Xn, where 31 is XZR: reads as 0, ignores what is written. */
uint64_t registers_x(struct registers *registers, unsigned int n);
void registers_set_x(struct registers *registers, unsigned int n, uint64_t value);

/* Xn, where 31 is the SP of the current exception level and PSTATE.SP. */
uint64_t registers_x_or_sp(struct registers *registers, unsigned int n);
void registers_set_x_or_sp(struct registers *registers, unsigned int n, uint64_t value);

/* The first byte of a register, to be read; least significant byte first whatever the endianness.
 */
const uint8_t *registers_vector(struct registers *registers, unsigned int n);
const uint8_t *registers_predicate(struct registers *registers, unsigned int n);
/* The same to be written, all zero: a write of V zeroes the rest of Z. */
uint8_t *registers_new_vector(struct registers *registers, unsigned int n);
uint8_t *registers_new_predicate(struct registers *registers, unsigned int n);

/* NZCV, as bits 31 to 28 of PSTATE. */
void registers_set_flags(struct registers *registers, uint32_t nzcv);

/*
 * Bytes of a vector at the current exception level: ZCR_ELx within the lengths that the vCPU has.
 * el2_only: ZCR_EL2 alone counts (EL2, and EL0 under it). 0: no SVE.
 */
unsigned int registers_vector_length(struct registers *registers, bool el2_only);

/* To the next instruction, as if this one had been executed: PSTATE.BTYPE and SS become 0. */
void registers_advance(struct registers *registers);

/* Writes what has changed; nothing where an error occurred before. Errors: -errno, not said. */
int registers_commit(struct registers *registers);

#endif
