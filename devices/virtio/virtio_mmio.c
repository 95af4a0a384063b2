// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Reading a register does nothing, so what a driver may read lies in memory
 * that the guest reads without an exit, the view; only writes come here. Who changes what a
 * register says puts it there before the driver can ask: a write does so for the registers that
 * depend on what it wrote, an interrupt for those that say why. Where the host cannot let a guest
 * read only, reads exit and are answered by the same function that fills the view.
 *
 * The interrupt is a line that is high while InterruptStatus is not 0 (virtio 1.3, 4.2.2), for a
 * driver that has its SPI level-sensitive. One that has it edge-triggered, as the device tree asks
 * for, gets an edge for each cause that was not there. A cause that comes again before the driver
 * has acknowledged the first one has no edge of its own, and the driver may have looked at its
 * rings already. So what comes again is noted, and raised anew by the acknowledgement; but for a
 * driver that acknowledges first and looks then, as Linux, that would be an interrupt for nothing.
 * With the event index a driver's wish for the next interrupt says that it has looked.
 */
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/devtree.h"
#include "bus/irq.h"
#include "host/log.h"
#include "memmap.h"
#include "mm/cache.h"
#include "util.h"
#include "virtio/virtio_mmio.h"

#define MAGIC	0x74726976 /* "virt" */
#define VERSION 2
#define VENDOR	0x5344494e /* "NIDS" */

#define INTERRUPTS (VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG)

/* What the driver was told of a queue since it last acknowledged an interrupt. */
struct told {
	bool any;
	uint16_t first; /* used index of the first interrupt */
};

struct virtio_mmio {
	struct device device;
	struct virtio_transport transport;
	struct virtio *virtio;
	unsigned int spi;
	struct irq_line irq;

	uint8_t *view; /* VIRTIO_MMIO_STRIDE bytes, or NULL */
	uint64_t cache_line;

	/* Guards the view's order of changes, the line, and what it goes by. */
	pthread_mutex_t view_lock;
	_Atomic uint32_t interrupt_status; /* read without it */
	uint32_t came_again; /* causes that came while they were in interrupt_status */
	struct told *told; /* for each queue */

	/* Guarded by virtio->lock. */
	uint32_t features_sel, driver_features_sel, queue_sel;
};

/* The queue that QueueSel names, or NULL. */
static struct virtio_queue *selected(const struct virtio_mmio *slot)
{
	if (slot->queue_sel >= slot->virtio->queue_count)
		return NULL;
	return &slot->virtio->queues[slot->queue_sel];
}

