/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What names a device of the host that is to be a guest's, for who reads command lines.
 */
#ifndef NIDUS_VFIO_NAME_H
#define NIDUS_VFIO_NAME_H

#include <stdbool.h>

/* A PCI address as sysfs writes it, with or without its domain, or /dev/vfio/devices/vfioN. */
bool vfio_name_is_one(const char *text);
/* The latter. */
bool vfio_name_is_cdev(const char *text);

#endif
