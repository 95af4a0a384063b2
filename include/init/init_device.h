/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices of this guest that are handed on to a guest of its own, by VFIO.
 */
#ifndef NIDUS_INIT_DEVICE_H
#define NIDUS_INIT_DEVICE_H

#include <stdbool.h>

#define INIT_DEVICE_ADDRESS 16 /* bytes of a PCI address as Linux writes it, with its end */

/*
 * Whether name is one of a device: "diskN" or "netN", N from 0 to 9, the Nth in order of address of
 * the PCI functions of that class (PCI Code and ID Assignment, 01h and 02h) behind an IOMMU.
 */
bool init_device_is_name(const char *name);

/*
 * Takes a device from its driver and gives it to vfio-pci. address: where it is. Errors: -errno,
 * said: -ENODEV, there is no such device; -ENOPKG, the kernel has no vfio-pci.
 */
int init_device_take(const char *name, char address[INIT_DEVICE_ADDRESS]);

#endif
