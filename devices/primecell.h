/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every PrimeCell has: the identification registers in its last 32 bytes, and a device tree
 * node that repeats them.
 */
#ifndef NIDUS_PRIMECELL_H
#define NIDUS_PRIMECELL_H

#include <stdint.h>

#include "arm/devtree.h"
#include "bus/bus.h"

#define PRIMECELL_SIZE	  0x1000
#define PRIMECELL_ID	  0xfe0 /* PeriphID0-3, then PCellID0-3: a byte each, a word apart */
#define PRIMECELL_ID_LAST 0xffc

/* The register at offset, between the two above, of a device whose PeriphID0-3 read as periphid. */
static inline uint32_t primecell_id(uint32_t periphid, uint64_t offset)
{
	const uint32_t pcellid = 0xb105f00d;
	unsigned int index = (offset - PRIMECELL_ID) / 4;

	return (index < 4 ? periphid : pcellid) >> 8 * (index % 4) & 0xff;
}

/*
 * Opens the device's node, with all but its clocks: a driver that finds the identification there
 * does not read the registers. compatible: "arm,NAME" and "arm,primecell", each with its NUL, size
 * bytes together.
 */
static inline void primecell_begin(struct devtree *tree, const struct device *device,
				   const char *compatible, size_t size, uint32_t periphid,
				   unsigned int spi)
{
	devtree_begin_at(tree, device->ops->name, device->base);
	devtree_strings(tree, "compatible", compatible, size);
	devtree_u32(tree, "arm,primecell-periphid", periphid);
	devtree_reg(tree, device->base, device->size);
	devtree_spi(tree, spi, IRQ_LEVEL_HIGH);
}

#endif
