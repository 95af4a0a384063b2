// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drivers that do anything: a list of operations, of which some are whole steps of a proper driver
 * (a descriptor, a chain made available, a device set up), so that what is wrong comes late. The
 * first byte says whether a bare virtqueue is driven, or a console, a port for reports, an entropy
 * device or a balloon behind virtio-mmio; these must work again after a reset, whatever has
 * happened.
 */
#include <errno.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "balloon/balloon.h"
#include "bus/bus.h"
#include "bus/irq.h"
#include "fuzz.h"
#include "host/iov.h"
#include "host/worker.h"
#include "memmap.h"
#include "virtio/virtio_console.h"
#include "virtio/virtio_mmio.h"
#include "virtio/virtio_report.h"
#include "virtio/virtio_rng.h"

#define RAM	 KIB(256)
#define QUEUES	 6
#define RINGS	 0x3000 /* of a queue: descriptors, available and used ring, a page each */
#define RING(q)	 (RAM_BASE + RINGS * (q))
#define INDIRECT RING(QUEUES)
#define DATA	 (INDIRECT + 0x2000)

#define CONFIG_ACK_DRIVER  3
#define CONFIG_FEATURES_OK 11
#define CONFIG_DRIVER_OK   15
#define CONFIG_NEEDS_RESET 64
#define EVENT_IDX	   (1u << VIRTIO_RING_F_EVENT_IDX)
#define MULTIPORT	   (1u << VIRTIO_CONSOLE_F_MULTIPORT)
#define STATISTICS	   (1u << VIRTIO_BALLOON_F_STATS_VQ)
#define REPORTING	   (1u << VIRTIO_BALLOON_F_REPORTING)
#define REGISTER_STATUS	   0x070
#define REGISTER_CONFIG	   0x100
#define REGISTERS_SIZE	   0x200

static struct memory memory;
static struct input input;
static uint16_t queue_size[QUEUES];

/* RAM, as a driver writes it. */

static void *ram(uint64_t gpa, uint64_t size)
{
	void *bytes = memory_at(&memory, gpa, size);

	MUST(bytes);
	return bytes;
}

static struct vring_avail *avail_ring(unsigned int queue)
{
	return ram(RING(queue) + 0x1000, 0x1000);
}

/* Mostly in RAM. */
static uint64_t take_address(void)
{
	const uint64_t kind = take(&input, 1);

	switch (kind % 8) {
	case 0:
		return take(&input, 8);
	case 1:
		return RAM_BASE + RAM - take(&input, 1);
	case 2:
		return RAM_BASE - take(&input, 1);
	default:
		return DATA + take(&input, 2);
	}
}

static uint32_t take_length(void)
{
	const uint64_t kind = take(&input, 1);

	switch (kind % 8) {
	case 0:
		return take(&input, 4);
	case 1:
		return 16 * take(&input, 1);
	default:
		return kind >> 3;
	}
}

static void write_descriptor(uint64_t table)
{
	struct vring_desc desc;
	const uint64_t index = take(&input, 1) % 64;
	const uint64_t flags = take(&input, 1);

	desc.addr = flags & 0x80 ? INDIRECT + 16 * (flags >> 4 & 7) : take_address();
	desc.len = flags & 0x80 ? 16 * (flags >> 2 & 0x1f) : take_length();
	desc.flags = flags & 0x80 ? (flags & 1) | VRING_DESC_F_INDIRECT : flags & 7;
	desc.next = take(&input, 1) % 72;
	memcpy(ram(table + 16 * index, 16), &desc, 16);
}

static void offer(unsigned int queue)
{
	struct vring_avail *avail = avail_ring(queue);

	if (queue_size[queue] == 0 || queue_size[queue] > VIRTQUEUE_SIZE_MAX)
		return;
	avail->ring[avail->idx % queue_size[queue]] = take(&input, 1) % 72;
	avail->idx++;
}

