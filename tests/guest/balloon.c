// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver of a balloon: it follows the target, in steps of 256 pages, and says how far it has
 * come. A target of one page has it report all of its memory as free, and one of two pages ends it.
 */
#include "mmu.h"
#include "virtio_mmio.h"

#define PAGE   4096
#define MEMORY (RAM_BASE + 0x2000000) /* of which pages are given away, from the beginning */
#define PAGES  4096
#define STEP   256
#define FILL   UINT64_C(0x5a5a5a5a5a5a5a5a)

#define FEATURES (1u << 1 | 1u << 2 | 1u << 5) /* STATS_VQ, DEFLATE_ON_OOM, REPORTING */

/* As the specification numbers them. */
enum { INFLATE, DEFLATE, STATISTICS, REPORTING = 4, QUEUES };

/* The configuration. */
#define NUM_PAGES (CONFIG + 0)
#define ACTUAL	  (CONFIG + 4)

/* Each aligned as descriptors are to be. */
static struct {
	struct small_queue ring;
} __attribute__((aligned(16))) queue[QUEUES];
static uint32_t list[STEP];
static struct {
	uint16_t tag;
	uint64_t value;
} __attribute__((packed)) statistic;

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

static void lay_out(unsigned int which)
{
	set(QUEUE_SEL, which);
	set(QUEUE_SIZE, 1);
	set(QUEUE_DESC, (uintptr_t)&queue[which].ring.desc);
	set(QUEUE_DRIVER, (uintptr_t)&queue[which].ring.avail);
	set(QUEUE_DEVICE, (uintptr_t)&queue[which].ring.used);
	set(QUEUE_READY, 1);
}

static void activate(void)
{
	set(STATUS, 0);
	set(STATUS, STATUS_DRIVER);
	set(DRIVER_FEATURES_SEL, 0);
	set(DRIVER_FEATURES, FEATURES);
	set(DRIVER_FEATURES_SEL, 1);
	set(DRIVER_FEATURES, 1);
	set(STATUS, STATUS_FEATURES_OK);
	lay_out(INFLATE);
	lay_out(DEFLATE);
	lay_out(STATISTICS);
	lay_out(REPORTING);
	set(STATUS, STATUS_DRIVER_OK);
}

static uint16_t used(unsigned int which)
{
	barrier();
	return *(volatile uint16_t *)&queue[which].ring.used.idx;
}

static void offer(unsigned int which, uint64_t address, uint32_t length, uint16_t flags)
{
	volatile struct small_queue *ring = &queue[which].ring;

	ring->desc.addr = address;
	ring->desc.len = length;
	ring->desc.flags = flags;
	ring->avail.ring[0] = 0;
	barrier();
	ring->avail.idx++;
	set(QUEUE_NOTIFY, which);
}

static void request(unsigned int which, uint64_t address, uint32_t length, uint16_t flags)
{
	const uint16_t before = used(which);

	offer(which, address, length, flags);
	while (used(which) == before)
		;
}

static volatile uint64_t *page(uint32_t number)
{
	return (volatile uint64_t *)(MEMORY + (uint64_t)number * PAGE);
}

/* How many of these pages hold that. */
static uint32_t holding(uint32_t first, uint32_t count, uint64_t value)
{
	uint32_t found = 0;

	for (uint32_t i = first; i < first + count; i++)
		found += *page(i) == value;
	return found;
}

static void fill(uint32_t first, uint32_t count)
{
	for (uint32_t i = first; i < first + count; i++)
		*page(i) = FILL;
}

static void move(unsigned int which, uint32_t first)
{
	for (uint32_t i = 0; i < STEP; i++)
		((volatile uint32_t *)list)[i] = MEMORY / PAGE + first + i;
	request(which, (uintptr_t)list, sizeof(list), 0);
}

static uint32_t actual;

static void follow(uint32_t target)
{
	while (actual + STEP <= target && actual < PAGES) {
		move(INFLATE, actual);
		actual += STEP;
		set(ACTUAL, actual);
	}
	while (actual > target) {
		actual -= STEP;
		move(DEFLATE, actual);
		fill(actual, STEP);
		set(ACTUAL, actual);
	}
}

static void say(const char *what, uint32_t number)
{
	put(what);
	put_number(number);
	put("\n");
}

int main(void)
{
	uint32_t target = 0;

	mmu_on();
	report_equal(get(DEVICE_ID), 5, "the device is a balloon");
	fill(0, PAGES);
	activate();
	report_equal(get(STATUS), STATUS_DRIVER_OK, "it takes a driver");
	statistic.tag = 4; /* free memory */
	statistic.value = 4711;
	offer(STATISTICS, (uintptr_t)&statistic, sizeof(statistic), 0);
	say("followed: ", 0);
	while (target != 2) {
		if (used(STATISTICS) != 0 && statistic.value == 4711) {
			statistic.value = 4712;
			offer(STATISTICS, (uintptr_t)&statistic, sizeof(statistic), 0);
		}
		if (get(NUM_PAGES) == target)
			continue;
		target = get(NUM_PAGES);
		if (target == 1)
			request(REPORTING, MEMORY, PAGES * PAGE, WRITE);
		else if (target != 2)
			follow(target);
		say("followed: ", target);
	}
	report_equal(holding(0, PAGES, 0), PAGES, "what was reported as free is zeroes");
	fill(0, PAGES);
	report_equal(holding(0, PAGES, FILL), PAGES, "and memory all the same");
	move(INFLATE, 0);
	report_equal(holding(0, STEP, 0), STEP, "what was given is zeroes");
	report_equal(holding(STEP, PAGES - STEP, FILL), PAGES - STEP,
		     "and its neighbours are whole");
	((volatile uint32_t *)list)[0] = 0;
	request(INFLATE, (uintptr_t)list, 4, 0);
	report_equal(get(STATUS), STATUS_DRIVER_OK, "a page that is no RAM is no matter");
	done("balloon");
}
