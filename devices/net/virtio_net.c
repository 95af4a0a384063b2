// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Queues come in pairs, 2 * N to receive and 2 * N + 1 to transmit, and the
 * control queue behind those that the driver can use: without VIRTIO_NET_F_MQ that is one pair,
 * whatever the device has. So what a queue is for is settled with the features, and its worker is
 * not: it goes by the index.
 *
 * Frames go by one of two ways (link.h). Either each pair has a thread that moves them
 * (virtio_net_frames.c), or the link has a vhost, to which all queues of pairs are handed over
 * while the driver uses them. The control queue stays here (virtio_net_control.c).
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "net/virtio_net.h"
#include "virtio_net_parts.h"

#define FEATURE(bit) (UINT64_C(1) << (bit))

#define QUEUE_SIZE VIRTQUEUE_SIZE_MAX

/* Of the configuration structure, what our features give a meaning: all before the speed. */
#define CONFIG_SIZE offsetof(struct virtio_net_config, speed)

/* A network with less than this is none (virtio 1.3, 5.1.4.1). */
#define MTU_MIN 68

#define SEGMENTATION	   (FEATURE(VIRTIO_NET_F_HOST_TSO4) | FEATURE(VIRTIO_NET_F_HOST_TSO6))
#define GUEST_SEGMENTATION (FEATURE(VIRTIO_NET_F_GUEST_TSO4) | FEATURE(VIRTIO_NET_F_GUEST_TSO6))

/* What may be offered if the link does it. */
#define LINK_FEATURES                                                                        \
	(FEATURE(VIRTIO_NET_F_CSUM) | FEATURE(VIRTIO_NET_F_GUEST_CSUM) |                     \
	 FEATURE(VIRTIO_NET_F_HOST_ECN) | FEATURE(VIRTIO_NET_F_GUEST_ECN) |                  \
	 FEATURE(VIRTIO_NET_F_HOST_USO) | FEATURE(VIRTIO_NET_F_GUEST_USO4) |                 \
	 FEATURE(VIRTIO_NET_F_GUEST_USO6) | FEATURE(VIRTIO_NET_F_MRG_RXBUF) | SEGMENTATION | \
	 GUEST_SEGMENTATION)

/* What the device does by itself. */
#define OWN_FEATURES                                                             \
	(FEATURE(VIRTIO_NET_F_MAC) | FEATURE(VIRTIO_NET_F_STATUS) |              \
	 FEATURE(VIRTIO_NET_F_CTRL_VQ) | FEATURE(VIRTIO_NET_F_CTRL_RX) |         \
	 FEATURE(VIRTIO_NET_F_CTRL_RX_EXTRA) | FEATURE(VIRTIO_NET_F_CTRL_VLAN) | \
	 FEATURE(VIRTIO_NET_F_CTRL_MAC_ADDR))

/* What depends on who works on the rings. */
#define RING_FEATURES                                                     \
	(FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_RING_F_EVENT_IDX) | \
	 FEATURE(VIRTIO_RING_F_INDIRECT_DESC) | FEATURE(VIRTIO_NET_F_MRG_RXBUF))

/*
 * Features that need one of others (virtio 1.3, 5.1.3.1); what needs something is behind what it
 * needs.
 */
