// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Transmission takes no time: the transmit FIFO is always empty, and a byte
 * written raises the transmit interrupt at once. Received bytes are pulled from the console when
 * the FIFO has room for them; that no more come for a while needs no waiting either, so the receive
 * timeout is raised together with the first byte.
 *
 * Drivers rely on two things that a device without a baud rate does not have by itself.
 *
 * They take bytes until the FIFO is empty, which with a real line it soon is. So a driver that has
 * taken as much as a FIFO holds and has not seen it empty gets a pause, in which nothing arrives.
 * It is three times as long as that took: by then the driver has emptied the FIFO and had as much
 * time for other things, however slow its accesses are. A driver that keeps up with the input gets
 * none.
 *
 * They clear interrupts that the real device would raise only later, or raise again. A receive
 * interrupt that was cleared while the FIFO calls for it comes back after a while (so does the real
 * timeout interrupt, after 32 bit periods; the receive interrupt would at the next byte, which is
 * held back here). A transmit interrupt that nobody has seen yet outlives being cleared once: the
 * bytes written before would still be on their way.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "arm/devtree.h"
#include "devices/pl011.h"
#include "host/clock.h"
#include "host/log.h"
#include "primecell.h"
#include "util.h"

#define FIFO_SIZE 16

/* The longest pause: a driver that was slow for another reason shall not wait for that. */
#define PAUSE_MAX_NS UINT64_C(20000000)

/* After this a receive interrupt that was cleared comes back. */
#define AGAIN_NS UINT64_C(5000000)

/* A driver that has asked for its interrupt's cause so often, and took nothing, is told later. */
#define TOLD_MAX 64

enum pl011_register {
	UARTDR = 0x000,
	UARTRSR = 0x004, /* written: UARTECR */
	UARTFR = 0x018,
	UARTILPR = 0x020,
	UARTIBRD = 0x024,
	UARTFBRD = 0x028,
	UARTLCR_H = 0x02c,
	UARTCR = 0x030,
	UARTIFLS = 0x034,
	UARTIMSC = 0x038,
	UARTRIS = 0x03c,
	UARTMIS = 0x040,
	UARTICR = 0x044,
	UARTDMACR = 0x048,
};

#define FR_RXFE	 (1u << 4)
#define FR_RXFF	 (1u << 6)
#define FR_TXFE	 (1u << 7)
#define FR_CTS	 (1u << 0)
#define LCRH_FEN (1u << 4)
#define CR_LBE	 (1u << 7)
#define INT_RX	 (1u << 4)
#define INT_TX	 (1u << 5)
#define INT_RT	 (1u << 6)
#define INT_OE	 (1u << 10)
#define INT_IN	 (INT_RX | INT_RT)
#define INT_ALL	 0x7ffu
#define RSR_OE	 (1u << 3)
#define DR_OE	 (1u << 11)

/* UARTPeriphID0-3 as one word: part 0x011, designer 0x41 (Arm), revision 1. */
#define PERIPHID 0x00141011u

struct pl011 {
	struct device device;
	struct irq_line irq;
	unsigned int spi;
	struct console *console;
	bool input; /* what is typed at the console is for this device */

	pthread_mutex_t lock; /* guards all below; never held while the console is written */
	bool level; /* of the interrupt line, as last set */
	uint8_t fifo[FIFO_SIZE];
	unsigned int fifo_start, fifo_count;
	bool overrun;
	unsigned int taken; /* bytes since the driver saw the FIFO empty or had a pause */
	uint64_t taking_since; /* the first of these; nanoseconds, CLOCK_MONOTONIC */
	bool paused; /* nothing arrives, and what calls for an interrupt waits */
	uint64_t paused_until;
	struct event_timer resume; /* armed while paused */
	unsigned int told; /* times that a receive interrupt was read, since UARTDR was */
	bool tx_unseen; /* the transmit interrupt is up, and was not read since the last byte */
	uint32_t ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, rsr, dmacr;
};

