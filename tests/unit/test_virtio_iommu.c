// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device with its driver, and a disk behind it whose reads end when the test lets them.
 */
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_iommu.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "driver.h"
#include "iommu/virtio_iommu.h"
#include "unit.h"
#include "util.h"
#include "virtio/virtio_block.h"

#define BASE	 GIB(1)
#define SIZE	 MIB(4)
#define PAGE	 IOMMU_PAGE
#define REQUEST	 (BASE + MIB(1)) /* what the IOMMU's driver writes, and then what it reads */
#define ANSWER	 (REQUEST + 0x1000)
#define EVENTS	 (REQUEST + 0x2000)
#define RINGS	 (BASE + MIB(2)) /* of the disk, GPA */
#define DATA	 (BASE + MIB(3))
#define WINDOW	 UINT64_C(0x100000000) /* IOVA of the disk's driver's memory, from RINGS on */
#define LIMIT	 64
#define ENDPOINT 0x18
#define DOMAIN	 5

static struct memory memory;
static struct virtio *device, *block;
static struct iommu *iommu;
static struct iommu_endpoint endpoint;
static struct driver driver[2], disk_driver;
static struct disk disk;
static char path[256];
static atomic_uint interrupts;

/* What has to come within ten seconds. */
#define assert_soon(condition)                                              \
	do {                                                                \
		for (unsigned int i_ = 0; i_ < 10000 && !(condition); i_++) \
			usleep(1000);                                       \
		assert_true(condition);                                     \
	} while (0)

static void queue_interrupt(struct virtio_transport *transport, unsigned int queue)
{
	atomic_fetch_add(&interrupts, 1);
}

static void config_interrupt(struct virtio_transport *transport)
{
}

static struct virtio_transport transport = {
	.queue_interrupt = queue_interrupt,
	.config_interrupt = config_interrupt,
};

/* An engine that holds what it is given until the gate is open. */

struct gate {
	struct disk_engine engine;
	struct disk_request *held[VIRTIO_BLOCK_DEPTH];
	unsigned int count;
};

static struct gate *gate;
static atomic_bool gate_open;
static atomic_uint gate_held;

static int gate_create(struct disk_engine **engine, unsigned int depth)
{
	gate = calloc(1, sizeof(*gate));
	*engine = &gate->engine;
	return 0;
}

static int gate_attach(struct disk_engine *engine, struct event_loop *loop)
{
	return 0;
}

static void gate_detach(struct disk_engine *engine)
{
}

static void gate_start(struct disk_engine *engine, struct disk_request *request)
{
	gate->held[gate->count++] = request;
	atomic_store(&gate_held, gate->count);
}

static void gate_submit(struct disk_engine *engine)
{
}

static void gate_reap(struct disk_engine *engine)
{
	while (atomic_load(&gate_open) && gate->count > 0) {
		struct disk_request *request = gate->held[--gate->count];

		atomic_store(&gate_held, gate->count);
		disk_carry_out(engine, request);
	}
}

static void gate_destroy(struct disk_engine *engine)
{
	free(gate);
}

static const struct disk_engine_ops gate_ops = {
	.name = "gate",
	.create = gate_create,
	.attach = gate_attach,
	.detach = gate_detach,
	.start = gate_start,
	.submit = gate_submit,
	.reap = gate_reap,
	.destroy = gate_destroy,
};

static void open_gate(void)
{
	atomic_store(&gate_open, true);
	gate->engine.ready(&gate->engine);
}

/* Both devices. */

static void asked(struct iommu_endpoint *who, bool all)
{
	virtio_revoke(block, all);
}

static void begin_driver(struct virtio *virtio, uint32_t features, uint32_t high)
{
	virtio_set_status(virtio, 3);
	virtio_set_features(virtio, 0, features);
	virtio_set_features(virtio, 1, high);
	virtio_set_status(virtio, 11);
}

static void activate(uint32_t features)
{
	begin_driver(device, features, 1);
	for (unsigned int i = 0; i < 2; i++) {
		driver[i] = driver_create(&memory, BASE + i * 0x4000, 64);
		device->queues[i].layout = driver[i].layout;
		virtio_queue_set_ready(&device->queues[i], true);
	}
	virtio_set_status(device, 15);
}