/* What both kinds of run share; false: none of these. */
static bool step_driver(unsigned int what, unsigned int queue)
{
	switch (what) {
	case 0:
		write_descriptor(RING(queue));
		return true;
	case 1:
		write_descriptor(INDIRECT);
		return true;
	case 2:
	case 3:
		offer(queue);
		return true;
	case 4:
		avail_ring(queue)->idx += take(&input, 2);
		return true;
	case 5: {
		const uint64_t gpa = RAM_BASE + take(&input, 3) % (QUEUES * RINGS);
		const uint64_t value = take(&input, 2);

		memcpy(ram(gpa, 2), &value, 2);
		return true;
	}
	default:
		return false;
	}
}

/* A bare virtqueue. */

static struct virtqueue ring;
static struct virtqueue_chain chain;
static bool last_popped; /* chain is the last one, and may go back */
static bool in_flight[VIRTQUEUE_SIZE_MAX];
static uint16_t popped, pushed;

static void forget(void)
{
	memset(in_flight, 0, sizeof(in_flight));
	popped = pushed = 0;
	last_popped = false;
}

static void start(void)
{
	struct virtqueue_layout layout = { RING(0), RING(0) + 0x1000, RING(0) + 0x2000, 0 };
	const uint64_t how = take(&input, 1);

	layout.size = 1u << how % 9;
	if (how & 0x80) {
		layout.desc = take_address();
		layout.avail = take_address();
		layout.used = take_address();
		layout.size = take(&input, 2);
	}
	queue_size[0] = layout.size;
	forget();
	if (virtqueue_start(&ring, &memory, &layout, how & 0x10) == 0) {
		MUST(layout.size > 0 && layout.size <= VIRTQUEUE_SIZE_MAX);
		MUST((layout.size & (layout.size - 1)) == 0);
		MUST(memory_at(&memory, layout.desc, 16 * layout.size));
		MUST(memory_at(&memory, layout.avail, 6 + 2 * layout.size));
		MUST(memory_at(&memory, layout.used, 6 + 8 * layout.size));
	}
}

/* All of it can be touched, and adds up. Returns how many bytes there are. */
static uint64_t check_segments(const struct iovec *segments, unsigned int count)
{
	const uint8_t *base = ram(RAM_BASE, RAM);
	uint64_t bytes = 0;

	for (unsigned int i = 0; i < count; i++) {
		const uint8_t *begin = segments[i].iov_base;

		MUST(begin >= base && begin <= base + RAM);
		MUST(segments[i].iov_len <= (size_t)(base + RAM - begin));
		bytes += segments[i].iov_len;
	}
	return bytes;
}

static void pop(void)
{
	const bool running = virtqueue_running(&ring);
	int got = virtqueue_pop(&ring, &chain);

	MUST(got == 1 || got == 0 || got == -EPROTO);
	MUST(running || got == -EPROTO);
	MUST(virtqueue_running(&ring) == (got != -EPROTO));
	/* What a broken queue leaves in the chain is nobody's to use. */
	if (got < 0)
		last_popped = false;
	if (got != 1)
		return;
	MUST(chain.head < ring.layout.size && !in_flight[chain.head]);
	MUST(chain.out_count + chain.in_count >= 1);
	MUST(chain.out_count + chain.in_count <= VIRTQUEUE_SEGMENTS_MAX);
	MUST(check_segments(chain.out, chain.out_count) == chain.out_bytes);
	MUST(check_segments(chain.in, chain.in_count) == chain.in_bytes);
	in_flight[chain.head] = true;
	last_popped = true;
	popped++;
	MUST(ring.next_avail == popped);
}

static void copy(void)
{
	uint32_t offset = take(&input, 2), size = take(&input, 1), want;
	uint8_t buffer[256] = { 0 };

	if (!last_popped)
		return;
	want = offset >= chain.out_bytes ? 0 : chain.out_bytes - offset;
	MUST(iov_read(chain.out, chain.out_count, offset, buffer, size) ==
	     (want < size ? want : size));
	want = offset >= chain.in_bytes ? 0 : chain.in_bytes - offset;
	MUST(iov_write(chain.in, chain.in_count, offset, buffer, size) ==
	     (want < size ? want : size));
}

