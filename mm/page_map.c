// SPDX-License-Identifier: GPL-2.0-only
#include "mm/page_map.h"

#include <errno.h>
#include <stdlib.h>

#include "util.h"

int page_map_create(struct page_map *map, uint64_t page_size, uint64_t ram_size)
{
	const uint64_t pages = align_up(ram_size, page_size) / page_size;

	*map = (struct page_map){
		.page_size = page_size,
		.ram_size = ram_size,
		.words = align_up(pages, PAGE_MAP_BITS) / PAGE_MAP_BITS,
	};
	map->word = calloc(map->words, sizeof(*map->word));
	return map->word ? 0 : -ENOMEM;
}

void page_map_destroy(struct page_map *map)
{
	free(map->word);
	map->word = NULL;
}

void page_map_add(struct page_map *map, uint64_t offset, uint64_t size)
{
	const uint64_t last = (offset + size - 1) / map->page_size;

	for (uint64_t page = offset / map->page_size; page <= last; page++)
		map->word[page / PAGE_MAP_BITS] |= UINT64_C(1) << page % PAGE_MAP_BITS;
}

void page_map_remove(struct page_map *map, uint64_t offset)
{
	const uint64_t page = offset / map->page_size;

	map->word[page / PAGE_MAP_BITS] &= ~(UINT64_C(1) << page % PAGE_MAP_BITS);
}

bool page_map_has(const struct page_map *map, uint64_t offset)
{
	const uint64_t page = offset / map->page_size;

	return map->word[page / PAGE_MAP_BITS] >> page % PAGE_MAP_BITS & 1;
}

uint64_t page_map_bytes(const struct page_map *map)
{
	uint64_t pages = 0;

	for (uint64_t i = 0; i < map->words; i++)
		pages += __builtin_popcountll(map->word[i]);
	return pages * map->page_size;
}

/* The first page from page on that is in it, or is not, or else the number of all bits. */
static uint64_t find(const struct page_map *map, uint64_t page, bool in)
{
	const uint64_t flip = in ? 0 : UINT64_MAX;
	uint64_t i = page / PAGE_MAP_BITS, word;

	if (i >= map->words)
		return map->words * PAGE_MAP_BITS;
	word = (map->word[i] ^ flip) & UINT64_MAX << page % PAGE_MAP_BITS;
	while (word == 0) {
		if (++i == map->words)
			return map->words * PAGE_MAP_BITS;
		word = map->word[i] ^ flip;
	}
	return i * PAGE_MAP_BITS + __builtin_ctzll(word);
}

bool page_map_next(const struct page_map *map, uint64_t at, struct memory_range *part)
{
	uint64_t first, end;

	/* RAM may end within a page. */
	if (at >= map->ram_size)
		return false;
	first = find(map, at / map->page_size, true);
	end = find(map, first, false) * map->page_size;
	part->start = first * map->page_size;
	if (part->start >= map->ram_size)
		return false;
	if (end > map->ram_size)
		end = map->ram_size;
	if (part->start < at)
		part->start = at;
	part->size = end - part->start;
	return true;
}
