// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. One open file of /dev/vhost-vsock has both rings of a guest, which run
 * together: from VHOST_VSOCK_SET_RUNNING with 1, once both are known, to that with 0, which waits
 * for what is in flight. The guest's context identifier is its own from the opening on, through all
 * of its lives.
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/vhost.h>
#include <linux/virtio_vsock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/log.h"
#include "util.h"
#include "vhost_kernel.h"

#define PATH  "/dev/vhost-vsock"
#define RINGS 2

/* Since Linux 5.14; the UAPI header of older ones has it not. */
#ifndef VIRTIO_VSOCK_F_SEQPACKET
#define VIRTIO_VSOCK_F_SEQPACKET 1
#endif

struct vhost_vsock {
	struct vhost_kind kind;
	int fd;
	unsigned int started; /* rings */
	bool running;
};

/* #syscalls loop served: ioctl(VHOST_VSOCK_SET_RUNNING) */
static struct vhost_vsock *vsock_of(struct vhost *vhost)
{
	return container_of(vhost, struct vhost_vsock, kind.vhost);
}

/* After a call that failed the kernel is to touch nothing any more. */
static int close_file(struct vhost_vsock *vsock, int err)
{
	if (vsock->fd >= 0)
		close(vsock->fd);
	vsock->fd = -1;
	return err;
}

static int vsock_begin(struct vhost *vhost, uint64_t features, const struct memory *memory)
{
	struct vhost_vsock *vsock = vsock_of(vhost);
	int err = atomic_load(&vhost->lost) ? -ENODEV : 0;

	if (err == 0)
		err = vhost_kernel_begin(&vsock->kind, vsock->fd, features, memory);
	return err < 0 ? close_file(vsock, err) : 0;
}

static int set_running(struct vhost_vsock *vsock, int running)
{
	int err = 0;

	if (vsock->running != running)
		err = VHOST_KERNEL_CALL(&vsock->kind, vsock->fd, VHOST_VSOCK_SET_RUNNING, &running);
	vsock->running = running;
	return err;
}

static int vsock_start(struct vhost *vhost, unsigned int index, const struct vhost_ring *ring)
{
	struct vhost_vsock *vsock = vsock_of(vhost);
	int err = atomic_load(&vhost->lost) ? -ENODEV : 0;

	if (err == 0)
		err = vhost_kernel_start(&vsock->kind, vsock->fd, index, ring);
	if (err == 0 && vsock->started + 1 == RINGS)
		err = set_running(vsock, 1);
	if (err < 0)
		return close_file(vsock, err);
	vsock->started++;
	return 0;
}

static int vsock_stop(struct vhost *vhost, unsigned int index, uint16_t *base)
{
	struct vhost_vsock *vsock = vsock_of(vhost);
	int err = atomic_load(&vhost->lost) ? -ENODEV : 0;

	*base = 0;
	vsock->started--;
	if (err == 0)
		err = set_running(vsock, 0);
	if (err == 0)
		err = vhost_kernel_stop(&vsock->kind, vsock->fd, index, base);
	return err < 0 ? close_file(vsock, err) : 0;
}

static int vsock_attach(struct vhost *vhost, struct event_loop *loop)
{
	return vhost_attach(&vsock_of(vhost)->kind, loop);
}

static void vsock_detach(struct vhost *vhost)
{
	vhost_detach(&vsock_of(vhost)->kind);
}

static void vsock_close(struct vhost *vhost)
{
	close_file(vsock_of(vhost), 0);
	free(vsock_of(vhost));
}

static const struct vhost_ops vsock_ops = {
	.name = "vhost-vsock",
	.begin = vsock_begin,
	.start = vsock_start,
	.stop = vsock_stop,
	.attach = vsock_attach,
	.detach = vsock_detach,
	.close = vsock_close,
};

static int take_cid(int fd, uint32_t cid)
{
	uint64_t wanted = cid;
	int err;

	if (ioctl(fd, VHOST_VSOCK_SET_GUEST_CID, &wanted) >= 0)
		return 0;
	err = -errno;
	if (err == -EADDRINUSE)
		log_error("--vsock %" PRIu32 ": another guest has this context identifier", cid);
	else
		log_error("--vsock %" PRIu32 ": %s", cid, log_reason(-err));
	return err == -EADDRINUSE ? -EINVAL : err;
}

int vhost_vsock_open(struct vhost **opened, uint32_t cid)
{
	struct vhost_vsock *vsock = calloc(1, sizeof(*vsock));
	uint64_t features = 0;
	int err;

	if (!vsock) {
		log_error(PATH ": %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	vsock->fd = err = vhost_kernel_open(PATH, &features);
	if (vhost_kernel_is_absent(err))
		log_error(PATH ": %s; it is of the kernel's module vhost_vsock", strerror(-err));
	if (err >= 0)
		err = take_cid(vsock->fd, cid);
	if (err < 0) {
		vsock_close(&vsock->kind.vhost);
		return err;
	}
	vsock->kind.name = vsock_ops.name;
	vsock->kind.vhost.ops = &vsock_ops;
	vsock->kind.vhost.features = vhost_offer(features, UINT64_C(1) << VIRTIO_VSOCK_F_SEQPACKET);
	vsock->kind.vhost.rings = RINGS;
	*opened = &vsock->kind.vhost;
	return 0;
}