static void push(uint16_t head)
{
	if (!virtqueue_running(&ring) || head >= ring.layout.size || !in_flight[head])
		return;
	virtqueue_push(&ring, head, take(&input, 2));
	in_flight[head] = false;
	last_popped = last_popped && head != chain.head;
	pushed++;
	MUST(ring.next_used == pushed);
}

/* What is not new is not written again: the driver may have put something else there meanwhile. */
static void publish(void)
{
	const bool is_new = virtqueue_running(&ring) && ring.published != ring.next_used;

	virtqueue_publish(&ring);
	MUST(!is_new ||
	     ((const struct vring_used *)ram(ring.layout.used, sizeof(struct vring_used)))->idx ==
		     pushed);
}

static void step_queue(void)
{
	const unsigned int what = take(&input, 1) % 16;

	if (step_driver(what, 0))
		return;
	switch (what) {
	case 6:
		start();
		break;
	case 7:
		if (last_popped && virtqueue_running(&ring)) {
			virtqueue_unpop(&ring, &chain);
			in_flight[chain.head] = false;
			popped--;
		}
		last_popped = false;
		break;
	case 8:
		push(take(&input, 1));
		break;
	case 9:
		if (last_popped)
			push(chain.head);
		break;
	case 10:
		publish();
		break;
	case 11:
		virtqueue_interrupt_due(&ring);
		break;
	case 12:
		virtqueue_kicks_on(&ring);
		virtqueue_kicks_off(&ring);
		break;
	case 13:
		copy();
		break;
	default:
		pop();
		break;
	}
}

static void run_queue(void)
{
	virtqueue_stop(&ring);
	forget();
	start();
	while (input.size > 0)
		step_queue();
}

/* In place of vmm/host/event.c, vmm/host/worker.c and vmm/bus/irq.c. */

#define NOTIFIERS_MAX QUEUES
#include "fake_worker.h"

static struct event_timer *timer;
static bool timer_armed;

int event_timer_create(struct event_timer *new, struct event_loop *loop, int clock,
		       void (*expired)(struct event_timer *timer))
{
	new->expired = expired;
	timer = new;
	timer_armed = false;
	return 0;
}

void event_timer_destroy(struct event_timer *old)
{
	MUST(timer == old);
	timer = NULL;
}

void event_timer_in(struct event_timer *which, uint64_t nanoseconds)
{
	MUST(timer == which);
	timer_armed = true;
}

static bool edge_raised;

static void set_line(const struct irq_line *line, bool level)
{
	edge_raised |= level;
}

struct irq_line irq_line_spi(int vm_fd, unsigned int spi)
{
	return (struct irq_line){ .set = set_line };
}

/* In place of mm/discard.c: what is discarded is RAM, and zeroes from then on. */

uint64_t memory_discard(const struct memory *which, void *host, uint64_t length)
{
	const uint8_t *begin = host, *base = ram(RAM_BASE, RAM);

	MUST(which == &memory && begin >= base && begin <= base + RAM);
	MUST(length <= (uint64_t)(base + RAM - begin));
	memset(host, 0, length);
	return length;
}

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

int irq_doorbell(int vm_fd, uint64_t gpa, uint32_t size, uint64_t value, int eventfd)
{
	return 0;
}

/* The console's other side: what it has and takes is the input's to say. */

static struct console console;
static uint64_t console_room, console_sent, console_typed;

static size_t console_offer(struct console *which, const uint8_t *bytes, size_t count)
{
	size_t taken = count < console_room ? count : console_room;

	MUST(which == &console);
	if (taken > 0)
		(void)*(volatile const uint8_t *)(bytes + taken - 1);
	console_room -= taken;
	console_sent += taken;
	return taken;
}

