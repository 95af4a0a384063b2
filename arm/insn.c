// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A row for each encoding table of the Arm ARM says which bits are fixed; its
 * function takes the fields apart and finds what the table calls unallocated. The first row that
 * fits decides. Bits that should be one or zero, and choices of registers that the Arm ARM calls
 * CONSTRAINED UNPREDICTABLE, are taken as they come.
 */
#include <stddef.h>

#include "arm/insn.h"
#include "arm/sysreg.h"
#include "util.h"

#define ZR 31

static int32_t signed_field(uint32_t word, unsigned int high, unsigned int low)
{
	const unsigned int width = high - low + 1;
	const int32_t sign = INT32_C(1) << (width - 1);

	return ((int32_t)bits(word, high, low) ^ sign) - sign;
}

static void set_registers(uint32_t word, struct insn *insn)
{
	insn->rt = bits(word, 4, 0);
	insn->rn = bits(word, 9, 5);
}

static bool refuse(uint32_t word, struct insn *insn)
{
	(void)word;
	insn->class = INSN_REFUSED;
	return true;
}

/* PRFM, with whatever address. */
static bool prefetch(uint32_t word, struct insn *insn)
{
	(void)word;
	*insn = (struct insn){ .class = INSN_PREFETCH };
	return true;
}

/* One register. */

/*
 * size, V and opc, which all tables of loads and stores of one register have: what is accessed, and
 * into which register.
 */
static bool single_kind(uint32_t word, struct insn *insn)
{
	const unsigned int size = bits(word, 31, 30), opc = bits(word, 23, 22);

	insn->class = INSN_SINGLE;
	insn->vector = bit(word, 26);
	insn->bytes = 1 << size;
	insn->load = opc != 0;
	set_registers(word, insn);
	if (insn->vector) {
		insn->load = opc & 1;
		insn->store = !insn->load;
		if (opc >= 2)
			insn->bytes = 16;
		return opc < 2 || size == 0;
	}
	if (size == 3 && opc == 2)
		return prefetch(word, insn);
	insn->store = !insn->load;
	insn->sign = opc >= 2;
	insn->wide = size == 3 || opc == 2;
	return !insn->sign || size + opc < 5;
}

static bool single_unsigned_offset(uint32_t word, struct insn *insn)
{
	if (!single_kind(word, insn))
		return false;
	insn->offset = bits(word, 21, 10) * insn->bytes;
	return true;
}

static bool single_unscaled(uint32_t word, struct insn *insn)
{
	if (!single_kind(word, insn))
		return false;
	insn->offset = insn->class == INSN_PREFETCH ? 0 : signed_field(word, 20, 12);
	return true;
}

static bool single_indexed(uint32_t word, struct insn *insn)
{
	insn->addressing = bit(word, 11) ? INSN_PRE_INDEX : INSN_POST_INDEX;
	return single_unscaled(word, insn) && insn->class == INSN_SINGLE;
}

static bool single_unprivileged(uint32_t word, struct insn *insn)
{
	insn->unprivileged = true;
	return !bit(word, 26) && single_unscaled(word, insn) && insn->class == INSN_SINGLE;
}

static bool single_register(uint32_t word, struct insn *insn)
{
	/* option<1> is 0: unallocated, as there is no index of fewer than 32 bits. */
	if (!bit(word, 14) || !single_kind(word, insn))
		return false;
	if (insn->class == INSN_PREFETCH)
		return true;
	insn->addressing = INSN_REGISTER;
	insn->rm = bits(word, 20, 16);
	insn->extend = bits(word, 15, 13);
	insn->shift = bit(word, 12) ? __builtin_ctz(insn->bytes) : 0;
	return true;
}

/* LDAPUR and STLUR, whose table has single_kind()'s fields but no prefetch. */
static bool ordered_unscaled(uint32_t word, struct insn *insn)
{
	if (!single_unscaled(word, insn) || insn->class != INSN_SINGLE)
		return false;
	insn->class = INSN_ORDERED;
	return true;
}

/* size, L and o0: LDAR, STLR and, without o0, LDLAR, STLLR. */
static bool ordered(uint32_t word, struct insn *insn)
{
	insn->class = INSN_ORDERED;
	insn->bytes = 1 << bits(word, 31, 30);
	insn->wide = insn->bytes == 8;
	insn->load = bit(word, 22);
	insn->store = !insn->load;
	set_registers(word, insn);
	return true;
}

