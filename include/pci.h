/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A PCI host bridge with one bus (PCI Local Bus 3.0, ECAM as in PCI Express), as the generic one of
 * the devicetree binding pci-host-ecam-generic, and what all functions on it share: configuration
 * space, base address registers, capabilities, MSI-X.
 *
 * What the guest reads of these is memory, PCI_MEMORY_SIZE bytes from PCI_ECAM_BASE on, so that a
 * read takes no exit; writes come to the bridge. Functions are made before the first vCPU runs and
 * stay.
 */
#ifndef NIDUS_PCI_H
#define NIDUS_PCI_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bus.h"
#include "irq.h"
#include "memmap.h"

#define PCI_MEMORY_SIZE (PCI_ECAM_SIZE + PCI_READABLE_SIZE)

#define PCI_BARS	    6
#define PCI_MSIX_VECTOR_MAX 128

#define PCI_READABLE_BAR_SIZE 0x1000

struct pci;

/*
 * A bridge, which goes onto bus and is destroyed with it, as its functions' devices are. memory:
 * PCI_MEMORY_SIZE bytes, zeroed, which outlive it; what the guest sees, or would see, at
 * PCI_ECAM_BASE. NULL, said, on an error of the host.
 */
struct pci *pci_create(struct bus *bus, void *memory);

/* The bus that it is on, for the devices that its functions are made of. */
struct bus *pci_bus(const struct pci *pci);

/* What tells a driver that the function is its own. */
struct pci_identity {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint32_t class; /* base class, subclass, programming interface */
	uint8_t revision;
};

struct pci_vector {
	pthread_mutex_t lock; /* of the table's entry and the pending bit */
	struct irq_msi msi;
};

/* The head of every function's private struct. Its members are the bridge's. */
struct pci_function {
	struct pci *pci;
	unsigned int slot; /* device number; the function's number is 0 */

	/*
	 * Called by vCPU threads, lock held, when the driver has written to the doubleword of
	 * config space at offset and the function lets it. May be NULL.
	 */
	void (*config_written)(struct pci_function *function, unsigned int offset);

	pthread_mutex_t lock; /* of config space */
	_Atomic uint32_t *config; /* as the guest reads it */
	uint32_t writable[64]; /* the bits of it that a driver may change */
	struct {
		uint32_t address, size;
	} bar[PCI_BARS];
	unsigned int capabilities_end, last_capability;
	_Atomic uint32_t *readable; /* that BAR as the guest reads it */

	unsigned int msix; /* offset of the capability, 0: none */
	_Atomic uint32_t *msix_table;
	struct pci_vector *vectors;
	unsigned int vector_count;
};

/*
 * Puts a function into the next free slot, with nothing but an identity. -ENOSPC, said, when there
 * is none. pci_function_fini(), also after that, once no vCPU runs; the bridge may be gone by then.
 */
int pci_function_init(struct pci_function *function, struct pci *pci,
		      const struct pci_identity *identity);
void pci_function_fini(struct pci_function *function);

/* Has BAR bar stand for size bytes of memory, a power of two; returns their address. */
uint64_t pci_function_add_memory(struct pci_function *function, unsigned int bar, uint32_t size);

/*
 * Adds a capability of size bytes, its identifier in the first and the second left for the bridge.
 * Returns its offset.
 */
unsigned int pci_function_add_capability(struct pci_function *function, const void *capability,
					 unsigned int size);

/* Lets the driver change these bits of the doubleword at offset, and reads or sets all of it. */
void pci_function_make_writable(struct pci_function *function, unsigned int offset, uint32_t bits);
uint32_t pci_function_config(const struct pci_function *function, unsigned int offset);
void pci_function_set_config(struct pci_function *function, unsigned int offset, uint32_t value);

/*
 * Has BAR bar stand for PCI_READABLE_BAR_SIZE bytes that the guest reads by itself, zero at first;
 * returns their address. One of a function at most.
 */
uint64_t pci_function_add_readable(struct pci_function *function, unsigned int bar);
/*
 * What the guest reads in the readable BAR at offset: size bytes of a doubleword, and all of it.
 * Any thread; a doubleword is set by one at a time.
 */
uint32_t pci_function_readable(const struct pci_function *function, unsigned int offset,
			       unsigned int size);
void pci_function_set_readable(struct pci_function *function, unsigned int offset, uint32_t value);

/*
 * Adds MSI-X with count vectors, PCI_MSIX_VECTOR_MAX at most, its structures in BAR bar. routes
 * outlives the function. Errors: -errno, said.
 */
int pci_function_add_msix(struct pci_function *function, struct irq_routes *routes,
			  unsigned int bar, unsigned int count);

/* Whether the driver has turned MSI-X on. Any thread. */
bool pci_function_has_msix(const struct pci_function *function);

/*
 * Sends a vector's message, or notes that it is pending where the driver has masked it. Does
 * nothing while MSI-X is off or there is no such vector. Any thread.
 */
void pci_function_interrupt(struct pci_function *function, unsigned int vector);

#endif
