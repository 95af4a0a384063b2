/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a console device in the guest meets what it is connected to on the host.
 */
#ifndef NIDUS_CONSOLE_H
#define NIDUS_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

struct console {
	/*
	 * Guest to host. vCPU threads; may wait for the host to take earlier output, so no lock
	 * is held that input() would want.
	 */
	void (*write)(struct console *console, const uint8_t *bytes, size_t count);

	/* Host to guest: up to count bytes, 0 when there are none. Any thread; never waits. */
	size_t (*read)(struct console *console, uint8_t *bytes, size_t count);

	/*
	 * Set by the device that wants to be told that read() has something again. Called by the
	 * event loop's thread.
	 */
	void (*input)(void *device);
	void *device;
};

#endif
