// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. The socket gets a path for a moment only, in a directory that nobody else
 * may enter, and nidus connects to it before the program runs: nothing is left behind, and nobody
 * else can come first. The program accepts the connection when it is ready.
 *
 * Its end is noticed by the end of its connection, and its process is taken note of then: a program
 * that hangs up is ended, whatever else it does.
 */
#include "served_daemon.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/log.h"
#include "util.h"

#define START_MS    20000 /* that it has to answer for the first time */
#define FAREWELL_MS 200 /* that its process has to end once the connection has */
#define PATIENCE    60 /* seconds that are tried to start it again */

static struct served_daemon *daemon_of(struct served_vhost_user *user)
{
	return container_of(user, struct served_daemon, user);
}

void served_daemon_word(struct served_daemon *daemon, const char *text)
{
	/* Room for all there is, and the end. */
	if (daemon->word_count < SERVED_DAEMON_WORDS - 1)
		daemon->words[daemon->word_count++] = text;
}

void served_daemon_words(struct served_daemon *daemon, const char *format, ...)
{
	char *const text = daemon->text[daemon->text_count];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(daemon->text[0]), format, args);
	va_end(args);
	daemon->text_count++;
	served_daemon_word(daemon, text);
}

/* The socket. */

/* Binds listener to a path, connects to it, and takes the path away. -errno. */
static int meet(int listener, int connected, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int err = 0;

	strcpy(address.sun_path, path);
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	if (listen(listener, 1) < 0 ||
	    connect(connected, (struct sockaddr *)&address, sizeof(address)) < 0)
		err = -errno;
	unlink(path);
	return err;
}

/* meet() in a directory of its own. */
static int meet_in_private(int listener, int connected)
{
	const char *const tmp = getenv("TMPDIR");
	char directory[sizeof(((struct sockaddr_un *)0)->sun_path)], path[sizeof(directory) + 2];
	int err;

	if (snprintf(directory, sizeof(directory) - 2, "%s/nidus-XXXXXX", tmp ? tmp : "/tmp") >=
	    (int)sizeof(directory) - 2)
		return -ENAMETOOLONG;
	if (!mkdtemp(directory))
		return -errno;
	snprintf(path, sizeof(path), "%s/s", directory);
	err = meet(listener, connected, path);
	rmdir(directory);
	return err;
}

/* ends: one that listens, and one that is connected to it. */
static int make_sockets(int ends[2])
{
	int err;

	ends[0] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ends[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	err = ends[0] < 0 || ends[1] < 0 ? -errno : meet_in_private(ends[0], ends[1]);
	if (err == 0)
		return 0;
	for (unsigned int i = 0; i < 2; i++)
		if (ends[i] >= 0)
			close(ends[i]);
	return err;
}

/* The program. */

static int start(const struct served_daemon *daemon, struct child *child, int listener)
{
	const struct child_command command = {
		.program = daemon->program,
		.package = daemon->package,
		.arguments = daemon->words,
		.descriptors = &listener,
		.descriptor_count = 1,
	};

	return child_start(child, &command);
}

/* Here or in a porter, which knows nothing of those that were started meanwhile. */
static int daemon_serve(struct porter_service *service, const void *request, size_t size,
			struct porter_reply *reply)
{
	const struct served_daemon *daemon =
		daemon_of(container_of(service, struct served_vhost_user, service));
	struct child child = { .name = daemon->name, .for_parent = reply->outside };
	int ends[2], err = make_sockets(ends);

	(void)request;
	(void)size;
	if (err < 0) {
		log_error("%s: a socket in %s: %s", daemon->name,
			  getenv("TMPDIR") ? "TMPDIR" : "/tmp", log_reason(-err));
		return err;
	}
	err = start(daemon, &child, ends[0]);
	close(ends[0]);
	if (err == 0)
		child_hand_over(&child, ends[1], reply);
	else
		close(ends[1]);
	return err;
}

static int daemon_connect(struct served_vhost_user *user, bool loud)
{
	struct served_daemon *daemon = daemon_of(user);
	struct porter_reply reply;
	int err;

	(void)loud; /* nothing of this is usual */
	/* That of a start that has failed. */
	child_end(&daemon->child, false);
	err = porter_ask(&user->service, NULL, 0, &reply);
	if (err < 0)
		return err;
	child_adopt(&daemon->child, &reply);
	if (user->main)
		err = child_watch(&daemon->child, user->main);
	if (err == 0)
		return reply.fds[PORTER_CHILD_SOCKET];
	child_end(&daemon->child, false);
	close(reply.fds[PORTER_CHILD_SOCKET]);
	return err;
}

/* Its process is over, or is to be. */
static void say_end(struct served_daemon *daemon)
{
	char how[CHILD_HOW];
	int status;

	if (daemon->child.pid == 0)
		return;
	if (child_wait(&daemon->child, FAREWELL_MS, &status)) {
		log_guest(&daemon->user.said, "%s %s", daemon->name, child_how(status, how));
		return;
	}
	log_guest(&daemon->user.said, "%s has closed its connection", daemon->name);
	child_end(&daemon->child, false);
}

static void daemon_ended(struct served_vhost_user *user)
{
	say_end(daemon_of(user));
}

/* In the main thread: before its connection, which is to follow. */
static void child_ended(struct child *child, int status)
{
	struct served_daemon *daemon = container_of(child, struct served_daemon, child);
	char how[CHILD_HOW];

	log_guest(&daemon->user.said, "%s %s", daemon->name, child_how(status, how));
}

static int daemon_attach(struct served_vhost_user *user)
{
	struct served_daemon *daemon = daemon_of(user);

	return daemon->child.pid ? child_watch(&daemon->child, user->main) : 0;
}

static void daemon_detach(struct served_vhost_user *user)
{
	child_unwatch(&daemon_of(user)->child);
}

/* With its connection closed it may have something to write still. */
static void daemon_close(struct served_vhost_user *user)
{
	child_end(&daemon_of(user)->child, true);
}

int served_daemon_open(struct served **opened, struct served_daemon *daemon)
{
	int err;

	daemon->child.name = daemon->name;
	daemon->child.ended = child_ended;
	daemon->user.wishes.name = daemon->name;
	if (daemon->user.wishes.start == 0)
		daemon->user.wishes.start = START_MS;
	daemon->user.patience = PATIENCE;
	daemon->user.connect = daemon_connect;
	daemon->user.ended = daemon_ended;
	daemon->user.attach = daemon_attach;
	daemon->user.detach = daemon_detach;
	daemon->user.close = daemon_close;
	daemon->user.service.serve = daemon_serve;
	err = served_vhost_user_open(&daemon->user);
	if (err < 0) {
		say_end(daemon);
		free(daemon);
	} else {
		*opened = &daemon->user.served;
	}
	return err;
}