/* An address in code, where no device is. */
static bool literal(uint32_t word, struct insn *insn)
{
	return (!bit(word, 26) || bits(word, 31, 30) != 3) && refuse(word, insn);
}

/* LDG, STG and their like; those for many tags have no offset. */
static bool tags(uint32_t word, struct insn *insn)
{
	const bool many = bits(word, 11, 10) == 0 && bits(word, 23, 22) != 1;

	return (!many || bits(word, 20, 12) == 0) && refuse(word, insn);
}

/* Two registers. */

static bool pair_kind(uint32_t word, struct insn *insn)
{
	const unsigned int opc = bits(word, 31, 30);

	insn->class = INSN_PAIR;
	insn->vector = bit(word, 26);
	insn->load = bit(word, 22);
	insn->store = !insn->load;
	insn->rt2 = bits(word, 14, 10);
	set_registers(word, insn);
	insn->bytes = insn->vector ? 4 << opc : opc == 2 ? 8 : 4;
	insn->wide = !insn->vector && opc != 0;
	insn->sign = !insn->vector && opc == 1;
	insn->offset = signed_field(word, 21, 15) * insn->bytes;
	return opc != 3;
}

static bool pair_no_allocate(uint32_t word, struct insn *insn)
{
	return pair_kind(word, insn) && !insn->sign;
}

static bool pair(uint32_t word, struct insn *insn)
{
	static const enum insn_addressing addressing[] = {
		[1] = INSN_POST_INDEX,
		[2] = INSN_OFFSET,
		[3] = INSN_PRE_INDEX,
	};

	if (!pair_kind(word, insn))
		return false;
	/* STGP stores a tag as well. */
	if (insn->sign && !insn->load)
		return refuse(word, insn);
	insn->addressing = addressing[bits(word, 24, 23)];
	return true;
}

/* Read and write in one. */

static bool exclusive(uint32_t word, struct insn *insn)
{
	(void)word;
	insn->class = INSN_EXCLUSIVE;
	return true;
}

/* Fields that CAS and the atomics have in common. */
static void read_modify_write(uint32_t word, struct insn *insn)
{
	insn->load = insn->store = true;
	insn->rs = bits(word, 20, 16);
	set_registers(word, insn);
}

static bool cas(uint32_t word, struct insn *insn)
{
	insn->class = INSN_CAS;
	insn->bytes = 1 << bits(word, 31, 30);
	insn->wide = insn->bytes == 8;
	read_modify_write(word, insn);
	return true;
}

static bool casp(uint32_t word, struct insn *insn)
{
	insn->class = INSN_CAS;
	insn->pair = true;
	insn->wide = bit(word, 30);
	insn->bytes = insn->wide ? 8 : 4;
	read_modify_write(word, insn);
	/* Registers are named by the even one of the pair. */
	return insn->rs % 2 == 0 && insn->rt % 2 == 0;
}

static bool ldst64b(uint32_t word, struct insn *insn)
{
	const unsigned int opc = bits(word, 14, 12);

	insn->class = INSN_LDST64B;
	insn->bytes = 8;
	insn->wide = true;
	insn->rs = bits(word, 20, 16);
	set_registers(word, insn);
	insn->load = opc != 1; /* of data, or of a status */
	insn->store = opc != 5;
	/* Eight registers, from an even one up to X23. */
	if (insn->rt % 2 != 0 || insn->rt > 22)
		return false;
	return opc == 2 || opc == 3 || ((opc == 1 || opc == 5) && insn->rs == ZR);
}

static bool atomic(uint32_t word, struct insn *insn)
{
	const unsigned int operation = bits(word, 15, 12), size = bits(word, 31, 30);
	const bool acquire = bit(word, 23), release = bit(word, 22);

	if (operation > INSN_SWAP) {
		if (operation == 12 && acquire && !release && bits(word, 20, 16) == ZR) {
			ordered(word, insn);
			insn->load = true; /* LDAPR: the bit is R here. */
			insn->store = false;
			return true;
		}
		return size == 3 && !acquire && !release && ldst64b(word, insn);
	}
	insn->class = INSN_ATOMIC;
	insn->operation = operation;
	insn->bytes = 1 << size;
	insn->wide = size == 3;
	read_modify_write(word, insn);
	return true;
}

