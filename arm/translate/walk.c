// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation: tables are the guest's, and other vCPUs may be changing them. Each
 * descriptor is loaded once, as the CPU loads it: 64 bits, single-copy atomic. All that follows is
 * decided on that value. A walk goes one level down at every step and ends at level 3, so tables
 * that point at themselves or at each other make it no longer.
 */
#include <endian.h>

#include "util.h"
#include "walk.h"

#define LAST_LEVEL 3

/* The number of bits that a field like TCR_EL1.IPS allows. */
static unsigned int walk_ps(unsigned int ps)
{
	static const unsigned int size[] = { 32, 36, 40, 42, 44, 48, 52, 52 };

	return size[ps & 7];
}

unsigned int walk_pa_size(uint64_t mmfr0)
{
	return walk_ps(field_get(MMFR0_PARANGE, mmfr0));
}

enum translate_result walk_sizes(struct walk *walk, const struct regime *regime,
				 const struct walk_control *control)
{
	const unsigned int stage = control->stage, granule = control->granule;
	const unsigned int pa_size = walk_pa_size(regime->mmfr0), ps = walk_ps(control->ps);
	const bool has_ttst = regime->mmfr2 & MMFR2_ST;
	const unsigned int shortest = !has_ttst ? 25 : granule == 16 ? 17 : 16;

	if (granule == 0 || !sysreg_has_granule(regime->mmfr0, stage, granule, false))
		return TRANSLATE_FAIL;
	walk->granule = granule;
	walk->lpa = pa_size == 52;
	walk->lpa2 = granule != 16 && control->ds &&
		     sysreg_has_granule(regime->mmfr0, stage, granule, true);
	walk->output_size = ps < pa_size ? ps : pa_size;
	if (granule != 16 && !walk->lpa2 && walk->output_size > 48)
		walk->output_size = 48;
	walk->input_size = 64 - control->txsz;
	return walk->input_size < shortest ? TRANSLATE_AGAIN : TRANSLATE_DONE;
}

/* Bits of the input address below those that index a table of that level. */
static unsigned int walk_shift(const struct walk *walk, int level)
{
	return walk->granule + (LAST_LEVEL - level) * (walk->granule - 3);
}

static bool walk_has_block(const struct walk *walk, int level)
{
	switch (walk->granule) {
	case 12:
		return level == 2 || level == 1 || (level == 0 && walk->lpa2);
	case 14:
		return level == 2 || (level == 1 && walk->lpa2);
	default:
		return level == 2 || (level == 1 && walk->lpa);
	}
}

/* Whether addresses in registers and descriptors have bits above 47, and where they are. */
static bool walk_is_wide(const struct walk *walk)
{
	return walk->lpa2 || walk->output_size > 48;
}

static uint64_t walk_address(const struct walk *walk, uint64_t descriptor)
{
	const unsigned int page = walk->granule;

	if (walk->lpa2)
		return bits(descriptor, 49, page) << page | bits(descriptor, 9, 8) << 50;
	if (walk_is_wide(walk))
		return bits(descriptor, 47, page) << page | bits(descriptor, 15, 12) << 48;
	return bits(descriptor, 47, page) << page;
}

enum translate_result walk_base(struct walk *walk, uint64_t ttbr)
{
	uint64_t size = UINT64_C(8) << (walk->input_size - walk_shift(walk, walk->level));
	uint64_t base = bits(ttbr, 47, 1) << 1;

	if (walk_is_wide(walk)) {
		base |= bits(ttbr, 5, 2) << 48;
		size = size < 64 ? 64 : size;
	}
	walk->table = align_down(base, size);
	return walk->table >> walk->output_size ? TRANSLATE_AGAIN : TRANSLATE_DONE;
}

/* Translates a table's address by stage 2, where the table has to be readable. */
static enum translate_result walk_stage2(const struct walk *stage2, uint64_t *address)
{
	enum translate_result result;
	struct leaf leaf;

	if (*address >> stage2->input_size)
		return TRANSLATE_AGAIN;
	result = walk_tables(stage2, *address, &leaf);
	if (result != TRANSLATE_DONE)
		return result;
	if (!(leaf.descriptor & DESC_S2AP_R))
		return TRANSLATE_AGAIN;
	*address = leaf.address;
	return TRANSLATE_DONE;
}

static enum translate_result walk_load(const struct walk *walk, uint64_t address,
				       uint64_t *descriptor)
{
	const uint64_t *host;

	if (walk->stage2) {
		enum translate_result result = walk_stage2(walk->stage2, &address);

		if (result != TRANSLATE_DONE)
			return result;
	}
	host = memory_at(walk->memory, address, sizeof(*host));
	if (!host)
		return TRANSLATE_FAIL;
	*descriptor = __atomic_load_n(host, __ATOMIC_RELAXED);
	*descriptor = walk->big_endian ? be64toh(*descriptor) : le64toh(*descriptor);
	return TRANSLATE_DONE;
}

/* A page or a block of 1 << shift bytes. */
static enum translate_result walk_leaf(const struct walk *walk, uint64_t input, unsigned int shift,
				       struct leaf *leaf)
{
	const uint64_t size = UINT64_C(1) << shift, offset = input & (size - 1);
	const uint64_t base = align_down(walk_address(walk, leaf->descriptor), size);

	if (base >> walk->output_size)
		return TRANSLATE_AGAIN;
	if (!(leaf->descriptor & DESC_AF) && !walk->sets_access_flag)
		return TRANSLATE_AGAIN;
	leaf->address = base + offset;
	leaf->size = size - offset;
	return TRANSLATE_DONE;
}

enum translate_result walk_tables(const struct walk *walk, uint64_t input, struct leaf *leaf)
{
	unsigned int top = walk->input_size - 1;
	uint64_t table = walk->table;

	leaf->tables = 0;
	for (int level = walk->level;; level++) {
		const unsigned int shift = walk_shift(walk, level);
		const uint64_t address = table + bits(input, top, shift) * sizeof(uint64_t);
		enum translate_result result = walk_load(walk, address, &leaf->descriptor);

		if (result != TRANSLATE_DONE)
			return result;
		if (!(leaf->descriptor & DESC_VALID))
			return TRANSLATE_AGAIN;
		if (!(leaf->descriptor & DESC_TABLE))
			return walk_has_block(walk, level) ? walk_leaf(walk, input, shift, leaf)
							   : TRANSLATE_AGAIN;
		if (level == LAST_LEVEL)
			return walk_leaf(walk, input, shift, leaf);

		table = walk_address(walk, leaf->descriptor);
		if (table >> walk->output_size)
			return TRANSLATE_AGAIN;
		leaf->tables |= leaf->descriptor;
		top = shift - 1;
	}
}
