// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <libfdt.h>
#include <string.h>

#include "unit.h"

#include "arm/devtree.h"
#include "bus/irq.h"
#include "driver.h"
#include "memmap.h"
#include "util.h"
#include "virtio/virtio_mmio.h"

/* Offsets, from virtio 1.3, 4.2.2, and not from the device under test. */
enum {
	MagicValue = 0x000,
	Version = 0x004,
	DeviceID = 0x008,
	VendorID = 0x00c,
	DeviceFeatures = 0x010,
	DeviceFeaturesSel = 0x014,
	DriverFeatures = 0x020,
	DriverFeaturesSel = 0x024,
	QueueSel = 0x030,
	QueueSizeMax = 0x034,
	QueueSize = 0x038,
	QueueReady = 0x044,
	QueueNotify = 0x050,
	InterruptStatus = 0x060,
	InterruptACK = 0x064,
	Status = 0x070,
	QueueDescLow = 0x080,
	QueueDescHigh = 0x084,
	QueueDriverLow = 0x090,
	QueueDriverHigh = 0x094,
	QueueDeviceLow = 0x0a0,
	QueueDeviceHigh = 0x0a4,
	SHMSel = 0x0ac,
	SHMLenLow = 0x0b0,
	SHMLenHigh = 0x0b4,
	SHMBaseLow = 0x0b8,
	SHMBaseHigh = 0x0bc,
	ConfigGeneration = 0x0fc,
	Config = 0x100,
};

#define BASE   GIB(1)
#define DATA   (BASE + MIB(1))
#define QUEUES 2
#define SIZE   32
#define INDEX  3

static struct memory memory;
static struct event_loop loop;
static struct device *mmio;
static struct virtio *device; /* behind it */
static struct driver driver;

/* The device: 12 bytes of configuration, and whatever is asked of its queues is done. */

static uint8_t config[12];
static unsigned int destroyed;

static bool handle(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	virtqueue_push(&queue->ring, chain->head, 0);
	return true;
}

static void process(struct virtio_queue *queue)
{
	virtio_serve(queue, handle);
	virtio_publish(queue);
}

static uint32_t view(uint64_t offset);

static bool watching;
static uint32_t watched; /* the generation that a driver sees while its configuration changes */

static void config_read(struct virtio *which, uint32_t offset, void *value, uint32_t size)
{
	if (watching)
		watched = view(ConfigGeneration);
	memcpy(value, config + offset, size);
}

static void config_write(struct virtio *which, uint32_t offset, const void *value, uint32_t size)
{
	memcpy(config + offset, value, size);
}

static void destroy(struct virtio *which)
{
	virtio_fini(which);
	destroyed++;
}

static const struct virtio_ops ops = {
	.name = "virtio-test",
	.device_id = 42,
	.config_size = sizeof(config),
	.config_read = config_read,
	.config_write = config_write,
	.process = process,
	.destroy = destroy,
};

/* In place of mm/cache.c: what was cleaned is what another observer sees. */

static uint8_t readable[VIRTIO_MMIO_SIZE] __attribute__((aligned(64)));
static uint8_t observed[VIRTIO_MMIO_SIZE];
static bool synced;

uint64_t cache_line_size(void)
{
	return 64;
}

void cache_clean(uintptr_t start, uintptr_t end, uint64_t line)
{
	assert_int_equal(start % 64, 0);
	assert_true(start >= (uintptr_t)readable && end <= (uintptr_t)readable + sizeof(readable));
	memcpy(observed + (start - (uintptr_t)readable), (void *)start, end - start);
	synced = false;
}

void cache_sync(void)
{
	synced = true;
}

/* What the guest reads without an exit. */
static uint32_t view(uint64_t offset)
{
	uint32_t word;

	assert_true(synced);
	memcpy(&word, observed + INDEX * VIRTIO_MMIO_STRIDE + offset, sizeof(word));
	return word;
}

/* In place of vmm/bus/irq.c. */

#define VM_FD 77

static unsigned int edges, changes; /* calls that raised the line, and all */
static bool line;
static int doorbell_result;
static unsigned int doorbells;

static void set_line(const struct irq_line *which, bool level)
{
	assert_int_equal(which->vm_fd, VM_FD);
	assert_int_equal(which->intid, 32 + 16 + INDEX);
	/* Who is interrupted sees why, and who sees nothing is not interrupted. */
	assert_int_equal(view(InterruptStatus) != 0, level);
	line = level;
	edges += level;
	changes++;
}

