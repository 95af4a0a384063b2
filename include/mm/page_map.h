/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A set of pages of guest RAM: a bit for each, from the beginning of RAM, in the form that KVM has
 * for its log. One thread at a time.
 */
#ifndef NIDUS_PAGE_MAP_H
#define NIDUS_PAGE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "mm/memory.h"

#define PAGE_MAP_BITS 64 /* of a word */

struct page_map {
	uint64_t page_size; /* bytes */
	uint64_t ram_size; /* bytes */
	uint64_t words;
	uint64_t *word; /* NULL: there is no set */
};

/* None of them is in it. Errors: -ENOMEM, not said. page_map_destroy(): may come without a set. */
int page_map_create(struct page_map *map, uint64_t page_size, uint64_t ram_size);
void page_map_destroy(struct page_map *map);

/* All pages that a part of RAM lies in, by its offset from the beginning of RAM; size > 0. */
void page_map_add(struct page_map *map, uint64_t offset, uint64_t size);
/* The one that offset lies in. */
void page_map_remove(struct page_map *map, uint64_t offset);
/* Whether the page that offset lies in is in it. */
bool page_map_has(const struct page_map *map, uint64_t offset);

/* How many bytes they are. */
uint64_t page_map_bytes(const struct page_map *map);

/*
 * The first part of RAM, from offset at on, whose pages are in it: its offset from the beginning of
 * RAM, and its size, up to the next page that is not. False: there is none.
 */
bool page_map_next(const struct page_map *map, uint64_t at, struct memory_range *part);

#endif
