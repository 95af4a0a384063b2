/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Decoding of A64 loads and stores (Arm ARM, C4.1, "A64 instruction set encoding", the groups
 * "Loads and Stores" and "SVE Memory", and C6.2, C7.2, C8.2 for each of them): one word in, what it
 * asks for out. Pure functions, any thread.
 */
#ifndef NIDUS_INSN_H
#define NIDUS_INSN_H

#include <stdbool.h>
#include <stdint.h>

enum insn_class {
	INSN_NONE, /* no load or store, or none that is known here */
	INSN_REFUSED, /* a load or store that is known and left out on purpose: struct insn is empty
		       */
	INSN_PREFETCH, /* PRFM, PRFUM: nothing to be done */
	INSN_SINGLE, /* one register: LDR, STR, LDUR, STUR, LDTR, STTR */
	INSN_PAIR, /* two: LDP, STP, LDPSW, LDNP, STNP, LDIAPP, STILP */
	INSN_ORDERED, /* LDAR, STLR, LDLAR, STLLR, LDAPR, LDAPUR, STLUR */
	INSN_EXCLUSIVE, /* LDXR, STXR, LDAXP, ...: not decoded further */
	INSN_CAS, /* CAS, CASP: a pair has rs + 1 and rt + 1 as well */
	INSN_ATOMIC, /* LDADD and its like, SWP */
	INSN_STRUCTURE, /* Advanced SIMD LD1 to LD4, ST1 to ST4 */
	INSN_SVE, /* LD1, ST1 contiguous, LDR and STR of Z and P */
	INSN_ZERO, /* DC ZVA */
	INSN_COPY, /* CPY, CPYF */
	INSN_SET, /* SET */
	INSN_LDST64B, /* LD64B, ST64B, ST64BV, ST64BV0 */
	INSN_CLASSES,
};

enum insn_addressing {
	INSN_OFFSET, /* base plus offset */
	INSN_PRE_INDEX, /* the same, written back */
	INSN_POST_INDEX, /* base, to which offset is added afterwards */
	INSN_REGISTER, /* base plus rm, extended and shifted */
	INSN_POST_REGISTER, /* base, to which rm is added afterwards */
};

/* How rm is extended, encoded as "option". */
enum insn_extend { INSN_UXTW = 2, INSN_LSL = 3, INSN_SXTW = 6, INSN_SXTX = 7 };

/* What an atomic does with memory and rs, with the encoding of o3:opc. */
enum insn_operation {
	INSN_ADD,
	INSN_CLR,
	INSN_EOR,
	INSN_SET_BITS,
	INSN_SMAX,
	INSN_SMIN,
	INSN_UMAX,
	INSN_UMIN,
	INSN_SWAP,
};

/* What a register of SVE is. */
enum insn_sve { INSN_SVE_ELEMENTS, INSN_SVE_Z, INSN_SVE_P };

enum insn_stage { INSN_PROLOGUE, INSN_MAIN, INSN_EPILOGUE };

/* Members that a class has no use for are 0. */
struct insn {
	enum insn_class class;
	enum insn_addressing addressing;
	bool load, store; /* both: CAS, atomics, ST64BV, ST64BV0, CPY */
	bool vector; /* rt and rt2 are registers of SIMD&FP */
	bool sign; /* what is loaded is sign-extended */
	bool wide; /* the general register is X, not W */
	bool pair; /* CASP */
	bool unprivileged; /* access as from EL0; of a CPY, its writes */
	bool read_unprivileged; /* of a CPY, its reads */
	uint8_t bytes; /* of one access to memory, or of one element of a structure or vector */
	uint8_t rt, rt2, rn, rm, rs; /* 31: see the class; rn is SP then, the others ZR */
	int32_t offset; /* in bytes; of SVE, in multiples of what one register holds in memory */
	enum insn_extend extend;
	uint8_t shift;

	enum insn_operation operation;

	/* Advanced SIMD: registers from rt on, modulo 32. */
	uint8_t registers; /* how many */
	uint8_t structure; /* registers among which consecutive elements are dealt */
	uint8_t lanes; /* elements of a register; 1 with single */
	bool single; /* one lane, index; or all of them with replicate */
	bool replicate;
	uint8_t index;
	bool quad; /* Q: 128 bits of each register, not 64 */

	/* SVE: pg governs; lane is the bytes that an element has in the register. */
	enum insn_sve sve;
	uint8_t pg, lane;

	/* CPY: rt destination, rs source, rn size. SET: rt destination, rn size, rs value. */
	enum insn_stage stage;
	bool forward_only; /* CPYF */
};

/* Whether word is a load or store to be emulated: any class but INSN_NONE and INSN_REFUSED. */
bool insn_decode(uint32_t word, struct insn *insn);

/* For statistics and messages: "single", "pair", ...; class is below INSN_CLASSES. */
const char *insn_class_name(enum insn_class class);

#endif
