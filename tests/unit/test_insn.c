// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "unit.h"

#include "arm/insn.h"
#include "util.h"

/* Words as an assembler makes them of the text beside them, and what the text says. */
static const struct {
	uint32_t word;
	const char *text;
	struct insn expected;
} known[] = {
	{ 0xb840cc83,
	  "ldr w3, [x4, #12]!",
	  { INSN_SINGLE, INSN_PRE_INDEX, .load = true, .bytes = 4, .rt = 3, .rn = 4,
	    .offset = 12 } },
	{ 0xb89fc483,
	  "ldrsw x3, [x4], #-4",
	  { INSN_SINGLE, INSN_POST_INDEX, .load = true, .sign = true, .wide = true, .bytes = 4,
	    .rt = 3, .rn = 4, .offset = -4 } },
	{ 0x78e5d883,
	  "ldrsh w3, [x4, w5, sxtw #1]",
	  { INSN_SINGLE, INSN_REGISTER, .load = true, .sign = true, .bytes = 2, .rt = 3, .rn = 4,
	    .rm = 5, .extend = INSN_SXTW, .shift = 1 } },
	{ 0xf8657883,
	  "ldr x3, [x4, x5, lsl #3]",
	  { INSN_SINGLE, INSN_REGISTER, .load = true, .wide = true, .bytes = 8, .rt = 3, .rn = 4,
	    .rm = 5, .extend = INSN_LSL, .shift = 3 } },
	{ 0x3d800887,
	  "str q7, [x4, #32]",
	  { INSN_SINGLE, INSN_OFFSET, .store = true, .vector = true, .bytes = 16, .rt = 7, .rn = 4,
	    .offset = 32 } },
	{ 0x385ff883,
	  "ldtrb w3, [x4, #-1]",
	  { INSN_SINGLE, INSN_OFFSET, .load = true, .unprivileged = true, .bytes = 1, .rt = 3,
	    .rn = 4, .offset = -1 } },
	{ 0x780ff883,
	  "sttrh w3, [x4, #255]",
	  { INSN_SINGLE, INSN_OFFSET, .store = true, .unprivileged = true, .bytes = 2, .rt = 3,
	    .rn = 4, .offset = 255 } },
	{ 0x389ff083,
	  "ldursb x3, [x4, #-1]",
	  { INSN_SINGLE, INSN_OFFSET, .load = true, .sign = true, .wide = true, .bytes = 1, .rt = 3,
	    .rn = 4, .offset = -1 } },
	{ 0x39c00083,
	  "ldrsb w3, [x4]",
	  { INSN_SINGLE, INSN_OFFSET, .load = true, .sign = true, .bytes = 1, .rt = 3, .rn = 4 } },
	{ 0xb90007ff,
	  "str wzr, [sp, #4]",
	  { INSN_SINGLE, INSN_OFFSET, .store = true, .bytes = 4, .rt = 31, .rn = 31,
	    .offset = 4 } },
	{ 0xa97f1483,
	  "ldp x3, x5, [x4, #-16]",
	  { INSN_PAIR, INSN_OFFSET, .load = true, .wide = true, .bytes = 8, .rt = 3, .rt2 = 5,
	    .rn = 4, .offset = -16 } },
	{ 0x68c11483,
	  "ldpsw x3, x5, [x4], #8",
	  { INSN_PAIR, INSN_POST_INDEX, .load = true, .sign = true, .wide = true, .bytes = 4,
	    .rt = 3, .rt2 = 5, .rn = 4, .offset = 8 } },
	{ 0x299f9483,
	  "stp w3, w5, [x4, #252]!",
	  { INSN_PAIR, INSN_PRE_INDEX, .store = true, .bytes = 4, .rt = 3, .rt2 = 5, .rn = 4,
	    .offset = 252 } },
	{ 0xac411483,
	  "ldnp q3, q5, [x4, #32]",
	  { INSN_PAIR, INSN_OFFSET, .load = true, .vector = true, .bytes = 16, .rt = 3, .rt2 = 5,
	    .rn = 4, .offset = 32 } },
	{ 0x88dffc83,
	  "ldar w3, [x4]",
	  { INSN_ORDERED, INSN_OFFSET, .load = true, .bytes = 4, .rt = 3, .rn = 4 } },
	{ 0x089ffc83,
	  "stlrb w3, [x4]",
	  { INSN_ORDERED, INSN_OFFSET, .store = true, .bytes = 1, .rt = 3, .rn = 4 } },
	{ 0xf8bfc083,
	  "ldapr x3, [x4]",
	  { INSN_ORDERED, INSN_OFFSET, .load = true, .wide = true, .bytes = 8, .rt = 3, .rn = 4 } },
	{ 0x995fc083,
	  "ldapur w3, [x4, #-4]",
	  { INSN_ORDERED, INSN_OFFSET, .load = true, .bytes = 4, .rt = 3, .rn = 4, .offset = -4 } },
	{ 0xd9008083,
	  "stlur x3, [x4, #8]",
	  { INSN_ORDERED, INSN_OFFSET, .store = true, .wide = true, .bytes = 8, .rt = 3, .rn = 4,
	    .offset = 8 } },
	{ 0xb8e38085,
	  "swpal w3, w5, [x4]",
	  { INSN_ATOMIC, .load = true, .store = true, .bytes = 4, .rt = 5, .rn = 4, .rs = 3,
	    .operation = INSN_SWAP } },
	{ 0x38230085,
	  "ldaddb w3, w5, [x4]",
	  { INSN_ATOMIC, .load = true, .store = true, .bytes = 1, .rt = 5, .rn = 4, .rs = 3,
	    .operation = INSN_ADD } },
	{ 0xc8a37c85,
	  "cas x3, x5, [x4]",
	  { INSN_CAS, .load = true, .store = true, .wide = true, .bytes = 8, .rt = 5, .rn = 4,
	    .rs = 3 } },
	{ 0x48227c86,
	  "casp x2, x3, x6, x7, [x4]",
	  { INSN_CAS, .load = true, .store = true, .wide = true, .pair = true, .bytes = 8, .rt = 6,
	    .rn = 4, .rs = 2 } },
};

