// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is made of what the kernel says of a device: which parts of its BARs are mapped, and how it
 * is told to interrupt. The kernel's answers are made up here; the device's descriptor is a file.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/vfio/vfio_parts.h"
#include "mm/memslot.h"
#include "unit.h"

#define STEP UINT64_C(0x10000000) /* between regions */

static struct vfio_device device;

/* The kernel. */

static uint32_t device_flags;
static uint64_t bar_size;
static uint32_t region_flags;
static struct {
	bool mappable, sparse, loops;
	unsigned int areas;
	struct vfio_region_sparse_mmap_area area[4];
} capabilities;
static int irqs_result;
static struct {
	struct vfio_irq_set set;
	int fds[8];
} irqs;
static unsigned int resets;

static void *add_capability(struct vfio_region_info *info, uint16_t id, size_t size)
{
	uint32_t *link = &info->cap_offset, at = sizeof(*info);
	struct vfio_info_cap_header *header;

	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	while (*link) {
		at = *link + 256;
		link = &((struct vfio_info_cap_header *)((char *)info + *link))->next;
	}
	*link = at;
	assert_true(at + size <= info->argsz);
	header = (struct vfio_info_cap_header *)((char *)info + at);
	header->id = id;
	header->version = 1;
	header->next = capabilities.loops ? at : 0;
	return header;
}

static int get_region(struct vfio_region_info *info)
{
	info->offset = info->index * STEP;
	info->size = info->index == VFIO_PCI_CONFIG_REGION_INDEX ? VFIO_CONFIG_SIZE
		     : info->index == VFIO_PCI_BAR0_REGION_INDEX ? bar_size
								 : 0;
	if (info->index != VFIO_PCI_BAR0_REGION_INDEX)
		return 0;
	info->flags = region_flags;
	if (capabilities.loops)
		add_capability(info, 77, sizeof(struct vfio_info_cap_header));
	else if (capabilities.mappable)
		add_capability(info, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
			       sizeof(struct vfio_info_cap_header));
	if (capabilities.sparse) {
		struct vfio_region_info_cap_sparse_mmap *sparse =
			add_capability(info, VFIO_REGION_INFO_CAP_SPARSE_MMAP, sizeof(*sparse));

		sparse->nr_areas = capabilities.areas;
		memcpy(sparse->areas, capabilities.area, sizeof(capabilities.area));
	}
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	struct vfio_irq_info *irq;
	va_list list;
	void *argument;

	va_start(list, request);
	argument = va_arg(list, void *);
	va_end(list);
	assert_int_equal(fd, device.fd);
	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		((struct vfio_device_info *)argument)->flags = device_flags;
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region(argument);
	case VFIO_DEVICE_GET_IRQ_INFO:
		irq = argument;
		irq->flags = irq->index == VFIO_PCI_MSIX_IRQ_INDEX
				     ? VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE
				     : 0;
		irq->count = 65;
		return 0;
	case VFIO_DEVICE_SET_IRQS:
		memcpy(&irqs, argument, ((struct vfio_irq_set *)argument)->argsz);
		return irqs_result;
	case VFIO_DEVICE_RESET:
		resets++;
		return 0;
	}
	fail();
	return -1;
}

/* The device: an NVMe disk whose table of MSI-X is at 0x2000 of BAR 0. */

static void put(unsigned int at, uint32_t value)
{
	assert_int_equal(
		pwrite(device.fd, &value, sizeof(value), VFIO_PCI_CONFIG_REGION_INDEX * STEP + at),
		sizeof(value));
}

static int begin(void **state)
{
	device = (struct vfio_device){ .place = { .address = "0000:00:02.0" } };
	device.fd = memfd_create("device", MFD_CLOEXEC);
	assert_int_equal(ftruncate(device.fd, 16 * STEP), 0);
	put(0x00, 0x00101b36);
	put(0x04, 0x00100000);
	put(0x34, 0x40);
	put(0x40, 0x00400011);
	put(0x44, 0x00002000);
	device_flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	bar_size = 0x10000;
	region_flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
		       VFIO_REGION_INFO_FLAG_MMAP;
	memset(&capabilities, 0, sizeof(capabilities));
	irqs_result = 0;
	resets = 0;
	return catch_begin(state);
}

