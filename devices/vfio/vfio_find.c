// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device by its name: what sysfs says of it (Linux, Documentation/ABI/testing/sysfs-bus-pci,
 * sysfs-kernel-iommu_groups).
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "vfio/vfio_name.h"
#include "vfio_parts.h"

#define CDEVS	"/dev/vfio/devices/"
#define DEVICES "/sys/bus/pci/devices/"

/* The last part of where a symbolic link leads to, or "". */
static void last_of_link(const char *path, char *name, size_t size)
{
	char target[VFIO_PATH];
	const ssize_t length = readlink(path, target, sizeof(target) - 1);
	const char *last;

	name[0] = '\0';
	if (length < 0)
		return;
	target[length] = '\0';
	last = strrchr(target, '/');
	last = last ? last + 1 : target;
	if (strlen(last) < size)
		strcpy(name, last);
}

/* sysfs has small letters. */
static void set_address(struct vfio_place *place, const char *name)
{
	char *letter = place->address;

	snprintf(place->address, sizeof(place->address), "%s%s", strlen(name) == 7 ? "0000:" : "",
		 name);
	for (; *letter; letter++)
		*letter = tolower((unsigned char)*letter);
}

/* The address of the device that a character device is for. */
static int address_of_cdev(struct vfio_place *place, const char *path)
{
	char link[VFIO_PATH], name[VFIO_ADDRESS];

	snprintf(link, sizeof(link), "/sys/class/vfio-dev/%s/device", path + strlen(CDEVS));
	last_of_link(link, name, sizeof(name));
	if (!vfio_name_is_one(name)) {
		log_error("--vfio %s: there is no such device, or none of PCI", path);
		return -EINVAL;
	}
	set_address(place, name);
	return 0;
}

/* As the kernel names it. */
static void find_cdev(struct vfio_place *place)
{
	char path[VFIO_PATH];
	struct dirent *entry;
	DIR *dir;

	place->cdev[0] = '\0';
	snprintf(path, sizeof(path), DEVICES "%s/vfio-dev", place->address);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, "vfio", 4) == 0)
			snprintf(place->cdev, sizeof(place->cdev), CDEVS "%.32s", entry->d_name);
	closedir(dir);
}

static int find_group(struct vfio_place *place)
{
	char path[VFIO_PATH], name[16];

	snprintf(path, sizeof(path), DEVICES "%s/iommu_group", place->address);
	last_of_link(path, name, sizeof(name));
	place->group = name[0] ? atoi(name) : -1;
	if (place->group >= 0)
		return 0;
	log_error("--vfio %s: is behind no IOMMU of this host, which would keep it to the guest's "
		  "memory",
		  place->address);
	return -ENODEV;
}

/* Also the drivers of vendors that are made of it. */
static bool is_vfio(const char *driver)
{
	return strstr(driver, "vfio") != NULL;
}

static int check_driver(const struct vfio_place *place)
{
	char path[VFIO_PATH], driver[64];

	snprintf(path, sizeof(path), DEVICES "%s/driver", place->address);
	last_of_link(path, driver, sizeof(driver));
	if (is_vfio(driver))
		return 0;
	log_error("--vfio %s: is bound to %s%s, and has to be to vfio-pci: write vfio-pci to "
		  "driver_override in " DEVICES "%s, %sthen %s to /sys/bus/pci/drivers_probe",
		  place->address, driver[0] ? "the driver " : "no driver", driver, place->address,
		  driver[0] ? "the address to driver/unbind there, " : "", place->address);
	return -EINVAL;
}

int vfio_find(struct vfio_place *place, const char *name)
{
	char path[VFIO_PATH];
	int err = 0;

	memset(place, 0, sizeof(*place));
	if (vfio_name_is_cdev(name))
		err = address_of_cdev(place, name);
	else
		set_address(place, name);
	if (err < 0)
		return err;
	snprintf(path, sizeof(path), DEVICES "%s", place->address);
	if (access(path, F_OK) < 0) {
		log_error("--vfio %s: this host has no such PCI device", place->address);
		return -EINVAL;
	}
	err = find_group(place);
	if (err == 0)
		err = check_driver(place);
	if (err == 0)
		find_cdev(place);
	return err;
}

void vfio_find_intruder(const struct vfio_place *place, char text[VFIO_PATH])
{
	char devices[VFIO_PATH], path[VFIO_PATH], driver[64];
	struct dirent *entry;
	DIR *dir;

	text[0] = '\0';
	snprintf(devices, sizeof(devices), "/sys/kernel/iommu_groups/%d/devices", place->group);
	dir = opendir(devices);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%.64s/%.64s/driver", devices, entry->d_name);
		last_of_link(path, driver, sizeof(driver));
		if (driver[0] && !is_vfio(driver))
			snprintf(text, VFIO_PATH, "%.64s, which is bound to %s", entry->d_name,
				 driver);
	}
	closedir(dir);
}