struct irq_line irq_line_spi(int vm_fd, unsigned int spi)
{
	return (struct irq_line){ .set = set_line, .vm_fd = vm_fd, .intid = 32 + spi };
}

int irq_doorbell(int vm_fd, uint64_t gpa, uint32_t size, uint64_t value, int eventfd)
{
	assert_int_equal(vm_fd, VM_FD);
	if (doorbell_result < 0)
		return doorbell_result;
	assert_int_equal(gpa, VIRTIO_MMIO_BASE + INDEX * VIRTIO_MMIO_STRIDE + QueueNotify);
	assert_int_equal(size, 4);
	assert_int_equal(value, doorbells);
	assert_int_equal(eventfd, device->queues[value].kick.source.fd);
	doorbells++;
	return 0;
}

/* NULL: it fails as its doorbells do. */
static struct device *create(void)
{
	struct event_loop *const loops[QUEUES] = { &loop, &loop };
	static struct virtio storage;
	struct device *created = NULL;

	device = &storage;
	assert_int_equal(virtio_init(device, &ops, &memory, loops, 1, QUEUES, SIZE), 0);
	memset(readable, 0, sizeof(readable));
	assert_int_equal(virtio_mmio_create(&created, INDEX, VM_FD, device, readable),
			 doorbell_result);
	return created;
}

static int begin(void **state)
{
	edges = changes = doorbells = destroyed = 0;
	line = false;
	doorbell_result = 0;
	memset(config, 0, sizeof(config));
	if (memory_create(&memory, BASE, MIB(4), MEMORY_ANON, NULL) < 0 ||
	    event_loop_create(&loop) < 0)
		return -1;
	mmio = create();
	assert_non_null(mmio);
	driver = driver_create(&memory, BASE, 16);
	return catch_begin(state);
}

static int end(void **state)
{
	mmio->ops->destroy(mmio);
	assert_int_equal(destroyed, 1);
	event_loop_destroy(&loop);
	memory_destroy(&memory);
	return catch_end(state);
}

static enum mmio_result access_mmio(uint64_t offset, uint8_t size, bool write, uint64_t *value)
{
	struct mmio_access mmio_access = { offset, *value, size, write };
	enum mmio_result result = mmio->ops->access(mmio, &mmio_access);

	*value = mmio_access.value;
	return result;
}

static uint32_t get(uint64_t offset)
{
	uint64_t value = 0;

	assert_int_equal(access_mmio(offset, 4, false, &value), MMIO_DONE);
	assert_true(value <= UINT32_MAX);
	assert_int_equal(view(offset), value);
	return value;
}

static void set(uint64_t offset, uint32_t value)
{
	uint64_t wide = value;

	assert_int_equal(access_mmio(offset, 4, true, &wide), MMIO_DONE);
}

