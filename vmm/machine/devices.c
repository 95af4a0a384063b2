// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which devices there are, after the GIC: KVM takes no irqfd before that is initialized.
 */
#include <errno.h>

#include "devices/pl011.h"
#include "devices/pl031.h"
#include "memmap.h"
#include "steps.h"
#include "util.h"
#include "virtio/virtio_block.h"
#include "virtio/virtio_console.h"
#include "virtio/virtio_mmio.h"
#include "virtio/virtio_pci.h"
#include "virtio/virtio_report.h"
#include "virtio/virtio_rng.h"

/* Console, source of random numbers, reports and disks: each a virtio-mmio slot, if need be. */
_Static_assert(3 + CONFIG_DISKS_MAX <= GIC_SPI_COUNT - VIRTIO_MMIO_SPI, "an interrupt for each");

/* device: fresh from its create(), or NULL if that failed. */
static int add_device(struct machine *machine, struct device *device)
{
	return device ? bus_add(&machine->bus, device) : -EIO;
}

/* The first transport of its kind brings the memory that the registers of all are read from. */
static int add_virtio_mmio(struct machine *machine, struct virtio *virtio)
{
	if (machine->virtio_count == 0) {
		int err = memslot_add_rom(&machine->held, machine->vm_fd, MEMSLOT_VIRTIO_MMIO,
					  VIRTIO_MMIO_BASE, VIRTIO_MMIO_SIZE, &machine->readable);

		if (err < 0) {
			virtio->ops->destroy(virtio);
			return err;
		}
	}
	return add_device(machine, virtio_mmio_create(machine->virtio_count++, machine->vm_fd,
						      virtio, machine->readable));
}

static int add_virtio(struct machine *machine, struct virtio *virtio)
{
	if (!virtio)
		return -EIO;
	if (machine->pci)
		return virtio_pci_add(machine->pci, &machine->routes, virtio);
	return add_virtio_mmio(machine, virtio);
}

static int add_pci(struct machine *machine)
{
	int err = memslot_add_rom(&machine->held, machine->vm_fd, MEMSLOT_ECAM, PCI_ECAM_BASE,
				  PCI_MEMORY_SIZE, &machine->readable);

	if (err < 0)
		return err;
	irq_routes_create(&machine->routes, machine->vm_fd);
	machine->pci = pci_create(&machine->bus, machine->readable);
	if (machine->pci)
		return 0;
	irq_routes_destroy(&machine->routes);
	return -EIO;
}

void devices_destroy(struct machine *machine)
{
	bus_destroy(&machine->bus);
	if (machine->pci)
		irq_routes_destroy(&machine->routes);
	machine->pci = NULL;
}

static int add_consoles(struct machine *machine)
{
	const struct irq_line irq = irq_line_spi(machine->vm_fd, PL011_SPI);
	const bool serial = machine->config->console == CONSOLE_SERIAL;
	struct console *console = &machine->terminal->console;
	int err = add_device(
		machine, pl011_create(PL011_BASE, irq, PL011_SPI, machine->loop, console, serial));

	if (err < 0 || serial)
		return err;
	return add_virtio(machine, virtio_console_create(&machine->memory, machine->loop, console));
}

static int add_disks(struct machine *machine)
{
	const struct config *config = machine->config;
	int err = 0;

	for (unsigned int i = 0; i < config->disk_count && err == 0; i++) {
		const struct virtio_block_options options = {
			.disk = &machine->resources->disks[i],
			.engine = disk_engine_choose(config->block_engine),
			.queues = virtio_block_queues(config->cpus),
		};
		struct virtio *virtio = virtio_block_create(&machine->memory, &options);

		err = virtio ? add_virtio(machine, virtio) : -errno;
	}
	return err;
}

int devices_create(struct machine *machine)
{
	const struct irq_line rtc_irq = irq_line_spi(machine->vm_fd, PL031_SPI);
	int err;

	bus_create(&machine->bus);
	err = machine->gic.kind == GIC_V3_ITS && cpus_want_pci(machine->config) ? add_pci(machine)
										: 0;
	if (err == 0)
		err = add_consoles(machine);
	if (err == 0 && machine->config->defaults)
		err = add_device(machine,
				 pl031_create(PL031_BASE, rtc_irq, PL031_SPI, machine->loop));
	if (err == 0 && machine->config->rng)
		err = add_virtio(machine, virtio_rng_create(&machine->memory, machine->loop));
	if (err == 0 && machine->report)
		err = add_virtio(machine, virtio_report_create(&machine->memory, machine->loop,
							       machine->report));
	if (err == 0)
		err = add_disks(machine);
	if (err == 0)
		bus_freeze(&machine->bus);
	else
		devices_destroy(machine);
	return err;
}
