// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation: the file systems are mounted in the initramfs, whose directories stay where
 * they are: ROOT_SHARED is what the host has, WRITES a tmpfs, MERGED the one over the other. Then
 * MERGED is moved to / and becomes the root. What is in /dev, /proc and the like is mounted after
 * that, so that symbolic links in the directory lead to where they do on the host.
 */
#include "root/root_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/module.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "config/config.h"
#include "host/log.h"
#include "init/init.h"
#include "util.h"

#define WRITES "/nidus/writes"
#define MERGED "/nidus/merged"

#define MODULE ROOT_SHARED "/lib/modules/%s/kernel/fs/overlayfs/overlay.ko%s"

static int complain(const char *what)
{
	const int err = -errno;

	log_error("root: %s: %s", what, strerror(-err));
	return err;
}

static int make_places(void)
{
	static const char *const places[] = { "/nidus", ROOT_SHARED, WRITES, MERGED };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (mkdir(places[i], 0755) < 0 && errno != EEXIST)
			return complain(places[i]);
	return 0;
}

int root_mount(void)
{
	const int err = make_places();

	if (err < 0)
		return err;
	if (mount(CONFIG_ROOT_TAG, ROOT_SHARED, "virtiofs", MS_RDONLY, NULL) == 0)
		return 0;
	if (errno == ENODEV) {
		log_error("root: this kernel has no virtiofs: it takes CONFIG_VIRTIO_FS=y and "
			  "CONFIG_FUSE_FS=y");
		return -ENODEV;
	}
	if (errno == EINVAL) {
		log_error("root: this kernel finds no file system " CONFIG_ROOT_TAG
			  ": it takes CONFIG_VIRTIO_PCI=y and CONFIG_PCI_HOST_GENERIC=y, or "
			  "CONFIG_VIRTIO_MMIO=y where virtio is to go by that");
		return -EINVAL;
	}
	return complain("virtiofs " CONFIG_ROOT_TAG);
}

/* A module of the directory's own. -ENOENT: it has none for this kernel. */
static int load_overlay(const char *release)
{
	static const char *const endings[] = { "", ".xz", ".zst", ".gz" };
	int err = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(endings) && err == -ENOENT; i++) {
		const int flags = *endings[i] ? MODULE_INIT_COMPRESSED_FILE : 0;
		char path[256];
		int fd;

		snprintf(path, sizeof(path), MODULE, release, endings[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		err = syscall(SYS_finit_module, fd, "", flags) < 0 ? complain(path) : 0;
		close(fd);
	}
	return err;
}

static int mount_overlay(const char *layers)
{
	struct utsname name;
	int err;

	if (mount("overlay", MERGED, "overlay", 0, layers) == 0)
		return 0;
	if (errno != ENODEV)
		return complain("overlay");
	uname(&name);
	err = load_overlay(name.release);
	if (err == 0)
		return mount("overlay", MERGED, "overlay", 0, layers) < 0 ? complain("overlay") : 0;
	if (err == -ENOENT)
		log_error("root: this kernel has no overlay: it takes CONFIG_OVERLAY_FS, built in "
			  "or as a module in lib/modules/%s of the directory",
			  name.release);
	return err;
}

static int mount_over(const char *over)
{
	char layers[256];

	if (mount("tmpfs", WRITES, "tmpfs", 0, "mode=0755") < 0)
		return complain("tmpfs");
	if (mkdir(WRITES "/upper", 0755) < 0 || mkdir(WRITES "/work", 0755) < 0)
		return complain(WRITES);
	snprintf(layers, sizeof(layers),
		 "lowerdir=%s%s" ROOT_SHARED ",upperdir=" WRITES "/upper,workdir=" WRITES "/work",
		 over ? over : "", over ? ":" : "");
	return mount_overlay(layers);
}

/* What a machine has of its own, in its root. */
static void furnish(void)
{
	static const char *const places[] = { "/dev", "/proc", "/sys", "/run", "/tmp" };

	/* Those that are there stay as they are; of those that cannot be, mounting tells. */
	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		mkdir(places[i], 0755);
	init_mount();
	if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") < 0)
		complain("/run");
	if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") < 0)
		complain("/tmp");
}

int root_enter(const char *over)
{
	int err = root_mount();

	if (err == 0)
		err = mount_over(over);
	if (err < 0)
		return err;
	if (chdir(MERGED) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return complain(MERGED);
	furnish();
	return 0;
}
