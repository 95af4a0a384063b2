// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's interface to a device (Linux, include/uapi/linux/vfio.h).
 *
 * Of a BAR as much is mapped as the kernel allows. Where its table of MSI-X is, kernels before 4.16
 * allow nothing, and tell of it by leaving out what says otherwise; those pages are left to exits,
 * for which the kernel has the table read as ones.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/log.h"
#include "mm/memslot.h"
#include "util.h"
#include "vfio_parts.h"

/* More than the kernel has capabilities of a region for. */
#define REGION_INFO_MAX 4096

/* #syscalls loop served: pread64 */
bool vfio_device_read(const struct vfio_device *device, uint64_t offset, void *value,
		      unsigned int size)
{
	return pread(device->fd, value, size, offset) == (ssize_t)size;
}

/* #syscalls loop served: pwrite64 */
bool vfio_device_write(const struct vfio_device *device, uint64_t offset, const void *value,
		       unsigned int size)
{
	return pwrite(device->fd, value, size, offset) == (ssize_t)size;
}

/* Interrupts. */

/* #syscalls loop served: ioctl(VFIO_DEVICE_SET_IRQS) */
static int set_irqs(const struct vfio_device *device, const struct vfio_irq_set *set)
{
	const int err = checked(ioctl(device->fd, VFIO_DEVICE_SET_IRQS, set));

	/* Else it is how many there would be. */
	return err > 0 ? -ENOSPC : err;
}

int vfio_device_interrupt_by(const struct vfio_device *device, unsigned int index,
			     unsigned int first, unsigned int count, const int *eventfds)
{
	const size_t size = sizeof(struct vfio_irq_set) + count * sizeof(*eventfds);
	struct vfio_irq_set *set = malloc(size);
	int err;

	if (!set)
		return -ENOMEM;
	*set = (struct vfio_irq_set){
		.argsz = size,
		.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index,
		.start = first,
		.count = count,
	};
	memcpy(set->data, eventfds, count * sizeof(*eventfds));
	err = set_irqs(device, set);
	free(set);
	return err;
}

void vfio_device_interrupt_no_more(const struct vfio_device *device, unsigned int index)
{
	const struct vfio_irq_set set = {
		.argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
		.index = index,
	};

	set_irqs(device, &set);
}

/* #syscalls loop served: ioctl(VFIO_DEVICE_RESET) */
int vfio_device_reset(const struct vfio_device *device)
{
	return device->can_reset ? checked(ioctl(device->fd, VFIO_DEVICE_RESET)) : -ENOTTY;
}

/* What there is; whatever fails says so. */

static int say_failed(const struct vfio_device *device, const char *what, int err)
{
	if (err < 0)
		log_error("--vfio %s: %s: %s", device->place.address, what, log_reason(-err));
	return err;
}

static int refuse(const struct vfio_device *device, const char *why)
{
	log_error("--vfio %s: %s", device->place.address, why);
	return -EINVAL;
}

static void look_at_irqs(struct vfio_device *device)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(device->irqs); i++) {
		struct vfio_irq_info info = { .argsz = sizeof(info), .index = i };

		if (ioctl(device->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0 ||
		    !(info.flags & VFIO_IRQ_INFO_EVENTFD))
			continue;
		device->irqs[i] = (struct vfio_irqs){
			.count = info.count,
			.fixed = info.flags & VFIO_IRQ_INFO_NORESIZE,
		};
	}
}

/* With the capabilities that follow it; info: REGION_INFO_MAX bytes. */
static int region_info(const struct vfio_device *device, unsigned int index,
		       struct vfio_region_info *info)
{
	memset(info, 0, REGION_INFO_MAX);
	info->argsz = REGION_INFO_MAX;
	info->index = index;
	return say_failed(device, "VFIO_DEVICE_GET_REGION_INFO",
			  checked(ioctl(device->fd, VFIO_DEVICE_GET_REGION_INFO, info)));
}

/* A capability of a region that is size bytes at least, or NULL. */
static const void *region_capability(const struct vfio_region_info *info, uint16_t id, size_t size)
{
	uint32_t offset = info->flags & VFIO_REGION_INFO_FLAG_CAPS ? info->cap_offset : 0;

	for (unsigned int i = 0; i < 16 && offset != 0 && offset <= REGION_INFO_MAX - size; i++) {
		const struct vfio_info_cap_header *header =
			(const void *)((const char *)info + offset);

		if (header->id == id)
			return header;
		offset = header->next;
	}
	return NULL;
}

static int map_area(const struct vfio_device *device, struct vfio_bar *bar, uint32_t flags,
		    uint64_t offset, uint64_t size)
{
	const int access = (flags & VFIO_REGION_INFO_FLAG_READ ? PROT_READ : 0) |
			   (flags & VFIO_REGION_INFO_FLAG_WRITE ? PROT_WRITE : 0);
	struct vfio_area *area = &bar->area[bar->area_count];

	if (size == 0 || bar->area_count == VFIO_AREAS_MAX)
		return 0;
	*area = (struct vfio_area){ .offset = offset, .size = size };
	area->host = mmap(NULL, size, access, MAP_SHARED, device->fd, bar->offset + offset);
	if (area->host == MAP_FAILED)
		return say_failed(device, "mapping its registers", -errno);
	bar->area_count++;
	return 0;
}

/* Bytes of a BAR that must not be mapped. */
struct hole {
	uint64_t start, end;
};

