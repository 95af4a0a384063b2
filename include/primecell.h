/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The identification registers that every PrimeCell has in its last 32 bytes.
 */
#ifndef NIDUS_PRIMECELL_H
#define NIDUS_PRIMECELL_H

#include <stdint.h>

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

#endif
