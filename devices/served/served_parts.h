/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Within devices/served: what the device (served.c) and what serves it have in common.
 */
#ifndef NIDUS_SERVED_PARTS_H
#define NIDUS_SERVED_PARTS_H

#include <stdatomic.h>

#include "served/served.h"
#include "vhost.h"

#define SERVED_CONFIG_MAX 256 /* bytes; the most that vhost-user has room for */

enum served_state {
	SERVED_UP,
	SERVED_AWAY, /* has ended, and may come back: requests wait */
	SERVED_GONE, /* for good: requests fail */
};

/* What a kind of devices has of its own: its features, and how its requests fail. */
struct served_kind {
	const char *name; /* "fs" */
	uint32_t device_id;
	uint64_t features; /* device's own bits that mean something to nidus */
	uint32_t config_size; /* bytes, of all that these features give a meaning */
	unsigned int queues; /* at least; those behind are requests' */
	/*
	 * Requests that were begun mean nothing to the next one that serves: they fail when it
	 * ends, whether it comes back or not.
	 */
	bool forgets;
	/*
	 * Answers a request with an error, for whom nobody serves any more. Returns the bytes that
	 * were written for the driver. NULL: there is no such answer, and the device asks for a
	 * reset.
	 */
	uint32_t (*fail)(struct virtio_queue *queue, const struct virtqueue_chain *chain);
};

struct served_ops {
	/* main: where ends are noticed. changed() is called in its thread. Errors: -errno, said. */
	int (*attach)(struct served *served, struct event_loop *main);
	void (*detach)(struct served *served);
	/* DRIVER_OK, and its end; NULL: does not matter. virtio.lock held. */
	void (*drive)(struct served *served, bool begun);
	/* The driver has written to the configuration; NULL: is ignored. virtio.lock held. */
	void (*config_write)(struct served *served, uint32_t offset, const void *value,
			     uint32_t size);
	void (*close)(struct served *served);
};

/* The head of every private struct of those that serve. */
struct served {
	const struct served_ops *ops;
	const struct served_kind *kind;
	const char *by; /* "virtiofsd" */
	struct vhost *vhost; /* its rings are the device's queues from the first on */
	unsigned int queues; /* of the device; those that the vhost does not have stay idle */
	uint32_t config_size; /* bytes */
	uint8_t config[SERVED_CONFIG_MAX]; /* as the driver reads it; changes in the main thread */
	_Atomic enum served_state state;

	/* Set by the device; the main thread. State or configuration is another. */
	void (*changed)(void *device);
	void *device;
};

#endif