static const struct {
	unsigned int feature;
	uint64_t needs;
} dependencies[] = {
	{ VIRTIO_NET_F_HOST_TSO4, FEATURE(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_TSO6, FEATURE(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_USO, FEATURE(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_ECN, SEGMENTATION },
	{ VIRTIO_NET_F_GUEST_TSO4, FEATURE(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_TSO6, FEATURE(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_USO4, FEATURE(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_USO6, FEATURE(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_ECN, GUEST_SEGMENTATION },
	{ VIRTIO_NET_F_CTRL_RX, FEATURE(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_VLAN, FEATURE(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, FEATURE(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_MQ, FEATURE(VIRTIO_NET_F_CTRL_VQ) },
};

/* Without those whose needs are not met. */
static uint64_t consistent(uint64_t features)
{
	for (size_t i = 0; i < ARRAY_SIZE(dependencies); i++)
		if (!(features & dependencies[i].needs))
			features &= ~FEATURE(dependencies[i].feature);
	return features;
}

static bool virtio_net_acceptable(const struct virtio *virtio)
{
	return consistent(virtio->accepted) == virtio->accepted;
}

/* The driver. */

static void virtio_net_begin(struct virtio *virtio)
{
	struct link *link = virtio_net_of(virtio)->link;

	link->ops->accept(link, virtio->accepted);
}

/* The link as it was before there was a driver. */
static void forget_driver(struct virtio_net *device)
{
	struct link *link = device->link;

	link->ops->accept(link, 0);
	virtio_net_control_reset(device);
	virtio_net_control_apply(device);
	if (link->ops->use_pairs)
		link->ops->use_pairs(link, 1);
}

static void virtio_net_end(struct virtio *virtio)
{
	forget_driver(virtio_net_of(virtio));
	virtio_config_replaced(virtio);
}

/* Queues. */

static bool is_control(const struct virtio_queue *queue)
{
	return virtio_has(queue->virtio, VIRTIO_NET_F_CTRL_VQ) &&
	       queue->index == 2 * virtio_net_usable_pairs(virtio_net_of(queue->virtio));
}

/* Queues that are of no use with the driver's features are left alone. */
static void virtio_net_process(struct virtio_queue *queue)
{
	struct virtio_net *device = virtio_net_of(queue->virtio);

	if (is_control(queue))
		virtio_net_control_process(queue);
	else if (!virtio_net_carries_frames(queue))
		return;
	else if (device->handed)
		virtio_vhost_process(device->handed, queue);
	else
		virtio_net_frames_process(queue);
}

static void virtio_net_drain(struct virtio_queue *queue)
{
	struct virtio_net *device = virtio_net_of(queue->virtio);

	if (!virtio_net_carries_frames(queue))
		return;
	if (device->handed)
		virtio_vhost_drain(device->handed, queue);
	else
		virtio_net_frames_drain(queue);
}

/* What the vhost was told. */
static void virtio_net_revoke(struct virtio *virtio, bool all)
{
	struct virtio_net *device = virtio_net_of(virtio);

	if (device->handed)
		virtio_vhost_revoke(device->handed, all);
}

static void virtio_net_config_read(struct virtio *virtio, uint32_t offset, void *value,
				   uint32_t size)
{
	struct virtio_net *device = virtio_net_of(virtio);
	const uint64_t mac = atomic_load(&device->mac);
	struct virtio_net_config config = {
		.status = atomic_load(&device->link->up) ? VIRTIO_NET_S_LINK_UP : 0,
		.max_virtqueue_pairs = device->pair_count,
		.mtu = device->link->mtu,
	};

	memcpy(config.mac, &mac, sizeof(config.mac));
	memcpy(value, (const char *)&config + offset, size);
}

static void virtio_net_changed(void *opaque)
{
	struct virtio_net *device = opaque;

	if (device->handed)
		virtio_vhost_changed(device->handed);
	virtio_config_changed(&device->virtio);
}

/* Making and destroying. */

static void pair_destroy(struct net_pair *pair)
{
	virtio_net_frames_destroy(pair);
	worker_destroy(&pair->worker);
}

static int pair_create(struct net_pair *pair)
{
	int err = worker_create(&pair->worker);

	if (err < 0)
		return err;
	err = virtio_net_frames_create(pair);
	if (err < 0)
		worker_destroy(&pair->worker);
	return err;
}

static void destroy_pairs(struct virtio_net *device, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		pair_destroy(&device->pairs[i]);
	free(device->pairs);
}

/* None where frames do not come by here. */
static int create_pairs(struct virtio_net *device)
{
	if (device->link->vhost)
		return 0;
	device->pairs = calloc(device->pair_count, sizeof(*device->pairs));
	if (!device->pairs) {
		log_error("virtio-net: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < device->pair_count; i++) {
		struct net_pair *pair = &device->pairs[i];
		int err;

		pair->device = device;
		pair->index = i;
		err = pair_create(pair);
		if (err < 0) {
			destroy_pairs(device, i);
			return err;
		}
	}
	return 0;
}

/* Ends the first count threads. */
static void stop_workers(struct virtio_net *device, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++)
		worker_stop(&device->pairs[i].worker);
}

static unsigned int worker_count(const struct virtio_net *device)
{
	return device->pairs ? device->pair_count : 0;
}

static int start_workers(struct virtio_net *device)
{
	for (unsigned int i = 0; i < worker_count(device); i++) {
		char name[32];
		int err;

		snprintf(name, sizeof(name), "net-%u", i);
		err = worker_start(&device->pairs[i].worker, name);
		if (err < 0) {
			stop_workers(device, i);
			return err;
		}
	}
	return 0;
}

static void destroy_virtio(struct virtio_net *device)
{
	if (device->handed)
		virtio_vhost_destroy(device->handed);
	virtio_fini(&device->virtio);
}

static void virtio_net_destroy(struct virtio *virtio)
{
	struct virtio_net *device = virtio_net_of(virtio);

	virtio_stop(virtio);
	stop_workers(device, worker_count(device));
	if (atomic_load(&virtio->status) & VIRTIO_CONFIG_S_DRIVER_OK)
		forget_driver(device);
	device->link->ops->detach(device->link);
	destroy_virtio(device);
	destroy_pairs(device, worker_count(device));
	free(device);
}

static const struct virtio_ops virtio_net_ops = {
	.name = "virtio-net",
	.device_id = VIRTIO_ID_NET,
	.config_size = CONFIG_SIZE,
	.config_read = virtio_net_config_read,
	.acceptable = virtio_net_acceptable,
	.begin = virtio_net_begin,
	.end = virtio_net_end,
	.process = virtio_net_process,
	.drain = virtio_net_drain,
	.settle = virtio_net_drain,
	.revoke = virtio_net_revoke,
	.save = virtio_net_control_save,
	.restore = virtio_net_control_restore,
	.destroy = virtio_net_destroy,
};

static uint64_t device_features(const struct virtio_net *device)
{
	const struct link *link = device->link;
	uint64_t features = OWN_FEATURES | (link->features & LINK_FEATURES);

	if (link->mtu >= MTU_MIN)
		features |= FEATURE(VIRTIO_NET_F_MTU);
	if (device->pair_count > 1)
		features |= FEATURE(VIRTIO_NET_F_MQ);
	return consistent(features);
}

/* Those of the threads of all pairs. */
static void pair_loops(struct virtio_net *device, struct event_loop *main,
		       struct event_loop *loops[LINK_PAIRS_MAX])
{
	for (unsigned int i = 0; i < device->pair_count; i++)
		loops[i] = device->pairs ? &device->pairs[i].worker.loop : main;
}

static int init_virtio(struct virtio_net *device, const struct memory *memory,
		       struct event_loop *main, struct event_loop *const *of_pairs)
{
	struct event_loop *loops[2 * LINK_PAIRS_MAX + 1];
	struct vhost *vhost = device->link->vhost;
	int err;

	for (unsigned int i = 0; i < 2 * device->pair_count; i++)
		loops[i] = of_pairs[i / 2];
	loops[2 * device->pair_count] = main;
	err = virtio_init(&device->virtio, &virtio_net_ops, memory, loops, device_features(device),
			  2 * device->pair_count + 1, QUEUE_SIZE);
	if (err < 0 || !vhost)
		return err;
	device->virtio.offered &= vhost->features | ~RING_FEATURES;
	if (!(device->virtio.offered & FEATURE(VIRTIO_F_VERSION_1))) {
		log_error("virtio-net: %s does not know virtio 1", vhost->ops->name);
		err = -EPROTO;
		goto fini;
	}
	err = virtio_vhost_create(&device->handed, &device->virtio, vhost, main);
	if (err == 0)
		return 0;
fini:
	virtio_fini(&device->virtio);
	return err;
}

static int attach(struct virtio_net *device, struct event_loop *main,
		  struct event_loop *const *loops)
{
	struct link *link = device->link;
	int err;

	link->device = device;
	link->arrived = virtio_net_frames_arrived;
	link->room = virtio_net_frames_room;
	link->changed = virtio_net_changed;
	memset(link->counts, 0, sizeof(link->counts));
	err = link->ops->attach(link, main, loops);
	if (err < 0)
		return err;
	err = start_workers(device);
	if (err < 0)
		link->ops->detach(link);
	return err;
}

unsigned int virtio_net_pairs(unsigned int cpus)
{
	return cpus < LINK_PAIRS_MAX ? cpus : LINK_PAIRS_MAX;
}

int virtio_net_create(struct virtio **created, const struct memory *memory, struct event_loop *loop,
		      const struct virtio_net_options *options)
{
	struct virtio_net *device = calloc(1, sizeof(*device));
	struct event_loop *loops[LINK_PAIRS_MAX];
	int err;

	if (!device) {
		log_error("virtio-net: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	device->link = options->link;
	device->pair_count =
		options->pairs < device->link->pairs ? options->pairs : device->link->pairs;
	virtio_net_control_reset(device);
	err = create_pairs(device);
	if (err < 0)
		goto free_device;
	pair_loops(device, loop, loops);
	err = init_virtio(device, memory, loop, loops);
	if (err < 0)
		goto destroy_pairs;
	err = attach(device, loop, loops);
	if (err < 0)
		goto destroy_virtio;
	*created = &device->virtio;
	return 0;

destroy_virtio:
	destroy_virtio(device);
destroy_pairs:
	destroy_pairs(device, worker_count(device));
free_device:
	free(device);
	return err;
}
