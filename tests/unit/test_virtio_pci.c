// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_kvm.h"
#include "unit.h"

#include "memmap.h"
#include "mm/cache.h"
#include "util.h"
#include "virtio/virtio_pci.h"

/* The common configuration structure, from virtio 1.3, 4.1.4.3. */
enum {
	device_feature_select = 0x00,
	device_feature = 0x04,
	driver_feature_select = 0x08,
	driver_feature = 0x0c,
	config_msix_vector = 0x10,
	num_queues = 0x12,
	device_status = 0x14,
	config_generation = 0x15,
	queue_select = 0x16,
	queue_size = 0x18,
	queue_msix_vector = 0x1a,
	queue_enable = 0x1c,
	queue_notify_off = 0x1e,
	queue_desc = 0x20,
	queue_driver = 0x28,
	queue_device = 0x30,
	common_end = 0x38,
};

/* Types of structures. */
enum { COMMON = 1, NOTIFY, ISR, DEVICE, PCI_CFG, TYPES };

#define NOTIFY_BAR 0x1c

#define BASE	  GIB(1)
#define QUEUES	  2
#define SIZE	  32
#define NONE	  0xffff
#define FIRST_GSI 32

static uint8_t readable[PCI_MEMORY_SIZE] __attribute__((aligned(4096)));
static struct memory memory;
static struct event_loop loop;
static struct bus bus;
static struct irq_routes routes;
static struct virtio *device;
static unsigned int processed, destroyed;
static bool lent[QUEUES]; /* what interrupts for it */
static uint8_t config[12];

/* Where each structure is, as its capability says. */
static struct {
	unsigned int offset; /* of the capability */
	uint64_t address;
	uint32_t length;
} structure[TYPES];

/* In place of mm/cache.c. */

uint64_t cache_line_size(void)
{
	return 64;
}

void cache_clean(uintptr_t start, uintptr_t end, uint64_t line)
{
}

void cache_sync(void)
{
}

/* The device: 12 bytes of configuration, and queues whose kicks are counted. */

static void process(struct virtio_queue *queue)
{
	/* While it pauses it may be called, and finds no chains. */
	processed += !queue->ring.paused;
}

static unsigned int settled;

/* Who works on a queue in the device's place gives back what it was lent. */
static void settle(struct virtio_queue *queue)
{
	struct virtio_transport *transport = device->transport;

	settled++;
	if (lent[queue->index])
		transport->queue_return(transport, queue->index);
	lent[queue->index] = false;
}

static void config_read(struct virtio *which, uint32_t offset, void *value, uint32_t size)
{
	memcpy(value, config + offset, size);
}

static void config_write(struct virtio *which, uint32_t offset, const void *value, uint32_t size)
{
	memcpy(config + offset, value, size);
}

static void destroy(struct virtio *virtio)
{
	virtio_fini(virtio);
	free(virtio);
	destroyed++;
}

static const struct virtio_ops ops = {
	.name = "dummy",
	.device_id = 3,
	.config_size = sizeof(config),
	.config_read = config_read,
	.config_write = config_write,
	.process = process,
	.settle = settle,
	.destroy = destroy,
};

static struct virtio *create(void)
{
	struct event_loop *const loops[QUEUES] = { &loop, &loop };
	struct virtio *virtio = calloc(1, sizeof(*virtio));

	assert_int_equal(virtio_init(virtio, &ops, &memory, loops, UINT64_C(1) << 40, QUEUES, SIZE),
			 0);
	return virtio;
}

/* Accesses of the guest. */

static uint64_t get(uint64_t gpa, uint8_t size)
{
	struct mmio_access mmio = { .size = size };
	uint64_t shown = 0;

	assert_int_equal(bus_access(&bus, gpa, &mmio), MMIO_DONE);
	/* With a read-only memory slot it is this that the guest reads. */
	if (gpa >= PCI_ECAM_BASE) {
		memcpy(&shown, readable + (gpa - PCI_ECAM_BASE), size);
		assert_int_equal(mmio.value, shown);
	}
	return mmio.value;
}

static void put(uint64_t gpa, uint8_t size, uint64_t value)
{
	struct mmio_access mmio = { .size = size, .value = value, .write = true };

	assert_int_equal(bus_access(&bus, gpa, &mmio), MMIO_DONE);
}

static uint64_t pci_get(unsigned int offset, uint8_t size)
{
	return get(PCI_ECAM_BASE + offset, size);
}

static void pci_put(unsigned int offset, uint8_t size, uint64_t value)
{
	put(PCI_ECAM_BASE + offset, size, value);
}