static unsigned int fifo_depth(const struct pl011 *uart)
{
	return uart->lcr_h & LCRH_FEN ? FIFO_SIZE : 1;
}

/* Bytes in the FIFO at which the receive interrupt is raised: UARTIFLS bits [5:3]. */
static unsigned int fifo_trigger(const struct pl011 *uart)
{
	static const uint8_t trigger[] = { 2, 4, 8, 12, 14, 14, 14, 14 };

	return uart->lcr_h & LCRH_FEN ? trigger[uart->ifls >> 3 & 7] : 1;
}

/* The receive interrupts that the FIFO calls for. */
static uint32_t fifo_interrupts(const struct pl011 *uart)
{
	uint32_t interrupts = 0;

	if (uart->fifo_count > 0)
		interrupts |= INT_RT;
	if (uart->fifo_count >= fifo_trigger(uart))
		interrupts |= INT_RX;
	return interrupts;
}

static void begin_pause(struct pl011 *uart, uint64_t nanoseconds)
{
	uart->paused = true;
	uart->paused_until = clock_ns() + nanoseconds;
	event_timer_in(&uart->resume, nanoseconds);
}

/* After every access: nothing that the FIFO calls for is forgotten. */
static void update_irq(struct pl011 *uart)
{
	bool level = uart->ris & uart->imsc;

	if (!uart->paused && (fifo_interrupts(uart) & ~uart->ris))
		begin_pause(uart, AGAIN_NS);
	if (level != uart->level) {
		uart->level = level;
		irq_line_set(&uart->irq, level);
	}
}

static void receive(struct pl011 *uart, uint8_t byte)
{
	if (uart->fifo_count == fifo_depth(uart)) {
		uart->overrun = true;
		uart->rsr |= RSR_OE;
		uart->ris |= INT_OE;
		return;
	}
	uart->fifo[(uart->fifo_start + uart->fifo_count++) % FIFO_SIZE] = byte;
	uart->ris |= fifo_interrupts(uart);
}

/* Takes what the console has and the FIFO holds. */
static void pull(struct pl011 *uart)
{
	uint8_t bytes[FIFO_SIZE];
	size_t got = 0;

	if (uart->input && !uart->paused && uart->fifo_count < fifo_depth(uart))
		got = uart->console->read(uart->console, bytes,
					  fifo_depth(uart) - uart->fifo_count);
	for (size_t i = 0; i < got; i++)
		receive(uart, bytes[i]);
}

/* Ends a pause that is over. */
static void end_pause(struct pl011 *uart)
{
	if (!uart->paused || clock_ns() < uart->paused_until)
		return;
	uart->paused = false;
	uart->taken = uart->told = 0;
	uart->ris |= fifo_interrupts(uart);
}

static void pl011_resume(struct event_timer *timer)
{
	struct pl011 *uart = container_of(timer, struct pl011, resume);

	pthread_mutex_lock(&uart->lock);
	end_pause(uart);
	pull(uart);
	update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
}

static void pl011_input(void *opaque)
{
	struct pl011 *uart = opaque;

	pthread_mutex_lock(&uart->lock);
	pull(uart);
	update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
}

/* A byte of the FIFO's. The driver may go on until it sees an empty one, so it has to see one. */
static uint8_t take_byte(struct pl011 *uart)
{
	uint8_t byte = uart->fifo[uart->fifo_start];
	uint64_t pause;

	uart->fifo_start = (uart->fifo_start + 1) % FIFO_SIZE;
	uart->fifo_count--;
	uart->told = 0;
	if (uart->paused)
		return byte;
	if (uart->taken++ == 0)
		uart->taking_since = clock_ns();
	if (uart->taken == FIFO_SIZE) {
		pause = 3 * (clock_ns() - uart->taking_since) + 1;
		begin_pause(uart, pause < PAUSE_MAX_NS ? pause : PAUSE_MAX_NS);
	}
	return byte;
}

