// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's IOMMU, by iommufd (Linux, Documentation/userspace-api/iommufd.rst), or by a container
 * of groups where the host has no more. Without an IOMMU of its own a guest has one address space
 * of it: guest physical addresses, and RAM in them. With one each device has its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/log.h"
#include "util.h"
#include "vfio_parts.h"

#define IOMMUFD	  "/dev/iommu"
#define CONTAINER "/dev/vfio/vfio"

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

/* What an address space can have. */

/* As many as there are around what can be told of. */
#define ALLOWED_MAX (IOMMU_RESERVED_MAX - 1)

/* What is not in any of count ranges, which follow each other, is reserved. */
static void reserve_others(struct vfio_iommu *iommu, const struct iommu_range *allowed,
			   unsigned int count)
{
	uint64_t next = 0;

	iommu->reserved_count = 0;
	for (unsigned int i = 0; i < count && next <= IOMMU_IOVA_MAX; i++) {
		if (allowed[i].start > next)
			iommu->reserved[iommu->reserved_count++] = (struct iommu_range){
				next,
				allowed[i].start <= IOMMU_IOVA_MAX ? allowed[i].start - 1
								   : IOMMU_IOVA_MAX,
			};
		next = allowed[i].end < IOMMU_IOVA_MAX ? allowed[i].end + 1 : IOMMU_IOVA_MAX + 1;
	}
	if (next <= IOMMU_IOVA_MAX)
		iommu->reserved[iommu->reserved_count++] =
			(struct iommu_range){ next, IOMMU_IOVA_MAX };
}

_Static_assert(sizeof(struct iommu_range) == sizeof(struct iommu_iova_range) &&
		       offsetof(struct iommu_range, end) == offsetof(struct iommu_iova_range, last),
	       "the same");
_Static_assert(sizeof(struct iommu_range) == sizeof(struct vfio_iova_range) &&
		       offsetof(struct iommu_range, end) == offsetof(struct vfio_iova_range, end),
	       "the same");

static int look_at_ioas(struct vfio_iommu *iommu)
{
	struct iommu_range allowed[ALLOWED_MAX];
	struct iommu_ioas_iova_ranges query = {
		.size = sizeof(query),
		.ioas_id = iommu->ioas,
		.num_iovas = ARRAY_SIZE(allowed),
		.allowed_iovas = (uintptr_t)allowed,
	};
	const int err = checked(ioctl(iommu->fd, IOMMU_IOAS_IOVA_RANGES, &query));

	/* There may be more, which are left unused. */
	if (err < 0 && err != -EMSGSIZE)
		return err;
	iommu->page = query.out_iova_alignment;
	reserve_others(iommu, allowed, err < 0 ? ARRAY_SIZE(allowed) : query.num_iovas);
	return 0;
}

/* Kernels before 5.4 say of a container no more than its pages. */
static int look_at_container(struct vfio_iommu *iommu)
{
	union {
		struct vfio_iommu_type1_info info;
		uint8_t bytes[1024];
	} answer = { .info.argsz = sizeof(answer) };
	const struct vfio_iommu_type1_info *info = &answer.info;
	const struct vfio_iommu_type1_info_cap_iova_range *range;
	uint32_t at;
	const int err = checked(ioctl(iommu->fd, VFIO_IOMMU_GET_INFO, &answer));

	if (err < 0)
		return err;
	iommu->page = info->iova_pgsizes & -info->iova_pgsizes;
	at = info->flags & VFIO_IOMMU_INFO_CAPS && info->argsz <= sizeof(answer) ? info->cap_offset
										 : 0;
	for (; at != 0 && at <= sizeof(answer) - sizeof(*range); at = range->header.next) {
		range = (const void *)(answer.bytes + at);
		if (range->header.id != VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE)
			continue;
		reserve_others(iommu, (const struct iommu_range *)range->iova_ranges,
			       range->nr_iovas < ALLOWED_MAX ? range->nr_iovas : ALLOWED_MAX);
		break;
	}
	return 0;
}

int vfio_iommu_look(struct vfio_iommu *iommu)
{
	const uint64_t page = sysconf(_SC_PAGESIZE);
	const int err = iommu->by_groups ? look_at_container(iommu) : look_at_ioas(iommu);

	if (iommu->page < page)
		iommu->page = page;
	return err;
}

/* Mappings. */

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

/* #syscalls loop worker served: ioctl(IOMMU_IOAS_MAP) ioctl(VFIO_IOMMU_MAP_DMA) */
int vfio_iommu_map(const struct vfio_iommu *iommu, const struct memory *memory, uint64_t iova,
		   uint64_t gpa, uint64_t size, uint32_t allows)
{
	const uintptr_t host = (uintptr_t)memory_at(memory, gpa, size);
	const struct vfio_iommu_type1_dma_map dma = {
		.argsz = sizeof(dma),
		.flags = allows,
		.vaddr = host,
		.iova = iova,
		.size = size,
	};
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA |
			 (allows & IOMMU_READ ? IOMMU_IOAS_MAP_READABLE : 0) |
			 (allows & IOMMU_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0),
		.ioas_id = iommu->ioas,
		.user_va = host,
		.length = size,
		.iova = iova,
	};

	return checked(iommu->by_groups ? ioctl(iommu->fd, VFIO_IOMMU_MAP_DMA, &dma)
					: ioctl(iommu->fd, IOMMU_IOAS_MAP, &map));
}

int vfio_iommu_map_ram(const struct vfio_iommu *iommu, const struct memory *memory)
{
	int err = -ENOTTY;

	if (!iommu->by_groups && memory->fd >= 0)
		err = map_file(iommu, memory);
	if (err == -ENOTTY)
		err = vfio_iommu_map(iommu, memory, memory->base, memory->base, memory->size,
				     IOMMU_READ | IOMMU_WRITE);
	if (err < 0)
		log_error("--vfio: the host's IOMMU does not take the guest's RAM of %" PRIu64
			  " MiB, all of which is pinned: %s",
			  memory->size >> 20, log_reason(-err));
	return err;
}

/* #syscalls loop worker served: ioctl(IOMMU_IOAS_UNMAP) ioctl(VFIO_IOMMU_UNMAP_DMA) */
int vfio_iommu_unmap(const struct vfio_iommu *iommu, uint64_t start, uint64_t end)
{
	struct vfio_iommu_type1_dma_unmap dma = {
		.argsz = sizeof(dma),
		.iova = start,
		.size = end - start + 1,
	};
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = iommu->ioas,
		.iova = start,
		.length = end - start + 1,
	};
	const int err = checked(iommu->by_groups ? ioctl(iommu->fd, VFIO_IOMMU_UNMAP_DMA, &dma)
						 : ioctl(iommu->fd, IOMMU_IOAS_UNMAP, &unmap));

	/* There was nothing. */
	return err == -ENOENT ? 0 : err;
}
