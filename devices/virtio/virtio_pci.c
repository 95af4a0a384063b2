// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A driver's notification rings its queue's doorbell, and a queue's interrupt
 * is its MSI-X vector, so that in steady state nothing is left to exits.
 *
 * The common configuration structure (virtio 1.3, 4.1.4.3) and the device's own are memory that
 * the driver reads by itself (pci_view.h), brought up to date after whatever can change it. Most of
 * it only the driver changes, by a write that comes here. device_status, config_generation and the
 * device's configuration change by themselves too; whoever changes them copies the latest there is,
 * under view_lock.
 *
 * Each of the other structures has a BAR of its own, and so pages of its own for a guest that is a
 * hypervisor: it can let a guest of its own ring the doorbells, and that guest gets nothing else
 * with them. The doorbells are where their BAR answers, and are not while it does not.
 *
 * VIRTIO_PCI_CAP_PCI_CFG reaches registers in the BARs through configuration space, which the guest
 * reads as memory (pci.c). So the register that a driver chooses there is read when it is chosen,
 * and again with each change of offset, length or data, not when the driver looks at the data.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "util.h"
#include "virtio/virtio_pci.h"

#define VENDOR	    0x1af4
#define DEVICE_BASE 0x1040
#define REVISION    1

#define ISR_BAR	   0
#define MSIX_BAR   1
#define CONFIG_BAR 2 /* the common configuration structure, and the device's at DEVICE */
#define NOTIFY_BAR 3

#define DEVICE 0x100

#define NOTIFY_STRIDE 4
#define COMMON_SIZE   VIRTIO_PCI_COMMON_Q_NDATA
#define PCI_CFG_DATA  sizeof(struct virtio_pci_cap)
#define VECTORS_SAVED 64 /* as many queues as a device that is saved has at most */
#define ISR_QUEUE     1
#define ISR_CONFIG    2

struct virtio_pci {
	struct device isr, config, notify; /* what answers in the BARs */
	struct pci_view view; /* what the driver reads of config */
	struct pci_function head;
	int vm_fd; /* outlives it */
	struct virtio_transport transport;
	struct virtio *virtio;
	struct iommu_endpoint endpoint; /* where it is behind an IOMMU */
	unsigned int pci_cfg; /* offset of that capability */
	_Atomic uint8_t isr_status;
	_Atomic uint16_t config_vector;
	_Atomic uint16_t *queue_vector;
	_Atomic uint16_t queue_select;
	pthread_mutex_t view_lock; /* of what changes by itself, as the driver reads it */

	/* Guarded by virtio->lock. */
	uint32_t device_feature_select, driver_feature_select;
};

/* view_lock held: device_status, config_generation and queue_select, which share a word. */
static void show_status_locked(struct virtio_pci *function)
{
	const uint32_t word = atomic_load(&function->virtio->status) |
			      (atomic_load(&function->virtio->config_generation) & 0xff) << 8 |
			      (uint32_t)atomic_load(&function->queue_select) << 16;

	pci_view_set(&function->view, VIRTIO_PCI_COMMON_STATUS, word, UINT32_MAX);
}

static void show_status(struct virtio_pci *function)
{
	pthread_mutex_lock(&function->view_lock);
	show_status_locked(function);
	pthread_mutex_unlock(&function->view_lock);
}

/* view_lock held. */
static void show_next_generation_locked(struct virtio_pci *function)
{
	atomic_fetch_add(&function->virtio->config_generation, 1);
	show_status_locked(function);
}

/* view_lock held: the device's configuration. */
static void show_config_locked(struct virtio_pci *function)
{
	const uint32_t size = function->virtio->ops->config_size;

	for (uint32_t i = 0; i < size; i += 4) {
		uint64_t value;

		virtio_config_read(function->virtio, i, &value, size - i < 4 ? size - i : 4);
		pci_view_set(&function->view, DEVICE + i, value, UINT32_MAX);
	}
}

static void show_config(struct virtio_pci *function)
{
	pthread_mutex_lock(&function->view_lock);
	show_config_locked(function);
	pthread_mutex_unlock(&function->view_lock);
}

/* Interrupts. */

