// SPDX-License-Identifier: GPL-2.0-only
/*
 * The UART, as the parameters say: "flood N" writes N bytes; "count N" takes N bytes by interrupt
 * and prints their CRC-32; "echo N" sends them back besides; "poll N" does so without interrupts.
 * "bare" before these leaves the FIFO off. "late N" counts, with a handler that clears interrupts a
 * good while after it has taken the bytes, and so those of bytes that came since. "busy" is there
 * for input without end: it has to come out of its handler.
 */
#include "gic.h"
#include "tree.h"

#define UARTFR	  0x18
#define UARTLCR_H 0x2c
#define UARTIFLS  0x34
#define UARTIMSC  0x38
#define UARTMIS	  0x40
#define UARTICR	  0x44

#define FR_RXFE	  (1u << 4)
#define LCRH_FEN  (1u << 4)
#define DR_ERRORS 0xf00u
#define INT_RX	  (1u << 4)
#define INT_RT	  (1u << 6)
#define INT_ALL	  0x7f0u

static volatile uint32_t received, errors, interrupts, others;
static uint32_t wanted, sum;
static bool echo, poll, late;
static unsigned int trigger; /* bytes that are there for sure at the receive interrupt */

static void take(void)
{
	uint32_t data = read32(PL011_BASE + UARTDR);

	errors += (data & DR_ERRORS) != 0;
	if (received == wanted)
		return;
	sum = crc32(sum, data);
	if (echo)
		put_char(data);
	received++;
}

static void take_all(void)
{
	while (!(read32(PL011_BASE + UARTFR) & FR_RXFE))
		take();
}

static void delay(unsigned int milliseconds)
{
	const uint64_t ticks = read_sysreg(cntfrq_el0) * milliseconds / 1000;

	for (uint64_t start = read_sysreg(cntvct_el0); read_sysreg(cntvct_el0) - start < ticks;)
		;
}

/* Asks whether there is more only where the interrupt does not tell, for each question is an exit.
 */
static void handler(unsigned int intid)
{
	uint32_t status;

	if (intid != SPI(PL011_SPI)) {
		others++;
		return;
	}
	interrupts++;
	if (late) {
		take_all();
		delay(60);
		write32(PL011_BASE + UARTICR, INT_ALL);
		return;
	}
	while ((status = read32(PL011_BASE + UARTMIS)) & INT_RX)
		for (unsigned int i = 0; i < trigger; i++)
			take();
	if (status & INT_RT)
		take_all();
	write32(PL011_BASE + UARTICR, INT_RT);
}

static void listen(void)
{
	gic_init(handler);
	gic_enable(gic_cpu_init(), SPI(PL011_SPI));
	write32(PL011_BASE + UARTIMSC, INT_RX | INT_RT);
}

static void wait_for_interrupts(void)
{
	listen();
	while (received < wanted) {
		irq_disable();
		if (received < wanted)
			wfi();
		irq_enable();
	}
	irq_disable();
	write32(PL011_BASE + UARTIMSC, 0);
	put("\n");
	report(interrupts > 0, "by interrupt");
}

static void fifo_init(bool fifo)
{
	trigger = fifo ? 14 : 1;
	if (fifo) {
		write32(PL011_BASE + UARTIFLS, 4 << 3);
		write32(PL011_BASE + UARTLCR_H, LCRH_FEN | 3 << 5);
	}
}

static void busy(void)
{
	wanted = UINT32_MAX;
	listen();
	irq_enable();
	while (interrupts < 100)
		;
	irq_disable();
	report(received > 0, "there is time besides input without end");
	report_equal(errors, 0, "nothing was lost");
	done("pl011");
}

static void receive(void)
{
	put("ready\n");
	if (!poll)
		wait_for_interrupts();
	while (received < wanted)
		if (!(read32(PL011_BASE + UARTFR) & FR_RXFE))
			take();
	put("\n");
	put("sum: ");
	put_hex(sum);
	put("\n");
	report_equal(errors, 0, "nothing was lost");
	report_equal(others, 0, "no other interrupt");
}

static void flood(void)
{
	static const char line[] =
		"the quick brown fox jumps over the lazy dog, and once more, till EOL";

	for (uint32_t i = 0; i < wanted; i++)
		put_char((i + 1) % sizeof(line) == 0 ? '\n' : line[i % sizeof(line)]);
}

/* Whether params goes on with word, which is then passed over. */
static bool word(const char **params, const char *text)
{
	if (!text_begins(*params, text))
		return false;
	while (*text++)
		++*params;
	return true;
}

int main(void)
{
	const char *params = tree_params();
	const bool bare = word(&params, "bare "), flooding = word(&params, "flood ");

	late = word(&params, "late ");
	poll = word(&params, "poll ");
	echo = poll || word(&params, "echo ");
	if (!echo)
		word(&params, "count ");
	while (*params >= '0' && *params <= '9')
		wanted = 10 * wanted + *params++ - '0';
	if (flooding) {
		flood();
		power_off();
	}
	fifo_init(!bare);
	if (word(&params, "busy"))
		busy();
	receive();
	done("pl011");
}