static uint32_t read_data(struct pl011 *uart)
{
	uint32_t value = 0;

	if (uart->fifo_count > 0)
		value = take_byte(uart);
	if (uart->overrun) {
		value |= DR_OE;
		uart->overrun = false;
	}
	uart->ris &= ~INT_IN | fifo_interrupts(uart);
	pull(uart);
	return value;
}

static uint32_t read_flags(struct pl011 *uart)
{
	uint32_t flags = FR_TXFE | FR_CTS;

	/* Files have no readiness event, so a driver that polls has to look here. */
	if (uart->fifo_count == 0) {
		end_pause(uart);
		pull(uart);
	}
	if (uart->fifo_count == 0) {
		flags |= FR_RXFE;
		uart->taken = 0;
	}
	if (uart->fifo_count == fifo_depth(uart))
		flags |= FR_RXFF;
	return flags;
}

/*
 * What the driver is told of those interrupts that mask lets through. Linux's driver unmasks the
 * receive interrupts while it starts, before it handles them, and would be interrupted for ever
 * where the first came early.
 */
static uint32_t read_interrupts(struct pl011 *uart, uint32_t mask)
{
	uint32_t interrupts = uart->ris & mask;

	if (interrupts & INT_TX)
		uart->tx_unseen = false;
	if (!(uart->ris & INT_IN))
		uart->taken = 0;
	if ((uart->ris & uart->imsc & INT_IN) && ++uart->told == TOLD_MAX) {
		uart->ris &= ~INT_IN;
		begin_pause(uart, AGAIN_NS);
	}
	return interrupts;
}

static enum mmio_result pl011_read(struct pl011 *uart, uint64_t offset, uint64_t *value)
{
	switch (offset) {
	case UARTDR:
		*value = read_data(uart);
		break;
	case UARTRSR:
		*value = uart->rsr;
		break;
	case UARTFR:
		*value = read_flags(uart);
		break;
	case UARTILPR:
		*value = uart->ilpr;
		break;
	case UARTIBRD:
		*value = uart->ibrd;
		break;
	case UARTFBRD:
		*value = uart->fbrd;
		break;
	case UARTLCR_H:
		*value = uart->lcr_h;
		break;
	case UARTCR:
		*value = uart->cr;
		break;
	case UARTIFLS:
		*value = uart->ifls;
		break;
	case UARTIMSC:
		*value = uart->imsc;
		break;
	case UARTRIS:
		*value = read_interrupts(uart, INT_ALL);
		break;
	case UARTMIS:
		*value = read_interrupts(uart, uart->imsc);
		break;
	case UARTDMACR:
		*value = uart->dmacr;
		break;
	case PRIMECELL_ID ... PRIMECELL_ID_LAST:
		*value = primecell_id(PERIPHID, offset);
		break;
	default:
		return MMIO_BAD;
	}
	return MMIO_DONE;
}

static void write_line_control(struct pl011 *uart, uint32_t value)
{
	/* Turning the FIFO off empties it. Turned on, it keeps the byte that waits already. */
	if (uart->lcr_h & ~value & LCRH_FEN) {
		uart->fifo_start = uart->fifo_count = 0;
		uart->ris &= ~(INT_RX | INT_RT);
	}
	uart->lcr_h = value & 0xff;
	pull(uart);
}

static void clear_interrupts(struct pl011 *uart, uint32_t value)
{
	if (uart->tx_unseen && (value & INT_TX)) {
		uart->tx_unseen = false;
		value &= ~INT_TX;
	}
	uart->ris &= ~value;
}

