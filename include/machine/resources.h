/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the host gives a guest, opened and locked once, for all of its lives: machines are made of
 * it without opening anything by a path. Which files these are is settled with it, whatever becomes
 * of their names; what is in them is looked at by each machine anew.
 */
#ifndef NIDUS_RESOURCES_H
#define NIDUS_RESOURCES_H

#include "boot/boot.h"
#include "children/porter.h"
#include "children/written.h"
#include "config/config.h"
#include "cpu/nested.h"
#include "devices/vmgenid.h"
#include "disk.h"
#include "flash/flash.h"
#include "link.h"
#include "machine/status.h"
#include "mm/memory.h"
#include "sandbox/sandbox.h"

struct served;
struct vfio;

struct resources {
	const struct config *config;
	uint8_t generation[VMGENID_SIZE]; /* random: resets of a guest make no other one of it */
	struct porter porter; /* which does outside what is to be done by a path */
	struct written stats, tree;
	struct boot_files files;
	struct load_ring *ring; /* that they are read by, or NULL */
	struct flash_store flash[FLASH_BANKS]; /* without content: there is no such bank */
	struct memory_file ram; /* what RAM is made of, where it has a file */
	int lazy_fd; /* for RAM that comes when it is touched (mm/lazy.h); -1: it comes at once */
	int kvm_fd;
	struct nested_kernel host_kernel; /* for guests that are hypervisors */
	/* As config has them: each disk is nidus's own, or somebody else serves it. */
	struct disk disks[CONFIG_DISKS_MAX];
	struct served *served_disks[CONFIG_DISKS_MAX]; /* NULL: is nidus's own */
	unsigned int disk_count;
	struct link
		*links[CONFIG_NETWORKS_MAX]; /* NULL: one by default that the host cannot give */
	unsigned int link_count;
	struct served
		*served[CONFIG_FILESYSTEMS_MAX + CONFIG_VHOST_USERS_MAX + 1]; /* one is vsock */
	unsigned int served_count;
	struct vfio *vfio; /* devices of the host, or NULL */
	bool asks_for_huge_pages; /* for RAM that others map: the host gives none by itself */
	unsigned int opened; /* steps done */
	struct sandbox sandbox; /* that all of it is used in */
};

/*
 * config outlives it. What is wrong is said; nothing is open then. resources_close(): after the
 * last machine is destroyed.
 */
enum status resources_open(struct resources *resources, const struct config *config);
void resources_close(struct resources *resources);

/*
 * The locks of disks, of a guest that moves: the source gives them up when it has come to rest for
 * good, and only then the target takes them. The main loop's thread, while no disk is at work.
 * Errors: -errno, said; none is locked then.
 */
int resources_lock(const struct resources *resources);
void resources_unlock(const struct resources *resources);

/* What RAM is to be made of: what was asked for, or what a process can map that has to. */
enum memory_backing resources_backing(const struct resources *resources);

#endif
