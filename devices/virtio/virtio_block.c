// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Each queue has a worker, a thread that takes the driver's requests, starts
 * them with the queue's disk engine, and when all are taken submits them at once. Completions are
 * reaped in batches too: every one is pushed to the ring, then the driver is told of all of them.
 * What is there already when a batch was submitted is reaped at once, without a wake-up, and what
 * the page cache has may be done when it was started.
 *
 * A request that is in flight lives in a struct of its own, one for each head that a ring can have.
 * The data parts of its chain are copied there, as host addresses that virtqueue.c has checked.
 *
 * A request may have any length, and the host any number of them, so what a queue has in the
 * kernel's hands at a time is bounded in bytes; the rest of the ring is left alone meanwhile. So is
 * what it begins in a turn, for that may be done when it was begun.
 *
 * Some requests wait although they were taken: a flush while another one is under way, and a write
 * that shares a block with another one (disk_claim()). They are looked at when one of those is
 * done, which is rare, so all requests are looked through.
 *
 * Behind an IOMMU what a driver sees as one segment may be one of each page, so that segments have
 * a bound there (SIZE_MAX), and requests room for as many pieces.
 *
 * To stop a queue, its ring is taken away, so that nothing new begins; what waits is given up, what
 * is in flight is ended early (disk_engine.stop), and that is waited for, because until then the
 * host's kernel may write to guest memory. The driver is not told of what was given up.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/iov.h"
#include "host/log.h"
#include "host/worker.h"
#include "util.h"
#include "virtio/virtio_block.h"

#define FEATURE(bit) (UINT64_C(1) << (bit))

#define QUEUE_SIZE VIRTIO_BLOCK_DEPTH

/* In the kernel's hands at a time, for each queue, with what the last request adds to it. */
#define IN_FLIGHT_MAX MIB(16)

/* Of the requests that are begun before other events have their turn. */
#define TURN_BYTES MIB(16)

/*
 * Behind an IOMMU: bytes of a segment, which lie in no more than 8 of its pages; and pieces of all
 * segments with header and status, which is as many as the kernel takes (UIO_MAXIOV).
 */
#define SEGMENT_BYTES (7 * IOMMU_PAGE)
#define PIECES_MAX    1024

/* What drivers may put into a request. A range is worked on in one go, so it has a bound. */
#define SEG_MAX		    126
#define DISCARD_SECTORS_MAX (GIB(1) / DISK_SECTOR)
#define ZEROES_SECTORS_MAX  (MIB(64) / DISK_SECTOR)
#define RANGES_MAX	    1

/* Of the configuration structure, what our features give a meaning: all before secure erase. */
#define CONFIG_SIZE offsetof(struct virtio_blk_config, max_secure_erase_sectors)

struct request {
	struct disk_request disk;
	struct block_queue *queue;
	uint16_t head;
	uint32_t in_bytes; /* of the chain, the status byte included */
	uint32_t filled; /* of those, how many a success fills with data */
	uint64_t weight; /* bytes of in_flight_bytes */
	/* As the driver asked for it. */
	enum disk_operation operation;
	uint64_t length; /* bytes */
	bool waits; /* was taken, and not started */
	uint8_t *status; /* in guest memory */
	struct iovec *segments; /* segments_max of them */
};

_Static_assert(SEG_MAX *(SEGMENT_BYTES / IOMMU_PAGE + 1) + 3 <= PIECES_MAX, "no room for pieces");

struct block_queue {
	struct virtio_block *device;
	unsigned int index;
	struct worker worker;
	struct disk_engine *engine;

	/* The virtio queue's lock guards all below. */
	pthread_cond_t idle; /* in_flight has become 0 */
	unsigned int in_flight; /* those that wait included */
	uint64_t in_flight_bytes;
	bool full; /* more was left in the ring */
	uint64_t turn_bytes; /* begun in this turn */
	unsigned int waiting;
	struct request *flush; /* the one that is under way, or a write that ends with one */
	struct iovec *segments; /* of all requests */
	struct request requests[QUEUE_SIZE];
};

