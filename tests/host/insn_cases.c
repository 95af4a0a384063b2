// SPDX-License-Identifier: GPL-2.0-only
/*
 * The decoder against the assembler and the disassembler, for insn.sh:
 *
 *   insn_cases asm SEED COUNT          an assembly source of COUNT random loads and stores
 *   insn_cases check SEED COUNT <BIN   decodes what the assembler made of it; names each difference
 *   insn_cases words SEED COUNT        random words as assembly source
 *   insn_cases classes <BIN            the class of each word, a line each
 *
 * Each load or store begins as a struct insn, of which text is made here, words are made by the
 * assembler, and again a struct insn is made by the decoder.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/insn.h"
#include "util.h"

static uint64_t random_state;

static uint32_t any(uint32_t below)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (random_state * UINT64_C(0x2545f4914f6cdd1d) >> 32) % below;
}

static const char *pick(const char *const *list, unsigned int count)
{
	return list[any(count)];
}

#define PICK(...)                                  \
	pick((const char *const[]){ __VA_ARGS__ }, \
	     sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

/* Names of registers; a few at a time may be in use. */
static const char *text(const char *format, unsigned int n)
{
	static char buffer[16][32];
	static unsigned int next;
	char *place = buffer[next++ % ARRAY_SIZE(buffer)];

	snprintf(place, sizeof(buffer[0]), format, n);
	return place;
}

static const char *general(unsigned int n, bool wide)
{
	if (n == 31)
		return wide ? "xzr" : "wzr";
	return text(wide ? "x%u" : "w%u", n);
}

static const char *base(unsigned int n)
{
	return n == 31 ? "sp" : text("x%u", n);
}

static const char *data(const struct insn *insn, unsigned int n)
{
	static const char *const format[17] = {
		[1] = "b%u", [2] = "h%u", [4] = "s%u", [8] = "d%u", [16] = "q%u",
	};

	return insn->vector ? text(format[insn->bytes], n) : general(n, insn->wide);
}

static void registers(struct insn *insn)
{
	insn->rt = any(32);
	insn->rn = any(32);
	/* The assembler warns of a base that is written back to and is data as well. */
	while (insn->rn == insn->rt)
		insn->rn = any(32);
}

/* One register: what, and its mnemonic with middle, "" or "ur" or "tr", in it. */
static void single_kind(struct insn *insn, char *mnemonic, const char *middle)
{
	static const char *const size[] = { [1] = "b", [2] = "h", [4] = "w" };
	const char *width = "", *sign = "";

	insn->load = any(2);
	insn->store = !insn->load;
	insn->bytes = 1 << any(insn->vector ? 5 : 4);
	insn->sign = insn->load && !insn->vector && insn->bytes < 8 && any(2);
	insn->wide =
		!insn->vector && (insn->bytes == 8 || (insn->sign && (insn->bytes == 4 || any(2))));
	registers(insn);
	if (!insn->vector && (insn->bytes < 4 || insn->sign))
		width = size[insn->bytes];
	if (insn->sign)
		sign = "s";
	sprintf(mnemonic, "%s%s%s%s", insn->load ? "ld" : "st", middle, sign, width);
}

static void make_single_offset(struct insn *insn)
{
	char mnemonic[16];

	insn->class = INSN_SINGLE;
	insn->vector = any(2);
	single_kind(insn, mnemonic, "r");
	insn->offset = any(4096) * insn->bytes;
	printf("%s %s, [%s, #%d]\n", mnemonic, data(insn, insn->rt), base(insn->rn), insn->offset);
}

static void make_single_unscaled(struct insn *insn)
{
	char mnemonic[16];

	insn->class = INSN_SINGLE;
	insn->vector = any(2);
	single_kind(insn, mnemonic, "ur");
	insn->offset = (int)any(512) - 256;
	printf("%s %s, [%s, #%d]\n", mnemonic, data(insn, insn->rt), base(insn->rn), insn->offset);
}

