/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A step of resources_open(): who serves devices of the guest, as config has them, but for disks.
 */
#ifndef NIDUS_SERVERS_H
#define NIDUS_SERVERS_H

#include "machine/resources.h"

/* Errors: -errno, said; none is open then. -EINVAL is of what the user has named. */
int servers_open(struct resources *resources);
void servers_close(struct resources *resources);

#endif