static int finish(void **state)
{
	vfio_device_release(&device);
	close(device.fd);
	return catch_end(state);
}

static void look(void)
{
	unsigned int slot = 3;

	assert_int_equal(vfio_device_look(&device, &slot), 0);
	assert_int_equal(slot, 3 + device.bar[0].area_count);
	for (unsigned int i = 0; i < device.bar[0].area_count; i++) {
		struct vfio_area *area = &device.bar[0].area[i];
		uint8_t byte = 0x40 + i;

		assert_int_equal(area->slot, MEMSLOT_VFIO + 3 + i);
		/* It is that part of the device. */
		*(volatile uint8_t *)area->host = byte;
		byte = 0;
		assert_true(
			vfio_device_read(&device, device.bar[0].offset + area->offset, &byte, 1));
		assert_int_equal(byte, 0x40 + i);
	}
}

static void expect_area(unsigned int index, uint64_t offset, uint64_t size)
{
	assert_true(index < device.bar[0].area_count);
	assert_int_equal(device.bar[0].area[index].offset, offset);
	assert_int_equal(device.bar[0].area[index].size, size);
}

static void all_of_a_bar_is_mapped_where_the_kernel_allows(void **state)
{
	capabilities.mappable = true;
	look();
	assert_int_equal(device.bar[0].size, 0x10000);
	assert_int_equal(device.bar[0].area_count, 1);
	expect_area(0, 0, 0x10000);
	assert_int_equal(device.irqs[VFIO_PCI_MSIX_IRQ_INDEX].count, 65);
	assert_true(device.irqs[VFIO_PCI_MSIX_IRQ_INDEX].fixed);
	assert_int_equal(device.irqs[VFIO_PCI_MSI_IRQ_INDEX].count, 0);
}

static void the_table_is_left_out_where_it_does_not(void **state)
{
	look();
	assert_int_equal(device.bar[0].area_count, 2);
	expect_area(0, 0, 0x2000);
	expect_area(1, 0x3000, 0xd000);
}

static void a_table_at_an_end_leaves_one_part(void **state)
{
	put(0x44, 0x0000fc00);
	look();
	assert_int_equal(device.bar[0].area_count, 1);
	/* 65 entries are more than the rest of a page. */
	expect_area(0, 0, 0xf000);
	vfio_device_release(&device);
	put(0x44, 0);
	look();
	assert_int_equal(device.bar[0].area_count, 1);
	expect_area(0, 0x1000, 0xf000);
}

static void a_table_in_another_bar_is_no_matter(void **state)
{
	put(0x44, 0x00002002);
	look();
	assert_int_equal(device.bar[0].area_count, 1);
	expect_area(0, 0, 0x10000);
}

static void a_bar_of_less_than_a_page_is_mapped_with_what_is_behind(void **state)
{
	capabilities.mappable = true;
	bar_size = 0x100;
	look();
	assert_int_equal(device.bar[0].size, 0x100);
	expect_area(0, 0, 0x1000);
}

static void sparse_parts_are_mapped(void **state)
{
	capabilities.sparse = capabilities.mappable = true;
	capabilities.areas = 3;
	capabilities.area[0] = (struct vfio_region_sparse_mmap_area){ 0x1000, 0x2000 };
	capabilities.area[1] = (struct vfio_region_sparse_mmap_area){ 0xf000, 0x2000 }; /* beyond */
	capabilities.area[2] = (struct vfio_region_sparse_mmap_area){ 0x8000, 0x1000 };
	look();
	assert_int_equal(device.bar[0].area_count, 2);
	expect_area(0, 0x1000, 0x2000);
	expect_area(1, 0x8000, 0x1000);
}

