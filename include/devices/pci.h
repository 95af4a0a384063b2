/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A PCI Express host bridge with one bus (PCI Express Base 5.0), as the generic one of the
 * devicetree binding pci-host-ecam-generic, and what all functions on it share: configuration
 * space, base address registers, capabilities, MSI-X, reset. They are integrated endpoints of the
 * root complex: there is no port and no link.
 *
 * What the guest reads of these is memory, PCI_MEMORY_SIZE bytes from PCI_ECAM_BASE on, so that a
 * read takes no exit; writes come to the bridge. Functions are made before the first vCPU runs and
 * stay.
 *
 * A BAR answers where its register says, within the bridge's windows, while its function's Command
 * has Memory Space set; a function sends messages and touches guest memory while it has Bus Master.
 */
#ifndef NIDUS_PCI_H
#define NIDUS_PCI_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "bus/irq.h"
#include "devices/iommu.h"
#include "devices/pci_view.h"
#include "host/event.h"
#include "memmap.h"
#include "state/state.h"

#define PCI_MEMORY_SIZE (PCI_ECAM_SIZE + PCI_READABLE_SIZE)

/*
 * Bytes of a BAR, whatever is in it, or the fewest that one has: a page of any size. So a guest
 * that is a hypervisor can map one into a guest of its own, and nothing else with it.
 */
#define PCI_BAR_SIZE KIB(64)

#define PCI_BARS	    6
#define PCI_MSIX_VECTOR_MAX 128

struct pci;
struct pci_function;

/*
 * A bridge, which goes onto bus and is destroyed with it, and its functions with it. memory:
 * PCI_MEMORY_SIZE bytes, zeroed, which outlive it; what the guest sees, or would see, at
 * PCI_ECAM_BASE. Errors: -errno, said.
 */
int pci_create(struct pci **created, struct bus *bus, void *memory);

/* What tells a driver that the function is its own. */
struct pci_identity {
	uint16_t vendor, device;
	uint16_t subsystem_vendor, subsystem;
	uint32_t class; /* base class, subclass, programming interface */
	uint8_t revision;
};

/*
 * What a function does besides. All but destroy() are called by vCPU threads, the function's lock
 * held, and may be NULL.
 */
struct pci_function_ops {
	/* The driver has written to the doubleword of config space at offset. */
	void (*config_written)(struct pci_function *function, unsigned int offset);
	/* BAR bar answered at from and does at to, which are addresses; 0 is nowhere. */
	void (*placed)(struct pci_function *function, unsigned int bar, uint64_t from, uint64_t to);
	/*
	 * MSI-X was turned on or off, or a vector masked or unmasked. The function's lock may not
	 * be held.
	 */
	void (*vectors)(struct pci_function *function);
	/* Bus Master was changed. Once it is off and this returns, guest memory is left alone. */
	void (*mastering)(struct pci_function *function, bool on);
	/*
	 * Function Level Reset: BARs, Bus Master and MSI-X are off already. What the driver has set
	 * besides becomes as it was at first, and when this returns guest memory is left alone.
	 */
	void (*reset)(struct pci_function *function);
	/*
	 * As struct device_ops has it, of what is the function's own. restore() comes when its
	 * configuration space, BARs and MSI-X are restored.
	 */
	void (*rest)(struct pci_function *function, bool rest);
	const char *(*unsaved)(const struct pci_function *function);
	void (*save)(struct pci_function *function, struct state_writer *writer);
	void (*restore)(struct pci_function *function, struct state_reader *reader);
	/* No vCPU runs any more; the bridge is still there. Ends with pci_function_fini(). */
	void (*destroy)(struct pci_function *function);
};

struct pci_bar {
	struct device *device; /* what answers; NULL: there is no such BAR */
	struct pci_view *view; /* what the guest reads of it by itself, or NULL */
	_Atomic uint32_t place; /* where it answers, 0: nowhere */
};

struct pci_vector {
	pthread_mutex_t lock; /* of the table's entry, the pending bit, and what follows */
	struct irq_msi msi;
	struct pci_function *function;

	unsigned int lent; /* how often its eventfd is, see pci_function_lend() */
	struct event_loop *loop; /* waits for kept while it is lent and may not send */
	struct event_source kept;
	bool waits;
};

/* The head of every function's private struct. Its members are the bridge's. */
struct pci_function {
	struct pci *pci;
	unsigned int slot; /* device number; the function's number is 0 */

	const struct pci_function_ops *ops;

