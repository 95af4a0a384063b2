// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any configuration space of a device of the host's, and any sequence of accesses to the function
 * that the guest has of it: config space, BARs, MSI-X, eventfds that are raised.
 */
#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>

#include "bus/bus.h"
#include "devices/pci_parts.h"
#include "devices/vfio/vfio_parts.h"
#include "fuzz.h"
#include "host/log.h"
#include "memmap.h"
#include "mm/cache.h"
#include "mm/memslot.h"
#include "util.h"

#define CONFIG_AT UINT64_C(0x70000000000)
#define VECTORS	  (PCI_MSIX_VECTOR_MAX + 1)

#include "fake_msi.h"

static uint8_t area[4096] __attribute__((aligned(4096)));
static uint8_t space[VFIO_CONFIG_SIZE];
static struct vfio_device device;
static unsigned int armed;
static bool slots[64], irqs_on[5];

/* In place of mm/memslot.c, and of what else there is of vmm/host/event.c. */

int memslot_try(int vm_fd, enum memslot_id id, uint64_t gpa, void *host, uint64_t size)
{
	const unsigned int slot = id - MEMSLOT_VFIO;

	MUST(slot < ARRAY_SIZE(slots) && !slots[slot] && host == area);
	MUST(gpa % 4096 == 0 && gpa >= PCI_BARS_BASE && size <= PCI_BARS_SIZE &&
	     gpa <= PCI_BARS_BASE + PCI_BARS_SIZE - size);
	/* KVM refuses some. */
	slots[slot] = ++calls % 8 != 0;
	return slots[slot] ? 0 : -EEXIST;
}

int memslot_remove(int vm_fd, enum memslot_id id)
{
	MUST(slots[id - MEMSLOT_VFIO]);
	slots[id - MEMSLOT_VFIO] = false;
	return 0;
}

int event_notifier_create(struct event_notifier *notifier, struct event_loop *loop,
			  void (*notified)(struct event_notifier *notifier))
{
	*notifier = (struct event_notifier){ .notified = notified, .loop = loop };
	return 0;
}

void event_notifier_destroy(struct event_notifier *notifier)
{
}

void verdict_reach(struct verdict *verdict, enum outcome outcome)
{
	MUST(outcome == OUTCOME_HOST_ERROR);
}

/* The device, in place of devices/vfio/vfio_device.c. */

bool vfio_device_read(const struct vfio_device *which, uint64_t offset, void *value,
		      unsigned int size)
{
	memset(value, 0xa5, size);
	if (offset >= CONFIG_AT) {
		MUST(offset - CONFIG_AT <= sizeof(space) - size);
		memcpy(value, space + (offset - CONFIG_AT), size);
	} else {
		const struct vfio_bar *bar = &device.bar[offset >> 40];

		MUST((offset & 0xffffffffff) + size <= bar->size);
	}
	return ++calls % 16 != 0;
}

/* Whether a driver may write there: Command, and what is behind the head of what is a vendor's. */
static bool is_writable(unsigned int offset)
{
	bool writable = offset == 4;

	for (unsigned int i = 0; i < device.config.vendor_count; i++) {
		const struct vfio_capability *vendor = &device.config.vendor[i];

		writable |= offset >= vendor->offset + 4u &&
			    offset < vendor->offset + align_up(vendor->size, 4);
	}
	return writable;
}

bool vfio_device_write(const struct vfio_device *which, uint64_t offset, const void *value,
		       unsigned int size)
{
	if (offset < CONFIG_AT) {
		MUST((offset & 0xffffffffff) + size <= device.bar[offset >> 40].size);
		return ++calls % 16 != 0;
	}
	MUST(is_writable(offset - CONFIG_AT) && offset - CONFIG_AT <= sizeof(space) - size);
	/* It always decodes, and never has a wire. */
	if (offset == CONFIG_AT + 4)
		MUST(size == 2 && (*(const uint16_t *)value & 0x402) == 0x402);
	memcpy(space + (offset - CONFIG_AT), value, size);
	return true;
}

int vfio_device_interrupt_by(const struct vfio_device *which, unsigned int index,
			     unsigned int first, unsigned int count, const int *eventfds)
{
	MUST(count > 0 && first + count <= device.irqs[index].count);
	if (index >= VFIO_PCI_ERR_IRQ_INDEX) {
		irqs_on[index] = true;
		return 0;
	}
	MUST(first == armed && first + count <= PCI_MSIX_VECTOR_MAX);
	MUST(armed == 0 || !device.irqs[index].fixed);
	for (unsigned int i = 0; i < count; i++)
		MUST(eventfds[i] == (int)(1000 + first + i));
	if (++calls % 8 == 0)
		return -ENOSPC;
	armed += count;
	irqs_on[index] = true;
	return 0;
}

