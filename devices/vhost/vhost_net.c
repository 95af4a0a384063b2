// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. One open file of /dev/vhost-net has the two rings of a queue pair. A ring
 * runs from the VHOST_NET_SET_BACKEND with its tap queue to the one without, which waits for what
 * is in flight. Where a call fails all files are closed, for then nothing goes on.
 */
#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"
#include "util.h"
#include "vhost_kernel.h"

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

/* #syscalls loop served: ioctl(VHOST_NET_SET_BACKEND) */
static struct vhost_net *net_of(struct vhost *vhost)
{
	return container_of(vhost, struct vhost_net, kind.vhost);
}

static int close_pairs(struct vhost_net *net, int err)
{
	while (net->pairs > 0)
		close(net->pair[--net->pairs].fd);
	return err;
}

static int net_begin(struct vhost *vhost, uint64_t features, const struct memory *memory)
{
	struct vhost_net *net = net_of(vhost);
	int err = atomic_load(&vhost->lost) ? -ENODEV : 0;

	for (unsigned int i = 0; i < net->pairs && err == 0; i++)
		err = vhost_kernel_begin(&net->kind, net->pair[i].fd, features, memory);
	return err < 0 ? close_pairs(net, err) : 0;
}

static int set_backend(struct vhost_net *net, const struct pair *pair, unsigned int index,
		       int queue)
{
	struct vhost_vring_file backend = { index, queue };

	return VHOST_KERNEL_CALL(&net->kind, pair->fd, VHOST_NET_SET_BACKEND, &backend);
}

static int net_start(struct vhost *vhost, unsigned int index, const struct vhost_ring *ring)
{
	struct vhost_net *net = net_of(vhost);
	const struct pair *pair = &net->pair[index / PAIR_RINGS];
	int err = atomic_load(&vhost->lost) ? -ENODEV : 0;

	if (err == 0)
		err = vhost_kernel_start(&net->kind, pair->fd, index % PAIR_RINGS, ring);
	if (err == 0)
		err = set_backend(net, pair, index % PAIR_RINGS, pair->queue);
	return err < 0 ? close_pairs(net, err) : 0;
}

static int net_stop(struct vhost *vhost, unsigned int index, uint16_t *base)
{
	struct vhost_net *net = net_of(vhost);
	const struct pair *pair = &net->pair[index / PAIR_RINGS];
	int err = atomic_load(&vhost->lost) ? -ENODEV : 0;

	*base = 0;
	if (err == 0)
		err = set_backend(net, pair, index % PAIR_RINGS, NO_FILE);
	if (err == 0)
		err = vhost_kernel_stop(&net->kind, pair->fd, index % PAIR_RINGS, base);
	return err < 0 ? close_pairs(net, err) : 0;
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
	close_pairs(net_of(vhost), 0);
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

/* One more pair; features: what it has. */
static int open_pair(struct vhost_net *net, int queue, uint64_t *features)
{
	const int fd = vhost_kernel_open(PATH, features);

	if (fd < 0)
		return fd;
	net->pair[net->pairs++] = (struct pair){ fd, queue };
	return 0;
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