static void make_single_unprivileged(struct insn *insn)
{
	char mnemonic[16];

	insn->class = INSN_SINGLE;
	insn->unprivileged = true;
	single_kind(insn, mnemonic, "tr");
	insn->offset = (int)any(512) - 256;
	printf("%s %s, [%s, #%d]\n", mnemonic, data(insn, insn->rt), base(insn->rn), insn->offset);
}

static void make_single_indexed(struct insn *insn)
{
	char mnemonic[16];

	insn->class = INSN_SINGLE;
	insn->vector = any(2);
	single_kind(insn, mnemonic, "r");
	insn->offset = (int)any(512) - 256;
	insn->addressing = any(2) ? INSN_PRE_INDEX : INSN_POST_INDEX;
	printf(insn->addressing == INSN_PRE_INDEX ? "%s %s, [%s, #%d]!\n" : "%s %s, [%s], #%d\n",
	       mnemonic, data(insn, insn->rt), base(insn->rn), insn->offset);
}

static void make_single_register(struct insn *insn)
{
	static const enum insn_extend extends[] = { INSN_UXTW, INSN_LSL, INSN_SXTW, INSN_SXTX };
	static const char *const name[] = {
		[INSN_UXTW] = "uxtw",
		[INSN_LSL] = "lsl",
		[INSN_SXTW] = "sxtw",
		[INSN_SXTX] = "sxtx",
	};
	char mnemonic[16];

	insn->class = INSN_SINGLE;
	insn->vector = any(2);
	single_kind(insn, mnemonic, "r");
	insn->addressing = INSN_REGISTER;
	insn->rm = any(32);
	insn->extend = extends[any(4)];
	insn->shift = any(2) ? __builtin_ctz(insn->bytes) : 0;
	printf("%s %s, [%s, %s", mnemonic, data(insn, insn->rt), base(insn->rn),
	       general(insn->rm, insn->extend & 1));
	if (insn->extend != INSN_LSL || insn->shift > 0)
		printf(", %s #%u", name[insn->extend], insn->shift);
	printf("]\n");
}

static void make_pair(struct insn *insn)
{
	static const enum insn_addressing addressing[] = { INSN_OFFSET, INSN_PRE_INDEX,
							   INSN_POST_INDEX };
	static const char *const format[] = {
		[INSN_OFFSET] = "%s %s, %s, [%s, #%d]\n",
		[INSN_PRE_INDEX] = "%s %s, %s, [%s, #%d]!\n",
		[INSN_POST_INDEX] = "%s %s, %s, [%s], #%d\n",
	};
	const bool no_allocate = any(4) == 0;
	const char *mnemonic;

	insn->class = INSN_PAIR;
	insn->load = any(2);
	insn->store = !insn->load;
	insn->vector = any(2);
	insn->bytes = 4 << any(insn->vector ? 3 : 2);
	insn->sign = !insn->vector && insn->load && insn->bytes == 4 && !no_allocate && any(2);
	insn->wide = !insn->vector && (insn->bytes == 8 || insn->sign);
	insn->rt = any(15);
	insn->rt2 = 15 + any(10);
	insn->rn = 25 + any(7);
	insn->offset = ((int)any(128) - 64) * insn->bytes;
	if (!no_allocate)
		insn->addressing = addressing[any(3)];
	mnemonic = insn->sign	 ? "ldpsw"
		   : no_allocate ? (insn->load ? "ldnp" : "stnp")
				 : (insn->load ? "ldp" : "stp");
	printf(format[insn->addressing], mnemonic, data(insn, insn->rt), data(insn, insn->rt2),
	       base(insn->rn), insn->offset);
}

static const char *byte_half(const struct insn *insn)
{
	return insn->bytes == 1 ? "b" : insn->bytes == 2 ? "h" : "";
}

