// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver as the specification has it, written by hand in the same memory, against the device with
 * its threads and real files. Each of the driver's slots has descriptors, buffers and a region of
 * the disk of its own, so that what any order of completion leaves behind is known.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "unit.h"
#include "util.h"
#include "virtio/virtio_block.h"

#define BASE UINT64_C(0x40000000)
#define RAM  MIB(16)

#define SLOTS	   32
#define SLOT_DESCS 8
#define ENTRIES	   (SLOTS * SLOT_DESCS)

/* Guest addresses, for each queue. */
#define RING(queue)  (BASE + UINT64_C(0x10000) * (queue))
#define DESC(queue)  RING(queue)
#define AVAIL(queue) (RING(queue) + 0x2000)
#define USED(queue)  (RING(queue) + 0x4000)

/* And for each slot: header, status, data. */
#define SLOT(slot)  (BASE + MIB(1) + UINT64_C(0x20000) * (slot))
#define SLOT_DATA   0x1000
#define DATA_MAX    65536
#define REGION	    KIB(256) /* of the disk */
#define DISK_SIZE   (SLOTS * REGION)
#define SERIAL_NAME "a-name-longer-than-20-bytes"

#define FLUSH_FEATURE (UINT64_C(1) << VIRTIO_BLK_F_FLUSH)
#define RANGE_FEATURES \
	(UINT64_C(1) << VIRTIO_BLK_F_DISCARD | UINT64_C(1) << VIRTIO_BLK_F_WRITE_ZEROES)

static struct memory memory;
static struct virtio *device;
static char path[256];
static uint8_t *model; /* of the disk's content */
static uint64_t seed;

/* The transport. */

static atomic_uint interrupts, config_interrupts;

static void queue_interrupt(struct virtio_transport *transport, unsigned int queue)
{
	interrupts++;
}

static void config_interrupt(struct virtio_transport *transport)
{
	config_interrupts++;
}

static struct virtio_transport transport = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
};

/*
 * An engine in front of io_uring's that fails requests, or holds them back and lets go of one a
 * millisecond.
 */
struct hook {
	struct disk_engine engine;
	struct disk_engine *inner;
	struct event_timer timer;
	struct disk_request *held[ENTRIES];
	unsigned int count;
};

static atomic_int hook_error;
static atomic_bool hook_slow;
static atomic_uint hook_started, hook_stable;
static atomic_bool hook_overlap; /* a flush was started while another request was under way */

static void hook_ready(struct disk_engine *inner)
{
	struct hook *hook = inner->owner;

	hook->engine.ready(&hook->engine);
}

static void hook_expired(struct event_timer *timer)
{
	struct hook *hook = container_of(timer, struct hook, timer);

	hook->engine.ready(&hook->engine);
}

static const struct disk_engine_ops hook_ops;

static int hook_create(struct disk_engine **engine, unsigned int depth)
{
	struct hook *hook = calloc(1, sizeof(*hook));
	const struct disk_engine_ops *inner = disk_engine_choose(DISK_ENGINE_IO_URING);

	assert_int_equal(inner->create(&hook->inner, depth), 0);
	hook->inner->ops = inner;
	hook->inner->owner = hook;
	hook->inner->ready = hook_ready;
	*engine = &hook->engine;
	return 0;
}

static int hook_attach(struct disk_engine *engine, struct event_loop *loop)
{
	struct hook *hook = container_of(engine, struct hook, engine);

	event_timer_create(&hook->timer, loop, CLOCK_MONOTONIC, hook_expired);
	return hook->inner->ops->attach(hook->inner, loop);
}

static void hook_detach(struct disk_engine *engine)
{
	struct hook *hook = container_of(engine, struct hook, engine);

	event_timer_destroy(&hook->timer);
	hook->inner->ops->detach(hook->inner);
}

static void hook_start(struct disk_engine *engine, struct disk_request *request)
{
	struct hook *hook = container_of(engine, struct hook, engine);

	hook->inner->disk = engine->disk;
	hook->inner->fd = engine->fd;
	if (request->operation == DISK_FLUSH)
		hook_overlap |= hook_started != device->queues[0].ring.next_used;
	hook_started++;
	hook_stable += request->stable;
	if (hook_error)
		request->done(request, -hook_error);
	else if (hook_slow)
		hook->held[hook->count++] = request;
	else
		hook->inner->ops->start(hook->inner, request);
}

static void hook_submit(struct disk_engine *engine)
{
	struct hook *hook = container_of(engine, struct hook, engine);

	if (hook->count > 0)
		event_timer_in(&hook->timer, 1000000);
	hook->inner->ops->submit(hook->inner);
}

static void hook_reap(struct disk_engine *engine)
{
	struct hook *hook = container_of(engine, struct hook, engine);

	if (hook->count > 0)
		hook->inner->ops->start(hook->inner, hook->held[--hook->count]);
	hook_submit(engine);
	hook->inner->ops->reap(hook->inner);
}

static void hook_destroy(struct disk_engine *engine)
{
	struct hook *hook = container_of(engine, struct hook, engine);

	hook->inner->ops->destroy(hook->inner);
	free(hook);
}

static const struct disk_engine_ops hook_ops = {
	.name = "hook",
	.create = hook_create,
	.attach = hook_attach,
	.detach = hook_detach,
	.start = hook_start,
	.submit = hook_submit,
	.reap = hook_reap,
	.destroy = hook_destroy,
};

/* The driver. */

struct driver_queue {
	unsigned int index;
	uint16_t avail, used; /* indices that the driver has come to */
};

static struct driver_queue queue0;

static struct vring_avail *avail_of(const struct driver_queue *queue)
{
	return memory_at(&memory, AVAIL(queue->index), 4096);
}

static struct vring_used *used_of(const struct driver_queue *queue)
{
	return memory_at(&memory, USED(queue->index), 4096);
}

static void *guest(uint64_t gpa)
{
	return memory_at(&memory, gpa, 1);
}

static void status_add(uint8_t bits)
{
	pthread_mutex_lock(&device->lock);
	virtio_set_status(device, atomic_load(&device->status) | bits);
	pthread_mutex_unlock(&device->lock);
}

static void reset(void)
{
	pthread_mutex_lock(&device->lock);
	virtio_set_status(device, 0);
	pthread_mutex_unlock(&device->lock);
}

static void queue_begin(struct driver_queue *queue, unsigned int index)
{
	struct virtio_queue *virtio_queue = &device->queues[index];

	*queue = (struct driver_queue){ .index = index };
	memset(guest(RING(index)), 0, 0x10000);
	pthread_mutex_lock(&device->lock);
	virtio_queue->layout = (struct virtqueue_layout){
		.desc = DESC(index),
		.avail = AVAIL(index),
		.used = USED(index),
		.size = ENTRIES,
	};
	virtio_queue_set_ready(virtio_queue, true);
	pthread_mutex_unlock(&device->lock);
}