/* virtio->lock held for features and queues; the others may be read at any time. */
static enum mmio_result read_register(struct virtio_mmio *slot, uint64_t offset, uint64_t *value)
{
	struct virtio *virtio = slot->virtio;

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
		*value = virtio_get_features(virtio, slot->features_sel);
		break;
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		*value = selected(slot) ? selected(slot)->size_max : 0;
		break;
	case VIRTIO_MMIO_QUEUE_READY:
		*value = selected(slot) && selected(slot)->ready;
		break;
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		*value = atomic_load(&slot->interrupt_status);
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

/* The view. */

static uint32_t config_word(struct virtio *virtio, uint32_t offset)
{
	const uint32_t left = virtio->ops->config_size - offset;
	uint64_t value;

	virtio_config_read(virtio, offset, &value, left < 4 ? left : 4);
	return value;
}

/*
 * Copies words of registers or configuration, as they are now, for the driver to read. view_lock
 * held: whoever comes last has the latest, and nobody puts back what is older.
 */
static void view_words_locked(struct virtio_mmio *slot, const uint16_t *offsets, size_t count)
{
	if (!slot->view)
		return;
	for (size_t i = 0; i < count; i++) {
		_Atomic uint32_t *word = (_Atomic uint32_t *)(slot->view + offsets[i]);
		const uintptr_t line = align_down((uintptr_t)word, slot->cache_line);
		uint64_t value = 0;

		if (offsets[i] >= VIRTIO_MMIO_CONFIG)
			value = config_word(slot->virtio, offsets[i] - VIRTIO_MMIO_CONFIG);
		else
			read_register(slot, offsets[i], &value);
		atomic_store_explicit(word, value, memory_order_release);
		/* The guest takes it for a device, and may read past the caches. */
		cache_clean(line, line + slot->cache_line, slot->cache_line);
	}
	cache_sync();
}

static void view_words(struct virtio_mmio *slot, const uint16_t *offsets, size_t count)
{
	pthread_mutex_lock(&slot->view_lock);
	view_words_locked(slot, offsets, count);
	pthread_mutex_unlock(&slot->view_lock);
}

/* What may change at any time, view_lock held. */
static void view_state_locked(struct virtio_mmio *slot)
{
	/* A driver that sees what the status has become finds the interrupt that tells of it. */
	static const uint16_t state[] = { VIRTIO_MMIO_INTERRUPT_STATUS, VIRTIO_MMIO_STATUS };

	view_words_locked(slot, state, ARRAY_SIZE(state));
}

static void view_state(struct virtio_mmio *slot)
{
	pthread_mutex_lock(&slot->view_lock);
	view_state_locked(slot);
	pthread_mutex_unlock(&slot->view_lock);
}

static void view_config_locked(struct virtio_mmio *slot)
{
	for (unsigned int i = 0; i < align_up(slot->virtio->ops->config_size, 4); i += 4)
		view_words_locked(slot, &(const uint16_t){ VIRTIO_MMIO_CONFIG + i }, 1);
}

static void view_next_generation(struct virtio_mmio *slot)
{
	static const uint16_t generation = VIRTIO_MMIO_CONFIG_GENERATION;

	atomic_fetch_add(&slot->virtio->config_generation, 1);
	view_words_locked(slot, &generation, 1);
}

/* virtio->lock is held by this and the following. */
static void view_queue(struct virtio_mmio *slot)
{
	static const uint16_t queue[] = { VIRTIO_MMIO_QUEUE_NUM_MAX, VIRTIO_MMIO_QUEUE_READY };

	view_words(slot, queue, ARRAY_SIZE(queue));
}

static void view_features(struct virtio_mmio *slot)
{
	static const uint16_t features = VIRTIO_MMIO_DEVICE_FEATURES;

	view_words(slot, &features, 1);
}

static void view_config(struct virtio_mmio *slot)
{
	pthread_mutex_lock(&slot->view_lock);
	view_config_locked(slot);
	pthread_mutex_unlock(&slot->view_lock);
}

static void view_all(struct virtio_mmio *slot)
{
	static const uint16_t rest[] = {
		VIRTIO_MMIO_MAGIC_VALUE,  VIRTIO_MMIO_VERSION,	     VIRTIO_MMIO_DEVICE_ID,
		VIRTIO_MMIO_VENDOR_ID,	  VIRTIO_MMIO_SHM_LEN_LOW,   VIRTIO_MMIO_SHM_LEN_HIGH,
		VIRTIO_MMIO_SHM_BASE_LOW, VIRTIO_MMIO_SHM_BASE_HIGH, VIRTIO_MMIO_CONFIG_GENERATION,
	};

	view_words(slot, rest, ARRAY_SIZE(rest));
	view_features(slot);
	view_queue(slot);
	view_config(slot);
	view_state(slot);
}

/* What a write to a register changes in others. */
static void view_after(struct virtio_mmio *slot, uint64_t written)
{
	switch (written) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		view_features(slot);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
	case VIRTIO_MMIO_QUEUE_READY:
		view_queue(slot);
		break;
	case VIRTIO_MMIO_STATUS:
		/* With the device's, the state of its queues. */
		view_queue(slot);
		break;
	}
	view_state(slot);
}

/* Interrupts. */

/* view_lock held. */
static void interrupt(struct virtio_mmio *slot, uint32_t why)
{
	const uint32_t before = atomic_fetch_or(&slot->interrupt_status, why);

	slot->came_again |= before & why;
	view_state_locked(slot);
	if (!(before & why))
		irq_line_set(&slot->irq, true);
}

