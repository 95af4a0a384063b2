/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the bridge (pci.c) and what saves it (pci_state.c) share.
 */
#ifndef NIDUS_PCI_PARTS_H
#define NIDUS_PCI_PARTS_H

#include <linux/pci_regs.h>

#include "devices/pci.h"

#define PCI_SLOTS 32

/* In the BAR of MSI-X: the table, then the pending bits. */
#define PCI_ENTRY_WORDS	   (PCI_MSIX_ENTRY_SIZE / 4)
#define PCI_MSIX_PENDING   (PCI_MSIX_VECTOR_MAX * PCI_MSIX_ENTRY_SIZE)
#define PCI_MSIX_SIZE	   (PCI_MSIX_PENDING + PCI_MSIX_VECTOR_MAX / 8)
#define MSIX_FLAGS_ENABLE  ((uint32_t)PCI_MSIX_FLAGS_ENABLE << 16)
#define MSI_FLAGS_ENABLE   ((uint32_t)PCI_MSI_FLAGS_ENABLE << 16)
#define MSIX_FLAGS_MASKALL ((uint32_t)PCI_MSIX_FLAGS_MASKALL << 16)

struct pci {
	struct device device; /* config space, and the window of BARs that are read without exits */
	struct device window; /* of the other BARs */
	uint8_t *memory; /* what the guest reads at device.base */
	uint64_t cache_line;
	struct pci_function *function[PCI_SLOTS];
	unsigned int count;
	const struct pci_function *iommu; /* or NULL */
	uint64_t memory_next, readable_next; /* addresses that no BAR has been given yet */
	pthread_mutex_t place_lock; /* of changes of where BARs answer */
};

/* Of old, the bits in mask become those of value. */
uint32_t pci_merge(uint32_t old, uint32_t value, uint32_t mask);

/* What a driver's writes come to; with the function's lock, or before a vCPU runs. */

/* A BAR's register. */
void pci_function_set_bar(struct pci_function *function, unsigned int index, uint32_t address);
/* Command was old: what it turns on and off is. */
void pci_function_command_written(struct pci_function *function, uint32_t old);
/* Something changed on which it depends whether vectors may send. */
void pci_function_update_vectors(struct pci_function *function);

/* A new function's vectors, and the table for them. Errors: -errno, said. */
int pci_function_add_vectors(struct pci_function *function, struct irq_routes *routes,
			     unsigned int count);
/* With the function's lock: whether the doubleword that was written is MSI's; then it is followed.
 */
bool pci_msi_written(struct pci_function *function, unsigned int offset);

/* As struct device_ops has it, of the bridge and all functions. */
void pci_state_rest(struct device *device, bool rest);
const char *pci_state_unsaved(const struct device *device);
void pci_state_save(struct device *device, struct state_writer *writer);
void pci_state_restore(struct device *device, struct state_reader *reader);

#endif