static uint64_t common(unsigned int offset, uint8_t size)
{
	return get(structure[COMMON].address + offset, size);
}

static void set_common(unsigned int offset, uint8_t size, uint64_t value)
{
	put(structure[COMMON].address + offset, size, value);
}

/* Where the first capability with this identifier is, or 0. */
static unsigned int capability(uint8_t id)
{
	unsigned int at = pci_get(0x34, 1);

	while (at != 0 && pci_get(at, 1) != id)
		at = pci_get(at + 1, 1);
	return at;
}

/* Every queue and the configuration have a vector of their own, whose data is its number. */
static void enable_msix(void)
{
	const uint64_t table = pci_get(0x14, 4) & ~0xfu;

	for (unsigned int i = 0; i <= QUEUES; i++) {
		put(table + 16 * i, 8, 0x8090040);
		put(table + 16 * i + 8, 8, i);
	}
	pci_put(capability(0x11) + 2, 2, 0x8000);
}

static uint64_t sent(unsigned int vector)
{
	uint64_t count = 0;

	if (read(fake_kvm.irqfd[FIRST_GSI + vector], &count, sizeof(count)) < 0)
		assert_int_equal(errno, EAGAIN);
	return count;
}

static void turn(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

static void enable_queue(unsigned int index)
{
	const uint64_t gpa = BASE + 0x3000 * index;

	set_common(queue_select, 2, index);
	set_common(queue_size, 2, 8);
	set_common(queue_msix_vector, 2, index + 1);
	set_common(queue_desc, 4, gpa);
	set_common(queue_driver, 4, gpa + 0x1000);
	set_common(queue_device, 4, gpa + 0x2000);
	set_common(queue_enable, 2, 1);
}

static void activate(void)
{
	enable_msix();
	set_common(device_status, 1, 3);
	set_common(driver_feature_select, 4, 1);
	set_common(driver_feature, 4, 1);
	set_common(device_status, 1, 11);
	set_common(config_msix_vector, 2, 0);
	enable_queue(0);
	enable_queue(1);
	set_common(device_status, 1, 15);
	turn();
}

static void find_structures(void)
{
	unsigned int count = 0;

	for (unsigned int at = pci_get(0x34, 1); at != 0; at = pci_get(at + 1, 1)) {
		const unsigned int type = pci_get(at + 3, 1), bar = pci_get(at + 4, 1);

		assert_true(count++ < 16);
		if (pci_get(at, 1) != 9)
			continue;
		assert_in_range(type, COMMON, PCI_CFG);
		structure[type].offset = at;
		structure[type].length = pci_get(at + 12, 4);
		structure[type].address = (pci_get(0x10 + 4 * bar, 4) & ~0xfu) + pci_get(at + 8, 4);
	}
}

static int begin(void **state)
{
	struct pci *pci;

	memset(readable, 0, sizeof(readable));
	memset(structure, 0, sizeof(structure));
	memset(config, 0, sizeof(config));
	fake_kvm_reset();
	assert_int_equal(memory_create(&memory, BASE, MIB(2), MEMORY_ANON, NULL), 0);
	assert_int_equal(event_loop_create(&loop), 0);
	bus_create(&bus);
	irq_routes_create(&routes, 3);
	assert_int_equal(pci_create(&pci, &bus, readable), 0);
	assert_non_null(pci);
	device = create();
	assert_int_equal(virtio_pci_add(pci, &routes, NULL, device), 0);
	bus_freeze(&bus);
	find_structures();
	assert_null(strstr(fake_kvm.journal, "ioeventfd"));
	pci_put(0x04, 2, 0x0406);
	processed = destroyed = settled = 0;
	lent[0] = lent[1] = false;
	return catch_begin(state);
}

static int finish(void **state)
{
	bus_destroy(&bus);
	assert_int_equal(destroyed, 1);
	irq_routes_destroy(&routes);
	event_loop_destroy(&loop);
	memory_destroy(&memory);
	return catch_end(state);
}

static void function_is_a_virtio_device(void **state)
{
	assert_int_equal(pci_get(0x00, 4), 0x10431af4);
	assert_int_equal(pci_get(0x08, 4), 0x07800001);
	assert_int_equal(pci_get(0x3d, 1), 0); /* no interrupt pin */
	for (unsigned int type = COMMON; type < TYPES; type++)
		assert_int_not_equal(structure[type].offset, 0);
	assert_int_equal(structure[COMMON].length, common_end);
	assert_int_equal(structure[NOTIFY].length, 4 * QUEUES);
	assert_int_equal(structure[ISR].length, 1);
	assert_int_equal(structure[DEVICE].length, sizeof(config));
	assert_int_equal(pci_get(structure[NOTIFY].offset + 2, 1), 20);
	assert_int_equal(pci_get(structure[NOTIFY].offset + 16, 4), 4);
	assert_int_equal(pci_get(structure[PCI_CFG].offset + 2, 1), 20);
	assert_silent();
}

/*
 * A guest that is a hypervisor maps whole pages into a guest of its own, 64 KiB where it has such
 * ones: doorbells it may, the MSI-X table not, for its messages are the hypervisor's, and what it
 * emulates not either.
 */
static void what_has_to_be_apart_shares_no_page(void **state)
{
	const unsigned int msix = capability(0x11);
	const uint64_t table = (pci_get(0x10 + 4 * (pci_get(msix + 4, 4) & 7), 4) & ~0xfu) +
			       (pci_get(msix + 4, 4) & ~7u);
	const uint64_t emulated[] = { structure[COMMON].address, structure[ISR].address,
				      structure[DEVICE].address };
	const uint64_t page = UINT64_C(0x10000);

	assert_int_not_equal(structure[NOTIFY].address / page, table / page);
	for (unsigned int i = 0; i < ARRAY_SIZE(emulated); i++) {
		assert_int_not_equal(emulated[i] / page, table / page);
		assert_int_not_equal(emulated[i] / page, structure[NOTIFY].address / page);
	}
	/* Nor with another BAR, of this device or the next: each takes whole pages. */
	for (unsigned int bar = 0x10; bar < 0x28; bar += 4) {
		const uint64_t address = pci_get(bar, 4) & ~0xfu;

		pci_put(bar, 4, UINT32_MAX);
		if (address == 0)
			assert_int_equal(pci_get(bar, 4), 0);
		else
			assert_int_equal(pci_get(bar, 4) & ~0xfu, 0xffff0000);
		assert_int_equal(address % page, 0);
	}
}

/* How often a doorbell of any width was there, and taken away again. */
static unsigned int rung(uint64_t gpa, bool removed)
{
	char line[64];
	unsigned int count = 0;

	snprintf(line, sizeof(line), "ioeventfd 0x%" PRIx64 " 0 %u\n", gpa, removed ? 4 : 0);
	for (const char *at = fake_kvm.journal; (at = strstr(at, line)); at++)
		count++;
	return count;
}

static void each_queue_has_a_doorbell_where_its_bar_answers(void **state)
{
	assert_int_equal(structure[NOTIFY].address, 0x10010000);
	for (unsigned int i = 0; i < QUEUES; i++)
		assert_int_equal(rung(0x10010000 + 4 * i, false), 1);
	pci_put(0x04, 2, 0x0404);
	for (unsigned int i = 0; i < QUEUES; i++)
		assert_int_equal(rung(0x10010000 + 4 * i, true), 1);
	pci_put(NOTIFY_BAR, 4, 0x20000000);
	assert_int_equal(rung(0x20000000, false), 0);
	pci_put(0x04, 2, 0x0406);
	assert_int_equal(rung(0x10010000, false), 1);
	assert_int_equal(rung(0x20000000, false), 1);
	pci_put(NOTIFY_BAR, 4, 0x30000000);
	assert_int_equal(rung(0x20000004, true), 1);
	assert_int_equal(rung(0x30000004, false), 1);

	/* One that KVM refuses rings by an exit. */
	fake_kvm.fails = "ioeventfd";
	fake_kvm.error = -EEXIST;
	pci_put(NOTIFY_BAR, 4, 0x10010000);
	assert_non_null(strstr(said(), "KVM_IOEVENTFD at 0x10010004: File exists"));
	fake_kvm.fails = NULL;
	activate();
	processed = 0;
	put(0x10010004, 2, 1);
	turn();
	assert_int_equal(processed, 1);
}

/* A device that has moved, as software that places BARs anew leaves it. */
static void a_device_that_moved_works(void **state)
{
	pci_put(0x04, 2, 0x0404);
	pci_put(0x10, 4, 0x10020000);
	pci_put(0x14, 4, 0x10000000);
	pci_put(0x18, 4, 0x3f100000);
	pci_put(0x1c, 4, 0x10030000);
	pci_put(0x04, 2, 0x0406);
	find_structures();
	assert_int_equal(structure[COMMON].address, 0x3f100000);
	activate();
	assert_int_equal(common(device_status, 1), 15);
	device->transport->queue_interrupt(device->transport, 1);
	assert_int_equal(sent(2), 1);
	set_common(device_status, 1, 0);
	assert_int_equal(common(device_status, 1), 0);
	put(structure[DEVICE].address, 4, 0x11223344);
	assert_int_equal(get(structure[DEVICE].address, 4), 0x11223344);
	assert_silent();
}

static void registers_are_ones_without_memory_space(void **state)
{
	uint32_t word;

	activate();
	pci_put(0x04, 2, 0x0404);
	memcpy(&word, readable + (structure[COMMON].address - PCI_ECAM_BASE), sizeof(word));
	assert_int_equal(word, UINT32_MAX);
	/* The other way to them is still there (virtio 1.3, 4.1.4.9). */
	pci_put(structure[PCI_CFG].offset + 4, 1, 2);
	pci_put(structure[PCI_CFG].offset + 12, 4, 1);
	pci_put(structure[PCI_CFG].offset + 8, 4, device_status);
	assert_int_equal(pci_get(structure[PCI_CFG].offset + 16, 4), 15);
	pci_put(0x04, 2, 0x0406);
	assert_int_equal(common(device_status, 1), 15);
}

/* What there is to do when Bus Master is off is done when it is on again. */
static void without_bus_master_rings_are_left_alone(void **state)
{
	activate();
	processed = 0;
	pci_put(0x04, 2, 0x0402);
	event_notify(&device->queues[0].kick);
	turn();
	assert_int_equal(processed, 0);
	virtio_config_changed(device);
	device->transport->queue_interrupt(device->transport, 0);
	assert_int_equal(sent(0) + sent(1), 0);
	pci_put(0x04, 2, 0x0406);
	turn();
	assert_int_equal(processed, QUEUES);
	assert_int_equal(sent(0), 1);
	assert_int_equal(sent(1), 1);
	assert_int_equal(sent(2), 0);

	/* Also in a queue that is made meanwhile. */
	pci_put(0x04, 2, 0x0402);
	set_common(device_status, 1, 0);
	assert_int_equal(common(device_status, 1), 0);
	processed = 0;
	activate();
	assert_int_equal(processed, 0);
	pci_put(0x04, 2, 0x0406);
	turn();
	assert_int_equal(processed, QUEUES);
	assert_silent();
}

/* A Function Level Reset is one of the device, too (PCI Express Base 5.0, 6.6.2). */
static void a_reset_of_the_function_resets_the_device(void **state)
{
	const unsigned int window = structure[PCI_CFG].offset;
	uint32_t bar[4];

	activate();
	pci_put(window + 4, 1, 2);
	pci_put(window + 12, 4, 4);
	device->transport->config_interrupt(device->transport);
	for (unsigned int i = 0; i < ARRAY_SIZE(bar); i++)
		bar[i] = pci_get(0x10 + 4 * i, 4);
	sent(0);
	processed = 0;

	pci_put(capability(0x10) + 8, 2, 0x8000);
	assert_int_equal(pci_get(0x04, 2), 0);
	assert_int_equal(device->status, 0);
	assert_int_equal(device->accepted, 0);
	for (unsigned int i = 0; i < QUEUES; i++) {
		assert_false(virtqueue_running(&device->queues[i].ring));
		assert_int_equal(rung(0x10010000 + 4 * i, true), 1);
		event_notify(&device->queues[i].kick);
	}
	virtio_config_changed(device);
	turn();
	assert_int_equal(processed, 0);
	assert_int_equal(sent(0) + sent(1) + sent(2), 0);
	assert_int_equal(pci_get(window + 4, 1), 0);
	assert_int_equal(pci_get(window + 12, 4), 0);

	/* As a driver does that has saved what it needs. */
	for (unsigned int i = 0; i < ARRAY_SIZE(bar); i++)
		pci_put(0x10 + 4 * i, 4, bar[i]);
	pci_put(0x04, 2, 0x0006);
	assert_int_equal(common(device_status, 1), 0);
	assert_int_equal(common(config_msix_vector, 2), NONE);
	assert_int_equal(get(structure[ISR].address, 1), 0);
	activate();
	assert_int_equal(common(device_status, 1), 15);
	assert_int_equal(processed, QUEUES);
	device->transport->queue_interrupt(device->transport, 1);
	assert_int_equal(sent(2), 1);
	assert_silent();
}

static void registers_begin_as_after_a_reset(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(common(num_queues, 2), QUEUES);
		assert_int_equal(common(device_status, 1), 0);
		assert_int_equal(common(config_msix_vector, 2), NONE);
		assert_int_equal(common(device_feature_select, 4), 0);
		assert_int_equal(common(driver_feature, 4), 0);
		for (unsigned int queue = 0; queue < QUEUES; queue++) {
			set_common(queue_select, 2, queue);
			assert_int_equal(common(queue_select, 2), queue);
			assert_int_equal(common(queue_size, 2), SIZE);
			assert_int_equal(common(queue_msix_vector, 2), NONE);
			assert_int_equal(common(queue_enable, 2), 0);
			assert_int_equal(common(queue_notify_off, 2), queue);
			assert_int_equal(common(queue_desc, 4), 0);
		}
		activate();
		set_common(device_status, 1, 0);
		assert_int_equal(common(queue_select, 2), 0);
	}
	assert_silent();
}

