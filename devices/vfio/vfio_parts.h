/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a host's device is made of, in the order in which its parts stand on each other: finding it
 * (vfio_find.c), the IOMMU (vfio_iommu.c), the kernel's interface to it (vfio_device.c), what its
 * configuration space says (vfio_config.c), what it sees behind an IOMMU of the guest's
 * (vfio_mirror.c), and the function that the guest has (vfio_function.c).
 */
#ifndef NIDUS_VFIO_PARTS_H
#define NIDUS_VFIO_PARTS_H

#include <errno.h>
#include <linux/vfio.h>

#include "devices/iommu.h"
#include "vfio/vfio.h"

/* What a system call has returned, with -errno for -1. */
static inline int checked(int result)
{
	return result < 0 ? -errno : result;
}

/* Where a device is found. */

#define VFIO_ADDRESS 16 /* bytes of a PCI address, with its end */
#define VFIO_PATH    320 /* of a path in sysfs */

struct vfio_place {
	char address[VFIO_ADDRESS]; /* 0000:00:02.0 */
	char cdev[64]; /* its character device's path; "": the kernel has none */
	int group; /* of the IOMMU */
};

/* Errors: -errno, said; -EINVAL where another device, or what was done to it, would do. */
int vfio_find(struct vfio_place *place, const char *name);
/* Into text: of a device's group one that keeps VFIO from having it, or nothing. */
void vfio_find_intruder(const struct vfio_place *place, char text[VFIO_PATH]);

/* An address space of the host's IOMMU: that of all devices of a guest, or one of each. */

_Static_assert(IOMMU_READ == VFIO_DMA_MAP_FLAG_READ && IOMMU_WRITE == VFIO_DMA_MAP_FLAG_WRITE,
	       "the same bits");

struct vfio_iommu {
	int fd; /* of /dev/iommu, or of /dev/vfio/vfio */
	bool by_groups; /* the latter */
	uint32_t ioas; /* of /dev/iommu */
	bool ready; /* /dev/vfio/vfio has its first group */
	uint64_t page; /* what mappings are multiples of */
	struct iommu_range reserved[IOMMU_RESERVED_MAX]; /* where there can be none */
	unsigned int reserved_count;
};

/* /dev/iommu if the host has it and it is of use, else the older one. Errors: -errno, said. */
int vfio_iommu_open(struct vfio_iommu *iommu, bool has_cdev);
void vfio_iommu_close(struct vfio_iommu *iommu);
/* Errors: -errno, not said. */
int vfio_iommu_attach(const struct vfio_iommu *iommu, int device_fd);
int vfio_iommu_attach_group(struct vfio_iommu *iommu, int group_fd);
/* Once a device is attached: asks for page and reserved. Errors: -errno, not said. */
int vfio_iommu_look(struct vfio_iommu *iommu);
/*
 * All of RAM, at its guest physical addresses, which takes as long as the host needs to find and
 * pin it. Errors: -errno, said.
 */
int vfio_iommu_map_ram(const struct vfio_iommu *iommu, const struct memory *memory);
/*
 * size bytes of RAM from gpa on, at iova; allows: IOMMU_READ, IOMMU_WRITE or both. Any thread.
 * Errors: -errno, not said.
 */
int vfio_iommu_map(const struct vfio_iommu *iommu, const struct memory *memory, uint64_t iova,
		   uint64_t gpa, uint64_t size, uint32_t allows);
/*
 * Whatever was mapped from start to end, which is included, and not a part of it. Returns when no
 * device uses it any more. Any thread. Errors: -errno, not said.
 */
int vfio_iommu_unmap(const struct vfio_iommu *iommu, uint64_t start, uint64_t end);

/* What configuration space says. */

#define VFIO_CONFIG_SIZE 256 /* bytes that are looked at */

#define VFIO_VENDORS_MAX 16

/* A capability by its place in the device's configuration space. */
struct vfio_capability {
	uint8_t offset, size; /* bytes */
};

struct vfio_config {
	struct pci_identity identity;
	bool is_memory[PCI_BARS]; /* of a BAR, or of the lower half of one */
	bool power; /* it has power management */
	uint8_t msix; /* its offset, 0: none */
	uint8_t table_bar; /* of MSI-X */
	uint32_t table_offset, table_size; /* bytes */
	struct vfio_capability vendor[VFIO_VENDORS_MAX];
	unsigned int vendor_count;
};

/* What config, VFIO_CONFIG_SIZE bytes, says. NULL, or why it is none that can be passed on. */
const char *vfio_config_parse(struct vfio_config *parsed, const uint8_t *config);

/* What the kernel gives of a device. */

#define VFIO_AREAS_MAX 4

/* A part of a BAR that is mapped. */
struct vfio_area {
	uint64_t offset, size; /* bytes */
	void *host;
	unsigned int slot; /* that is kept for it, from MEMSLOT_VFIO on */
};

struct vfio_bar {
	uint64_t size; /* bytes, 0: there is none, or it is not of memory */
	uint64_t offset; /* in the device's descriptor */
	struct vfio_area area[VFIO_AREAS_MAX];
	unsigned int area_count;
};

struct vfio_irqs {
	unsigned int count; /* 0: none */
	bool fixed; /* as many as were set up first, until they are given up */
};

struct vfio_device {
	struct vfio_place place;
	struct vfio_iommu *iommu; /* that it is attached to */
	int fd;
	bool can_reset;
	uint64_t config_offset; /* in the descriptor */
	struct vfio_config config;
	struct vfio_bar bar[PCI_BARS];
	struct vfio_irqs irqs[5]; /* by VFIO_PCI_INTX_IRQ_INDEX and so on */
};

/*
 * Of a device whose fd is open: what there is of it, and its mappings, whose memory slots are
 * counted on from *slot. Errors: -errno, said; then there is nothing to release.
 */
int vfio_device_look(struct vfio_device *device, unsigned int *slot);
void vfio_device_release(struct vfio_device *device);

/* Whether all of it was read or written; size: 1, 2, 4 or 8 bytes. Any thread. */
bool vfio_device_read(const struct vfio_device *device, uint64_t offset, void *value,
		      unsigned int size);
bool vfio_device_write(const struct vfio_device *device, uint64_t offset, const void *value,
		       unsigned int size);
/* Has it interrupt by these, from the first one on. Any thread. Errors: -errno, not said. */
int vfio_device_interrupt_by(const struct vfio_device *device, unsigned int index,
			     unsigned int first, unsigned int count, const int *eventfds);
/* Or no more. */
void vfio_device_interrupt_no_more(const struct vfio_device *device, unsigned int index);
/* Errors: -errno, not said; -ENOTTY where it cannot be reset. Any thread. */
int vfio_device_reset(const struct vfio_device *device);

/* What a device sees behind an IOMMU of the guest's. */

struct vfio_mirror {
	struct iommu_endpoint endpoint;
	const struct vfio_device *device;
	const struct memory *memory;
	struct verdict *verdict;
};

/* Puts a function behind machine->iommu, whose device sees RAM by now, by an IOMMU of its own. */
void vfio_mirror_begin(struct vfio_mirror *mirror, struct pci_function *function,
		       const struct vfio_device *device, const struct vfio_machine *machine);

/* Puts a function onto the bus. Errors: -errno, said. */
int vfio_function_add(const struct vfio_device *device, const struct vfio_machine *machine);

#endif