/* The driver has seen these causes, but for those in again. */
static void acknowledge(struct virtio_mmio *slot, uint32_t causes, uint32_t again)
{
	const uint32_t before = atomic_load(&slot->interrupt_status);
	const uint32_t now = (before & ~causes) | again;

	atomic_store(&slot->interrupt_status, now);
	slot->came_again &= ~causes;
	view_state_locked(slot);
	if (again || (before && !now))
		irq_line_set(&slot->irq, now);
}

/*
 * Whether the driver may have looked at a queue since it was told of it; the next period begins.
 * virtio->lock, which is held, keeps queues from being started and stopped.
 */
static bool may_have_looked(struct virtio_mmio *slot)
{
	bool looked = false;

	for (unsigned int i = 0; i < slot->virtio->queue_count; i++) {
		const struct virtqueue *ring = &slot->virtio->queues[i].ring;

		looked |= slot->told[i].any && virtqueue_seen(ring, slot->told[i].first);
		slot->told[i].any = false;
	}
	return looked;
}

/* A queue that starts anew counts from 0. */
static void told_forget(struct virtio_mmio *slot, unsigned int queue)
{
	pthread_mutex_lock(&slot->view_lock);
	slot->told[queue].any = false;
	pthread_mutex_unlock(&slot->view_lock);
}

static void interrupt_ack(struct virtio_mmio *slot, uint32_t causes)
{
	uint32_t again;

	pthread_mutex_lock(&slot->view_lock);
	again = slot->came_again & causes;
	if (causes & VIRTIO_MMIO_INT_VRING && !may_have_looked(slot))
		again &= ~VIRTIO_MMIO_INT_VRING;
	acknowledge(slot, causes, again);
	pthread_mutex_unlock(&slot->view_lock);
}

static void interrupt_reset(struct virtio_mmio *slot)
{
	pthread_mutex_lock(&slot->view_lock);
	for (unsigned int i = 0; i < slot->virtio->queue_count; i++)
		slot->told[i].any = false;
	acknowledge(slot, UINT32_MAX, 0);
	pthread_mutex_unlock(&slot->view_lock);
}

/* The queue's lock is held. */
static void queue_interrupt(struct virtio_transport *transport, unsigned int queue)
{
	struct virtio_mmio *slot = container_of(transport, struct virtio_mmio, transport);
	struct told *told = &slot->told[queue];

	pthread_mutex_lock(&slot->view_lock);
	if (!told->any)
		*told = (struct told){ true, slot->virtio->queues[queue].ring.signalled };
	interrupt(slot, VIRTIO_MMIO_INT_VRING);
	pthread_mutex_unlock(&slot->view_lock);
}

static void config_interrupt(struct virtio_transport *transport)
{
	struct virtio_mmio *slot = container_of(transport, struct virtio_mmio, transport);

	pthread_mutex_lock(&slot->view_lock);
	interrupt(slot, VIRTIO_MMIO_INT_CONFIG);
	pthread_mutex_unlock(&slot->view_lock);
}

/* The generation changes on both sides: who has read any of it between reads again. */
static void config_changed(struct virtio_transport *transport)
{
	struct virtio_mmio *slot = container_of(transport, struct virtio_mmio, transport);

	pthread_mutex_lock(&slot->view_lock);
	view_next_generation(slot);
	view_config_locked(slot);
	view_next_generation(slot);
	pthread_mutex_unlock(&slot->view_lock);
}

