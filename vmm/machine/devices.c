// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which devices there are, after the GIC: KVM takes no irqfd before that is initialized.
 */
#include "devices/pl011.h"
#include "devices/pl031.h"
#include "devices/vmgenid.h"
#include <errno.h>

#include "balloon/balloon.h"
#include "host/log.h"
#include "iommu/virtio_iommu.h"
#include "memmap.h"
#include "net/virtio_net.h"
#include "served/served.h"
#include "steps.h"
#include "util.h"
#include "vfio/vfio.h"
#include "vhost.h"
#include "virtio/virtio_block.h"
#include "virtio/virtio_console.h"
#include "virtio/virtio_mmio.h"
#include "virtio/virtio_pci.h"
#include "virtio/virtio_report.h"
#include "virtio/virtio_rng.h"

/* Of an IOMMU, beside one for each page of RAM: what is mapped twice. */
#define IOMMU_MAPPINGS_MORE 65536

/* Of virtio-mmio, each of which has an interrupt of its own. */
#define MMIO_SLOTS (GIC_SPI_COUNT - VIRTIO_MMIO_SPI)

/* The first transport of its kind brings the memory that the registers of all are read from. */
static int add_virtio_mmio(struct machine *machine, struct virtio *virtio)
{
	struct device *device;
	int err = 0;

	if (machine->virtio_count == MMIO_SLOTS) {
		log_error("there is no room for more than %u virtio devices that are not on PCI",
			  MMIO_SLOTS);
		virtio->ops->destroy(virtio);
		return -EINVAL;
	}
	if (machine->virtio_count == 0) {
		err = memslot_add_rom(&machine->held, machine->vm_fd, MEMSLOT_VIRTIO_MMIO,
				      VIRTIO_MMIO_BASE, VIRTIO_MMIO_SIZE, &machine->readable_mmio);

		if (err < 0) {
			virtio->ops->destroy(virtio);
			return err;
		}
	}
	err = virtio_mmio_create(&device, machine->virtio_count++, machine->vm_fd, virtio,
				 machine->readable_mmio);
	return err < 0 ? err : bus_add(&machine->bus, device);
}

/*
 * virtio: fresh from its create(), and taken over, also on an error. transport: a wish that not all
 * devices of a machine have in common; for PCI, there is a bus. iommu: what it is behind, on PCI.
 */
static int add_virtio_by(struct machine *machine, struct virtio *virtio,
			 enum config_transport transport, struct iommu *iommu)
{
	if (machine->pci && transport != TRANSPORT_MMIO)
		return virtio_pci_add(machine->pci, &machine->routes, iommu, virtio);
	return add_virtio_mmio(machine, virtio);
}

static int add_virtio(struct machine *machine, struct virtio *virtio)
{
	return add_virtio_by(machine, virtio, machine->config->transport, NULL);
}

static int add_pci(struct machine *machine)
{
	int err = memslot_add_rom(&machine->held, machine->vm_fd, MEMSLOT_ECAM, PCI_ECAM_BASE,
				  PCI_MEMORY_SIZE, &machine->readable_pci);

	if (err < 0)
		return err;
	irq_routes_create(&machine->routes, machine->vm_fd);
	err = pci_create(&machine->pci, &machine->bus, machine->readable_pci);
	if (err < 0)
		irq_routes_destroy(&machine->routes);
	return err;
}

/*
 * The first function, so that a driver is there before those of devices behind it, and what is
 * saved of it before theirs. As many mappings as RAM has pages, and some for the rest.
 */
static int add_iommu(struct machine *machine)
{
	const struct virtio_iommu_options options = {
		.mappings_max = machine->memory.size / IOMMU_PAGE + IOMMU_MAPPINGS_MORE,
		.msi_start = GIC_ITS_BASE + GIC_ITS_SIZE / 2,
		.msi_end = GIC_ITS_BASE + GIC_ITS_SIZE - 1,
	};
	struct virtio *virtio;
	int err = virtio_iommu_create(&virtio, &machine->iommu, &machine->memory, &options);

	return err < 0 ? err : add_virtio(machine, virtio);
}

void devices_destroy(struct machine *machine)
{
	bus_destroy(&machine->bus);
	if (machine->resources->vfio)
		vfio_leave(machine->resources->vfio);
	if (machine->pci)
		irq_routes_destroy(&machine->routes);
	machine->pci = NULL;
	machine->iommu = NULL;
	machine->balloon = NULL;
}

static int add_uart(struct machine *machine, bool input)
{
	const struct irq_line irq = irq_line_spi(machine->vm_fd, PL011_SPI);
	struct device *device;
	int err = pl011_create(&device, PL011_BASE, irq, PL011_SPI, machine->loop,
			       &machine->terminal->console, input);

	return err < 0 ? err : bus_add(&machine->bus, device);
}

static int add_rtc(struct machine *machine)
{
	const struct irq_line irq = irq_line_spi(machine->vm_fd, PL031_SPI);
	struct device *device;
	int err = pl031_create(&device, PL031_BASE, irq, PL031_SPI, machine->loop);

	return err < 0 ? err : bus_add(&machine->bus, device);
}

/* Where there is stolen time: its page is one that KVM touches anyway. */
static int add_vmgenid(struct machine *machine)
{
	const uint64_t offset = machine->env.count * PVTIME_STRIDE;
	uint8_t *page = machine->held.mapping[MEMSLOT_PVTIME].start;
	struct vmgenid_options options = {
		.base = PVTIME_BASE + offset,
		.id = machine->resources->generation,
		.stays = machine->config->migration != NULL,
		.irq = irq_line_spi(machine->vm_fd, VMGENID_SPI),
		.spi = VMGENID_SPI,
	};
	struct device *device;
	int err;

	if (!page || offset + VMGENID_SIZE > PVTIME_SIZE)
		return 0;
	options.place = page + offset;
	err = vmgenid_create(&device, &options);
	return err < 0 ? err : bus_add(&machine->bus, device);
}

