/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The interface of a tap: where it comes from, what it can, and whether it is up.
 */
#ifndef TAP_INTERFACE_H
#define TAP_INTERFACE_H

#include <net/if.h>

#include "backends/tap.h"
#include "children/porter.h"

struct tap_interface {
	char name[IFNAMSIZ];
	int queues[LINK_PAIRS_MAX]; /* non-blocking */
	unsigned int pairs;
	short flags; /* that its queues were opened with */
	const char *downscript; /* or NULL */
	struct porter_service service; /* runs that */
	int control; /* a socket, to ask by */
	unsigned int offloads; /* TUN_F_* that the kernel knows */
};

/* Errors: -errno, said. downscript has to last. */
int tap_interface_open(struct tap_interface *interface, const struct tap_options *options);
void tap_interface_close(struct tap_interface *interface);

/* Errors: -errno, not said; 0: not known. */
int tap_interface_mtu(const struct tap_interface *interface);

/*
 * Whether it is there and up; *gone: it is not there any more, or its queues belong to none.
 * tap_interface_return() connects the queues to a new one of its name, if there is one.
 */
bool tap_interface_is_up(struct tap_interface *interface, bool *gone);
bool tap_interface_return(struct tap_interface *interface);

#endif
