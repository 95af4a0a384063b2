// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drivers of a virtio console that break the rules, in all ways that somebody has found in some
 * device. Each time the device must ask for a reset, or take no notice, and a reset must be enough
 * to make a proper driver work again.
 */
#include "mmu.h"
#include "virtio_mmio.h"

#define SIZE 8

enum { RECEIVE, TRANSMIT, QUEUES };

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static struct {
	struct desc desc[64];
	struct {
		uint16_t flags, idx, ring[SIZE], used_event;
	} avail;
	struct {
		uint16_t flags, idx;
		struct {
			uint32_t id, len;
		} ring[SIZE];
		uint16_t avail_event;
	} used __attribute__((aligned(4)));
} queue[QUEUES] __attribute__((aligned(4096)));

static struct desc table[16] __attribute__((aligned(16)));
static uint8_t buffer[256];

/* Time. */

static uint64_t deadline(unsigned int milliseconds)
{
	return read_sysreg(cntvct_el0) + milliseconds * read_sysreg(cntfrq_el0) / 1000;
}

static bool before(uint64_t time)
{
	barrier();
	return read_sysreg(cntvct_el0) < time;
}

/* Registers. */

static uint32_t get(uint64_t offset)
{
	return read32(VIRTIO_BASE + offset);
}

static void set(uint64_t offset, uint32_t value)
{
	barrier();
	write32(VIRTIO_BASE + offset, value);
}

static void set_address(uint64_t offset, uint64_t address)
{
	set(offset, address);
	set(offset + 4, address >> 32);
}

static void lay_out(unsigned int which, uint64_t desc, uint64_t avail, uint64_t used, uint32_t size)
{
	set(QUEUE_SEL, which);
	set(QUEUE_SIZE, size);
	set_address(QUEUE_DESC, desc);
	set_address(QUEUE_DRIVER, avail);
	set_address(QUEUE_DEVICE, used);
	set(QUEUE_READY, 1);
}

static void clear(void *memory, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((volatile uint8_t *)memory)[i] = 0;
}

/* A reset, and all that comes before DRIVER_OK but the queues. */
static void negotiate(void)
{
	clear(queue, sizeof(queue));
	clear(table, sizeof(table));
	set(STATUS, 0);
	set(STATUS, STATUS_DRIVER);
	set(DRIVER_FEATURES_SEL, 0);
	set(DRIVER_FEATURES, 0);
	set(DRIVER_FEATURES_SEL, 1);
	set(DRIVER_FEATURES, 1);
	set(STATUS, STATUS_FEATURES_OK);
}

static void lay_out_properly(unsigned int which)
{
	lay_out(which, (uintptr_t)queue[which].desc, (uintptr_t)&queue[which].avail,
		(uintptr_t)&queue[which].used, SIZE);
}

static void activate(void)
{
	negotiate();
	lay_out_properly(RECEIVE);
	lay_out_properly(TRANSMIT);
	set(STATUS, STATUS_DRIVER_OK);
}

/* Rings. */

static void put_desc(struct desc *desc, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	*(volatile struct desc *)desc = (struct desc){ addr, len, flags, next };
}

static void offer(unsigned int which, uint16_t head)
{
	volatile uint16_t *idx = &queue[which].avail.idx;

	((volatile uint16_t *)queue[which].avail.ring)[*idx % SIZE] = head;
	barrier();
	*idx = *idx + 1;
}

static void kick(unsigned int which)
{
	set(QUEUE_NOTIFY, which);
}

static uint16_t used_idx(unsigned int which)
{
	barrier();
	return *(volatile uint16_t *)&queue[which].used.idx;
}

static bool wait_used(unsigned int which, uint16_t idx)
{
	const uint64_t end = deadline(20000);

	while (used_idx(which) != idx)
		if (!before(end))
			return false;
	return true;
}

static bool wait_needs_reset(void)
{
	const uint64_t end = deadline(20000);

	while (!(get(STATUS) & STATUS_NEEDS_RESET))
		if (!before(end))
			return false;
	return true;
}

/* Writes a line as a proper driver does, on a device that is ready for it. */
static bool transmit(const char *text)
{
	const uint16_t idx = used_idx(TRANSMIT);
	uint32_t length = 0;

	while (text[length]) {
		((volatile uint8_t *)buffer)[length] = text[length];
		length++;
	}
	put_desc(&queue[TRANSMIT].desc[5], (uintptr_t)buffer, length, 0, 0);
	offer(TRANSMIT, 5);
	kick(TRANSMIT);
	return wait_used(TRANSMIT, idx + 1) && get(STATUS) == STATUS_DRIVER_OK;
}

