/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `nidus tlbi` prints: trapped TLBIs by vCPU and kind.
 */
#ifndef NIDUS_TLBI_TABLE_H
#define NIDUS_TLBI_TABLE_H

#include <stdbool.h>
#include <stdio.h>

#include "control/peek.h"

/* Whether the kernel that these statistics are from counts TLBIs. */
bool tlbi_table_has(const struct peek *now);

/*
 * Prints what happened in so many seconds between two looks, per second; with seconds 0, the counts
 * of now. What before does not have, or has more of, as a machine before a reset may, began at 0.
 */
void tlbi_table_print(FILE *stream, const struct peek *before, const struct peek *now,
		      double seconds);

#endif