static void features_are_read_by_words(void **state)
{
	uint64_t offered = common(device_feature, 4);

	set_common(device_feature_select, 4, 1);
	offered |= common(device_feature, 4) << 32;
	assert_int_equal(offered, device->offered);
	set_common(device_feature_select, 4, 2);
	assert_int_equal(common(device_feature, 4), 0);
	set_common(driver_feature_select, 4, 1);
	set_common(driver_feature, 4, 0x101);
	assert_int_equal(common(driver_feature, 4), 0x101);
	assert_int_equal(device->accepted, UINT64_C(0x10100000000));
	set_common(driver_feature_select, 4, 0xffffffff);
	set_common(driver_feature, 4, 0xffffffff);
	assert_int_equal(common(driver_feature, 4), 0);
	assert_int_equal(device->accepted, UINT64_C(0x10100000000));
}

static void queues_start_where_the_driver_put_them(void **state)
{
	activate();
	assert_int_equal(common(device_status, 1), 15);
	assert_int_equal(processed, QUEUES);
	for (unsigned int i = 0; i < QUEUES; i++) {
		assert_true(virtqueue_running(&device->queues[i].ring));
		assert_int_equal(device->queues[i].layout.desc, BASE + 0x3000 * i);
		assert_int_equal(device->queues[i].layout.size, 8);
	}
	assert_silent();
}

