// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver whose available index and used flags are the same two bytes, and which has not taken the
 * event index: each time the device turns kicks on or off it changes what is available. One chain
 * is there to begin with. The device must want a reset, and work after it as if nothing had been;
 * then the ring is laid out like that again, and left.
 */
#include "virtio_mmio.h"

#define ID_BLOCK   2
#define ID_CONSOLE 3

#define SIZE 8

#define AVAIL  0x1000
#define USED   0x2000
#define BUFFER 0x8000

static volatile uint8_t area[0x10000] __attribute__((aligned(4096)));
static unsigned int queue; /* the one that is used of the device */

static void set(uint64_t offset, uint32_t value)
{
	barrier();
	write32(VIRTIO_BASE + offset, value);
}

static void set_address(uint64_t offset, unsigned int where)
{
	set(offset, (uintptr_t)area + where);
	set(offset + 4, (uintptr_t)area >> 32);
}

static void put_desc(unsigned int index, unsigned int where, uint32_t length, uint16_t flags)
{
	const uint64_t desc = (uintptr_t)area + 16 * index;

	write64(desc, (uintptr_t)area + where);
	write32(desc + 8, length);
	write16(desc + 12, flags);
	write16(desc + 14, index + 1);
}

/* Brings the device up with one chain in the table; the available ring names it everywhere. */
static void bring_up(uint32_t id, unsigned int avail, unsigned int used)
{
	for (unsigned int i = 0; i < sizeof(area); i += 8)
		write64((uintptr_t)area + i, 0);
	if (id == ID_BLOCK) {
		write32((uintptr_t)area + BUFFER, 8); /* VIRTIO_BLK_T_GET_ID */
		put_desc(0, BUFFER, 16, NEXT);
		put_desc(1, BUFFER + 0x100, 21, WRITE);
	} else {
		write8((uintptr_t)area + BUFFER, '\n');
		put_desc(0, BUFFER, 1, id == ID_CONSOLE ? 0 : WRITE);
	}
	set(STATUS, 0);
	set(STATUS, 3);
	set(DRIVER_FEATURES_SEL, 0);
	/* VIRTIO_CONSOLE_F_MULTIPORT, with which reports are what is transmitted. */
	set(DRIVER_FEATURES, id == ID_CONSOLE ? read32(VIRTIO_BASE + 0x010) & 2 : 0);
	set(DRIVER_FEATURES_SEL, 1);
	set(DRIVER_FEATURES, 1);
	set(STATUS, 11);
	set(QUEUE_SEL, queue);
	set(QUEUE_SIZE, SIZE);
	set_address(QUEUE_DESC, 0);
	set_address(QUEUE_DRIVER, avail);
	set_address(QUEUE_DEVICE, used);
	set(QUEUE_READY, 1);
	set(STATUS, 15);
}

static bool wants_reset(void)
{
	const uint64_t end = read_sysreg(cntvct_el0) + 30 * read_sysreg(cntfrq_el0);

	while (read_sysreg(cntvct_el0) < end)
		if (read32(VIRTIO_BASE + STATUS) & STATUS_NEEDS_RESET)
			return true;
	return false;
}

static bool serves(void)
{
	const uint64_t end = read_sysreg(cntvct_el0) + 30 * read_sysreg(cntfrq_el0);

	write16((uintptr_t)area + AVAIL + 2, 1);
	set(QUEUE_NOTIFY, queue);
	while (read_sysreg(cntvct_el0) < end)
		if (read16((uintptr_t)area + USED + 2) == 1)
			return true;
	return false;
}

int main(void)
{
	const uint32_t id = read32(VIRTIO_BASE + DEVICE_ID);

	queue = id == ID_CONSOLE ? 1 : 0;
	bring_up(id, AVAIL + 2, AVAIL + 4);
	report(wants_reset(), "a ring that feeds itself wants a reset");
	bring_up(id, AVAIL, USED);
	report(serves(), "and the device works after it");
	bring_up(id, AVAIL + 2, AVAIL + 4);
	put("left\n");
	for (;;)
		wfi();
}
