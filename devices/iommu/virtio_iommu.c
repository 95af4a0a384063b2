// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Requests are carried out one after the other, in the worker's thread, and
 * answered when they are done: what was unmapped is not used any more then. That may take as long
 * as a disk needs, so nothing else waits for this thread but the guest's driver.
 *
 * A fault is told by a device's thread, which holds locks and may not wait. So it is put down here,
 * as long as there is room, and goes to the driver by the worker when that has a buffer for it.
 * What is put down is not saved: it is for people to read, and the device has been broken by then.
 *
 * A smaller page size than that of a CPU is no harm, and a larger one besides would have Linux cut
 * what it maps by it: a request has any number of pages, and is the cheaper the more it has.
 */
#include "iommu/virtio_iommu.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_iommu.h>
#include <stdlib.h>
#include <string.h>

#include "host/iov.h"
#include "host/log.h"
#include "host/worker.h"
#include "util.h"

#define FEATURE(bit) (UINT64_C(1) << (bit))
#define FEATURES                                                                      \
	(FEATURE(VIRTIO_IOMMU_F_INPUT_RANGE) | FEATURE(VIRTIO_IOMMU_F_DOMAIN_RANGE) | \
	 FEATURE(VIRTIO_IOMMU_F_MAP_UNMAP) | FEATURE(VIRTIO_IOMMU_F_PROBE) |          \
	 FEATURE(VIRTIO_IOMMU_F_MMIO) | FEATURE(VIRTIO_IOMMU_F_BYPASS_CONFIG))

enum { REQUESTS, EVENTS, QUEUES };

#define QUEUE_SIZE VIRTQUEUE_SIZE_MAX
#define FAULTS_MAX 32
#define PROBE_SIZE 256 /* bytes of properties */

_Static_assert(IOMMU_READ == VIRTIO_IOMMU_MAP_F_READ && IOMMU_WRITE == VIRTIO_IOMMU_MAP_F_WRITE &&
		       IOMMU_READ == VIRTIO_IOMMU_FAULT_F_READ &&
		       IOMMU_WRITE == VIRTIO_IOMMU_FAULT_F_WRITE,
	       "the same bits");
_Static_assert((int)IOMMU_UNKNOWN == VIRTIO_IOMMU_FAULT_R_UNKNOWN &&
		       (int)IOMMU_NO_DOMAIN == VIRTIO_IOMMU_FAULT_R_DOMAIN &&
		       (int)IOMMU_NO_MAPPING == VIRTIO_IOMMU_FAULT_R_MAPPING,
	       "the same numbers");

struct virtio_iommu {
	struct virtio virtio;
	struct iommu iommu;
	struct worker worker;

	pthread_mutex_t fault_lock; /* nothing is taken under it */
	struct iommu_fault faults[FAULTS_MAX]; /* those that the driver was not told of yet */
	unsigned int fault_count;
};

static struct virtio_iommu *device_of(struct virtio *virtio)
{
	return container_of(virtio, struct virtio_iommu, virtio);
}

/* Requests: what the driver writes of them, and the status that they come to. */

static uint8_t status_of(enum iommu_result result)
{
	static const uint8_t status[] = {
		[IOMMU_OK] = VIRTIO_IOMMU_S_OK,		  [IOMMU_INVALID] = VIRTIO_IOMMU_S_INVAL,
		[IOMMU_RANGE] = VIRTIO_IOMMU_S_RANGE,	  [IOMMU_ABSENT] = VIRTIO_IOMMU_S_NOENT,
		[IOMMU_NO_MEMORY] = VIRTIO_IOMMU_S_NOMEM,
	};

	return status[result];
}

static enum iommu_result attach(struct virtio_iommu *device, const void *request)
{
	static const uint8_t zero[sizeof(((struct virtio_iommu_req_attach *)0)->reserved)];
	const struct virtio_iommu_req_attach *attach = request;

	if (attach->flags & ~VIRTIO_IOMMU_ATTACH_F_BYPASS ||
	    memcmp(attach->reserved, zero, sizeof(zero)) != 0 ||
	    (attach->flags && !virtio_has(&device->virtio, VIRTIO_IOMMU_F_BYPASS_CONFIG)))
		return IOMMU_INVALID;
	return iommu_attach(&device->iommu, attach->endpoint, attach->domain, attach->flags);
}

