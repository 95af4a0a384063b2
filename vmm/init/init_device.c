// SPDX-License-Identifier: GPL-2.0-only
#include "init/init_device.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "util.h"

#define DEVICES "/sys/bus/pci/devices"
#define DRIVERS "/sys/bus/pci/drivers"
#define DRIVER	"vfio-pci"

static const struct {
	const char *name;
	unsigned int class; /* base class */
} kinds[] = {
	{ "disk", 0x01 },
	{ "net", 0x02 },
};

/* Which of kinds it is, and the number behind; -1: none. */
static int parse(const char *name, unsigned int *number)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *digit = name + strlen(kinds[i].name);

		if (strncmp(name, kinds[i].name, strlen(kinds[i].name)) != 0 || digit[0] < '0' ||
		    digit[0] > '9' || digit[1] != '\0')
			continue;
		*number = digit[0] - '0';
		return i;
	}
	return -1;
}

bool init_device_is_name(const char *name)
{
	unsigned int number;

	return parse(name, &number) >= 0;
}

static unsigned int base_class(const char *address)
{
	unsigned int class = 0;
	char path[PATH_MAX];
	FILE *file;

	snprintf(path, sizeof(path), DEVICES "/%s/class", address);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%x", &class) != 1)
		class = 0;
	fclose(file);
	return class >> 16;
}

static bool is_behind_iommu(const char *address)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DEVICES "/%s/iommu_group", address);
	return access(path, F_OK) == 0;
}

static int find(unsigned int class, unsigned int number, char address[INIT_DEVICE_ADDRESS])
{
	struct dirent **entries;
	const int count = scandir(DEVICES, &entries, NULL, alphasort);
	int err = -ENODEV;

	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;

		if (err < 0 && name[0] != '.' && strlen(name) < INIT_DEVICE_ADDRESS &&
		    base_class(name) == class && is_behind_iommu(name) && number-- == 0) {
			strcpy(address, name);
			err = 0;
		}
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return err;
}

static int put(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	int err;

	if (!file)
		return -errno;
	errno = 0;
	err = fputs(text, file) < 0 ? -errno : 0;
	if (fclose(file) < 0 && err == 0)
		err = -errno;
	return err;
}

static bool has_driver(const char *address)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), DRIVERS "/" DRIVER "/%s", address);
	return access(path, F_OK) == 0;
}

/* What its driver still does it ends first. */
static int bind(const char *address)
{
	char path[PATH_MAX];
	int err;

	snprintf(path, sizeof(path), DEVICES "/%s/driver_override", address);
	err = put(path, DRIVER);
	snprintf(path, sizeof(path), DEVICES "/%s/driver/unbind", address);
	/* It may have none. */
	if (err == 0 && access(path, F_OK) == 0)
		err = put(path, address);
	if (err == 0)
		err = put("/sys/bus/pci/drivers_probe", address);
	return err < 0 || has_driver(address) ? err : -ENXIO;
}

int init_device_take(const char *name, char address[INIT_DEVICE_ADDRESS])
{
	unsigned int number = 0;
	const int kind = parse(name, &number);
	int err = kind < 0 ? -ENODEV : find(kinds[kind].class, number, address);

	if (err < 0) {
		log_error("%s: there is no such device behind an IOMMU here; has this guest's "
			  "kernel CONFIG_VIRTIO_IOMMU?",
			  name);
		return err;
	}
	if (access(DRIVERS "/" DRIVER, F_OK) < 0) {
		log_error("%s: this guest's kernel has no " DRIVER " (CONFIG_VFIO_PCI)", name);
		return -ENOPKG;
	}
	err = bind(address);
	if (err < 0)
		log_error("%s: " DRIVER " does not take %s: %s", name, address, log_reason(-err));
	return err;
}