static void turn(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

static void set_queue(unsigned int queue, const struct virtqueue_layout *layout)
{
	set(QueueSel, queue);
	set(QueueSize, layout->size);
	set(QueueDescLow, layout->desc);
	set(QueueDescHigh, layout->desc >> 32);
	set(QueueDriverLow, layout->avail);
	set(QueueDriverHigh, layout->avail >> 32);
	set(QueueDeviceLow, layout->used);
	set(QueueDeviceHigh, layout->used >> 32);
	set(QueueReady, 1);
}

static void activate(void)
{
	set(Status, 0);
	set(Status, 1);
	set(Status, 3);
	set(DriverFeaturesSel, 1);
	set(DriverFeatures, 1);
	set(Status, 11);
	assert_int_equal(get(Status), 11);
	set_queue(0, &driver.layout);
	set(Status, 15);
	assert_int_equal(get(Status), 15);
	turn();
}

static void serve(uint16_t head)
{
	driver_desc(&driver, head, DATA, 16, 0, 0);
	driver_offer(&driver, head);
	event_notify(&device->queues[0].kick);
	turn();
	assert_taken(&driver, head, 0);
}

static void has_its_place(void **state)
{
	assert_int_equal(mmio->base, 0x0a000000 + INDEX * 0x200);
	assert_int_equal(mmio->size, 0x200);
	assert_int_equal(doorbells, QUEUES);
}

static void says_what_it_is(void **state)
{
	assert_int_equal(get(MagicValue), 0x74726976);
	assert_int_equal(get(Version), 2);
	assert_int_equal(get(DeviceID), 42);
	assert_int_not_equal(get(VendorID), 0);
	assert_int_equal(get(Status), 0);
	assert_int_equal(get(InterruptStatus), 0);
	assert_int_equal(get(SHMLenLow), UINT32_MAX);
	assert_int_equal(get(SHMLenHigh), UINT32_MAX);
	assert_int_equal(get(SHMBaseLow), UINT32_MAX);
	assert_int_equal(get(SHMBaseHigh), UINT32_MAX);
	set(SHMSel, 5);
	assert_int_equal(get(SHMLenLow), UINT32_MAX);
}

static void features_have_two_words(void **state)
{
	assert_int_equal(get(DeviceFeatures), 1 | 1u << 28 | 1u << 29);
	set(DeviceFeaturesSel, 1);
	assert_int_equal(get(DeviceFeatures), 1);
	set(DeviceFeaturesSel, 2);
	assert_int_equal(get(DeviceFeatures), 0);
	set(DeviceFeaturesSel, UINT32_MAX);
	assert_int_equal(get(DeviceFeatures), 0);
	set(DriverFeatures, 0x5);
	set(DriverFeaturesSel, 1);
	set(DriverFeatures, 0x7);
	set(DriverFeaturesSel, 32);
	set(DriverFeatures, 0x9);
	assert_true(device->accepted == UINT64_C(0x700000005));
}

/* Accesses that are no aligned word, below the configuration space. */
static void registers_have_32_bits(void **state)
{
	static const uint8_t sizes[] = { 1, 2, 8 };

	for (uint64_t offset = 0; offset < Config; offset++) {
		for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
			uint64_t value = 0;

			assert_int_equal(access_mmio(offset, sizes[i], false, &value), MMIO_BAD);
			assert_int_equal(access_mmio(offset, sizes[i], true, &value), MMIO_BAD);
		}
		if (offset % 4 != 0) {
			uint64_t value = 0;

			assert_int_equal(access_mmio(offset, 4, false, &value), MMIO_BAD);
			assert_int_equal(access_mmio(offset, 4, true, &value), MMIO_BAD);
		}
	}
}

static void registers_go_one_way(void **state)
{
	static const uint16_t readable[] = {
		MagicValue,   Version,	  DeviceID,	   VendorID,	     DeviceFeatures,
		QueueSizeMax, QueueReady, InterruptStatus, Status,	     SHMLenLow,
		SHMLenHigh,   SHMBaseLow, SHMBaseHigh,	   ConfigGeneration,
	};
	static const uint16_t writable[] = {
		DeviceFeaturesSel,
		DriverFeatures,
		DriverFeaturesSel,
		QueueSel,
		QueueSize,
		QueueReady,
		QueueNotify,
		InterruptACK,
		Status,
		QueueDescLow,
		QueueDescHigh,
		QueueDriverLow,
		QueueDriverHigh,
		QueueDeviceLow,
		QueueDeviceHigh,
		SHMSel,
	};

	for (uint64_t offset = 0; offset < Config; offset += 4) {
		bool reads = false, writes = false;
		uint64_t value = 0;

		for (size_t i = 0; i < ARRAY_SIZE(readable); i++)
			reads |= readable[i] == offset;
		for (size_t i = 0; i < ARRAY_SIZE(writable); i++)
			writes |= writable[i] == offset;
		assert_int_equal(access_mmio(offset, 4, false, &value),
				 reads ? MMIO_DONE : MMIO_BAD);
		value = 0;
		assert_int_equal(access_mmio(offset, 4, true, &value),
				 writes ? MMIO_DONE : MMIO_BAD);
		assert_int_equal(mmio->ops->register_name(offset) != NULL,
				 (reads || writes) && (offset < SHMSel || offset > SHMBaseHigh));
	}
	assert_string_equal(mmio->ops->register_name(QueueNotify), "QueueNotify");
	assert_string_equal(mmio->ops->register_name(Config + 3), "Config");
}

static void queue_works(void **state)
{
	activate();
	assert_int_equal(get(QueueReady), 1);
	serve(3);
	serve(0);
	assert_int_equal(get(Status), 15);
}

