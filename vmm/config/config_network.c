// SPDX-License-Identifier: GPL-2.0-only
/*
 * The argument of --network: words of the form KEY=VALUE, those of lkvm and a few more.
 */
#include "config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "config_words.h"
#include "util.h"

#define MULTICAST 1 /* in the first byte of an address */

static const struct option_choice modes[] = {
	{ "user", NETWORK_USER },
	{ "tap", NETWORK_TAP },
	{ "none", NETWORK_NONE },
	{ NULL, 0 },
};

static const struct option_choice transports[] = {
	{ "pci", TRANSPORT_PCI },
	{ "mmio", TRANSPORT_MMIO },
	{ NULL, 0 },
};

static int bad(const char *key, const char *value, const char *right)
{
	log_error("--network %s=%s: must be %s", key, value, right);
	return -EINVAL;
}

static int set_mode(struct config_network *network, const char *value)
{
	const struct option_choice *choice = options_find(modes, value);

	if (!choice)
		return bad("mode", value, "user, tap or none");
	network->mode = choice->value;
	return 0;
}

static int set_trans(struct config_network *network, const char *value)
{
	const struct option_choice *choice = options_find(transports, value);

	if (!choice)
		return bad("trans", value, "pci or mmio");
	network->transport = choice->value;
	return 0;
}

static int set_interface(const char **name, const char *key, const char *value)
{
	if (*value == '\0' || strlen(value) >= CONFIG_INTERFACE_NAME || strchr(value, '/'))
		return bad(key, value, "the name of an interface, of 15 characters at most");
	*name = value;
	return 0;
}

static int set_tapif(struct config_network *network, const char *value)
{
	return set_interface(&network->tapif, "tapif", value);
}

static int set_bridge(struct config_network *network, const char *value)
{
	return set_interface(&network->bridge, "bridge", value);
}

/* A path, where lkvm's and QEMU's words for none are none. */
static int set_path(const char **path, const char *value)
{
	*path = *value && strcmp(value, "none") != 0 && strcmp(value, "no") != 0 ? value : NULL;
	return 0;
}

static int set_script(struct config_network *network, const char *value)
{
	return set_path(&network->script, value);
}

static int set_downscript(struct config_network *network, const char *value)
{
	return set_path(&network->downscript, value);
}

static int set_mac(struct config_mac *mac, const char *key, const char *value)
{
	unsigned int byte[LINK_ADDRESS];
	char end;

	if (strlen(value) != strlen("00:00:00:00:00:00") ||
	    sscanf(value, "%2x:%2x:%2x:%2x:%2x:%2x%c", &byte[0], &byte[1], &byte[2], &byte[3],
		   &byte[4], &byte[5], &end) != LINK_ADDRESS ||
	    byte[0] & MULTICAST)
		return bad(key, value, "an address of one interface, as 02:00:00:00:00:01");
	for (unsigned int i = 0; i < LINK_ADDRESS; i++)
		mac->byte[i] = byte[i];
	mac->given = true;
	return 0;
}

static int set_guest_mac(struct config_network *network, const char *value)
{
	return set_mac(&network->guest_mac, "guest_mac", value);
}

static int set_host_mac(struct config_network *network, const char *value)
{
	return set_mac(&network->host_mac, "host_mac", value);
}

static int set_ip(const char **address, const char *key, const char *value)
{
	struct in_addr parsed;

	if (inet_pton(AF_INET, value, &parsed) != 1)
		return bad(key, value, "an IPv4 address, as 192.168.33.1");
	*address = value;
	return 0;
}

static int set_guest_ip(struct config_network *network, const char *value)
{
	return set_ip(&network->guest_ip, "guest_ip", value);
}

static int set_host_ip(struct config_network *network, const char *value)
{
	return set_ip(&network->host_ip, "host_ip", value);
}

static int set_vhost(struct config_network *network, const char *value)
{
	unsigned int wanted;
	int err = config_word_number("--network vhost", value, 0, 1, &wanted);

	if (err == 0)
		network->vhost = wanted ? LINK_VHOST_YES : LINK_VHOST_NO;
	return err;
}

static int set_mq(struct config_network *network, const char *value)
{
	return config_word_number("--network mq", value, 1, LINK_PAIRS_MAX, &network->pairs);
}

static int set_fd(struct config_network *network, const char *value)
{
	unsigned int fd;
	int err = config_word_number("--network fd", value, 0, INT_MAX, &fd);

	if (err == 0)
		network->fd = fd;
	return err;
}

