/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Network interfaces of the machine that nidus runs on, by ioctl(2) (netdevice(7)). Errors: -errno,
 * said. Any thread, but nobody else changes the interface meanwhile.
 */
#ifndef NIDUS_NETIF_H
#define NIDUS_NETIF_H

#include <netinet/in.h>

int netif_up(const char *name);

/* IPv4, in the network of all addresses that begin with the same prefix bits, 1 to 32. */
int netif_set_address(const char *name, struct in_addr address, unsigned int prefix);

/* Whatever is on no network of an interface's own goes by gateway. */
int netif_set_gateway(struct in_addr gateway);

/* Makes a bridge, without ports, or finds that there is one of that name. */
int netif_make_bridge(const char *name);
int netif_join_bridge(const char *bridge, const char *name);

#endif
