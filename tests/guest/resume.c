// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest to be saved and restored: touches 64 MiB, says so, and waits for a letter. q: it ends; t:
 * it touches the same again before.
 */
#include "guest.h"

#define UARTDR	    0x00
#define UARTFR	    0x18
#define UARTFR_RXFE (1u << 4)

#define PAGE	    4096
#define TOUCHED	    UINT64_C(0x50000000)
#define TOUCHED_END (TOUCHED + (UINT64_C(64) << 20))

static void touch(void)
{
	for (uint64_t page = TOUCHED; page < TOUCHED_END; page += PAGE)
		write64(page, read64(page) + page);
}

int main(void)
{
	uint32_t letter;

	touch();
	put("touched\n");
	while (read32(PL011_BASE + UARTFR) & UARTFR_RXFE)
		;
	letter = read32(PL011_BASE + UARTDR) & 0xff;
	if (letter == 't')
		touch();
	put(letter == 't' ? "again\n" : "over\n");
	power_off();
}
