// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where in RAM what a guest is started from goes; docs/memory-map.md has it as a picture.
 */
#include <errno.h>
#include <inttypes.h>

#include "boot/boot.h"
#include "host/log.h"
#include "util.h"

/* Linux copes with any address for each; whole pages keep what was read easy to free. */
#define TREE_ALIGN KIB(4)
#define FILE_ALIGN KIB(4)

/* lkvm's, behind firmware. */
#define FIRMWARE_TREE_ALIGN MIB(2)

/* A flat binary may map no more than this before it has looked at its device tree. */
#define FLAT_TOP MIB(256)

/* Files that are larger cannot be there, and sums of them do not wrap. */
#define FILE_MAX (UINT64_C(1) << 56)

/* Bytes of initrd and modules, one behind the other; or UINT64_MAX. */
static uint64_t files_size(const struct boot *boot)
{
	uint64_t size = align_up(boot->initrd_size, FILE_ALIGN);

	if (boot->initrd_size > FILE_MAX)
		return UINT64_MAX;
	for (unsigned int i = 0; i < boot->module_count; i++) {
		if (boot->modules[i].size > FILE_MAX)
			return UINT64_MAX;
		size += align_up(boot->modules[i].size, FILE_ALIGN);
	}
	return size;
}

static void place_files(struct boot *boot, uint64_t gpa)
{
	boot->initrd_gpa = gpa;
	gpa += align_up(boot->initrd_size, FILE_ALIGN);
	for (unsigned int i = 0; i < boot->module_count; i++) {
		boot->modules[i].start = gpa;
		gpa += align_up(boot->modules[i].size, FILE_ALIGN);
	}
}

/* Towards the top; what is large pushes all up, and is known to fit below the end of RAM. */
static void place_flat(struct boot *boot, uint64_t ram_base, uint64_t ram_size, uint64_t needed)
{
	uint64_t top = ram_size < FLAT_TOP ? ram_size : FLAT_TOP;

	if (top < needed)
		top = needed;
	boot->tree_gpa = ram_base + align_down(top - BOOT_TREE_SIZE_MAX, TREE_ALIGN);
	place_files(boot, align_down(boot->tree_gpa - files_size(boot), FILE_ALIGN));
	boot->tree_copy_gpa = ram_base;
	boot->tree_copy_size = boot->image.text_offset;
}

int boot_place(struct boot *boot, uint64_t ram_base, uint64_t ram_size)
{
	const bool firmware = boot->kernel_address != 0;
	const uint64_t align = firmware ? FIRMWARE_TREE_ALIGN : TREE_ALIGN;
	const uint64_t files = files_size(boot);
	uint64_t extent, needed;

	if (firmware)
		boot->image.text_offset = boot->kernel_address - ram_base;
	/* Each summand is below 2^62, so nothing wraps. */
	extent = boot->image.text_offset + boot->image.extent;
	needed = align_up(extent, align) + BOOT_TREE_SIZE_MAX + files;
	if (boot->kernel_size > FILE_MAX || files > FILE_MAX || needed > ram_size) {
		log_error("kernel, device tree%s and initrd need %" PRIu64
			  " MiB of RAM, but the guest has %" PRIu64 " MiB%s",
			  boot->module_count > 0 ? ", modules" : "", (needed + MIB(1) - 1) >> 20,
			  ram_size >> 20,
			  boot->image.text_offset >= ram_size
				  ? "; the kernel's header (text_offset) wants it beyond that"
				  : "");
		return -EFBIG;
	}

	boot->kernel_gpa = ram_base + boot->image.text_offset;
	if (firmware) {
		boot->tree_gpa = ram_base + align_up(extent, align);
		place_files(boot, boot->tree_gpa + BOOT_TREE_SIZE_MAX);
	} else if (boot->image.extent_known) {
		place_files(boot, ram_base + align_up(extent, FILE_ALIGN));
		boot->tree_gpa = boot->initrd_gpa + files;
	} else {
		place_flat(boot, ram_base, ram_size, needed);
	}
	return 0;
}

void boot_place_firmware(struct boot *boot, uint64_t entry, uint64_t tree_gpa)
{
	*boot = (struct boot){ .kernel_gpa = entry, .tree_gpa = tree_gpa };
}
