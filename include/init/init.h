/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * nidus as the first process of a guest: what all that it may be there for have in common.
 */
#ifndef NIDUS_INIT_H
#define NIDUS_INIT_H

#include "boot/archive.h"

/*
 * Begins the archive of such a guest: nidus as /init, the directories that the kernel's own file
 * systems are mounted on, and the console. The caller's to fill, to finish and to destroy. Errors:
 * -errno, said; then there is none.
 */
int init_pack(struct archive **archive);

/* Mounts the kernel's own file systems: proc, sysfs and devtmpfs. What is wrong is said. */
void init_mount(void);

/* Powers the machine off. */
void init_end(void);

#endif
