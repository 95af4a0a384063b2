// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>

#include "devtree.h"
#include "irq.h"
#include "log.h"
#include "memmap.h"
#include "util.h"
#include "virtio_mmio.h"

#define MAGIC	0x74726976 /* "virt" */
#define VERSION 2
#define VENDOR	0x5344494e /* "NIDS" */

struct virtio_mmio {
	struct device device;
	struct virtio_transport transport;
	struct virtio *virtio;
	unsigned int spi;
	struct irq_edge irq;
	_Atomic uint32_t interrupt_status;

	/* Guarded by virtio->lock. */
	uint32_t features_sel, driver_features_sel, queue_sel;
};

static void interrupt(struct virtio_transport *transport, uint32_t why)
{
	struct virtio_mmio *mmio = container_of(transport, struct virtio_mmio, transport);

	/* What was not acknowledged yet has its edge; the driver looks at the rings after that. */
	if (!(atomic_fetch_or(&mmio->interrupt_status, why) & why))
		irq_edge_raise(&mmio->irq);
}

static void queue_interrupt(struct virtio_transport *transport, unsigned int queue)
{
	(void)queue;
	interrupt(transport, VIRTIO_MMIO_INT_VRING);
}

static void config_interrupt(struct virtio_transport *transport)
{
	interrupt(transport, VIRTIO_MMIO_INT_CONFIG);
}

/* The queue that QueueSel names, or NULL. */
static struct virtio_queue *selected(const struct virtio_mmio *mmio)
{
	if (mmio->queue_sel >= mmio->virtio->queue_count)
		return NULL;
	return &mmio->virtio->queues[mmio->queue_sel];
}

static enum mmio_result read_register(struct virtio_mmio *mmio, uint64_t offset, uint64_t *value)
{
	struct virtio *virtio = mmio->virtio;
	const struct virtio_queue *queue = selected(mmio);

	switch (offset) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		*value = MAGIC;
		break;
	case VIRTIO_MMIO_VERSION:
		*value = VERSION;
		break;
	case VIRTIO_MMIO_DEVICE_ID:
		*value = virtio->ops->device_id;
		break;
	case VIRTIO_MMIO_VENDOR_ID:
		*value = VENDOR;
		break;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		*value = virtio_get_features(virtio, mmio->features_sel);
		break;
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		*value = queue ? queue->size_max : 0;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		*value = queue && queue->ready;
		break;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		*value = atomic_load(&mmio->interrupt_status);
		break;
	case VIRTIO_MMIO_STATUS:
		*value = atomic_load(&virtio->status);
		break;
	case VIRTIO_MMIO_SHM_LEN_LOW ... VIRTIO_MMIO_SHM_BASE_HIGH:
		*value = UINT32_MAX; /* there is no shared memory region */
		break;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		*value = atomic_load(&virtio->config_generation);
		break;
	default:
		return MMIO_BAD;
	}
	return MMIO_DONE;
}

static void set_low(uint64_t *address, uint32_t low)
{
	*address = (*address & ~UINT64_C(0xffffffff)) | low;
}

static void set_high(uint64_t *address, uint32_t high)
{
	*address = (uint32_t)*address | (uint64_t)high << 32;
}