#define ALL_FEATURES                                                           \
	(1u << VIRTIO_IOMMU_F_MAP_UNMAP | 1u << VIRTIO_IOMMU_F_BYPASS_CONFIG | \
	 1u << VIRTIO_IOMMU_F_PROBE | 1u << VIRTIO_IOMMU_F_MMIO)
#define ACCESS_PLATFORM (1u << (VIRTIO_F_ACCESS_PLATFORM - 32))

static void make_disk(void)
{
	static uint8_t content[MIB(1)];
	const struct disk_options options = { .ops = &gate_ops,
					      .engines = 1,
					      .depth = VIRTIO_BLOCK_DEPTH };
	int fd;

	memset(content, 0xd1, sizeof(content));
	snprintf(path, sizeof(path), "%s/disk", scratch_begin());
	fd = open(path, O_CREAT | O_RDWR, 0600);
	assert_int_equal(write(fd, content, sizeof(content)), sizeof(content));
	close(fd);
	assert_int_equal(disk_open(&disk, path, &options), 0);
	assert_int_equal(disk_begin(&disk), 0);
}

static int begin(void **state)
{
	const struct virtio_iommu_options options = { LIMIT, 0x8090000, 0x809ffff };
	const struct virtio_block_options block_options = { &disk, 1, true };

	if (catch_begin(state) < 0)
		return -1;
	assert_int_equal(memory_create(&memory, BASE, SIZE, MEMORY_ANON, NULL), 0);
	make_disk();
	assert_int_equal(virtio_iommu_create(&device, &iommu, &memory, &options), 0);
	assert_int_equal(virtio_block_create(&block, &memory, &block_options), 0);
	device->transport = block->transport = &transport;
	iommu_add(iommu, &endpoint, ENDPOINT, asked);
	assert_int_equal(virtio_put_behind(block, &endpoint), 0);
	atomic_store(&gate_open, false);
	atomic_store(&gate_held, 0);
	activate(ALL_FEATURES);
	return 0;
}

static int end(void **state)
{
	atomic_store(&gate_open, true);
	gate->engine.ready(&gate->engine);
	iommu_remove(&endpoint);
	block->ops->destroy(block);
	device->ops->destroy(device);
	disk_close(&disk);
	memory_destroy(&memory);
	scratch_end();
	return catch_end(state);
}

/* Requests. */

static void send(const void *request, uint32_t size, uint32_t answer_size)
{
	memcpy(memory_at(&memory, REQUEST, size), request, size);
	memset(memory_at(&memory, ANSWER, 0x1000), 0xee, 0x1000);
	driver_desc(&driver[0], 0, REQUEST, size, NEXT, 1);
	driver_desc(&driver[0], 1, ANSWER, answer_size, WRITE, 0);
	driver_offer(&driver[0], 0);
	event_notify(&device->queues[0].kick);
}

static bool answered(void)
{
	return __atomic_load_n(&driver_used(&driver[0])->idx, __ATOMIC_ACQUIRE) != driver[0].seen;
}

static const uint8_t *answer(uint32_t written)
{
	assert_soon(answered());
	assert_taken(&driver[0], 0, written);
	return memory_at(&memory, ANSWER, 0x1000);
}

static uint8_t ask(const void *request, uint32_t size)
{
	const uint8_t *tail;

	send(request, size, 4);
	tail = answer(4);
	assert_int_equal(tail[1] | tail[2] | tail[3], 0);
	return tail[0];
}

static uint8_t attach_with(uint32_t domain, uint32_t to, uint32_t flags, uint8_t reserved)
{
	const struct virtio_iommu_req_attach request = {
		.head.type = VIRTIO_IOMMU_T_ATTACH,
		.domain = domain,
		.endpoint = to,
		.flags = flags,
		.reserved = { reserved },
	};

	return ask(&request, sizeof(request) - 4);
}

static uint8_t detach(uint32_t domain, uint32_t from)
{
	const struct virtio_iommu_req_detach request = { { VIRTIO_IOMMU_T_DETACH, { 0 } },
							 .domain = domain,
							 .endpoint = from };

	return ask(&request, sizeof(request) - 4);
}

static uint8_t map(uint64_t start, uint64_t end, uint64_t phys, uint32_t flags)
{
	const struct virtio_iommu_req_map request = {
		.head.type = VIRTIO_IOMMU_T_MAP,
		.domain = DOMAIN,
		.virt_start = start,
		.virt_end = end,
		.phys_start = phys,
		.flags = flags,
	};

	return ask(&request, sizeof(request) - 4);
}