/* Takes all features but these. */
static void negotiate(uint64_t refused)
{
	const uint64_t wanted = device->offered & ~refused;

	status_add(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	pthread_mutex_lock(&device->lock);
	virtio_set_features(device, 0, wanted);
	virtio_set_features(device, 1, wanted >> 32);
	pthread_mutex_unlock(&device->lock);
	status_add(VIRTIO_CONFIG_S_FEATURES_OK);
	assert_true(atomic_load(&device->status) & VIRTIO_CONFIG_S_FEATURES_OK);
}

static void driver_begin(uint64_t refused)
{
	negotiate(refused);
	queue_begin(&queue0, 0);
	status_add(VIRTIO_CONFIG_S_DRIVER_OK);
}

/* What the host asks of direct I/O, 0: what it really does. */
static uint32_t host_align;
static bool direct;
static struct disk disk;
static int loop_fd =
	-1; /* of the loop device that a test has made of the image, which goes with it */

int statx(int fd, const char *name, int flags, unsigned int mask, struct statx *stx)
{
	const int err = syscall(SYS_statx, fd, name, flags, mask, stx);

	if (host_align > 0) {
		stx->stx_mask |= STATX_DIOALIGN;
		stx->stx_dio_mem_align = stx->stx_dio_offset_align = host_align;
	}
	return err;
}

static void device_begin(const struct disk_engine_ops *engine, bool read_only, unsigned int queues)
{
	const struct virtio_block_options options = {
		.disk = &disk,
		.queues = virtio_block_queues(queues),
	};
	const struct disk_options image = {
		.read_only = read_only,
		.direct = direct,
		.ops = engine,
		.engines = options.queues,
		.depth = VIRTIO_BLOCK_DEPTH,
	};

	assert_int_equal(disk_open(&disk, path, &image), 0);
	assert_int_equal(disk_begin(&disk), 0);
	assert_int_equal(virtio_block_create(&device, &memory, &options), 0);
	assert_non_null(device);
	device->transport = &transport;
}

static void device_end(void)
{
	device->ops->destroy(device);
	device = NULL;
	disk_close(&disk);
}

/* A chain in the making, at a slot's descriptors. */
struct chain {
	unsigned int slot, count;
	struct driver_queue *queue;
};

static void chain_add(struct chain *chain, uint64_t gpa, uint32_t length, bool in)
{
	struct vring_desc *table = guest(DESC(chain->queue->index));
	const unsigned int index = chain->slot * SLOT_DESCS + chain->count;

	assert_true(chain->count < SLOT_DESCS);
	table[index] = (struct vring_desc){ gpa, length, in ? VRING_DESC_F_WRITE : 0, 0 };
	if (chain->count > 0) {
		table[index - 1].flags |= VRING_DESC_F_NEXT;
		table[index - 1].next = index;
	}
	chain->count++;
}

static void offer(struct driver_queue *queue, uint16_t head)
{
	struct vring_avail *avail = avail_of(queue);

	avail->ring[queue->avail % ENTRIES] = head;
	queue->avail++;
	__atomic_store_n(&avail->idx, queue->avail, __ATOMIC_RELEASE);
}

static void kick(const struct driver_queue *queue)
{
	event_notify(&device->queues[queue->index].kick);
}

static bool used_any(const struct driver_queue *queue)
{
	return __atomic_load_n(&used_of(queue)->idx, __ATOMIC_ACQUIRE) != queue->used;
}

static void sleep_ms(unsigned int milliseconds)
{
	usleep(milliseconds * 1000);
}

/* The next chain that is done: its slot, and what the device says of its length. */
static unsigned int take_used(struct driver_queue *queue, uint32_t *length)
{
	struct vring_used_elem elem;

	for (int i = 0; i < 50000 && !used_any(queue); i++)
		usleep(100);
	assert_true(used_any(queue));
	elem = used_of(queue)->ring[queue->used++ % ENTRIES];
	*length = elem.len;
	assert_int_equal(elem.id % SLOT_DESCS, 0);
	return elem.id / SLOT_DESCS;
}

/* Requests: header at a slot's start, status 64 bytes on, data further on. */

static uint8_t *slot_status(unsigned int slot)
{
	return guest(SLOT(slot) + 64);
}

static uint8_t *slot_data(unsigned int slot)
{
	return guest(SLOT(slot) + SLOT_DATA);
}

static void put_header(unsigned int slot, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr *header = guest(SLOT(slot));

	*header = (struct virtio_blk_outhdr){ .type = type, .sector = sector };
	*slot_status(slot) = 0xee;
}

/* Adds data in as many pieces as asked, cut anywhere. */
static void add_data(struct chain *chain, uint32_t length, bool in, unsigned int pieces)
{
	uint64_t gpa = SLOT(chain->slot) + SLOT_DATA;

	for (; pieces > 1 && length > 1; pieces--) {
		const uint32_t part = 1 + chance(&seed) % (length - 1);

		chain_add(chain, gpa, part, in);
		gpa += part;
		length -= part;
	}
	if (length > 0)
		chain_add(chain, gpa, length, in);
}

/* Offers a request whose data lie in the slot, header and status by themselves. */
static void request(struct driver_queue *queue, unsigned int slot, uint32_t type, uint64_t sector,
		    uint32_t length, bool in, unsigned int pieces)
{
	struct chain chain = { .slot = slot, .queue = queue };

	put_header(slot, type, sector);
	chain_add(&chain, SLOT(slot), sizeof(struct virtio_blk_outhdr), false);
	add_data(&chain, length, in, pieces);
	chain_add(&chain, SLOT(slot) + 64, 1, true);
	offer(queue, slot * SLOT_DESCS);
}

/* Kicks, waits for the one request that is out, and returns its status. */
static uint8_t outcome(unsigned int slot, uint32_t used)
{
	uint32_t length;

	kick(&queue0);
	assert_int_equal(take_used(&queue0, &length), slot);
	assert_int_equal(length, used);
	return *slot_status(slot);
}

static uint8_t do_in(uint64_t sector, uint32_t length, uint32_t used)
{
	request(&queue0, 0, VIRTIO_BLK_T_IN, sector, length, true, 1);
	return outcome(0, used);
}

static uint8_t do_out(uint64_t sector, uint32_t length)
{
	request(&queue0, 0, VIRTIO_BLK_T_OUT, sector, length, false, 1);
	return outcome(0, 1);
}

static uint8_t do_range(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes *range = (void *)slot_data(0);

	*range = (struct virtio_blk_discard_write_zeroes){ sector, sectors, flags };
	request(&queue0, 0, type, 0, sizeof(*range), false, 1);
	return outcome(0, 1);
}

static bool needs_reset(void)
{
	for (int i = 0; i < 5000; i++) {
		if (atomic_load(&device->status) & VIRTIO_CONFIG_S_NEEDS_RESET)
			return true;
		sleep_ms(1);
	}
	return false;
}

/* A second vCPU, which goes on whatever happens, for two seconds at most. */
static pthread_t second;
static atomic_bool second_runs;

static void second_begin(void *(*run)(void *unused))
{
	second_runs = true;
	pthread_create(&second, NULL, run, NULL);
}

static void second_end(void)
{
	if (atomic_exchange(&second_runs, false))
		pthread_join(second, NULL);
}

static void *keep_kicking(void *unused)
{
	for (int i = 0; i < 100000 && second_runs; i++) {
		event_notify(&device->queues[0].kick);
		usleep(20);
	}
	return NULL;
}

/* Offers every chain again as soon as it is done. */
static void *keep_offering(void *unused)
{
	for (int i = 0; i < 20000 && second_runs; i++) {
		while (used_any(&queue0))
			offer(&queue0, used_of(&queue0)->ring[queue0.used++ % ENTRIES].id);
		kick(&queue0);
		usleep(100);
	}
	return NULL;
}

/* Around each test. */

static int begin(void **state)
{
	FILE *file;

	if (memory_create(&memory, BASE, RAM, MEMORY_ANON, NULL) < 0)
		return -1;
	snprintf(path, sizeof(path), "%s/" SERIAL_NAME, scratch_begin());
	seed = 0x6e69647573;
	model = malloc(DISK_SIZE);
	for (size_t i = 0; i < DISK_SIZE; i++)
		model[i] = chance(&seed);
	file = fopen(path, "w");
	if (!file || fwrite(model, DISK_SIZE, 1, file) != 1 || fclose(file) != 0)
		return -1;
	hook_error = 0;
	hook_slow = false;
	hook_started = hook_stable = 0;
	hook_overlap = false;
	host_align = 0;
	direct = false;
	interrupts = config_interrupts = 0;
	return catch_begin(state);
}

static int finish(void **state)
{
	second_end();
	if (device)
		device_end();
	if (loop_fd >= 0)
		close(loop_fd);
	loop_fd = -1;
	free(model);
	memory_destroy(&memory);
	scratch_end();
	return catch_end(state);
}

/* Reads part of the file past nidus. */
static void file_read(void *buffer, size_t size, uint64_t offset)
{
	int fd = open(path, O_RDONLY);

	assert_int_equal(pread(fd, buffer, size, offset), size);
	close(fd);
}

static void assert_file_is_model(void)
{
	uint8_t *content = malloc(DISK_SIZE);

	file_read(content, DISK_SIZE, 0);
	assert_int_equal(memcmp(content, model, DISK_SIZE), 0);
	free(content);
}

/* What is right. */

static void configuration_tells_of_the_disk(void **state)
{
	struct virtio_blk_config config;

	device_begin(&disk_sync_ops, false, 9);
	assert_int_equal(device->queue_count, VIRTIO_BLOCK_QUEUES_MAX);
	device->ops->config_read(device, 0, &config, device->ops->config_size);
	assert_int_equal(config.capacity, DISK_SIZE / 512);
	assert_int_equal(config.seg_max, 126);
	assert_int_equal(config.blk_size, 512);
	assert_int_equal(config.num_queues, VIRTIO_BLOCK_QUEUES_MAX);
	assert_int_equal(config.max_discard_seg, 1);
	assert_int_equal(config.max_write_zeroes_seg, 1);
	assert_false(device->offered & UINT64_C(1) << VIRTIO_BLK_F_RO);
	assert_true(device->offered & UINT64_C(1) << VIRTIO_BLK_F_MQ);
	device_end();

	device_begin(&disk_sync_ops, true, 1);
	assert_true(device->offered & UINT64_C(1) << VIRTIO_BLK_F_RO);
	assert_false(device->offered & (RANGE_FEATURES | UINT64_C(1) << VIRTIO_BLK_F_MQ));
}

static void id_is_the_name_of_the_file(void **state)
{
	device_begin(&disk_sync_ops, true, 1);
	driver_begin(0);
	request(&queue0, 0, VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES, true, 3);
	assert_int_equal(outcome(0, VIRTIO_BLK_ID_BYTES + 1), VIRTIO_BLK_S_OK);
	assert_memory_equal(slot_data(0), SERIAL_NAME, VIRTIO_BLK_ID_BYTES);

	/* A buffer that is too short, and one that is too long. */
	request(&queue0, 0, VIRTIO_BLK_T_GET_ID, 0, 7, true, 1);
	assert_int_equal(outcome(0, 8), VIRTIO_BLK_S_OK);
	request(&queue0, 0, VIRTIO_BLK_T_GET_ID, 0, 40, true, 1);
	assert_int_equal(outcome(0, VIRTIO_BLK_ID_BYTES), VIRTIO_BLK_S_OK);
}

/* What a slot of the randomized test is at. */
struct job {
	uint32_t type, length;
	uint64_t offset;
};

static void job_begin(struct driver_queue *queue, unsigned int slot, struct job *job)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN,	VIRTIO_BLK_T_IN,
					  VIRTIO_BLK_T_OUT,	VIRTIO_BLK_T_OUT,
					  VIRTIO_BLK_T_FLUSH,	VIRTIO_BLK_T_GET_ID,
					  VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES };
	const uint32_t sectors = 1 + chance(&seed) % (DATA_MAX / 512);
	const uint64_t sector =
		slot * (REGION / 512) + chance(&seed) % (REGION / 512 - sectors + 1);
	const unsigned int pieces = 1 + chance(&seed) % 5;
	struct virtio_blk_discard_write_zeroes *range = (void *)slot_data(slot);

	*job = (struct job){ types[chance(&seed) % ARRAY_SIZE(types)], sectors * 512,
			     sector * 512 };
	switch (job->type) {
	case VIRTIO_BLK_T_IN:
		memset(slot_data(slot), 0, job->length);
		request(queue, slot, job->type, sector, job->length, true, pieces);
		break;
	case VIRTIO_BLK_T_OUT:
		for (uint32_t i = 0; i < job->length; i++)
			slot_data(slot)[i] = model[job->offset + i] = chance(&seed);
		request(queue, slot, job->type, sector, job->length, false, pieces);
		break;
	case VIRTIO_BLK_T_GET_ID:
		request(queue, slot, job->type, 0, VIRTIO_BLK_ID_BYTES, true, pieces);
		break;
	case VIRTIO_BLK_T_FLUSH:
		request(queue, slot, job->type, 0, 0, false, 0);
		break;
	default:
		*range = (struct virtio_blk_discard_write_zeroes){ sector, sectors, 0 };
		if (job->type == VIRTIO_BLK_T_WRITE_ZEROES)
			range->flags = chance(&seed) % 2;
		request(queue, slot, job->type, 0, sizeof(*range), false, pieces);
	}
}