/* looped: a byte that is transmitted comes back instead of going to the console. */
static enum mmio_result pl011_write(struct pl011 *uart, uint64_t offset, uint32_t value,
				    bool looped)
{
	switch (offset) {
	case UARTDR:
		if (looped)
			receive(uart, value);
		uart->ris |= INT_TX;
		uart->tx_unseen = true;
		break;
	case UARTRSR:
		uart->rsr = 0;
		break;
	case UARTFR: /* read-only */
		break;
	case UARTILPR:
		uart->ilpr = value & 0xff;
		break;
	case UARTIBRD:
		uart->ibrd = value & 0xffff;
		break;
	case UARTFBRD:
		uart->fbrd = value & 0x3f;
		break;
	case UARTLCR_H:
		write_line_control(uart, value);
		break;
	case UARTCR:
		uart->cr = value & 0xff87;
		break;
	case UARTIFLS:
		uart->ifls = value & 0x3f;
		break;
	case UARTIMSC:
		uart->imsc = value & INT_ALL;
		pull(uart);
		break;
	case UARTICR:
		clear_interrupts(uart, value & INT_ALL);
		break;
	case UARTDMACR:
		uart->dmacr = value & 7;
		break;
	default:
		return MMIO_BAD;
	}
	return MMIO_DONE;
}

static enum mmio_result pl011_access(struct device *device, struct mmio_access *mmio)
{
	struct pl011 *uart = container_of(device, struct pl011, device);
	enum mmio_result result;
	bool looped;

	if (mmio->size > 4 || mmio->offset % 4 != 0)
		return MMIO_BAD;

	pthread_mutex_lock(&uart->lock);
	looped = uart->cr & CR_LBE;
	if (mmio->write && mmio->offset == UARTDR && !looped) {
		const uint8_t byte = mmio->value;

		pthread_mutex_unlock(&uart->lock);
		uart->console->write(uart->console, &byte, 1);
		pthread_mutex_lock(&uart->lock);
	}
	if (mmio->write)
		result = pl011_write(uart, mmio->offset, mmio->value, looped);
	else
		result = pl011_read(uart, mmio->offset, &mmio->value);
	update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
	return result;
}

struct pl011_state {
	uint32_t ilpr, ibrd, fbrd, lcr_h, cr, ifls, imsc, ris, rsr, dmacr;
	uint32_t fifo_count;
	uint8_t fifo[FIFO_SIZE]; /* the oldest first */
	uint8_t overrun, tx_unseen, level;
	uint8_t zero[5];
};

/* A pause is over with it. */
static void pl011_save(struct device *device, struct state_writer *writer)
{
	struct pl011 *uart = container_of(device, struct pl011, device);
	struct pl011_state state;

	pthread_mutex_lock(&uart->lock);
	state = (struct pl011_state){
		.ilpr = uart->ilpr,
		.ibrd = uart->ibrd,
		.fbrd = uart->fbrd,
		.lcr_h = uart->lcr_h,
		.cr = uart->cr,
		.ifls = uart->ifls,
		.imsc = uart->imsc,
		.ris = uart->ris,
		.rsr = uart->rsr,
		.dmacr = uart->dmacr,
		.fifo_count = uart->fifo_count,
		.overrun = uart->overrun,
		.tx_unseen = uart->tx_unseen,
		.level = uart->level,
	};
	for (unsigned int i = 0; i < uart->fifo_count; i++)
		state.fifo[i] = uart->fifo[(uart->fifo_start + i) % FIFO_SIZE];
	pthread_mutex_unlock(&uart->lock);
	state_put(writer, "pl011", device->base, &state, sizeof(state));
}

static void pl011_restore(struct device *device, struct state_reader *reader)
{
	struct pl011 *uart = container_of(device, struct pl011, device);
	struct pl011_state state;

	if (!state_get(reader, "pl011", device->base, &state, sizeof(state)))
		return;
	pthread_mutex_lock(&uart->lock);
	uart->ilpr = state.ilpr & 0xff;
	uart->ibrd = state.ibrd & 0xffff;
	uart->fbrd = state.fbrd & 0x3f;
	uart->lcr_h = state.lcr_h & 0xff;
	uart->cr = state.cr & 0xff87;
	uart->ifls = state.ifls & 0x3f;
	uart->imsc = state.imsc & INT_ALL;
	uart->ris = state.ris & INT_ALL;
	uart->rsr = state.rsr & RSR_OE;
	uart->dmacr = state.dmacr & 7;
	uart->overrun = state.overrun;
	uart->tx_unseen = state.tx_unseen;
	uart->fifo_start = uart->fifo_count = 0;
	if (state.fifo_count > fifo_depth(uart))
		state_refuse(reader, "pl011", device->base, "has more in its FIFO than that holds");
	else
		uart->fifo_count = state.fifo_count;
	memcpy(uart->fifo, state.fifo, sizeof(uart->fifo));
	uart->ris |= fifo_interrupts(uart);
	/* The interrupt controller knows the line already: it is told of changes only. */
	uart->level = state.level;
	pull(uart);
	update_irq(uart);
	pthread_mutex_unlock(&uart->lock);
}

