/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_VIRTIO_NET_H
#define NIDUS_VIRTIO_NET_H

#include "host/event.h"
#include "link.h"
#include "mm/memory.h"
#include "virtio/virtio.h"

struct virtio_net_options {
	struct link *link; /* opened, and lent to nobody */
	unsigned int pairs; /* see virtio_net_pairs(); no more than the link has are made */
};

/* How many queue pairs serve so many vCPUs: one each, up to LINK_PAIRS_MAX. */
unsigned int virtio_net_pairs(unsigned int cpus);

/*
 * A network device (virtio 1.3, 5.1) on a link, which it attaches itself to. Each queue pair has a
 * thread, and ops->destroy() ends them; where the link has a vhost there are no threads, and loop
 * is the worker of all queues. loop: the main one, of the control queue and of changes of the link.
 * memory and all that options points to outlive the device. Errors: -errno, said.
 */
int virtio_net_create(struct virtio **created, const struct memory *memory, struct event_loop *loop,
		      const struct virtio_net_options *options);

#endif