static unsigned int proper;

static bool works(void)
{
	proper++;
	return transmit("a proper driver\n");
}

static bool works_after_reset(void)
{
	activate();
	return works();
}

/* Chains that are wrong: what makes them, and which queue they go to. */

#define TX queue[TRANSMIT].desc

static void loop_of_one(void)
{
	put_desc(&TX[0], (uintptr_t)buffer, 0, NEXT, 0);
	offer(TRANSMIT, 0);
}

static void loop_of_three(void)
{
	put_desc(&TX[0], (uintptr_t)buffer, 0, NEXT, 1);
	put_desc(&TX[1], (uintptr_t)buffer, 0, NEXT, 2);
	put_desc(&TX[2], (uintptr_t)buffer, 0, NEXT, 0);
	offer(TRANSMIT, 0);
}

static void loop_in_an_indirect_table(void)
{
	put_desc(&table[0], (uintptr_t)buffer, 0, NEXT, 1);
	put_desc(&table[1], (uintptr_t)buffer, 0, NEXT, 0);
	put_desc(&TX[0], (uintptr_t)table, 32, INDIRECT, 0);
	offer(TRANSMIT, 0);
}

static void next_out_of_range(void)
{
	put_desc(&TX[0], (uintptr_t)buffer, 0, NEXT, SIZE);
	offer(TRANSMIT, 0);
}

static void next_far_out_of_range(void)
{
	put_desc(&TX[0], (uintptr_t)buffer, 0, NEXT, 0xffff);
	offer(TRANSMIT, 0);
}

static void next_out_of_an_indirect_table(void)
{
	put_desc(&table[0], (uintptr_t)buffer, 0, NEXT, 2);
	put_desc(&TX[0], (uintptr_t)table, 32, INDIRECT, 0);
	offer(TRANSMIT, 0);
}

static void head_out_of_range(void)
{
	offer(TRANSMIT, SIZE);
}

static void head_far_out_of_range(void)
{
	offer(TRANSMIT, 0xffff);
}

static void available_index_that_jumps(void)
{
	queue[TRANSMIT].avail.idx = SIZE + 1;
}

static void available_index_that_goes_back(void)
{
	queue[TRANSMIT].avail.idx = 0xffff;
}

static void buffer_at(uint64_t addr, uint32_t len)
{
	put_desc(&TX[0], addr, len, 0, 0);
	offer(TRANSMIT, 0);
}

static void buffer_at_0(void)
{
	buffer_at(0, 1);
}

static void buffer_in_the_uart(void)
{
	buffer_at(PL011_BASE, 4);
}

static void buffer_in_the_device(void)
{
	buffer_at(VIRTIO_BASE, 0x200);
}

static void buffer_before_ram(void)
{
	buffer_at(RAM_BASE - 1, 2);
}

static void buffer_longer_than_ram(void)
{
	buffer_at(RAM_BASE, UINT32_MAX);
}

static void buffer_that_wraps(void)
{
	buffer_at(UINT64_MAX - 7, 16);
}

static void lengths_that_overflow(void)
{
	put_desc(&TX[0], (uintptr_t)buffer, 0x80000000, NEXT, 1);
	put_desc(&TX[1], (uintptr_t)buffer, 0x80000000, 0, 0);
	offer(TRANSMIT, 0);
}

static void indirect(uint64_t addr, uint32_t len, uint16_t flags)
{
	put_desc(&table[0], (uintptr_t)buffer, 0, 0, 0);
	put_desc(&TX[0], addr, len, INDIRECT | flags, 1);
	put_desc(&TX[1], (uintptr_t)buffer, 0, 0, 0);
	offer(TRANSMIT, 0);
}

static void indirect_table_of_no_length(void)
{
	indirect((uintptr_t)table, 0, 0);
}

static void indirect_table_of_a_bad_length(void)
{
	indirect((uintptr_t)table, 17, 0);
}

static void indirect_table_longer_than_ram(void)
{
	indirect((uintptr_t)table, 0xfffffff0, 0);
}

static void indirect_table_in_the_device(void)
{
	indirect(VIRTIO_BASE, 16, 0);
}

static void indirect_table_with_a_next(void)
{
	indirect((uintptr_t)table, 16, NEXT);
}

static void indirect_table_in_itself(void)
{
	indirect((uintptr_t)table, 16, 0);
	put_desc(&table[0], (uintptr_t)table, 16, INDIRECT, 0);
}

