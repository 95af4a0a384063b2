// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "irq.h"
#include "kvm.h"
#include "log.h"
#include "memmap.h"

static void irq_line_kvm(const struct irq_line *line, bool level)
{
	int err = kvm_irq_line(line->vm_fd, line->intid, level);

	if (err < 0)
		log_error("KVM_IRQ_LINE for interrupt %u: %s", line->intid, strerror(-err));
}

struct irq_line irq_line_spi(int vm_fd, unsigned int spi)
{
	return (struct irq_line){
		.set = irq_line_kvm,
		.vm_fd = vm_fd,
		.intid = GIC_SPI_BASE + spi,
	};
}

int irq_edge_create_spi(struct irq_edge *edge, int vm_fd, unsigned int spi)
{
	int err;

	edge->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	/* A GSI is a shared peripheral interrupt's number as long as no other routing was set. */
	err = edge->eventfd < 0 ? -errno : kvm_irqfd(vm_fd, spi, edge->eventfd);
	if (err < 0) {
		log_error("KVM_IRQFD for interrupt %u: %s", GIC_SPI_BASE + spi, strerror(-err));
		irq_edge_destroy(edge);
	}
	return err;
}

void irq_edge_destroy(struct irq_edge *edge)
{
	if (edge->eventfd >= 0)
		close(edge->eventfd);
	edge->eventfd = -1;
}

void irq_edge_raise(const struct irq_edge *edge)
{
	const uint64_t one = 1;
	/* KVM empties the eventfd at once, so it is never full. */
	ssize_t ignored = write(edge->eventfd, &one, sizeof(one));

	(void)ignored;
}

int irq_doorbell(int vm_fd, uint64_t gpa, uint32_t size, uint64_t value, int eventfd)
{
	const struct kvm_ioeventfd ioeventfd = {
		.datamatch = value,
		.addr = gpa,
		.len = size,
		.fd = eventfd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};
	int err = kvm_ioeventfd(vm_fd, &ioeventfd);

	if (err < 0)
		log_error("KVM_IOEVENTFD at 0x%" PRIx64 ": %s", gpa, strerror(-err));
	return err;
}
