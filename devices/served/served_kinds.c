// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <linux/fuse.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stddef.h>
#include <string.h>

#include "host/iov.h"
#include "options/number.h"
#include "served_parts.h"
#include "util.h"

#define FEATURE(bit) (UINT64_C(1) << (bit))

#define DEVICE_ID_MAX 63 /* virtio 1.3, 5: none is larger, by far */

/* Newer than some UAPI headers. */
#define VSOCK_SEQPACKET	   FEATURE(1)
#define BLOCK_SECURE_ERASE FEATURE(16)

/* All of its configuration that these features give a meaning, and no more: some back ends know no
 * more. */
#define BLOCK_FEATURES                                                       \
	(FEATURE(VIRTIO_BLK_F_SIZE_MAX) | FEATURE(VIRTIO_BLK_F_SEG_MAX) |    \
	 FEATURE(VIRTIO_BLK_F_GEOMETRY) | FEATURE(VIRTIO_BLK_F_RO) |         \
	 FEATURE(VIRTIO_BLK_F_BLK_SIZE) | FEATURE(VIRTIO_BLK_F_FLUSH) |      \
	 FEATURE(VIRTIO_BLK_F_TOPOLOGY) | FEATURE(VIRTIO_BLK_F_CONFIG_WCE) | \
	 FEATURE(VIRTIO_BLK_F_MQ) | FEATURE(VIRTIO_BLK_F_DISCARD) |          \
	 FEATURE(VIRTIO_BLK_F_WRITE_ZEROES))
#define BLOCK_CONFIG_SIZE (offsetof(struct virtio_blk_config, write_zeroes_may_unmap) + 4)

/* A request of FUSE begins with a header, and so does its answer; some have none. */
static uint32_t fail_fs(const struct virtqueue_chain *chain)
{
	struct fuse_out_header answer = { .len = sizeof(answer), .error = -ENOTCONN };
	struct fuse_in_header request;

	if (iov_read(chain->out, chain->out_count, 0, &request, sizeof(request)) <
		    sizeof(request) ||
	    chain->in_bytes < sizeof(answer))
		return 0;
	answer.unique = request.unique;
	iov_write(chain->in, chain->in_count, 0, &answer, sizeof(answer));
	return sizeof(answer);
}

/* The last byte that the device writes is the status (virtio 1.3, 5.2.6). */
static uint32_t fail_block(const struct virtqueue_chain *chain)
{
	static const uint8_t status = VIRTIO_BLK_S_IOERR;

	if (chain->in_bytes == 0)
		return 0;
	iov_write(chain->in, chain->in_count, chain->in_bytes - 1, &status, sizeof(status));
	/* What lies before it was not written. */
	return chain->in_bytes == 1;
}

static const struct served_kind kinds[] = {
	/* A queue of high priority, and one of requests at least (virtio 1.3, 5.11). */
	{ .name = "fs",
	  .device_id = VIRTIO_ID_FS,
	  .config_size = SERVED_TAG_MAX + sizeof(uint32_t),
	  .queues = 2,
	  .forgets = true,
	  .fail = fail_fs },
	{ .name = "blk",
	  .device_id = VIRTIO_ID_BLOCK,
	  .features = BLOCK_FEATURES,
	  .config_size = BLOCK_CONFIG_SIZE,
	  .queues = 1,
	  .any_order = true,
	  .fail = fail_block },
	/* To receive, to transmit, and one of events, which come with migration only. */
	{ .name = "vsock",
	  .device_id = VIRTIO_ID_VSOCK,
	  .features = VSOCK_SEQPACKET,
	  .config_size = sizeof(uint64_t),
	  .queues = 3,
	  .idle = 1 },
};

const struct served_kind *served_kind_find(uint32_t device_id)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].device_id == device_id)
			return &kinds[i];
	return NULL;
}

/* Kinds that need no more than rings and configuration. */
static const struct {
	const char *name;
	uint32_t device_id;
} others[] = {
	{ "rng", VIRTIO_ID_RNG },   { "input", VIRTIO_ID_INPUT },     { "scmi", VIRTIO_ID_SCMI },
	{ "snd", VIRTIO_ID_SOUND }, { "i2c", VIRTIO_ID_I2C_ADAPTER }, { "can", VIRTIO_ID_CAN },
	{ "gpio", VIRTIO_ID_GPIO },
};

bool served_type_parse(const char *text, uint32_t *device_id)
{
	uint64_t number;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(text, kinds[i].name) == 0) {
			*device_id = kinds[i].device_id;
			return true;
		}
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (strcmp(text, others[i].name) == 0) {
			*device_id = others[i].device_id;
			return true;
		}
	if (number_parse(text, 1, DEVICE_ID_MAX, &number) < 0)
		return false;
	*device_id = number;
	return true;
}