static void read_after_write(void)
{
	put_desc(&TX[0], (uintptr_t)buffer, 1, WRITE | NEXT, 1);
	put_desc(&TX[1], (uintptr_t)buffer, 1, 0, 0);
	offer(TRANSMIT, 0);
}

static void receive_into_the_device(void)
{
	put_desc(&queue[RECEIVE].desc[0], VIRTIO_BASE, 64, WRITE, 0);
	offer(RECEIVE, 0);
}

static void receive_into_a_loop(void)
{
	put_desc(&queue[RECEIVE].desc[0], (uintptr_t)buffer, 1, WRITE | NEXT, 0);
	offer(RECEIVE, 0);
}

static void receive_into_nothing_at_all(void)
{
	offer(RECEIVE, 0x8000);
}

static const struct {
	void (*make)(void);
	const char *name;
} bad_chains[] = {
	{ loop_of_one, "a chain that is a loop of one" },
	{ loop_of_three, "a chain that is a loop of three" },
	{ loop_in_an_indirect_table, "a loop in an indirect table" },
	{ next_out_of_range, "a next descriptor out of range" },
	{ next_far_out_of_range, "a next descriptor far out of range" },
	{ next_out_of_an_indirect_table, "a next descriptor outside its indirect table" },
	{ head_out_of_range, "a head out of range" },
	{ head_far_out_of_range, "a head far out of range" },
	{ available_index_that_jumps, "an available index that jumps" },
	{ available_index_that_goes_back, "an available index that goes back" },
	{ buffer_at_0, "a buffer where nothing is" },
	{ buffer_in_the_uart, "a buffer in the UART" },
	{ buffer_in_the_device, "a buffer in the device's own registers" },
	{ buffer_before_ram, "a buffer across the beginning of RAM" },
	{ buffer_longer_than_ram, "a buffer longer than RAM" },
	{ buffer_that_wraps, "a buffer across the end of 64 bits" },
	{ lengths_that_overflow, "lengths that overflow 32 bits" },
	{ indirect_table_of_no_length, "an indirect table of no length" },
	{ indirect_table_of_a_bad_length, "an indirect table of a bad length" },
	{ indirect_table_longer_than_ram, "an indirect table longer than RAM" },
	{ indirect_table_in_the_device, "an indirect table in the device's own registers" },
	{ indirect_table_with_a_next, "an indirect table with a next descriptor" },
	{ indirect_table_in_itself, "an indirect table within itself" },
	{ read_after_write, "a buffer to be read after one to be written" },
	{ receive_into_the_device, "a buffer for input in the device's own registers" },
	{ receive_into_a_loop, "a loop for input" },
	{ receive_into_nothing_at_all, "a head for input out of range" },
};

static void test_chains(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(bad_chains); i++) {
		bool ok;

		activate();
		bad_chains[i].make();
		kick(RECEIVE);
		kick(TRANSMIT);
		ok = wait_needs_reset();
		ok &= get(INTERRUPT_STATUS) >> 1 & 1;
		report(ok & works_after_reset(), bad_chains[i].name);
	}
}

