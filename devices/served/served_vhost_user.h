/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device that another process serves by vhost-user: how it begins, what it says of the device,
 * and what happens when it ends.
 */
#ifndef NIDUS_SERVED_VHOST_USER_H
#define NIDUS_SERVED_VHOST_USER_H

#include "children/porter.h"
#include "children/retry.h"
#include "host/log.h"
#include "served_parts.h"

struct served_vhost_user {
	struct served served;

	/* Set by who makes one. */
	struct porter *porter; /* NULL: there is none */
	struct porter_service service; /* what connect() asks for; serve() set */
	struct vhost_user_wishes wishes; /* of which served_vhost_user_wish() sets what follows */
	const char *tag; /* of a file system; NULL: it says so itself */
	unsigned int patience; /* seconds that its end is waited out, 0: it is the end for good */
	/* A socket by which it is reached. Errors: -errno; said if loud. The main thread. */
	int (*connect)(struct served_vhost_user *user, bool loud);
	/* Whoever was connected has ended: says so, with the limit said. The main thread. */
	void (*ended)(struct served_vhost_user *user);
	/*
	 * Of attach(), detach() and close(), what is beside the connection; NULL: nothing. close()
	 * may come twice: when it is given up, and in the end.
	 */
	int (*attach)(struct served_vhost_user *user);
	void (*detach)(struct served_vhost_user *user);
	void (*close)(struct served_vhost_user *user);

	struct event_loop *main; /* NULL: it is lent to no device */
	/*
	 * Of requests that it leaves behind nobody could tell the next one which are done: there is
	 * a next one only once they do not matter.
	 */
	bool unaccounted;
	struct event_timer timer; /* to try again */
	uint64_t since; /* it is tried to have it again; ns, 0: not yet */
	struct retry retry;
	struct log_limit said; /* of its ends, which a guest may be able to bring about */
};

/* What devices of this number want. queues: of the device, 0: as many as there are. */
void served_vhost_user_wish(struct served_vhost_user *user, uint32_t device_id, unsigned int queues,
			    uint32_t config_size);

/*
 * The first connection. After an error, -errno and said, there is none, and all else is the
 * caller's to undo. Once it was opened the struct is freed by ops->close(), behind close().
 */
int served_vhost_user_open(struct served_vhost_user *user);

#endif