static void make_ordered(struct insn *insn)
{
	insn->class = INSN_ORDERED;
	insn->bytes = 1 << any(4);
	insn->wide = insn->bytes == 8;
	insn->load = any(2);
	insn->store = !insn->load;
	registers(insn);
	printf("%s%s %s, [%s]\n",
	       insn->load ? PICK("ldar", "ldlar", "ldapr") : PICK("stlr", "stllr"), byte_half(insn),
	       data(insn, insn->rt), base(insn->rn));
}

static void make_ordered_unscaled(struct insn *insn)
{
	char mnemonic[16], ordered[32];

	single_kind(insn, mnemonic, "ur");
	insn->class = INSN_ORDERED;
	insn->offset = (int)any(512) - 256;
	sprintf(ordered, "%s%s", insn->load ? "ldap" : "stl", mnemonic + 2);
	printf("%s %s, [%s, #%d]\n", ordered, data(insn, insn->rt), base(insn->rn), insn->offset);
}

static void make_exclusive(struct insn *insn)
{
	const char *size = PICK("b", "h", "");
	const bool wide = !*size && any(2);

	insn->class = INSN_EXCLUSIVE;
	switch (any(4)) {
	case 0:
		printf("%s%s %s, [%s]\n", PICK("ldxr", "ldaxr"), size, general(any(32), wide),
		       base(any(32)));
		return;
	case 1:
		printf("%s%s %s, %s, [%s]\n", PICK("stxr", "stlxr"), size, general(any(10), false),
		       general(10 + any(10), wide), base(20 + any(12)));
		return;
	case 2:
		printf("%s %s, %s, [%s]\n", PICK("ldxp", "ldaxp"), general(any(16), wide),
		       general(16 + any(16), wide), base(any(32)));
		return;
	default:
		printf("%s %s, %s, %s, [%s]\n", PICK("stxp", "stlxp"), general(any(8), false),
		       general(8 + any(8), wide), general(16 + any(8), wide), base(24 + any(8)));
	}
}

static void read_modify_write(struct insn *insn)
{
	insn->load = insn->store = true;
	insn->rs = any(32);
	registers(insn);
}

static void make_cas(struct insn *insn)
{
	insn->class = INSN_CAS;
	insn->bytes = 1 << any(4);
	insn->wide = insn->bytes == 8;
	read_modify_write(insn);
	printf("%s%s %s, %s, [%s]\n", PICK("cas", "casa", "casl", "casal"), byte_half(insn),
	       data(insn, insn->rs), data(insn, insn->rt), base(insn->rn));
}

static void make_casp(struct insn *insn)
{
	insn->class = INSN_CAS;
	insn->pair = true;
	insn->wide = any(2);
	insn->bytes = insn->wide ? 8 : 4;
	insn->load = insn->store = true;
	insn->rs = 2 * any(15);
	insn->rt = 2 * any(15);
	insn->rn = any(32);
	printf("%s %s, %s, %s, %s, [%s]\n", PICK("casp", "caspa", "caspl", "caspal"),
	       data(insn, insn->rs), data(insn, insn->rs + 1), data(insn, insn->rt),
	       data(insn, insn->rt + 1), base(insn->rn));
}

static void make_atomic(struct insn *insn)
{
	static const char *const name[] = {
		[INSN_ADD] = "ldadd",	   [INSN_CLR] = "ldclr",   [INSN_EOR] = "ldeor",
		[INSN_SET_BITS] = "ldset", [INSN_SMAX] = "ldsmax", [INSN_SMIN] = "ldsmin",
		[INSN_UMAX] = "ldumax",	   [INSN_UMIN] = "ldumin", [INSN_SWAP] = "swp",
	};

	insn->class = INSN_ATOMIC;
	insn->operation = any(9);
	insn->bytes = 1 << any(4);
	insn->wide = insn->bytes == 8;
	read_modify_write(insn);
	printf("%s%s%s %s, %s, [%s]\n", name[insn->operation], PICK("", "a", "l", "al"),
	       byte_half(insn), data(insn, insn->rs), data(insn, insn->rt), base(insn->rn));
}

