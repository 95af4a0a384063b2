/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_VIRTIO_RNG_H
#define NIDUS_VIRTIO_RNG_H

#include "host/event.h"
#include "mm/memory.h"
#include "virtio/virtio.h"

/*
 * An entropy device (virtio 1.3, 5.4), which has its bytes from the host's kernel. loop is its
 * queue's worker. Both arguments outlive it. Errors: -errno, said.
 */
int virtio_rng_create(struct virtio **created, const struct memory *memory,
		      struct event_loop *loop);

#endif
