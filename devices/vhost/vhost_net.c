// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. One open file of /dev/vhost-net has the two rings of a queue pair. A ring
 * runs from the VHOST_NET_SET_BACKEND with its tap queue to the one without, which waits for what
 * is in flight. Behind an IOMMU each file has a table of translations of its own, empty when a
 * driver begins; it asks by messages that are read from the file, and is answered by those that are
 * written to it. They are answered when the write returns: a ring that was at work with what is
 * forgotten has come to rest. Where a call fails all files are closed, for then nothing goes on.
 */
#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "host/log.h"
#include "mm/memory.h"
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
	struct vhost_net *net;
	struct event_source questions; /* in the loop while it is attached */
};

struct vhost_net {
	struct vhost_kind kind;
	struct event_loop *loop; /* while it is attached */
	const struct memory *memory; /* since begin() */
	unsigned int pairs;
	struct pair pair[PAIRS_MAX];
};

/* #syscalls loop served worker: ioctl(VHOST_NET_SET_BACKEND) */
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

/* Translations. */

static bool net_next_question(struct vhost *vhost, unsigned int *ring, uint64_t *iova, bool *write)
{
	struct vhost_net *net = net_of(vhost);
	struct vhost_msg message;

	for (unsigned int i = 0; i < net->pairs; i++) {
		if (read(net->pair[i].fd, &message, sizeof(message)) != sizeof(message) ||
		    message.type != VHOST_IOTLB_MSG || message.iotlb.type != VHOST_IOTLB_MISS)
			continue;
		*ring = PAIR_RINGS * i;
		*iova = message.iotlb.iova;
		*write = message.iotlb.perm & VHOST_ACCESS_WO;
		return true;
	}
	return false;
}

static int say(struct vhost_net *net, unsigned int pair, const struct vhost_iotlb_msg *what)
{
	const struct vhost_msg message = { .type = VHOST_IOTLB_MSG, .iotlb = *what };

	if (atomic_load(&net->kind.vhost.lost))
		return -ENODEV;
	if (write(net->pair[pair].fd, &message, sizeof(message)) == sizeof(message))
		return 0;
	return close_pairs(net,
			   vhost_lose(&net->kind, -errno, "translation: %s", log_reason(errno)));
}

/* What is not all of RAM cannot be told of: who asks for it gets no answer. */
static int net_translate(struct vhost *vhost, unsigned int ring,
			 const struct vhost_translation *translation)
{
	struct vhost_net *net = net_of(vhost);
	const struct vhost_iotlb_msg update = {
		.iova = translation->iova,
		.size = translation->size,
		.uaddr = (uintptr_t)memory_at(net->memory, translation->gpa, translation->size),
		.perm = (translation->read ? VHOST_ACCESS_RO : 0) |
			(translation->write ? VHOST_ACCESS_WO : 0),
		.type = VHOST_IOTLB_UPDATE,
	};

	return update.uaddr ? say(net, ring / PAIR_RINGS, &update) : -EFAULT;
}

static int net_forget_translation(struct vhost *vhost, uint64_t iova, uint64_t size)
{
	const struct vhost_iotlb_msg invalidate = {
		.iova = iova,
		.size = size,
		.type = VHOST_IOTLB_INVALIDATE,
	};
	struct vhost_net *net = net_of(vhost);
	int err = 0;

	for (unsigned int i = 0; i < net->pairs && err == 0; i++)
		err = say(net, i, &invalidate);
	return err;
}

static void questions(struct event_source *source, uint32_t events)
{
	struct vhost *vhost = &container_of(source, struct pair, questions)->net->kind.vhost;

	(void)events;
	vhost->asks(vhost->asked);
}

/* From the first time on that one may come, as long as it is attached. */
static int hear_questions(struct vhost_net *net)
{
	int err = 0;

	for (unsigned int i = 0; i < net->pairs && err == 0; i++) {
		struct pair *pair = &net->pair[i];

		if (pair->net)
			continue;
		pair->questions = (struct event_source){ pair->fd, questions };
		err = event_add(net->loop, &pair->questions, EPOLLIN);
		if (err == 0)
			pair->net = net;
	}
	if (err < 0)
		vhost_end(&net->kind);
	return err;
}

static int net_begin(struct vhost *vhost, uint64_t features, const struct memory *memory)
{
	struct vhost_net *net = net_of(vhost);
	int err = atomic_load(&vhost->lost) ? -ENODEV : 0;

	net->memory = memory;
	for (unsigned int i = 0; i < net->pairs && err == 0; i++)
		err = vhost_kernel_begin(&net->kind, net->pair[i].fd, features, memory);
	if (err == 0 && features >> VIRTIO_F_ACCESS_PLATFORM & 1)
		err = hear_questions(net);
	return err < 0 ? close_pairs(net, err) : 0;
}

static int net_attach(struct vhost *vhost, struct event_loop *loop)
{
	struct vhost_net *net = net_of(vhost);

	net->loop = loop;
	return vhost_attach(&net->kind, loop);
}

static void net_detach(struct vhost *vhost)
{
	struct vhost_net *net = net_of(vhost);

	/* The files of one that is lost are closed, and so in no loop. */
	for (unsigned int i = 0; i < net->pairs; i++) {
		if (net->pair[i].net)
			event_remove(net->loop, &net->pair[i].questions);
		net->pair[i].net = NULL;
	}
	vhost_detach(&net->kind);
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
	.next_question = net_next_question,
	.translate = net_translate,
	.forget_translation = net_forget_translation,
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
	net->pair[net->pairs++] = (struct pair){ .fd = fd, .queue = queue };
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
	net->kind.vhost.translates = features >> VIRTIO_F_ACCESS_PLATFORM & 1;
	net->kind.vhost.rings = PAIR_RINGS * pairs;
	*opened = &net->kind.vhost;
	return 0;
}