static void addresses_have_two_halves(void **state)
{
	for (unsigned int at = queue_desc; at < common_end; at += 8) {
		set_common(at, 4, 0x89abcdef);
		set_common(at + 4, 4, 0x01234567);
		assert_int_equal(common(at, 4), 0x89abcdef);
		assert_int_equal(common(at + 4, 4), 0x01234567);
	}
	assert_int_equal(device->queues[0].layout.used, UINT64_C(0x0123456789abcdef));
}

static void an_enabled_queue_stays_as_it_is(void **state)
{
	activate();
	set_common(queue_select, 2, 0);
	set_common(queue_size, 2, 4);
	set_common(queue_desc, 4, 0);
	set_common(queue_enable, 2, 0);
	assert_int_equal(common(queue_size, 2), 8);
	assert_int_equal(common(queue_desc, 4), BASE);
	assert_int_equal(common(queue_enable, 2), 1);
	assert_true(virtqueue_running(&device->queues[0].ring));
}

static void sizes_are_bounded(void **state)
{
	set_common(queue_size, 2, SIZE + 1);
	assert_int_equal(common(queue_size, 2), SIZE);
	set_common(queue_size, 2, 0xffff);
	assert_int_equal(common(queue_size, 2), SIZE);
	set_common(queue_enable, 2, 1);
	assert_int_equal(device->queues[0].layout.size, SIZE);
	set_common(queue_enable, 2, 2);
	assert_int_equal(common(queue_enable, 2), 1);
}

