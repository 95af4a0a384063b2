/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a console device in the guest meets what it is connected to on the host.
 */
#ifndef NIDUS_CONSOLE_H
#define NIDUS_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console {
	/*
	 * Guest to host. vCPU threads; may wait for the host to take earlier output, so no lock
	 * is held that input() or room() would want.
	 */
	void (*write)(struct console *console, const uint8_t *bytes, size_t count);

	/* The same for who must not wait: takes what there is room for and says how much. */
	size_t (*offer)(struct console *console, const uint8_t *bytes, size_t count);

	/* Host to guest: up to count bytes, 0 when there are none. Any thread; never waits. */
	size_t (*read)(struct console *console, uint8_t *bytes, size_t count);

	/* Columns and rows of the terminal; false where there is none. Any thread. */
	bool (*size)(struct console *console, uint16_t *columns, uint16_t *rows);

	/*
	 * Set by the device that wants to be told: that read() has something again, that offer()
	 * has room again after it took less than all, that size() changed. NULL: not wanted. Called
	 * by the event loop's thread.
	 */
	void (*input)(void *device);
	void (*room)(void *device);
	void (*resized)(void *device);
	void *device;
};

#endif