struct virtio_block {
	struct virtio virtio;
	struct disk *disk;
	char serial[VIRTIO_BLK_ID_BYTES]; /* filled up with NUL, if there is room */
	struct log_limit limit;
	struct block_queue *queues;
	unsigned int queue_count;
	bool behind_iommu;
	unsigned int segments_max; /* of a request, data only */
};

static struct virtio_block *device_of(struct virtio *virtio)
{
	return container_of(virtio, struct virtio_block, virtio);
}

static struct block_queue *block_queue_of(struct virtio_queue *queue)
{
	return &device_of(queue->virtio)->queues[queue->index];
}

static struct virtio_queue *virtio_queue_of(struct block_queue *queue)
{
	return &queue->device->virtio.queues[queue->index];
}

/* The end of a request. */

/*
 * Gives a request back, filled bytes of data before its status byte. A device says how much it has
 * written from the start on without a gap (virtio 1.3, 2.7.8.2).
 */
static void finish(struct request *request, uint8_t status, uint32_t filled)
{
	const uint32_t written = filled + 1 == request->in_bytes ? request->in_bytes : filled;

	*request->status = status;
	virtqueue_push(&virtio_queue_of(request->queue)->ring, request->head, written);
}

static const char *operation_name(enum disk_operation operation)
{
	static const char *const names[] = {
		[DISK_READ] = "read",
		[DISK_WRITE] = "write",
		[DISK_FLUSH] = "flush",
		[DISK_DISCARD] = "discard",
		[DISK_WRITE_ZEROES] = "write zeroes",
	};

	return names[operation];
}

/* With the virtio queue's lock, so that there is one at a time who counts. */
static void count(const struct request *request)
{
	const struct block_queue *queue = request->queue;
	struct disk_counts *counts = &queue->device->disk->counts[queue->index];

	switch (request->operation) {
	case DISK_READ:
		counter_add(&counts->reads, 1);
		counter_add(&counts->read_bytes, request->length);
		break;
	case DISK_WRITE:
		counter_add(&counts->writes, 1);
		counter_add(&counts->written_bytes, request->length);
		break;
	case DISK_FLUSH:
		counter_add(&counts->flushes, 1);
		break;
	case DISK_DISCARD:
	case DISK_WRITE_ZEROES:
		counter_add(&counts->discards, 1);
		break;
	}
}

/* Tells the driver. Of what a queue that stops has given up it hears nothing. */
static void conclude(struct request *request, int result)
{
	struct block_queue *queue = request->queue;

	if (result == -ECANCELED && virtio_queue_stopping(virtio_queue_of(queue)))
		return;
	if (result < 0)
		log_guest(&queue->device->limit, "disk %s: %s: %s", queue->device->disk->path,
			  operation_name(request->operation), strerror(-result));
	if (result < 0) {
		finish(request, VIRTIO_BLK_S_IOERR, 0);
	} else {
		count(request);
		finish(request, VIRTIO_BLK_S_OK, request->filled);
	}
}

static void request_done(struct disk_request *disk, int result)
{
	struct request *request = container_of(disk, struct request, disk);
	struct block_queue *queue = request->queue;

	conclude(request, result);
	disk_release(queue->device->disk, disk);
	if (queue->flush == request)
		queue->flush = NULL;
	if (queue->waiting > 0)
		event_notify(&virtio_queue_of(queue)->kick);
	queue->in_flight_bytes -= request->weight;
	queue->in_flight--;
	if (queue->in_flight == 0)
		pthread_cond_broadcast(&queue->idle);
}

/* The beginning of one. */

/* False: it has to wait. */
static bool start_now(struct request *request)
{
	struct block_queue *queue = request->queue;
	const bool flushes = disk_flushes(&request->disk);

	if ((flushes && queue->flush) || !disk_claimed(queue->device->disk, &request->disk))
		return false;
	if (flushes)
		queue->flush = request;
	queue->engine->ops->start(queue->engine, &request->disk);
	return true;
}

/* Another queue is done with what a request of this one waits for. */
static void come(struct disk_claim *claim)
{
	struct request *request = container_of(claim, struct request, disk.claim);

	event_notify(&virtio_queue_of(request->queue)->kick);
}