static void a_queue_that_is_none_has_no_size(void **state)
{
	static const unsigned int queue[] = { QUEUES, QUEUES + 1, 0x8000, 0xffff };

	for (unsigned int i = 0; i < ARRAY_SIZE(queue); i++) {
		set_common(queue_select, 2, queue[i]);
		assert_int_equal(common(queue_select, 2), queue[i]);
		for (unsigned int at = queue_size; at < queue_desc; at += 2) {
			set_common(at, 2, 1);
			assert_int_equal(common(at, 2), 0);
		}
		for (unsigned int at = queue_desc; at < common_end; at += 4) {
			set_common(at, 4, 0xffffffff);
			assert_int_equal(common(at, 4), 0);
		}
	}
}

static int lend(unsigned int queue)
{
	return device->transport->queue_lend(device->transport, queue, &loop);
}

static void what_interrupts_for_a_queue_is_lent(void **state)
{
	activate();
	assert_int_equal(lend(1), fake_kvm.irqfd[FIRST_GSI + 2]);
	assert_int_equal(lend(0), fake_kvm.irqfd[FIRST_GSI + 1]);
	device->transport->queue_return(device->transport, 0);
	device->transport->queue_return(device->transport, 1);
	/* Without MSI-X, or a vector, there is nothing. */
	set_common(queue_select, 2, 1);
	set_common(queue_msix_vector, 2, NONE);
	assert_int_equal(lend(1), -1);
	pci_put(capability(0x11) + 2, 2, 0);
	assert_int_equal(lend(0), -1);
}