/* LDRAA and LDRAB: the base is a signed pointer, and the keys are the guest's. */
static bool authenticated(uint32_t word, struct insn *insn)
{
	return bits(word, 31, 30) == 3 && refuse(word, insn);
}

/* Advanced SIMD structures. */

static bool structure(uint32_t word, struct insn *insn, bool post_index)
{
	insn->class = INSN_STRUCTURE;
	insn->vector = true;
	insn->load = bit(word, 22);
	insn->store = !insn->load;
	insn->quad = bit(word, 30);
	set_registers(word, insn);
	if (post_index) {
		insn->rm = bits(word, 20, 16);
		insn->addressing = INSN_POST_REGISTER;
	}
	return true;
}

/* A post-index of 31 is not XZR: it stands for the number of bytes accessed. */
static bool settle_post_index(struct insn *insn, unsigned int bytes)
{
	if (insn->addressing == INSN_POST_REGISTER && insn->rm == ZR) {
		insn->addressing = INSN_POST_INDEX;
		insn->offset = bytes;
		insn->rm = 0;
	}
	return true;
}

static bool structures(uint32_t word, struct insn *insn)
{
	/* By opcode: registers, and how many of them take part in a structure. */
	static const struct {
		uint8_t registers, structure;
	} kinds[16] = {
		[0] = { 4, 4 }, [2] = { 4, 1 }, [4] = { 3, 3 },	 [6] = { 3, 1 },
		[7] = { 1, 1 }, [8] = { 2, 2 }, [10] = { 2, 1 },
	};
	const unsigned int opcode = bits(word, 15, 12), size = bits(word, 11, 10);

	structure(word, insn, bit(word, 23));
	insn->registers = kinds[opcode].registers;
	insn->structure = kinds[opcode].structure;
	insn->bytes = 1 << size;
	insn->lanes = (insn->quad ? 16 : 8) >> size;
	/* There are no structures of a single lane of 64 bits. */
	if (insn->registers == 0 || (insn->structure > 1 && size == 3 && !insn->quad))
		return false;
	return settle_post_index(insn, insn->registers * (insn->quad ? 16 : 8));
}

/* opcode<2:1>, S and size: bytes of an element, and which lane it is. */
static bool single_lane(uint32_t word, struct insn *insn)
{
	const unsigned int scale = bits(word, 15, 14), size = bits(word, 11, 10);
	/* Q:S:size is the index in lanes of a byte. */
	unsigned int index = insn->quad << 3 | bit(word, 12) << 2 | size;

	insn->single = true;
	insn->lanes = 1;
	if (scale == 3) {
		insn->replicate = true;
		insn->lanes = (insn->quad ? 16 : 8) >> size;
		insn->bytes = 1 << size;
		return insn->load && !bit(word, 12);
	}
	insn->bytes = 1 << scale;
	if (scale == 1 && bit(word, 10))
		return false;
	if (scale == 2 && size == 1) {
		insn->bytes = 8;
		insn->index = index >> 3;
		return !bit(word, 12);
	}
	if (scale == 2 && size != 0)
		return false;
	insn->index = index >> scale;
	return true;
}

static bool single_structure(uint32_t word, struct insn *insn)
{
	structure(word, insn, bit(word, 23));
	insn->registers = insn->structure = 1 + bit(word, 21) + 2 * bit(word, 13);
	return single_lane(word, insn) && settle_post_index(insn, insn->registers * insn->bytes);
}

/* SVE. */

static void sve(uint32_t word, struct insn *insn)
{
	insn->class = INSN_SVE;
	insn->pg = bits(word, 12, 10);
	set_registers(word, insn);
}

/* imm9h:imm9l, in multiples of the register's length. */
static bool sve_whole(uint32_t word, struct insn *insn)
{
	sve(word, insn);
	insn->sve = bit(word, 14) ? INSN_SVE_Z : INSN_SVE_P;
	insn->load = !bit(word, 30);
	insn->store = !insn->load;
	insn->offset = signed_field(word, 21, 16) * 8 + insn->pg;
	insn->pg = 0;
	if (insn->sve == INSN_SVE_P)
		insn->rt = bits(word, 3, 0);
	insn->bytes = 1;
	return true;
}

