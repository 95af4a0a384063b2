/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_VIRTIO_CONSOLE_H
#define NIDUS_VIRTIO_CONSOLE_H

#include "console.h"
#include "host/event.h"
#include "mm/memory.h"
#include "virtio/virtio.h"

/*
 * A console with one port (virtio 1.3, 5.3), connected to console. Everything outlives it. Errors:
 * -errno, said.
 */
int virtio_console_create(struct virtio **created, const struct memory *memory,
			  struct event_loop *loop, struct console *console);

#endif
