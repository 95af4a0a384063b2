// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's IOMMU, by iommufd (Linux, Documentation/userspace-api/iommufd.rst), or by a container
 * of groups where the host has no more. A guest has one address space of it: guest physical
 * addresses, and RAM in them.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/log.h"
#include "vfio_parts.h"

#define IOMMUFD	  "/dev/iommu"
#define CONTAINER "/dev/vfio/vfio"

static int checked(int result)
{
	return result < 0 ? -errno : result;
}

static int open_iommufd(struct vfio_iommu *iommu)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int err;

	iommu->fd = open(IOMMUFD, O_RDWR | O_CLOEXEC);
	if (iommu->fd < 0)
		return -errno;
	err = checked(ioctl(iommu->fd, IOMMU_IOAS_ALLOC, &alloc));
	if (err < 0)
		close(iommu->fd);
	iommu->ioas = alloc.out_ioas_id;
	return err;
}

static int open_container(struct vfio_iommu *iommu)
{
	iommu->fd = open(CONTAINER, O_RDWR | O_CLOEXEC);
	if (iommu->fd < 0)
		return -errno;
	if (ioctl(iommu->fd, VFIO_GET_API_VERSION) == VFIO_API_VERSION &&
	    ioctl(iommu->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) > 0)
		return 0;
	close(iommu->fd);
	return -ENOTSUP;
}

int vfio_iommu_open(struct vfio_iommu *iommu, bool has_cdev)
{
	int err = -ENOENT;

	*iommu = (struct vfio_iommu){ .fd = -1 };
	if (has_cdev)
		err = open_iommufd(iommu);
	if (err == 0)
		return 0;
	if (err != -ENOENT && err != -ENODEV) {
		log_error("--vfio: " IOMMUFD ": %s", log_reason(-err));
		return err;
	}
	iommu->by_groups = true;
	err = open_container(iommu);
	if (err == -ENOENT || err == -ENODEV)
		log_error("--vfio: this host has neither " IOMMUFD " and character devices of "
			  "VFIO (Linux 6.6) nor " CONTAINER);
	else if (err < 0)
		log_error("--vfio: " CONTAINER ": %s", log_reason(-err));
	return err;
}

void vfio_iommu_close(struct vfio_iommu *iommu)
{
	close(iommu->fd);
}

int vfio_iommu_attach(const struct vfio_iommu *iommu, int device_fd)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommu->fd };
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
		.pt_id = iommu->ioas,
	};
	int err = checked(ioctl(device_fd, VFIO_DEVICE_BIND_IOMMUFD, &bind));

	/* What the kernel says where another process has bound it. */
	if (err == -EINVAL)
		err = -EBUSY;
	return err < 0 ? err : checked(ioctl(device_fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
}

int vfio_iommu_attach_group(struct vfio_iommu *iommu, int group_fd)
{
	int err = checked(ioctl(group_fd, VFIO_GROUP_SET_CONTAINER, &iommu->fd));

	if (err < 0 || iommu->ready)
		return err;
	err = checked(ioctl(iommu->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	iommu->ready = err == 0;
	return err;
}

/* By its file, which the kernel then has pages of at once; what does not know that is -ENOTTY. */
/* #syscalls loop: ioctl(IOMMU_IOAS_MAP_FILE) */
static int map_file(const struct vfio_iommu *iommu, const struct memory *memory)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = iommu->ioas,
		.fd = memory->fd,
		.length = memory->size,
		.iova = memory->base,
	};

	return checked(ioctl(iommu->fd, IOMMU_IOAS_MAP_FILE, &map));
}

/* #syscalls loop: ioctl(IOMMU_IOAS_MAP) */
static int map_pages(const struct vfio_iommu *iommu, const struct memory *memory)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_READABLE,
		.ioas_id = iommu->ioas,
		.user_va = (uintptr_t)memory_at(memory, memory->base, memory->size),
		.length = memory->size,
		.iova = memory->base,
	};

	return checked(ioctl(iommu->fd, IOMMU_IOAS_MAP, &map));
}

/* #syscalls loop: ioctl(VFIO_IOMMU_MAP_DMA) */
static int map_container(const struct vfio_iommu *iommu, const struct memory *memory)
{
	const struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)memory_at(memory, memory->base, memory->size),
		.iova = memory->base,
		.size = memory->size,
	};

	return checked(ioctl(iommu->fd, VFIO_IOMMU_MAP_DMA, &map));
}

int vfio_iommu_map(struct vfio_iommu *iommu, const struct memory *memory)
{
	int err = -ENOTTY;

	if (iommu->by_groups)
		err = map_container(iommu, memory);
	else if (memory->fd >= 0)
		err = map_file(iommu, memory);
	if (err == -ENOTTY && !iommu->by_groups)
		err = map_pages(iommu, memory);
	if (err < 0) {
		log_error("--vfio: the host's IOMMU does not take the guest's RAM of %" PRIu64
			  " MiB, all of which is pinned: %s",
			  memory->size >> 20, log_reason(-err));
		return err;
	}
	iommu->base = memory->base;
	iommu->size = memory->size;
	return 0;
}

/* #syscalls loop: ioctl(IOMMU_IOAS_UNMAP) ioctl(VFIO_IOMMU_UNMAP_DMA) */
void vfio_iommu_unmap(struct vfio_iommu *iommu)
{
	struct vfio_iommu_type1_dma_unmap dma = {
		.argsz = sizeof(dma),
		.iova = iommu->base,
		.size = iommu->size,
	};
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = iommu->ioas,
		.iova = iommu->base,
		.length = iommu->size,
	};

	if (iommu->size == 0)
		return;
	/* It cannot fail for what was mapped. */
	if (iommu->by_groups)
		ioctl(iommu->fd, VFIO_IOMMU_UNMAP_DMA, &dma);
	else
		ioctl(iommu->fd, IOMMU_IOAS_UNMAP, &unmap);
	iommu->size = 0;
}
