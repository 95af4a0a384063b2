/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a sandbox is made of. All are of the calling thread and of those that it starts later.
 * Errors: -errno, not said.
 */
#ifndef NIDUS_SANDBOX_PARTS_H
#define NIDUS_SANDBOX_PARTS_H

#include <stdbool.h>

#include "sandbox/sandbox.h"

/* Loads the filter of that kind besides those that are there. report: what it forbids is told. */
int filter_load(enum sandbox_kind kind, bool report);

/* Forbids all paths, and what else this kernel's Landlock knows. Returns its ABI, 0: there is none.
 */
int landlock_enter(bool signals_children);

/* Namespaces of its own, with an empty root; *made are those. */
int namespaces_enter(unsigned int *made);

#endif
