/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_VIRTIO_REPORT_H
#define NIDUS_VIRTIO_REPORT_H

#include "host/event.h"
#include "mm/memory.h"
#include "sink.h"
#include "virtio/virtio.h"

/* The name of the port, as VIRTIO_CONSOLE_PORT_NAME tells it. */
#define VIRTIO_REPORT_NAME "org.nidus.report"

/*
 * A console device (virtio 1.3, 5.3) with VIRTIO_CONSOLE_F_MULTIPORT and no console: its one port,
 * number 0, leads from the guest to sink. Everything outlives it. Errors: -errno, said.
 */
int virtio_report_create(struct virtio **created, const struct memory *memory,
			 struct event_loop *loop, struct sink *sink);

#endif