static struct virtio_iommu_req_unmap unmap_request(uint64_t start, uint64_t end)
{
	return (struct virtio_iommu_req_unmap){
		.head.type = VIRTIO_IOMMU_T_UNMAP,
		.domain = DOMAIN,
		.virt_start = start,
		.virt_end = end,
	};
}

static uint8_t unmap(uint64_t start, uint64_t end)
{
	const struct virtio_iommu_req_unmap request = unmap_request(start, end);

	return ask(&request, sizeof(request) - 4);
}

static void requests_have_the_status_of_what_they_come_to(void **state)
{
	assert_int_equal(map(0, 0xfff, BASE, 3), VIRTIO_IOMMU_S_NOENT);
	assert_int_equal(unmap(0, 0xfff), VIRTIO_IOMMU_S_NOENT);
	assert_int_equal(attach_with(DOMAIN, 0x20, 0, 0), VIRTIO_IOMMU_S_NOENT);
	assert_int_equal(attach_with(0x10000, ENDPOINT, 0, 0), VIRTIO_IOMMU_S_RANGE);
	assert_int_equal(attach_with(DOMAIN, ENDPOINT, 2, 0), VIRTIO_IOMMU_S_INVAL);
	assert_int_equal(attach_with(DOMAIN, ENDPOINT, 0, 1), VIRTIO_IOMMU_S_INVAL);
	assert_int_equal(detach(DOMAIN, ENDPOINT), VIRTIO_IOMMU_S_INVAL);
	assert_int_equal(attach_with(DOMAIN, ENDPOINT, 0, 0), VIRTIO_IOMMU_S_OK);
	assert_int_equal(map(0, 0xfff, BASE, 3), VIRTIO_IOMMU_S_OK);
	assert_int_equal(map(0, 0x1fff, BASE, 3), VIRTIO_IOMMU_S_INVAL);
	assert_int_equal(map(0x1000, 0x2fff, BASE, 4), VIRTIO_IOMMU_S_OK);
	assert_int_equal(map(0x4000, 0x4fff, BASE, 8), VIRTIO_IOMMU_S_INVAL);
	assert_int_equal(map(0x4000, 0x4ffe, BASE, 3), VIRTIO_IOMMU_S_RANGE);
	assert_int_equal(map(0x8090000, 0x8090fff, BASE, 3), VIRTIO_IOMMU_S_INVAL);
	assert_int_equal(unmap(0x1000, 0x1fff), VIRTIO_IOMMU_S_RANGE);
	assert_int_equal(unmap(0, 0x2fff), VIRTIO_IOMMU_S_OK);
	assert_int_equal(detach(DOMAIN, ENDPOINT), VIRTIO_IOMMU_S_OK);
	assert_int_equal(attach_with(DOMAIN, ENDPOINT, 1, 0), VIRTIO_IOMMU_S_OK);
	assert_int_equal(map(0, 0xfff, BASE, 3), VIRTIO_IOMMU_S_INVAL);
}

static void flags_need_their_features(void **state)
{
	virtio_set_status(device, 0);
	activate(1u << VIRTIO_IOMMU_F_MAP_UNMAP);
	assert_int_equal(attach_with(DOMAIN, ENDPOINT, 1, 0), VIRTIO_IOMMU_S_INVAL);
	assert_int_equal(attach_with(DOMAIN, ENDPOINT, 0, 0), VIRTIO_IOMMU_S_OK);
	assert_int_equal(map(0, 0xfff, BASE, 7), VIRTIO_IOMMU_S_INVAL);
	assert_int_equal(map(0, 0xfff, BASE, 3), VIRTIO_IOMMU_S_OK);
}

static void there_is_a_bound_of_mappings(void **state)
{
	attach_with(DOMAIN, ENDPOINT, 0, 0);
	for (uint64_t i = 0; i < LIMIT; i++)
		assert_int_equal(map(i * PAGE, (i + 1) * PAGE - 1, BASE, 3), VIRTIO_IOMMU_S_OK);
	assert_int_equal(map(GIB(1), GIB(1) + PAGE - 1, BASE, 3), VIRTIO_IOMMU_S_NOMEM);
}

