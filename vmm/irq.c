// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

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
