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

#define VHOST_RINGS_MAX 16

/* A ring as it is handed over. */
struct vhost_ring {
	uint64_t desc, avail, used; /* HVA in nidus */
	uint16_t size; /* entries */
	uint16_t base; /* index of the next available entry to work on */
	int kick,
		call; /* eventfds, which stay the caller's: rung by the driver, rings the driver */
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
	/* Has loop watch for its end; and no more. Errors: -errno, said. */
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
	atomic_bool lost; /* it has ended, or cannot be talked to */

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
 * Another process behind a connected Unix stream socket, taken over, also when it fails: asks what
 * it can and nothing else. rings: how many the device has without those that nidus works on itself.
 * name: for messages, the caller's. Errors: -errno, said.
 */
int vhost_user_open(struct vhost **opened, int socket, const char *name, unsigned int rings);

/*
 * Another process in place of one that has ended, which has to offer all that the first one did:
 * for a vhost that is lost, once ended() has come, in the thread of its loop. From then on it may
 * be used again. socket as above. Errors: -errno, said; it is still lost then.
 */
int vhost_user_renew(struct vhost *vhost, int socket);

#endif
