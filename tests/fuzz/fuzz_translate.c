// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any registers and any tables. The input's beginning is registers, the rest is RAM.
 */
#include "fuzz.h"
#include "translate/translate.h"
#include "util.h"

#define RAM  GIB(1)
#define SIZE KIB(64)

static uint8_t ram[SIZE] __attribute__((aligned(4096)));
static const struct memory memory = { .base = RAM, .size = SIZE, .host = ram };

static struct regime regime;

/* A table's address or descriptor: in RAM, with a bit that has no other meaning to either. */
static uint64_t take_table(struct input *input)
{
	uint64_t value = take(input, 8);

	return value & 4 ? (value & (UINT64_C(0xffff) << 48 | (SIZE - 1))) | RAM : value;
}

static void take_regime(struct input *input)
{
	regime = (struct regime){
		.kind = take(input, 1) % 3,
		.pc = take(input, 8),
		.pstate = take(input, 4),
		.sctlr = take(input, 8) | (take(input, 1) % 8 != 0),
		.tcr = take(input, 8),
		.tcr2 = take(input, 1),
		.mair = take(input, 8),
		.pir = take(input, 8),
		.pire0 = take(input, 8),
		.por = take(input, 8),
		.por_el0 = take(input, 8),
		.stage2 = take(input, 1) & 1,
		.hcr = take(input, 8),
		.sctlr_el2 = take(input, 4),
		.vtcr = take(input, 8),
		.mmfr0 = take(input, 8),
		.mmfr1 = take(input, 8),
		.mmfr2 = take(input, 8),
		.mmfr3 = take(input, 8),
	};
	/* A CPU that has everything, as long as none is asked for that has something else. */
	if (take(input, 1) % 8 != 0) {
		regime.mmfr0 = UINT64_C(0x32310200006);
		regime.mmfr1 = 1 << 28 | 3 << 20 | 1 << 12 | 2;
		regime.mmfr2 = UINT64_C(1) << 60 | 1 << 28 | 1 << 16;
	}
	regime.ttbr[0] = take_table(input);
	regime.ttbr[1] = take_table(input);
	regime.vttbr = take_table(input);
}

static void check(uint64_t va, enum translate_access access, bool unprivileged)
{
	struct translation is = { .gpa = 1, .size = 0 }, again;
	enum translate_result result = translate(&regime, &memory, va, access, unprivileged, &is);

	MUST(result <= TRANSLATE_FAIL);
	if (result != TRANSLATE_DONE)
		return;
	/* Contiguous to the end of its size, and within what an address can be. */
	MUST(is.size > 0 && is.gpa + is.size <= UINT64_C(1) << 52);
	MUST(translate(&regime, &memory, va + is.size - 1, access, unprivileged, &again) ==
	     TRANSLATE_DONE);
	MUST(again.gpa == is.gpa + is.size - 1 && again.size == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t before[SIZE];
	struct input input = { data, size };
	uint64_t va;
	uint32_t insn;

	take_regime(&input);
	va = take(&input, 8);
	memset(ram, 0, sizeof(ram));
	for (size_t at = 0; at < SIZE && input.size > 0;) {
		/* Where the next bytes go, so that short inputs reach all of RAM. */
		at = take(&input, 2) * 8 % SIZE;
		for (size_t count = take(&input, 1) % 8 + 1; count > 0 && at < SIZE; count--) {
			const uint64_t descriptor = take_table(&input);

			memcpy(ram + at, &descriptor, sizeof(descriptor));
			at += sizeof(descriptor);
		}
	}
	memcpy(before, ram, sizeof(before));

	for (unsigned int access = TRANSLATE_READ; access <= TRANSLATE_EXECUTE; access++) {
		check(va, access, false);
		check(va, access, true);
	}
	regime.pc &= ~UINT64_C(1);
	MUST(translate_fetch(&regime, &memory, &insn) != TRANSLATE_DONE || regime.pc % 4 == 0);
	MUST(memcmp(before, ram, sizeof(before)) == 0);
	return 0;
}
