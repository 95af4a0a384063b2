/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between a virtio device and a vhost: hands the device's queues over while the driver uses them,
 * and takes them back. Queue N of the device is ring N of the vhost; the device may have more,
 * which it works on itself.
 */
#ifndef NIDUS_VIRTIO_VHOST_H
#define NIDUS_VIRTIO_VHOST_H

#include "host/event.h"
#include "vhost.h"
#include "virtio/virtio.h"

struct virtio_vhost;

/*
 * virtio: initialized, and loop the worker of the queues that are handed over. Everything outlives
 * it. Of what the device offers to drivers, what the vhost's rings cannot do is taken back. Errors:
 * -errno, said. Destroyed after virtio_stop(), when the loop does not turn.
 */
int virtio_vhost_create(struct virtio_vhost **created, struct virtio *virtio, struct vhost *vhost,
			struct event_loop *loop);
void virtio_vhost_destroy(struct virtio_vhost *handed);

/*
 * For the device's process(): the queue has started, or goes on, and goes over. It stays when the
 * vhost is lost, of which vhost->ended() tells.
 */
void virtio_vhost_process(struct virtio_vhost *handed, struct virtio_queue *queue);

/* For its drain() and settle(): comes back, with nothing in flight. May come twice. */
void virtio_vhost_drain(struct virtio_vhost *handed, struct virtio_queue *queue);

/* For the device's revoke(): the vhost forgets what it was told of. */
void virtio_vhost_revoke(struct virtio_vhost *handed, bool all);

/* The vhost's call of that name, between its others. Any thread. */
void virtio_vhost_forget(struct virtio_vhost *handed);
int virtio_vhost_config_set(struct virtio_vhost *handed, uint32_t offset, const void *value,
			    uint32_t size);

/*
 * The vhost was lost, or has been renewed: queues come back, or go over again from what was used
 * on. The loop's thread, with no lock.
 */
void virtio_vhost_changed(struct virtio_vhost *handed);

#endif