/* The old one is given back before, and who works on the queue begins anew. */
static void another_vector_is_lent_anew(void **state)
{
	activate();
	assert_int_equal(lend(1), fake_kvm.irqfd[FIRST_GSI + 2]);
	lent[1] = true;
	processed = 0;
	set_common(queue_select, 2, 1);
	set_common(queue_msix_vector, 2, 0);
	assert_int_equal(settled, 1);
	assert_false(lent[1]);
	turn();
	assert_int_equal(processed, 1);
	assert_int_equal(lend(1), fake_kvm.irqfd[FIRST_GSI]);
	lent[1] = true;
	/* While the device pauses, the queue does not go on. */
	pci_put(0x04, 2, 0x0402);
	processed = settled = 0;
	set_common(queue_msix_vector, 2, 1);
	assert_true(settled >= 1);
	turn();
	assert_int_equal(processed, 0);
	pci_put(0x04, 2, 0x0406);
	turn();
	assert_int_equal(processed, QUEUES);
}

/* As drivers do: nothing is to be given back. */
static void a_vector_before_the_queue_is_enabled_costs_nothing(void **state)
{
	activate();
	assert_int_equal(settled, 0);
}

static void a_vector_that_is_none_reads_back_as_none(void **state)
{
	static const unsigned int vector[] = { QUEUES + 1, 0x7fff, 0xffff };

	for (unsigned int i = 0; i < ARRAY_SIZE(vector); i++) {
		set_common(config_msix_vector, 2, QUEUES);
		assert_int_equal(common(config_msix_vector, 2), QUEUES);
		set_common(config_msix_vector, 2, vector[i]);
		assert_int_equal(common(config_msix_vector, 2), NONE);
		set_common(queue_msix_vector, 2, vector[i]);
		assert_int_equal(common(queue_msix_vector, 2), NONE);
	}
}

static void interrupts_are_messages(void **state)
{
	activate();
	device->transport->queue_interrupt(device->transport, 0);
	device->transport->queue_interrupt(device->transport, 1);
	assert_int_equal(sent(1), 1);
	assert_int_equal(sent(2), 1);
	assert_int_equal(sent(0), 0);
	assert_int_equal(get(structure[ISR].address, 1), 0);
	assert_int_equal(fake_kvm.route_count, 32 + QUEUES + 1);

	/* Once more than there are vectors, and with none. */
	set_common(queue_select, 2, 1);
	set_common(queue_msix_vector, 2, NONE);
	device->transport->queue_interrupt(device->transport, 1);
	assert_int_equal(sent(0) + sent(1) + sent(2), 0);
}

static void configuration_changes_are_told(void **state)
{
	uint64_t generation;

	virtio_config_changed(device);
	activate();
	assert_int_equal(sent(0), 0);
	generation = common(config_generation, 1);
	virtio_config_changed(device);
	assert_int_equal(sent(0), 1);
	assert_int_not_equal(common(config_generation, 1), generation);
	assert_int_equal(get(structure[ISR].address, 1), 2);
	assert_int_equal(get(structure[ISR].address, 1), 0);
}

static void a_device_in_need_of_a_reset_shows_it(void **state)
{
	activate();
	virtio_needs_reset(device);
	assert_int_equal(common(device_status, 1), 0x4f);
	assert_int_equal(sent(0), 1);
	set_common(device_status, 1, 0);
	assert_int_equal(common(device_status, 1), 0);
	assert_int_equal(common(config_msix_vector, 2), NONE);
	assert_false(virtqueue_running(&device->queues[0].ring));
	said();
}

static void without_msix_the_isr_tells(void **state)
{
	device->transport->queue_interrupt(device->transport, 0);
	device->transport->config_interrupt(device->transport);
	assert_int_equal(get(structure[ISR].address, 1), 3);
	assert_int_equal(get(structure[ISR].address, 1), 0);
	assert_int_equal(sent(0) + sent(1) + sent(2), 0);
}

