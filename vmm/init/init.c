// SPDX-License-Identifier: GPL-2.0-only
#include "init/init.h"

#include <errno.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <unistd.h>

#include "host/log.h"
#include "util.h"

/* /dev/console, which the kernel opens for init as its input and output. */
#define CONSOLE_MAJOR 5
#define CONSOLE_MINOR 1

static int add_all(struct archive *archive)
{
	static const char *const directories[] = { "/dev", "/proc", "/sys", "/tmp" };
	int err = archive_add_file(archive, "/init", "/proc/self/exe");

	for (size_t i = 0; i < ARRAY_SIZE(directories) && err == 0; i++)
		err = archive_add_directory(archive, directories[i]);
	if (err == 0)
		err = archive_add_device(archive, "/dev/console", CONSOLE_MAJOR, CONSOLE_MINOR);
	return err;
}

int init_pack(struct archive **archive)
{
	int err;

	*archive = archive_create();
	if (!*archive) {
		log_error("initramfs: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = add_all(*archive);
	if (err < 0) {
		archive_destroy(*archive);
		*archive = NULL;
	}
	return err;
}

void init_mount(void)
{
	static const struct {
		const char *type, *where;
	} mounts[] = {
		{ "proc", "/proc" },
		{ "sysfs", "/sys" },
		{ "devtmpfs", "/dev" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++)
		/* Linux may have mounted devtmpfs by itself. */
		if (mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, NULL) < 0 &&
		    errno != EBUSY)
			log_error("mounting %s on %s: %s", mounts[i].type, mounts[i].where,
				  strerror(errno));
}

/* #syscalls loop: reboot(LINUX_REBOOT_CMD_POWER_OFF) */
void init_end(void)
{
	reboot(RB_POWER_OFF);
}
