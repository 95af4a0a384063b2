/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A nest's plan as it travels, which shows all that is in it.
 */
#ifndef PACKED_H
#define PACKED_H

#include <stdlib.h>

#include "unit.h"
#include "vmm/nest/nest_plan.h"

/* The levels, the caller's. */
static inline json_t *packed_levels(const struct nest *nest)
{
	json_t *plan = nest_plan_pack(nest, 1), *levels;

	assert_non_null(plan);
	levels = json_incref(json_object_get(plan, "levels"));
	json_decref(plan);
	return levels;
}

/* One thing of a level, in JSON. */
static inline void assert_packed(const struct nest *nest, unsigned int level, const char *key,
				 const char *expected)
{
	json_t *levels = packed_levels(nest);
	json_t *member = json_object_get(json_array_get(levels, level - 1), key);
	char *text = json_dumps(member, JSON_COMPACT | JSON_ENCODE_ANY);

	assert_string_equal(text, expected);
	free(text);
	json_decref(levels);
}

#endif
