// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any sequence of accesses to two virtio devices on a PCI bus: config space, MSI-X, registers.
 */
#include <errno.h>
#include <stdlib.h>

#include "bus/bus.h"
#include "fuzz.h"
#include "memmap.h"
#include "mm/cache.h"
#include "util.h"
#include "virtio/virtio_pci.h"

#define QUEUES	2
#define RAM	GIB(1)
#define VECTORS (2 * (QUEUES + 1))

#include "fake_msi.h"

static struct memory memory;
static struct virtio *devices[2];

static unsigned int doorbells;

void irq_doorbell_any(int vm_fd, uint64_t gpa, int eventfd)
{
	MUST(gpa >= PCI_BARS_BASE && gpa < PCI_BARS_BASE + PCI_BARS_SIZE);
	doorbells++;
}

void irq_doorbell_remove(int vm_fd, uint64_t gpa, int eventfd)
{
	MUST(gpa >= PCI_BARS_BASE && gpa < PCI_BARS_BASE + PCI_BARS_SIZE);
	MUST(doorbells > 0);
	doorbells--;
}

int event_notifier_create(struct event_notifier *notifier, struct event_loop *loop,
			  void (*notified)(struct event_notifier *notifier))
{
	*notifier = (struct event_notifier){ .notified = notified };
	return 0;
}

void event_notifier_destroy(struct event_notifier *notifier)
{
}

void event_notify(struct event_notifier *notifier)
{
	MUST(notifier->notified);
}

/* For late interrupts, of which this device has none. */

int event_timer_create(struct event_timer *timer, struct event_loop *loop, int clock,
		       void (*expired)(struct event_timer *timer))
{
	MUST(false);
	return 0;
}

void event_timer_destroy(struct event_timer *timer)
{
}

void event_timer_in(struct event_timer *timer, uint64_t nanoseconds)
{
}

/* A device that looks at its queues and gives back what it finds. */

static bool handle(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	virtqueue_push(&queue->ring, chain->head, 0);
	return true;
}

/* Of the second device somebody else serves the queues, and is lent what interrupts. */

static bool lent[QUEUES];

static void lend(struct virtio_queue *queue)
{
	struct virtio_transport *transport = queue->virtio->transport;

	if (!lent[queue->index] && !queue->ring.paused)
		lent[queue->index] = transport->queue_lend(transport, queue->index, NULL) >= 0;
}

static void take_back(struct virtio_queue *queue)
{
	struct virtio_transport *transport = queue->virtio->transport;

	if (queue->virtio == devices[1] && lent[queue->index])
		transport->queue_return(transport, queue->index);
	if (queue->virtio == devices[1])
		lent[queue->index] = false;
}

static void process(struct virtio_queue *queue)
{
	if (queue->virtio == devices[1]) {
		lend(queue);
		return;
	}
	virtio_serve(queue, handle);
	virtio_publish(queue);
}

static void config_read(struct virtio *virtio, uint32_t offset, void *value, uint32_t size)
{
	MUST(offset + size <= virtio->ops->config_size);
	memset(value, 0x5a, size);
}

static void destroy(struct virtio *virtio)
{
	virtio_stop(virtio);
	virtio_fini(virtio);
	free(virtio);
}

static const struct virtio_ops ops = {
	.name = "fuzzed",
	.device_id = 2,
	.config_size = 60,
	.config_read = config_read,
	.process = process,
	.drain = take_back,
	.settle = take_back,
	.destroy = destroy,
};

static struct virtio *create(void)
{
	struct event_loop *const loops[QUEUES] = { NULL, NULL };
	struct virtio *virtio = calloc(1, sizeof(*virtio));

	MUST(virtio_init(virtio, &ops, &memory, loops, 0, QUEUES, 16) == 0);
	return virtio;
}

