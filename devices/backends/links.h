/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all links share.
 */
#ifndef LINKS_H
#define LINKS_H

#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "link.h"
#include "vhost.h"

#define LINK_BIT(number) (UINT64_C(1) << (number))

/* Of rings, those that a vhost may know and the device hands on. */
#define LINK_RING_FEATURES                                                           \
	(LINK_BIT(VIRTIO_RING_F_INDIRECT_DESC) | LINK_BIT(VIRTIO_RING_F_EVENT_IDX) | \
	 LINK_BIT(VIRTIO_F_VERSION_1))

/* From now on frames go by vhost, whose end is told to ended(owner). */
static inline void link_hand_over(struct link *link, struct vhost *vhost,
				  void (*ended)(void *owner), void *owner)
{
	const uint64_t frames = LINK_BIT(VIRTIO_NET_F_MRG_RXBUF);

	vhost->ended = ended;
	vhost->owner = owner;
	link->vhost = vhost;
	link->features &= ~frames;
	link->features |= vhost->features & (frames | LINK_RING_FEATURES);
}

/* A frame of so many bytes with virtio's header. The pair's thread. */
static inline void link_count_sent(struct link *link, unsigned int pair, uint64_t bytes)
{
	counter_add(&link->counts[pair].sent, 1);
	counter_add(&link->counts[pair].sent_bytes, bytes - LINK_HEADER);
}

static inline void link_count_received(struct link *link, unsigned int pair, uint64_t bytes)
{
	counter_add(&link->counts[pair].received, 1);
	counter_add(&link->counts[pair].received_bytes, bytes - LINK_HEADER);
}

#endif