static void more_parts_than_there_is_room_for_are_left(void **state)
{
	capabilities.sparse = capabilities.mappable = true;
	capabilities.areas = UINT32_MAX;
	capabilities.area[0] = (struct vfio_region_sparse_mmap_area){ 0, 0x1000 };
	for (unsigned int i = 1; i < 4; i++)
		capabilities.area[i] = (struct vfio_region_sparse_mmap_area){ 0x2000 * i, 0x1000 };
	look();
	assert_int_equal(device.bar[0].area_count, 4);
}

static void what_cannot_be_mapped_is_not(void **state)
{
	region_flags &= ~VFIO_REGION_INFO_FLAG_MMAP;
	look();
	assert_int_equal(device.bar[0].size, 0x10000);
	assert_int_equal(device.bar[0].area_count, 0);
	/* A size that no BAR has. */
	device.bar[0].size = 0;
	bar_size = 0x3000;
	look();
	assert_int_equal(device.bar[0].size, 0);
}

static void capabilities_that_go_in_circles_end(void **state)
{
	capabilities.loops = true;
	look();
	assert_int_equal(device.bar[0].area_count, 2);
}

static void what_is_no_pci_device_is_refused(void **state)
{
	unsigned int slot = 0;

	device_flags = VFIO_DEVICE_FLAGS_PLATFORM;
	assert_int_equal(vfio_device_look(&device, &slot), -EINVAL);
	assert_said("0000:00:02.0: is no PCI device");
	device_flags = VFIO_DEVICE_FLAGS_PCI;
	put(0x00, UINT32_MAX);
	assert_int_equal(vfio_device_look(&device, &slot), -EINVAL);
	assert_said("0000:00:02.0: does not answer");
}

static void one_that_cannot_be_reset_is_told_of(void **state)
{
	unsigned int slot = 0;

	device_flags = VFIO_DEVICE_FLAGS_PCI;
	assert_int_equal(vfio_device_look(&device, &slot), 0);
	assert_said("cannot be reset");
	assert_int_equal(vfio_device_reset(&device), -ENOTTY);
	assert_int_equal(resets, 0);
	device.can_reset = true;
	assert_int_equal(vfio_device_reset(&device), 0);
	assert_int_equal(resets, 1);
}

static void it_is_told_how_to_interrupt(void **state)
{
	const int fds[] = { 5, 6, 7 };

	assert_int_equal(vfio_device_interrupt_by(&device, VFIO_PCI_MSIX_IRQ_INDEX, 2, 3, fds), 0);
	assert_int_equal(irqs.set.argsz, sizeof(irqs.set) + sizeof(fds));
	assert_int_equal(irqs.set.flags, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER);
	assert_int_equal(irqs.set.index, VFIO_PCI_MSIX_IRQ_INDEX);
	assert_int_equal(irqs.set.start, 2);
	assert_int_equal(irqs.set.count, 3);
	assert_memory_equal(irqs.fds, fds, sizeof(fds));
	/* There would be fewer. */
	irqs_result = 2;
	assert_int_equal(vfio_device_interrupt_by(&device, VFIO_PCI_MSIX_IRQ_INDEX, 0, 3, fds),
			 -ENOSPC);
	vfio_device_interrupt_no_more(&device, VFIO_PCI_MSIX_IRQ_INDEX);
	assert_int_equal(irqs.set.flags, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER);
	assert_int_equal(irqs.set.count, 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(all_of_a_bar_is_mapped_where_the_kernel_allows),
		test(the_table_is_left_out_where_it_does_not),
		test(a_table_at_an_end_leaves_one_part),
		test(a_table_in_another_bar_is_no_matter),
		test(a_bar_of_less_than_a_page_is_mapped_with_what_is_behind),
		test(sparse_parts_are_mapped),
		test(more_parts_than_there_is_room_for_are_left),
		test(what_cannot_be_mapped_is_not),
		test(capabilities_that_go_in_circles_end),
		test(what_is_no_pci_device_is_refused),
		test(one_that_cannot_be_reset_is_told_of),
		test(it_is_told_how_to_interrupt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
