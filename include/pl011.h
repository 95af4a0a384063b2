/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_PL011_H
#define NIDUS_PL011_H

#include "bus.h"
#include "console.h"
#include "irq.h"

/*
 * A PrimeCell UART (PL011 r1p3, Arm DDI 0183) at guest physical address base, with 16-byte receive
 * FIFO, connected to console, which outlives it. input: it gets what is typed there; otherwise that
 * is another device's. NULL, said, where memory is short. spi: for its node.
 */
struct device *pl011_create(uint64_t base, struct irq_line irq, unsigned int spi,
			    struct console *console, bool input);

#endif
