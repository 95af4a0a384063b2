/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bank of NOR flash with the Intel command set (JESD68.01, Common Flash Interface; JEP137,
 * command set 1): two chips of 32 MiB, each 16 bits wide, side by side. As on QEMU's board they
 * take every command together, whichever half of the bank it is written to; U-Boot, which believes
 * to have found one chip of 16 bits, relies on that.
 *
 * What a command asks for is done when it returns, so the chips are always ready. Pure: no files,
 * no locks.
 */
#ifndef NIDUS_FLASH_CHIPS_H
#define NIDUS_FLASH_CHIPS_H

#include <stdbool.h>
#include <stdint.h>

#include "flash/flash_store.h"
#include "memmap.h"
#include "util.h"

#define FLASH_BLOCKS	  (FLASH_BANK_SIZE / FLASH_BLOCK_SIZE)
#define FLASH_BUFFER_SIZE KIB(2) /* what can be programmed at a time, by both */

/* What may be set of the status register, but for that they are ready. */
#define FLASH_STATUS_ERRORS 0x32

/* What a read gives. */
enum flash_mode { FLASH_ARRAY, FLASH_STATUS, FLASH_ID, FLASH_QUERY };

/* What the next write is. */
enum flash_step {
	FLASH_COMMAND,
	FLASH_PROGRAM, /* data */
	FLASH_ERASE, /* confirms */
	FLASH_LOCK, /* says which way */
	FLASH_COUNT, /* of writes that are to be programmed at once, less one */
	FLASH_DATA, /* one of these */
	FLASH_CONFIRM, /* confirms, when all have come */
};

struct flash_chips {
	uint8_t *content;
	uint64_t size; /* bytes of it, whole blocks; what is behind it is erased and locked */
	bool read_only;

	enum flash_mode mode;
	enum flash_step step;
	uint8_t status; /* errors, which stay until they are cleared */
	bool locked[FLASH_BLOCKS];
	uint32_t wanted; /* writes that have still to come */
	uint64_t window; /* offset of what buffer is for */
	bool window_known;
	uint8_t buffer[FLASH_BUFFER_SIZE];
};

/* Bytes of the content that a write has changed; none: both are 0. */
struct flash_change {
	uint64_t start, end;
};

/* As after power-on. content outlives the chips. */
void flash_chips_init(struct flash_chips *chips, uint8_t *content, uint64_t size, bool read_only);

/* One byte; offset: below FLASH_BANK_SIZE. */
uint8_t flash_chips_read(const struct flash_chips *chips, uint64_t offset);

/* size: 1, 2 or 4 bytes, of which offset is a multiple. */
struct flash_change flash_chips_write(struct flash_chips *chips, uint64_t offset, uint32_t value,
				      unsigned int size);

/* What was last programmed or erased could not be kept: has the chips say so. */
void flash_chips_fail(struct flash_chips *chips);

/* Whether they read as what is in them, and will as long as nothing is written to them. */
static inline bool flash_chips_are_memory(const struct flash_chips *chips)
{
	return chips->mode == FLASH_ARRAY;
}

#endif
