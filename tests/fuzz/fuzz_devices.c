// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any sequence of accesses to a PL011 and a PL031 on a bus, of console input, and of alarms.
 */
#include "bus.h"
#include "fuzz.h"
#include "memmap.h"
#include "pl011.h"
#include "pl031.h"

enum { UART, RTC, LINES };

static bool level[LINES];
static struct input input;
static struct console console;

/* In place of vmm/event.c: timers that expire when the input says so. */

static struct event_timer *alarm_timer;
static bool alarm_armed;

int event_timer_create(struct event_timer *timer, struct event_loop *loop, int clock,
		       void (*expired)(struct event_timer *timer))
{
	timer->expired = expired;
	alarm_timer = timer;
	alarm_armed = false;
	return 0;
}

void event_timer_destroy(struct event_timer *timer)
{
	MUST(timer == alarm_timer);
}

void event_timer_at(struct event_timer *timer, uint64_t seconds)
{
	alarm_armed = true;
}

void event_timer_disarm(struct event_timer *timer)
{
	alarm_armed = false;
}

/* What the devices are connected to. */

static void irq_set(const struct irq_line *line, bool up)
{
	MUST(line->intid < LINES);
	MUST(level[line->intid] != up);
	level[line->intid] = up;
}

static void console_write(struct console *which, const uint8_t *bytes, size_t count)
{
	MUST(which == &console && count == 1);
	(void)*(volatile const uint8_t *)bytes;
}

static size_t console_read(struct console *which, uint8_t *bytes, size_t count)
{
	size_t have = 0;

	MUST(which == &console && count > 0);
	for (uint64_t wanted = take(&input, 1) % 20; have < count && have < wanted; have++)
		bytes[have] = have;
	return have;
}

/* The line is up exactly while an interrupt is raised and not masked. */
static void check_line(const struct bus *bus, unsigned int line, uint64_t masked_status)
{
	struct mmio mmio = { .size = 4 };

	MUST(bus_access(bus, masked_status, &mmio) == MMIO_DONE);
	MUST(level[line] == (mmio.value != 0));
}

/* The console has no more: what is still to be received fits the FIFO. */
static void check_fifo(const struct bus *bus)
{
	for (unsigned int count = 0;; count++) {
		struct mmio flags = { .size = 4 }, data = { .size = 4 };

		MUST(bus_access(bus, PL011_BASE + 0x18, &flags) == MMIO_DONE);
		if (flags.value & 0x10) /* RXFE */
			return;
		MUST(count < 16);
		MUST(bus_access(bus, PL011_BASE, &data) == MMIO_DONE);
	}
}

static void step(const struct bus *bus)
{
	static const uint8_t sizes[] = { 1, 2, 4, 8 };
	uint64_t what = take(&input, 1);
	uint64_t base = what & 1 ? PL011_BASE : PL031_BASE;
	struct mmio mmio = { .size = sizes[what >> 1 & 3], .write = what >> 3 & 1 };

	switch (what >> 4) {
	case 0:
		if (console.input)
			console.input(console.device);
		break;
	case 1:
		if (alarm_armed)
			alarm_timer->expired(alarm_timer);
		break;
	case 2: /* anywhere, the ends of both devices included */
		bus_access(bus, base - 0x10 + take(&input, 2), &mmio);
		break;
	default: /* a register */
		mmio.offset = 4 * (take(&input, 1) % 0x20);
		mmio.value = take(&input, mmio.size);
		if (bus_access(bus, base + mmio.offset, &mmio) == MMIO_DONE && !mmio.write)
			MUST(mmio.value <= UINT32_MAX);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct irq_line uart_irq = { .set = irq_set, .intid = UART };
	const struct irq_line rtc_irq = { .set = irq_set, .intid = RTC };
	struct event_loop loop = { .epoll_fd = -1 };
	struct bus bus;

	input = (struct input){ data, size };
	level[UART] = level[RTC] = false;
	console = (struct console){ .write = console_write, .read = console_read };
	bus_create(&bus);
	MUST(bus_add(&bus, pl011_create(PL011_BASE, uart_irq, PL011_SPI, &console, true)) == 0);
	MUST(bus_add(&bus, pl031_create(PL031_BASE, rtc_irq, PL031_SPI, &loop)) == 0);
	bus_freeze(&bus);
	while (input.size > 0) {
		step(&bus);
		check_line(&bus, UART, PL011_BASE + 0x40);
		check_line(&bus, RTC, PL031_BASE + 0x18);
	}
	check_fifo(&bus);
	bus_destroy(&bus);
	MUST(!console.input);
	return 0;
}
