// SPDX-License-Identifier: GPL-2.0-only
#include "nest_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/log.h"
#include "network/netif.h"
#include "util.h"

/* The kernel's name for the first one that there is. */
#define INTERFACE "eth0"

#define RESOLV_CONF "/etc/resolv.conf"

/* The host, or the passt on it, answers for names. */
static int write_resolv_conf(const char *server)
{
	FILE *file;

	mkdir("/etc", 0755);
	/* In a root from outside it may be a link to somewhere that is not there. */
	unlink(RESOLV_CONF);
	file = fopen(RESOLV_CONF, "we");
	if (!file || fprintf(file, "nameserver %s\n", server) < 0) {
		log_error(RESOLV_CONF ": %s", strerror(errno));
		if (file)
			fclose(file);
		return -EIO;
	}
	fclose(file);
	return 0;
}

static int set_address(const struct config_network *network)
{
	struct in_addr address;
	int err;

	/* Without one it is the innermost's own to find, by DHCP for example. */
	if (!network->guest_ip)
		return 0;
	inet_pton(AF_INET, network->guest_ip, &address);
	err = netif_set_address(INTERFACE, address, LINK_PREFIX);
	if (err < 0 || !network->host_ip)
		return err;
	inet_pton(AF_INET, network->host_ip, &address);
	err = netif_set_gateway(address);
	return err < 0 ? err : write_resolv_conf(network->host_ip);
}

static int prepare_innermost(const char *net)
{
	struct config_network network;
	char *copy = strdup(net);
	int err;

	if (!copy) {
		log_error("network: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	err = config_parse_network(&network, copy);
	if (err == 0)
		err = netif_up("lo");
	if (err == 0)
		err = netif_up(INTERFACE);
	if (err == 0)
		err = set_address(&network);
	free(copy);
	return err;
}

/*
 * A level between has no address of its own, which Linux would take by itself in IPv6. Whoever
 * serves the network learns from what it then says that the guest is here, and not further inside.
 */
static void have_no_address(void)
{
	static const char *const settings[] = { "/proc/sys/net/ipv6/conf/all/disable_ipv6",
						"/proc/sys/net/ipv6/conf/default/disable_ipv6" };

	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		/* Where there is no IPv6 there is no such setting. */
		FILE *file = fopen(settings[i], "we");

		if (!file)
			continue;
		fputs("1", file);
		fclose(file);
	}
}

static int prepare_between(void)
{
	int err;

	have_no_address();
	err = netif_up(INTERFACE);
	if (err == 0)
		err = netif_make_bridge(NEST_NET_BRIDGE);
	if (err == 0)
		err = netif_join_bridge(NEST_NET_BRIDGE, INTERFACE);
	return err < 0 ? err : netif_up(NEST_NET_BRIDGE);
}

int nest_net_prepare(const struct nest *nest, unsigned int level)
{
	if (!nest->net)
		return 0;
	if (level == nest->depth)
		return prepare_innermost(nest->net);
	return nest_hands_on(nest, "net0") ? 0 : prepare_between();
}
