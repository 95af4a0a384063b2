// SPDX-License-Identifier: GPL-2.0-only
/*
 * Message Signalled Interrupts (PCI Local Bus 3.0, 6.8.1) of a function that has no MSI-X: one
 * vector, 64 bits of address, and a mask. What the driver writes to the capability becomes the only
 * entry of a table as MSI-X has one, which nobody else sees.
 */
#include "pci_parts.h"

#define MSI_SIZE 24 /* bytes */

/* Of the entry, by what is in the capability. */
static void show_entry(struct pci_function *function)
{
	const unsigned int msi = function->msi;
	struct pci_view *table = &function->msix_table;

	pci_view_set(table, PCI_MSIX_ENTRY_LOWER_ADDR,
		     pci_function_config(function, msi + PCI_MSI_ADDRESS_LO), UINT32_MAX);
	pci_view_set(table, PCI_MSIX_ENTRY_UPPER_ADDR,
		     pci_function_config(function, msi + PCI_MSI_ADDRESS_HI), UINT32_MAX);
	pci_view_set(table, PCI_MSIX_ENTRY_DATA,
		     pci_function_config(function, msi + PCI_MSI_DATA_64), UINT32_MAX);
	pci_view_set(table, PCI_MSIX_ENTRY_VECTOR_CTRL,
		     pci_function_config(function, msi + PCI_MSI_MASK_64), UINT32_MAX);
}

bool pci_msi_written(struct pci_function *function, unsigned int offset)
{
	if (!function->msi || offset < function->msi || offset >= function->msi + MSI_SIZE)
		return false;
	pthread_mutex_lock(&function->vectors[0].lock);
	show_entry(function);
	pthread_mutex_unlock(&function->vectors[0].lock);
	return true;
}

int pci_function_add_msi(struct pci_function *function, struct irq_routes *routes)
{
	const uint32_t capability[MSI_SIZE / 4] = {
		[0] = (PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT) << 16 | PCI_CAP_ID_MSI,
	};
	int err = pci_function_add_vectors(function, routes, 1);

	if (err < 0)
		return err;
	function->msi = pci_function_add_capability(function, capability, sizeof(capability));
	pci_function_make_writable(function, function->msi, MSI_FLAGS_ENABLE);
	pci_function_make_writable(function, function->msi + PCI_MSI_ADDRESS_LO, ~UINT32_C(3));
	pci_function_make_writable(function, function->msi + PCI_MSI_ADDRESS_HI, UINT32_MAX);
	pci_function_make_writable(function, function->msi + PCI_MSI_DATA_64, UINT16_MAX);
	pci_function_make_writable(function, function->msi + PCI_MSI_MASK_64, 1);
	return 0;
}