static void probe_tells_where_interrupts_go(void **state)
{
	struct virtio_iommu_req_probe request = { .head.type = VIRTIO_IOMMU_T_PROBE,
						  .endpoint = ENDPOINT };
	struct virtio_iommu_probe_resv_mem msi;
	const uint8_t *bytes;

	send(&request, sizeof(request), 260);
	bytes = answer(260);
	memcpy(&msi, bytes, sizeof(msi));
	assert_int_equal(msi.head.type, VIRTIO_IOMMU_PROBE_T_RESV_MEM);
	assert_int_equal(msi.head.length, 20);
	assert_int_equal(msi.subtype, VIRTIO_IOMMU_RESV_MEM_T_MSI);
	assert_int_equal(msi.start, 0x8090000);
	assert_int_equal(msi.end, 0x809ffff);
	for (unsigned int i = sizeof(msi); i < 260; i++)
		assert_int_equal(bytes[i], 0);
	request.endpoint = 1;
	send(&request, sizeof(request), 260);
	assert_int_equal(answer(260)[256], VIRTIO_IOMMU_S_NOENT);
}

static void what_is_no_request_is_given_back(void **state)
{
	uint8_t request[128] = { 0 };

	for (unsigned int type = 0; type < 256; type++) {
		for (unsigned int size = 1; size < 100; size += type < 8 ? 1 : 23) {
			const bool good = ((type == 1 || type == 2) && size == 20) ||
					  (type == 3 && size == 36) || (type == 4 && size == 28);

			request[0] = type;
			send(request, size, 4);
			answer(good ? 4 : 0);
			send(request, size, 3);
			assert_int_equal(answer(0)[0], 0xee);
		}
	}
	/* Nothing to read, or nothing to write. */
	driver_desc(&driver[0], 0, ANSWER, 4, WRITE, 0);
	driver_offer(&driver[0], 0);
	event_notify(&device->queues[0].kick);
	answer(0);
	request[0] = VIRTIO_IOMMU_T_UNMAP;
	memcpy(memory_at(&memory, REQUEST, 28), request, 28);
	driver_desc(&driver[0], 0, REQUEST, 28, 0, 0);
	driver_offer(&driver[0], 0);
	event_notify(&device->queues[0].kick);
	answer(0);
}

static void configuration_tells_and_takes_bypass(void **state)
{
	struct virtio_iommu_config config;
	const uint32_t at = offsetof(struct virtio_iommu_config, bypass);

	device->ops->config_read(device, 0, &config, sizeof(config));
	assert_int_equal(config.page_size_mask, PAGE);
	assert_int_equal(config.input_range.end, IOMMU_IOVA_MAX);
	assert_int_equal(config.probe_size, 256);
	assert_int_equal(config.bypass, 1);
	virtio_config_write(device, at, 0, 1);
	virtio_config_write(device, 0, 0x55, 8);
	virtio_config_write(device, at, 2, 1);
	device->ops->config_read(device, 0, &config, sizeof(config));
	assert_int_equal(config.page_size_mask, PAGE);
	assert_int_equal(config.bypass, 0);
	/* A reset of the device leaves it. */
	virtio_set_status(device, 0);
	assert_false(iommu->bypass);
	activate(1u << VIRTIO_IOMMU_F_MAP_UNMAP);
	virtio_config_write(device, at, 1, 1);
	assert_false(iommu->bypass);
}

/* The disk. */

static void *disk_memory(uint64_t iova, uint64_t size)
{
	return memory_at(&memory, RINGS + (iova - WINDOW), size);
}

static void map_window(uint32_t flags)
{
	assert_int_equal(attach_with(DOMAIN, ENDPOINT, 0, 0), VIRTIO_IOMMU_S_OK);
	for (uint64_t at = 0; at < 0x8000; at += PAGE)
		assert_int_equal(map(WINDOW + at, WINDOW + at + PAGE - 1, RINGS + at, flags),
				 VIRTIO_IOMMU_S_OK);
}

#define HEADER	   (WINDOW + 0x4000)
#define BUFFER	   (WINDOW + 0x6000)
#define BUFFER_GPA (RINGS + 0x6000)

