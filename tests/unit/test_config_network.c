// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "unit.h"
#include "util.h"

static struct config_network network;

static int parse(const char *words)
{
	static char text[512];

	snprintf(text, sizeof(text), "%s", words);
	return config_parse_network(&network, text);
}

static struct config config;

static int parse_line(enum config_flavour flavour, const char *line)
{
	static char words[1024];
	char *argv[32] = { "run" };
	int argc = 1;

	snprintf(words, sizeof(words), "%s", line);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	return config_parse(&config, flavour, argc, argv);
}

static void user(void **state)
{
	assert_int_equal(parse("mode=user"), 0);
	assert_int_equal(network.mode, NETWORK_USER);
	assert_int_equal(network.vhost, LINK_VHOST_AUTO);
	assert_int_equal(network.transport, TRANSPORT_AUTO);
	assert_string_equal(network.guest_ip, LINK_GUEST_IP);
	assert_string_equal(network.host_ip, LINK_HOST_IP);
	assert_false(network.guest_mac.given);
	assert_int_equal(network.forward_count, 0);

	assert_int_equal(parse("user,forward=tcp:2222:22,forward=udp:53:53,guest_ip=10.1.2.3,"
			       "host_ip=10.1.2.1,vhost=0,trans=mmio"),
			 0);
	assert_int_equal(network.mode, NETWORK_USER);
	assert_int_equal(network.forward_count, 2);
	assert_string_equal(network.forward[0], "tcp:2222:22");
	assert_string_equal(network.forward[1], "udp:53:53");
	assert_string_equal(network.guest_ip, "10.1.2.3");
	assert_string_equal(network.host_ip, "10.1.2.1");
	assert_int_equal(network.vhost, LINK_VHOST_NO);
	assert_int_equal(network.transport, TRANSPORT_MMIO);
	assert_silent();
}

static void tap(void **state)
{
	static const uint8_t guest[] = { 2, 0, 0xab, 0xcd, 0xef, 1 }, host[] = { 2, 0, 0, 0, 0, 2 };

	assert_int_equal(parse("mode=tap"), 0);
	assert_int_equal(network.mode, NETWORK_TAP);
	assert_null(network.tapif);
	assert_null(network.guest_ip);
	assert_int_equal(network.fd, -1);
	assert_int_equal(network.pairs, 0);
	/* A device that nidus makes is the host's end as well. */
	assert_string_equal(network.host_ip, LINK_HOST_IP);

	assert_int_equal(parse("mode=tap,tapif=tap7,script=/up,downscript=/down,mq=4,vhost=1,"
			       "trans=pci,guest_mac=02:00:ab:CD:ef:01,host_mac=02:00:00:00:00:02"),
			 0);
	assert_string_equal(network.tapif, "tap7");
	assert_string_equal(network.script, "/up");
	assert_string_equal(network.downscript, "/down");
	assert_int_equal(network.pairs, 4);
	assert_int_equal(network.vhost, LINK_VHOST_YES);
	assert_int_equal(network.transport, TRANSPORT_PCI);
	assert_true(network.guest_mac.given && network.host_mac.given);
	assert_memory_equal(network.guest_mac.byte, guest, sizeof(guest));
	assert_memory_equal(network.host_mac.byte, host, sizeof(host));
	assert_null(network.host_ip);

	/* As in lkvm, it is the one that needs no word. */
	assert_int_equal(parse("fd=7,script=none"), 0);
	assert_int_equal(network.mode, NETWORK_TAP);
	assert_int_equal(network.fd, 7);
	assert_null(network.script);
	assert_null(network.host_ip);
	assert_int_equal(parse("tap,bridge=br0"), 0);
	assert_string_equal(network.bridge, "br0");
	assert_null(network.host_ip);
	assert_silent();
}