static void job_end(unsigned int slot, const struct job *job, uint32_t used)
{
	static const uint8_t zeroes[DATA_MAX];

	assert_int_equal(*slot_status(slot), VIRTIO_BLK_S_OK);
	switch (job->type) {
	case VIRTIO_BLK_T_IN:
		assert_int_equal(used, job->length + 1);
		assert_memory_equal(slot_data(slot), model + job->offset, job->length);
		break;
	case VIRTIO_BLK_T_GET_ID:
		assert_int_equal(used, VIRTIO_BLK_ID_BYTES + 1);
		assert_memory_equal(slot_data(slot), SERIAL_NAME, VIRTIO_BLK_ID_BYTES);
		break;
	case VIRTIO_BLK_T_DISCARD:
		assert_int_equal(used, 1);
		/* May read as anything. */
		file_read(model + job->offset, job->length, job->offset);
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		assert_int_equal(used, 1);
		memcpy(model + job->offset, zeroes, job->length);
		break;
	default:
		assert_int_equal(used, 1);
	}
}

static void run_jobs(struct driver_queue *queue, unsigned int first, unsigned int slots,
		     unsigned int total)
{
	struct job jobs[SLOTS];
	unsigned int begun = 0, ended = 0;

	for (; begun < slots; begun++)
		job_begin(queue, first + begun, &jobs[first + begun]);
	kick(queue);
	while (ended < total) {
		uint32_t used;
		const unsigned int slot = take_used(queue, &used);

		job_end(slot, &jobs[slot], used);
		ended++;
		if (begun == total)
			continue;
		job_begin(queue, slot, &jobs[slot]);
		begun++;
		/* A kick for each of a few, so that batches of all sizes are seen. */
		if (chance(&seed) % 4 == 0 || begun - ended == 1 || begun == total ||
		    !used_any(queue))
			kick(queue);
	}
	assert_false(used_any(queue));
}

