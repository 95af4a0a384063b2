// SPDX-License-Identifier: GPL-2.0-only
/*
 * Any sequence of accesses to a PL011 and a PL031 on a bus, of console input, and of timers.
 */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bus/bus.h"
#include "devices/pl011.h"
#include "devices/pl031.h"
#include "fuzz.h"
#include "memmap.h"

enum { UART, RTC, LINES };

static bool level[LINES];
static struct input input;
static struct console console;
static bool endless; /* the console always has more */

/* In place of vmm/host/event.c and of the clock: timers that expire when the input says so. */

static uint64_t now;
static struct event_timer *timers[LINES];
static bool armed[LINES];
static uint64_t resume_due;

/* The fuzzer itself asks for other clocks. */
int clock_gettime(clockid_t clock, struct timespec *time)
{
	if (clock != CLOCK_MONOTONIC)
		return syscall(SYS_clock_gettime, clock, time);
	*time = (struct timespec){ now / 1000000000, now % 1000000000 };
	return 0;
}

int event_timer_create(struct event_timer *timer, struct event_loop *loop, int clock,
		       void (*expired)(struct event_timer *timer))
{
	const unsigned int line = clock == CLOCK_MONOTONIC ? UART : RTC;

	timer->expired = expired;
	timers[line] = timer;
	armed[line] = false;
	return 0;
}

void event_timer_destroy(struct event_timer *timer)
{
	MUST(timer == timers[UART] || timer == timers[RTC]);
}

void event_timer_in(struct event_timer *timer, uint64_t nanoseconds)
{
	MUST(timer == timers[UART]);
	/* 0 would disarm it, and the pause never end. */
	MUST(nanoseconds > 0 && nanoseconds <= 20000000);
	armed[UART] = true;
	resume_due = now + nanoseconds;
}

void event_timer_at(struct event_timer *timer, uint64_t seconds)
{
	MUST(timer == timers[RTC]);
	armed[RTC] = true;
}

void event_timer_disarm(struct event_timer *timer)
{
	MUST(timer == timers[RTC]);
	armed[RTC] = false;
}

static void expire(unsigned int line)
{
	if (!armed[line])
		return;
	armed[line] = false;
	if (line == UART && now < resume_due)
		now = resume_due;
	timers[line]->expired(timers[line]);
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
	for (uint64_t wanted = endless ? count : take(&input, 1) % 20;
	     have < count && have < wanted; have++)
		bytes[have] = have;
	return have;
}

/* The line is up exactly while an interrupt is raised and not masked. */
static void check_line(const struct bus *bus, unsigned int line, uint64_t masked_status)
{
	struct mmio_access mmio = { .size = 4 };
	const bool up = level[line]; /* to read may change it */

	MUST(bus_access(bus, masked_status, &mmio) == MMIO_DONE);
	MUST(up == (mmio.value != 0));
}

static uint64_t uart_register(const struct bus *bus, uint64_t offset)
{
	struct mmio_access mmio = { .size = 4 };

	MUST(bus_access(bus, PL011_BASE + offset, &mmio) == MMIO_DONE);
	return mmio.value;
}

/* What the FIFO calls for is raised, or will be when the timer expires. */
static void check_raised(const struct bus *bus)
{
	const uint64_t flags = uart_register(bus, 0x18);
	uint64_t raised;

	if (armed[UART])
		return;
	raised = uart_register(bus, 0x3c);
	MUST(flags & 0x10 || raised & 0x40); /* RXFE, or RT */
	MUST(!(flags & 0x40) || raised & 0x10); /* RXFF, then RX */
}

/* A driver that takes all there is comes to an end, after so many bytes. */
static void check_fifo(const struct bus *bus, unsigned int most)
{
	for (unsigned int count = 0; !(uart_register(bus, 0x18) & 0x10); count++) {
		MUST(count < most);
		now += 1000;
		uart_register(bus, 0);
	}
}

static void check_end(const struct bus *bus)
{
	expire(UART);
	check_raised(bus);
	/* The console has no more: what is still to be received fits the FIFO. */
	check_fifo(bus, 16);
	endless = true;
	expire(UART);
	check_fifo(bus, 32);
}

static void step(const struct bus *bus)
{
	static const uint8_t sizes[] = { 1, 2, 4, 8 };
	uint64_t what = take(&input, 1);
	uint64_t base = what & 1 ? PL011_BASE : PL031_BASE;
	struct mmio_access mmio = { .size = sizes[what >> 1 & 3], .write = what >> 3 & 1 };

	switch (what >> 4) {
	case 0:
		if (console.input)
			console.input(console.device);
		break;
	case 1:
		expire(what & 1 ? UART : RTC);
		break;
	case 3: /* the loop may be late */
		now += take(&input, 3);
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
	struct device *device;
	struct bus bus;

	input = (struct input){ data, size };
	level[UART] = level[RTC] = endless = false;
	now = 1;
	console = (struct console){ .write = console_write, .read = console_read };
	bus_create(&bus);
	MUST(pl011_create(&device, PL011_BASE, uart_irq, PL011_SPI, &loop, &console, true) == 0);
	MUST(bus_add(&bus, device) == 0);
	MUST(pl031_create(&device, PL031_BASE, rtc_irq, PL031_SPI, &loop) == 0);
	MUST(bus_add(&bus, device) == 0);
	bus_freeze(&bus);
	while (input.size > 0) {
		step(&bus);
		check_raised(&bus);
		check_line(&bus, UART, PL011_BASE + 0x40);
		check_line(&bus, RTC, PL031_BASE + 0x18);
	}
	check_end(&bus);
	bus_destroy(&bus);
	MUST(!console.input);
	return 0;
}
