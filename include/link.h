/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a network device in the guest meets what carries its frames on the host.
 *
 * A frame is an Ethernet frame with struct virtio_net_hdr_mrg_rxbuf in front (virtio 1.3, 5.1.6),
 * LINK_HEADER bytes, whatever the driver accepted. It goes either by send() and receive(), or,
 * where the link has a vhost, past nidus: then these two are never called.
 *
 * A link is opened once, with the resources of a guest, and lent to the device of each of its lives
 * by attach() and detach().
 */
#ifndef NIDUS_LINK_H
#define NIDUS_LINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "host/counter.h"
#include "host/event.h"

/* Queue pairs of one link, each with a thread where frames go through nidus. */
#define LINK_PAIRS_MAX 4

#define LINK_HEADER 12 /* bytes */

/* The longest frame that there is, in bytes: 64 KiB for the host to cut, and its header. */
#define LINK_FRAME_MAX (65536 + 14 + LINK_HEADER)

/* No list of segments that a link is handed has more of them than this. */
#define LINK_SEGMENTS_MAX 512

/* Without further words: addresses of a guest behind passt, and of the host, as lkvm has them. */
#define LINK_GUEST_IP "192.168.33.15"
#define LINK_HOST_IP  "192.168.33.1"
#define LINK_PREFIX   24 /* bits that they have in common */

/* Whether frames go past nidus: where the host can, always, or never. */
enum link_vhost { LINK_VHOST_AUTO, LINK_VHOST_YES, LINK_VHOST_NO };

#define LINK_ADDRESS	   6 /* bytes of a MAC address */
#define LINK_ADDRESSES_MAX 64

/*
 * What a driver wants to receive (virtio 1.3, 5.1.6.5.1, 5.1.6.5.2). To deliver more than this is
 * allowed.
 */
struct link_filter {
	bool promiscuous, all_multicast, all_unicast;
	bool no_multicast, no_unicast, no_broadcast;
	/*
	 * A list that was too long is told as all of its kind. The first unicast address is the
	 * device's own, which the driver may have changed.
	 */
	unsigned int unicast_count, multicast_count;
	uint8_t unicast[LINK_ADDRESSES_MAX][LINK_ADDRESS];
	uint8_t multicast[LINK_ADDRESSES_MAX][LINK_ADDRESS];
};

/* Of a pair, by its thread, of frames that go through nidus. What the device drops it counts
 * itself. */
struct link_counts {
	counter sent, received; /* frames */
	counter sent_bytes, received_bytes; /* of them, without virtio's header */
	counter send_dropped; /* the host did not take them, or the driver lied in their header */
	counter receive_dropped; /* the driver had no buffers that were long enough */
};

struct link;
struct vhost;

struct link_ops {
	const char *name; /* of the kind: "tap", "passt" */

	/*
	 * loops: of the thread of each pair, which calls arrived() and room(). changed() is called
	 * in that of main. The link's callbacks are set before. Errors: -errno, said; nothing is
	 * attached then. detach(): no thread of the device turns any more, and no callback comes
	 * after it.
	 */
	int (*attach)(struct link *link, struct event_loop *main, struct event_loop *const *loops);
	void (*detach)(struct link *link);

	/*
	 * What the driver accepted, bits of VIRTIO_NET_F_*; 0: there is no driver. Before frames
	 * go, and when that ends. Any thread, one at a time. A link begins, and is left by each
	 * driver, with 0, one pair, and a filter that is promiscuous.
	 */
	void (*accept)(struct link *link, uint64_t features);
	/* How many pairs carry frames, from 1 to link->pairs. As accept(). NULL: there is only one.
	 */
	void (*use_pairs)(struct link *link, unsigned int pairs);
	/* NULL: the link delivers all that there is. As accept(). */
	void (*filter)(struct link *link, const struct link_filter *filter);

	/*
	 * The pair's thread; they never wait. A frame of the guest's, whose memory may change
	 * meanwhile: 0, also when it was dropped and counted; -EAGAIN: it was not taken, and room()
	 * will be called when it is worth trying again.
	 */
	int (*send)(struct link *link, unsigned int pair, const struct iovec *frame,
		    unsigned int count);
	/*
	 * The next frame, its num_buffers left for the device to fill in. Returns its length with
	 * the header; 0: there is none, and arrived() will be called when there is; -EMSGSIZE: it
	 * was longer than the segments, and dropped and counted.
	 */
	int64_t (*receive)(struct link *link, unsigned int pair, const struct iovec *segments,
			   unsigned int count);
	/*
	 * Whether arrived() is to be called: not before the first call, and not while there are no
	 * buffers. It is called again as long as there are frames, so that a device may leave some
	 * for the next turn. The pair's thread.
	 */
	void (*listen)(struct link *link, unsigned int pair, bool wanted);

	/* After the last life of the guest. */
	void (*close)(struct link *link);
};

/* The head of every link's private struct. */
struct link {
	const struct link_ops *ops;
	/*
	 * What it can do of VIRTIO_NET_F_CSUM, GUEST_CSUM, HOST_TSO4/6, HOST_ECN, HOST_USO,
	 * GUEST_TSO4/6, GUEST_ECN, GUEST_USO4/6 and MRG_RXBUF, and of the bits of rings where it
	 * has a vhost.
	 */
	uint64_t features;
	unsigned int pairs; /* 1 to LINK_PAIRS_MAX */
	uint16_t mtu; /* bytes without Ethernet's header; 0: not known */
	uint8_t mac[LINK_ADDRESS]; /* that the guest is to have */
	bool keeps_mac; /* where it was restored: that which it had, instead */
	struct vhost
		*vhost; /* its rings are the device's queues without the control queue; or NULL */
	atomic_bool up; /* carries frames; see changed() */
	struct link_counts counts[LINK_PAIRS_MAX]; /* of this life of the guest */

	/* Set by the device. */
	void (*arrived)(void *device, unsigned int pair); /* receive() is worth calling */
	void (*room)(void *device, unsigned int pair); /* send() is */
	void (*changed)(void *device); /* up did, or whether vhost is lost */
	void *device;
};

#endif
