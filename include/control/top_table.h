/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `nidus top` shows: what a guest does in a second, from two looks at its statistics.
 */
#ifndef NIDUS_TOP_TABLE_H
#define NIDUS_TOP_TABLE_H

#include <jansson.h>
#include <stdio.h>

enum top_sort { TOP_BY_RATE, TOP_BY_VCPU, TOP_BY_ADDRESS };

/*
 * Two answers to `stat`, to which cpu_ns may have been added, of the guest and of its vCPUs, and
 * how many seconds are between them. Every counter as its rate; what has become less, as after a
 * reset, began at 0. The caller's to release, NULL: no memory, or statistics that make no sense.
 */
json_t *top_table_rates(const json_t *before, const json_t *now, double seconds);

/* Prints these, for people, lines ending in end; status: the answer to that request. */
void top_table_print(FILE *stream, const char *name, const json_t *status, const json_t *rates,
		     enum top_sort sort, const char *end);

#endif