static void queue_interrupt(struct virtio_transport *transport, unsigned int queue)
{
	struct virtio_pci *function = container_of(transport, struct virtio_pci, transport);

	if (!pci_function_has_msix(&function->head))
		atomic_fetch_or(&function->isr_status, ISR_QUEUE);
	pci_function_interrupt(&function->head, atomic_load(&function->queue_vector[queue]));
}

static int queue_lend(struct virtio_transport *transport, unsigned int queue,
		      struct event_loop *loop)
{
	struct virtio_pci *function = container_of(transport, struct virtio_pci, transport);

	return pci_function_lend(&function->head, atomic_load(&function->queue_vector[queue]),
				 loop);
}

/* The driver does not choose another vector meanwhile, see set_queue_vector(). */
static void queue_return(struct virtio_transport *transport, unsigned int queue)
{
	struct virtio_pci *function = container_of(transport, struct virtio_pci, transport);

	pci_function_return(&function->head, atomic_load(&function->queue_vector[queue]));
}

static void config_interrupt(struct virtio_transport *transport)
{
	struct virtio_pci *function = container_of(transport, struct virtio_pci, transport);

	show_status(function);
	atomic_fetch_or(&function->isr_status, ISR_CONFIG);
	pci_function_interrupt(&function->head, atomic_load(&function->config_vector));
}

/* The generation changes on both sides: a driver that reads between them reads again. */
static void config_changed(struct virtio_transport *transport)
{
	struct virtio_pci *function = container_of(transport, struct virtio_pci, transport);

	pthread_mutex_lock(&function->view_lock);
	show_next_generation_locked(function);
	show_config_locked(function);
	show_next_generation_locked(function);
	pthread_mutex_unlock(&function->view_lock);
}

/* A vector that does not exist reads back as none (virtio 1.3, 4.1.5.1.2.1). */
static uint16_t existing_vector(const struct virtio_pci *function, uint64_t vector)
{
	return vector < function->head.vector_count ? vector : VIRTIO_MSI_NO_VECTOR;
}

/* The common configuration structure. */

/* The registers by their offset; they are accessed whole. */
static const struct {
	uint8_t size;
	const char *name;
} registers[COMMON_SIZE] = {
	[VIRTIO_PCI_COMMON_DFSELECT] = { 4, "device_feature_select" },
	[VIRTIO_PCI_COMMON_DF] = { 4, "device_feature" },
	[VIRTIO_PCI_COMMON_GFSELECT] = { 4, "driver_feature_select" },
	[VIRTIO_PCI_COMMON_GF] = { 4, "driver_feature" },
	[VIRTIO_PCI_COMMON_MSIX] = { 2, "config_msix_vector" },
	[VIRTIO_PCI_COMMON_NUMQ] = { 2, "num_queues" },
	[VIRTIO_PCI_COMMON_STATUS] = { 1, "device_status" },
	[VIRTIO_PCI_COMMON_CFGGENERATION] = { 1, "config_generation" },
	[VIRTIO_PCI_COMMON_Q_SELECT] = { 2, "queue_select" },
	[VIRTIO_PCI_COMMON_Q_SIZE] = { 2, "queue_size" },
	[VIRTIO_PCI_COMMON_Q_MSIX] = { 2, "queue_msix_vector" },
	[VIRTIO_PCI_COMMON_Q_ENABLE] = { 2, "queue_enable" },
	[VIRTIO_PCI_COMMON_Q_NOFF] = { 2, "queue_notify_off" },
	[VIRTIO_PCI_COMMON_Q_DESCLO] = { 4, "queue_desc" },
	[VIRTIO_PCI_COMMON_Q_DESCHI] = { 4, "queue_desc (high)" },
	[VIRTIO_PCI_COMMON_Q_AVAILLO] = { 4, "queue_driver" },
	[VIRTIO_PCI_COMMON_Q_AVAILHI] = { 4, "queue_driver (high)" },
	[VIRTIO_PCI_COMMON_Q_USEDLO] = { 4, "queue_device" },
	[VIRTIO_PCI_COMMON_Q_USEDHI] = { 4, "queue_device (high)" },
};

/* The queue that queue_select names, or NULL. */
static struct virtio_queue *selected(const struct virtio_pci *function)
{
	const uint16_t index = atomic_load(&function->queue_select);

