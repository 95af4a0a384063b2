/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What vhosts of the host's kernel have in common: devices of /dev whose open file has some rings
 * and a worker of its own. That is a thread of nidus as far as the host is concerned (since Linux
 * 6.4, and by default since then): it has nidus's limits and ends with it, so
 * VHOST_SET_FORK_FROM_OWNER is left alone.
 */
#ifndef NIDUS_VHOST_KERNEL_H
#define NIDUS_VHOST_KERNEL_H

#include "vhost_kind.h"

/*
 * A file of a vhost that is the caller's address space's, whose reading does not wait, and the
 * features that it has; or -errno, said but where there is no such device, or it may not be opened
 * (vhost_kernel_is_absent()).
 */
int vhost_kernel_open(const char *path, uint64_t *features);
bool vhost_kernel_is_absent(int err);

/*
 * An ioctl of a vhost that is in use: when it fails the vhost is lost, and -errno returned; the
 * files are the caller's to close then, for nothing is to go on.
 */
int vhost_kernel_call(struct vhost_kind *kind, int fd, unsigned long request, const char *name,
		      void *argument);

#define VHOST_KERNEL_CALL(kind, fd, request, argument) \
	vhost_kernel_call(kind, fd, request, #request, argument)

/* What begin(), start() and stop() have in common; index: the file's number of the ring. */
int vhost_kernel_begin(struct vhost_kind *kind, int fd, uint64_t features,
		       const struct memory *memory);
int vhost_kernel_start(struct vhost_kind *kind, int fd, unsigned int index,
		       const struct vhost_ring *ring);
/* Once the ring is at rest. The eventfds are let go of, or kicks would wake the worker still. */
int vhost_kernel_stop(struct vhost_kind *kind, int fd, unsigned int index, uint16_t *base);

#endif
