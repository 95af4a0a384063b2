/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What stands in place of mm/cache.c, vmm/bus/irq.c and vmm/host/event.c where functions on the PCI
 * bus are fuzzed. VECTORS is defined before this is included: how many there are of all functions
 * together.
 */
#ifndef FAKE_MSI_H
#define FAKE_MSI_H

#include <errno.h>

#include "bus/irq.h"
#include "devices/pci.h"
#include "fuzz.h"
#include "host/event.h"
#include "memmap.h"
#include "mm/cache.h"
#include "util.h"

static uint8_t readable[PCI_MEMORY_SIZE] __attribute__((aligned(4096)));
static unsigned int created; /* vectors that there are */
static unsigned int calls; /* some of which fail */

uint64_t cache_line_size(void)
{
	return 64;
}

void cache_clean(uintptr_t start, uintptr_t end, uint64_t line)
{
	MUST(start < end && start >= (uintptr_t)readable &&
	     end <= (uintptr_t)(readable + sizeof(readable)));
}

void cache_sync(void)
{
}

int irq_msi_create(struct irq_msi *msi, struct irq_routes *routes, uint32_t device_id)
{
	*msi = (struct irq_msi){ .device_id = device_id, .connected = true };
	msi->edge.eventfd = 1000 + created++;
	return 0;
}

void irq_msi_destroy(struct irq_msi *msi)
{
	created--;
}

int irq_msi_route(struct irq_msi *msi, uint64_t address, uint32_t data)
{
	MUST(address % 4 == 0);
	if (data == UINT32_MAX)
		return -ENOMEM;
	msi->routed = true;
	return 0;
}

void irq_edge_raise(const struct irq_edge *edge)
{
	const struct irq_msi *msi = container_of(edge, struct irq_msi, edge);

	MUST(msi->routed && msi->connected);
}

int irq_msi_connect(struct irq_msi *msi)
{
	/* KVM refuses some. */
	msi->connected = msi->connected || ++calls % 8 != 0;
	return msi->connected ? 0 : -ENOMEM;
}

void irq_msi_disconnect(struct irq_msi *msi)
{
	msi->connected = false;
}

bool irq_msi_taken(const struct irq_msi *msi)
{
	MUST(!msi->connected);
	return calls % 2;
}

/* Vectors whose eventfd is waited for. */

static struct event_source *waited[VECTORS];

static struct event_source **waited_slot(const struct event_source *source)
{
	for (unsigned int i = 0; i < VECTORS; i++)
		if (waited[i] == source)
			return &waited[i];
	return NULL;
}

int event_add(struct event_loop *loop, struct event_source *source, uint32_t events)
{
	MUST(!waited_slot(source));
	*waited_slot(NULL) = source;
	return 0;
}

void event_remove(struct event_loop *loop, struct event_source *source)
{
	MUST(waited_slot(source));
	*waited_slot(source) = NULL;
}

#endif