#define assert_same(member) assert_int_equal(insn.member, known[i].expected.member)

static void words_mean_what_an_assembler_writes(void **state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(known); i++) {
		struct insn insn;

		print_message("%s\n", known[i].text);
		assert_true(insn_decode(known[i].word, &insn));
		assert_same(class);
		assert_same(addressing);
		assert_same(load);
		assert_same(store);
		assert_same(vector);
		assert_same(sign);
		/* A store takes what it stores from either. */
		if (insn.load)
			assert_same(wide);
		assert_same(pair);
		assert_same(unprivileged);
		assert_same(bytes);
		assert_same(rt);
		assert_same(rt2);
		assert_same(rn);
		assert_same(rm);
		assert_same(rs);
		assert_same(offset);
		assert_same(extend);
		assert_same(shift);
		assert_same(operation);
	}
}

/* Structures of Advanced SIMD, SVE, memory copy and set. */
static const struct {
	uint32_t word;
	const char *text;
	struct insn expected;
} vectors[] = {
	{ 0x4d409041,
	  "ld1 {v1.s}[3], [x2]",
	  { INSN_STRUCTURE, .load = true, .bytes = 4, .rt = 1, .rn = 2, .registers = 1,
	    .structure = 1, .lanes = 1, .single = true, .index = 3, .quad = true } },
	{ 0x4ddf8441,
	  "ld1 {v1.d}[1], [x2], #8",
	  { INSN_STRUCTURE, INSN_POST_INDEX, .load = true, .bytes = 8, .rt = 1, .rn = 2,
	    .offset = 8, .registers = 1, .structure = 1, .lanes = 1, .single = true, .index = 1,
	    .quad = true } },
	{ 0x4de3c441,
	  "ld2r {v1.8h, v2.8h}, [x2], x3",
	  { INSN_STRUCTURE, INSN_POST_REGISTER, .load = true, .bytes = 2, .rt = 1, .rn = 2, .rm = 3,
	    .registers = 2, .structure = 2, .lanes = 8, .single = true, .replicate = true,
	    .quad = true } },
	{ 0x0c9f085e,
	  "st4 {v30.2s, v31.2s, v0.2s, v1.2s}, [x2], #32",
	  { INSN_STRUCTURE, INSN_POST_INDEX, .store = true, .bytes = 4, .rt = 30, .rn = 2,
	    .offset = 32, .registers = 4, .structure = 4, .lanes = 2 } },
	{ 0x85bf5c43,
	  "ldr z3, [x2, #-1, mul vl]",
	  { INSN_SVE, .load = true, .rt = 3, .rn = 2, .offset = -1, .sve = INSN_SVE_Z } },
	{ 0xe5801043,
	  "str p3, [x2, #4, mul vl]",
	  { INSN_SVE, .store = true, .rt = 3, .rn = 2, .offset = 4, .sve = INSN_SVE_P } },
	{ 0xa5854883,
	  "ld1sb {z3.d}, p2/z, [x4, x5]",
	  { INSN_SVE, INSN_REGISTER, .load = true, .sign = true, .bytes = 1, .rt = 3, .rn = 4,
	    .rm = 5, .pg = 2, .lane = 8 } },
	{ 0xe54ee883,
	  "st1w {z3.s}, p2, [x4, #-2, mul vl]",
	  { INSN_SVE, .store = true, .bytes = 4, .rt = 3, .rn = 4, .offset = -2, .pg = 2,
	    .lane = 4 } },
	{ 0x19020461,
	  "cpyfp [x1]!, [x2]!, x3!",
	  { INSN_COPY, .load = true, .store = true, .bytes = 1, .rt = 1, .rn = 3, .rs = 2,
	    .forward_only = true } },
	{ 0x19022461,
	  "cpyfprt [x1]!, [x2]!, x3!",
	  { INSN_COPY, .load = true, .store = true, .bytes = 1, .rt = 1, .rn = 3, .rs = 2,
	    .read_unprivileged = true, .forward_only = true } },
	{ 0x19421461,
	  "cpyfmwt [x1]!, [x2]!, x3!",
	  { INSN_COPY, .load = true, .store = true, .bytes = 1, .rt = 1, .rn = 3, .rs = 2,
	    .unprivileged = true, .stage = INSN_MAIN, .forward_only = true } },
	{ 0x1d823461,
	  "cpyet [x1]!, [x2]!, x3!",
	  { INSN_COPY, .load = true, .store = true, .bytes = 1, .rt = 1, .rn = 3, .rs = 2,
	    .unprivileged = true, .read_unprivileged = true, .stage = INSN_EPILOGUE } },
	{ 0x19c20461,
	  "setp [x1]!, x3!, x2",
	  { INSN_SET, .store = true, .bytes = 1, .rt = 1, .rn = 3, .rs = 2 } },
	{ 0x19c29461,
	  "setet [x1]!, x3!, x2",
	  { INSN_SET, .store = true, .bytes = 1, .rt = 1, .rn = 3, .rs = 2, .unprivileged = true,
	    .stage = INSN_EPILOGUE } },
};

