/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a device in the guest meets what takes a stream of bytes from it on the host.
 */
#ifndef NIDUS_SINK_H
#define NIDUS_SINK_H

#include <stddef.h>
#include <sys/uio.h>

struct sink {
	/*
	 * Takes what the host takes at once, by one write(2), of all segments in their order, and
	 * says how many bytes that were. 0 of more than 0: none for now, and room() will be called.
	 * Never waits. Any thread, one at a time.
	 */
	size_t (*offer)(struct sink *sink, const struct iovec *segments, unsigned int count);

	/*
	 * Copies all of it, to be written when that can be, and before whatever is offered later:
	 * for who has to give the segments up. Beyond a bound it is dropped, which is said. Never
	 * waits, nor writes. Any thread.
	 */
	void (*keep)(struct sink *sink, const struct iovec *segments, unsigned int count);

	/* Set by the device; called by the event loop's thread. */
	void (*room)(void *device);
	void *device;
};

#endif