/* Registers of the selected queue. Those that lay it out do nothing once it is ready. */
static enum mmio_result write_queue(struct virtio_mmio *slot, struct virtio_queue *queue,
				    uint64_t offset, uint32_t value)
{
	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		virtio_queue_set_ready(queue, value & 1);
		if (!queue->ready)
			told_forget(slot, queue->index);
		return MMIO_DONE;
	}
	if (!virtio_queue_open(queue))
		return MMIO_DONE;
	switch (offset) {
	case VIRTIO_MMIO_QUEUE_NUM:
		/* Too large a number is refused with the queue, not cut to one that may fit. */
		queue->layout.size = value <= queue->size_max ? value : 0;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
		virtio_queue_set_address(queue, VIRTQUEUE_DESC, false, value);
		break;
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		virtio_queue_set_address(queue, VIRTQUEUE_DESC, true, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
		virtio_queue_set_address(queue, VIRTQUEUE_AVAIL, false, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		virtio_queue_set_address(queue, VIRTQUEUE_AVAIL, true, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
		virtio_queue_set_address(queue, VIRTQUEUE_USED, false, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		virtio_queue_set_address(queue, VIRTQUEUE_USED, true, value);
		break;
	default:
		return MMIO_BAD;
	}
	return MMIO_DONE;
}

static enum mmio_result write_register(struct virtio_mmio *slot, uint64_t offset, uint32_t value)
{
	struct virtio *virtio = slot->virtio;

	switch (offset) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		slot->features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		slot->driver_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_set_features(virtio, slot->driver_features_sel, value);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		slot->queue_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_NOTIFY:
		/* The doorbells take what KVM can see; here is what an emulated instruction wrote.
		 */
		if (value < virtio->queue_count)
			event_notify(&virtio->queues[value].kick);
		break;
	case VIRTIO_MMIO_INTERRUPT_ACK:
		interrupt_ack(slot, value);
		break;
	case VIRTIO_MMIO_STATUS:
		virtio_set_status(virtio, value);
		if ((uint8_t)value == 0)
			interrupt_reset(slot);
		break;
	case VIRTIO_MMIO_SHM_SEL:
		break;
	default:
		if (!selected(slot))
			return MMIO_BAD;
		return write_queue(slot, selected(slot), offset, value);
	}
	return MMIO_DONE;
}

static enum mmio_result access_locked(struct virtio_mmio *slot, struct mmio_access *access)
{
	if (access->offset >= VIRTIO_MMIO_CONFIG) {
		const uint64_t offset = access->offset - VIRTIO_MMIO_CONFIG;

		if (!access->write) {
			virtio_config_read(slot->virtio, offset, &access->value, access->size);
			return MMIO_DONE;
		}
		virtio_config_write(slot->virtio, offset, access->value, access->size);
		view_config(slot);
		return MMIO_DONE;
	}
	if (access->size != 4 || access->offset % 4 != 0)
		return MMIO_BAD;
	if (access->write) {
		enum mmio_result result = write_register(slot, access->offset, access->value);

		view_after(slot, access->offset);
		return result;
	}
	return read_register(slot, access->offset, &access->value);
}

static enum mmio_result virtio_mmio_access(struct device *device, struct mmio_access *access)
{
	struct virtio_mmio *slot = container_of(device, struct virtio_mmio, device);
	enum mmio_result result;

	pthread_mutex_lock(&slot->virtio->lock);
	result = access_locked(slot, access);
	pthread_mutex_unlock(&slot->virtio->lock);
	return result;
}

struct mmio_state {
	uint32_t features_sel, driver_features_sel, queue_sel;
	uint32_t interrupt_status, came_again;
	uint32_t zero;
};

static void virtio_mmio_rest(struct device *device, bool rest)
{
	virtio_rest(container_of(device, struct virtio_mmio, device)->virtio, rest);
}

static const char *virtio_mmio_unsaved(const struct device *device)
{
	return virtio_unsaved(container_of(device, const struct virtio_mmio, device)->virtio);
}

static void virtio_mmio_save(struct device *device, struct state_writer *writer)
{
	struct virtio_mmio *slot = container_of(device, struct virtio_mmio, device);
	struct mmio_state state;

	pthread_mutex_lock(&slot->view_lock);
	state = (struct mmio_state){
		.features_sel = slot->features_sel,
		.driver_features_sel = slot->driver_features_sel,
		.queue_sel = slot->queue_sel,
		.interrupt_status = atomic_load(&slot->interrupt_status),
		.came_again = slot->came_again,
	};
	pthread_mutex_unlock(&slot->view_lock);
	state_put(writer, "virtio-mmio", device->base, &state, sizeof(state));
	virtio_save(slot->virtio, writer, device->base);
}

/*
 * Since when the driver knows of what it was told is forgotten: it may get an interrupt more than
 * it has need of. So it may by the line, where it takes edges.
 */
static void virtio_mmio_restore(struct device *device, struct state_reader *reader)
{
	struct virtio_mmio *slot = container_of(device, struct virtio_mmio, device);
	struct mmio_state state;

	if (!state_get(reader, "virtio-mmio", device->base, &state, sizeof(state)))
		return;
	pthread_mutex_lock(&slot->view_lock);
	slot->features_sel = state.features_sel;
	slot->driver_features_sel = state.driver_features_sel;
	slot->queue_sel = state.queue_sel;
	atomic_store(&slot->interrupt_status, state.interrupt_status & INTERRUPTS);
	slot->came_again = state.came_again & INTERRUPTS;
	pthread_mutex_unlock(&slot->view_lock);
	virtio_restore(slot->virtio, reader, device->base);
	view_all(slot);
	if (state.interrupt_status & INTERRUPTS)
		irq_line_set(&slot->irq, true);
}

static void virtio_mmio_describe(const struct device *device, struct devtree *tree)
{
	const struct virtio_mmio *slot = container_of(device, struct virtio_mmio, device);

	devtree_begin_at(tree, "virtio_mmio", device->base);
	devtree_string(tree, "compatible", "virtio,mmio");
	devtree_reg(tree, device->base, device->size);
	devtree_spi(tree, slot->spi, IRQ_EDGE_RISING);
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
	struct virtio_mmio *slot = container_of(device, struct virtio_mmio, device);

	/* First what may still interrupt: a worker with something in flight. */
	slot->virtio->ops->destroy(slot->virtio);
	pthread_mutex_destroy(&slot->view_lock);
	free(slot->told);
	free(slot);
}

static const struct device_ops virtio_mmio_ops = {
	.name = "virtio-mmio",
	.access = virtio_mmio_access,
	.describe = virtio_mmio_describe,
	.register_name = virtio_mmio_register_name,
	.rest = virtio_mmio_rest,
	.unsaved = virtio_mmio_unsaved,
	.save = virtio_mmio_save,
	.restore = virtio_mmio_restore,
	.destroy = virtio_mmio_destroy,
};

static int connect_doorbells(struct virtio_mmio *slot, int vm_fd)
{
	const uint64_t doorbell = slot->device.base + VIRTIO_MMIO_QUEUE_NOTIFY;
	int err = 0;

	for (unsigned int i = 0; i < slot->virtio->queue_count && err >= 0; i++)
		err = irq_doorbell(vm_fd, doorbell, 4, i, slot->virtio->queues[i].kick.source.fd);
	return err;
}

int virtio_mmio_create(struct device **created, unsigned int index, int vm_fd,
		       struct virtio *virtio, void *readable)
{
	struct virtio_mmio *slot = calloc(1, sizeof(*slot));
	struct told *told = calloc(virtio->queue_count, sizeof(*told));
	int err;

	if (!slot || !told) {
		log_error("%s: %s", virtio->ops->name, strerror(ENOMEM));
		free(slot);
		free(told);
		virtio->ops->destroy(virtio);
		return -ENOMEM;
	}
	slot->device = (struct device){
		.ops = &virtio_mmio_ops,
		.base = VIRTIO_MMIO_BASE + index * VIRTIO_MMIO_STRIDE,
		.size = VIRTIO_MMIO_STRIDE,
	};
	slot->transport = (struct virtio_transport){
		.queue_interrupt = queue_interrupt,
		.config_interrupt = config_interrupt,
		.config_changed = config_changed,
	};
	slot->virtio = virtio;
	slot->told = told;
	slot->spi = VIRTIO_MMIO_SPI + index;
	slot->irq = irq_line_spi(vm_fd, slot->spi);
	slot->view = readable ? (uint8_t *)readable + index * VIRTIO_MMIO_STRIDE : NULL;
	slot->cache_line = cache_line_size();
	pthread_mutex_init(&slot->view_lock, NULL);
	virtio->transport = &slot->transport;
	view_all(slot);
	err = connect_doorbells(slot, vm_fd);
	if (err < 0) {
		virtio_mmio_destroy(&slot->device);
		return err;
	}
	*created = &slot->device;
	return 0;
}
