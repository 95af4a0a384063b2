/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A network device's link to passt(1), which is started here and ended with the link: a network for
 * a guest by the sockets of an ordinary user. Addresses come from its DHCP server.
 */
#ifndef NIDUS_PASST_H
#define NIDUS_PASST_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "link.h"

#define PASST_FORWARDS_MAX 24

/* A port of the host that leads to one of the guest. */
struct passt_forward {
	bool udp; /* or TCP */
	char spec[80]; /* as passt wants it */
};

/*
 * text: PROTOCOL:[ADDRESS:]HOST[:GUEST], a tcp or udp port of the host, of all its addresses or of
 * one (IPv6 in brackets), and that of the guest, which is the same one if it is left off. NULL, or
 * what is wrong with it, to stand behind the text.
 */
const char *passt_forward_parse(struct passt_forward *forward, const char *text);

struct passt_options {
	const char *program; /* NULL: passt */
	const struct passt_forward *forwards;
	unsigned int forward_count; /* PASST_FORWARDS_MAX at most */
	/*
	 * The guest's address, with a netmask of 24 bits, and that of its gateway, by which it
	 * reaches the host. 0: as the host has them.
	 */
	struct in_addr guest_ip, host_ip;
	enum link_vhost vhost; /* by vhost-user; passt has it since 2024-11-27 */
	uint8_t guest_mac[LINK_ADDRESS];
	struct porter *porter; /* that starts it again, or NULL */
};

/*
 * Returns when passt is ready. Errors: -errno, said; -ENOENT: it is not installed; -EINVAL: it does
 * not want to; -ENOTSUP: it has no vhost-user.
 */
int passt_open(struct link **opened, const struct passt_options *options);

#endif