static void activate_disk(void)
{
	begin_driver(block, 1u << VIRTIO_BLK_F_SIZE_MAX | 1u << VIRTIO_BLK_F_SEG_MAX,
		     1 | ACCESS_PLATFORM);
	disk_driver = driver_create(&memory, RINGS, 64);
	block->queues[0].layout =
		(struct virtqueue_layout){ WINDOW, WINDOW + 0x1000, WINDOW + 0x2000, 64 };
	virtio_queue_set_ready(&block->queues[0], true);
	virtio_set_status(block, 15);
}

/* Header, buffer and status byte; the descriptors are written where RAM is. */
static void offer_read(uint16_t head, uint64_t buffer, uint32_t size)
{
	struct virtio_blk_outhdr header = { .type = VIRTIO_BLK_T_IN };

	memcpy(disk_memory(HEADER, sizeof(header)), &header, sizeof(header));
	driver_desc(&disk_driver, head, HEADER, sizeof(header), NEXT, head + 1);
	driver_desc(&disk_driver, head + 1, buffer, size, NEXT | WRITE, head + 2);
	driver_desc(&disk_driver, head + 2, HEADER + 0x100 + head, 1, WRITE, 0);
	driver_offer(&disk_driver, head);
	event_notify(&block->queues[0].kick);
}

