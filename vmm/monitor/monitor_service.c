// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a service manager wants: the process id in a file, and to be told when the guest runs and
 * when it ends (sd_notify(3), which is a datagram to the socket in NOTIFY_SOCKET).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/log.h"
#include "monitor_parts.h"
#include "util.h"

/* Service manager. */

static void tell(const struct monitor *monitor, const char *text)
{
	struct iovec line = { (char *)text, strlen(text) };
	const struct msghdr message = { .msg_iov = &line, .msg_iovlen = 1 };

	/* One that does not listen, or not fast enough, has itself to blame. */
	if (monitor->notify_fd >= 0)
		sendmsg(monitor->notify_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* The loop turns, so the vCPUs' threads have been started. */
static void has_begun(struct event_notifier *notifier)
{
	struct monitor *monitor = container_of(notifier, struct monitor, begun);

	if (verdict_outcome(&monitor->session->verdict) == OUTCOME_RUNNING)
		tell(monitor, "READY=1\n");
}

/* Errors: -errno, not said. */
static int connect_to(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const size_t length = strlen(name);
	int fd, err;

	if (length >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, name);
	/* What is abstract has a NUL in place of the at sign, and none at its end. */
	if (*name == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address,
		    offsetof(struct sockaddr_un, sun_path) + length) == 0)
		return fd;
	err = -errno;
	close(fd);
	return err;
}

static int open_manager(struct monitor *monitor)
{
	const char *name = getenv("NOTIFY_SOCKET");
	int err;

	monitor->notify_fd = -1;
	/* Other kinds of addresses are for machines. */
	if (!name || (*name != '/' && *name != '@'))
		return 0;
	monitor->notify_fd = connect_to(name);
	if (monitor->notify_fd < 0) {
		log_warning("NOTIFY_SOCKET %s: %s", name, log_reason(-monitor->notify_fd));
		return 0;
	}
	err = event_notifier_create(&monitor->begun, &monitor->session->loop, has_begun);
	if (err < 0)
		close(monitor->notify_fd);
	return err;
}

static void close_manager(struct monitor *monitor)
{
	if (monitor->notify_fd < 0)
		return;
	event_notifier_destroy(&monitor->begun);
	close(monitor->notify_fd);
}

void monitor_service_begins(struct monitor *monitor)
{
	if (monitor->notify_fd >= 0 && monitor->session->resets == 0)
		event_notify(&monitor->begun);
}

void monitor_service_ends(struct monitor *monitor)
{
	tell(monitor, "STOPPING=1\n");
}

/* Process id. */

/* 0: there is none, or it is special. */
static ino_t inode_of(const struct file_place *place)
{
	struct stat st;

	if (place->special >= 0 ||
	    fstatat(place->directory, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return st.st_ino;
}

static int write_pid(struct monitor *monitor, const char *path)
{
	char text[16];
	int err = file_find(&monitor->pidfile, path);

	if (err < 0) {
		monitor->pidfile.path = NULL;
		return err;
	}
	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	err = file_write(&monitor->pidfile, text, strlen(text));
	if (err < 0) {
		file_release(&monitor->pidfile);
		monitor->pidfile.path = NULL;
	}
	monitor->pidfile_inode = err < 0 ? 0 : inode_of(&monitor->pidfile);
	return err;
}

void monitor_service_remove(const struct monitor *monitor)
{
	const struct file_place *place = &monitor->pidfile;

	/* Not another's, who has replaced it. */
	if (place->path && monitor->pidfile_inode && inode_of(place) == monitor->pidfile_inode)
		unlinkat(place->directory, place->name, 0);
}

int monitor_service_open(struct monitor *monitor)
{
	const char *path = monitor->session->config->pidfile;
	int err = path ? write_pid(monitor, path) : 0;

	if (err < 0)
		return err;
	err = open_manager(monitor);
	if (err < 0) {
		monitor_service_remove(monitor);
		if (path)
			file_release(&monitor->pidfile);
	}
	return err;
}

void monitor_service_close(struct monitor *monitor)
{
	close_manager(monitor);
	if (monitor->pidfile.path)
		file_release(&monitor->pidfile);
}