/* Where queues cannot be. */
static void test_layouts(void)
{
	const uint64_t desc = (uintptr_t)queue[TRANSMIT].desc;
	const uint64_t avail = (uintptr_t)&queue[TRANSMIT].avail;
	const uint64_t used = (uintptr_t)&queue[TRANSMIT].used;
	const struct {
		uint64_t desc, avail, used;
		uint32_t size;
		const char *name;
	} layouts[] = {
		{ PL011_BASE, avail, used, SIZE, "descriptors in the UART" },
		{ desc, PL011_BASE, used, SIZE, "an available ring in the UART" },
		{ desc, avail, PL011_BASE, SIZE, "a used ring in the UART" },
		{ VIRTIO_BASE, VIRTIO_BASE, VIRTIO_BASE, SIZE, "a queue in its own registers" },
		{ 0, 0, 0, SIZE, "a queue where nothing is" },
		{ RAM_BASE - 16, avail, used, SIZE, "descriptors across the beginning of RAM" },
		{ UINT64_MAX - 15, avail, used, SIZE, "descriptors across the end of 64 bits" },
		{ desc, avail | UINT64_C(1) << 63, used, SIZE, "an available ring far away" },
		{ desc + 8, avail, used, SIZE, "misaligned descriptors" },
		{ desc, avail + 1, used, SIZE, "a misaligned available ring" },
		{ desc, avail, used + 2, SIZE, "a misaligned used ring" },
		{ desc, avail, used, 0, "a queue of no entries" },
		{ desc, avail, used, 3, "a queue of three entries" },
		{ desc, avail, used, 128, "a queue of too many entries" },
		{ desc, avail, used, 0x10000 + SIZE, "a queue of 65544 entries" },
		{ desc, avail, used, UINT32_MAX, "a queue of 4294967295 entries" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(layouts); i++) {
		bool ok;

		negotiate();
		lay_out_properly(RECEIVE);
		lay_out(TRANSMIT, layouts[i].desc, layouts[i].avail, layouts[i].used,
			layouts[i].size);
		set(STATUS, STATUS_DRIVER_OK);
		kick(TRANSMIT);
		ok = wait_needs_reset();
		report(ok & works_after_reset(), layouts[i].name);
	}
}

/* What is to be ignored: the device goes on as if nothing had been. */
static void test_ignored(void)
{
	activate();
	set(QUEUE_SEL, TRANSMIT);
	set(QUEUE_SIZE, 1);
	set_address(QUEUE_DESC, PL011_BASE);
	set_address(QUEUE_DRIVER, UINT64_MAX);
	set_address(QUEUE_DEVICE, 0);
	set(QUEUE_READY, 1);
	set(DRIVER_FEATURES, UINT32_MAX);
	report(works(), "registers of a queue changed while it runs");

	set(QUEUE_SEL, QUEUES);
	set(QUEUE_NOTIFY, QUEUES);
	set(QUEUE_NOTIFY, UINT32_MAX);
	report(get(QUEUE_SIZE_MAX) == 0 && get(QUEUE_READY) == 0, "no third queue");
	set(QUEUE_READY, 1);
	report(works(), "a queue that does not exist made ready");

	set(STATUS, 0xff);
	report(get(STATUS) == STATUS_DRIVER_OK || get(STATUS) == 0xbf, "NEEDS_RESET is not ours");
	activate();
	for (uint64_t offset = 0; offset < CONFIG; offset += 4) {
		write8(VIRTIO_BASE + offset, 0);
		write16(VIRTIO_BASE + offset, 0);
		write64(VIRTIO_BASE + offset / 8 * 8, 0);
	}
	report(works(), "registers written in other widths");
	/* From memory, or by an exit, which knows no such register. */
	report((read8(VIRTIO_BASE + STATUS) == STATUS_DRIVER_OK &&
		read16(VIRTIO_BASE + STATUS) == STATUS_DRIVER_OK &&
		(uint32_t)read64(VIRTIO_BASE + STATUS) == STATUS_DRIVER_OK) ||
		       (read8(VIRTIO_BASE + STATUS) == UINT8_MAX &&
			read16(VIRTIO_BASE + STATUS) == UINT16_MAX &&
			read64(VIRTIO_BASE + STATUS) == UINT64_MAX),
	       "registers read in other widths");
	for (uint64_t offset = CONFIG; offset < 0x200; offset += 8)
		write64(VIRTIO_BASE + offset, UINT64_MAX);
	report(works(), "the configuration written");
	report(get(0x1fc) == 0, "nothing at the configuration's end");

	put_desc(&TX[1], (uintptr_t)buffer, 0x1000000, WRITE, 0);
	put_desc(&TX[2], (uintptr_t)buffer, 0, 0, 0);
	const uint16_t idx = used_idx(TRANSMIT);

	offer(TRANSMIT, 1);
	offer(TRANSMIT, 2);
	kick(TRANSMIT);
	report(wait_used(TRANSMIT, idx + 2), "nothing to be read is nothing transmitted");
	report(works(), "and so it goes on");
}

static void test_status(void)
{
	set(STATUS, 0);
	set(STATUS, STATUS_DRIVER_OK);
	report_equal(get(STATUS), STATUS_DRIVER, "no FEATURES_OK without VERSION_1");
	set(STATUS, 0);
	set(STATUS, STATUS_DRIVER);
	set(DRIVER_FEATURES_SEL, 1);
	set(DRIVER_FEATURES, UINT32_MAX);
	set(STATUS, STATUS_FEATURES_OK);
	report_equal(get(STATUS), STATUS_DRIVER, "no FEATURES_OK with what was not offered");
	set(DRIVER_FEATURES, 1);
	set(STATUS, STATUS_DRIVER | 4);
	report_equal(get(STATUS), STATUS_DRIVER, "no DRIVER_OK without FEATURES_OK");
	report(works_after_reset(), "it works after that");
}

/* The same head twice, and all of the ring: the device may be done with the first or not. */
static void test_same_head(void)
{
	activate();
	put_desc(&TX[1], (uintptr_t)buffer, 0, 0, 0);
	for (unsigned int i = 0; i < SIZE; i++)
		offer(TRANSMIT, 1);
	kick(TRANSMIT);
	for (uint64_t end = deadline(20000); before(end);)
		if (used_idx(TRANSMIT) == SIZE || get(STATUS) & STATUS_NEEDS_RESET)
			break;
	report(used_idx(TRANSMIT) == SIZE || get(STATUS) & STATUS_NEEDS_RESET,
	       "the same head twice");
	report(works_after_reset(), "it works after that");
}

/* When the driver sees the reset done, nothing of the device touches memory any more. */
static void test_reset_in_mid_flight(void)
{
	bool quiet = true;

	for (unsigned int round = 0; round < 50; round++) {
		uint16_t idx;

		activate();
		for (unsigned int i = 0; i < SIZE; i++) {
			put_desc(&TX[i], (uintptr_t)buffer, 0, 0, 0);
			offer(TRANSMIT, i);
			put_desc(&queue[RECEIVE].desc[i], (uintptr_t)buffer, 16, WRITE, 0);
			offer(RECEIVE, i);
		}
		kick(RECEIVE);
		kick(TRANSMIT);
		/* Sooner or later. */
		for (uint64_t end = deadline(round % 5); before(end);)
			;
		if (round % 2) {
			set(STATUS, 0);
		} else {
			set(QUEUE_SEL, TRANSMIT);
			set(QUEUE_READY, 0);
		}
		idx = used_idx(TRANSMIT);
		kick(TRANSMIT);
		for (uint64_t end = deadline(2); before(end);)
			quiet &= used_idx(TRANSMIT) == idx;
	}
	report(quiet, "a queue that was stopped is quiet");
	report(works_after_reset(), "a reset in mid-flight");
}

/* All parts in one place: whatever comes of it. */
static void test_overlap(void)
{
	negotiate();
	for (unsigned int i = 0; i < SIZE; i++)
		put_desc(&TX[i], i, 0x10001 * i, i, i);
	lay_out(TRANSMIT, (uintptr_t)TX, (uintptr_t)TX, (uintptr_t)TX, SIZE);
	set(STATUS, STATUS_DRIVER_OK);
	for (unsigned int i = 0; i < 100; i++)
		kick(TRANSMIT);
	report(works_after_reset(), "a queue on top of itself");
}

/*
 * Input without an end, and a second vCPU that gives each buffer back as soon as it sees that it
 * was filled, long before the device says so. The rest of nidus must not starve: what comes from
 * here is printed, and power_off() ends it.
 */
static void swallow(uint64_t context)
{
	volatile uint8_t *bytes = buffer;
	volatile uint16_t *idx = &queue[RECEIVE].avail.idx;

	(void)context;
	mmu_on();
	for (unsigned int i = 0;; i = (i + 1) % SIZE) {
		while (bytes[i] == 0xff)
			;
		bytes[i] = 0xff;
		barrier();
		*idx = *idx + 1;
	}
}

static void test_endless_input(void)
{
	const uint64_t end = deadline(3000);
	uint64_t filled = 0;

	activate();
	for (unsigned int i = 0; i < SIZE; i++) {
		((volatile uint8_t *)buffer)[i] = 0xff;
		put_desc(&queue[RECEIVE].desc[i], (uintptr_t)&buffer[i], 1, WRITE, 0);
		offer(RECEIVE, i);
	}
	cpu_main = swallow;
	report(cpu_on(1, 1) == PSCI_SUCCESS, "a second vCPU");
	while (before(end)) {
		const uint16_t last = used_idx(RECEIVE);

		/* The other one does not kick, and may have been too slow. */
		kick(RECEIVE);
		for (uint64_t soon = deadline(10); before(soon);)
			;
		filled += (uint16_t)(used_idx(RECEIVE) - last);
	}
	report(filled > 100, "input without an end");
}

int main(void)
{
	mmu_on();
	report_equal(get(MAGIC_VALUE), 0x74726976, "a virtio device");
	report_equal(get(DEVICE_ID), 3, "which is a console");
	report(works_after_reset(), "it works");
	test_status();
	test_ignored();
	test_chains();
	test_layouts();
	test_same_head();
	test_overlap();
	test_reset_in_mid_flight();
	put("proper drivers: ");
	put_number(proper);
	put("\n");
	test_endless_input();
	done("virtio");
}
