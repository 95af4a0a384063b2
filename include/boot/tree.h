/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a user has done to the device tree that nidus makes: another one in its place, overlays
 * (Devicetree Specification v0.4; libfdt's fdt_overlay_apply()), modules that it tells of (Xen,
 * docs/misc/arm/device-tree/booting.txt).
 */
#ifndef NIDUS_TREE_H
#define NIDUS_TREE_H

#include "arm/devtree.h"
#include "boot/boot.h"

/* A module's node; what there is none of is NULL. */
struct tree_module {
	const char *path; /* of the file, for messages */
	const char *kind; /* that is compatible with "multiboot,KIND" */
	const char *params; /* `bootargs` */
	const char *node; /* a path, under which it is; never NULL */
	struct memory_range place; /* in RAM */
};

/*
 * Changes tree, which is finished: a file's takes its place, with memory and chosen of ours, then
 * come overlays, then modules. What KVM's CPUs, interrupt controller, timer and RAM are has to be
 * told as before. The bytes of the blob, or -errno, said.
 */
int tree_edit(struct devtree *tree, const struct boot_files *files,
	      const struct tree_module *modules, unsigned int module_count);

#endif