static const char *arrangement(const struct insn *insn)
{
	static const char *const name[2][9] = {
		{ [1] = "8b", [2] = "4h", [4] = "2s", [8] = "1d" },
		{ [1] = "16b", [2] = "8h", [4] = "4s", [8] = "2d" },
	};

	return name[insn->quad][insn->bytes];
}

/* "{v1.8b, v2.8b}" or "{v1.b, v2.b}[5]". */
static void print_list(const struct insn *insn)
{
	static const char letter[] = { [1] = 'b', [2] = 'h', [4] = 's', [8] = 'd' };

	for (unsigned int i = 0; i < insn->registers; i++) {
		printf("%sv%u.", i ? ", " : "{", (insn->rt + i) % 32);
		if (insn->single && !insn->replicate)
			putchar(letter[insn->bytes]);
		else
			fputs(arrangement(insn), stdout);
	}
	putchar('}');
	if (insn->single && !insn->replicate)
		printf("[%u]", insn->index);
}

static void structure_address(struct insn *insn, unsigned int bytes)
{
	printf(", [%s]", base(insn->rn));
	switch (any(3)) {
	case 0:
		insn->addressing = INSN_POST_INDEX;
		insn->offset = bytes;
		printf(", #%u", bytes);
		break;
	case 1:
		insn->addressing = INSN_POST_REGISTER;
		insn->rm = any(31);
		printf(", x%u", insn->rm);
		break;
	}
	putchar('\n');
}

static void structure_kind(struct insn *insn)
{
	insn->class = INSN_STRUCTURE;
	insn->vector = true;
	insn->load = any(2);
	insn->store = !insn->load;
	insn->quad = any(2);
	insn->bytes = 1 << any(4);
	insn->structure = insn->registers = 1 + any(4);
	registers(insn);
}

static void make_structures(struct insn *insn)
{
	structure_kind(insn);
	if (any(2))
		insn->structure = 1;
	if (insn->structure > 1 && insn->bytes == 8)
		insn->quad = true;
	insn->lanes = (insn->quad ? 16 : 8) / insn->bytes;
	printf("%s%u ", insn->load ? "ld" : "st", insn->structure);
	print_list(insn);
	structure_address(insn, insn->registers * (insn->quad ? 16 : 8));
}

static void make_single_structure(struct insn *insn)
{
	structure_kind(insn);
	insn->single = true;
	insn->replicate = insn->load && any(2);
	insn->lanes = 1;
	if (insn->replicate) {
		insn->lanes = (insn->quad ? 16 : 8) / insn->bytes;
	} else {
		insn->index = any(16 / insn->bytes);
		insn->quad = insn->index * insn->bytes >= 8;
	}
	printf("%s%u%s ", insn->load ? "ld" : "st", insn->structure, insn->replicate ? "r" : "");
	print_list(insn);
	structure_address(insn, insn->registers * insn->bytes);
}

static void make_sve(struct insn *insn)
{
	static const char letter[] = { [1] = 'b', [2] = 'h', [4] = 's', [8] = 'd' };
	static const char size[] = { [1] = 'b', [2] = 'h', [4] = 'w', [8] = 'd' };
	const unsigned int memory = any(4);

	insn->class = INSN_SVE;
	insn->load = any(2);
	insn->store = !insn->load;
	insn->bytes = 1 << memory;
	insn->lane = 1 << (memory + any(4 - memory));
	insn->sign = insn->load && insn->lane > insn->bytes && any(2);
	insn->pg = any(8);
	registers(insn);
	printf("%s1%s%c {z%u.%c}, p%u%s, [%s", insn->load ? "ld" : "st", insn->sign ? "s" : "",
	       size[insn->bytes], insn->rt, letter[insn->lane], insn->pg, insn->load ? "/z" : "",
	       base(insn->rn));
	if (any(2)) {
		insn->addressing = INSN_REGISTER;
		insn->extend = INSN_LSL;
		insn->shift = memory;
		insn->rm = any(31);
		printf(", x%u", insn->rm);
		if (memory > 0)
			printf(", lsl #%u", memory);
		printf("]\n");
	} else {
		insn->offset = (int)any(16) - 8;
		printf(", #%d, mul vl]\n", insn->offset);
	}
}

