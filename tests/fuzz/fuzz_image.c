// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel file of any contents and any size, and what is placed with it in a RAM of any size.
 */
#include "boot/boot.h"
#include "fuzz.h"
#include "memmap.h"

static void check_image(const struct image *image, uint64_t file_size)
{
	MUST(image->kind == IMAGE_LINUX || image->kind == IMAGE_FLAT);
	MUST(image->text_offset < UINT64_C(1) << 56 && image->text_offset % 4 == 0);
	MUST(image->extent >= file_size);
	MUST(image->page_size == 0 || image->page_size == KIB(4) || image->page_size == KIB(16) ||
	     image->page_size == KIB(64));
}

static bool disjoint(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size)
{
	return a + a_size <= b || b + b_size <= a;
}

static void check_places(const struct boot *boot, uint64_t ram)
{
	const uint64_t end = RAM_BASE + ram, extent = boot->image.extent;
	const uint64_t kernel = boot->kernel_gpa, tree = boot->tree_gpa, initrd = boot->initrd_gpa;
	const uint64_t size = boot->initrd_size;

	MUST(kernel >= RAM_BASE && kernel <= end && extent <= end - kernel);
	MUST(tree >= RAM_BASE && tree <= end && BOOT_TREE_SIZE_MAX <= end - tree);
	MUST(initrd >= RAM_BASE && initrd <= end && size <= end - initrd);
	MUST(tree % 8 == 0);
	MUST(disjoint(kernel, extent, tree, BOOT_TREE_SIZE_MAX));
	MUST(disjoint(kernel, extent, initrd, size));
	MUST(disjoint(tree, BOOT_TREE_SIZE_MAX, initrd, size));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct boot boot = { 0 };
	uint64_t ram;
	size_t head;

	/* Sizes of all magnitudes: a number, and how far it is moved to the right. */
	boot.kernel_size = take(&input, 8) >> take(&input, 1) % 64;
	boot.initrd_size = take(&input, 8) >> take(&input, 1) % 64;
	ram = align_down((take(&input, 8) >> take(&input, 1) % 64) % (RAM_SIZE_MAX + 1), KIB(64));

	head = input.size < IMAGE_HEAD_SIZE ? input.size : IMAGE_HEAD_SIZE;
	if (head > boot.kernel_size)
		head = boot.kernel_size;
	if (image_parse(input.data, head, boot.kernel_size, &boot.image))
		return 0;
	check_image(&boot.image, boot.kernel_size);
	if (boot_place(&boot, RAM_BASE, ram) == 0)
		check_places(&boot, ram);
	return 0;
}
