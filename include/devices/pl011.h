/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_PL011_H
#define NIDUS_PL011_H

#include "bus/bus.h"
#include "bus/irq.h"
#include "console.h"
#include "host/event.h"

/*
 * A PrimeCell UART (PL011 r1p3, Arm DDI 0183) at guest physical address base, with 16-byte receive
 * FIFO, connected to console. input: it gets what is typed there; otherwise that is another
 * device's. loop and console outlive it. Errors: -errno, said. spi: for its node.
 */
int pl011_create(struct device **created, uint64_t base, struct irq_line irq, unsigned int spi,
		 struct event_loop *loop, struct console *console, bool input);

#endif
