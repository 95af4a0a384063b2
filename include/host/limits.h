/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the host allows this process, and how errors tell that it allows no more.
 */
#ifndef NIDUS_LIMITS_H
#define NIDUS_LIMITS_H

#include <stdbool.h>

/*
 * Raises the limit of open files as far as that goes without being root: a machine with many vCPUs
 * or disks takes more than the 1,024 that are usual. Programs that are started by exec(2) would
 * inherit it, some of which break with more (select(2)), so they get their own back before.
 */
void limits_raise(void);

/* Puts back what was raised: for a process that is about to become another program. */
void limits_restore(void);

/*
 * Whether err (-errno) says that the host lacks something or has run out of it: descriptors,
 * memory, threads, space, a system call. Then that is to blame, whatever was being done with what
 * the user gave.
 */
bool limits_missing(int err);

#endif
