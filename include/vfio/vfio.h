/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PCI devices of the host that a guest has as its own (VFIO; Linux, Documentation/driver-api/
 * vfio.rst). Its driver's accesses go to the device itself, by an exit only where the host cannot
 * map what they are to; the device reaches the guest's RAM by the host's IOMMU, at guest physical
 * addresses or, behind an IOMMU of the guest's, where that has it, and nothing besides.
 */
#ifndef NIDUS_VFIO_H
#define NIDUS_VFIO_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/irq.h"
#include "devices/iommu.h"
#include "devices/pci.h"
#include "host/event.h"
#include "host/verdict.h"
#include "mm/memory.h"

#define VFIO_DEVICES_MAX 8

struct vfio;

/*
 * Opens count devices, VFIO_DEVICES_MAX at most, named as vfio_name_is_one() has it, all that is
 * wanted of them by a path, for a guest with ram bytes of RAM. apart: they will be behind an IOMMU
 * of the guest's, each by itself. All or none. Errors: -errno, said; -EINVAL that a device was
 * named that cannot be had, whatever the host has besides.
 */
int vfio_open(struct vfio **opened, const char *const *names, unsigned int count, uint64_t ram,
	      bool apart);
/* No machine has them. */
void vfio_close(struct vfio *vfio);

/* What a machine's functions are made with; all outlive them. */
struct vfio_machine {
	struct pci *pci;
	struct irq_routes *routes;
	struct event_loop *loop;
	struct verdict *verdict; /* reached where a device fails, or the host wants it back */
	const struct memory *memory;
	struct iommu *iommu; /* that they are behind, where they were opened apart; or NULL */
};

/*
 * Lets the devices reach RAM, all of which stays in place until vfio_leave(), and puts a function
 * for each onto the bus, reset. One machine at a time; opens nothing. Errors: -errno, said; then
 * vfio_leave() is still to be called.
 */
int vfio_join(struct vfio *vfio, const struct vfio_machine *machine);
/* After the bus is destroyed, before RAM is; may come without vfio_join(). */
void vfio_leave(struct vfio *vfio);

#endif