static void make_sve_whole(struct insn *insn)
{
	insn->class = INSN_SVE;
	insn->load = any(2);
	insn->store = !insn->load;
	insn->bytes = 1;
	insn->sve = any(2) ? INSN_SVE_Z : INSN_SVE_P;
	insn->rt = any(insn->sve == INSN_SVE_Z ? 32 : 16);
	insn->rn = any(32);
	insn->offset = (int)any(512) - 256;
	printf("%s %c%u, [%s, #%d, mul vl]\n", insn->load ? "ldr" : "str",
	       insn->sve == INSN_SVE_Z ? 'z' : 'p', insn->rt, base(insn->rn), insn->offset);
}

static void make_zero(struct insn *insn)
{
	insn->class = INSN_ZERO;
	insn->store = true;
	insn->rt = any(32);
	printf("dc zva, %s\n", general(insn->rt, true));
}

/* Three different registers, below 31. */
static void three_registers(struct insn *insn)
{
	insn->rt = any(10);
	insn->rs = 10 + any(10);
	insn->rn = 20 + any(11);
}

static char stage_letter(struct insn *insn)
{
	insn->stage = any(3);
	return "pme"[insn->stage];
}

static void make_copy(struct insn *insn)
{
	static const char *const unprivileged[] = { "", "wt", "rt", "t" };
	const unsigned int options = any(4);

	insn->class = INSN_COPY;
	insn->bytes = 1;
	insn->load = insn->store = true;
	insn->forward_only = any(2);
	insn->unprivileged = options & 1;
	insn->read_unprivileged = options & 2;
	three_registers(insn);
	printf("cpy%s%c%s%s [x%u]!, [x%u]!, x%u!\n", insn->forward_only ? "f" : "",
	       stage_letter(insn), unprivileged[options], PICK("", "n", "wn", "rn"), insn->rt,
	       insn->rs, insn->rn);
}

static void make_set(struct insn *insn)
{
	insn->class = INSN_SET;
	insn->bytes = 1;
	insn->store = true;
	insn->unprivileged = any(2);
	three_registers(insn);
	if (any(8) == 0)
		insn->rs = 31;
	printf("set%c%s%s [x%u]!, x%u!, %s\n", stage_letter(insn), insn->unprivileged ? "t" : "",
	       PICK("", "n"), insn->rt, insn->rn, general(insn->rs, true));
}

static void make_ldst64b(struct insn *insn)
{
	insn->class = INSN_LDST64B;
	insn->bytes = 8;
	insn->wide = true;
	insn->rt = 2 * any(12);
	insn->rn = 24 + any(8);
	insn->rs = 31;
	switch (any(3)) {
	case 0:
		insn->load = true;
		printf("ld64b x%u, [%s]\n", insn->rt, base(insn->rn));
		return;
	case 1:
		insn->store = true;
		printf("st64b x%u, [%s]\n", insn->rt, base(insn->rn));
		return;
	default:
		insn->load = insn->store = true;
		insn->rs = 25 + any(6);
		printf("%s x%u, x%u, [%s]\n", PICK("st64bv", "st64bv0"), insn->rs, insn->rt,
		       base(insn->rn));
	}
}

static void make_prefetch(struct insn *insn)
{
	insn->class = INSN_PREFETCH;
	switch (any(4)) {
	case 0:
		printf("prfm #%u, [%s, #%u]\n", any(32), base(any(32)), 8 * any(4096));
		return;
	case 1:
		printf("prfm #%u, [%s, x%u, lsl #3]\n", any(24), base(any(32)), any(31));
		return;
	case 2:
		printf("prfm #%u, . + %u\n", any(32), 4 * any(1000));
		return;
	default:
		printf("prfum #%u, [%s, #%d]\n", any(32), base(any(32)), (int)any(512) - 256);
	}
}

