// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. One open file of /dev/vhost-net has the two rings of a queue pair, and a
 * worker of its own in the kernel. That is a thread of nidus as far as the host is concerned (since
 * Linux 6.4, and by default since then): it has nidus's limits and ends with it, so
 * VHOST_SET_FORK_FROM_OWNER is left alone.
 *
 * A ring runs from the VHOST_NET_SET_BACKEND with its tap queue to the one without, which waits for
 * what is in flight. Where one of these calls fails all files are closed, for then nothing goes on.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/log.h"
#include "mm/memory.h"
#include "util.h"
#include "vhost_kind.h"

#define PATH	   "/dev/vhost-net"
#define PAIRS_MAX  (VHOST_RINGS_MAX / 2)
#define PAIR_RINGS 2
#define NO_FILE	   -1

/* Whatever else the kernel's vhost-net has one day, drivers are offered what is known here. */
#define NET_FEATURES (UINT64_C(1) << VIRTIO_NET_F_MRG_RXBUF)

struct pair {
	int fd; /* of /dev/vhost-net */
	int queue; /* of the tap, the caller's */
};

struct vhost_net {
	struct vhost_kind kind;
	unsigned int pairs;
	struct pair pair[PAIRS_MAX];
};

static struct vhost_net *net_of(struct vhost *vhost)
{
	return container_of(vhost, struct vhost_net, kind.vhost);
}

static void close_pairs(struct vhost_net *net)
{
	while (net->pairs > 0)
		close(net->pair[--net->pairs].fd);
}

/* An ioctl of a vhost that is in use: when it fails the vhost is lost. */
static int call(struct vhost_net *net, const struct pair *pair, unsigned long request,
		const char *name, void *argument)
{
	int err;

	if (ioctl(pair->fd, request, argument) >= 0)
		return 0;
	err = -errno;
	vhost_lose(&net->kind, err, "%s: %s", name, log_reason(-err));
	close_pairs(net);
	return err;
}

#define CALL(net, pair, request, argument) call(net, pair, request, #request, argument)

static int net_begin(struct vhost *vhost, uint64_t features, const struct memory *memory)
{
	struct vhost_net *net = net_of(vhost);
	struct vhost_table table = vhost_table(memory);
	int err = atomic_load(&vhost->lost) ? -ENODEV : 0;

	for (unsigned int i = 0; i < net->pairs && err == 0; i++) {
		err = CALL(net, &net->pair[i], VHOST_SET_FEATURES, &features);
		if (err == 0)
			err = CALL(net, &net->pair[i], VHOST_SET_MEM_TABLE, &table);
	}
	return err;
}

static int set_backend(struct vhost_net *net, const struct pair *pair, unsigned int index, int fd)
{
	struct vhost_vring_file backend = { index, fd };

	return CALL(net, pair, VHOST_NET_SET_BACKEND, &backend);
}

static int net_start(struct vhost *vhost, unsigned int index, const struct vhost_ring *ring)
{
	static const struct {
		unsigned long request;
		const char *name;
	} requests[VHOST_SETTINGS] = {
		[VHOST_NUM] = { VHOST_SET_VRING_NUM, "VHOST_SET_VRING_NUM" },
		[VHOST_ADDR] = { VHOST_SET_VRING_ADDR, "VHOST_SET_VRING_ADDR" },
		[VHOST_BASE] = { VHOST_SET_VRING_BASE, "VHOST_SET_VRING_BASE" },
		[VHOST_CALL] = { VHOST_SET_VRING_CALL, "VHOST_SET_VRING_CALL" },
		[VHOST_KICK] = { VHOST_SET_VRING_KICK, "VHOST_SET_VRING_KICK" },
	};
	struct vhost_net *net = net_of(vhost);
	const struct pair *pair = &net->pair[index / PAIR_RINGS];
	union vhost_setting settings[VHOST_SETTINGS];
	int err = atomic_load(&vhost->lost) ? -ENODEV : 0;

	vhost_settings(settings, index % PAIR_RINGS, ring);
	for (unsigned int i = 0; i < VHOST_SETTINGS && err == 0; i++)
		err = call(net, pair, requests[i].request, requests[i].name, &settings[i]);
	return err < 0 ? err : set_backend(net, pair, index % PAIR_RINGS, pair->queue);
}

/* The eventfds are let go of as well, or kicks would wake the worker still. */
static int net_stop(struct vhost *vhost, unsigned int index, uint16_t *base)
{
	struct vhost_net *net = net_of(vhost);
	const struct pair *pair = &net->pair[index / PAIR_RINGS];
	struct vhost_vring_state state = { .index = index % PAIR_RINGS };
	struct vhost_vring_file none = { index % PAIR_RINGS, VHOST_FILE_UNBIND };
	int err = atomic_load(&vhost->lost) ? -ENODEV : 0;

	if (err == 0)
		err = set_backend(net, pair, index % PAIR_RINGS, NO_FILE);
	if (err == 0)
		err = CALL(net, pair, VHOST_SET_VRING_KICK, &none);
	if (err == 0)
		err = CALL(net, pair, VHOST_SET_VRING_CALL, &none);
	if (err == 0)
		err = CALL(net, pair, VHOST_GET_VRING_BASE, &state);
	*base = state.num;
	return err;
}

static int net_attach(struct vhost *vhost, struct event_loop *loop)
{
	return vhost_attach(&net_of(vhost)->kind, loop);
}

static void net_detach(struct vhost *vhost)
{
	vhost_detach(&net_of(vhost)->kind);
}

static void net_close(struct vhost *vhost)
{
	close_pairs(net_of(vhost));
	free(net_of(vhost));
}

static const struct vhost_ops net_ops = {
	.name = "vhost-net",
	.begin = net_begin,
	.start = net_start,
	.stop = net_stop,
	.attach = net_attach,
	.detach = net_detach,
	.close = net_close,
};

/* Not said. */
static bool is_absent(int err)
{
	return err == -ENOENT || err == -ENODEV || err == -ENXIO || err == -EACCES || err == -EPERM;
}

/* One more pair, which from then on has nidus's address space; features: what it has. */
static int open_pair(struct vhost_net *net, int queue, uint64_t *features)
{
	struct pair *pair = &net->pair[net->pairs];
	int err;

	*pair = (struct pair){ open(PATH, O_RDWR | O_CLOEXEC), queue };
	err = pair->fd < 0 ? -errno : 0;
	if (err < 0) {
		if (!is_absent(err))
			log_error(PATH ": %s", log_reason(-err));
		return err;
	}
	net->pairs++;
	if (ioctl(pair->fd, VHOST_SET_OWNER) >= 0 &&
	    ioctl(pair->fd, VHOST_GET_FEATURES, features) >= 0)
		return 0;
	err = -errno;
	log_error(PATH ": %s", log_reason(-err));
	return err;
}

int vhost_net_open(struct vhost **opened, const int *queues, unsigned int pairs)
{
	struct vhost_net *net = calloc(1, sizeof(*net));
	uint64_t features;
	int err = net ? 0 : -ENOMEM;

	if (err < 0)
		log_error(PATH ": %s", strerror(-err));
	while (err == 0 && net->pairs < pairs)
		err = open_pair(net, queues[net->pairs], &features);
	if (err < 0) {
		if (net)
			net_close(&net->kind.vhost);
		return err;
	}
	net->kind.name = net_ops.name;
	net->kind.vhost.ops = &net_ops;
	net->kind.vhost.features = vhost_offer(features, NET_FEATURES);
	net->kind.vhost.rings = PAIR_RINGS * pairs;
	*opened = &net->kind.vhost;
	return 0;
}
