/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The virtual machine generation ID (Microsoft's specification of that name; as the binding
 * microsoft,vmgenid of Linux's device trees has it): a number by which a guest knows that it is no
 * longer the one that it was, but a copy that goes on from a snapshot.
 */
#ifndef NIDUS_VMGENID_H
#define NIDUS_VMGENID_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/bus.h"
#include "bus/irq.h"

#define VMGENID_SIZE 16 /* bytes */

struct vmgenid_options {
	uint64_t base; /* GPA */
	/* HVA of the same, VMGENID_SIZE bytes of a memory slot; outlives the VM. */
	uint8_t *place;
	const uint8_t *id; /* VMGENID_SIZE bytes, random; copied */
	bool stays; /* a guest that is restored is the one that it was, and has the ID that it had
		     */
	struct irq_line irq; /* edge-triggered */
	unsigned int spi;
};

/*
 * Before vCPUs run. A guest that is restored is interrupted, unless its ID stays. Errors: -ENOMEM,
 * said.
 */
int vmgenid_create(struct device **created, const struct vmgenid_options *options);

#endif
