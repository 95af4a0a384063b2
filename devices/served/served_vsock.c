// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "served_parts.h"

/* In the main thread; there is none to come in place of the kernel. */
static void vsock_ended(void *owner)
{
	struct served *served = owner;

	if (atomic_exchange(&served->state, SERVED_GONE) == SERVED_UP)
		served->changed(served->device);
}

static int vsock_attach(struct served *served, struct event_loop *main)
{
	return served->vhost->ops->attach(served->vhost, main);
}

static void vsock_detach(struct served *served)
{
	served->vhost->ops->detach(served->vhost);
}

static void vsock_close(struct served *served)
{
	served->vhost->ops->close(served->vhost);
	free(served);
}

static const struct served_ops vsock_ops = {
	.attach = vsock_attach,
	.detach = vsock_detach,
	.close = vsock_close,
};

int served_vsock_open(struct served **opened, uint32_t cid)
{
	const struct virtio_vsock_config config = { .guest_cid = cid };
	struct served *served = calloc(1, sizeof(*served));
	int err;

	if (!served) {
		log_error("--vsock: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = vhost_vsock_open(&served->vhost, cid);
	if (err < 0) {
		free(served);
		return err;
	}
	served->ops = &vsock_ops;
	served->kind = *served_kind_find(VIRTIO_ID_VSOCK);
	served->by = served->vhost->ops->name;
	served->vhost->ended = vsock_ended;
	served->vhost->owner = served;
	served->queues = served->vhost->rings + served->kind.idle;
	served->config_size = sizeof(config);
	memcpy(served->config, &config, sizeof(config));
	*opened = served;
	return 0;
}
