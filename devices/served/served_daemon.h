/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program that serves a device and that nidus starts: it is given a socket to listen at as
 * descriptor 3, where nidus alone is connected, is started again when it ends, and is ended with
 * the guest.
 */
#ifndef NIDUS_SERVED_DAEMON_H
#define NIDUS_SERVED_DAEMON_H

#include <limits.h>

#include "children/child.h"
#include "served_vhost_user.h"

#define SERVED_DAEMON_WORDS 32

struct served_daemon {
	struct served_vhost_user user;
	struct child child;
	/* Set by who makes one, porter of user as well. */
	const char *program, *package;
	const char *words[SERVED_DAEMON_WORDS]; /* arguments, with NULL at the end */
	unsigned int word_count;
	char path[PATH_MAX]; /* room for that of the program */
	char name[96]; /* for messages: "virtiofsd, home" */
	char text[4][4400]; /* words that are made up */
	unsigned int text_count;
};

/* One more word; text outlives the daemon. */
void served_daemon_word(struct served_daemon *daemon, const char *text);
/* The same of a text that is made up, and kept. There is room for four. */
void served_daemon_words(struct served_daemon *daemon, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Starts it, once all is set. daemon: allocated, and zeroed before; taken over, also on an error,
 * which is -errno and said.
 */
int served_daemon_open(struct served **opened, struct served_daemon *daemon);

#endif
