// SPDX-License-Identifier: GPL-2.0-only
/*
 * A source of random numbers on PCI: Command's Memory Space and Bus Master, BARs that move, and
 * what is to be seen of it all, by a driver that polls.
 */
#include "mmu.h"
#include "virtio.h"

#define ECAM UINT64_C(0x3f000000)

/* PCI Local Bus 3.0, chapter 6 */
#define VENDOR_ID    0x00
#define COMMAND	     0x04
#define BAR(n)	     (0x10 + 4 * (n))
#define BARS	     4
#define CAPABILITIES 0x34
#define CAP_VENDOR   0x09
#define CAP_EXPRESS  0x10
#define CAP_MSIX     0x11
#define MEMORY	     2
#define MASTER	     4
#define MSIX_ENABLE  0x8000

/* virtio 1.3, 4.1.4 */
enum { COMMON = 1, NOTIFY, ISR, DEVICE, PCI_CFG, TYPES };

#define DRIVER_FEATURE_SELECT 0x08
#define DRIVER_FEATURE	      0x0c
#define NUM_QUEUES	      0x12
#define DEVICE_STATUS	      0x14
#define QUEUE_SIZE	      0x18
#define QUEUE_MSIX_VECTOR     0x1a
#define QUEUE_ENABLE	      0x1c
#define QUEUE_DESC	      0x20
#define QUEUE_DRIVER	      0x28
#define QUEUE_DEVICE	      0x30

static struct small_queue queue __attribute__((aligned(4096)));

static uint8_t buffer[16];

static uint64_t structure[TYPES], table; /* their addresses, and that of the MSI-X table */
static unsigned int msix, express;

static void command(uint16_t bits)
{
	barrier();
	write16(ECAM + COMMAND, bits);
	barrier();
}

static uint64_t bar(unsigned int n)
{
	return read32(ECAM + BAR(n)) & ~0xfu;
}

static void find_structures(void)
{
	for (unsigned int at = read8(ECAM + CAPABILITIES); at != 0; at = read8(ECAM + at + 1)) {
		const unsigned int id = read8(ECAM + at), type = read8(ECAM + at + 3);

		if (id == CAP_VENDOR && type < TYPES)
			structure[type] = bar(read8(ECAM + at + 4)) + read32(ECAM + at + 8);
		if (id == CAP_EXPRESS)
			express = at;
		if (id != CAP_MSIX)
			continue;
		msix = at;
		table = bar(read32(ECAM + at + 4) & 7);
	}
}

static uint8_t status(void)
{
	barrier();
	return read8(structure[COMMON] + DEVICE_STATUS);
}

static void set_status(uint8_t value)
{
	barrier();
	write8(structure[COMMON] + DEVICE_STATUS, value);
}

static void set_address(uint64_t offset, uint64_t address)
{
	write32(structure[COMMON] + offset, address);
	write32(structure[COMMON] + offset + 4, address >> 32);
}

static bool start(void)
{
	set_status(0);
	if (status() != 0)
		return false;
	for (unsigned int i = 0; i < sizeof(queue); i++)
		((volatile uint8_t *)&queue)[i] = 0;
	queue.desc.addr = (uintptr_t)buffer;
	queue.desc.len = sizeof(buffer);
	queue.desc.flags = WRITE;
	set_status(STATUS_DRIVER);
	write32(structure[COMMON] + DRIVER_FEATURE_SELECT, 1);
	write32(structure[COMMON] + DRIVER_FEATURE, 1);
	set_status(STATUS_FEATURES_OK);
	write16(structure[COMMON] + QUEUE_SIZE, 1);
	write16(structure[COMMON] + QUEUE_MSIX_VECTOR, 1);
	set_address(QUEUE_DESC, (uintptr_t)&queue.desc);
	set_address(QUEUE_DRIVER, (uintptr_t)&queue.avail);
	set_address(QUEUE_DEVICE, (uintptr_t)&queue.used);
	write16(structure[COMMON] + QUEUE_ENABLE, 1);
	set_status(STATUS_DRIVER_OK);
	return status() == STATUS_DRIVER_OK;
}

static uint64_t deadline(unsigned int milliseconds)
{
	return read_sysreg(cntvct_el0) + milliseconds * read_sysreg(cntfrq_el0) / 1000;
}

static uint16_t used_idx(void)
{
	barrier();
	return *(volatile uint16_t *)&queue.used.idx;
}

static void offer(void)
{
	volatile uint16_t *idx = &queue.avail.idx;

	*idx = *idx + 1;
}

static void kick(void)
{
	barrier();
	write16(structure[NOTIFY], 0);
}

static bool served(unsigned int milliseconds)
{
	const uint64_t end = deadline(milliseconds);

	while (used_idx() != *(volatile uint16_t *)&queue.avail.idx)
		if (read_sysreg(cntvct_el0) > end)
			return false;
	return true;
}

static bool works(void)
{
	offer();
	kick();
	return served(20000);
}

static bool pending(void)
{
	barrier();
	return read32(table + (read32(ECAM + msix + 8) & ~7u)) & 2;
}

static bool all_ones(uint64_t address)
{
	bool ones = true;

	for (unsigned int offset = 0; offset < 0x1000; offset += 4)
		ones &= read32(address + offset) == UINT32_MAX;
	return ones;
}

static void test_memory_space(void)
{
	command(MASTER);
	report(all_ones(structure[COMMON]), "no Memory Space: registers are ones");
	report(all_ones(table), "and the MSI-X table");
	report(read8(structure[ISR]) == 0xff, "and what is read by an exit");
	set_status(0);
	write16(structure[COMMON] + QUEUE_ENABLE, 0);
	offer();
	kick();
	report(!served(50), "nobody hears a kick");
	command(MASTER | MEMORY);
	report_equal(status(), STATUS_DRIVER_OK, "Memory Space again: writes were ignored");
	kick();
	report(served(20000), "and a kick is heard");
}

