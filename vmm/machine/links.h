/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A step of resources_open(): the links that a guest's networks are connected to, as config has
 * them.
 */
#ifndef NIDUS_LINKS_H
#define NIDUS_LINKS_H

#include "machine/resources.h"

/* Errors: -errno, said; none is open then. -EINVAL is of what the user has named. */
int links_open(struct resources *resources);
void links_close(struct resources *resources);

#endif