static void queue_number_out_of_range(void **state)
{
	static const uint32_t numbers[] = { QUEUES, QUEUES + 1, 255, 65535, 65536, UINT32_MAX };

	set(QueueSel, 1);
	assert_int_equal(get(QueueSizeMax), SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		static const uint16_t registers[] = {
			QueueSize,	QueueReady,	 QueueDescLow,	 QueueDescHigh,
			QueueDriverLow, QueueDriverHigh, QueueDeviceLow, QueueDeviceHigh,
		};

		set(QueueSel, numbers[i]);
		assert_int_equal(get(QueueSizeMax), 0);
		assert_int_equal(get(QueueReady), 0);
		for (size_t j = 0; j < ARRAY_SIZE(registers); j++) {
			uint64_t value = 1;

			assert_int_equal(access_mmio(registers[j], 4, true, &value), MMIO_BAD);
		}
		set(QueueNotify, numbers[i]);
	}
	turn();
	activate();
	serve(1);
}

static void queue_size_that_is_too_large_is_refused(void **state)
{
	static const uint32_t sizes[] = { SIZE + 1, 2 * SIZE, 65536, 65536 + 16, UINT32_MAX, 0, 3 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		activate();
		set(QueueSel, 1);
		set(QueueDescLow, BASE);
		set(QueueDriverLow, BASE);
		set(QueueDeviceLow, BASE);
		set(QueueSize, sizes[i]);
		set(QueueReady, 1);
		assert_int_equal(get(Status), 15 | 0x40);
	}
	activate();
	assert_int_equal(get(Status), 15);
	driver = driver_create(&memory, BASE, 16);
	activate();
	serve(2);
}

/* Queue registers changed after activation. */
static void queue_registers_changed_after_activation_are_ignored(void **state)
{
	activate();
	set(QueueSize, 1);
	set(QueueDescLow, 0x09000000);
	set(QueueDescHigh, 1);
	set(QueueDriverLow, 0x09000000);
	set(QueueDriverHigh, UINT32_MAX);
	set(QueueDeviceLow, 0);
	set(QueueDeviceHigh, 0xdead);
	assert_memory_equal(&device->queues[0].layout, &driver.layout, sizeof(driver.layout));
	set(QueueReady, 1);
	set(DriverFeatures, UINT32_MAX);
	serve(5);
	assert_int_equal(get(Status), 15);
	/* Once the queue is no more ready they count. */
	set(QueueReady, 0);
	set(QueueDescLow, 0x09000000);
	assert_true(device->queues[0].layout.desc == 0x09000000);
	set(QueueReady, 1);
	assert_int_equal(get(Status), 15 | 0x40);
}