/* Registers of the selected queue. Those that lay it out do nothing once it is ready. */
static enum mmio_result write_queue(struct virtio_queue *queue, uint64_t offset, uint32_t value)
{
	struct virtqueue_layout *layout = &queue->layout;

	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		virtio_queue_set_ready(queue, value & 1);
		return MMIO_DONE;
	}
	if (!virtio_queue_open(queue))
		return MMIO_DONE;
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		/* Too large a number is refused with the queue, not cut to one that may fit. */
		layout->size = value <= queue->size_max ? value : 0;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		set_low(&layout->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_high(&layout->desc, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		set_low(&layout->avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_high(&layout->avail, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		set_low(&layout->used, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_high(&layout->used, value);
		break;
	default:
		return MMIO_BAD;
	}
	return MMIO_DONE;
}

static enum mmio_result write_register(struct virtio_mmio *mmio, uint64_t offset, uint32_t value)
{
	struct virtio *virtio = mmio->virtio;

	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		mmio->features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		mmio->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_set_features(virtio, mmio->driver_features_sel, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		mmio->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		/* The doorbells take what KVM can see; here is what an emulated instruction wrote.
		 */
		if (value < virtio->queue_count)
			event_notify(&virtio->queues[value].kick);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		atomic_fetch_and(&mmio->interrupt_status, ~value);
		break;
	case VIRTIO_MMIO_STATUS:
		virtio_set_status(virtio, value);
		if ((uint8_t)value == 0)
			atomic_store(&mmio->interrupt_status, 0);
		break;
	case VIRTIO_MMIO_SHM_SEL:
		break;
	default:
		return selected(mmio) ? write_queue(selected(mmio), offset, value) : MMIO_BAD;
	}
	return MMIO_DONE;
}

static enum mmio_result access_locked(struct virtio_mmio *mmio, struct mmio *access)
{
	if (access->offset >= VIRTIO_MMIO_CONFIG) {
		const uint64_t offset = access->offset - VIRTIO_MMIO_CONFIG;

		if (access->write)
			virtio_config_write(mmio->virtio, offset, access->value, access->size);
		else
			virtio_config_read(mmio->virtio, offset, &access->value, access->size);
		return MMIO_DONE;
	}
	if (access->size != 4 || access->offset % 4 != 0)
		return MMIO_BAD;
	if (access->write)
		return write_register(mmio, access->offset, access->value);
	return read_register(mmio, access->offset, &access->value);
}

static enum mmio_result virtio_mmio_access(struct device *device, struct mmio *access)
{
	struct virtio_mmio *mmio = container_of(device, struct virtio_mmio, device);
	enum mmio_result result;

	pthread_mutex_lock(&mmio->virtio->lock);
	result = access_locked(mmio, access);
	pthread_mutex_unlock(&mmio->virtio->lock);
	return result;
}

static void virtio_mmio_describe(const struct device *device, struct devtree *tree)
{
	const struct virtio_mmio *mmio = container_of(device, struct virtio_mmio, device);

	devtree_begin_at(tree, "virtio_mmio", device->base);
	devtree_string(tree, "compatible", "virtio,mmio");
	devtree_reg(tree, device->base, device->size);
	devtree_spi(tree, mmio->spi, IRQ_EDGE_RISING);
	devtree_flag(tree, "dma-coherent");
	devtree_end(tree);
}

static const char *virtio_mmio_register_name(uint64_t offset)
{
	static const char *const name[] = {
		[VIRTIO_MMIO_MAGIC_VALUE / 4] = "MagicValue",
		[VIRTIO_MMIO_VERSION / 4] = "Version",
		[VIRTIO_MMIO_DEVICE_ID / 4] = "DeviceID",
		[VIRTIO_MMIO_VENDOR_ID / 4] = "VendorID",
		[VIRTIO_MMIO_DEVICE_FEATURES / 4] = "DeviceFeatures",
		[VIRTIO_MMIO_DEVICE_FEATURES_SEL / 4] = "DeviceFeaturesSel",
		[VIRTIO_MMIO_DRIVER_FEATURES / 4] = "DriverFeatures",
		[VIRTIO_MMIO_DRIVER_FEATURES_SEL / 4] = "DriverFeaturesSel",
		[VIRTIO_MMIO_QUEUE_SEL / 4] = "QueueSel",
		[VIRTIO_MMIO_QUEUE_NUM_MAX / 4] = "QueueSizeMax",
		[VIRTIO_MMIO_QUEUE_NUM / 4] = "QueueSize",
		[VIRTIO_MMIO_QUEUE_READY / 4] = "QueueReady",
		[VIRTIO_MMIO_QUEUE_NOTIFY / 4] = "QueueNotify",
		[VIRTIO_MMIO_INTERRUPT_STATUS / 4] = "InterruptStatus",
		[VIRTIO_MMIO_INTERRUPT_ACK / 4] = "InterruptACK",
		[VIRTIO_MMIO_STATUS / 4] = "Status",
		[VIRTIO_MMIO_QUEUE_DESC_LOW / 4] = "QueueDescLow",
		[VIRTIO_MMIO_QUEUE_DESC_HIGH / 4] = "QueueDescHigh",
		[VIRTIO_MMIO_QUEUE_AVAIL_LOW / 4] = "QueueDriverLow",
		[VIRTIO_MMIO_QUEUE_AVAIL_HIGH / 4] = "QueueDriverHigh",
		[VIRTIO_MMIO_QUEUE_USED_LOW / 4] = "QueueDeviceLow",
		[VIRTIO_MMIO_QUEUE_USED_HIGH / 4] = "QueueDeviceHigh",
		[VIRTIO_MMIO_CONFIG_GENERATION / 4] = "ConfigGeneration",
	};

	if (offset >= VIRTIO_MMIO_CONFIG)
		return "Config";
	return offset / 4 < ARRAY_SIZE(name) ? name[offset / 4] : NULL;
}

static void virtio_mmio_destroy(struct device *device)
{
	struct virtio_mmio *mmio = container_of(device, struct virtio_mmio, device);

	/* First what may still interrupt: a worker with something in flight. */
	mmio->virtio->ops->destroy(mmio->virtio);
	irq_edge_destroy(&mmio->irq);
	free(mmio);
}

static const struct device_ops virtio_mmio_ops = {
	.name = "virtio-mmio",
	.access = virtio_mmio_access,
	.describe = virtio_mmio_describe,
	.register_name = virtio_mmio_register_name,
	.destroy = virtio_mmio_destroy,
};

static int connect(struct virtio_mmio *mmio, int vm_fd)
{
	const uint64_t doorbell = mmio->device.base + VIRTIO_MMIO_QUEUE_NOTIFY;
	int err = irq_edge_create_spi(&mmio->irq, vm_fd, mmio->spi);

	for (unsigned int i = 0; i < mmio->virtio->queue_count && err >= 0; i++)
		err = irq_doorbell(vm_fd, doorbell, 4, i, mmio->virtio->queues[i].kick.source.fd);
	return err;
}

struct device *virtio_mmio_create(unsigned int index, int vm_fd, struct virtio *virtio)
{
	struct virtio_mmio *mmio = calloc(1, sizeof(*mmio));

	if (!mmio) {
		log_error("%s: %s", virtio->ops->name, strerror(ENOMEM));
		virtio->ops->destroy(virtio);
		return NULL;
	}
	mmio->device = (struct device){
		.ops = &virtio_mmio_ops,
		.base = VIRTIO_MMIO_BASE + index * VIRTIO_MMIO_STRIDE,
		.size = VIRTIO_MMIO_STRIDE,
	};
	mmio->transport = (struct virtio_transport){ queue_interrupt, config_interrupt };
	mmio->virtio = virtio;
	mmio->spi = VIRTIO_MMIO_SPI + index;
	mmio->irq.eventfd = -1;
	virtio->transport = &mmio->transport;
	if (connect(mmio, vm_fd) < 0) {
		virtio_mmio_destroy(&mmio->device);
		return NULL;
	}
	return &mmio->device;
}
