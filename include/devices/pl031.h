/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_PL031_H
#define NIDUS_PL031_H

#include "bus/bus.h"
#include "bus/irq.h"
#include "host/event.h"

/*
 * A PrimeCell real-time clock (PL031 r1p3, Arm DDI 0224) at guest physical address base that shows
 * the host's time of day, with its alarm. loop outlives it. Errors: -errno, said.
 * spi: for its node.
 */
int pl031_create(struct device **created, uint64_t base, struct irq_line irq, unsigned int spi,
		 struct event_loop *loop);

#endif