static void configuration_is_read_and_written(void **state)
{
	put(structure[DEVICE].address + 4, 4, 0x44332211);
	assert_int_equal(get(structure[DEVICE].address + 5, 2), 0x3322);
	assert_int_equal(get(structure[DEVICE].address + 10, 4),
			 0); /* the last two bytes, and zero */
	put(structure[DEVICE].address + 10, 4, UINT32_MAX);
	assert_int_equal(config[10], 0);
	assert_silent();
}

/* Before DRIVER_OK as well, when no interrupt tells of it. */
static void configuration_that_changes_is_seen(void **state)
{
	const uint64_t before = common(config_generation, 1);

	config[5] = 0x77;
	assert_int_equal(get(structure[DEVICE].address + 5, 1), 0);
	virtio_config_changed(device);
	assert_int_equal(get(structure[DEVICE].address + 5, 1), 0x77);
	assert_int_not_equal(common(config_generation, 1), before);
	for (unsigned int i = 0; i < 0x100; i++)
		virtio_config_changed(device);
	assert_int_equal(get(structure[DEVICE].address, 8), UINT64_C(0x770000000000));
	assert_int_equal(common(queue_select, 2), 0);
	assert_int_equal(get(structure[ISR].address, 1), 0);
}

static void registers_are_accessed_whole(void **state)
{
	static const struct {
		unsigned int offset;
		uint8_t size;
	} bad[] = {
		{ device_feature, 2 }, { device_feature, 8 },	      { device_status, 2 },
		{ device_status, 4 },  { config_msix_vector, 4 },     { queue_desc, 8 },
		{ queue_desc + 2, 2 }, { config_msix_vector + 1, 1 }, { common_end, 4 },
		{ 0xfc, 4 },	       { queue_select, 1 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		struct mmio_access mmio = { .size = bad[i].size,
					    .write = true,
					    .value = UINT64_MAX };

		assert_int_equal(bus_access(&bus, structure[COMMON].address + bad[i].offset, &mmio),
				 MMIO_BAD);
		mmio.write = false;
		assert_int_equal(bus_access(&bus, structure[COMMON].address + bad[i].offset, &mmio),
				 MMIO_BAD);
	}
	assert_int_equal(common(device_status, 1), 0);
	said();
}

/* Through configuration space. */

static void choose(unsigned int type, uint32_t offset, uint32_t length)
{
	const unsigned int cap = structure[PCI_CFG].offset;

	pci_put(cap + 4, 1, pci_get(structure[type].offset + 4, 1));
	pci_put(cap + 12, 4, length);
	pci_put(cap + 8, 4, pci_get(structure[type].offset + 8, 4) + offset);
}

static uint32_t window(void)
{
	return pci_get(structure[PCI_CFG].offset + 16, 4);
}

static void set_window(uint32_t value)
{
	pci_put(structure[PCI_CFG].offset + 16, 4, value);
}

static void the_window_reaches_every_structure(void **state)
{
	choose(COMMON, num_queues, 2);
	assert_int_equal(window(), QUEUES);
	choose(COMMON, device_status, 1);
	set_window(0xffffff03); /* of which the first byte counts */
	assert_int_equal(window(), 3);
	assert_int_equal(common(device_status, 1), 3);
	assert_int_equal(common(queue_select, 2), 0);
	choose(DEVICE, 8, 4);
	set_window(0x12345678);
	assert_int_equal(window(), 0x12345678);
	assert_int_equal(config[8], 0x78);
	choose(ISR, 0, 1);
	assert_int_equal(window(), 0);

	activate();
	processed = 0;
	choose(NOTIFY, 4, 2);
	set_window(1);
	turn();
	assert_int_equal(processed, 1);
	assert_silent();
}

static void the_window_is_bounded(void **state)
{
	static const struct {
		uint32_t bar, offset, length;
	} bad[] = {
		{ 0, 1, 1 },	   { 0, UINT32_MAX, 1 }, { 2, 0x101, 2 }, { 2, 0x100, 0 },
		{ 2, 0x100, 3 },   { 2, 0x100, 8 },	 { 1, 0, 4 },	  { 2, 0x1000, 4 },
		{ 2, 1, 1 },	   { 3, 8, 1 },		 { 255, 0, 4 },	  { 2, 0x100, 0x101 },
		{ 2, 0x10000, 1 }, { 4, 0, 1 },
	};
	const unsigned int cap = structure[PCI_CFG].offset;

	memset(config, 0xee, sizeof(config));
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		pci_put(cap + 4, 1, bad[i].bar);
		pci_put(cap + 8, 4, bad[i].offset);
		pci_put(cap + 12, 4, bad[i].length);
		set_window(0x55555555);
		assert_int_equal(window(), 0x55555555);
	}
	assert_int_equal(config[0], 0xee);
	assert_int_equal(common(device_status, 1), 0);
	assert_silent();
}