/* The address of an element: base plus Rm in elements, or plus imm4 in multiples of the vector. */
static bool sve_address(uint32_t word, struct insn *insn)
{
	if (bit(word, 15)) {
		insn->offset = signed_field(word, 19, 16);
		return true;
	}
	insn->addressing = INSN_REGISTER;
	insn->extend = INSN_LSL;
	insn->rm = bits(word, 20, 16);
	insn->shift = __builtin_ctz(insn->bytes);
	return insn->rm != ZR;
}

static bool sve_load(uint32_t word, struct insn *insn)
{
	/* By dtype: logarithms of the bytes of an element in memory and in the register. */
	static const struct {
		uint8_t memory, lane;
		bool sign;
	} types[16] = {
		{ 0, 0, false }, { 0, 1, false }, { 0, 2, false }, { 0, 3, false },
		{ 2, 3, true },	 { 1, 1, false }, { 1, 2, false }, { 1, 3, false },
		{ 1, 3, true },	 { 1, 2, true },  { 2, 2, false }, { 2, 3, false },
		{ 0, 3, true },	 { 0, 2, true },  { 0, 1, true },  { 3, 3, false },
	};
	const unsigned int type = bits(word, 24, 21);

	sve(word, insn);
	insn->load = true;
	insn->bytes = 1 << types[type].memory;
	insn->lane = 1 << types[type].lane;
	insn->sign = types[type].sign;
	return sve_address(word, insn);
}

static bool sve_store(uint32_t word, struct insn *insn)
{
	sve(word, insn);
	insn->store = true;
	insn->bytes = 1 << bits(word, 24, 23);
	insn->lane = 1 << bits(word, 22, 21);
	return insn->lane >= insn->bytes && sve_address(word, insn);
}

/* Memory copy and memory set. */

static bool mops(uint32_t word, struct insn *insn)
{
	const unsigned int op1 = bits(word, 23, 22), op2 = bits(word, 15, 12);

	insn->rs = bits(word, 20, 16);
	set_registers(word, insn);
	insn->bytes = 1;
	insn->unprivileged = op2 & 1;
	insn->store = true;
	if (op1 == 3) {
		insn->class = INSN_SET;
		insn->stage = op2 >> 2;
		if (op2 >> 2 == 3)
			return false;
	} else {
		insn->class = INSN_COPY;
		insn->load = true;
		insn->stage = op1;
		insn->read_unprivileged = op2 & 2;
		insn->forward_only = !bit(word, 26);
		if (insn->rs == ZR)
			return false;
	}
	/* Three different registers. */
	if (insn->rt == ZR || insn->rn == ZR || insn->rn == insn->rt || insn->rs == insn->rn ||
	    insn->rs == insn->rt)
		return false;
	/* SETG sets tags. */
	return insn->class != INSN_SET || !bit(word, 26) || refuse(word, insn);
}

/* DC ZVA, Xt; its siblings set tags. */
static bool zero(uint32_t word, struct insn *insn)
{
	insn->class = INSN_ZERO;
	insn->store = true;
	insn->rt = bits(word, 4, 0);
	return true;
}

/* LDIAPP and STILP: what is written back is what such a pair is pushed and popped by. */
static bool pair_ordered(uint32_t word, struct insn *insn)
{
	insn->class = INSN_PAIR;
	insn->load = bit(word, 22);
	insn->store = !insn->load;
	insn->rt2 = bits(word, 20, 16);
	insn->wide = bit(word, 30);
	insn->bytes = insn->wide ? 8 : 4;
	set_registers(word, insn);
	if (!bit(word, 12)) {
		insn->addressing = insn->load ? INSN_POST_INDEX : INSN_PRE_INDEX;
		insn->offset = insn->load ? 2 * insn->bytes : -2 * insn->bytes;
	}
	return true;
}

struct row {
	uint32_t mask, value;
	bool (*decode)(uint32_t word, struct insn *insn);
};