static enum iommu_result detach(struct virtio_iommu *device, const void *request)
{
	const struct virtio_iommu_req_detach *detach = request;

	return iommu_detach(&device->iommu, detach->endpoint, detach->domain);
}

/* Whether it is memory or registers that is meant makes no difference to devices here. */
static enum iommu_result map(struct virtio_iommu *device, const void *request)
{
	const struct virtio_iommu_req_map *map = request;

	if (map->flags & ~VIRTIO_IOMMU_MAP_F_MASK ||
	    (map->flags & VIRTIO_IOMMU_MAP_F_MMIO &&
	     !virtio_has(&device->virtio, VIRTIO_IOMMU_F_MMIO)))
		return IOMMU_INVALID;
	return iommu_map(&device->iommu, map->domain, map->virt_start, map->virt_end,
			 map->phys_start, map->flags & (IOMMU_READ | IOMMU_WRITE));
}

static enum iommu_result unmap(struct virtio_iommu *device, const void *request)
{
	const struct virtio_iommu_req_unmap *unmap = request;

	return iommu_unmap(&device->iommu, unmap->domain, unmap->virt_start, unmap->virt_end);
}

static enum iommu_result probe(struct virtio_iommu *device, const void *request)
{
	const struct virtio_iommu_req_probe *probe = request;

	return iommu_has(&device->iommu, probe->endpoint) ? IOMMU_OK : IOMMU_ABSENT;
}

static uint8_t *add_property(uint8_t *at, uint8_t subtype, uint64_t start, uint64_t end)
{
	const struct virtio_iommu_probe_resv_mem property = {
		.head = {
			.type = VIRTIO_IOMMU_PROBE_T_RESV_MEM,
			.length = sizeof(property) - sizeof(property.head),
		},
		.subtype = subtype,
		.start = start,
		.end = end,
	};

	memcpy(at, &property, sizeof(property));
	return at + sizeof(property);
}

/* One for messages, and those of the host's IOMMU, which that may cut one of in two. */
_Static_assert((IOMMU_RESERVED_MAX + 2) * sizeof(struct virtio_iommu_probe_resv_mem) <= PROBE_SIZE,
	       "there is room for all properties");

/* What a probe is answered with, none of which overlaps another; the rest is zeroes. */
static void fill_properties(struct virtio_iommu *device, uint32_t endpoint,
			    uint8_t properties[PROBE_SIZE])
{
	const uint64_t start = device->iommu.msi_start, end = device->iommu.msi_end;
	struct iommu_range reserved[IOMMU_RESERVED_MAX];
	const unsigned int count = iommu_reserved(&device->iommu, endpoint, reserved);
	uint8_t *at = properties;

	memset(properties, 0, PROBE_SIZE);
	at = add_property(at, VIRTIO_IOMMU_RESV_MEM_T_MSI, start, end);
	for (unsigned int i = 0; i < count; i++) {
		const struct iommu_range *range = &reserved[i];

		if (range->start < start)
			at = add_property(at, VIRTIO_IOMMU_RESV_MEM_T_RESERVED, range->start,
					  range->end < start ? range->end : start - 1);
		if (range->end > end)
			at = add_property(at, VIRTIO_IOMMU_RESV_MEM_T_RESERVED,
					  range->start > end ? range->start : end + 1, range->end);
	}
}

#define TAIL sizeof(struct virtio_iommu_req_tail)

static const struct kind {
	/* Bytes that the driver writes, and those in front of the tail that the device does. */
	uint32_t size, properties;
	enum iommu_result (*carry_out)(struct virtio_iommu *device, const void *request);
} kinds[] = {
	[VIRTIO_IOMMU_T_ATTACH] = { sizeof(struct virtio_iommu_req_attach) - TAIL, 0, attach },
	[VIRTIO_IOMMU_T_DETACH] = { sizeof(struct virtio_iommu_req_detach) - TAIL, 0, detach },
	[VIRTIO_IOMMU_T_MAP] = { sizeof(struct virtio_iommu_req_map) - TAIL, 0, map },
	[VIRTIO_IOMMU_T_UNMAP] = { sizeof(struct virtio_iommu_req_unmap) - TAIL, 0, unmap },
	[VIRTIO_IOMMU_T_PROBE] = { sizeof(struct virtio_iommu_req_probe), PROBE_SIZE, probe },
};