static void content_stays_whole(const struct disk_engine_ops *engine)
{
	device_begin(engine, false, 1);
	driver_begin(0);
	run_jobs(&queue0, 0, SLOTS, 3000);
	assert_true(interrupts > 0);
	device_end();
	assert_file_is_model();
	assert_silent();
}

static void io_uring_keeps_content_whole(void **state)
{
	if (!disk_uring_ops.supported())
		skip();
	content_stays_whole(&disk_uring_ops);
}

static void aio_keeps_content_whole(void **state)
{
	content_stays_whole(&disk_aio_ops);
}

static void sync_keeps_content_whole(void **state)
{
	content_stays_whole(&disk_sync_ops);
}

static void queues_work_beside_each_other(void **state)
{
	struct driver_queue queues[2];

	device_begin(disk_engine_choose(DISK_ENGINE_IO_URING), false, 2);
	negotiate(0);
	queue_begin(&queues[0], 0);
	queue_begin(&queues[1], 1);
	status_add(VIRTIO_CONFIG_S_DRIVER_OK);
	for (int i = 0; i < 20; i++) {
		run_jobs(&queues[0], 0, 8, 30);
		run_jobs(&queues[1], 8, 8, 30);
	}
	device_end();
	assert_file_is_model();
}

static void header_may_come_in_pieces(void **state)
{
	struct chain chain = { .slot = 0, .queue = &queue0 };

	device_begin(&disk_sync_ops, false, 1);
	driver_begin(0);
	put_header(0, VIRTIO_BLK_T_IN, 9);
	chain_add(&chain, SLOT(0), 3, false);
	chain_add(&chain, SLOT(0) + 3, 0, false);
	chain_add(&chain, SLOT(0) + 3, 8, false);
	chain_add(&chain, SLOT(0) + 11, 5, false);
	/* The status byte right behind the data, and an empty segment after it. */
	chain_add(&chain, SLOT(0) + SLOT_DATA, 513, true);
	chain_add(&chain, SLOT(0) + SLOT_DATA, 0, true);
	slot_data(0)[512] = 0xee;
	offer(&queue0, 0);
	outcome(0, 513);
	assert_int_equal(slot_data(0)[512], VIRTIO_BLK_S_OK);
	assert_memory_equal(slot_data(0), model + 9 * 512, 512);

	/* Data to write that begin in the header's segment. */
	chain = (struct chain){ .slot = 1, .queue = &queue0 };
	put_header(1, VIRTIO_BLK_T_OUT, 3);
	memset(guest(SLOT(1) + 16), 0x77, 512);
	chain_add(&chain, SLOT(1), 16 + 512, false);
	chain_add(&chain, SLOT(1) + 0x800, 1, true);
	offer(&queue0, SLOT_DESCS);
	outcome(1, 1);
	memset(model + 3 * 512, 0x77, 512);
	assert_file_is_model();
}