static void pl011_describe(const struct device *device, struct devtree *tree)
{
	const struct pl011 *uart = container_of(device, struct pl011, device);
	static const char compatible[] = "arm,pl011\0arm,primecell";
	static const char clock_names[] = "uartclk\0apb_pclk";
	const uint32_t clocks[] = { PHANDLE_CLOCK, PHANDLE_CLOCK };

	primecell_begin(tree, device, compatible, sizeof(compatible), PERIPHID, uart->spi);
	devtree_cells(tree, "clocks", clocks, ARRAY_SIZE(clocks));
	devtree_strings(tree, "clock-names", clock_names, sizeof(clock_names));
	devtree_end(tree);
}

static const char *pl011_register_name(uint64_t offset)
{
	static const char *const name[] = {
		[UARTDR / 4] = "UARTDR",       [UARTRSR / 4] = "UARTRSR",
		[UARTFR / 4] = "UARTFR",       [UARTILPR / 4] = "UARTILPR",
		[UARTIBRD / 4] = "UARTIBRD",   [UARTFBRD / 4] = "UARTFBRD",
		[UARTLCR_H / 4] = "UARTLCR_H", [UARTCR / 4] = "UARTCR",
		[UARTIFLS / 4] = "UARTIFLS",   [UARTIMSC / 4] = "UARTIMSC",
		[UARTRIS / 4] = "UARTRIS",     [UARTMIS / 4] = "UARTMIS",
		[UARTICR / 4] = "UARTICR",     [UARTDMACR / 4] = "UARTDMACR",
	};

	if (offset >= PRIMECELL_ID)
		return "identification";
	return offset / 4 < ARRAY_SIZE(name) ? name[offset / 4] : NULL;
}

static void pl011_destroy(struct device *device)
{
	struct pl011 *uart = container_of(device, struct pl011, device);

	if (uart->input)
		uart->console->input = NULL;
	event_timer_destroy(&uart->resume);
	pthread_mutex_destroy(&uart->lock);
	free(uart);
}

static const struct device_ops pl011_ops = {
	.name = "pl011",
	.access = pl011_access,
	.describe = pl011_describe,
	.register_name = pl011_register_name,
	.save = pl011_save,
	.restore = pl011_restore,
	.destroy = pl011_destroy,
};

int pl011_create(struct device **created, uint64_t base, struct irq_line irq, unsigned int spi,
		 struct event_loop *loop, struct console *console, bool input)
{
	struct pl011 *uart = calloc(1, sizeof(*uart));
	int err;

	if (!uart) {
		log_error("pl011: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = event_timer_create(&uart->resume, loop, CLOCK_MONOTONIC, pl011_resume);
	if (err < 0) {
		free(uart);
		return err;
	}
	uart->device = (struct device){ .ops = &pl011_ops, .base = base, .size = PRIMECELL_SIZE };
	uart->irq = irq;
	uart->spi = spi;
	uart->console = console;
	uart->cr = 0x300;
	uart->ifls = 0x12;
	pthread_mutex_init(&uart->lock, NULL);
	uart->input = input;
	if (input) {
		console->device = uart;
		console->input = pl011_input;
	}
	*created = &uart->device;
	return 0;
}