static void start(struct request *request, enum disk_operation operation)
{
	struct block_queue *queue = request->queue;
	const uint64_t length = request->disk.length;

	request->operation = request->disk.operation = operation;
	request->length = length;
	request->disk.slot = request->head;
	request->disk.stable = !virtio_has(&queue->device->virtio, VIRTIO_BLK_F_FLUSH);
	request->disk.done = request_done;
	request->disk.claim.come = come;
	request->weight = length < DISK_PIECE ? length : DISK_PIECE;
	queue->in_flight++;
	queue->in_flight_bytes += request->weight;
	queue->turn_bytes += length;
	disk_claim(queue->device->disk, &request->disk);
	request->waits = !start_now(request);
	queue->waiting += request->waits;
}

/* Calls act for what waits; true: it does not any more. */
static void for_waiting(struct block_queue *queue, bool (*act)(struct request *request))
{
	for (unsigned int i = 0; i < QUEUE_SIZE && queue->waiting > 0; i++) {
		struct request *request = &queue->requests[i];

		if (!request->waits || !act(request))
			continue;
		request->waits = false;
		queue->waiting--;
	}
}

static bool give_up(struct request *request)
{
	request_done(&request->disk, -ECANCELED);
	return true;
}

static bool inside(const struct virtio_block *device, uint64_t sector, uint64_t bytes)
{
	const uint64_t sectors = device->disk->sectors;

	return sector <= sectors && bytes / DISK_SECTOR <= sectors - sector;
}

static void transfer(struct request *request, const struct virtqueue_chain *chain,
		     const struct virtio_blk_outhdr *header)
{
	const bool write = header->type == VIRTIO_BLK_T_OUT;
	const struct virtio_block *device = request->queue->device;
	const uint32_t length = write ? chain->out_bytes - sizeof(*header) : chain->in_bytes - 1;

	if (length % DISK_SECTOR != 0 || !inside(device, header->sector, length) ||
	    (write && device->disk->read_only)) {
		finish(request, VIRTIO_BLK_S_IOERR, 0);
		return;
	}
	if (length == 0) {
		finish(request, VIRTIO_BLK_S_OK, 0);
		return;
	}
	request->disk.segments = request->segments;
	request->disk.count = iov_slice(request->segments, request->queue->device->segments_max,
					write ? chain->out : chain->in,
					write ? chain->out_count : chain->in_count,
					write ? sizeof(*header) : 0, length);
	request->filled = write ? 0 : length;
	request->disk.offset = header->sector * DISK_SECTOR;
	request->disk.length = length;
	start(request, write ? DISK_WRITE : DISK_READ);
}

