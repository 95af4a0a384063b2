/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The network of a nest: level 1 has what the nest asks for, and each level makes a bridge of that
 * and of a tap device for the next one. So all levels are on one Ethernet, whose address is the
 * innermost's; those between need none, and nothing of them speaks IP.
 */
#ifndef NIDUS_NEST_NET_H
#define NIDUS_NEST_NET_H

#include "nest/nest.h"

#define NEST_NET_BRIDGE "nest0"

/* What --network is for every level but the first. */
#define NEST_NET_INNER "mode=tap,bridge=" NEST_NET_BRIDGE

/*
 * In a level, before anything runs in it: makes the bridge, or gives the innermost its address and
 * says who answers for names. Nothing where the nest has no network. Errors: -errno, said.
 */
int nest_net_prepare(const struct nest *nest, unsigned int level);

#endif
