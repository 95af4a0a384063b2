/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's physical address map and interrupt numbers: those of QEMU's `virt` board, so that
 * firmware and hypervisors made for it find things where they expect them. docs/memory-map.md
 * tells it as a table.
 */
#ifndef NIDUS_MEMMAP_H
#define NIDUS_MEMMAP_H

#include "util.h"

#define FLASH_BASE	   UINT64_C(0x00000000)
#define FLASH_BANK_SIZE	   UINT64_C(0x04000000) /* of each of two */
#define FLASH_BLOCK_SIZE   KIB(256) /* what a bank erases at a time, of both of its chips */
#define GIC_DIST_BASE	   UINT64_C(0x08000000)
#define GIC_DIST_SIZE	   UINT64_C(0x00010000)
#define GICV2_CPU_BASE	   UINT64_C(0x08010000)
#define GICV2_CPU_SIZE	   UINT64_C(0x00010000)
#define GIC_ITS_BASE	   UINT64_C(0x08080000)
#define GIC_ITS_SIZE	   UINT64_C(0x00020000)
#define GIC_REDIST_BASE	   UINT64_C(0x080a0000)
#define GIC_REDIST_STRIDE  UINT64_C(0x00020000)
#define GIC_REDIST_COUNT   123 /* as many as end below the PL011 */
#define GIC_REDIST2_BASE   UINT64_C(0x4000000000)
#define PL011_BASE	   UINT64_C(0x09000000)
#define PL031_BASE	   UINT64_C(0x09010000)
#define PVTIME_BASE	   UINT64_C(0x090a0000)
#define PVTIME_SIZE	   UINT64_C(0x00010000) /* behind the last structure: generation ID */
#define PVTIME_STRIDE	   UINT64_C(0x00000040) /* of a vCPU, a cache line as DEN 0057A wants it */
#define VIRTIO_MMIO_BASE   UINT64_C(0x0a000000)
#define VIRTIO_MMIO_STRIDE UINT64_C(0x00000200)
#define VIRTIO_MMIO_SIZE   UINT64_C(0x00010000) /* of all slots, a page of any size */
#define PCI_BARS_BASE	   UINT64_C(0x10000000)
#define PCI_BARS_SIZE	   UINT64_C(0x2eff0000)
#define PCI_ECAM_BASE	   UINT64_C(0x3f000000) /* of bus 0, the only one */
#define PCI_ECAM_SIZE	   UINT64_C(0x00100000) /* then BARs, read like it without exits */
#define PCI_READABLE_BASE  (PCI_ECAM_BASE + PCI_ECAM_SIZE)
#define PCI_READABLE_SIZE  UINT64_C(0x00400000)
#define RAM_BASE	   UINT64_C(0x40000000)
#define RAM_SIZE_MAX	   (GIC_REDIST2_BASE - RAM_BASE)

/* Shared peripheral interrupts, counted from 0; the GIC's INTID is GIC_SPI_BASE more. */
#define GIC_SPI_BASE	32
#define GIC_SPI_COUNT	32
#define PL011_SPI	1
#define VIRTIO_MMIO_SPI 16 /* of the first transport, one each */
#define PL031_SPI	2
#define VMGENID_SPI	3

/* Private peripheral interrupts, counted from 0; the GIC's INTID is GIC_PPI_BASE more. */
#define GIC_PPI_BASE	       16
#define PMU_PPI		       7
#define TIMER_VIRTUAL_PPI      11
#define TIMER_SECURE_PPI       13
#define TIMER_PHYSICAL_PPI     14
#define TIMER_EL2_PHYSICAL_PPI 10
#define TIMER_EL2_VIRTUAL_PPI  12
#define GIC_MAINTENANCE_PPI    9

#endif
