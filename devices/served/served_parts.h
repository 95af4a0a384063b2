/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Within devices/served: what the device (served.c) and what serves it have in common.
 */
#ifndef NIDUS_SERVED_PARTS_H
#define NIDUS_SERVED_PARTS_H

#include <stdatomic.h>

#include "served/served.h"
#include "vhost.h"

_Static_assert(SERVED_QUEUES_MAX == VHOST_RINGS_MAX && SERVED_CONFIG_MAX == VHOST_CONFIG_MAX,
	       "of devices and of rings the same");

enum served_state {
	SERVED_UP,
	SERVED_AWAY, /* has ended, and may come back: requests wait */
	SERVED_GONE, /* requests fail, as long as the driver does not begin anew */
};

/* What a kind of devices has of its own. */
struct served_kind {
	const char *name; /* as the user calls it */
	uint32_t device_id; /* virtio 1.3, 5 */
	uint64_t features; /* bits of the device's own that nidus knows the meaning of */
	uint32_t config_size; /* bytes of configuration that these features give a meaning */
	unsigned int queues; /* at least */
	unsigned int idle; /* of these, the last ones that nobody works on */
	/*
	 * Requests that one has begun mean nothing to the next: they fail when it ends, whether it
	 * comes back or not.
	 */
	bool forgets;
	/* Requests are answered in any order: of those in flight nidus cannot tell the answered. */
	bool any_order;
	/*
	 * Answers a request with an error, for whom nobody serves any more. Returns how many bytes
	 * were written for the driver. NULL: there is no such answer.
	 */
	uint32_t (*fail)(const struct virtqueue_chain *chain);
};

/*
 * NULL: it is none that is known, and has the features, the configuration and the queues that who
 * serves it says.
 */
const struct served_kind *served_kind_find(uint32_t device_id);

struct served_ops {
	/* main: where ends are noticed, and changed() is called. Errors: -errno, said. */
	int (*attach)(struct served *served, struct event_loop *main);
	void (*detach)(struct served *served);
	/*
	 * A driver begins, on a device that was reset or is new, and has asked for nothing yet:
	 * who is gone may be had again. A vCPU's thread. NULL: nobody may.
	 */
	void (*begin)(struct served *served);
	void (*close)(struct served *served);
};

/* The head of every private struct of those that serve. */
struct served {
	const struct served_ops *ops;
	struct served_kind kind;
	const char *by; /* "virtiofsd" */
	struct vhost *vhost; /* its rings are the device's queues from the first on */
	unsigned int queues; /* of the device; those that the vhost does not have stay idle */
	uint32_t config_size; /* bytes */
	uint8_t config[VHOST_CONFIG_MAX]; /* as the driver reads it; changes in the main thread */
	_Atomic enum served_state state;

	/* Set by the device; the main thread. The state is another, or the configuration. */
	void (*changed)(void *device);
	void *device;
};

#endif
