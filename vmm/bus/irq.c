// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bus/irq.h"
#include "host/kvm.h"
#include "host/log.h"
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

static void edge_destroy(struct irq_edge *edge)
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

void irq_routes_create(struct irq_routes *routes, int vm_fd)
{
	*routes = (struct irq_routes){ .vm_fd = vm_fd };
	pthread_mutex_init(&routes->lock, NULL);
}

void irq_routes_destroy(struct irq_routes *routes)
{
	pthread_mutex_destroy(&routes->lock);
}

/* A GSI below GIC_SPI_COUNT is a shared peripheral interrupt's number. */
static unsigned int msi_gsi(const struct irq_msi *msi)
{
	return GIC_SPI_COUNT + msi->index;
}

int irq_msi_create(struct irq_msi *msi, struct irq_routes *routes, uint32_t device_id)
{
	unsigned int index = 0;
	int err;

	*msi = (struct irq_msi){ .edge.eventfd = -1, .routes = routes, .device_id = device_id };
	while (index < IRQ_MSIS_MAX && routes->msi[index])
		index++;
	if (index == IRQ_MSIS_MAX) {
		log_error("more than %d message-signalled interrupts", IRQ_MSIS_MAX);
		return -ENOSPC;
	}
	msi->index = index;
	msi->edge.eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = msi->edge.eventfd < 0 ? -errno
				    : kvm_irqfd(routes->vm_fd, msi_gsi(msi), msi->edge.eventfd, 0);
	if (err < 0) {
		log_error("KVM_IRQFD for message %u: %s", index, log_reason(-err));
		edge_destroy(&msi->edge);
		return err;
	}
	msi->connected = true;
	routes->msi[index] = msi;
	return 0;
}

void irq_msi_destroy(struct irq_msi *msi)
{
	if (msi->edge.eventfd >= 0)
		msi->routes->msi[msi->index] = NULL;
	edge_destroy(&msi->edge);
}

static struct kvm_irq_routing_entry spi_entry(unsigned int spi)
{
	return (struct kvm_irq_routing_entry){
		.gsi = spi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip.pin = spi,
	};
}

static struct kvm_irq_routing_entry msi_entry(const struct irq_msi *msi)
{
	return (struct kvm_irq_routing_entry){
		.gsi = msi_gsi(msi),
		.type = KVM_IRQ_ROUTING_MSI,
		.flags = KVM_MSI_VALID_DEVID,
		.u.msi = {
			.address_lo = msi->address,
			.address_hi = msi->address >> 32,
			.data = msi->data,
			.devid = msi->device_id,
		},
	};
}

/* Hands KVM the whole table, lock held. */
static int routes_apply(const struct irq_routes *routes)
{
	const size_t most = GIC_SPI_COUNT + IRQ_MSIS_MAX;
	struct kvm_irq_routing *table = malloc(sizeof(*table) + most * sizeof(table->entries[0]));
	int err;

	if (!table)
		return -ENOMEM;
	table->nr = 0;
	table->flags = 0;
	for (unsigned int spi = 0; spi < GIC_SPI_COUNT; spi++)
		table->entries[table->nr++] = spi_entry(spi);
	for (unsigned int i = 0; i < IRQ_MSIS_MAX; i++)
		if (routes->msi[i] && routes->msi[i]->routed)
			table->entries[table->nr++] = msi_entry(routes->msi[i]);
	err = kvm_set_gsi_routing(routes->vm_fd, table);
	free(table);
	return err;
}

int irq_msi_route(struct irq_msi *msi, uint64_t address, uint32_t data)
{
	static struct log_limit limit;
	struct irq_msi before;
	int err;

	if (msi->routed && msi->address == address && msi->data == data)
		return 0;
	before = *msi;
	pthread_mutex_lock(&msi->routes->lock);
	msi->routed = true;
	msi->address = address;
	msi->data = data;
	err = routes_apply(msi->routes);
	if (err < 0)
		*msi = before; /* as KVM still has it */
	pthread_mutex_unlock(&msi->routes->lock);
	if (err < 0)
		log_guest(&limit, "KVM_SET_GSI_ROUTING for message %u: %s", msi->index,
			  strerror(-err));
	return err;
}

int irq_msi_connect(struct irq_msi *msi)
{
	static struct log_limit limit;
	int err;

	if (msi->connected)
		return 0;
	err = kvm_irqfd(msi->routes->vm_fd, msi_gsi(msi), msi->edge.eventfd, 0);
	msi->connected = err == 0;
	if (err < 0)
		log_guest(&limit, "KVM_IRQFD for message %u: %s", msi->index, log_reason(-err));
	return err;
}

void irq_msi_disconnect(struct irq_msi *msi)
{
	if (!msi->connected)
		return;
	/* It cannot fail for what is there. KVM waits for what it has begun to send. */
	kvm_irqfd(msi->routes->vm_fd, msi_gsi(msi), msi->edge.eventfd, KVM_IRQFD_FLAG_DEASSIGN);
	msi->connected = false;
}

/* #syscalls all: read */
bool irq_msi_taken(const struct irq_msi *msi)
{
	uint64_t count;

	return read(msi->edge.eventfd, &count, sizeof(count)) == sizeof(count);
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

void irq_doorbell_any(int vm_fd, uint64_t gpa, int eventfd)
{
	static struct log_limit limit;
	const struct kvm_ioeventfd ioeventfd = { .addr = gpa, .fd = eventfd };
	int err = kvm_ioeventfd(vm_fd, &ioeventfd);

	if (err < 0)
		log_guest(&limit, "KVM_IOEVENTFD at 0x%" PRIx64 ": %s", gpa, strerror(-err));
}

void irq_doorbell_remove(int vm_fd, uint64_t gpa, int eventfd)
{
	const struct kvm_ioeventfd ioeventfd = {
		.addr = gpa,
		.fd = eventfd,
		.flags = KVM_IOEVENTFD_FLAG_DEASSIGN,
	};

	/* It fails where KVM refused the doorbell before. */
	kvm_ioeventfd(vm_fd, &ioeventfd);
}