/* After all of it a Function Level Reset leaves nothing. */
static void check_reset(const struct bus *bus, uint64_t config, const struct virtio *virtio)
{
	/* Device Control, in the first capability. */
	struct mmio_access reset = { .size = 2, .value = 0x8000, .write = true };

	bus_access(bus, config + 0x48, &reset);
	MUST(virtio->status == 0 && virtio->accepted == 0 && virtio->paused);
	for (unsigned int i = 0; i < QUEUES; i++)
		MUST(!virtqueue_running(&virtio->queues[i].ring));
	for (unsigned int at = 0x04; at < 0x40; at += 4) {
		struct mmio_access mmio = { .size = 4 };

		bus_access(bus, config + at, &mmio);
		if (at == 0x04)
			MUST(mmio.value == 0x00100000);
		else if (at >= 0x10 && at < 0x28)
			MUST((mmio.value & ~8u) == 0);
	}
}

/* What a driver may never change. */
static void check(const struct bus *bus)
{
	for (unsigned int slot = 0; slot < 3; slot++) {
		struct mmio_access mmio = { .size = 4 };

		MUST(bus_access(bus, PCI_ECAM_BASE + 0x8000 * slot, &mmio) == MMIO_DONE);
		MUST(mmio.value == (slot < 2 ? 0x10421af4 : UINT32_MAX));
	}
	/* Where nothing answers the guest reads ones. */
	for (unsigned int slot = 0; slot < 2; slot++) {
		struct mmio_access off = { .size = 2, .write = true };

		bus_access(bus, PCI_ECAM_BASE + 0x8000 * slot + 4, &off);
	}
	for (unsigned int i = 0; i < 4 * PCI_BAR_SIZE; i++)
		MUST(readable[PCI_ECAM_SIZE + i] == 0xff);
	MUST(doorbells == 0);
	for (unsigned int slot = 0; slot < 2; slot++)
		check_reset(bus, PCI_ECAM_BASE + 0x8000 * slot, devices[slot]);
}

static void step(const struct bus *bus, struct input *input)
{
	static const uint64_t places[] = {
		PCI_ECAM_BASE,
		PCI_ECAM_BASE + 0x8000,
		PCI_READABLE_BASE,
		PCI_READABLE_BASE + PCI_BAR_SIZE,
		PCI_READABLE_BASE + PCI_BAR_SIZE + 0x100,
		PCI_READABLE_BASE + 2 * PCI_BAR_SIZE,
		PCI_READABLE_BASE + 3 * PCI_BAR_SIZE,
		PCI_BARS_BASE,
		PCI_BARS_BASE + PCI_BAR_SIZE,
		PCI_BARS_BASE + 2 * PCI_BAR_SIZE,
		PCI_ECAM_BASE + 0x7ff8,
		PCI_READABLE_BASE + 4 * PCI_BAR_SIZE - 8,
		PCI_BARS_BASE + PCI_BAR_SIZE - 8,
	};
	const uint8_t how = take(input, 1), where = take(input, 1);
	struct mmio_access mmio = { .size = 1 << (how & 3), .write = how & 4 };
	struct virtio *virtio = devices[how >> 3 & 1];
	struct virtio_queue *queue = &virtio->queues[how >> 4 & 1];

	if (how >> 5 == 7) {
		queue->kick.notified(&queue->kick);
	} else if (how >> 5 == 6) {
		struct event_source *source = waited[where / 4 % VECTORS];

		if (where & 2 && source)
			source->ready(source, 0);
		else if (where & 1)
			virtio_config_changed(virtio);
		else
			virtio->transport->queue_interrupt(virtio->transport, queue->index);
	} else {
		mmio.value = take(input, mmio.size);
		bus_access(bus, places[(how >> 3) % ARRAY_SIZE(places)] + where, &mmio);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct irq_routes routes = { .vm_fd = -1 };
	struct bus bus;
	struct pci *pci;

	memset(readable, 0, sizeof(readable));
	MUST(memory_create(&memory, RAM, MIB(2), MEMORY_ANON, NULL) == 0);
	bus_create(&bus);
	MUST(pci_create(&pci, &bus, readable) == 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(devices); i++) {
		devices[i] = create();
		MUST(virtio_pci_add(pci, &routes, NULL, devices[i]) == 0);
	}
	MUST(created == VECTORS);
	bus_freeze(&bus);
	doorbells = 0;
	while (input.size > 0)
		step(&bus, &input);
	check(&bus);
	bus_destroy(&bus);
	MUST(created == 0);
	for (unsigned int i = 0; i < VECTORS; i++)
		MUST(!waited[i]);
	memory_destroy(&memory);
	return 0;
}
