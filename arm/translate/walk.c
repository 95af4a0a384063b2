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

/* Descriptors, D8.3. */
#define DESC_VALID  UINT64_C(1)
#define DESC_TABLE  UINT64_C(2) /* at level 3: a page */
#define DESC_S2AP_R (UINT64_C(1) << 6)
#define DESC_AF	    (UINT64_C(1) << 10)

unsigned int walk_ps(unsigned int ps)
{
	static const unsigned int size[] = { 32, 36, 40, 42, 44, 48, 52, 52 };

	return size[ps & 7];
}

unsigned int walk_pa_size(uint64_t mmfr0)
{
	return walk_ps(bits(mmfr0, 2, 0));
}

/* The fields TGran4, 16, 64, and for stage 2 TGran4_2, 16_2, 64_2, which may refer to the former.
 */
bool walk_has_granule(uint64_t mmfr0, unsigned int stage, unsigned int granule, bool lpa2)
{
	const unsigned int low = granule == 12 ? 28 : granule == 14 ? 20 : 24;
	const unsigned int low2 = granule == 12 ? 40 : granule == 14 ? 32 : 36;
	const unsigned int field = bits(mmfr0, low + 3, low);
	const unsigned int field2 = bits(mmfr0, low2 + 3, low2);

	if (stage == 2 && field2 != 0)
		return field2 >= (lpa2 ? 3 : 2);
	if (granule == 14)
		return field >= (lpa2 ? 2 : 1);
	return field != 0xf && field >= lpa2;
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

/* Where a table is when stage 2 has a say in it: it has to be readable there. */
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
