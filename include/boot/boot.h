/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The files a guest is started from, where they go in RAM, and how they get there.
 */
#ifndef NIDUS_BOOT_H
#define NIDUS_BOOT_H

#include <stdint.h>

#include "boot/archive.h"
#include "boot/image.h"
#include "boot/unpack.h"
#include "mm/memory.h"

/* The most that a device tree may take (booting.rst). */
#define BOOT_TREE_SIZE_MAX MIB(2)

#define BOOT_MODULES_MAX  16
#define BOOT_OVERLAYS_MAX 8

struct boot_file {
	const char *path; /* NULL: none; the command line's */
	int fd; /* -1 unless open */
};

/* Opened once; what is in them is read, from their beginning, as often as a guest is started. */
struct boot_files {
	struct boot_file kernel, initrd;
	const struct archive *archive; /* in place of an initrd's file, or NULL; not ours */
	uint64_t kernel_address; /* GPA; 0: what kind of file it is says where it goes */
	struct boot_file modules[BOOT_MODULES_MAX];
	unsigned int module_count;
	struct boot_file tree, overlays[BOOT_OVERLAYS_MAX]; /* of the user's, or none */
	unsigned int overlay_count;
};

struct boot {
	const struct boot_files *files;
	uint64_t kernel_size, initrd_size; /* bytes of the files, or of the archive */
	struct packed packed; /* how the kernel is compressed */
	struct image image; /* the kernel, unpacked */
	uint64_t kernel_address; /* of files */
	struct memory_range modules[BOOT_MODULES_MAX]; /* start: from boot_place() on */
	unsigned int module_count;
	/* Guest physical addresses, from then on as well. */
	uint64_t kernel_gpa, initrd_gpa, tree_gpa;
	uint64_t tree_copy_gpa; /* where else the tree is looked for, 0: nowhere */
	uint64_t tree_copy_size; /* bytes that there is room for */
};

/*
 * Opens both files, which have to be regular ones; both may be NULL, and archive, which is
 * finished and outlives files, is loaded in its place unless it is NULL. Errors: -errno, said; then
 * nothing is open.
 */
int boot_files_open(struct boot_files *files, const char *kernel, const char *initrd,
		    const struct archive *archive);
void boot_files_close(struct boot_files *files);

/* Open one more, up to as many as there may be. Errors: -errno, said. */
int boot_files_add_module(struct boot_files *files, const char *path);
int boot_files_add_tree(struct boot_files *files, const char *path);
int boot_files_add_overlay(struct boot_files *files, const char *path);

/* For firmware in flash at entry: no files, and where the tree is looked for. */
void boot_place_firmware(struct boot *boot, uint64_t entry, uint64_t tree_gpa);

/*
 * Measures the files, which outlive boot, and parses the kernel, as they are by now. Opens nothing.
 * Errors: -errno, said.
 */
int boot_parse(struct boot *boot, const struct boot_files *files);

/*
 * Warns where the kernel is an Image and params (NULL: none) are more than Linux takes. For every
 * life of the guest: it is said no more when a guest has reset itself often enough.
 */
void boot_check_params(const struct boot *boot, const char *params);

/*
 * Finds places in RAM for kernel, initrd and device tree. Linux gets them packed from the base of
 * RAM upwards: kernel with its BSS, initrd, tree. The tree, whose size is not known yet, is last,
 * so that the huge pages that hold kernel and initrd are as few as can be. A flat binary, whose
 * extent is not known, gets the tree and below it modules and initrd at the top of its first 256
 * MiB, where lkvm has them, and a copy of the tree at the base of RAM, below itself, where QEMU has
 * it; one with an address of its own, which is firmware, the tree right behind it. -EFBIG, said
 * with both sizes, where they do not fit.
 */
int boot_place(struct boot *boot, uint64_t ram_base, uint64_t ram_size);

/*
 * Reads the files to their places, and unpacks a compressed kernel on the way. Errors: -errno,
 * said.
 */
int boot_load(const struct boot *boot, struct memory *memory);

#endif