union request {
	struct virtio_iommu_req_head head;
	struct virtio_iommu_req_attach attach;
	struct virtio_iommu_req_map map;
	struct virtio_iommu_req_probe probe;
};

/* What is none that is known is given back as it was (virtio 1.3, 5.13.6.2). */
static bool request(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct virtio_iommu *device = device_of(queue->virtio);
	struct virtio_iommu_req_tail tail = { 0 };
	uint8_t properties[PROBE_SIZE];
	union request request = { 0 };
	const struct kind *kind;

	iov_read(chain->out, chain->out_count, 0, &request, sizeof(request));
	kind = request.head.type < ARRAY_SIZE(kinds) ? &kinds[request.head.type] : kinds;
	if (!kind->carry_out || chain->out_bytes != kind->size ||
	    chain->in_bytes != kind->properties + TAIL) {
		virtqueue_push(&queue->ring, chain->head, 0);
		return true;
	}
	tail.status = status_of(kind->carry_out(device, &request));
	if (kind->properties > 0) {
		fill_properties(device, request.probe.endpoint, properties);
		iov_write(chain->in, chain->in_count, 0, properties, sizeof(properties));
	}
	iov_write(chain->in, chain->in_count, kind->properties, &tail, sizeof(tail));
	virtqueue_push(&queue->ring, chain->head, chain->in_bytes);
	return true;
}

/* Faults. */

static void fault(struct iommu *iommu, const struct iommu_fault *fault)
{
	static struct log_limit limit;
	struct virtio_iommu *device = container_of(iommu, struct virtio_iommu, iommu);

	log_guest(&limit, "virtio-iommu: device 0x%" PRIx32 " may not %s 0x%" PRIx64,
		  fault->endpoint, fault->access == IOMMU_WRITE ? "write to" : "read", fault->iova);
	pthread_mutex_lock(&device->fault_lock);
	if (device->fault_count < FAULTS_MAX)
		device->faults[device->fault_count++] = *fault;
	pthread_mutex_unlock(&device->fault_lock);
	event_notify(&device->virtio.queues[EVENTS].kick);
}

static bool next_fault(struct virtio_iommu *device, struct iommu_fault *fault)
{
	bool any;

	pthread_mutex_lock(&device->fault_lock);
	any = device->fault_count > 0;
	if (any) {
		*fault = device->faults[0];
		memmove(device->faults, device->faults + 1,
			--device->fault_count * sizeof(*device->faults));
	}
	pthread_mutex_unlock(&device->fault_lock);
	return any;
}

static bool event(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct virtio_iommu_fault event = { 0 };
	struct iommu_fault fault;

	if (chain->in_bytes < sizeof(event)) {
		virtqueue_break(&queue->ring);
		return true;
	}
	if (!next_fault(device_of(queue->virtio), &fault)) {
		virtqueue_unpop(&queue->ring, chain);
		return false;
	}
	event.reason = fault.reason;
	event.flags = fault.access | VIRTIO_IOMMU_FAULT_F_ADDRESS;
	event.endpoint = fault.endpoint;
	event.address = fault.iova;
	iov_write(chain->in, chain->in_count, 0, &event, sizeof(event));
	virtqueue_push(&queue->ring, chain->head, sizeof(event));
	return true;
}

/* The device. */

static void virtio_iommu_process(struct virtio_queue *queue)
{
	virtio_serve(queue, queue->index == REQUESTS ? request : event);
	virtio_publish(queue);
}

/* What the driver has set goes, but bypass stays as it is (virtio 1.3, 5.13.4). */
static void virtio_iommu_end(struct virtio *virtio)
{
	struct virtio_iommu *device = device_of(virtio);

	iommu_reset(&device->iommu);
	pthread_mutex_lock(&device->fault_lock);
	device->fault_count = 0;
	pthread_mutex_unlock(&device->fault_lock);
}

