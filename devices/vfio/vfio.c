// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest's devices of the host, from their names to their functions.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "host/log.h"
#include "util.h"
#include "vfio_parts.h"

struct group {
	int number, fd;
};

struct vfio {
	bool apart; /* each device has an IOMMU of its own, or all have the first */
	struct vfio_iommu iommus[VFIO_DEVICES_MAX]; /* fd < 0: not used */
	struct group groups[VFIO_DEVICES_MAX];
	unsigned int group_count;
	struct vfio_device devices[VFIO_DEVICES_MAX];
	unsigned int count;
	unsigned int slots; /* that are kept for what is mapped of all of them */
};

/*
 * All of RAM is pinned, when nidus has given up its right to pin as much as it likes; so the limit
 * goes up before, as far as it can.
 */
static int raise_limit(uint64_t ram, unsigned int times)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return 0;
	if (setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY }) == 0)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (limit.rlim_cur / times >= ram)
		return 0;
	log_error("--vfio: all of the guest's RAM of %" PRIu64 " MiB is pinned%s, but this user "
		  "may pin %" PRIu64 " MiB: be root, or raise the limit (memlock in "
		  "/etc/security/limits.conf, LimitMEMLOCK= of a service)",
		  ram >> 20, times > 1 ? " for each device" : "", (uint64_t)limit.rlim_cur >> 20);
	return -EPERM;
}

/* Opening. */

static int say_why_not(const struct vfio_place *place, const char *path, int err)
{
	char intruder[VFIO_PATH];

	vfio_find_intruder(place, intruder);
	if (intruder[0]) {
		log_error("--vfio %s: its IOMMU group %d has %s as well: bind that to vfio-pci, "
			  "too, or to no driver",
			  place->address, place->group, intruder);
		return -EINVAL;
	}
	if (err == -EBUSY)
		log_error("--vfio %s: %s: somebody else has the device", place->address, path);
	else if (err == -EACCES)
		log_error("--vfio %s: %s: %s; be root, or have it given to this user",
			  place->address, path, strerror(-err));
	else if (err == -EPERM)
		log_error("--vfio %s: %s: %s; are this host's message-signalled interrupts kept "
			  "apart by device? The kernel's log says what is missing",
			  place->address, path, strerror(-err));
	else
		log_error("--vfio %s: %s: %s", place->address, path, log_reason(-err));
	return err;
}

static int open_cdev(struct vfio_device *device)
{
	int err;

	device->fd = open(device->place.cdev, O_RDWR | O_CLOEXEC);
	err = checked(device->fd);
	if (err >= 0) {
		err = vfio_iommu_attach(device->iommu, device->fd);
		if (err < 0)
			close(device->fd);
	}
	return err < 0 ? say_why_not(&device->place, device->place.cdev, err) : 0;
}