static void writes_are_stable_without_flush(void **state)
{
	device_begin(&hook_ops, false, 1);
	driver_begin(FLUSH_FEATURE);
	assert_int_equal(do_out(0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(hook_stable, 1);
	reset();
	driver_begin(0);
	assert_int_equal(do_out(0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(hook_stable, 1);
	assert_int_equal(hook_started, 2);
}

/* What is wrong: the request fails. */

static void outside_of_the_disk_is_an_error(void **state)
{
	const uint64_t sectors = DISK_SIZE / 512;

	device_begin(&disk_sync_ops, false, 1);
	driver_begin(0);
	assert_int_equal(do_in(sectors - 1, 512, 513), VIRTIO_BLK_S_OK);
	assert_int_equal(do_in(sectors - 1, 1024, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_in(sectors, 512, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_in(sectors, 0, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(do_in(UINT64_MAX, 512, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_in(UINT64_MAX / 512 + 1, 512, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_out(sectors - 1, 1024), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_out(UINT64_MAX - 1, 1024), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_range(VIRTIO_BLK_T_DISCARD, sectors - 1, 2, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_range(VIRTIO_BLK_T_WRITE_ZEROES, UINT64_MAX, 2, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
	assert_file_is_model();
	assert_silent();
}

static void counted_on(const struct disk_engine_ops *engine)
{
	const struct disk_counts *counts = &disk.counts[0];

	device_begin(engine, false, 1);
	driver_begin(0);
	assert_int_equal(do_out(0, 512), VIRTIO_BLK_S_OK);
	assert_int_equal(do_out(8, 1024), VIRTIO_BLK_S_OK);
	assert_int_equal(do_in(0, 2048, 2049), VIRTIO_BLK_S_OK);
	assert_int_equal(do_range(VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(do_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_OK);
	request(&queue0, 0, VIRTIO_BLK_T_FLUSH, 0, 0, false, 0);
	assert_int_equal(outcome(0, 1), VIRTIO_BLK_S_OK);
	/* None of these comes to the disk, or not to a good end. */
	assert_int_equal(do_in(UINT64_MAX, 512, 0), VIRTIO_BLK_S_IOERR);
	request(&queue0, 0, VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES, true, 3);
	assert_int_equal(outcome(0, VIRTIO_BLK_ID_BYTES + 1), VIRTIO_BLK_S_OK);
	assert_true(counter_read(&counts->reads) == 1);
	assert_true(counter_read(&counts->read_bytes) == 2048);
	assert_true(counter_read(&counts->writes) == 2);
	assert_true(counter_read(&counts->written_bytes) == 1536);
	assert_true(counter_read(&counts->flushes) == 1);
	assert_true(counter_read(&counts->discards) == 2);
	device_end();
}

static void what_is_done_is_counted(void **state)
{
	counted_on(&disk_uring_ops);
	counted_on(&disk_sync_ops);
	/* A write that failed is none, and with the next life of the guest all begins anew. */
	device_begin(&hook_ops, false, 1);
	driver_begin(0);
	hook_error = EIO;
	assert_int_equal(do_out(0, 512), VIRTIO_BLK_S_IOERR);
	said();
	assert_true(counter_read(&disk.counts[0].writes) == 0);
	hook_error = 0;
	assert_int_equal(do_out(0, 512), VIRTIO_BLK_S_OK);
	assert_true(counter_read(&disk.counts[0].writes) == 1);
	assert_int_equal(disk_begin(&disk), 0);
	assert_true(counter_read(&disk.counts[0].writes) == 0);
	assert_true(counter_read(&disk.counts[0].written_bytes) == 0);
}

static void parts_of_sectors_are_an_error(void **state)
{
	device_begin(&disk_sync_ops, false, 1);
	driver_begin(0);
	assert_int_equal(do_in(0, 511, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_in(0, 1, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_out(0, 513), VIRTIO_BLK_S_IOERR);
	assert_file_is_model();
}

static void read_only_is_not_written(void **state)
{
	device_begin(&disk_sync_ops, true, 1);
	driver_begin(0);
	assert_int_equal(do_out(0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(do_range(VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(do_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(do_in(0, 512, 513), VIRTIO_BLK_S_OK);
	assert_memory_equal(slot_data(0), model, 512);
	request(&queue0, 0, VIRTIO_BLK_T_FLUSH, 0, 0, false, 0);
	assert_int_equal(outcome(0, 1), VIRTIO_BLK_S_OK);
	assert_file_is_model();
}

static void what_is_unknown_is_unsupported(void **state)
{
	device_begin(&disk_sync_ops, false, 1);
	driver_begin(0);
	request(&queue0, 0, 2 /* T_SCSI_CMD */, 0, 512, false, 1);
	assert_int_equal(outcome(0, 1), VIRTIO_BLK_S_UNSUPP);
	request(&queue0, 0, VIRTIO_BLK_T_SECURE_ERASE, 0, 16, false, 1);
	assert_int_equal(outcome(0, 1), VIRTIO_BLK_S_UNSUPP);
	request(&queue0, 0, UINT32_MAX, 0, 0, false, 1);
	assert_int_equal(outcome(0, 1), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(do_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(do_range(VIRTIO_BLK_T_DISCARD, 0, 8, 1), VIRTIO_BLK_S_UNSUPP);
	/* A range that is none, half a range, two ranges. */
	assert_int_equal(do_range(VIRTIO_BLK_T_DISCARD, 0, 0, 0), VIRTIO_BLK_S_OK);
	request(&queue0, 0, VIRTIO_BLK_T_DISCARD, 0, 8, false, 1);
	assert_int_equal(outcome(0, 1), VIRTIO_BLK_S_IOERR);
	request(&queue0, 0, VIRTIO_BLK_T_DISCARD, 0, 32, false, 1);
	assert_int_equal(outcome(0, 1), VIRTIO_BLK_S_IOERR);
	assert_file_is_model();
	reset();
	driver_begin(RANGE_FEATURES);
	assert_int_equal(do_range(VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(do_range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_UNSUPP);
	assert_file_is_model();
}

static void errors_of_the_host_are_the_guests(void **state)
{
	static const int errors[] = { EIO, ENOSPC };
	const char *lines;
	int count = 0;

	device_begin(&hook_ops, false, 1);
	driver_begin(0);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		hook_error = errors[i];
		assert_int_equal(do_out(0, 512), VIRTIO_BLK_S_IOERR);
		assert_non_null(strstr(said(), strerror(errors[i])));
		assert_int_equal(do_in(0, 512, 0), VIRTIO_BLK_S_IOERR);
		hook_error = 0;
		assert_int_equal(do_in(0, 512, 513), VIRTIO_BLK_S_OK);
	}
	hook_error = EIO;
	for (int i = 0; i < 100; i++)
		assert_int_equal(do_out(0, 512), VIRTIO_BLK_S_IOERR);
	for (lines = said(); (lines = strchr(lines, '\n')); lines++)
		count++;
	assert_true(count <= 8);
	assert_false(atomic_load(&device->status) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_file_is_model();
}

/* What is very wrong: the device wants a reset, and works after it. */

static void assert_broken(void)
{
	kick(&queue0);
	assert_true(needs_reset());
	assert_false(used_any(&queue0));
	assert_int_equal(config_interrupts, 1);
	assert_said("violated the virtio protocol");
	config_interrupts = 0;
	reset();
	driver_begin(0);
	assert_int_equal(do_in(1, 512, 513), VIRTIO_BLK_S_OK);
	assert_memory_equal(slot_data(0), model + 512, 512);
}

static void chains_without_status_or_header_break_the_queue(void **state)
{
	struct chain chain = { .queue = &queue0 };

	device_begin(&disk_sync_ops, false, 1);
	driver_begin(0);

	put_header(0, VIRTIO_BLK_T_OUT, 0);
	chain_add(&chain, SLOT(0), 16 + 512, false);
	offer(&queue0, 0);
	assert_broken();

	chain = (struct chain){ .queue = &queue0 };
	chain_add(&chain, SLOT(0), 15, false);
	chain_add(&chain, SLOT(0) + 64, 1, true);
	offer(&queue0, 0);
	assert_broken();

	chain = (struct chain){ .queue = &queue0 };
	chain_add(&chain, SLOT(0) + 64, 513, true);
	offer(&queue0, 0);
	assert_broken();

	/* A status of no bytes. */
	chain = (struct chain){ .queue = &queue0 };
	chain_add(&chain, SLOT(0), 16, false);
	chain_add(&chain, SLOT(0) + 64, 0, true);
	offer(&queue0, 0);
	assert_broken();
	assert_file_is_model();
}

static void head_in_flight_is_not_taken_again(void **state)
{
	device_begin(&hook_ops, false, 1);
	driver_begin(0);
	hook_slow = true;
	request(&queue0, 0, VIRTIO_BLK_T_IN, 0, 4096, true, 2);
	offer(&queue0, 0);
	kick(&queue0);
	assert_true(needs_reset());
	assert_int_equal(hook_started, 1);
	reset();
	hook_slow = false;
	driver_begin(0);
	assert_int_equal(do_in(1, 512, 513), VIRTIO_BLK_S_OK);
}

/* Resets and the end. */

static void fill_queue(void)
{
	for (unsigned int slot = 0; slot < SLOTS; slot++) {
		const bool in = slot % 2 == 0;

		memset(slot_data(slot), 0x99, DATA_MAX);
		request(&queue0, slot, in ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT,
			slot * (REGION / 512), DATA_MAX, in, 4);
	}
	kick(&queue0);
}

static void reset_under_load(const struct disk_engine_ops *engine, unsigned int rounds)
{
	device_begin(engine, false, 1);
	second_begin(keep_kicking);
	for (unsigned int round = 0; round < rounds; round++) {
		uint16_t used;

		driver_begin(0);
		fill_queue();
		usleep(chance(&seed) % 3000);
		reset();
		/* From here on the memory is the driver's alone. */
		used = used_of(&queue0)->idx;
		for (unsigned int slot = 0; slot < SLOTS; slot++) {
			memset(slot_data(slot), 0x55, DATA_MAX);
			*slot_status(slot) = 0x55;
		}
		sleep_ms(1);
		for (unsigned int slot = 0; slot < SLOTS; slot++) {
			for (unsigned int i = 0; i < DATA_MAX; i += 61)
				assert_int_equal(slot_data(slot)[i], 0x55);
			assert_int_equal(*slot_status(slot), 0x55);
		}
		assert_int_equal(used_of(&queue0)->idx, used);
	}
	second_end();
	driver_begin(0);
	assert_int_equal(do_in(0, 512, 513), VIRTIO_BLK_S_OK);
	assert_memory_equal(slot_data(0), model, 512);
	device_end();
	assert_silent();
}

static void reset_waits_for_what_is_in_flight(void **state)
{
	hook_slow = true;
	reset_under_load(&hook_ops, 20);
	/* More was begun than could be done within the time that the driver gave. */
	assert_true(hook_started >= 20);
}

static void reset_waits_for_every_engine(void **state)
{
	reset_under_load(disk_engine_choose(DISK_ENGINE_IO_URING), 100);
	reset_under_load(&disk_aio_ops, 100);
	reset_under_load(&disk_sync_ops, 100);
}

static void reset_comes_to_an_end(void **state)
{
	struct timespec begun, ended;

	hook_slow = true;
	device_begin(&hook_ops, false, 1);
	driver_begin(0);
	fill_queue();
	second_begin(keep_offering);
	sleep_ms(20);
	clock_gettime(CLOCK_MONOTONIC, &begun);
	reset();
	clock_gettime(CLOCK_MONOTONIC, &ended);
	second_end();
	assert_true(ended.tv_sec - begun.tv_sec <= 1);
	assert_true(hook_started < 10 * SLOTS);
}

static void destroying_waits_for_what_is_in_flight(void **state)
{
	hook_slow = true;
	device_begin(&hook_ops, false, 1);
	driver_begin(0);
	fill_queue();
	while (hook_started < SLOTS)
		usleep(100);
	device_end();
	for (unsigned int slot = 0; slot < SLOTS; slot += 2)
		assert_memory_equal(slot_data(slot), model + slot * REGION, DATA_MAX);
}

/* Rings that change what is in them, and work without a bound. */

static void ring_begin(uint64_t avail, uint64_t used, uint16_t size)
{
	struct virtio_queue *queue = &device->queues[0];

	/* Without the event index turning kicks on and off is a write to the used ring's flags. */
	negotiate(UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX);
	queue0 = (struct driver_queue){ .index = 0 };
	pthread_mutex_lock(&device->lock);
	queue->layout = (struct virtqueue_layout){ DESC(0), avail, used, size };
	virtio_queue_set_ready(queue, true);
	pthread_mutex_unlock(&device->lock);
	status_add(VIRTIO_CONFIG_S_DRIVER_OK);
}

/* A request for the disk's name, at the first two descriptors. */
static void put_small_request(void)
{
	struct chain chain = { .queue = &queue0 };

	memset(guest(RING(0)), 0, 0x10000);
	put_header(0, VIRTIO_BLK_T_GET_ID, 0);
	chain_add(&chain, SLOT(0), sizeof(struct virtio_blk_outhdr), false);
	chain_add(&chain, SLOT(0) + SLOT_DATA, 21, true);
}

static void ring_that_feeds_itself_ends(void **state)
{
	alarm(120);
	device_begin(&disk_sync_ops, false, 1);
	put_small_request();
	/* The available index is where the used flags are. */
	ring_begin(AVAIL(0) + 2, AVAIL(0) + 4, 8);
	assert_true(needs_reset());
	reset();
	driver_begin(0);
	assert_int_equal(do_in(1, 512, 513), VIRTIO_BLK_S_OK);
	device_end();
	alarm(0);
	said();
}

static void *keep_toggling(void *unused)
{
	uint16_t *idx = guest(AVAIL(0) + 2);

	for (uint16_t odd = 0; second_runs; odd ^= 1)
		__atomic_store_n(idx, odd, __ATOMIC_SEQ_CST);
	return NULL;
}

static void ring_that_another_vcpu_toggles_can_be_reset(void **state)
{
	alarm(120);
	device_begin(&disk_sync_ops, false, 1);
	second_begin(keep_toggling);
	for (unsigned int round = 0; round < 200; round++) {
		put_small_request();
		ring_begin(AVAIL(0), USED(0), 8);
		for (unsigned int i = 0; i < 20; i++)
			kick(&queue0);
		reset();
	}
	second_end();
	device_end();
	alarm(0);
	said();
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

#define LARGE_SEGMENTS 126
#define LARGE	       (LARGE_SEGMENTS * KIB(512))

/* All of the ring is one request to read as much as a chain can say, into the same memory. */
static void put_large_requests(void)
{
	struct vring_desc *table = guest(SLOT(1)), *ring = guest(DESC(0));

	put_header(0, VIRTIO_BLK_T_IN, 0);
	table[0] = (struct vring_desc){ SLOT(0), 16, VRING_DESC_F_NEXT, 1 };
	for (unsigned int i = 1; i <= LARGE_SEGMENTS; i++)
		table[i] = (struct vring_desc){ BASE + MIB(8), KIB(512),
						VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, i + 1 };
	table[LARGE_SEGMENTS + 1] = (struct vring_desc){ SLOT(0) + 64, 1, VRING_DESC_F_WRITE, 0 };
	for (unsigned int i = 0; i < ENTRIES; i++)
		ring[i] = (struct vring_desc){ SLOT(1), (LARGE_SEGMENTS + 2) * sizeof(*table),
					       VRING_DESC_F_INDIRECT, 0 };
}

/* What is queued takes 256 times as long as one request; the end of it all may take a few. */
static void large_requests_do_not_hold_up(const struct disk_engine_ops *engine, bool destroy)
{
	double begun, one;
	uint32_t length;

	assert_int_equal(truncate(path, LARGE), 0);
	device_begin(engine, true, 1);
	driver_begin(0);
	put_large_requests();
	for (unsigned int i = 0; i < 2; i++) {
		begun = now();
		offer(&queue0, 0);
		kick(&queue0);
		take_used(&queue0, &length);
		one = now() - begun;
	}
	for (unsigned int i = 0; i < ENTRIES; i++)
		offer(&queue0, i);
	kick(&queue0);
	usleep(one * 1000000);
	begun = now();
	if (destroy)
		device_end();
	else
		reset();
	assert_true(now() - begun < 32 * one + 0.5);
	if (!destroy)
		device_end();
	assert_silent();
}

/*
 * Others have their turn, and the driver its interrupt, after 16 MiB. What the kernel works on may
 * be done together, though, where the worker is kept from looking, and that is one interrupt.
 */
static void a_turn_ends_after_many_bytes(void **state)
{
	static const struct disk_engine_ops *const engines[] = { &disk_uring_ops, &disk_aio_ops,
								 &disk_sync_ops };
	uint32_t length;

	alarm(120);
	assert_int_equal(truncate(path, LARGE), 0);
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		device_begin(engines[i], true, 1);
		driver_begin(UINT64_C(1) << VIRTIO_RING_F_EVENT_IDX);
		put_large_requests();
		interrupts = 0;
		for (unsigned int head = 0; head < 4; head++)
			offer(&queue0, head * SLOT_DESCS);
		kick(&queue0);
		for (unsigned int head = 0; head < 4; head++)
			take_used(&queue0, &length);
		while (interrupts < (engines[i] == &disk_sync_ops ? 4 : 1))
			usleep(1000);
		device_end();
	}
	alarm(0);
}

static void large_requests_do_not_hold_up_a_reset_or_the_end(void **state)
{
	for (unsigned int destroy = 0; destroy < 2; destroy++) {
		large_requests_do_not_hold_up(disk_engine_choose(DISK_ENGINE_IO_URING), destroy);
		large_requests_do_not_hold_up(&disk_aio_ops, destroy);
		large_requests_do_not_hold_up(&disk_sync_ops, destroy);
	}
}

#define FEED_SECTORS 65536

/*
 * A queue of one entry, whose request to read brings the next index and the next request's sector
 * with it, and then more data than the disk has at that place in reach.
 */
static void put_feed(void)
{
	uint8_t *image = calloc(FEED_SECTORS, 512);
	struct vring_desc *table = guest(SLOT(1));
	FILE *file = fopen(path, "w");

	for (unsigned int i = 0; i < FEED_SECTORS; i++) {
		const uint16_t idx = i + 2;
		const uint64_t sector = (i + 1) % FEED_SECTORS;

		memcpy(image + 512 * i, &idx, 2);
		memcpy(image + 512 * i + 2, &sector, 8);
	}
	assert_int_equal(fwrite(image, 512, FEED_SECTORS, file), FEED_SECTORS);
	fclose(file);
	free(image);
	memset(guest(RING(0)), 0, 0x10000);
	put_header(0, VIRTIO_BLK_T_IN, 0);
	table[0] = (struct vring_desc){ SLOT(0), 16, VRING_DESC_F_NEXT, 1 };
	table[1] =
		(struct vring_desc){ AVAIL(0) + 2, 2, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2 };
	table[2] = (struct vring_desc){ SLOT(0) + 8, 8, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 3 };
	table[3] = (struct vring_desc){ SLOT(2), 502, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 4 };
	table[4] = (struct vring_desc){ SLOT(0) + 64, 1, VRING_DESC_F_WRITE, 0 };
	*(struct vring_desc *)guest(DESC(0)) =
		(struct vring_desc){ SLOT(1), 80, VRING_DESC_F_INDIRECT, 0 };
	avail_of(&queue0)->idx = 1;
}

static void queue_that_feeds_itself_from_the_disk_can_be_reset(void **state)
{
	static const enum disk_engine_kind kinds[] = { DISK_ENGINE_IO_URING, DISK_ENGINE_AIO,
						       DISK_ENGINE_SYNC };

	alarm(240);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint16_t used;

		put_feed();
		device_begin(disk_engine_choose(kinds[i]), true, 1);
		ring_begin(AVAIL(0), USED(0), 1);
		while (__atomic_load_n(&used_of(&queue0)->idx, __ATOMIC_RELAXED) < 1000)
			usleep(100);
		reset();
		used = used_of(&queue0)->idx;
		sleep_ms(1);
		assert_int_equal(used_of(&queue0)->idx, used);
		put_feed();
		ring_begin(AVAIL(0), USED(0), 1);
		while (__atomic_load_n(&used_of(&queue0)->idx, __ATOMIC_RELAXED) < 1000)
			usleep(100);
		device_end();
	}
	alarm(0);
}

/* Of two at once, the kernel would tell one alone of an error. */
static void flushes_of_a_queue_follow_each_other(void **state)
{
	uint32_t length;

	hook_slow = true;
	device_begin(&hook_ops, false, 1);
	driver_begin(0);
	for (unsigned int slot = 0; slot < 8; slot++)
		request(&queue0, slot, VIRTIO_BLK_T_FLUSH, 0, 0, false, 0);
	kick(&queue0);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(*slot_status(take_used(&queue0, &length)), VIRTIO_BLK_S_OK);
	assert_int_equal(hook_started, 8);
	assert_false(hook_overlap);
	for (unsigned int slot = 0; slot < 8; slot++)
		request(&queue0, slot, VIRTIO_BLK_T_FLUSH, 0, 0, false, 0);
	kick(&queue0);
	reset();
	device_end();
	assert_silent();
}

/* Direct I/O. */

/*
 * One sector of a page written by each of two queues at the same time, one of them from memory that
 * is not aligned. Each must be on the disk when both are done and flushed, past any cache.
 */
static void neighbours(const struct disk_engine_ops *engine, unsigned int rounds)
{
	struct driver_queue queue1;
	struct virtio_blk_config config;
	int fd = open(path, O_RDONLY | O_DIRECT), cached = open(path, O_RDONLY);
	static _Alignas(4096) uint8_t back[4096];

	direct = true;
	device_begin(engine, false, 2);
	device->ops->config_read(device, 0, &config, device->ops->config_size);
	negotiate(0);
	queue_begin(&queue0, 0);
	queue_begin(&queue1, 1);
	status_add(VIRTIO_CONFIG_S_DRIVER_OK);
	for (unsigned int round = 1; round <= rounds; round++) {
		const uint64_t page = chance(&seed) % (config.capacity / 8);
		struct chain odd = { .slot = 1, .queue = &queue1 };
		uint32_t length;

		posix_fadvise(cached, page * 4096, 4096, POSIX_FADV_DONTNEED);
		memcpy(slot_data(0), &round, 4);
		memcpy(slot_data(1) + 4, &round, 4);
		request(&queue0, 0, VIRTIO_BLK_T_OUT, page * 8, 512, false, 1);
		put_header(1, VIRTIO_BLK_T_OUT, page * 8 + 1);
		chain_add(&odd, SLOT(1), 16, false);
		chain_add(&odd, SLOT(1) + SLOT_DATA + 4, 512, false);
		chain_add(&odd, SLOT(1) + 64, 1, true);
		offer(&queue1, SLOT_DESCS);
		kick(round % 2 ? &queue0 : &queue1);
		kick(round % 2 ? &queue1 : &queue0);
		take_used(&queue0, &length);
		take_used(&queue1, &length);
		request(&queue0, 2, VIRTIO_BLK_T_FLUSH, 0, 0, false, 0);
		kick(&queue0);
		take_used(&queue0, &length);
		assert_int_equal(*slot_status(0) | *slot_status(1) | *slot_status(2), 0);
		assert_int_equal(pread(fd, back, sizeof(back), page * 4096), sizeof(back));
		assert_memory_equal(back, &round, 4);
		assert_memory_equal(back + 512, &round, 4);
	}
	device_end();
	close(fd);
	close(cached);
	assert_silent();
}

/* The host's blocks are said to be larger than sectors, so that each write has to keep a rest. */
static void neighbours_in_a_block_are_kept(void **state)
{
	host_align = 4096;
	neighbours(disk_engine_choose(DISK_ENGINE_IO_URING), 500);
	neighbours(&disk_aio_ops, 500);
	neighbours(&disk_sync_ops, 500);
}

/* A loop device on the image in place of it; false where there is none to be had.
 */
static bool loop_begin(void)
{
	const struct loop_info64 info = { .lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), file, number;

	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	if (number < 0)
		return false;
	file = open(path, O_RDWR | O_CLOEXEC);
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	loop_fd = open(path, O_RDWR | O_CLOEXEC);
	if (loop_fd >= 0 && (ioctl(loop_fd, LOOP_SET_FD, file) < 0 ||
			     ioctl(loop_fd, LOOP_SET_STATUS64, &info) < 0)) {
		close(loop_fd);
		loop_fd = -1;
	}
	close(file);
	return loop_fd >= 0;
}

static void neighbours_on_a_block_device_are_kept(void **state)
{
	if (!loop_begin())
		skip();
	neighbours(disk_engine_choose(DISK_ENGINE_IO_URING), 2000);
	neighbours(&disk_aio_ops, 2000);
	neighbours(&disk_sync_ops, 2000);
}

static void pause_device(bool pause)
{
	pthread_mutex_lock(&device->lock);
	virtio_pause(device, pause);
	pthread_mutex_unlock(&device->lock);
}

/* What was begun is given back before it, and what was not is begun after it. */
static void a_pause_leaves_memory_alone_and_loses_nothing(void **state)
{
	const struct disk_engine_ops *const engines[] = { &hook_ops,
							  disk_engine_choose(DISK_ENGINE_IO_URING),
							  &disk_aio_ops, &disk_sync_ops };
	uint32_t length;

	hook_slow = true;
	for (unsigned int i = 0; i < ARRAY_SIZE(engines); i++) {
		device_begin(engines[i], false, 1);
		driver_begin(0);
		second_begin(keep_kicking);
		for (unsigned int round = 0; round < 20; round++) {
			const uint16_t all = used_of(&queue0)->idx + SLOTS;
			uint16_t used;

			hook_started = 0;
			fill_queue();
			usleep(chance(&seed) % 2000);
			pause_device(true);
			used = used_of(&queue0)->idx;
			if (engines[i] == &hook_ops)
				assert_int_equal((uint16_t)(all - used), SLOTS - hook_started);
			sleep_ms(1);
			assert_int_equal(used_of(&queue0)->idx, used);
			pause_device(false);
			for (unsigned int slot = 0; slot < SLOTS; slot++)
				take_used(&queue0, &length);
			assert_int_equal(used_of(&queue0)->idx, all);
		}
		second_end();
		device_end();
	}
	assert_silent();
}

/* At whichever step: as the reason, which decides whose fault it is. */
static void a_lack_of_descriptors_is_told_as_such(void **state)
{
	static const struct disk_engine_ops *const engines[] = { &disk_uring_ops, &disk_aio_ops,
								 &disk_sync_ops };
	struct rlimit old, limit;

	getrlimit(RLIMIT_NOFILE, &old);
	for (size_t i = 0; i < ARRAY_SIZE(engines); i++) {
		const struct virtio_block_options options = { .disk = &disk, .queues = 2 };
		const struct disk_options image = {
			.direct = direct,
			.ops = engines[i],
			.engines = 2,
			.depth = VIRTIO_BLOCK_DEPTH,
		};
		const int first = dup(STDIN_FILENO);
		struct virtio *made = NULL;

		close(first);
		for (limit = (struct rlimit){ first, old.rlim_max }; !made; limit.rlim_cur++) {
			int err;

			setrlimit(RLIMIT_NOFILE, &limit);
			err = disk_open(&disk, path, &image);
			if (err == 0) {
				assert_int_equal(disk_begin(&disk), 0);
				err = virtio_block_create(&made, &memory, &options);
				if (err < 0)
					disk_close(&disk);
			}
			assert_int_equal(err, made ? 0 : -EMFILE);
		}
		/* A loop is three descriptors. */
		assert_true(limit.rlim_cur > (rlim_t)first + 6);
		made->ops->destroy(made);
		disk_close(&disk);
		setrlimit(RLIMIT_NOFILE, &old);
	}
	said();
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(configuration_tells_of_the_disk),
		test(id_is_the_name_of_the_file),
		test(io_uring_keeps_content_whole),
		test(aio_keeps_content_whole),
		test(sync_keeps_content_whole),
		test(queues_work_beside_each_other),
		test(header_may_come_in_pieces),
		test(writes_are_stable_without_flush),
		test(what_is_done_is_counted),
		test(outside_of_the_disk_is_an_error),
		test(parts_of_sectors_are_an_error),
		test(read_only_is_not_written),
		test(what_is_unknown_is_unsupported),
		test(errors_of_the_host_are_the_guests),
		test(chains_without_status_or_header_break_the_queue),
		test(head_in_flight_is_not_taken_again),
		test(reset_waits_for_what_is_in_flight),
		test(reset_waits_for_every_engine),
		test(reset_comes_to_an_end),
		test(destroying_waits_for_what_is_in_flight),
		test(ring_that_feeds_itself_ends),
		test(ring_that_another_vcpu_toggles_can_be_reset),
		test(a_turn_ends_after_many_bytes),
		test(large_requests_do_not_hold_up_a_reset_or_the_end),
		test(queue_that_feeds_itself_from_the_disk_can_be_reset),
		test(flushes_of_a_queue_follow_each_other),
		test(neighbours_in_a_block_are_kept),
		test(neighbours_on_a_block_device_are_kept),
		test(a_pause_leaves_memory_alone_and_loses_nothing),
		test(a_lack_of_descriptors_is_told_as_such),
	};

	return cmocka_run_group_tests_name("virtio_block", tests, NULL, NULL);
}
