// SPDX-License-Identifier: GPL-2.0-only
#include "network/netif.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/route.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/log.h"

/* Interfaces are asked by any socket. */
static int request(unsigned long number, void *argument)
{
	const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (ioctl(fd, number, argument) < 0)
		err = -errno;
	close(fd);
	return err;
}

static struct ifreq request_about(const char *name)
{
	struct ifreq request = { 0 };

	strncpy(request.ifr_name, name, IFNAMSIZ - 1);
	return request;
}

static int said(const char *name, const char *what, int err)
{
	if (err < 0)
		log_error("network interface %s: %s: %s", name, what, log_reason(-err));
	return err;
}

int netif_up(const char *name)
{
	struct ifreq flags = request_about(name);
	int err = request(SIOCGIFFLAGS, &flags);

	if (err == 0 && !(flags.ifr_flags & IFF_UP)) {
		flags.ifr_flags |= IFF_UP;
		err = request(SIOCSIFFLAGS, &flags);
	}
	return said(name, "cannot be turned on", err);
}

static struct sockaddr socket_address(struct in_addr address)
{
	const struct sockaddr_in internet = { .sin_family = AF_INET, .sin_addr = address };
	struct sockaddr any;

	memcpy(&any, &internet, sizeof(any));
	return any;
}

int netif_set_address(const char *name, struct in_addr address, unsigned int prefix)
{
	const struct in_addr mask = { htonl(UINT32_MAX << (32 - prefix)) };
	struct ifreq wanted = request_about(name);
	int err;

	wanted.ifr_addr = socket_address(address);
	err = request(SIOCSIFADDR, &wanted);
	if (err == 0) {
		wanted.ifr_netmask = socket_address(mask);
		err = request(SIOCSIFNETMASK, &wanted);
	}
	return said(name, "cannot be given its address", err);
}

int netif_set_gateway(struct in_addr gateway)
{
	const struct in_addr any = { INADDR_ANY };
	struct rtentry route = {
		.rt_dst = socket_address(any),
		.rt_genmask = socket_address(any),
		.rt_gateway = socket_address(gateway),
		.rt_flags = RTF_UP | RTF_GATEWAY,
	};
	const int err = request(SIOCADDRT, &route);

	if (err < 0)
		log_error("gateway %s: %s", inet_ntoa(gateway), log_reason(-err));
	return err;
}

int netif_make_bridge(const char *name)
{
	char copy[IFNAMSIZ] = "";
	int err;

	strncpy(copy, name, sizeof(copy) - 1);
	err = request(SIOCBRADDBR, copy);
	if (err == -EEXIST)
		return 0;
	if (err == -ENOPKG || err == -ENOTTY)
		log_error("bridge %s: this kernel has none (CONFIG_BRIDGE)", name);
	else if (err < 0)
		log_error("bridge %s: %s", name, log_reason(-err));
	return err;
}

int netif_join_bridge(const char *bridge, const char *name)
{
	struct ifreq wanted = request_about(bridge);
	const int index = if_nametoindex(name);
	int err = index == 0 ? -errno : 0;

	if (err == 0) {
		wanted.ifr_ifindex = index;
		err = request(SIOCBRADDIF, &wanted);
	}
	if (err < 0)
		log_error("network interface %s: cannot be a port of bridge %s: %s", name, bridge,
			  log_reason(-err));
	return err;
}