static bool needs_reset(struct virtio *virtio)
{
	return atomic_load(&virtio->status) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static bool disk_answered(void)
{
	return __atomic_load_n(&driver_used(&disk_driver)->idx, __ATOMIC_ACQUIRE) !=
	       disk_driver.seen;
}

static void drivers_have_to_know_of_it(void **state)
{
	begin_driver(block, 0, 1);
	assert_int_equal(atomic_load(&block->status), 3);
	virtio_set_status(block, 0);
	begin_driver(block, 0, 1 | ACCESS_PLATFORM);
	assert_int_equal(atomic_load(&block->status), 11);
}

static void a_disk_reads_into_what_is_mapped(void **state)
{
	const uint8_t *buffer = disk_memory(BUFFER, 2 * PAGE);

	map_window(3);
	activate_disk();
	offer_read(0, BUFFER + 0x800, PAGE);
	assert_soon(atomic_load(&gate_held) == 1);
	open_gate();
	assert_soon(disk_answered());
	assert_int_equal(buffer[0x7ff], 0);
	assert_int_equal(buffer[0x800], 0xd1);
	assert_int_equal(buffer[0x17ff], 0xd1);
	assert_int_equal(buffer[0x1800], 0);
	assert_false(needs_reset(block));
}

/* A read of the disk is in flight, into BUFFER, until the gate opens. */
static void hold_read(void)
{
	map_window(3);
	activate_disk();
	offer_read(0, BUFFER, PAGE);
	assert_soon(atomic_load(&gate_held) == 1);
}

/* The point of it all. */
static void an_unmap_waits_for_what_is_in_flight(void **state)
{
	const struct virtio_iommu_req_unmap request = unmap_request(BUFFER, BUFFER + PAGE - 1);
	uint8_t *buffer = disk_memory(BUFFER, PAGE);

	hold_read();
	/* What nobody uses goes at once. */
	assert_int_equal(unmap(BUFFER + PAGE, BUFFER + 2 * PAGE - 1), VIRTIO_IOMMU_S_OK);
	send(&request, sizeof(request) - 4, 4);
	usleep(100000);
	assert_false(answered());
	assert_int_equal(buffer[0], 0);
	open_gate();
	assert_int_equal(answer(4)[0], VIRTIO_IOMMU_S_OK);
	/* All was read before, and nothing comes after. */
	assert_int_equal(buffer[PAGE - 1], 0xd1);
	memset(buffer, 0x77, PAGE);
	assert_soon(disk_answered());
	assert_taken(&disk_driver, 0, PAGE + 1);
	assert_false(needs_reset(block));
	/* The queue goes on with what is mapped, and breaks with what is not. */
	offer_read(4, WINDOW + 0x5000, PAGE);
	assert_soon(disk_answered());
	assert_taken(&disk_driver, 4, PAGE + 1);
	offer_read(8, BUFFER, PAGE);
	assert_soon(needs_reset(block));
	for (unsigned int i = 0; i < PAGE; i++)
		assert_int_equal(buffer[i], 0x77);
}

/* Each of the rings, with a request in flight. */
static void an_unmap_of_rings_breaks_the_queue(void **state)
{
	for (uint64_t part = 0; part < 3; part++) {
		const struct virtio_iommu_req_unmap request =
			unmap_request(WINDOW + part * PAGE, WINDOW + part * PAGE + PAGE - 1);
		uint8_t *page = disk_memory(WINDOW + part * PAGE, PAGE);

		hold_read();
		send(&request, sizeof(request) - 4, 4);
		usleep(20000);
		assert_false(answered());
		open_gate();
		assert_int_equal(answer(4)[0], VIRTIO_IOMMU_S_OK);
		memset(page, 0x77, PAGE);
		event_notify(&block->queues[0].kick);
		usleep(20000);
		assert_true(needs_reset(block));
		for (unsigned int i = 0; i < PAGE; i++)
			assert_int_equal(page[i], 0x77);
		assert_int_equal(unmap(0, IOMMU_IOVA_MAX), VIRTIO_IOMMU_S_OK);
		atomic_store(&gate_open, false);
		virtio_set_status(block, 0);
	}
}

/* All that takes the memory away from the device at once. */
static void who_is_moved_elsewhere_has_to_begin_anew(void **state)
{
	for (unsigned int way = 0; way < 4; way++) {
		uint8_t *buffer = disk_memory(BUFFER, PAGE);

		map_window(3);
		activate_disk();
		open_gate();
		offer_read(0, BUFFER, PAGE);
		assert_soon(disk_answered());
		if (way == 0)
			assert_int_equal(detach(DOMAIN, ENDPOINT), VIRTIO_IOMMU_S_OK);
		else if (way == 1)
			assert_int_equal(attach_with(9, ENDPOINT, 0, 0), VIRTIO_IOMMU_S_OK);
		else if (way == 2)
			virtio_set_status(device, 0);
		else
			assert_int_equal(attach_with(9, ENDPOINT, 1, 0), VIRTIO_IOMMU_S_OK);
		assert_true(needs_reset(block));
		memset(buffer, 0x77, PAGE);
		offer_read(4, BUFFER, PAGE);
		usleep(20000);
		assert_int_equal(buffer[0], 0x77);
		virtio_set_status(block, 0);
		if (way == 2)
			activate(ALL_FEATURES);
	}
}

static void a_reset_of_the_disk_lets_an_unmap_go_on(void **state)
{
	const struct virtio_iommu_req_unmap request = unmap_request(BUFFER, BUFFER + PAGE - 1);

	hold_read();
	send(&request, sizeof(request) - 4, 4);
	usleep(20000);
	assert_false(answered());
	open_gate();
	pthread_mutex_lock(&block->lock);
	virtio_set_status(block, 0);
	pthread_mutex_unlock(&block->lock);
	assert_int_equal(answer(4)[0], VIRTIO_IOMMU_S_OK);
}

static void faults_are_told_when_there_is_a_buffer(void **state)
{
	const struct virtio_iommu_fault *event = memory_at(&memory, EVENTS, 0x1000);
	uint32_t head, written;

	map_window(1);
	begin_driver(block, 0, 1 | ACCESS_PLATFORM);
	block->queues[0].layout =
		(struct virtqueue_layout){ WINDOW, WINDOW + 0x1000, WINDOW + 0x2000, 64 };
	virtio_queue_set_ready(&block->queues[0], true);
	virtio_set_status(block, 15);
	assert_soon(needs_reset(block));
	assert_non_null(strstr(said(), "device 0x18 may not write to 0x100002000"));
	usleep(20000);
	assert_none_taken(&driver[1]);
	driver_desc(&driver[1], 3, EVENTS, sizeof(*event), WRITE, 0);
	driver_desc(&driver[1], 4, EVENTS + 64, sizeof(*event), WRITE, 0);
	driver_offer(&driver[1], 3);
	driver_offer(&driver[1], 4);
	event_notify(&device->queues[1].kick);
	assert_soon(__atomic_load_n(&driver_used(&driver[1])->idx, __ATOMIC_ACQUIRE) == 1);
	assert_true(driver_take(&driver[1], &head, &written));
	assert_int_equal(head, 3);
	assert_int_equal(written, sizeof(*event));
	assert_int_equal(event->reason, VIRTIO_IOMMU_FAULT_R_MAPPING);
	assert_int_equal(event->flags, VIRTIO_IOMMU_FAULT_F_WRITE | VIRTIO_IOMMU_FAULT_F_ADDRESS);
	assert_int_equal(event->endpoint, ENDPOINT);
	assert_int_equal(event->address, WINDOW + 0x2000);
}

static void more_faults_than_there_is_room_for_are_left_out(void **state)
{
	const struct iommu_fault fault = { IOMMU_NO_MAPPING, IOMMU_READ, ENDPOINT, 0x1000 };
	unsigned int count = 0;
	uint32_t head, written;

	for (unsigned int i = 0; i < 1000; i++)
		iommu->fault(iommu, &fault);
	for (unsigned int i = 0; i < 64; i++) {
		driver_desc(&driver[1], i, EVENTS, sizeof(struct virtio_iommu_fault), WRITE, 0);
		driver_offer(&driver[1], i);
	}
	event_notify(&device->queues[1].kick);
	usleep(100000);
	while (driver_take(&driver[1], &head, &written))
		count++;
	assert_in_range(count, 1, 63);
	said();
}

/* Both of them, into new ones. */
static void what_was_saved_goes_on(void **state)
{
	const struct virtio_iommu_options options = { LIMIT, 0x8090000, 0x809ffff };
	const struct virtio_block_options block_options = { &disk, 1, true };
	struct state_writer writer;
	struct state_reader reader;

	map_window(3);
	activate_disk();
	open_gate();
	offer_read(0, BUFFER, PAGE);
	assert_soon(disk_answered());
	assert_taken(&disk_driver, 0, PAGE + 1);
	virtio_rest(device, true);
	virtio_rest(block, true);
	state_writer_create(&writer);
	virtio_save(device, &writer, 0);
	virtio_save(block, &writer, 1);
	assert_int_equal(writer.err, 0);
	iommu_remove(&endpoint);
	block->ops->destroy(block);
	device->ops->destroy(device);
	assert_int_equal(disk_begin(&disk), 0);
	assert_int_equal(virtio_iommu_create(&device, &iommu, &memory, &options), 0);
	assert_int_equal(virtio_block_create(&block, &memory, &block_options), 0);
	device->transport = block->transport = &transport;
	iommu_add(iommu, &endpoint, ENDPOINT, asked);
	assert_int_equal(virtio_put_behind(block, &endpoint), 0);
	virtio_rest(device, true);
	virtio_rest(block, true);
	state_reader_create(&reader, writer.bytes, writer.size);
	virtio_restore(device, &reader, 0);
	virtio_restore(block, &reader, 1);
	state_done(&reader);
	assert_int_equal(reader.err, 0);
	virtio_rest(device, false);
	virtio_rest(block, false);
	memset(disk_memory(BUFFER, PAGE), 0, PAGE);
	offer_read(4, BUFFER, PAGE);
	gate->engine.ready(&gate->engine);
	assert_soon(atomic_load(&gate_held) == 1 || disk_answered());
	gate->engine.ready(&gate->engine);
	assert_soon(disk_answered());
	assert_taken(&disk_driver, 4, PAGE + 1);
	assert_int_equal(*(uint8_t *)disk_memory(BUFFER, 1), 0xd1);
	assert_int_equal(unmap(BUFFER, BUFFER + PAGE - 1), VIRTIO_IOMMU_S_OK);
	state_writer_destroy(&writer);
}

#define device_test(function) cmocka_unit_test_setup_teardown(function, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		device_test(requests_have_the_status_of_what_they_come_to),
		device_test(flags_need_their_features),
		device_test(there_is_a_bound_of_mappings),
		device_test(probe_tells_where_interrupts_go),
		device_test(what_is_no_request_is_given_back),
		device_test(configuration_tells_and_takes_bypass),
		device_test(drivers_have_to_know_of_it),
		device_test(a_disk_reads_into_what_is_mapped),
		device_test(an_unmap_waits_for_what_is_in_flight),
		device_test(an_unmap_of_rings_breaks_the_queue),
		device_test(who_is_moved_elsewhere_has_to_begin_anew),
		device_test(a_reset_of_the_disk_lets_an_unmap_go_on),
		device_test(faults_are_told_when_there_is_a_buffer),
		device_test(more_faults_than_there_is_room_for_are_left_out),
		device_test(what_was_saved_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
