// SPDX-License-Identifier: GPL-2.0-only
/*
 * In a network of the test's own (network_namespaces(7)), with a tap device for an interface.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "network/netif.h"
#include "unit.h"

static int tap = -1;

/* False: this machine lets nobody have a network, or a tap device. */
static bool own_network(void)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	if (tap >= 0)
		return true;
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
		return false;
	tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	strcpy(request.ifr_name, "test0");
	if (tap >= 0 && ioctl(tap, TUNSETIFF, &request) < 0) {
		close(tap);
		tap = -1;
	}
	return tap >= 0;
}

static struct ifreq ask(unsigned long what, const char *name)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	strcpy(request.ifr_name, name);
	assert_return_code(ioctl(fd, what, &request), errno);
	close(fd);
	return request;
}

static void assert_address(struct sockaddr any, const char *expected)
{
	struct sockaddr_in address;
	char text[INET_ADDRSTRLEN];

	memcpy(&address, &any, sizeof(address));
	assert_string_equal(inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text)), expected);
}

static void netif_interface_gets_what_it_is_to_have(void **state)
{
	struct in_addr address = { inet_addr("10.9.8.7") };
	char line[256], routes[4096] = "";
	FILE *file;

	if (!own_network())
		skip();
	assert_false(ask(SIOCGIFFLAGS, "test0").ifr_flags & IFF_UP);
	assert_int_equal(netif_up("test0"), 0);
	assert_true(ask(SIOCGIFFLAGS, "test0").ifr_flags & IFF_UP);
	assert_int_equal(netif_up("test0"), 0);
	assert_int_equal(netif_set_address("test0", address, 20), 0);
	assert_address(ask(SIOCGIFADDR, "test0").ifr_addr, "10.9.8.7");
	assert_address(ask(SIOCGIFNETMASK, "test0").ifr_netmask, "255.255.240.0");

	address.s_addr = inet_addr("10.9.8.1");
	assert_int_equal(netif_set_gateway(address), 0);
	file = fopen("/proc/self/net/route", "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		strcat(routes, line);
	fclose(file);
	assert_non_null(strstr(routes, "test0\t00000000\t0108090A"));
	assert_silent();
}

static void netif_what_cannot_be_is_said(void **state)
{
	const struct in_addr address = { inet_addr("10.9.8.7") };
	const struct in_addr nowhere = { inet_addr("203.0.113.1") };

	if (!own_network())
		skip();
	assert_int_equal(netif_up("none-such"), -ENODEV);
	assert_said("network interface none-such: cannot be turned on: ");
	assert_int_equal(netif_set_address("none-such", address, 24), -ENODEV);
	assert_said("network interface none-such: cannot be given its address: ");
	assert_int_equal(netif_set_gateway(nowhere), -ENETUNREACH);
	assert_said("gateway 203.0.113.1: ");
	assert_true(netif_join_bridge("none-such", "test0") < 0);
	assert_said("network interface test0: cannot be a port of bridge none-such: ");
}

/* There may be no bridges in this kernel, which is then said. */
static void netif_bridge_has_ports(void **state)
{
	int err;

	if (!own_network())
		skip();
	err = netif_make_bridge("bridge0");
	if (err == -ENOPKG || err == -ENOTTY) {
		assert_said("bridge bridge0: this kernel has none (CONFIG_BRIDGE)");
		skip();
	}
	assert_int_equal(err, 0);
	assert_int_equal(netif_make_bridge("bridge0"), 0);
	assert_int_equal(netif_join_bridge("bridge0", "test0"), 0);
	assert_int_equal(netif_join_bridge("bridge0", "test0"), -EBUSY);
	assert_said("cannot be a port of bridge bridge0: ");
	assert_silent();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		caught_test(netif_interface_gets_what_it_is_to_have),
		caught_test(netif_what_cannot_be_is_said),
		caught_test(netif_bridge_has_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