static size_t console_read(struct console *which, uint8_t *bytes, size_t count)
{
	size_t have = count < console_typed ? count : console_typed;

	MUST(which == &console);
	memset(bytes, 'x', have);
	console_typed -= have;
	return have;
}

static bool console_size(struct console *which, uint16_t *columns, uint16_t *rows)
{
	*columns = 80;
	*rows = 25;
	return true;
}

/* The same of reports. */

static struct sink sink;
static uint64_t sink_sent;

static size_t sink_offer(struct sink *which, const struct iovec *segments, unsigned int count)
{
	const uint64_t length = check_segments(segments, count);
	const size_t taken = length < console_room ? length : console_room;

	MUST(which == &sink && length > 0);
	console_room -= taken;
	sink_sent += taken;
	return taken;
}

static void sink_keep(struct sink *which, const struct iovec *segments, unsigned int count)
{
	MUST(which == &sink);
	check_segments(segments, count);
}

/* Devices behind virtio-mmio. */

static struct device *device;
static struct virtio *virtio;

static uint8_t readable[VIRTIO_MMIO_SIZE] __attribute__((aligned(64)));

static uint64_t access_register(uint64_t offset, uint8_t size, bool write, uint64_t value)
{
	struct mmio_access mmio = { offset, value, size, write };
	enum mmio_result result = device->ops->access(device, &mmio);

	MUST(result == MMIO_DONE || result == MMIO_BAD);
	return result == MMIO_DONE ? mmio.value : UINT64_MAX;
}

static void set(uint64_t offset, uint32_t value)
{
	access_register(offset, 4, true, value);
}

/* What the guest reads without an exit is what an exit would tell. */
static uint32_t get(uint64_t offset)
{
	const uint32_t value = access_register(offset, 4, false, 0);

	MUST(memcmp(readable + offset, &value, sizeof(value)) == 0);
	return value;
}

static void set_queue(unsigned int queue, uint16_t size)
{
	static const uint64_t registers[] = { 0x080, 0x090, 0x0a0 };

	set(0x030, queue);
	set(0x038, size);
	for (unsigned int i = 0; i < 3; i++) {
		set(registers[i], RING(queue) + i * 0x1000);
		set(registers[i] + 4, 0);
	}
	set(0x044, 1);
	queue_size[queue] = size;
}

static void activate(uint32_t features, uint16_t size)
{
	memset(ram(RING(0), virtio->queue_count * RINGS), 0, virtio->queue_count * RINGS);
	set(REGISTER_STATUS, 0);
	MUST(get(REGISTER_STATUS) == 0);
	set(REGISTER_STATUS, CONFIG_ACK_DRIVER);
	set(0x024, 0);
	set(0x020, features);
	set(0x024, 1);
	set(0x020, 1);
	set(REGISTER_STATUS, CONFIG_FEATURES_OK);
	for (unsigned int queue = 0; queue < virtio->queue_count; queue++) {
		const uint16_t max = virtio->queues[queue].size_max;

		set_queue(queue, size < max ? size : max);
	}
	set(REGISTER_STATUS, CONFIG_DRIVER_OK);
}

static void step_register(bool config)
{
	static const uint8_t sizes[] = { 1, 2, 4, 8, 4, 4, 4, 4 };
	const uint64_t how = take(&input, 1);
	const uint8_t size = sizes[how & 7];
	uint64_t offset = 4 * (take(&input, 1) % (REGISTER_CONFIG / 4));

	if (config)
		offset = (REGISTER_CONFIG - 8 + take(&input, 1)) % (REGISTERS_SIZE - size + 1);
	if (how & 0x10)
		access_register(offset, size, true, take(&input, size));
	else if (size < 8)
		access_register(offset, size, false, 0);
}

static bool is_balloon(void)
{
	return virtio->ops->device_id == VIRTIO_ID_BALLOON;
}

