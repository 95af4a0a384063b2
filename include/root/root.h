/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A directory of the host as a guest's root: --root, or a directory in a disk's place. It is a file
 * system of the tag CONFIG_ROOT_TAG, which somebody in the guest has to mount. Linux does that by
 * itself, by parameters, where the guest may write to it. Otherwise nidus does, as init of an
 * initramfs that has nothing else in it (root_init.h), for it takes a tmpfs over the directory.
 * Where the user has brought an initial RAM disk, or root= among the parameters, it is theirs to
 * do.
 */
#ifndef NIDUS_ROOT_H
#define NIDUS_ROOT_H

#include "boot/archive.h"
#include "config/config.h"

/* What a configuration refers to; all zeroes is nothing. */
struct root {
	struct archive *archive;
	char *params;
};

/*
 * Completes config, of which root is taken, and with it a disk that is a directory. What it refers
 * to then is released by root_release() after the last use of config. Errors: -errno, said; then
 * there is nothing to be released.
 */
int root_prepare(struct root *root, struct config *config);
void root_release(struct root *root);

/* Whether there is such a directory. Errors: -errno, said. */
int root_check(const char *path);

#endif