static void make_refused(struct insn *insn)
{
	insn->class = INSN_REFUSED;
	switch (any(5)) {
	case 0:
		printf("ldr %s%u, . + %u\n", PICK("x", "w", "s", "d", "q"), any(30), 4 * any(1000));
		return;
	case 1:
		printf("%s x%u, [x%u, #%d]%s\n", PICK("ldraa", "ldrab"), any(15), 15 + any(15),
		       8 * ((int)any(1024) - 512), PICK("", "!"));
		return;
	case 2:
		printf("%s sp, [x%u, #%d]\n", PICK("stg", "st2g", "stzg", "stz2g"), any(31),
		       16 * ((int)any(512) - 256));
		return;
	case 3:
		printf("stgp x%u, x%u, [x%u, #%d]\n", any(31), any(31), any(31),
		       16 * ((int)any(128) - 64));
		return;
	default:
		printf("dc %s, x%u\n", PICK("gva", "gzva"), any(31));
	}
}

static void (*const makers[])(struct insn *insn) = {
	make_single_offset,
	make_single_unscaled,
	make_single_unprivileged,
	make_single_indexed,
	make_single_register,
	make_pair,
	make_ordered,
	make_ordered_unscaled,
	make_exclusive,
	make_cas,
	make_casp,
	make_atomic,
	make_structures,
	make_single_structure,
	make_sve,
	make_sve_whole,
	make_zero,
	make_copy,
	make_set,
	make_ldst64b,
	make_prefetch,
	make_refused,
};

static void make(struct insn *insn, unsigned int which)
{
	*insn = (struct insn){ 0 };
	makers[which % ARRAY_SIZE(makers)](insn);
}

static int assembly(unsigned int count)
{
	struct insn insn;

	puts(".arch armv8.8-a+sve+mops+ls64+memtag+lse+rcpc");
	for (unsigned int i = 0; i < count; i++)
		make(&insn, i);
	return 0;
}

/* Padding has no meaning, and there is none that either side writes. */
static bool same(const struct insn *a, const struct insn *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static int check(unsigned int count)
{
	unsigned int wrong = 0;
	struct insn asked, got;
	uint32_t word;

	for (unsigned int i = 0; i < count; i++) {
		if (fread(&word, sizeof(word), 1, stdin) != 1) {
			fprintf(stderr, "only %u words\n", i);
			return 1;
		}
		memset(&got, 0, sizeof(got));
		memset(&asked, 0, sizeof(asked));
		make(&asked, i);
		insn_decode(word, &got);
		if (!same(&asked, &got)) {
			fprintf(stderr, "%08" PRIx32 ": %s instead of %s\n", word,
				insn_class_name(got.class), insn_class_name(asked.class));
			wrong++;
		}
	}
	return wrong > 0;
}

/* Half of them anything, half of them in the groups of loads and stores. */
static int words(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		uint32_t word = any(UINT32_MAX);

		if (i % 2)
			word = (word & ~UINT32_C(0x02000000)) | 0x08000000;
		printf(".inst 0x%08" PRIx32 "\n", word);
	}
	return 0;
}

static int classes(void)
{
	struct insn insn;
	uint32_t word;

	while (fread(&word, sizeof(word), 1, stdin) == 1) {
		insn_decode(word, &insn);
		puts(insn_class_name(insn.class));
	}
	return 0;
}

int main(int argc, char **argv)
{
	unsigned int count = 0;

	if (argc == 4) {
		random_state = strtoull(argv[2], NULL, 0) * UINT64_C(0x9e3779b97f4a7c15) + 1;
		count = strtoul(argv[3], NULL, 0);
	}
	if (argc == 4 && strcmp(argv[1], "asm") == 0)
		return assembly(count);
	if (argc == 4 && strcmp(argv[1], "check") == 0)
		return check(count);
	if (argc == 4 && strcmp(argv[1], "words") == 0)
		return words(count);
	if (argc == 2 && strcmp(argv[1], "classes") == 0)
		return classes();
	return 2;
}