static uint8_t range_status(const struct virtio_block *device,
			    const struct virtio_blk_discard_write_zeroes *range, bool zeroes)
{
	const uint32_t flags = zeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;

	if (range->flags & ~flags)
		return VIRTIO_BLK_S_UNSUPP;
	if (range->num_sectors > (zeroes ? ZEROES_SECTORS_MAX : DISCARD_SECTORS_MAX) ||
	    !inside(device, range->sector, range->num_sectors * DISK_SECTOR))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

/* Discard and write zeroes: data is the range that is meant (virtio 1.3, 5.2.6). */
static void change_range(struct request *request, const struct virtqueue_chain *chain, bool zeroes)
{
	const struct virtio_block *device = request->queue->device;
	struct virtio_blk_discard_write_zeroes range;
	const uint32_t header_bytes = sizeof(struct virtio_blk_outhdr);
	uint8_t status = VIRTIO_BLK_S_IOERR;

	if (!virtio_has(&device->virtio, zeroes ? VIRTIO_BLK_F_WRITE_ZEROES : VIRTIO_BLK_F_DISCARD))
		status = VIRTIO_BLK_S_UNSUPP;
	else if (chain->out_bytes == header_bytes + RANGES_MAX * sizeof(range) &&
		 iov_read(chain->out, chain->out_count, header_bytes, &range, sizeof(range)))
		status = range_status(device, &range, zeroes);
	if (status != VIRTIO_BLK_S_OK || range.num_sectors == 0) {
		finish(request, status, 0);
		return;
	}
	request->disk.offset = range.sector * DISK_SECTOR;
	request->disk.length = range.num_sectors * DISK_SECTOR;
	request->disk.unmap = range.flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	start(request, zeroes ? DISK_WRITE_ZEROES : DISK_DISCARD);
}

static void get_id(struct request *request, const struct virtqueue_chain *chain)
{
	uint32_t size = chain->in_bytes - 1;

	if (size > VIRTIO_BLK_ID_BYTES)
		size = VIRTIO_BLK_ID_BYTES;
	iov_write(chain->in, chain->in_count, 0, request->queue->device->serial, size);
	finish(request, VIRTIO_BLK_S_OK, size);
}

/* The last byte that the device may write. */
static uint8_t *status_byte(const struct virtqueue_chain *chain)
{
	const struct iovec *last = &chain->in[chain->in_count - 1];

	while (last->iov_len == 0)
		last--;
	return (uint8_t *)last->iov_base + last->iov_len - 1;
}

/* Whether the turn may go on, with what is under way or has been done in it. */
static bool turn_goes_on(struct virtio_queue *queue)
{
	struct block_queue *block_queue = block_queue_of(queue);

	block_queue->full = block_queue->in_flight_bytes >= IN_FLIGHT_MAX;
	if (block_queue->full)
		return false;
	if (block_queue->turn_bytes < TURN_BYTES)
		return true;
	event_notify(&queue->kick);
	return false;
}

static bool virtio_block_handle(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct block_queue *block_queue = block_queue_of(queue);
	struct request *request = &block_queue->requests[chain->head];
	struct virtio_blk_outhdr header;

	if (iov_read(chain->out, chain->out_count, 0, &header, sizeof(header)) < sizeof(header) ||
	    chain->in_bytes == 0) {
		virtqueue_break(&queue->ring);
		return true;
	}
	request->queue = block_queue;
	request->head = chain->head;
	request->in_bytes = chain->in_bytes;
	request->filled = 0;
	request->status = status_byte(chain);

	switch (header.type) {
	case VIRTIO_BLK_T_IN:
	case VIRTIO_BLK_T_OUT:
		transfer(request, chain, &header);
		break;
	case VIRTIO_BLK_T_FLUSH:
		request->disk.length = 0;
		start(request, DISK_FLUSH);
		break;
	case VIRTIO_BLK_T_GET_ID:
		get_id(request, chain);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		change_range(request, chain, header.type == VIRTIO_BLK_T_WRITE_ZEROES);
		break;
	default:
		finish(request, VIRTIO_BLK_S_UNSUPP, 0);
		break;
	}
	return turn_goes_on(queue);
}

/* The queue. */

/* What is done is pushed and shown, and then there may be room for more. */
static void reap(struct virtio_queue *queue)
{
	struct block_queue *block_queue = block_queue_of(queue);

	block_queue->engine->ops->reap(block_queue->engine);
	virtio_publish(queue);
	if (block_queue->full && block_queue->in_flight_bytes < IN_FLIGHT_MAX) {
		block_queue->full = false;
		event_notify(&queue->kick);
	}
}

static void virtio_block_process(struct virtio_queue *queue)
{
	struct block_queue *block_queue = block_queue_of(queue);

	block_queue->turn_bytes = 0;
	for_waiting(block_queue, start_now);
	/* A driver may kick although it was told not to. */
	if (!block_queue->full)
		virtio_serve(queue, virtio_block_handle);
	block_queue->engine->ops->submit(block_queue->engine);
	reap(queue);
}

static void virtio_block_ready(struct disk_engine *engine)
{
	struct block_queue *block_queue = engine->owner;
	struct virtio_queue *queue = virtio_queue_of(block_queue);

	pthread_mutex_lock(&queue->lock);
	reap(queue);
	pthread_mutex_unlock(&queue->lock);
}

static void virtio_block_settle(struct virtio_queue *queue)
{
	struct block_queue *block_queue = block_queue_of(queue);

	while (block_queue->in_flight > 0)
		pthread_cond_wait(&block_queue->idle, &queue->lock);
}

static void virtio_block_drain(struct virtio_queue *queue)
{
	struct block_queue *block_queue = block_queue_of(queue);

	virtqueue_stop(&queue->ring);
	for_waiting(block_queue, give_up);
	block_queue->full = false;
	virtio_block_settle(queue);
}

static void virtio_block_config_read(struct virtio *virtio, uint32_t offset, void *value,
				     uint32_t size)
{
	const struct virtio_block *device = device_of(virtio);
	const struct virtio_blk_config config = {
		.capacity = device->disk->sectors,
		.size_max = device->behind_iommu ? SEGMENT_BYTES : 0,
		.seg_max = SEG_MAX,
		.blk_size = device->disk->block_size,
		.num_queues = device->queue_count,
		.max_discard_sectors = DISCARD_SECTORS_MAX,
		.max_discard_seg = RANGES_MAX,
		.discard_sector_alignment = device->disk->discard_align / DISK_SECTOR,
		.max_write_zeroes_sectors = ZEROES_SECTORS_MAX,
		.max_write_zeroes_seg = RANGES_MAX,
		.write_zeroes_may_unmap = 1,
	};

	memcpy(value, (const char *)&config + offset, size);
}

/* Making and destroying. */

static void block_queue_destroy(struct block_queue *queue)
{
	disk_engine_give_back(queue->engine);
	worker_destroy(&queue->worker);
	pthread_cond_destroy(&queue->idle);
	free(queue->segments);
}

/* Touched where they are used: mostly a few of the first. */
static int make_room(struct block_queue *queue)
{
	const size_t room = queue->device->segments_max;

	queue->segments = calloc(QUEUE_SIZE * room, sizeof(*queue->segments));
	if (!queue->segments) {
		log_error("virtio-block: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < QUEUE_SIZE; i++)
		queue->requests[i].segments = queue->segments + i * room;
	return 0;
}

static int block_queue_create(struct block_queue *queue)
{
	int err = worker_create(&queue->worker);

	if (err < 0)
		return err;
	err = disk_engine_take(&queue->engine, queue->device->disk, &queue->worker.loop);
	if (err == 0) {
		err = make_room(queue);
		if (err < 0)
			disk_engine_give_back(queue->engine);
	}
	if (err < 0) {
		worker_destroy(&queue->worker);
		return err;
	}
	queue->engine->ready = virtio_block_ready;
	queue->engine->owner = queue;
	pthread_cond_init(&queue->idle, NULL);
	return 0;
}

static void destroy_queues(struct virtio_block *device)
{
	for (unsigned int i = 0; i < device->queue_count; i++)
		block_queue_destroy(&device->queues[i]);
	free(device->queues);
}

static int create_queues(struct virtio_block *device, const struct virtio_block_options *options)
{
	const unsigned int count = options->queues;
	int err = 0;

	device->queues = calloc(count, sizeof(*device->queues));
	if (!device->queues) {
		log_error("virtio-block: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	while (err == 0 && device->queue_count < count) {
		struct block_queue *queue = &device->queues[device->queue_count];

		queue->device = device;
		queue->index = device->queue_count;
		err = block_queue_create(queue);
		if (err == 0)
			device->queue_count++;
	}
	if (err < 0)
		destroy_queues(device);
	return err;
}

/* Ends the first count threads. */
static void stop_workers(struct virtio_block *device, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		worker_stop(&device->queues[i].worker);
}

static int start_workers(struct virtio_block *device)
{
	for (unsigned int i = 0; i < device->queue_count; i++) {
		char name[32];
		int err;

		snprintf(name, sizeof(name), "block-%u", i);
		err = worker_start(&device->queues[i].worker, name);
		if (err < 0) {
			stop_workers(device, i);
			return err;
		}
	}
	return 0;
}

static void virtio_block_destroy(struct virtio *virtio)
{
	struct virtio_block *device = device_of(virtio);

	virtio_stop(virtio);
	stop_workers(device, device->queue_count);
	virtio_fini(virtio);
	destroy_queues(device);
	free(device);
}

struct block_state {
	uint64_t sectors;
	uint32_t read_only;
	uint32_t zero;
};

/* What is on the disk stays there: it has to be there when the rest comes back. */
static void virtio_block_save(struct virtio *virtio, struct state_writer *writer, uint64_t index)
{
	struct disk *disk = device_of(virtio)->disk;
	const struct block_state state = { disk->sectors, disk->read_only, 0 };
	const int err = disk_sync(disk);

	if (err < 0) {
		log_error("disk %s: %s", disk->path, strerror(-err));
		state_fail_write(writer, err);
	}
	state_put(writer, "virtio-block", index, &state, sizeof(state));
}

static void virtio_block_restore(struct virtio *virtio, struct state_reader *reader, uint64_t index)
{
	const struct disk *disk = device_of(virtio)->disk;
	struct block_state state;

	if (!state_get(reader, "virtio-block", index, &state, sizeof(state)))
		return;
	if (state.sectors == disk->sectors && state.read_only == disk->read_only)
		return;
	log_error("disk %s: has %" PRIu64 " sectors%s, and the guest's had %" PRIu64 "%s",
		  disk->path, disk->sectors, disk->read_only ? ", read-only" : "", state.sectors,
		  state.read_only ? ", read-only" : "");
	state_fail_read(reader, -EINVAL);
}

static const struct virtio_ops virtio_block_ops = {
	.name = "virtio-block",
	.device_id = VIRTIO_ID_BLOCK,
	.config_size = CONFIG_SIZE,
	.config_read = virtio_block_config_read,
	.process = virtio_block_process,
	.drain = virtio_block_drain,
	.settle = virtio_block_settle,
	.save = virtio_block_save,
	.restore = virtio_block_restore,
	.destroy = virtio_block_destroy,
};

static int init_virtio(struct virtio_block *device, const struct memory *memory)
{
	struct event_loop *loops[VIRTIO_BLOCK_QUEUES_MAX];
	uint64_t features = FEATURE(VIRTIO_BLK_F_SEG_MAX) | FEATURE(VIRTIO_BLK_F_BLK_SIZE) |
			    FEATURE(VIRTIO_BLK_F_FLUSH);
	int err;

	if (device->queue_count > 1)
		features |= FEATURE(VIRTIO_BLK_F_MQ);
	if (device->behind_iommu)
		features |= FEATURE(VIRTIO_BLK_F_SIZE_MAX);
	if (device->disk->read_only)
		features |= FEATURE(VIRTIO_BLK_F_RO);
	else
		features |= FEATURE(VIRTIO_BLK_F_DISCARD) | FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
	for (unsigned int i = 0; i < device->queue_count; i++)
		loops[i] = &device->queues[i].worker.loop;
	err = virtio_init(&device->virtio, &virtio_block_ops, memory, loops, features,
			  device->queue_count, QUEUE_SIZE);
	if (err < 0)
		return err;
	device->virtio.segments_max = device->segments_max;
	for (unsigned int i = 0; i < device->queue_count; i++)
		device->queues[i].engine->stop = &device->virtio.queues[i].stopping;
	return 0;
}

static void set_serial(struct virtio_block *device)
{
	const char *slash = strrchr(device->disk->path, '/');
	const char *name = slash ? slash + 1 : device->disk->path;

	memcpy(device->serial, name, strnlen(name, sizeof(device->serial)));
}

_Static_assert(VIRTIO_BLOCK_QUEUES_MAX <= DISK_ENGINES_MAX, "an engine for each");

unsigned int virtio_block_queues(unsigned int cpus)
{
	return cpus < VIRTIO_BLOCK_QUEUES_MAX ? cpus : VIRTIO_BLOCK_QUEUES_MAX;
}

int virtio_block_create(struct virtio **created, const struct memory *memory,
			const struct virtio_block_options *options)
{
	struct virtio_block *device = calloc(1, sizeof(*device));
	int err;

	if (!device) {
		log_error("virtio-block: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	device->disk = options->disk;
	device->behind_iommu = options->behind_iommu;
	device->segments_max = options->behind_iommu ? PIECES_MAX : VIRTQUEUE_SEGMENTS_MAX;
	set_serial(device);
	err = create_queues(device, options);
	if (err < 0)
		goto free_device;
	err = init_virtio(device, memory);
	if (err < 0)
		goto destroy_queues;
	err = start_workers(device);
	if (err < 0)
		goto fini_virtio;
	*created = &device->virtio;
	return 0;

fini_virtio:
	virtio_fini(&device->virtio);
destroy_queues:
	destroy_queues(device);
free_device:
	free(device);
	return err;
}