/* A device that is told to read and write its own registers. */
static void rings_in_device_space_are_refused(void **state)
{
	const struct virtqueue_layout layouts[] = {
		{ mmio->base, driver.layout.avail, driver.layout.used, 16 },
		{ driver.layout.desc, mmio->base, driver.layout.used, 16 },
		{ driver.layout.desc, driver.layout.avail, mmio->base, 16 },
		{ mmio->base + QueueDescLow, mmio->base, mmio->base + Config, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		activate();
		set_queue(1, &layouts[i]);
		assert_int_equal(get(Status), 15 | 0x40);
		assert_int_equal(get(InterruptStatus) & 2, 2);
	}
	driver = driver_create(&memory, BASE, 16);
	activate();
	driver_desc(&driver, 0, mmio->base, 16, WRITE, 0);
	driver_offer(&driver, 0);
	event_notify(&device->queues[0].kick);
	turn();
	assert_int_equal(get(Status), 15 | 0x40);
}

static void a_kick_that_misses_the_doorbell_is_one(void **state)
{
	activate();
	driver_desc(&driver, 0, DATA, 16, 0, 0);
	driver_offer(&driver, 0);
	set(QueueNotify, QUEUES);
	set(QueueNotify, UINT32_MAX);
	turn();
	assert_int_equal(edges, 0);
	set(QueueNotify, 0);
	turn();
	assert_taken(&driver, 0, 0);
}

static void interrupt_stays_until_acknowledged(void **state)
{
	activate();
	assert_int_equal(changes, 0);
	serve(0);
	assert_int_equal(get(InterruptStatus), 1);
	assert_int_equal(get(InterruptStatus), 1);
	assert_int_equal(edges, 1);
	/* One that is not acknowledged needs no other edge. */
	serve(0);
	assert_int_equal(edges, 1);
	virtio_config_changed(device);
	assert_int_equal(get(InterruptStatus), 3);
	assert_int_equal(edges, 2);
	set(InterruptACK, 2);
	assert_int_equal(get(InterruptStatus), 1);
	assert_true(line);
	set(InterruptACK, 4);
	assert_int_equal(get(InterruptStatus), 1);
	assert_int_equal(edges, 2);
}

/* What level-sensitive and edge-triggered SPIs see. */
static void line_follows_the_status(void **state)
{
	activate();
	for (unsigned int i = 1; i < 20; i++) {
		serve(0);
		assert_true(line);
		assert_int_equal(changes, 2 * i - 1);
		set(InterruptACK, 1);
		assert_int_equal(get(InterruptStatus), 0);
		assert_false(line);
		set(InterruptACK, 1);
		assert_int_equal(changes, 2 * i);
	}
}

/* Before the driver's acknowledgement came what it may not have looked at any more. */
static void what_came_again_interrupts_again(void **state)
{
	activate();
	serve(0);
	serve(1);
	serve(2);
	assert_int_equal(edges, 1);
	set(InterruptACK, 1);
	assert_int_equal(get(InterruptStatus), 1);
	assert_int_equal(edges, 2);
	set(InterruptACK, 1);
	assert_int_equal(get(InterruptStatus), 0);
	assert_int_equal(edges, 2);
	assert_false(line);

	/* Of another cause, too; and one cause's acknowledgement is not the other's. */
	virtio_config_changed(device);
	virtio_config_changed(device);
	serve(3);
	set(InterruptACK, 1);
	assert_int_equal(get(InterruptStatus), 2);
	assert_int_equal(edges, 4);
	set(InterruptACK, 2);
	assert_int_equal(get(InterruptStatus), 2);
	assert_int_equal(edges, 5);
	set(InterruptACK, UINT32_MAX);
	assert_int_equal(get(InterruptStatus), 0);
	assert_false(line);
}

/* With the event index a driver that has not looked yet will do so after it has acknowledged. */
static void who_acknowledges_first_is_not_interrupted_for_nothing(void **state)
{
	struct driver second = driver_create(&memory, BASE + 0x8000, 16);

	set(Status, 3);
	set(DriverFeatures, 1u << 29);
	set(DriverFeaturesSel, 1);
	set(DriverFeatures, 1);
	set(Status, 11);
	set_queue(0, &driver.layout);
	set_queue(1, &second.layout);
	set(Status, 15);
	turn();
	serve(0);
	/* The other queue's, while the first's is not acknowledged. */
	driver_desc(&second, 0, DATA, 16, 0, 0);
	driver_offer(&second, 0);
	event_notify(&device->queues[1].kick);
	turn();
	set(InterruptACK, 1);
	assert_int_equal(get(InterruptStatus), 0);
	assert_int_equal(edges, 1);

	/* One that has looked, and said so, may have missed what came then. */
	*driver_used_event(&driver) = 1;
	*driver_used_event(&second) = 1;
	serve(1);
	assert_int_equal(edges, 2);
	*driver_used_event(&driver) = 2;
	serve(2);
	assert_int_equal(edges, 2);
	set(InterruptACK, 1);
	assert_int_equal(get(InterruptStatus), 1);
	assert_int_equal(edges, 3);
	set(InterruptACK, 1);
	assert_int_equal(get(InterruptStatus), 0);

	/* In another queue than it looked at, too. */
	*driver_used_event(&driver) = 3;
	serve(3);
	*driver_used_event(&driver) = 4;
	driver_desc(&second, 1, DATA, 16, 0, 0);
	driver_offer(&second, 1);
	event_notify(&device->queues[1].kick);
	turn();
	assert_int_equal(edges, 4);
	set(InterruptACK, 1);
	assert_int_equal(edges, 5);
	assert_true(line);
}

static void reset_takes_all_back(void **state)
{
	activate();
	serve(0);
	/* Only the low byte is a status. */
	set(Status, 0x100);
	assert_int_equal(get(Status), 0);
	assert_int_equal(get(InterruptStatus), 0);
	assert_false(line);
	assert_int_equal(get(QueueReady), 0);
	assert_true(device->accepted == 0);
	driver = driver_create(&memory, BASE, 16);
	activate();
	serve(7);
	assert_int_equal(edges, 2);
	/* What came twice before a reset has nothing to do with what comes after it. */
	serve(8);
	set(Status, 0);
	driver = driver_create(&memory, BASE, 16);
	activate();
	serve(0);
	set(InterruptACK, 1);
	assert_int_equal(get(InterruptStatus), 0);
}

static void config_is_read_in_any_width(void **state)
{
	for (uint8_t i = 0; i < sizeof(config); i++)
		config[i] = i + 1;
	for (uint8_t size = 1; size <= 8; size *= 2) {
		for (uint64_t offset = 0; offset + size <= 0x100; offset++) {
			uint64_t value = UINT64_MAX, want = 0;

			for (uint8_t i = 0; i < size && offset + size <= sizeof(config); i++)
				want |= (offset + i + 1) << 8 * i;
			assert_int_equal(access_mmio(Config + offset, size, false, &value),
					 MMIO_DONE);
			assert_true(value == want);
		}
	}
}

static void config_writes_have_bounds(void **state)
{
	uint64_t value = UINT64_MAX;

	for (uint64_t offset = 5; offset < 0x100 - 8; offset++)
		assert_int_equal(access_mmio(Config + offset, 8, true, &value), MMIO_DONE);
	for (size_t i = 0; i < sizeof(config); i++)
		assert_int_equal(config[i], 0);
	value = 0x0807060504030201;
	access_mmio(Config + 4, 8, true, &value);
	assert_memory_equal(config, "\0\0\0\0\1\2\3\4\5\6\7\x8", 12);
}

/*
 * A driver that looks at the generation, at a part of the configuration, and at the generation
 * again, while it changes: with the old one or the new one it has seen nothing of the change.
 */
static void config_generation_changes_on_both_sides(void **state)
{
	const uint32_t before = get(ConfigGeneration);
	uint32_t during, after;

	assert_int_equal(get(ConfigGeneration), before);
	watching = true;
	virtio_config_changed(device);
	watching = false;
	during = watched;
	after = get(ConfigGeneration);
	assert_int_not_equal(during, before);
	assert_int_not_equal(after, before);
	assert_int_not_equal(after, during);
}

static void is_in_the_device_tree(void **state)
{
	struct devtree tree;
	const fdt32_t *cells;
	int node, length;

	assert_int_equal(devtree_create(&tree, KIB(4)), 0);
	mmio->ops->describe(mmio, &tree);
	assert_true(devtree_finish(&tree) > 0);
	node = fdt_path_offset(tree.blob, "/virtio_mmio@a000600");
	assert_true(node >= 0);
	assert_string_equal(fdt_getprop(tree.blob, node, "compatible", NULL), "virtio,mmio");
	assert_non_null(fdt_getprop(tree.blob, node, "dma-coherent", NULL));
	cells = fdt_getprop(tree.blob, node, "interrupts", &length);
	assert_int_equal(length, 12);
	assert_int_equal(fdt32_to_cpu(cells[0]), 0);
	assert_int_equal(fdt32_to_cpu(cells[1]), 16 + INDEX);
	assert_int_equal(fdt32_to_cpu(cells[2]), 1);
	devtree_destroy(&tree);
}

static void what_fails_is_taken_down(void **state)
{
	struct virtio *first = device;

	/* Another one, while the first stays as it is. */
	doorbell_result = -ENOSPC;
	assert_null(create());
	assert_int_equal(destroyed, 1);
	doorbell_result = 0;
	device = first;
}

static int fail_begin(void **state)
{
	doorbells = destroyed = 0;
	if (memory_create(&memory, BASE, MIB(4), MEMORY_ANON, NULL) < 0 ||
	    event_loop_create(&loop) < 0)
		return -1;
	return catch_begin(state);
}

static int fail_end(void **state)
{
	event_loop_destroy(&loop);
	memory_destroy(&memory);
	return catch_end(state);
}

#define on_mmio(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_mmio(has_its_place),
		on_mmio(says_what_it_is),
		on_mmio(features_have_two_words),
		on_mmio(registers_have_32_bits),
		on_mmio(registers_go_one_way),
		on_mmio(queue_works),
		on_mmio(queue_number_out_of_range),
		on_mmio(queue_size_that_is_too_large_is_refused),
		on_mmio(queue_registers_changed_after_activation_are_ignored),
		on_mmio(rings_in_device_space_are_refused),
		on_mmio(a_kick_that_misses_the_doorbell_is_one),
		on_mmio(interrupt_stays_until_acknowledged),
		on_mmio(line_follows_the_status),
		on_mmio(what_came_again_interrupts_again),
		on_mmio(who_acknowledges_first_is_not_interrupted_for_nothing),
		on_mmio(reset_takes_all_back),
		on_mmio(config_is_read_in_any_width),
		on_mmio(config_writes_have_bounds),
		on_mmio(config_generation_changes_on_both_sides),
		on_mmio(is_in_the_device_tree),
		cmocka_unit_test_setup_teardown(what_fails_is_taken_down, fail_begin, fail_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
