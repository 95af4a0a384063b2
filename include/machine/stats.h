/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file that --stats writes; docs/stats.md has its schema.
 */
#ifndef NIDUS_STATS_H
#define NIDUS_STATS_H

#include <jansson.h>

#include "machine/machine.h"

#define STATS_VERSION 1

/*
 * What is known of the machine, running or stopped but not destroyed; the caller's to release.
 * resets: how many machines there were before this one. NULL: no memory.
 */
json_t *stats_collect(const struct machine *machine, unsigned int resets);

/* Adds to that what each vCPU accessed by MMIO, which it has for all of them together. */
void stats_add_mmio(json_t *stats, const struct machine *machine);

/* The part of it that is about the guest's balloon; NULL: it has none. */
json_t *stats_balloon(const struct machine *machine);

/* Writes the same, or nothing where nobody wants it. Errors: -errno, said. */
int stats_write(struct written *written, const struct machine *machine, unsigned int resets);

#endif