/* Its descriptor; a group is opened once for all of its devices. */
static int open_group(struct vfio *vfio, struct vfio_iommu *iommu, int number, const char *path)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct group *group = &vfio->groups[vfio->group_count];
	int err;

	for (unsigned int i = 0; i < vfio->group_count; i++)
		if (vfio->groups[i].number == number)
			return vfio->groups[i].fd;
	*group = (struct group){ number, open(path, O_RDWR | O_CLOEXEC) };
	if (group->fd < 0)
		return -errno;
	err = checked(ioctl(group->fd, VFIO_GROUP_GET_STATUS, &status));
	if (err == 0 && !(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		err = -EINVAL;
	if (err == 0)
		err = vfio_iommu_attach_group(iommu, group->fd);
	if (err < 0) {
		close(group->fd);
		return err;
	}
	vfio->group_count++;
	return group->fd;
}

static int open_in_group(struct vfio *vfio, struct vfio_device *device)
{
	char path[32];
	int err;

	snprintf(path, sizeof(path), "/dev/vfio/%d", device->place.group);
	err = open_group(vfio, device->iommu, device->place.group, path);
	if (err >= 0)
		err = device->fd =
			checked(ioctl(err, VFIO_GROUP_GET_DEVICE_FD, device->place.address));
	return err < 0 ? say_why_not(&device->place, path, err) : 0;
}

static int check_again(const struct vfio *vfio, const struct vfio_place *place)
{
	for (unsigned int i = 0; i < vfio->count; i++) {
		const struct vfio_place *other = &vfio->devices[i].place;

		if (strcmp(other->address, place->address) == 0) {
			log_error("--vfio %s: is named twice", place->address);
			return -EINVAL;
		}
		if (vfio->apart && other->group == place->group) {
			log_error("--vfio %s: is in an IOMMU group with %s, so that --iommu cannot "
				  "keep them apart",
				  place->address, other->address);
			return -EINVAL;
		}
	}
	return 0;
}

static int look_at_iommu(struct vfio_device *device)
{
	const int err = vfio_iommu_look(device->iommu);

	if (err < 0)
		log_error("--vfio %s: the host's IOMMU does not say what it can map: %s",
			  device->place.address, log_reason(-err));
	return err;
}

static int open_device(struct vfio *vfio, const char *name)
{
	struct vfio_device *device = &vfio->devices[vfio->count];
	struct vfio_iommu *iommu = &vfio->iommus[vfio->apart ? vfio->count : 0];
	int err = vfio_find(&device->place, name);

	device->iommu = iommu;
	if (err == 0)
		err = check_again(vfio, &device->place);
	/* The first one decides for all that share it. */
	if (err == 0 && iommu->fd < 0)
		err = vfio_iommu_open(iommu, device->place.cdev[0] != '\0');
	if (err < 0)
		return err;
	err = iommu->by_groups ? open_in_group(vfio, device) : open_cdev(device);
	if (err < 0)
		return err;
	err = vfio->apart ? look_at_iommu(device) : 0;
	if (err == 0)
		err = vfio_device_look(device, &vfio->slots);
	if (err < 0)
		close(device->fd);
	else
		vfio->count++;
	return err;
}

int vfio_open(struct vfio **opened, const char *const *names, unsigned int count, uint64_t ram,
	      bool apart)
{
	struct vfio *vfio = calloc(1, sizeof(*vfio));
	int err = 0;

	if (!vfio) {
		log_error("--vfio: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	vfio->apart = apart;
	for (unsigned int i = 0; i < ARRAY_SIZE(vfio->iommus); i++)
		vfio->iommus[i].fd = -1;
	for (unsigned int i = 0; i < count && err == 0; i++)
		err = open_device(vfio, names[i]);
	if (err == 0)
		err = raise_limit(ram, apart ? count : 1);
	if (err < 0)
		vfio_close(vfio);
	else
		*opened = vfio;
	return err;
}

void vfio_close(struct vfio *vfio)
{
	while (vfio->count > 0) {
		struct vfio_device *device = &vfio->devices[--vfio->count];

		vfio_device_release(device);
		close(device->fd);
	}
	while (vfio->group_count > 0)
		close(vfio->groups[--vfio->group_count].fd);
	for (unsigned int i = 0; i < ARRAY_SIZE(vfio->iommus); i++)
		if (vfio->iommus[i].fd >= 0)
			vfio_iommu_close(&vfio->iommus[i]);
	free(vfio);
}

/* A machine's. */

int vfio_join(struct vfio *vfio, const struct vfio_machine *machine)
{
	int err = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(vfio->iommus) && err == 0; i++)
		if (vfio->iommus[i].fd >= 0)
			err = vfio_iommu_map_ram(&vfio->iommus[i], machine->memory);
	for (unsigned int i = 0; i < vfio->count && err == 0; i++)
		err = vfio_function_add(&vfio->devices[i], machine);
	return err;
}

void vfio_leave(struct vfio *vfio)
{
	/* It cannot fail for what was mapped. */
	for (unsigned int i = 0; i < ARRAY_SIZE(vfio->iommus); i++)
		if (vfio->iommus[i].fd >= 0)
			vfio_iommu_unmap(&vfio->iommus[i], 0, IOMMU_IOVA_MAX);
}