/* What the loop thread does with it. */
static void use_balloon(void)
{
	struct balloon_state state;

	balloon_set_target(virtio, console_room % (RAM / BALLOON_PAGE + 1) * BALLOON_PAGE);
	balloon_look(virtio, &state);
	MUST(state.target <= RAM && state.given <= RAM);
	balloon_ask(virtio);
}

static void step_device(void)
{
	const unsigned int what = take(&input, 1);
	const unsigned int queue = (what >> 4) % virtio->queue_count;

	if (step_driver(what % 16, queue))
		return;
	switch (what % 16) {
	case 6: {
		const uint64_t features = take(&input, 1);

		/* What was not offered is not to be accepted either. */
		activate((features & 1 ? EVENT_IDX : 0) | (features & 2 ? MULTIPORT : 0) |
				 (features & 4 ? REPORTING : 0),
			 1u << take(&input, 1) % 7);
		break;
	}
	case 7:
		step_register(true);
		break;
	case 8:
		console_typed = take(&input, 1);
		if (console.input)
			console.input(console.device);
		turn();
		break;
	case 9:
		console_room = take(&input, 2);
		if (console.room)
			console.room(console.device);
		if (sink.room)
			sink.room(sink.device);
		if (is_balloon())
			use_balloon();
		turn();
		break;
	case 10:
		if (console.resized)
			console.resized(console.device);
		break;
	case 11:
		if (timer && timer_armed)
			timer->expired(timer);
		timer_armed = false;
		break;
	case 12:
	case 13:
		event_notify(&virtio->queues[queue].kick);
		turn();
		break;
	default:
		step_register(false);
		break;
	}
}

/* Features are settled before queues run, which they do while the driver is there. */
/* MagicValue to DeviceFeatures, QueueSizeMax, QueueReady, InterruptStatus, ConfigGeneration. */
static const uint64_t read_registers[] = {
	0x000, 0x004, 0x008, 0x00c, 0x010, 0x034, 0x044, 0x060, 0x0fc,
};

static void check_device(void)
{
	const uint32_t status = get(REGISTER_STATUS);

	if (status & 4)
		MUST(status & 8);
	if (status & 8)
		MUST(!(virtio->accepted & ~virtio->offered) && virtio->accepted >> 32 & 1);
	for (unsigned int i = 0; i < virtio->queue_count; i++)
		if (virtio->queues[i].ring.started)
			MUST(virtio->queues[i].ready && status & 4);
	for (size_t i = 0; i < ARRAY_SIZE(read_registers); i++)
		get(read_registers[i]);
}

/* A chain of one segment, the first of a queue. */
static void offer_one(unsigned int queue, uint64_t gpa, uint32_t length, uint16_t flags)
{
	const struct vring_desc desc = { gpa, length, flags, 0 };

	memcpy(ram(RING(queue) + 16 * 5, 16), &desc, 16);
	avail_ring(queue)->ring[0] = 5;
	avail_ring(queue)->idx = 1;
	event_notify(&virtio->queues[queue].kick);
	turn();
}

static void check_used(unsigned int queue, uint32_t length)
{
	const struct vring_used *used = ram(RING(queue) + 0x2000, 0x1000);

	MUST(used->idx == 1 && used->ring[0].id == 5);
	MUST(used->ring[0].len == length);
}

/* The driver has made the port, and is told its name. */
static void check_talk(void)
{
	const struct virtio_console_control message = { 0, VIRTIO_CONSOLE_PORT_READY, 1 };

	memcpy(ram(DATA, 8), &message, 8);
	offer_one(2, DATA + 64, 64, VRING_DESC_F_WRITE);
	offer_one(3, DATA, 8, 0);
	check_used(3, 0);
	check_used(2, 8 + strlen(VIRTIO_REPORT_NAME));
	MUST(memcmp(ram(DATA + 64 + 8, 16), VIRTIO_REPORT_NAME, 16) == 0);
}