static void any_access_is_harmless(void **state)
{
	static const uint64_t places[] = { 0x3f000000, 0x3f100000, 0x3f110000,
					   0x3f110100, 0x10000000, 0x10010000 };
	uint64_t seed = 7;

	for (unsigned int i = 0; i < 100000; i++) {
		struct mmio_access mmio = {
			.size = 1 << chance(&seed) % 4,
			.value = chance(&seed) % 3 ? chance(&seed) % 20 : chance(&seed),
			.write = chance(&seed) % 4,
		};

		bus_access(&bus, places[chance(&seed) % ARRAY_SIZE(places)] + chance(&seed) % 0x90,
			   &mmio);
		said();
		if (i % 16 == 0)
			device->transport->queue_interrupt(device->transport, i / 16 % QUEUES);
		turn();
	}
	function_is_a_virtio_device(state);
}

/* Making one. */

static void a_failing_host_leaves_nothing(void **state)
{
	struct bus other;
	struct pci *pci;

	bus_create(&other);
	memset(readable, 0, sizeof(readable));
	assert_int_equal(pci_create(&pci, &other, readable), 0);
	fake_kvm.fails = "irqfd";
	fake_kvm.error = -ENOSPC;
	destroyed = 0;
	assert_int_equal(virtio_pci_add(pci, &routes, NULL, create()), -ENOSPC);
	assert_said("No space left on device");
	bus_destroy(&other);
	assert_int_equal(destroyed, 1);
	destroyed = 0;
}

static void a_full_bus_takes_none(void **state)
{
	struct pci *pci;
	struct bus other;

	bus_create(&other);
	memset(readable, 0, sizeof(readable));
	assert_int_equal(pci_create(&pci, &other, readable), 0);
	destroyed = 0;
	for (unsigned int i = 0; i < 32; i++)
		assert_int_equal(virtio_pci_add(pci, &routes, NULL, create()), 0);
	assert_int_equal(virtio_pci_add(pci, &routes, NULL, create()), -ENOSPC);
	assert_int_equal(destroyed, 1);
	assert_said("pci: more than 32 devices");
	bus_destroy(&other);
	assert_int_equal(destroyed, 33);
	destroyed = 0;
}

static void registers_have_names(void **state)
{
	const struct device *registers = bus_find(&bus, structure[COMMON].address);
	const struct device *other = bus_find(&bus, structure[ISR].address);

	assert_string_equal(registers->ops->register_name(queue_select), "queue_select");
	assert_null(registers->ops->register_name(common_end));
	assert_string_equal(other->ops->register_name(0), "ISR status");
	assert_null(other->ops->register_name(4));
	assert_string_equal(registers->ops->register_name(0x100), "device configuration");
	other = bus_find(&bus, structure[NOTIFY].address);
	assert_string_equal(other->ops->register_name(0), "notify");
}

#define on_bus(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_bus(function_is_a_virtio_device),
		on_bus(what_has_to_be_apart_shares_no_page),
		on_bus(each_queue_has_a_doorbell_where_its_bar_answers),
		on_bus(a_device_that_moved_works),
		on_bus(registers_are_ones_without_memory_space),
		on_bus(without_bus_master_rings_are_left_alone),
		on_bus(a_reset_of_the_function_resets_the_device),
		on_bus(registers_begin_as_after_a_reset),
		on_bus(features_are_read_by_words),
		on_bus(queues_start_where_the_driver_put_them),
		on_bus(addresses_have_two_halves),
		on_bus(an_enabled_queue_stays_as_it_is),
		on_bus(sizes_are_bounded),
		on_bus(a_queue_that_is_none_has_no_size),
		on_bus(what_interrupts_for_a_queue_is_lent),
		on_bus(another_vector_is_lent_anew),
		on_bus(a_vector_before_the_queue_is_enabled_costs_nothing),
		on_bus(a_vector_that_is_none_reads_back_as_none),
		on_bus(interrupts_are_messages),
		on_bus(configuration_changes_are_told),
		on_bus(a_device_in_need_of_a_reset_shows_it),
		on_bus(without_msix_the_isr_tells),
		on_bus(configuration_is_read_and_written),
		on_bus(configuration_that_changes_is_seen),
		on_bus(registers_are_accessed_whole),
		on_bus(the_window_reaches_every_structure),
		on_bus(the_window_is_bounded),
		on_bus(any_access_is_harmless),
		on_bus(a_failing_host_leaves_nothing),
		on_bus(a_full_bus_takes_none),
		on_bus(registers_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
