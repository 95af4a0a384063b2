/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rings that somebody else works on: the host's kernel (vhost) or another process (vhost-user). It
 * is handed a ring while the driver uses it, reads and writes guest memory by itself, is kicked by
 * the doorbell's eventfd and interrupts by another, so nothing of a request goes through nidus.
 *
 * A vhost is opened once, with the resources of a guest, and serves a device in each of its lives.
 * Calls are made by one thread at a time; the caller has a lock for that (virtio_vhost.h).
 */
#ifndef NIDUS_VHOST_H
#define NIDUS_VHOST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "host/event.h"

#define VHOST_RINGS_MAX	 16
#define VHOST_CONFIG_MAX 256 /* bytes of a device's configuration */

/* A ring as it is handed over. */
struct vhost_ring {
	uint64_t desc, avail, used; /* HVA in nidus */
	uint16_t size; /* entries */
	uint16_t base; /* index of the next available entry to work on */
	int kick,
		call; /* eventfds, which stay the caller's: rung by the driver, rings the driver */
};

/* IOVAs that a driver behind an IOMMU gives, and the GPA of the first. */
struct vhost_translation {
	uint64_t iova, size, gpa; /* size: bytes */
	bool read, write; /* what they may be used for */
};

struct memory;
struct vhost;

/*
 * Errors of begin(), start() and stop() are -errno, said, and the vhost is lost then: the kernel
 * touches nothing any more, nor does another process that heeds the end of its socket, and every
 * call fails.
 */
struct vhost_ops {
	const char *name; /* "vhost-net", "vhost-user" */
	/*
	 * A driver has settled its features, of which these are those that the vhost is to know,
	 * and RAM is here: before its first ring starts, and again where all have stopped.
	 */
	int (*begin)(struct vhost *vhost, uint64_t features, const struct memory *memory);
	int (*start)(struct vhost *vhost, unsigned int index, const struct vhost_ring *ring);
	/* Returns when nothing of the ring is touched any more; base: where to go on. */
	int (*stop)(struct vhost *vhost, unsigned int index, uint16_t *base);
	/*
	 * The driver has reset the device: of what a lost one has begun there is nothing to be
	 * taken up by the next. NULL: there never is.
	 */
	void (*forget)(struct vhost *vhost);
	/*
	 * The first size bytes of the device's configuration, and a change of it by the driver,
	 * where it tells them. As begin(). NULL: it does not.
	 */
	int (*config_get)(struct vhost *vhost, void *config, uint32_t size);
	int (*config_set)(struct vhost *vhost, uint32_t offset, const void *value, uint32_t size);
	/*
	 * Where it translates: addresses of rings are IOVAs, when the features that it begins with
	 * have VIRTIO_F_ACCESS_PLATFORM, and so are those in them. It asks for what it does not
	 * know: the next question, or false. Each ring has to be told of its own IOVAs before it
	 * starts. translate(): an answer, or a beginning. forget_translation(): when it returns
	 * nothing is accessed there any more. NULL, all: it does not.
	 */
	bool (*next_question)(struct vhost *vhost, unsigned int *ring, uint64_t *iova, bool *write);
	int (*translate)(struct vhost *vhost, unsigned int ring,
			 const struct vhost_translation *translation);
	int (*forget_translation)(struct vhost *vhost, uint64_t iova, uint64_t size);
	/* Has loop watch for its end, and for questions; and no more. Errors: -errno, said. */
	int (*attach)(struct vhost *vhost, struct event_loop *loop);
	void (*detach)(struct vhost *vhost);
	void (*close)(struct vhost *vhost);
};

/* The head of every kind's private struct. */
struct vhost {
	const struct vhost_ops *ops;
	uint64_t features; /* that it offers to drivers, without those that are between it and nidus
			    */
	unsigned int rings;
	bool shares_memory; /* RAM has to have a descriptor (memory.fd) */
	bool translates; /* it can be behind an IOMMU */
	bool remembers; /* what a lost one has begun, its successor takes up */
	atomic_bool lost; /* it has ended, or cannot be talked to */
	/* It may have begun requests that it has not answered, and whose driver waits for them. */
	atomic_bool owes;

	/* Set by who hands rings over: there are questions. The thread of the loop. */
	void (*asks)(void *asked);
	void *asked;

	/*
	 * Set by who attaches it. The thread of the loop, once: lost became true, or was already
	 * when it was attached.
	 */
	void (*ended)(void *owner);
	void *owner;
};

/*
 * The kernel's, /dev/vhost-net, on the queues of a tap device: ring 2 * N receives and 2 * N + 1
 * transmits by queues[N]. The descriptors stay the caller's and outlive it. Errors: -errno, not
 * said where there is no such device or it may not be opened (-ENOENT, -ENODEV, -ENXIO, -EACCES,
 * -EPERM).
 */
int vhost_net_open(struct vhost **opened, const int *queues, unsigned int pairs);

/*
 * The kernel's, /dev/vhost-vsock, for a guest with this context identifier, which nobody else gets
 * as long as it is open. Ring 0 receives, 1 transmits. Errors: -errno, said.
 */
int vhost_vsock_open(struct vhost **opened, uint32_t cid);

/* What a device wants of another process. */
struct vhost_user_wishes {
	const char *name; /* for messages, the caller's */
	/*
	 * Rings, without those that nidus works on itself: at least so many, and more where the
	 * other side has them. pairs: it counts them by two, as those of networks do.
	 */
	unsigned int rings, rings_max;
	bool pairs;
	uint64_t features; /* of the device's own bits, those that may be offered to drivers */
	bool config; /* it has to tell the device's configuration */
	unsigned int start; /* milliseconds that it has for its first answers; 0: as for others */
	uint16_t ring_size; /* the most entries of a ring, where it may remember; 0: it need not */
};

/*
 * Another process behind a connected Unix stream socket, taken over, also when it fails: asks what
 * it can and nothing else. Errors: -errno, said.
 */
int vhost_user_open(struct vhost **opened, int socket, const struct vhost_user_wishes *wishes);

/*
 * Another process in place of one that has ended, which has to offer all that the first one did:
 * for a vhost that is lost, once ended() has come, in the thread of its loop. From then on it may
 * be used again. socket as above. Errors: -errno, said; it is still lost then.
 */
int vhost_user_renew(struct vhost *vhost, int socket);

#endif