static void test_bus_master(void)
{
	write64(table + 16, 0x8090040);
	write32(table + 24, 0);
	write32(table + 28, 0);
	write16(ECAM + msix + 2, MSIX_ENABLE);
	report(works() && !pending(), "with Bus Master a message is sent");

	command(MEMORY);
	offer();
	kick();
	report(!served(50), "no Bus Master: the ring is left alone");
	report_equal(status(), STATUS_DRIVER_OK, "but registers are there");
	report(!pending(), "nothing happened yet");
	command(MEMORY | MASTER);
	report(served(20000), "Bus Master again: what was left is served, without a kick");

	/* A reset and a new queue do not bring it back. */
	command(MEMORY);
	report(start(), "a device without Bus Master is made ready");
	offer();
	kick();
	report(!served(50), "and leaves the new ring alone");
	command(MEMORY | MASTER);
	report(served(20000), "until it may");
}

static void move(unsigned int n, uint32_t address)
{
	write32(ECAM + BAR(n), address);
}

static void test_moving(void)
{
	const uint64_t old_common = structure[COMMON], old_notify = structure[NOTIFY];
	const uint32_t home[BARS] = { bar(0), bar(1), bar(2), bar(3) };

	command(MASTER);
	move(0, UINT32_MAX);
	report_equal(read32(ECAM + BAR(0)), 0xffff0000, "a size");
	move(0, home[0] + 0x80000);
	move(3, home[0]);
	move(1, home[2]);
	move(2, home[1]);
	command(MASTER | MEMORY);
	find_structures();
	report(structure[COMMON] != old_common, "the BARs have moved");
	report(all_ones(old_notify), "nothing is left where one was");
	report(start() && works(), "and the device works where it is");
	command(MASTER);
	move(2, home[0] + 0x40000);
	command(MASTER | MEMORY);
	find_structures();
	report(all_ones(home[1]), "nor in memory");
	report(start() && works(), "and it works where reads exit");

	/* As software does that has Memory Space on all the time. */
	for (unsigned int n = 0; n < BARS; n++)
		move(n, home[n]);
	find_structures();
	report_equal(structure[COMMON], old_common, "home again");
	report(start() && works(), "it works there");
	move(2, 0);
	report(all_ones(old_common), "a BAR outside the windows is nowhere");
	move(2, home[2]);
	report_equal(status(), STATUS_DRIVER_OK, "and comes back");
}

/* PCI Express Base 5.0, 6.6.2 and 7.5.3 */
static void reset(void)
{
	barrier();
	write16(ECAM + express + 8, 0x8000);
	barrier();
}

static void test_reset(void)
{
	const uint32_t home[BARS] = { bar(0), bar(1), bar(2), bar(3) };

	report(read32(ECAM + express + 4) >> 28 & 1, "the function can be reset");
	report(start() && works(), "a device is at work");
	reset();
	offer();
	report_equal(read16(ECAM + COMMAND), 0, "a reset clears Command");
	report_equal(bar(0) | bar(1) | bar(2) | bar(3), 0, "and the BARs");
	report_equal(read16(ECAM + msix + 2) & 0xc000, 0, "and MSI-X");
	report(all_ones(structure[COMMON]) && all_ones(table), "nothing answers");
	for (unsigned int n = 0; n < BARS; n++)
		move(n, home[n]);
	command(MEMORY);
	report_equal(status(), 0, "the device was reset");
	report_equal(read16(structure[COMMON] + QUEUE_ENABLE), 0, "and its queue");
	report_equal(read32(table + 28), 1, "each vector is masked");
	kick();
	command(MEMORY | MASTER);
	report(!served(50), "what is offered to the old queue is left alone");
	report(start() && works(), "made ready again it works");
}

/* Each in pages of its own, whatever their size: nobody needs to see one to reach another. */
static void test_layout(void)
{
	const uint64_t page = 0x10000, notify = structure[NOTIFY] / page;

	report(notify != table / page, "notifications are apart from the MSI-X table");
	report(notify != structure[COMMON] / page && notify != structure[ISR] / page,
	       "and from registers");
	report(table / page != structure[COMMON] / page && table / page != structure[ISR] / page,
	       "so is the table");
	report(read32(structure[COMMON] + page - 4) == UINT32_MAX, "a BAR ends in ones");
}

/* What a guest may do as often as it likes, whatever it means. */
static void test_anything(void)
{
	const uint32_t home[BARS] = { bar(0), bar(1), bar(2), bar(3) };

	for (unsigned int i = 0; i < 500; i++) {
		command(i & 7);
		move(i % 6, 0x10000000 + (i % 7) * 0x10000);
		kick();
		set_status(i);
		if (i % 50 == 49)
			reset();
	}
	for (unsigned int n = 0; n < BARS; n++)
		move(n, home[n]);
	command(MASTER | MEMORY);
	find_structures();
	report(start() && works(), "after all kinds of commands and places it works");
}

int main(void)
{
	mmu_on();
	report_equal(read32(ECAM + VENDOR_ID), 0x10441af4, "a source of random numbers");
	find_structures();
	report(all_ones(structure[COMMON]), "no Memory Space to begin with");
	command(MASTER | MEMORY);
	report_equal(read16(structure[COMMON] + NUM_QUEUES), 1, "one queue");
	report(start() && works(), "it works");
	test_memory_space();
	test_bus_master();
	test_moving();
	test_layout();
	test_reset();
	test_anything();
	done("virtio_pci");
}
