/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a device raises an interrupt without knowing the controller.
 */
#ifndef NIDUS_IRQ_H
#define NIDUS_IRQ_H

#include <stdbool.h>

/* A level-sensitive interrupt line. */
struct irq_line {
	void (*set)(const struct irq_line *line, bool level);
	int vm_fd;
	unsigned int intid; /* of the GIC: 32 + the number of the shared peripheral interrupt */
};

/*
 * A line to shared peripheral interrupt spi (from 0) of the VM's GIC, driven by KVM_IRQ_LINE: one
 * system call a change. vm_fd stays the caller's and outlives the line.
 */
struct irq_line irq_line_spi(int vm_fd, unsigned int spi);

/* Any thread; the owner calls it for changes only, and in their order. */
static inline void irq_line_set(const struct irq_line *line, bool level)
{
	line->set(line, level);
}

#endif
