/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Guest virtual addresses (VA), by the guest's own translation tables (Arm ARM, chapter D8 "The
 * AArch64 Virtual Memory System Architecture"), and the instruction that a vCPU stands at. It
 * serves the emulation of accesses that the CPU gives no syndrome for. docs/emulation.md says what
 * is walked and what is refused.
 */
#ifndef NIDUS_TRANSLATE_H
#define NIDUS_TRANSLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "mm/memory.h"

enum translate_result {
	TRANSLATE_DONE,
	/*
	 * The guest's tables do not allow that access, now. The vCPU had got past its MMU, so they
	 * have changed meanwhile, or are changing: run the guest again, which faults by itself, or
	 * exits again. The caller bounds the number of retries.
	 */
	TRANSLATE_AGAIN,
	/* Tables or an instruction outside RAM, or what docs/emulation.md says is refused. */
	TRANSLATE_FAIL,
};

enum translate_access { TRANSLATE_READ, TRANSLATE_WRITE, TRANSLATE_EXECUTE };

/* Translation regimes (D8.1.2) of Non-secure state. */
enum regime_kind { REGIME_EL10, REGIME_EL20, REGIME_EL2 };

/*
 * What controls translation at the exception level that a vCPU is at: a snapshot, plain values, of
 * those that are written as SCTLR_ELx in the Arm ARM the regime's own. A register that the vCPU
 * does not have is 0.
 */
struct regime {
	enum regime_kind kind;
	uint64_t pc, pstate;

	uint64_t sctlr, tcr, tcr2, ttbr[2], mair;
	uint64_t pir, pire0; /* of S1PIE */
	uint64_t por, por_el0; /* of S1POE */

	/* Stage 2, of a guest hypervisor's own guest. */
	bool stage2;
	uint64_t hcr, sctlr_el2, vtcr, vttbr;

	/* What the vCPU's CPU is able to: ID_AA64MMFR0_EL1 and so on. */
	uint64_t mmfr0, mmfr1, mmfr2, mmfr3;
};

/*
 * Reads the registers of a vCPU that is not inside KVM_RUN: called by its own thread. Errors:
 * -errno, nothing is said.
 */
int regime_read(struct regime *regime, int vcpu_fd);
/*
 * As regime_read(), for a regime that the vCPU is not in: what would translate for privileged
 * accesses at EL2, or at EL1, there with or without VTTBR_EL2's stage 2 behind it. -ENOENT: it has
 * no EL2.
 */
int regime_read_other(struct regime *regime, int vcpu_fd, bool el2, bool stage2);
/* The same for no more than kind, pc, pstate, hcr and sctlr, with which nothing can be walked. */
int regime_read_state(struct regime *regime, int vcpu_fd);

struct translation {
	uint64_t gpa; /* in RAM or not */
	uint64_t size; /* bytes from gpa on, contiguous as the VA is, to the end of page or block */
	bool device; /* stage 1 says Device memory, or is off */
};

/*
 * Where the byte at va is, for an access of that kind at the vCPU's current exception level;
 * unprivileged: by LDTR, STTR and their kin (else false). Fills translation when done. Tables are
 * read, never written; at most 35 descriptors are, whatever the guest put there. Any thread.
 */
enum translate_result translate(const struct regime *regime, const struct memory *memory,
				uint64_t va, enum translate_access access, bool unprivileged,
				struct translation *translation);

/* The instruction at the regime's PC. Any thread. */
enum translate_result translate_fetch(const struct regime *regime, const struct memory *memory,
				      uint32_t *insn);

/* The instruction at a guest physical address, a multiple of 4; TRANSLATE_FAIL: not in RAM. */
enum translate_result translate_insn_at(const struct memory *memory, uint64_t gpa, uint32_t *insn);

#endif
