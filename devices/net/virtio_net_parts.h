/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the sources of the network device share: virtio_net.c makes it, and knows features, queues
 * and configuration; virtio_net_frames.c has the data path, virtio_net_control.c the commands.
 */
#ifndef NIDUS_VIRTIO_NET_PARTS_H
#define NIDUS_VIRTIO_NET_PARTS_H

#include <linux/virtio_net.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "host/event.h"
#include "host/worker.h"
#include "link.h"
#include "util.h"
#include "virtio/virtio.h"
#include "virtio/virtio_vhost.h"

/* Since Linux 6.3. */
#ifndef VIRTIO_NET_F_HOST_USO
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO	56
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

struct virtio_net;

/* A receive chain that was popped and not used yet. */
struct net_buffer {
	uint16_t head;
	uint16_t segments;
	uint32_t bytes;
};

/*
 * The receive chains that the next frames go to, in the driver's order, and all their segments in a
 * row. The last entry of segments[] is left free.
 */
struct net_window {
	unsigned int first_buffer, buffer_count; /* in buffers[], which is a ring */
	unsigned int first_segment, segment_count;
	uint64_t bytes;
	struct net_buffer buffers[VIRTQUEUE_SIZE_MAX];
	struct iovec segments[LINK_SEGMENTS_MAX];
};

/* A queue pair that frames go through nidus by. */
struct net_pair {
	struct virtio_net *device;
	unsigned int index;
	struct worker worker;

	/* The receive queue's lock guards these. */
	struct net_window window;
	unsigned int most_buffers; /* that the window ever had at a time */
	bool crowded; /* the next chain has more segments than the window has room for */
	bool listening;
	uint8_t *spill; /* LINK_FRAME_MAX bytes: of a frame what lies behind the window */
	uint64_t waiting; /* bytes of the frame that waits for more buffers, or 0 */
	uint64_t spilled_at; /* where in it the spill begins */

	/* The transmit queue's lock guards these. */
	struct event_timer interrupt;
	bool interrupt_armed;
	uint16_t interrupt_for; /* what was published when it was armed */
};

/* What a driver has set by commands. The control queue's lock guards it. */
struct net_settings {
	struct link_filter filter; /* without the device's own address */
	bool unicast_overflow, multicast_overflow; /* a list had more than there is room for */
	unsigned int pairs; /* in use */
	/*
	 * As mac of struct virtio_net: what the driver of a guest that was restored goes on with,
	 * although that is another one now; 0: it has read the device's own.
	 */
	uint64_t former_mac;
};

struct virtio_net {
	struct virtio virtio;
	struct link *link;
	unsigned int pair_count;
	struct net_pair *pairs; /* NULL where the link has a vhost */
	struct virtio_vhost *handed; /* NULL where it has none */
	struct net_settings settings;
	atomic_uint_fast64_t mac; /* as configuration shows it, in the first bytes of the number */
};

static inline struct virtio_net *virtio_net_of(struct virtio *virtio)
{
	return container_of(virtio, struct virtio_net, virtio);
}

/* How many pairs come before the control queue (virtio 1.3, 5.1.2). */
static inline unsigned int virtio_net_usable_pairs(const struct virtio_net *device)
{
	return virtio_has(&device->virtio, VIRTIO_NET_F_MQ) ? device->pair_count : 1;
}

static inline bool virtio_net_carries_frames(const struct virtio_queue *queue)
{
	return queue->index < 2 * virtio_net_usable_pairs(virtio_net_of(queue->virtio));
}

/* virtio_net_frames.c */

/* What a pair needs, beside its worker, which has been created. Errors: -errno, said. */
int virtio_net_frames_create(struct net_pair *pair);
void virtio_net_frames_destroy(struct net_pair *pair);
/* For process(), drain() and settle() of queue 2 * N and 2 * N + 1. */
void virtio_net_frames_process(struct virtio_queue *queue);
void virtio_net_frames_drain(struct virtio_queue *queue);
/* The callbacks of the link. */
void virtio_net_frames_arrived(void *device, unsigned int pair);
void virtio_net_frames_room(void *device, unsigned int pair);

/* virtio_net_control.c */

/* Everything as before the first command; nothing is said to the link. */
void virtio_net_control_reset(struct virtio_net *device);
/* For process() of the control queue. */
void virtio_net_control_process(struct virtio_queue *queue);
/* What the driver has set, for who saves the device: record "virtio-net". */
void virtio_net_control_save(struct virtio *virtio, struct state_writer *writer, uint64_t index);
void virtio_net_control_restore(struct virtio *virtio, struct state_reader *reader, uint64_t index);
/* Tells the link which frames the driver wants. */
void virtio_net_control_apply(struct virtio_net *device);

#endif
