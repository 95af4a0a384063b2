// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest to be saved and restored: touches 64 MiB, says so, and does what letters tell it, a line
 * each:
 *
 *   t   touches the same again
 *   d   touches 100 pages of it
 *   c   reads the counter for a second, and tells the longest time that it missed, in nanoseconds
 *   q   ends
 */
#include "guest.h"

#define UARTDR	    0x00
#define UARTFR	    0x18
#define UARTFR_RXFE (1u << 4)

#define PAGE	    4096
#define TOUCHED	    UINT64_C(0x50000000)
#define TOUCHED_END (TOUCHED + (UINT64_C(64) << 20))

static void touch(uint64_t step)
{
	for (uint64_t page = TOUCHED; page < TOUCHED_END; page += step)
		write64(page, read64(page) + page);
}

static void watch_counter(void)
{
	const uint64_t frequency = read_sysreg(cntfrq_el0);
	const uint64_t first = read_sysreg(cntvct_el0);
	uint64_t last = first, longest = 0;

	while (last - first < frequency) {
		const uint64_t now = read_sysreg(cntvct_el0);

		if (now - last > longest)
			longest = now - last;
		last = now;
	}
	put("missed ");
	put_number(longest * 1000000000 / frequency);
	put("\n");
}

static uint8_t letter(void)
{
	while (read32(PL011_BASE + UARTFR) & UARTFR_RXFE)
		;
	return read32(PL011_BASE + UARTDR);
}

int main(void)
{
	touch(PAGE);
	put("touched\n");
	for (;;)
		switch (letter()) {
		case 't':
			touch(PAGE);
			put("again\n");
			break;
		case 'd':
			touch((TOUCHED_END - TOUCHED) / 100 / PAGE * PAGE);
			put("dirty\n");
			break;
		case 'c':
			put("watching\n");
			watch_counter();
			break;
		case 'q':
			power_off();
		}
}