static void what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *words, *message;
	} cases[] = {
		{ "", "--network : there are mode" },
		{ "bogus", "--network bogus: there are mode" },
		{ "mode", "--network mode: there are mode" },
		{ "mode=bridge", "mode=bridge: must be user, tap or none" },
		{ "user,trans=pci-legacy", "trans=pci-legacy: must be pci or mmio" },
		{ "user,", "there are mode" },
		{ "user,colour=red", "colour=red: there are mode" },
		{ "user,tapif=tap0", "mode=user,tapif=...: that is no word of this mode" },
		{ "user,mq=2", "mode=user,mq=...: that is no word" },
		{ "tap,forward=tcp:1:1", "mode=tap,forward=...: that is no word" },
		{ "none,vhost=2", "vhost=2: must be a number from 0 to 1" },
		{ "tap,mq=0", "mq=0: must be a number from 1 to 4" },
		{ "tap,mq=5", "mq=5: must be a number from 1 to 4" },
		{ "tap,fd=-1", "fd=-1: must be a number" },
		{ "tap,tapif=", "tapif=: must be the name of an interface" },
		{ "tap,tapif=0123456789abcdef", "must be the name of an interface" },
		{ "tap,tapif=../x", "must be the name of an interface" },
		{ "tap,tapif=t,fd=3", "tapif=t,fd=3: leave one of them out" },
		{ "user,guest_ip=300.1.1.1", "guest_ip=300.1.1.1: must be an IPv4 address" },
		{ "tap,host_ip=1.2.3", "host_ip=1.2.3: must be an IPv4 address" },
		{ "user,guest_mac=01:00:00:00:00:01", "must be an address of one interface" },
		{ "user,guest_mac=02:00:00:00:00", "must be an address of one interface" },
		{ "user,guest_mac=02:00:00:00:00:0g", "must be an address of one interface" },
		{ "user,guest_mac=2:0:0:0:0:0:0:0:0", "must be an address of one interface" },
		{ "user,forward=22:22", "--network forward=22:22: " },
		{ "user,forward=tcp:", "--network forward=tcp:: " },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(cases[i].words), -EINVAL);
		assert_said(cases[i].message);
	}
}

static void forwards_have_an_end(void **state)
{
	char words[1024] = "user";

	for (unsigned int i = 0; i <= PASST_FORWARDS_MAX; i++)
		snprintf(words + strlen(words), sizeof(words) - strlen(words), ",forward=tcp:%u:1",
			 i + 1);
	assert_int_equal(config_parse_network(&network, words), -EINVAL);
	assert_said("there are 24 of them already");
}

static void networks_of_a_machine(void **state)
{
	assert_int_equal(parse_line(CONFIG_NIDUS, "-k I"), 0);
	assert_int_equal(config.network_count, 0);
	assert_int_equal(parse_line(CONFIG_NIDUS, "-k I -n user -n mode=tap,tapif=t"), 0);
	assert_int_equal(config.network_count, 2);
	assert_string_equal(config.networks[1].tapif, "t");
	assert_int_equal(parse_line(CONFIG_NIDUS, "-k I -n user -n none"), 0);
	assert_int_equal(config.network_count, 0);
	assert_silent();
	assert_int_equal(parse_line(CONFIG_NIDUS, "-k I -n tap -n tap -n tap -n tap -n tap"),
			 -EINVAL);
	assert_said("there are 4 networks already");
}

static void lkvm_has_one_by_default(void **state)
{
	assert_int_equal(parse_line(CONFIG_LKVM, "-k I"), 0);
	assert_int_equal(config.network_count, 1);
	assert_int_equal(config.networks[0].mode, NETWORK_USER);
	assert_true(config.networks[0].by_default);
	assert_int_equal(parse_line(CONFIG_LKVM, "-k I -n mode=none"), 0);
	assert_int_equal(config.network_count, 0);
	assert_int_equal(parse_line(CONFIG_LKVM, "-k I -n mode=tap"), 0);
	assert_int_equal(config.network_count, 1);
	assert_false(config.networks[0].by_default);
	assert_silent();
}

static void what_does_not_go_together(void **state)
{
	assert_int_equal(parse_line(CONFIG_NIDUS, "-k I --irqchip gicv2 -n tap,trans=pci"),
			 -EINVAL);
	assert_said("--network trans=pci with this --irqchip: PCI takes gicv3-its");
	assert_int_equal(parse_line(CONFIG_NIDUS, "-k I --mem-backing anon -n user,vhost=1"),
			 -EINVAL);
	assert_said("--network vhost=1 with --mem-backing anon: passt has to map");
	assert_int_equal(parse_line(CONFIG_NIDUS, "-k I --mem-backing anon -n user"), 0);
	assert_int_equal(parse_line(CONFIG_NIDUS, "-k I --mem-backing memfd -n user,vhost=1"), 0);
	assert_int_equal(parse_line(CONFIG_NIDUS, "-k I --mem-backing anon -n tap,vhost=1"), 0);
	assert_silent();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		caught_test(user),
		caught_test(tap),
		caught_test(what_is_wrong_is_said),
		caught_test(forwards_have_an_end),
		caught_test(networks_of_a_machine),
		caught_test(lkvm_has_one_by_default),
		caught_test(what_does_not_go_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