static int add_flash(struct machine *machine)
{
	struct resources *resources = machine->resources;
	struct flash_store *stores[FLASH_BANKS];
	struct device *device;
	int err;

	for (unsigned int i = 0; i < FLASH_BANKS; i++)
		stores[i] = resources->flash[i].content ? &resources->flash[i] : NULL;
	err = flash_create(&device, machine->vm_fd, stores);
	return err < 0 ? err : bus_add(&machine->bus, device);
}

static int add_console(struct machine *machine)
{
	struct virtio *virtio;
	int err = virtio_console_create(&virtio, &machine->memory, machine->loop,
					&machine->terminal->console);

	return err < 0 ? err : add_virtio(machine, virtio);
}

static int add_rng(struct machine *machine)
{
	struct virtio *virtio;
	int err = virtio_rng_create(&virtio, &machine->memory, machine->loop);

	return err < 0 ? err : add_virtio(machine, virtio);
}

static int add_report(struct machine *machine)
{
	struct virtio *virtio;
	int err = virtio_report_create(&virtio, &machine->memory, machine->loop, machine->report);

	return err < 0 ? err : add_virtio(machine, virtio);
}

static int add_balloon(struct machine *machine)
{
	struct virtio *virtio;
	int err = balloon_create(&virtio, &machine->memory);

	if (err == 0)
		err = add_virtio(machine, virtio);
	if (err == 0)
		machine->balloon = virtio;
	return err;
}

static int add_served(struct machine *machine, struct served *served)
{
	struct virtio *virtio;
	int err = served_create(&virtio, &machine->memory, machine->loop, served);

	return err < 0 ? err : add_virtio(machine, virtio);
}

static int add_own_disk(struct machine *machine, struct disk *disk)
{
	const struct config *config = machine->config;
	const struct virtio_block_options options = {
		.disk = disk,
		.queues = virtio_block_queues(config->cpus),
		.behind_iommu = machine->iommu != NULL,
	};
	struct virtio *virtio;
	int err = virtio_block_create(&virtio, &machine->memory, &options);

	return err < 0 ? err : add_virtio_by(machine, virtio, config->transport, machine->iommu);
}

/* In the order of the options, whoever serves them: the driver names them by it. */
static int add_disks(struct machine *machine)
{
	struct resources *resources = machine->resources;
	int err = 0;

	for (unsigned int i = 0; i < resources->disk_count && err == 0; i++)
		err = resources->served_disks[i] ? add_served(machine, resources->served_disks[i])
						 : add_own_disk(machine, &resources->disks[i]);
	return err;
}

static int add_all_served(struct machine *machine)
{
	struct resources *resources = machine->resources;
	int err = 0;

	for (unsigned int i = 0; i < resources->served_count && err == 0; i++)
		err = add_served(machine, resources->served[i]);
	return err;
}

static int add_networks(struct machine *machine)
{
	const struct config *config = machine->config;
	int err = 0;

	for (unsigned int i = 0; i < config->network_count && err == 0; i++) {
		struct link *link = machine->resources->links[i];
		const struct virtio_net_options options = {
			.link = link,
			.pairs = virtio_net_pairs(config->cpus),
		};
		const enum config_transport wish = config->networks[i].transport;
		struct virtio *virtio;

		if (!link)
			continue;
		if (machine->iommu && link->vhost && !link->vhost->translates) {
			log_error("--iommu: %s of this host knows no IOMMU; use --network vhost=0",
				  link->vhost->ops->name);
			return -ENOTSUP;
		}
		err = virtio_net_create(&virtio, &machine->memory, machine->loop, &options);
		if (err == 0)
			err = add_virtio_by(machine, virtio,
					    wish == TRANSPORT_AUTO ? config->transport : wish,
					    machine->iommu);
	}
	return err;
}

/* Once the guest's RAM is full of what it starts from: it stays in place from now on. */
static int add_passed(struct machine *machine)
{
	const struct vfio_machine options = {
		.pci = machine->pci,
		.routes = &machine->routes,
		.loop = machine->loop,
		.verdict = machine->verdict,
		.memory = &machine->memory,
		.iommu = machine->iommu,
	};

	return vfio_join(machine->resources->vfio, &options);
}

int devices_create(struct machine *machine)
{
	const struct config *config = machine->config;
	const bool serial = config->console == CONSOLE_SERIAL;
	int err = 0;

	bus_create(&machine->bus);
	if (machine->gic.kind == GIC_V3_ITS && cpus_want_pci(config))
		err = add_pci(machine);
	if (err == 0 && config->iommu)
		err = add_iommu(machine);
	if (err == 0)
		err = add_uart(machine, serial);
	if (err == 0 && !serial)
		err = add_console(machine);
	if (err == 0 && config->defaults)
		err = add_rtc(machine);
	if (err == 0)
		err = add_vmgenid(machine);
	if (err == 0 && config_has_flash(config))
		err = add_flash(machine);
	if (err == 0 && config->rng)
		err = add_rng(machine);
	if (err == 0 && machine->report)
		err = add_report(machine);
	if (err == 0)
		err = add_disks(machine);
	if (err == 0)
		err = add_networks(machine);
	if (err == 0)
		err = add_all_served(machine);
	if (err == 0 && config->balloon)
		err = add_balloon(machine);
	if (err == 0 && config->vfio_count > 0)
		err = add_passed(machine);
	if (err == 0)
		bus_freeze(&machine->bus);
	else
		devices_destroy(machine);
	return err;
}