#define assert_same_vector(member) assert_int_equal(insn.member, vectors[i].expected.member)

static void vectors_and_strings_mean_what_an_assembler_writes(void **state)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(vectors); i++) {
		struct insn insn;

		print_message("%s\n", vectors[i].text);
		assert_true(insn_decode(vectors[i].word, &insn));
		assert_same_vector(class);
		assert_same_vector(addressing);
		assert_same_vector(load);
		assert_same_vector(store);
		assert_same_vector(sign);
		assert_same_vector(unprivileged);
		assert_same_vector(read_unprivileged);
		if (vectors[i].expected.bytes)
			assert_same_vector(bytes);
		assert_same_vector(rt);
		assert_same_vector(rn);
		assert_same_vector(rm);
		assert_same_vector(rs);
		assert_same_vector(offset);
		assert_same_vector(registers);
		assert_same_vector(structure);
		assert_same_vector(lanes);
		assert_same_vector(single);
		assert_same_vector(replicate);
		assert_same_vector(index);
		assert_same_vector(quad);
		assert_same_vector(sve);
		assert_same_vector(pg);
		assert_same_vector(lane);
		assert_same_vector(stage);
		assert_same_vector(forward_only);
	}
}

/* What is left out on purpose, each beside a word that is no instruction. */
static void what_is_refused_is_told_from_what_is_none(void **state)
{
	static const struct {
		uint32_t word;
		enum insn_class class;
	} words[] = {
		{ 0xd9601041, INSN_REFUSED }, /* ldg x1, [x2, #16] */
		{ 0xd9201841, INSN_REFUSED }, /* stg x1, [x2, #16] */
		{ 0xd9a02841, INSN_REFUSED }, /* st2g x1, [x2, #32] */
		{ 0xd9a00041, INSN_REFUSED }, /* stgm x1, [x2] */
		{ 0xd9a01041, INSN_NONE }, /* which has no offset */
		{ 0xd9e00041, INSN_REFUSED }, /* ldgm x1, [x2] */
		{ 0xd9e01041, INSN_NONE },
		{ 0xd9200041, INSN_REFUSED }, /* stzgm x1, [x2] */
		{ 0xd9201041, INSN_NONE },
		{ 0xf8201441, INSN_REFUSED }, /* ldraa x1, [x2, #8] */
		{ 0xf8fffc41, INSN_REFUSED }, /* ldrab x1, [x2, #-8]! */
		{ 0xb8201441, INSN_NONE }, /* of a word */
		{ 0x58000003, INSN_REFUSED }, /* ldr x3, . */
		{ 0x9c000003, INSN_REFUSED }, /* ldr q3, . */
		{ 0xdc000003, INSN_NONE }, /* larger than q */
		{ 0xf9800440, INSN_PREFETCH }, /* prfm pldl1keep, [x2, #8] */
		{ 0xf8a36840, INSN_PREFETCH }, /* prfm pldl1keep, [x2, x3] */
		{ 0xf8653883, INSN_NONE }, /* ldr x3 with an index of 16 bits */
		{ 0x4d404441, INSN_NONE }, /* ld1 of a halfword's lane, with half an index */
		{ 0x4d40d041, INSN_NONE }, /* ld1r with S */
		{ 0x4d409841, INSN_NONE }, /* ld1 of a word's lane, with half an index */
		{ 0x4d409441, INSN_NONE }, /* ld1 of a doubleword's, with S */
		{ 0xd9808083, INSN_NONE }, /* between ldapur and ldapursw: no prefetch */
		{ 0x0d00c041, INSN_NONE }, /* a store of it */
		{ 0x0c408c41, INSN_NONE }, /* ld2 {v1.1d, v2.1d} */
		{ 0x0c401041, INSN_NONE }, /* an opcode that is none */
		{ 0x19010461, INSN_NONE }, /* cpyfp from where it copies to */
		{ 0x191f0461, INSN_NONE }, /* cpyfp from xzr */
		{ 0x885f7c83, INSN_EXCLUSIVE }, /* ldxr w3, [x4] */
		{ 0xd50b7423, INSN_ZERO }, /* dc zva, x3 */
		{ 0xd50b7463, INSN_REFUSED }, /* dc gva, x3 */
		{ 0xd503201f, INSN_NONE }, /* nop */
		{ 0x8b020020, INSN_NONE }, /* add x0, x1, x2 */
		{ 0, INSN_NONE },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++) {
		struct insn insn;
		const bool decoded = insn_decode(words[i].word, &insn);

		assert_int_equal(insn.class, words[i].class);
		assert_int_equal(decoded, words[i].class > INSN_REFUSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_mean_what_an_assembler_writes),
		cmocka_unit_test(vectors_and_strings_mean_what_an_assembler_writes),
		cmocka_unit_test(what_is_refused_is_told_from_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
