// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The one queue carries empty buffers, each of which is filled with random
 * bytes by getrandom(2) and given back. There are no registers, no features and nothing to wait
 * for: getrandom(2) blocks only until the host's own pool is seeded, which Linux sees to within a
 * second of its start.
 */
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "host/iov.h"
#include "host/log.h"
#include "util.h"
#include "virtio/virtio_rng.h"

/* Linux has one buffer in flight. */
#define QUEUE_SIZE 8

/*
 * A buffer may get less than it has room for (virtio 1.3, 5.4.6.2). This bounds the time that one
 * request takes, whatever length the driver claims for it.
 */
#define REQUEST_MAX KIB(64)

struct virtio_rng {
	struct virtio virtio;
};

/* Fills length bytes; fewer only if the host has no random bytes to give. */
/* #syscalls loop: getrandom */
static uint32_t fill(uint8_t *bytes, uint32_t length)
{
	uint32_t done = 0;

	while (done < length) {
		ssize_t got = getrandom(bytes + done, length - done, 0);

		if (got > 0)
			done += got;
		else if (errno != EINTR)
			break;
	}
	return done;
}

/* One request: as much of its buffers as REQUEST_MAX allows. */
static bool virtio_rng_handle(struct virtio_queue *queue, struct virtqueue_chain *chain)
{
	struct iovec wanted[VIRTQUEUE_SEGMENTS_MAX];
	const unsigned int count =
		iov_slice(wanted, ARRAY_SIZE(wanted), chain->in, chain->in_count, 0, REQUEST_MAX);
	uint32_t done = 0;

	for (unsigned int i = 0; i < count; i++) {
		const uint32_t filled = fill(wanted[i].iov_base, wanted[i].iov_len);

		done += filled;
		/* The rest stays as it is: what was written has no gap. */
		if (filled < wanted[i].iov_len)
			break;
	}
	virtqueue_push(&queue->ring, chain->head, done);
	return true;
}

static void virtio_rng_process(struct virtio_queue *queue)
{
	virtio_serve(queue, virtio_rng_handle);
	virtio_publish(queue);
}

static void virtio_rng_destroy(struct virtio *virtio)
{
	virtio_fini(virtio);
	free(container_of(virtio, struct virtio_rng, virtio));
}

static const struct virtio_ops virtio_rng_ops = {
	.name = "virtio-rng",
	.device_id = VIRTIO_ID_RNG,
	.process = virtio_rng_process,
	.destroy = virtio_rng_destroy,
};

int virtio_rng_create(struct virtio **created, const struct memory *memory, struct event_loop *loop)
{
	struct virtio_rng *device = calloc(1, sizeof(*device));
	int err;

	if (!device) {
		log_error("virtio-rng: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = virtio_init(&device->virtio, &virtio_rng_ops, memory, &loop, 0, 1, QUEUE_SIZE);
	if (err < 0) {
		free(device);
		return err;
	}
	*created = &device->virtio;
	return 0;
}
