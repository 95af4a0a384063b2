/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a device raises an interrupt without knowing the controller, and how a driver's doorbell
 * reaches a device without an exit to user space.
 */
#ifndef NIDUS_IRQ_H
#define NIDUS_IRQ_H

#include <stdbool.h>
#include <stdint.h>

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

/* An edge-triggered interrupt: an eventfd that KVM turns into one (KVM_IRQFD). */
struct irq_edge {
	int eventfd;
};

/*
 * An edge on shared peripheral interrupt spi (from 0), once the VM's GIC is initialized. Errors:
 * -errno, said.
 */
int irq_edge_create_spi(struct irq_edge *edge, int vm_fd, unsigned int spi);
void irq_edge_destroy(struct irq_edge *edge);

/* Any thread. */
void irq_edge_raise(const struct irq_edge *edge);

/*
 * Rings eventfd when a vCPU writes value, size bytes wide, to gpa (KVM_IOEVENTFD): no exit to user
 * space. Lasts as long as the VM; eventfd stays the caller's. Errors: -errno, said.
 */
int irq_doorbell(int vm_fd, uint64_t gpa, uint32_t size, uint64_t value, int eventfd);

#endif