/* What is around the hole of [offset, offset + size), in whole pages of the host's. */
static int map_around(const struct vfio_device *device, struct vfio_bar *bar, uint32_t flags,
		      uint64_t offset, uint64_t size, const struct hole *hole)
{
	const uint64_t page = sysconf(_SC_PAGESIZE), end = align_up(offset + size, page);
	const uint64_t start = align_down(hole->start, page);
	const uint64_t stop = hole->end > hole->start ? align_up(hole->end, page) : start;
	int err;

	if (offset % page != 0 || size > bar->size || offset > bar->size - size)
		return 0;
	if (stop <= start || stop <= offset || start >= end)
		return map_area(device, bar, flags, offset, end - offset);
	err = start > offset ? map_area(device, bar, flags, offset, start - offset) : 0;
	if (err == 0 && end > stop)
		err = map_area(device, bar, flags, stop, end - stop);
	return err;
}

static int map_bar(const struct vfio_device *device, struct vfio_bar *bar,
		   const struct vfio_region_info *info, const struct hole *table)
{
	const struct vfio_region_info_cap_sparse_mmap *sparse =
		region_capability(info, VFIO_REGION_INFO_CAP_SPARSE_MMAP, sizeof(*sparse));
	const bool whole = region_capability(info, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
					     sizeof(struct vfio_info_cap_header));
	const struct hole hole = whole ? (struct hole){ 0 } : *table;
	uint32_t count;
	int err = 0;

	if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return 0;
	if (!sparse)
		return map_around(device, bar, info->flags, 0, bar->size, &hole);
	count = ((const char *)info + REGION_INFO_MAX - (const char *)sparse->areas) /
		sizeof(sparse->areas[0]);
	if (sparse->nr_areas < count)
		count = sparse->nr_areas;
	for (uint32_t i = 0; i < count && err == 0; i++)
		err = map_around(device, bar, info->flags, sparse->areas[i].offset,
				 sparse->areas[i].size, &hole);
	return err;
}

static int look_at_bar(struct vfio_device *device, unsigned int index,
		       struct vfio_region_info *info)
{
	const struct vfio_config *config = &device->config;
	const bool has_table = config->msix && config->table_bar == index;
	const struct hole table = {
		.start = has_table ? config->table_offset : 0,
		.end = has_table ? (uint64_t)config->table_offset + config->table_size : 0,
	};
	struct vfio_bar *bar = &device->bar[index];
	int err = region_info(device, VFIO_PCI_BAR0_REGION_INDEX + index, info);

	/* Sizes are powers of two, or one of these would not be a BAR. */
	if (err < 0 || info->size == 0 || info->size & (info->size - 1) ||
	    !config->is_memory[index])
		return err;
	bar->size = info->size;
	bar->offset = info->offset;
	return map_bar(device, bar, info, &table);
}

static int look_at_config(struct vfio_device *device, struct vfio_region_info *info)
{
	uint8_t bytes[VFIO_CONFIG_SIZE];
	const char *why;
	int err = region_info(device, VFIO_PCI_CONFIG_REGION_INDEX, info);

	if (err < 0)
		return err;
	device->config_offset = info->offset;
	if (!vfio_device_read(device, device->config_offset, bytes, sizeof(bytes)))
		return say_failed(device, "its configuration space", -EIO);
	why = vfio_config_parse(&device->config, bytes);
	return why ? refuse(device, why) : 0;
}

static int look(struct vfio_device *device, struct vfio_region_info *info)
{
	struct vfio_device_info device_info = { .argsz = sizeof(device_info) };
	int err = say_failed(device, "VFIO_DEVICE_GET_INFO",
			     checked(ioctl(device->fd, VFIO_DEVICE_GET_INFO, &device_info)));

	if (err < 0)
		return err;
	if (!(device_info.flags & VFIO_DEVICE_FLAGS_PCI))
		return refuse(device, "is no PCI device");
	device->can_reset = device_info.flags & VFIO_DEVICE_FLAGS_RESET;
	look_at_irqs(device);
	err = look_at_config(device, info);
	for (unsigned int i = 0; i < PCI_BARS && err == 0; i++)
		err = look_at_bar(device, i, info);
	return err;
}

static void number_slots(struct vfio_device *device, unsigned int *slot)
{
	for (unsigned int i = 0; i < PCI_BARS; i++)
		for (unsigned int j = 0; j < device->bar[i].area_count; j++)
			device->bar[i].area[j].slot = MEMSLOT_VFIO + (*slot)++;
}

int vfio_device_look(struct vfio_device *device, unsigned int *slot)
{
	struct vfio_region_info *info = malloc(REGION_INFO_MAX);
	int err = info ? look(device, info) : say_failed(device, "memory", -ENOMEM);

	free(info);
	if (err < 0) {
		vfio_device_release(device);
		return err;
	}
	if (!device->can_reset)
		log_warning("--vfio %s: cannot be reset, so that each guest finds it as the last "
			    "one left it",
			    device->place.address);
	number_slots(device, slot);
	return 0;
}

void vfio_device_release(struct vfio_device *device)
{
	for (unsigned int i = 0; i < PCI_BARS; i++)
		while (device->bar[i].area_count > 0) {
			const struct vfio_area *area =
				&device->bar[i].area[--device->bar[i].area_count];

			munmap(area->host, area->size);
		}
}
