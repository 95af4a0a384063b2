/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How a device raises an interrupt without knowing the controller, and how a driver's doorbell
 * reaches a device without an exit to user space.
 */
#ifndef NIDUS_IRQ_H
#define NIDUS_IRQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * An interrupt line. The guest decides whether its controller takes the level of it, or each change
 * from low to high for one interrupt.
 */
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

/*
 * Any thread; the owner calls it for changes only, and in their order. true while it is high is as
 * if it had been low for a moment: another interrupt where the guest takes edges, nothing where it
 * takes the level.
 */
static inline void irq_line_set(const struct irq_line *line, bool level)
{
	line->set(line, level);
}

/* What raises a message: an eventfd that KVM turns into one (KVM_IRQFD). */
struct irq_edge {
	int eventfd;
};

/* Any thread. */
void irq_edge_raise(const struct irq_edge *edge);

#define IRQ_MSIS_MAX 512

/*
 * KVM's table of what its interrupt numbers (GSIs) mean: the shared peripheral interrupts, each by
 * its own number, as KVM has them by default; above them, messages.
 */
struct irq_routes {
	int vm_fd; /* outlives the table */
	pthread_mutex_t lock; /* guards what follows, and the messages' address and data */
	struct irq_msi *msi[IRQ_MSIS_MAX];
};

void irq_routes_create(struct irq_routes *routes, int vm_fd);
void irq_routes_destroy(struct irq_routes *routes);

/* A message-signalled interrupt, which the ITS translates. Raise its edge to send the message. */
struct irq_msi {
	struct irq_edge edge;
	struct irq_routes *routes;
	unsigned int index; /* in routes->msi[] */
	uint32_t device_id; /* as the ITS knows the device */
	bool connected; /* KVM takes what the eventfd tells */
	bool routed;
	uint64_t address;
	uint32_t data;
};

/*
 * A message of a device, without a meaning until irq_msi_route(); raised before that, it is lost.
 * Once the VM's GIC is initialized; routes outlives it. Errors: -errno, said; -ENOSPC when there
 * are too many.
 */
int irq_msi_create(struct irq_msi *msi, struct irq_routes *routes, uint32_t device_id);
void irq_msi_destroy(struct irq_msi *msi);

/*
 * The write that is to be the message. Any thread, but one at a time for each message. A new one
 * costs the host a table of all routes, the same one nothing. What KVM refuses is said a few times
 * and leaves the message as it was: -errno, and the next call tries again.
 */
int irq_msi_route(struct irq_msi *msi, uint64_t address, uint32_t data);

/*
 * For an eventfd that somebody else raises, too, and cannot be told to stop: once disconnected
 * nothing of it is sent any more, and what comes is kept for irq_msi_taken(). Any thread, but one
 * at a time for each message. irq_msi_connect(): costs nothing where it is; what KVM refuses is
 * said a few times: -errno.
 */
int irq_msi_connect(struct irq_msi *msi);
void irq_msi_disconnect(struct irq_msi *msi);
/* Whether it was raised while it was not connected; the next call begins anew. */
bool irq_msi_taken(const struct irq_msi *msi);

/*
 * Rings eventfd when a vCPU writes value, size bytes wide, to gpa (KVM_IOEVENTFD): no exit to user
 * space. Lasts as long as the VM; eventfd stays the caller's. Errors: -errno, said.
 */
int irq_doorbell(int vm_fd, uint64_t gpa, uint32_t size, uint64_t value, int eventfd);

/*
 * The same for a write of any value and size, by vCPU threads, until it is taken away again with
 * the same arguments. What KVM refuses, because another doorbell is there for example, is said a
 * few times; such writes exit.
 */
void irq_doorbell_any(int vm_fd, uint64_t gpa, int eventfd);
void irq_doorbell_remove(int vm_fd, uint64_t gpa, int eventfd);

#endif