static const struct row rows[] = {
	/* Load/store exclusive, ordered, compare and swap. */
	{ 0xbfa07c00, 0x08207c00, casp },
	{ 0xbfa00000, 0x88200000, exclusive }, /* pair */
	{ 0x3fa00000, 0x08000000, exclusive },
	{ 0x3fa00000, 0x08800000, ordered },
	{ 0x3fa07c00, 0x08a07c00, cas },
	/* Advanced SIMD load/store multiple structures, the same post-indexed. */
	{ 0xbfbf0000, 0x0c000000, structures },
	{ 0xbfa00000, 0x0c800000, structures },
	/* Advanced SIMD load/store single structure, the same post-indexed. */
	{ 0xbf9f0000, 0x0d000000, single_structure },
	{ 0xbf800000, 0x0d800000, single_structure },
	/* Load register (literal); the first is PRFM. */
	{ 0xff000000, 0xd8000000, prefetch },
	{ 0x3b000000, 0x18000000, literal },
	/* LDAPR/STLR (unscaled immediate); memory tags; memory copy and set. */
	{ 0x3f200c00, 0x19000000, ordered_unscaled },
	{ 0x3f200c00, 0x1d000800, ordered_unscaled },
	{ 0xbfa0ec00, 0x99000800, pair_ordered },
	{ 0xff200000, 0xd9200000, tags },
	{ 0xfb200c00, 0x19000400, mops },
	/* Load/store pair: no-allocate, post-indexed, offset, pre-indexed. */
	{ 0x3b800000, 0x28000000, pair_no_allocate },
	{ 0x3a000000, 0x28000000, pair },
	/* Load/store register: unscaled, post-indexed, unprivileged, pre-indexed. */
	{ 0x3b200c00, 0x38000000, single_unscaled },
	{ 0x3b200400, 0x38000400, single_indexed },
	{ 0x3b200c00, 0x38000800, single_unprivileged },
	/* Atomic memory operations; register offset; LDRAA and LDRAB; unsigned immediate. */
	{ 0x3f200c00, 0x38200000, atomic },
	/* Of 128 bits: SWPP, LDCLRP, LDSETP. */
	{ 0xff20fc00, 0x19208000, refuse },
	{ 0xff20fc00, 0x19201000, refuse },
	{ 0xff20fc00, 0x19203000, refuse },
	{ 0x3b200c00, 0x38200800, single_register },
	{ 0x3f200400, 0x38200400, authenticated },
	{ 0x3b000000, 0x39000000, single_unsigned_offset },
	/* SVE: LDR and STR of Z and of P, then those that a predicate governs. */
	{ 0xffc0e000, 0x85804000, sve_whole },
	{ 0xffc0e010, 0x85800000, sve_whole },
	{ 0xffc0e000, 0xe5804000, sve_whole },
	{ 0xffc0e010, 0xe5800000, sve_whole },
	{ 0xfe00e000, 0xa4004000, sve_load },
	{ 0xfe10e000, 0xa400a000, sve_load },
	{ 0xfe00e000, 0xe4004000, sve_store },
	{ 0xfe10e000, 0xe400e000, sve_store },
	/* SYS: DC ZVA; DC GVA, DC GZVA. */
	{ 0xffffffe0, 0xd50b7420, zero },
	{ 0xffffffe0, 0xd50b7460, refuse },
	{ 0xffffffe0, 0xd50b7480, refuse },
};

bool insn_decode(uint32_t word, struct insn *insn)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if ((word & rows[i].mask) != rows[i].value)
			continue;
		*insn = (struct insn){ .class = INSN_NONE };
		if (!rows[i].decode(word, insn))
			break;
		if (insn->class == INSN_REFUSED)
			*insn = (struct insn){ .class = INSN_REFUSED };
		return insn->class != INSN_REFUSED;
	}
	*insn = (struct insn){ .class = INSN_NONE };
	return false;
}

const char *insn_class_name(enum insn_class class)
{
	static const char *const name[INSN_CLASSES] = {
		[INSN_NONE] = "not_decoded",
		[INSN_REFUSED] = "refused",
		[INSN_PREFETCH] = "prefetch",
		[INSN_SINGLE] = "single",
		[INSN_PAIR] = "pair",
		[INSN_ORDERED] = "ordered",
		[INSN_EXCLUSIVE] = "exclusive",
		[INSN_CAS] = "compare_and_swap",
		[INSN_ATOMIC] = "atomic",
		[INSN_STRUCTURE] = "structure",
		[INSN_SVE] = "sve",
		[INSN_ZERO] = "zero",
		[INSN_COPY] = "copy",
		[INSN_SET] = "set",
		[INSN_LDST64B] = "ldst64b",
	};

	return name[class];
}