static struct virtio_iommu_config config_of(const struct virtio_iommu *device)
{
	return (struct virtio_iommu_config){
		.page_size_mask = device->iommu.page,
		.input_range = { 0, IOMMU_IOVA_MAX },
		.domain_range = { 0, IOMMU_DOMAIN_MAX },
		.probe_size = PROBE_SIZE,
		.bypass = device->iommu.bypass,
	};
}

static void virtio_iommu_config_read(struct virtio *virtio, uint32_t offset, void *value,
				     uint32_t size)
{
	const struct virtio_iommu_config config = config_of(device_of(virtio));

	memcpy(value, (const char *)&config + offset, size);
}

/* All but bypass stays as it is, and that too where it is no truth value. */
static void virtio_iommu_config_write(struct virtio *virtio, uint32_t offset, const void *value,
				      uint32_t size)
{
	struct virtio_iommu *device = device_of(virtio);
	struct virtio_iommu_config config = config_of(device);

	memcpy((char *)&config + offset, value, size);
	if (virtio_has(virtio, VIRTIO_IOMMU_F_BYPASS_CONFIG) && config.bypass <= 1)
		iommu_set_bypass(&device->iommu, config.bypass);
}

static void virtio_iommu_save(struct virtio *virtio, struct state_writer *writer, uint64_t index)
{
	iommu_save(&device_of(virtio)->iommu, writer, index);
}

static void virtio_iommu_restore(struct virtio *virtio, struct state_reader *reader, uint64_t index)
{
	iommu_restore(&device_of(virtio)->iommu, reader, index);
}

static void virtio_iommu_destroy(struct virtio *virtio)
{
	struct virtio_iommu *device = device_of(virtio);

	virtio_stop(virtio);
	worker_stop(&device->worker);
	virtio_fini(virtio);
	worker_destroy(&device->worker);
	pthread_mutex_destroy(&device->fault_lock);
	iommu_destroy(&device->iommu);
	free(device);
}

static const struct virtio_ops virtio_iommu_ops = {
	.name = "virtio-iommu",
	.device_id = VIRTIO_ID_IOMMU,
	.config_size = sizeof(struct virtio_iommu_config),
	.config_read = virtio_iommu_config_read,
	.config_write = virtio_iommu_config_write,
	.end = virtio_iommu_end,
	.process = virtio_iommu_process,
	.save = virtio_iommu_save,
	.restore = virtio_iommu_restore,
	.destroy = virtio_iommu_destroy,
};

int virtio_iommu_create(struct virtio **created, struct iommu **iommu, const struct memory *memory,
			const struct virtio_iommu_options *options)
{
	struct virtio_iommu *device = calloc(1, sizeof(*device));
	struct event_loop *const loops[QUEUES] = { &device->worker.loop, &device->worker.loop };
	int err;

	if (!device) {
		log_error("virtio-iommu: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = iommu_create(&device->iommu, options->mappings_max);
	if (err < 0)
		goto free_device;
	device->iommu.msi_start = options->msi_start;
	device->iommu.msi_end = options->msi_end;
	device->iommu.fault = fault;
	err = worker_create(&device->worker);
	if (err < 0)
		goto destroy_iommu;
	err = virtio_init(&device->virtio, &virtio_iommu_ops, memory, loops, FEATURES, QUEUES,
			  QUEUE_SIZE);
	if (err < 0)
		goto destroy_worker;
	pthread_mutex_init(&device->fault_lock, NULL);
	err = worker_start(&device->worker, "iommu");
	if (err < 0)
		goto fini_virtio;
	*created = &device->virtio;
	*iommu = &device->iommu;
	return 0;

fini_virtio:
	pthread_mutex_destroy(&device->fault_lock);
	virtio_fini(&device->virtio);
destroy_worker:
	worker_destroy(&device->worker);
destroy_iommu:
	iommu_destroy(&device->iommu);
free_device:
	free(device);
	return err;
}
