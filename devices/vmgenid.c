// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The ID is 16 bytes of guest memory, which a driver reads once, and again
 * when the interrupt says that it is another one. It lies outside of RAM, for Linux maps it by
 * ioremap(), and so may read past the caches, from which it is cleaned. It is written before vCPUs
 * run, and never while they do, so that nobody sees half of one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arm/devtree.h"
#include "devices/vmgenid.h"
#include "host/log.h"
#include "mm/cache.h"
#include "state/state.h"
#include "util.h"

struct vmgenid {
	struct device device;
	struct irq_line irq;
	unsigned int spi;
	uint8_t *place;
	uint8_t id[VMGENID_SIZE];
	bool stays;
};

/* Memory answers in its place. */
static enum mmio_result vmgenid_access(struct device *device, struct mmio_access *mmio)
{
	(void)device;
	(void)mmio;
	return MMIO_BAD;
}

static void vmgenid_describe(const struct device *device, struct devtree *tree)
{
	const struct vmgenid *vmgenid = container_of(device, struct vmgenid, device);

	devtree_begin_at(tree, "rng", device->base);
	devtree_string(tree, "compatible", "microsoft,vmgenid");
	devtree_reg(tree, device->base, device->size);
	devtree_spi(tree, vmgenid->spi, IRQ_EDGE_RISING);
	devtree_end(tree);
}

static const char *vmgenid_register_name(uint64_t offset)
{
	(void)offset;
	return NULL;
}

static void write_id(uint8_t *place, const uint8_t *id)
{
	memcpy(place, id, VMGENID_SIZE);
	cache_clean_bytes(place, VMGENID_SIZE);
	cache_sync();
}

/* Not what is in guest memory, where a guest may write. */
static void vmgenid_save(struct device *device, struct state_writer *writer)
{
	const struct vmgenid *vmgenid = container_of(device, struct vmgenid, device);

	state_put(writer, "vmgenid", device->base, vmgenid->id, sizeof(vmgenid->id));
}

static void vmgenid_restore(struct device *device, struct state_reader *reader)
{
	struct vmgenid *vmgenid = container_of(device, struct vmgenid, device);
	uint8_t id[VMGENID_SIZE];

	if (!state_get(reader, "vmgenid", device->base, id, sizeof(id)))
		return;
	if (vmgenid->stays) {
		memcpy(vmgenid->id, id, sizeof(id));
		write_id(vmgenid->place, id);
		return;
	}
	irq_line_set(&vmgenid->irq, true);
	irq_line_set(&vmgenid->irq, false);
}

static void vmgenid_destroy(struct device *device)
{
	free(container_of(device, struct vmgenid, device));
}

static const struct device_ops vmgenid_ops = {
	.name = "vmgenid",
	.access = vmgenid_access,
	.describe = vmgenid_describe,
	.register_name = vmgenid_register_name,
	.save = vmgenid_save,
	.restore = vmgenid_restore,
	.destroy = vmgenid_destroy,
};

int vmgenid_create(struct device **created, const struct vmgenid_options *options)
{
	struct vmgenid *vmgenid = calloc(1, sizeof(*vmgenid));

	if (!vmgenid) {
		log_error("vmgenid: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	vmgenid->device = (struct device){
		.ops = &vmgenid_ops,
		.base = options->base,
		.size = VMGENID_SIZE,
	};
	vmgenid->irq = options->irq;
	vmgenid->spi = options->spi;
	vmgenid->place = options->place;
	vmgenid->stays = options->stays;
	memcpy(vmgenid->id, options->id, sizeof(vmgenid->id));
	write_id(vmgenid->place, vmgenid->id);
	*created = &vmgenid->device;
	return 0;
}
