// SPDX-License-Identifier: GPL-2.0-only
/*
 * namespaces(7). There is none of processes: threads cannot be in another one than their process,
 * so that it would take a second process for each guest. With an empty root there is no /proc
 * either, and a filter that forbids to signal others.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parts.h"

/* Where the empty root is for a moment: a directory that every Linux has. */
#define MOUNT_POINT "/proc"

static int write_file(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CLOEXEC);
	const ssize_t length = strlen(text);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, length) != length)
		err = -errno;
	close(fd);
	return err;
}

/* The user and the group stay what they are, and are the only ones there. */
static int map_ids(uid_t user, gid_t group)
{
	char text[64];
	int err = write_file("/proc/self/setgroups", "deny");

	snprintf(text, sizeof(text), "%u %u 1", user, user);
	if (err == 0)
		err = write_file("/proc/self/uid_map", text);
	snprintf(text, sizeof(text), "%u %u 1", group, group);
	if (err == 0)
		err = write_file("/proc/self/gid_map", text);
	return err;
}

static int empty_root(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", MOUNT_POINT, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=4k,nr_inodes=2,mode=0555") < 0 ||
	    chdir(MOUNT_POINT) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0 || chdir("/") < 0 ||
	    mount(NULL, "/", NULL,
		  MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return -errno;
	return 0;
}

int namespaces_enter(unsigned int *made)
{
	const unsigned int wanted = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET;
	const uid_t user = geteuid();
	const gid_t group = getegid();
	int err = 0;

	*made = wanted;
	/* By itself where the caller may; else in a namespace of users, where he may all this. */
	if (unshare(wanted) < 0) {
		*made = wanted | CLONE_NEWUSER;
		if (unshare(*made) < 0)
			return -errno;
		err = map_ids(user, group);
	}
	return err < 0 ? err : empty_root();
}
