// SPDX-License-Identifier: GPL-2.0-only
/*
 * In place of mm/cache.c, which is of instructions of arm64, for tests that want to know nothing of
 * it; those that do have functions of their own by these names.
 */
#include "mm/cache.h"

#define FAKE __attribute__((weak))

FAKE uint64_t cache_line_size(void)
{
	return 64;
}

FAKE uint64_t cache_zero_size(void)
{
	return 64;
}

FAKE void cache_clean(uintptr_t start, uintptr_t end, uint64_t line)
{
}

FAKE void cache_sync(void)
{
}
