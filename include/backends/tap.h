/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A network device's link to a tap: an interface of the host whose frames are read and written
 * here, or by the kernel's vhost-net on its own.
 */
#ifndef NIDUS_TAP_H
#define NIDUS_TAP_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "link.h"

struct tap_options {
	/*
	 * Of an interface, which is made where there is none of that name. NULL: one is made, with
	 * a name of the kernel's choice, or fd is one. What is made here is gone with the link.
	 */
	const char *name;
	int fd; /* of a tap that is open already, which is duplicated and made non-blocking; or -1
		 */
	/*
	 * Programs that are run with the interface's name, when it is there and before it goes;
	 * NULL for none. For an interface of any origin but fd.
	 */
	const char *script, *downscript;
	struct porter *porter; /* that runs the latter, or NULL */
	/* For an interface that is made here, which is then set up. */
	bool has_host_mac;
	uint8_t host_mac[LINK_ADDRESS]; /* of the interface */
	const char *bridge; /* that it becomes a port of, or NULL */
	struct in_addr host_ip; /* with LINK_PREFIX, where there is no script; 0: none */

	unsigned int pairs; /* as many, or as few as the interface has: 1 to LINK_PAIRS_MAX */
	enum link_vhost vhost;
	uint8_t guest_mac[LINK_ADDRESS];
};

/* Errors: -errno, said; -EINVAL, -ENOENT, -EBUSY, -EPERM: of what the options name. */
int tap_open(struct link **opened, const struct tap_options *options);

#endif