static int add_forward(struct config_network *network, const char *value)
{
	struct passt_forward forward;
	const char *wrong = passt_forward_parse(&forward, value);

	if (wrong) {
		log_error("--network forward=%s: %s", value, wrong);
		return -EINVAL;
	}
	if (network->forward_count == PASST_FORWARDS_MAX) {
		log_error("--network forward=%s: there are %d of them already, and no more than "
			  "that",
			  value, PASST_FORWARDS_MAX);
		return -EINVAL;
	}
	network->forward[network->forward_count++] = value;
	return 0;
}

#define FOR(mode) (1U << (mode))

static const struct key {
	const char *name;
	int (*set)(struct config_network *network, const char *value);
	unsigned int modes; /* that it says something of */
} keys[] = {
	{ "mode", set_mode, ~0U },
	{ "trans", set_trans, ~0U },
	{ "guest_mac", set_guest_mac, ~0U },
	{ "guest_ip", set_guest_ip, ~0U },
	{ "host_ip", set_host_ip, ~0U },
	{ "vhost", set_vhost, ~0U },
	{ "forward", add_forward, FOR(NETWORK_USER) },
	{ "tapif", set_tapif, FOR(NETWORK_TAP) },
	{ "fd", set_fd, FOR(NETWORK_TAP) },
	{ "script", set_script, FOR(NETWORK_TAP) },
	{ "downscript", set_downscript, FOR(NETWORK_TAP) },
	{ "host_mac", set_host_mac, FOR(NETWORK_TAP) },
	{ "bridge", set_bridge, FOR(NETWORK_TAP) },
	{ "mq", set_mq, FOR(NETWORK_TAP) },
};

static const struct key *find_key(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (strcmp(keys[i].name, name) == 0)
			return &keys[i];
	return NULL;
}

/* One word. A mode may also stand by itself. */
static int set_word(struct config_network *network, char *word, unsigned int *given)
{
	char *value = strchr(word, '=');
	const struct key *key;

	if (!value && options_find(modes, word))
		return set_mode(network, word);
	if (value)
		*value++ = '\0';
	key = find_key(word);
	if (!key || !value) {
		log_error("--network %s%s%s: there are mode, trans, guest_mac, guest_ip, host_ip, "
			  "vhost and, of user, forward, of tap, tapif, fd, bridge, script, "
			  "downscript, host_mac and mq, each with a value",
			  word, value ? "=" : "", value ? value : "");
		return -EINVAL;
	}
	*given |= 1U << (key - keys);
	return key->set(network, value);
}

static int check(const struct config_network *network, unsigned int given)
{
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!(given >> i & 1) || keys[i].modes & FOR(network->mode))
			continue;
		log_error("--network mode=%s,%s=...: that is no word of this mode",
			  modes[network->mode].word, keys[i].name);
		return -EINVAL;
	}
	if (network->fd >= 0 && network->tapif) {
		log_error("--network tapif=%s,fd=%d: leave one of them out", network->tapif,
			  network->fd);
		return -EINVAL;
	}
	return 0;
}

/* Addresses that nobody gave: behind passt there have to be some, and a tap of our own has the
 * host's. */
static void settle(struct config_network *network)
{
	const bool ours = network->mode == NETWORK_TAP && network->fd < 0 && !network->tapif &&
			  !network->bridge && !network->script;

	if (network->mode == NETWORK_USER && !network->guest_ip)
		network->guest_ip = LINK_GUEST_IP;
	if ((network->mode == NETWORK_USER || ours) && !network->host_ip)
		network->host_ip = LINK_HOST_IP;
}

int config_parse_network(struct config_network *network, char *text)
{
	unsigned int given = 0;
	char *word, *rest = text;
	int err = 0;

	*network = (struct config_network){ .mode = NETWORK_TAP, .fd = -1 };
	while (err == 0 && (word = strsep(&rest, ",")))
		err = set_word(network, word, &given);
	if (err == 0)
		err = check(network, given);
	if (err == 0)
		settle(network);
	return err;
}

int config_add_network(void *object, const char *text)
{
	struct config *config = object;
	struct config_network *network = &config->networks[config->network_count];

	if (config->network_count == CONFIG_NETWORKS_MAX) {
		log_error("--network %s: there are %d networks already, and no more than that",
			  text, CONFIG_NETWORKS_MAX);
		return -EINVAL;
	}
	config->has_network = true;
	/* The words of argv are cut where they stand, as those of disks. */
	if (config_parse_network(network, (char *)text) < 0)
		return -EINVAL;
	if (network->mode == NETWORK_NONE)
		config->network_count = 0;
	else
		config->network_count++;
	return 0;
}