	return index < function->virtio->queue_count ? &function->virtio->queues[index] : NULL;
}

/* Until the driver asks for another size, a queue has as many entries as it can. */
static uint16_t queue_size(const struct virtio_queue *queue)
{
	return queue->layout.size ? queue->layout.size : queue->size_max;
}

static uint32_t driver_features(const struct virtio_pci *function)
{
	const uint32_t word = function->driver_feature_select;

	return word > 1 ? 0 : function->virtio->accepted >> 32 * word;
}

/* The structure as the driver is to read it. A queue that does not exist has a size of 0. */
static struct virtio_pci_common_cfg view_of(const struct virtio_pci *function)
{
	const struct virtio_queue *queue = selected(function);
	struct virtio_pci_common_cfg view = {
		.device_feature_select = function->device_feature_select,
		.device_feature =
			virtio_get_features(function->virtio, function->device_feature_select),
		.guest_feature_select = function->driver_feature_select,
		.guest_feature = driver_features(function),
		.msix_config = atomic_load(&function->config_vector),
		.num_queues = function->virtio->queue_count,
	};

	if (!queue)
		return view;
	view.queue_size = queue_size(queue);
	view.queue_msix_vector = atomic_load(&function->queue_vector[queue->index]);
	view.queue_enable = queue->ready;
	view.queue_notify_off = queue->index;
	view.queue_desc_lo = queue->layout.desc;
	view.queue_desc_hi = queue->layout.desc >> 32;
	view.queue_avail_lo = queue->layout.avail;
	view.queue_avail_hi = queue->layout.avail >> 32;
	view.queue_used_lo = queue->layout.used;
	view.queue_used_hi = queue->layout.used >> 32;
	return view;
}

/* virtio->lock held: lets the driver see what is. */
static void show(struct virtio_pci *function)
{
	const struct virtio_pci_common_cfg view = view_of(function);
	uint32_t words[COMMON_SIZE / 4];

	memcpy(words, &view, sizeof(words));
	for (unsigned int i = 0; i < ARRAY_SIZE(words); i++)
		if (i != VIRTIO_PCI_COMMON_STATUS / 4)
			pci_view_set(&function->view, 4 * i, words[i], UINT32_MAX);
	show_status(function);
}

/* One that runs pauses, so that who has been lent its vector's eventfd gives that back first. */
static void set_queue_vector(struct virtio_pci *function, struct virtio_queue *queue,
			     uint16_t vector)
{
	const bool runs = !virtio_queue_open(queue);

	if (runs)
		virtio_queue_pause(queue, true);
	atomic_store(&function->queue_vector[queue->index], vector);
	if (runs)
		virtio_queue_pause(queue, false);
}

