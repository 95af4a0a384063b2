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
		cmocka_unit_test(what_is_refused_is_told_from_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