/* The driver gives a page, and reports another one. */
static void check_balloon(void)
{
	struct balloon_state before, after;
	const uint64_t page = DATA + 0x1000, free_page = DATA + 0x2000;
	const uint32_t number = page / BALLOON_PAGE;

	activate(REPORTING | STATISTICS, 8);
	balloon_look(virtio, &before);
	memset(ram(page, 0x2000), 0x5a, 0x2000);
	memcpy(ram(DATA, 4), &number, 4);
	offer_one(0, DATA, 4, 0);
	check_used(0, 0);
	MUST(*(uint8_t *)ram(page, 1) == 0 && *(uint8_t *)ram(free_page, 1) == 0x5a);
	offer_one(3, free_page, 0x1000, VRING_DESC_F_WRITE);
	check_used(3, 0);
	MUST(*(uint8_t *)ram(free_page, 1) == 0);
	balloon_look(virtio, &after);
	MUST(after.inflated == before.inflated + 0x1000);
	MUST(after.reported == before.reported + 0x1000);
}

enum kind { CONSOLE, REPORT, RNG, BALLOON, KINDS };

/* What a proper driver finds afterwards. */
static void check_works(enum kind kind)
{
	const bool is_in = kind == RNG;
	const unsigned int queue = kind == RNG ? 0 : 1;

	activate(kind == REPORT ? MULTIPORT : 0, 8);
	MUST(get(REGISTER_STATUS) == CONFIG_DRIVER_OK);
	console_room = UINT64_MAX;
	console_sent = sink_sent = console_typed = 0;
	edge_raised = false;
	offer_one(queue, DATA, 16, is_in ? VRING_DESC_F_WRITE : 0);
	if (timer)
		timer->expired(timer);
	MUST(get(REGISTER_STATUS) == CONFIG_DRIVER_OK);
	check_used(queue, is_in ? 16 : 0);
	MUST(console_sent == (kind == CONSOLE ? 16 : 0));
	MUST(sink_sent == (kind == REPORT ? 16 : 0));
	MUST(edge_raised && (get(0x060) & 1));
	if (kind == REPORT)
		check_talk();
	if (kind == BALLOON)
		check_balloon();
}

static struct virtio *create(enum kind kind)
{
	struct event_loop loop = { .epoll_fd = -1 };
	struct virtio *created;

	if (kind == CONSOLE)
		MUST(virtio_console_create(&created, &memory, &loop, &console) == 0);
	else if (kind == REPORT)
		MUST(virtio_report_create(&created, &memory, &loop, &sink) == 0);
	else if (kind == BALLOON)
		MUST(balloon_create(&created, &memory) == 0);
	else
		MUST(virtio_rng_create(&created, &memory, &loop) == 0);
	return created;
}

static void run_device(enum kind kind)
{
	console = (struct console){
		.offer = console_offer,
		.read = console_read,
		.size = console_size,
	};
	sink = (struct sink){ .offer = sink_offer, .keep = sink_keep };
	console_room = UINT64_MAX;
	console_typed = 0;
	virtio = create(kind);
	MUST(virtio_mmio_create(&device, 0, -1, virtio, readable) == 0);
	activate(EVENT_IDX | (kind == REPORT ? MULTIPORT : 0) |
			 (kind == BALLOON ? STATISTICS | REPORTING : 0),
		 16);
	while (input.size > 0) {
		step_device();
		check_device();
	}
	check_works(kind);
	device->ops->destroy(device);
	MUST(!console.input && !sink.room && !timer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t what;

	input = (struct input){ data, size };
	if (!memory.host)
		MUST(memory_create(&memory, RAM_BASE, RAM, MEMORY_ANON, NULL) == 0);
	memset(ram(RAM_BASE, RAM), 0, RAM);
	what = take(&input, 1) % (KINDS + 1);
	if (what == KINDS)
		run_queue();
	else
		run_device(what);
	return 0;
}