/* Registers of the selected queue. Those that lay it out do nothing once it is enabled. */
static void write_queue(struct virtio_pci *function, struct virtio_queue *queue, uint64_t offset,
			uint32_t value)
{
	if (offset == VIRTIO_PCI_COMMON_Q_MSIX) {
		set_queue_vector(function, queue, existing_vector(function, value));
		return;
	}
	if (!virtio_queue_open(queue))
		return;
	switch (offset) {
	case VIRTIO_PCI_COMMON_Q_SIZE:
		if (value <= queue->size_max)
			queue->layout.size = value;
		break;
	case VIRTIO_PCI_COMMON_Q_ENABLE:
		queue->layout.size = queue_size(queue);
		virtio_queue_set_ready(queue, value == 1);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCLO:
		virtio_queue_set_address(queue, VIRTQUEUE_DESC, false, value);
		break;
	case VIRTIO_PCI_COMMON_Q_DESCHI:
		virtio_queue_set_address(queue, VIRTQUEUE_DESC, true, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILLO:
		virtio_queue_set_address(queue, VIRTQUEUE_AVAIL, false, value);
		break;
	case VIRTIO_PCI_COMMON_Q_AVAILHI:
		virtio_queue_set_address(queue, VIRTQUEUE_AVAIL, true, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDLO:
		virtio_queue_set_address(queue, VIRTQUEUE_USED, false, value);
		break;
	case VIRTIO_PCI_COMMON_Q_USEDHI:
		virtio_queue_set_address(queue, VIRTQUEUE_USED, true, value);
		break;
	}
}

/* What the driver set goes with a reset of the device. */
static void reset(struct virtio_pci *function)
{
	function->device_feature_select = function->driver_feature_select = 0;
	atomic_store(&function->queue_select, 0);
	atomic_store(&function->isr_status, 0);
	atomic_store(&function->config_vector, VIRTIO_MSI_NO_VECTOR);
	for (unsigned int i = 0; i < function->virtio->queue_count; i++)
		atomic_store(&function->queue_vector[i], VIRTIO_MSI_NO_VECTOR);
}

static void write_common(struct virtio_pci *function, uint64_t offset, uint32_t value)
{
	switch (offset) {
	case VIRTIO_PCI_COMMON_DFSELECT:
		function->device_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GFSELECT:
		function->driver_feature_select = value;
		break;
	case VIRTIO_PCI_COMMON_GF:
		virtio_set_features(function->virtio, function->driver_feature_select, value);
		break;
	case VIRTIO_PCI_COMMON_MSIX:
		atomic_store(&function->config_vector, existing_vector(function, value));
		break;
	case VIRTIO_PCI_COMMON_STATUS:
		virtio_set_status(function->virtio, value);
		if ((uint8_t)value == 0)
			reset(function);
		break;
	case VIRTIO_PCI_COMMON_Q_SELECT:
		atomic_store(&function->queue_select, value);
		break;
	default:
		if (selected(function))
			write_queue(function, selected(function), offset, value);
		break;
	}
}

static void common_write(struct virtio_pci *function, const struct mmio_access *mmio)
{
	pthread_mutex_lock(&function->virtio->lock);
	write_common(function, mmio->offset, mmio->value);
	show(function);
	pthread_mutex_unlock(&function->virtio->lock);
}

static void device_write(struct virtio_pci *function, const struct mmio_access *mmio)
{
	pthread_mutex_lock(&function->virtio->lock);
	virtio_config_write(function->virtio, mmio->offset - DEVICE, mmio->value, mmio->size);
	show_config(function);
	pthread_mutex_unlock(&function->virtio->lock);
}

static enum mmio_result config_access(struct device *device, struct mmio_access *mmio)
{
	struct virtio_pci *function = container_of(device, struct virtio_pci, config);
	const bool common = mmio->offset < DEVICE;

	if (common && (mmio->offset >= COMMON_SIZE || mmio->size != registers[mmio->offset].size))
		return MMIO_BAD;
	if (!mmio->write)
		mmio->value = pci_view_get(&function->view, mmio->offset, mmio->size);
	else if (common)
		common_write(function, mmio);
	else
		device_write(function, mmio);
	return MMIO_DONE;
}

/* The other BARs. */

static enum mmio_result isr_access(struct device *device, struct mmio_access *mmio)
{
	struct virtio_pci *function = container_of(device, struct virtio_pci, isr);

	if (mmio->offset != 0 || mmio->write)
		return MMIO_BAD;
	mmio->value = atomic_exchange(&function->isr_status, 0);
	return MMIO_DONE;
}

/* The doorbells take what the driver writes; here is what comes through configuration space. */
static enum mmio_result notify_access(struct device *device, struct mmio_access *mmio)
{
	struct virtio *virtio = container_of(device, struct virtio_pci, notify)->virtio;
	const uint64_t index = mmio->offset / NOTIFY_STRIDE;

	if (!mmio->write || index >= virtio->queue_count)
		return MMIO_BAD;
	event_notify(&virtio->queues[index].kick);
	return MMIO_DONE;
}

/* The same through configuration space. */

static enum mmio_result access_bar(struct virtio_pci *function, unsigned int bar,
				   struct mmio_access *mmio)
{
	if (mmio->offset >= PCI_VIEW_PAGE)
		return MMIO_BAD;
	switch (bar) {
	case ISR_BAR:
		return isr_access(&function->isr, mmio);
	case CONFIG_BAR:
		return config_access(&function->config, mmio);
	case NOTIFY_BAR:
		return notify_access(&function->notify, mmio);
	default:
		return MMIO_BAD;
	}
}

static void access_window(struct virtio_pci *function, bool write)
{
	struct pci_function *head = &function->head;
	const unsigned int cap = function->pci_cfg;
	const uint8_t bar = pci_function_config(head, cap + VIRTIO_PCI_CAP_BAR);
	const uint32_t length = pci_function_config(head, cap + VIRTIO_PCI_CAP_LENGTH);
	struct mmio_access mmio = {
		.offset = pci_function_config(head, cap + VIRTIO_PCI_CAP_OFFSET),
		.value = write ? pci_function_config(head, cap + PCI_CFG_DATA) : 0,
		.size = length,
		.write = write,
	};

	if ((length != 1 && length != 2 && length != 4) || mmio.offset % length != 0)
		return;
	mmio.value &= UINT32_MAX >> (32 - 8 * length);
	if (access_bar(function, bar, &mmio) == MMIO_DONE && !write)
		pci_function_set_config(head, cap + PCI_CFG_DATA, mmio.value);
}

static struct virtio_pci *virtio_pci_of(struct pci_function *head)
{
	return container_of(head, struct virtio_pci, head);
}

static void config_written(struct pci_function *head, unsigned int offset)
{
	struct virtio_pci *function = virtio_pci_of(head);

	if (offset < function->pci_cfg)
		return;
	if (offset == function->pci_cfg + PCI_CFG_DATA)
		access_window(function, true);
	access_window(function, false);
}

/* What else the driver does to the function. */

static void placed(struct pci_function *head, unsigned int bar, uint64_t from, uint64_t to)
{
	const struct virtio_pci *function = virtio_pci_of(head);

	for (unsigned int i = 0; i < function->virtio->queue_count && bar == NOTIFY_BAR; i++) {
		const int eventfd = function->virtio->queues[i].kick.source.fd;
		const uint64_t doorbell = i * NOTIFY_STRIDE;

		if (from)
			irq_doorbell_remove(function->vm_fd, from + doorbell, eventfd);
		if (to)
			irq_doorbell_any(function->vm_fd, to + doorbell, eventfd);
	}
}

static void mastering(struct pci_function *head, bool on)
{
	struct virtio *virtio = virtio_pci_of(head)->virtio;

	pthread_mutex_lock(&virtio->lock);
	virtio_pause(virtio, !on);
	pthread_mutex_unlock(&virtio->lock);
}

static void function_reset(struct pci_function *head)
{
	common_write(virtio_pci_of(head),
		     &(struct mmio_access){ .offset = VIRTIO_PCI_COMMON_STATUS, .value = 0 });
}

struct pci_state {
	uint32_t device_feature_select, driver_feature_select;
	uint16_t queue_select, config_vector;
	uint8_t isr_status, zero[3];
	uint16_t queue_vector[VECTORS_SAVED];
};

static void function_rest(struct pci_function *head, bool rest)
{
	virtio_rest(virtio_pci_of(head)->virtio, rest);
}

static const char *function_unsaved(const struct pci_function *head)
{
	return virtio_unsaved(container_of(head, const struct virtio_pci, head)->virtio);
}

static void function_save(struct pci_function *head, struct state_writer *writer)
{
	struct virtio_pci *function = virtio_pci_of(head);
	struct virtio *virtio = function->virtio;
	struct pci_state state;

	pthread_mutex_lock(&virtio->lock);
	state = (struct pci_state){
		.device_feature_select = function->device_feature_select,
		.driver_feature_select = function->driver_feature_select,
		.queue_select = atomic_load(&function->queue_select),
		.config_vector = atomic_load(&function->config_vector),
		.isr_status = atomic_load(&function->isr_status),
	};
	for (unsigned int i = 0; i < virtio->queue_count && i < VECTORS_SAVED; i++)
		state.queue_vector[i] = atomic_load(&function->queue_vector[i]);
	pthread_mutex_unlock(&virtio->lock);
	state_put(writer, "virtio-pci", head->slot, &state, sizeof(state));
	virtio_save(virtio, writer, head->slot);
}

static void function_restore(struct pci_function *head, struct state_reader *reader)
{
	struct virtio_pci *function = virtio_pci_of(head);
	struct virtio *virtio = function->virtio;
	struct pci_state state;

	if (!state_get(reader, "virtio-pci", head->slot, &state, sizeof(state)))
		return;
	pthread_mutex_lock(&virtio->lock);
	function->device_feature_select = state.device_feature_select;
	function->driver_feature_select = state.driver_feature_select;
	atomic_store(&function->queue_select, state.queue_select);
	atomic_store(&function->isr_status, state.isr_status & (ISR_QUEUE | ISR_CONFIG));
	atomic_store(&function->config_vector, existing_vector(function, state.config_vector));
	for (unsigned int i = 0; i < virtio->queue_count && i < VECTORS_SAVED; i++)
		atomic_store(&function->queue_vector[i],
			     existing_vector(function, state.queue_vector[i]));
	pthread_mutex_unlock(&virtio->lock);
	virtio_restore(virtio, reader, head->slot);
	pthread_mutex_lock(&virtio->lock);
	show(function);
	show_config(function);
	pthread_mutex_unlock(&virtio->lock);
}

/* Behind an IOMMU. */

static void revoke(struct iommu_endpoint *endpoint, bool all)
{
	virtio_revoke(container_of(endpoint, struct virtio_pci, endpoint)->virtio, all);
}

static int put_behind(struct virtio_pci *function, struct iommu *iommu)
{
	pci_function_put_behind(&function->head, iommu, &function->endpoint, revoke);
	return virtio_put_behind(function->virtio, &function->endpoint);
}

static void destroy(struct virtio_pci *function)
{
	if (function->head.behind_iommu)
		iommu_remove(&function->endpoint);
	/* First what may still interrupt: a worker with something in flight. */
	function->virtio->ops->destroy(function->virtio);
	pci_function_fini(&function->head);
	pci_view_destroy(&function->view);
	pthread_mutex_destroy(&function->view_lock);
	free(function->queue_vector);
	free(function);
}

static void virtio_pci_destroy(struct pci_function *head)
{
	destroy(virtio_pci_of(head));
}

static const struct pci_function_ops function_ops = {
	.config_written = config_written,
	.placed = placed,
	.mastering = mastering,
	.reset = function_reset,
	.rest = function_rest,
	.unsaved = function_unsaved,
	.save = function_save,
	.restore = function_restore,
	.destroy = virtio_pci_destroy,
};

/* Making one. */

static unsigned int add_structure(struct pci_function *head, uint8_t type, uint8_t bar,
				  uint32_t offset, uint32_t length)
{
	/* The longer ones end in notify_off_multiplier, or in pci_cfg_data. */
	struct virtio_pci_notify_cap cap = {
		.cap = {
			.cap_vndr = PCI_CAP_ID_VNDR,
			.cap_len = sizeof(struct virtio_pci_cap),
			.cfg_type = type,
			.bar = bar,
			.offset = offset,
			.length = length,
		},
	};

	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG)
		cap.notify_off_multiplier = NOTIFY_STRIDE;
	if (type == VIRTIO_PCI_CAP_NOTIFY_CFG || type == VIRTIO_PCI_CAP_PCI_CFG)
		cap.cap.cap_len = sizeof(cap);
	return pci_function_add_capability(head, &cap, cap.cap.cap_len);
}

static void add_structures(struct virtio_pci *function)
{
	struct pci_function *head = &function->head;
	const struct virtio *virtio = function->virtio;

	add_structure(head, VIRTIO_PCI_CAP_COMMON_CFG, CONFIG_BAR, 0, COMMON_SIZE);
	add_structure(head, VIRTIO_PCI_CAP_ISR_CFG, ISR_BAR, 0, 1);
	if (virtio->ops->config_size > 0)
		add_structure(head, VIRTIO_PCI_CAP_DEVICE_CFG, CONFIG_BAR, DEVICE,
			      virtio->ops->config_size);
	add_structure(head, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY_BAR, 0,
		      virtio->queue_count * NOTIFY_STRIDE);
	function->pci_cfg = add_structure(head, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0);
	pci_function_make_writable(head, function->pci_cfg + VIRTIO_PCI_CAP_BAR, 0xff);
	for (unsigned int i = VIRTIO_PCI_CAP_OFFSET; i <= PCI_CFG_DATA; i += 4)
		pci_function_make_writable(head, function->pci_cfg + i, UINT32_MAX);
	show(function);
	show_config(function);
}

/* Base class, subclass and interface: of what a PCI function of that use says it is. */
static uint32_t class_of(uint32_t device_id)
{
	switch (device_id) {
	case VIRTIO_ID_NET:
		return 0x020000;
	case VIRTIO_ID_BLOCK:
		return 0x018000;
	case VIRTIO_ID_CONSOLE:
		return 0x078000;
	case VIRTIO_ID_IOMMU:
		return 0x080600;
	default:
		return 0xff0000;
	}
}

static const char *isr_register_name(uint64_t offset)
{
	return offset == 0 ? "ISR status" : NULL;
}

static const char *config_register_name(uint64_t offset)
{
	if (offset >= DEVICE)
		return "device configuration";
	return offset < COMMON_SIZE ? registers[offset].name : NULL;
}

static const char *notify_register_name(uint64_t offset)
{
	(void)offset;
	return "notify";
}

/* The bridge answers for them: they are not on a bus. */
static const struct device_ops isr_ops = {
	.name = "virtio-pci",
	.access = isr_access,
	.register_name = isr_register_name,
};

static const struct device_ops config_ops = {
	.name = "virtio-pci",
	.access = config_access,
	.register_name = config_register_name,
};

static const struct device_ops notify_ops = {
	.name = "virtio-pci",
	.access = notify_access,
	.register_name = notify_register_name,
};

static int add_bars(struct virtio_pci *function, struct irq_routes *routes)
{
	const unsigned int wanted = function->virtio->queue_count + 1;
	const unsigned int vectors = wanted < PCI_MSIX_VECTOR_MAX ? wanted : PCI_MSIX_VECTOR_MAX;
	const unsigned int view_size = DEVICE + function->virtio->ops->config_size;
	int err = pci_function_add_msix(&function->head, routes, MSIX_BAR, vectors);

	if (err == 0)
		err = pci_view_create(&function->view, align_up(view_size, 4));
	if (err < 0)
		return err;
	function->isr.ops = &isr_ops;
	function->config.ops = &config_ops;
	function->notify.ops = &notify_ops;
	pci_function_add_memory(&function->head, ISR_BAR, &function->isr);
	pci_function_add_readable(&function->head, CONFIG_BAR, &function->config, &function->view);
	pci_function_add_memory(&function->head, NOTIFY_BAR, &function->notify);
	return 0;
}

static struct virtio_pci *create(struct irq_routes *routes, struct virtio *virtio)
{
	struct virtio_pci *function = calloc(1, sizeof(*function));
	_Atomic uint16_t *vectors = calloc(virtio->queue_count, sizeof(*vectors));

	if (!function || !vectors) {
		log_error("%s: %s", virtio->ops->name, strerror(ENOMEM));
		free(function);
		free(vectors);
		virtio->ops->destroy(virtio);
		return NULL;
	}
	function->transport = (struct virtio_transport){
		.queue_interrupt = queue_interrupt,
		.config_interrupt = config_interrupt,
		.config_changed = config_changed,
		.queue_lend = queue_lend,
		.queue_return = queue_return,
	};
	function->virtio = virtio;
	function->vm_fd = routes->vm_fd;
	function->queue_vector = vectors;
	pthread_mutex_init(&function->view_lock, NULL);
	reset(function);
	virtio->transport = &function->transport;
	return function;
}

int virtio_pci_add(struct pci *pci, struct irq_routes *routes, struct iommu *iommu,
		   struct virtio *virtio)
{
	const uint32_t id = virtio->ops->device_id;
	const struct pci_identity identity = {
		.vendor = VENDOR,
		.device = DEVICE_BASE + id,
		.subsystem_vendor = VENDOR,
		.subsystem = DEVICE_BASE + id,
		.class = class_of(id),
		.revision = REVISION,
	};
	struct virtio_pci *function = create(routes, virtio);
	int err;

	if (!function)
		return -ENOMEM;
	err = pci_function_init(&function->head, pci, &function_ops, &identity);
	if (err < 0) {
		destroy(function);
		return err;
	}
	if (id == VIRTIO_ID_IOMMU)
		pci_function_is_iommu(&function->head);
	if (iommu)
		err = put_behind(function, iommu);
	if (err == 0)
		err = add_bars(function, routes);
	if (err == 0)
		add_structures(function);
	return err;
}
