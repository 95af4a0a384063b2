/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_VHOST_USER_H
#define NIDUS_VHOST_USER_H

#include "vhost.h"

/* vhost_user_open() with another bound for how long the other side may take for one call. */
int vhost_user_open_within(struct vhost **opened, int socket,
			   const struct vhost_user_wishes *wishes, unsigned int milliseconds);

#endif
