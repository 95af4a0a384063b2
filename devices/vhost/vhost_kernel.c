// SPDX-License-Identifier: GPL-2.0-only
#include "vhost_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/log.h"
#include "mm/memory.h"

bool vhost_kernel_is_absent(int err)
{
	return err == -ENOENT || err == -ENODEV || err == -ENXIO || err == -EACCES || err == -EPERM;
}

int vhost_kernel_open(const char *path, uint64_t *features)
{
	const int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	int err;

	if (fd >= 0 && ioctl(fd, VHOST_SET_OWNER) >= 0 &&
	    ioctl(fd, VHOST_GET_FEATURES, features) >= 0)
		return fd;
	err = -errno;
	if (fd >= 0 || !vhost_kernel_is_absent(err))
		log_error("%s: %s", path, log_reason(-err));
	if (fd >= 0)
		close(fd);
	return err;
}

/*
 * #syscalls loop served: ioctl(VHOST_SET_FEATURES) ioctl(VHOST_SET_MEM_TABLE)
 *	ioctl(VHOST_SET_VRING_NUM) ioctl(VHOST_SET_VRING_ADDR) ioctl(VHOST_SET_VRING_BASE)
 * #syscalls loop served worker: ioctl(VHOST_GET_VRING_BASE) ioctl(VHOST_SET_VRING_KICK)
 *	ioctl(VHOST_SET_VRING_CALL)
 */
int vhost_kernel_call(struct vhost_kind *kind, int fd, unsigned long request, const char *name,
		      void *argument)
{
	if (ioctl(fd, request, argument) >= 0)
		return 0;
	return vhost_lose(kind, -errno, "%s: %s", name, log_reason(errno));
}

int vhost_kernel_begin(struct vhost_kind *kind, int fd, uint64_t features,
		       const struct memory *memory)
{
	struct vhost_table table = vhost_table(memory);
	int err = VHOST_KERNEL_CALL(kind, fd, VHOST_SET_FEATURES, &features);

	return err < 0 ? err : VHOST_KERNEL_CALL(kind, fd, VHOST_SET_MEM_TABLE, &table);
}

int vhost_kernel_start(struct vhost_kind *kind, int fd, unsigned int index,
		       const struct vhost_ring *ring)
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
	union vhost_setting settings[VHOST_SETTINGS];
	int err = 0;

	vhost_settings(settings, index, ring);
	for (unsigned int i = 0; i < VHOST_SETTINGS && err == 0; i++)
		err = vhost_kernel_call(kind, fd, requests[i].request, requests[i].name,
					&settings[i]);
	return err;
}

int vhost_kernel_stop(struct vhost_kind *kind, int fd, unsigned int index, uint16_t *base)
{
	struct vhost_vring_state state = { .index = index };
	struct vhost_vring_file none = { index, VHOST_FILE_UNBIND };
	int err = VHOST_KERNEL_CALL(kind, fd, VHOST_SET_VRING_KICK, &none);

	if (err == 0)
		err = VHOST_KERNEL_CALL(kind, fd, VHOST_SET_VRING_CALL, &none);
	if (err == 0)
		err = VHOST_KERNEL_CALL(kind, fd, VHOST_GET_VRING_BASE, &state);
	*base = state.num;
	return err;
}
