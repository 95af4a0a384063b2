/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The file that --stats writes; docs/stats.md has its schema.
 */
#ifndef NIDUS_STATS_H
#define NIDUS_STATS_H

#include "machine.h"

#define STATS_VERSION 1

/*
 * Writes what is known of the machine, running or stopped but not destroyed, to path, or nothing
 * where path is NULL. resets: how many machines there were before this one. Errors: -errno, said.
 */
int stats_write(const char *path, const struct machine *machine, unsigned int resets);

#endif
