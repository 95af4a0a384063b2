// SPDX-License-Identifier: GPL-2.0-only
/*
 * In place of mm/cache.c, whose instructions this machine may not have: with it nidus is a program
 * here, too. It starts no guest, but says what it can do.
 */
#include "mm/cache.h"

uint64_t cache_line_size(void)
{
	return 64;
}

uint64_t cache_zero_size(void)
{
	return 64;
}

void cache_clean(uintptr_t start, uintptr_t end, uint64_t line)
{
	(void)start;
	(void)end;
	(void)line;
}

void cache_sync(void)
{
}