void vfio_device_interrupt_no_more(const struct vfio_device *which, unsigned int index)
{
	irqs_on[index] = false;
	if (index < VFIO_PCI_ERR_IRQ_INDEX)
		armed = 0;
}

int vfio_device_reset(const struct vfio_device *which)
{
	MUST(armed == 0 && (space[4] & 4) == 0);
	return device.can_reset ? 0 : -ENOTTY;
}

static void make_device(struct input *input)
{
	const uint8_t how = take(input, 1);
	unsigned int slot = 0;

	for (unsigned int i = 0; i < sizeof(space); i++)
		space[i] = take(input, 1);
	device = (struct vfio_device){ .config_offset = CONFIG_AT, .can_reset = how & 1 };
	for (unsigned int i = 0; i < PCI_BARS; i++) {
		struct vfio_bar *bar = &device.bar[i];
		const uint8_t size = take(input, 1);

		if (size & 0x80)
			continue;
		bar->size = UINT64_C(1) << size % 36;
		bar->offset = (uint64_t)i << 40;
		if (size & 0x40)
			bar->area[bar->area_count++] = (struct vfio_area){
				.size = 4096, .host = area, .slot = MEMSLOT_VFIO + slot++
			};
	}
	device.irqs[VFIO_PCI_MSIX_IRQ_INDEX].count = how & 2 ? take(input, 1) : 0;
	device.irqs[VFIO_PCI_MSI_IRQ_INDEX].count = how & 4 ? 1 : 0;
	device.irqs[VFIO_PCI_MSIX_IRQ_INDEX].fixed = how & 8;
	device.irqs[VFIO_PCI_ERR_IRQ_INDEX].count = how >> 4 & 1;
	device.irqs[VFIO_PCI_REQ_IRQ_INDEX].count = how >> 5 & 1;
}

static void step(const struct bus *bus, const struct pci_function *function, struct input *input)
{
	const uint8_t how = take(input, 1), where = take(input, 1);
	struct mmio_access mmio = { .size = 1 << (how & 3), .write = how & 4 };
	const uint64_t places[] = {
		PCI_ECAM_BASE,
		PCI_ECAM_BASE + 0xf00,
		PCI_READABLE_BASE,
		PCI_READABLE_BASE + 0x780,
		PCI_BARS_BASE,
		PCI_BARS_BASE + PCI_BAR_SIZE,
		function->bar[where % PCI_BARS].place,
		PCI_ECAM_BASE + function->capabilities_end - 128,
	};

	if (how >> 6 == 3) {
		struct event_source *source = waited[where % VECTORS];

		if (source)
			source->ready(source, 0);
		return;
	}
	mmio.value = take(input, mmio.size);
	bus_access(bus, places[(how >> 3) % ARRAY_SIZE(places)] + where, &mmio);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct irq_routes routes = { .vm_fd = -1 };
	struct event_loop loop;
	struct bus bus;
	struct pci *pci;
	struct vfio_machine machine = { .routes = &routes, .loop = &loop };

	/* Many inputs end in a message. This has the linker take the log that is quiet. */
	log_set_subject("");
	memset(readable, 0, sizeof(readable));
	memset(slots, 0, sizeof(slots));
	calls = armed = 0;
	make_device(&input);
	if (vfio_config_parse(&device.config, space))
		return 0;
	bus_create(&bus);
	MUST(pci_create(&pci, &bus, readable) == 0);
	machine.pci = pci;
	if (vfio_function_add(&device, &machine) == 0) {
		const struct pci_function *function = pci->function[0];

		bus_freeze(&bus);
		while (input.size > 0)
			step(&bus, function, &input);
		MUST(readable[0] == space[0] && readable[1] == space[1]);
		MUST(function->capabilities_end <= VFIO_CONFIG_SIZE);
	}
	bus_destroy(&bus);
	MUST(created == 0 && armed == 0 && (space[4] & 4) == 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(irqs_on); i++)
		MUST(!irqs_on[i]);
	for (unsigned int i = 0; i < VECTORS; i++)
		MUST(!waited[i]);
	return 0;
}
