// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interrupt of a virtio-mmio device, a source of random numbers, whose SPI is level-sensitive,
 * as after a reset of the GIC, or edge-triggered; by drivers that acknowledge before they look at
 * the used ring, and after that. No interrupt may get lost, and none may come without end.
 */
#include "gic.h"
#include "mmu.h"
#include "virtio_mmio.h"

#define INTID SPI(16)

#define GICD_ISPENDR(intid) (0x0200 + (intid) / 32 * 4)
#define GICD_ICPENDR(intid) (0x0280 + (intid) / 32 * 4)
#define EDGE		    (2u << INTID % 16 * 2)
#define BIT_OF_INTID	    (1u << INTID % 32)

#define STORM  1000 /* so many interrupts for nothing have no end */
#define ROUNDS 20

static struct small_queue queue __attribute__((aligned(4096)));

static uint8_t buffer[16];
static volatile unsigned int taken; /* interrupts since the last one that was for something */
static volatile bool acknowledge_last;

static uint32_t get(uint64_t offset)
{
	barrier();
	return read32(VIRTIO_BASE + offset);
}

static void set(uint64_t offset, uint32_t value)
{
	barrier();
	write32(VIRTIO_BASE + offset, value);
}

static uint16_t used_idx(void)
{
	barrier();
	return *(volatile uint16_t *)&queue.used.idx;
}

static bool within(bool (*holds)(void))
{
	const uint64_t end = read_sysreg(cntvct_el0) + 20 * read_sysreg(cntfrq_el0);

	while (!holds())
		if (read_sysreg(cntvct_el0) > end)
			return false;
	return true;
}

static bool all_used(void)
{
	return used_idx() == *(volatile uint16_t *)&queue.avail.idx;
}

static void request(void)
{
	volatile uint16_t *idx = &queue.avail.idx;

	*idx = *idx + 1;
	set(QUEUE_NOTIFY, 0);
}

static void start(void)
{
	set(STATUS, 0);
	for (unsigned int i = 0; i < sizeof(queue); i++)
		((volatile uint8_t *)&queue)[i] = 0;
	queue.desc.addr = (uintptr_t)buffer;
	queue.desc.len = sizeof(buffer);
	queue.desc.flags = WRITE;
	set(STATUS, STATUS_DRIVER);
	set(DRIVER_FEATURES_SEL, 1);
	set(DRIVER_FEATURES, 1);
	set(STATUS, STATUS_FEATURES_OK);
	set(QUEUE_SEL, 0);
	set(QUEUE_SIZE, 1);
	set(QUEUE_DESC, (uintptr_t)&queue.desc);
	set(QUEUE_DRIVER, (uintptr_t)&queue.avail);
	set(QUEUE_DEVICE, (uintptr_t)&queue.used);
	set(QUEUE_READY, 1);
	set(STATUS, STATUS_DRIVER_OK);
}

/* The driver: the one buffer is made available again as often as rounds says. */

static volatile unsigned int rounds;
static volatile uint16_t seen;
static volatile bool in_time;

static bool drain(void)
{
	if (used_idx() == seen)
		return false;
	seen++;
	if (rounds > 0) {
		rounds--;
		request();
	}
	return true;
}

/* The device comes with another one between the look at the ring and the acknowledgement. */
static bool drain_then_acknowledge(void)
{
	const bool any = drain();

	in_time &= within(all_used);
	set(INTERRUPT_ACK, get(INTERRUPT_STATUS));
	return any;
}

static bool acknowledge_then_drain(void)
{
	set(INTERRUPT_ACK, get(INTERRUPT_STATUS));
	return drain();
}

static void handler(unsigned int intid)
{
	if (intid != INTID)
		return;
	if (acknowledge_last ? drain_then_acknowledge() : acknowledge_then_drain())
		taken = 0;
	else if (++taken == STORM)
		write32(GICD_BASE + GIC_ICENABLER(INTID), BIT_OF_INTID);
}

static bool all_done(void)
{
	return (rounds == 0 && seen == used_idx() && all_used()) || taken >= STORM;
}

static bool line_is_low(void)
{
	return !(read32(GICD_BASE + GICD_ISPENDR(INTID)) & BIT_OF_INTID);
}

static void run(bool last, const char *name)
{
	acknowledge_last = last;
	taken = 0;
	seen = 0;
	in_time = true;
	start();
	rounds = ROUNDS;
	irq_enable();
	request();
	report(within(all_done) && in_time && seen == ROUNDS + 1, name);
	irq_disable();
	report(taken < 10, "and no interrupt without end");
	report_equal(get(INTERRUPT_STATUS), 0, "and nothing left to acknowledge");
}

/* By looking, with interrupts disabled. */
static void poll(bool level)
{
	start();
	request();
	report(within(all_used), "a request by polling");
	report(!line_is_low(), "its interrupt is pending");
	set(INTERRUPT_ACK, get(INTERRUPT_STATUS));
	if (level)
		report(line_is_low(), "until it is acknowledged");
	write32(GICD_BASE + GICD_ICPENDR(INTID), BIT_OF_INTID);
	request();
	report(within(all_used), "another one");
	set(STATUS, 0);
	if (level)
		report(line_is_low(), "or the device is reset");
	write32(GICD_BASE + GICD_ICPENDR(INTID), BIT_OF_INTID);
}

int main(void)
{
	uint64_t redistributor;

	mmu_on();
	report_equal(get(DEVICE_ID), 4, "a source of random numbers");
	gic_init(handler);
	redistributor = gic_cpu_init();
	report(redistributor != 0, "a redistributor");
	gic_enable(redistributor, INTID);

	put("level-sensitive\n");
	poll(true);
	run(false, "level: acknowledge, then look");
	run(true, "level: look, then acknowledge");
	put("edge-triggered\n");
	write32(GICD_BASE + GIC_ICENABLER(INTID), BIT_OF_INTID);
	write32(GICD_BASE + GIC_ICFGR(INTID), read32(GICD_BASE + GIC_ICFGR(INTID)) | EDGE);
	write32(GICD_BASE + GIC_ISENABLER(INTID), BIT_OF_INTID);
	poll(false);
	run(false, "edge: acknowledge, then look");
	run(true, "edge: look, then acknowledge");
	done("virtio_irq");
}
