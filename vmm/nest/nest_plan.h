/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A nest's plan on its way from level to level: JSON, made in one level and read in the next.
 */
#ifndef NIDUS_NEST_PLAN_H
#define NIDUS_NEST_PLAN_H

#include <jansson.h>

#include "nest/nest.h"

/* Where a level finds the file that is source number so and so. */
#define NEST_DIRECTORY "/nest"
#define NEST_PLAN      NEST_DIRECTORY "/plan"

/* Where the files of the innermost level are that go over a root from outside. */
#define NEST_OWN NEST_DIRECTORY "/own"

/* Writes that path. */
void nest_plan_path(char *path, size_t size, unsigned int source);

/* The plan as that level is to find it: the caller's to release. NULL for want of memory. */
json_t *nest_plan_pack(const struct nest *nest, unsigned int level);

/* Words as an array, likewise. */
json_t *nest_plan_words(const struct word_list *list);

/* The record of a snapshot that has the plan of a nest, as level 1 was to find it. */
#define NEST_RECORD "nest"

/*
 * The other way round; nothing of plan, which may be NULL, is taken for granted. Errors, not said:
 * -EINVAL for what is no plan, -ENOMEM; then there is nothing to destroy.
 */
int nest_plan_unpack(struct nest *nest, unsigned int *level, json_t *plan);

#endif