	pthread_mutex_t lock; /* of config space */
	_Atomic uint32_t *config; /* as the guest reads it */
	uint32_t writable[64]; /* the bits of it that a driver may change; a reset clears them */
	struct pci_bar bar[PCI_BARS];
	unsigned int capabilities_end, last_capability;
	unsigned int express; /* offset of the PCI Express capability */
	bool behind_iommu;

	unsigned int msi, msix; /* offsets of the capabilities, of which there is one, 0: none */
	struct device msix_device;
	struct pci_view msix_table; /* and the pending bits */
	struct pci_vector *vectors;
	unsigned int vector_count;
};

/*
 * Puts a function into the next free slot, with nothing but an identity. The bridge takes it over
 * and will call ops->destroy(). -ENOSPC, said, when there is no slot; then it does not.
 * pci_function_fini() frees what the bridge keeps of it.
 */
int pci_function_init(struct pci_function *function, struct pci *pci,
		      const struct pci_function_ops *ops, const struct pci_identity *identity);
void pci_function_fini(struct pci_function *function);

/* The function is the IOMMU of others, which the guest is to know. */
void pci_function_is_iommu(struct pci_function *function);
/*
 * And one of these: makes it an endpoint of that IOMMU, as iommu_add(), and lets the guest know.
 * iommu_remove() is for destroy(), to begin with.
 */
void pci_function_put_behind(struct pci_function *function, struct iommu *iommu,
			     struct iommu_endpoint *endpoint,
			     void (*revoke)(struct iommu_endpoint *endpoint, bool all));

/*
 * Has BAR bar stand for device, and gives that a size and an address. The bridge changes
 * device->base where the driver does; device->ops->access() takes the accesses, and its describe()
 * and destroy() are not called.
 */
void pci_function_add_memory(struct pci_function *function, unsigned int bar,
			     struct device *device);
/*
 * The same with a BAR of size bytes, a power of two and PCI_BAR_SIZE at least. -ENOSPC, not said:
 * the window has no place for it.
 */
int pci_function_add_large(struct pci_function *function, unsigned int bar, struct device *device,
			   uint64_t size);
/*
 * The same with reads that take no exit, where the host can: of what view has, in the first
 * PCI_VIEW_PAGE bytes of the BAR. Behind them it reads as all ones. Two BARs of a function at most.
 */
void pci_function_add_readable(struct pci_function *function, unsigned int bar,
			       struct device *device, struct pci_view *view);

/*
 * Adds a capability of size bytes, its identifier in the first and the second left for the bridge.
 * Returns its offset.
 */
unsigned int pci_function_add_capability(struct pci_function *function, const void *capability,
					 unsigned int size);

/*
 * Lets the driver change these bits of the doubleword at offset, which are 0 after a reset, and
 * reads or sets all of it.
 */
void pci_function_make_writable(struct pci_function *function, unsigned int offset, uint32_t bits);
uint32_t pci_function_config(const struct pci_function *function, unsigned int offset);
void pci_function_set_config(struct pci_function *function, unsigned int offset, uint32_t value);

/*
 * Adds MSI-X with count vectors, PCI_MSIX_VECTOR_MAX at most, its structures in BAR bar. routes
 * outlives the function. Errors: -errno, said.
 */
int pci_function_add_msix(struct pci_function *function, struct irq_routes *routes,
			  unsigned int bar, unsigned int count);

/*
 * Adds MSI in its place, with one vector, of which all holds that is said of MSI-X. Errors: -errno,
 * said.
 */
int pci_function_add_msi(struct pci_function *function, struct irq_routes *routes);

/* Whether the driver has turned MSI-X on. Any thread. */
bool pci_function_has_msix(const struct pci_function *function);

/*
 * One more than the last vector that the driver has not masked, 0: there is none, or MSI-X is off.
 * Any thread.
 */
unsigned int pci_function_vectors_used(const struct pci_function *function);

/*
 * Sends a vector's message, or notes that it is pending where the driver has masked it, Bus Master
 * is off, or KVM has refused its route. Does nothing while MSI-X is off or there is no such vector.
 * Any thread.
 */
void pci_function_interrupt(struct pci_function *function, unsigned int vector);

/*
 * Lends a vector's eventfd to somebody else, who may raise it at any time: it sends, or waits, as
 * by the above. loop, which outlives that, waits for it where the driver has masked it. Returns the
 * eventfd, which stays the bridge's, or -1 while MSI-X is off or when there is no such vector. Each
 * that was lent is given back once, when it is raised no more. Any thread.
 */
int pci_function_lend(struct pci_function *function, unsigned int vector, struct event_loop *loop);
void pci_function_return(struct pci_function *function, unsigned int vector);

#endif
