/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In a guest, of which nidus is init: the directory of the host that is shared with it as
 * CONFIG_ROOT_TAG. What is in the way is said, with what the kernel would have to have.
 */
#ifndef NIDUS_ROOT_MOUNT_H
#define NIDUS_ROOT_MOUNT_H

#define ROOT_SHARED "/nidus/shared"

/* Mounts it at ROOT_SHARED, for reading. Errors: -errno, said. */
int root_mount(void);

/*
 * Mounts it and makes it the root of this process, with a tmpfs over it that takes what is written,
 * and with the kernel's own file systems, /run and /tmp fresh. over: a directory whose files are
 * there as well, or NULL. Errors: -errno, said; then this process may be anywhere.
 */
int root_enter(const char *over);

#endif
