// SPDX-License-Identifier: GPL-2.0-only
#include "links.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/random.h>

#include "backends/passt.h"
#include "backends/tap.h"
#include "children/child.h"
#include "host/clock.h"
#include "host/limits.h"
#include "host/log.h"
#include "net/virtio_net.h"

/* In the first byte of a MAC address: it is nobody's in the world, and of one interface. */
#define LOCAL	0x02
#define UNICAST 0xfe

/* FNV-1a: what a name comes to is to be the same everywhere and always. */
static uint64_t hash(const char *text, unsigned int salt)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ salt;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return hash;
}

/* Whether somebody cares which address the guest has. One that moves stays who it is. */
static bool wants_mac(const struct config *config, unsigned int index)
{
	return config->networks[index].guest_mac.given || (config->name && !config->migration);
}

/* The guest's address: its own wish, or its name's, or any. */
static void choose_mac(uint8_t mac[LINK_ADDRESS], const struct config *config, unsigned int index)
{
	const struct config_mac *wish = &config->networks[index].guest_mac;
	uint64_t bits = 0;

	if (wish->given) {
		memcpy(mac, wish->byte, LINK_ADDRESS);
		return;
	}
	if (config->name)
		bits = hash(config->name, index);
	else if (getrandom(&bits, sizeof(bits), 0) < 0)
		bits = clock_ns();
	memcpy(mac, &bits, LINK_ADDRESS);
	mac[0] = (mac[0] & UNICAST) | LOCAL;
}

void links_close(struct resources *resources)
{
	while (resources->link_count > 0) {
		struct link *link = resources->links[--resources->link_count];

		if (link)
			link->ops->close(link);
	}
}

static struct in_addr address_of(const char *text)
{
	struct in_addr address = { INADDR_ANY };

	if (text)
		inet_pton(AF_INET, text, &address);
	return address;
}

static int passt_link_open(struct link **opened, struct resources *resources, unsigned int index)
{
	const struct config *config = resources->config;
	const struct config_network *network = &config->networks[index];
	const bool shared =
		!config->iommu && (!config->has_mem_backing || config->mem_backing != MEMORY_ANON);
	struct passt_forward forwards[PASST_FORWARDS_MAX];
	struct passt_options options = {
		.forwards = forwards,
		.forward_count = network->forward_count,
		.guest_ip = address_of(network->guest_ip),
		.host_ip = address_of(network->host_ip),
		/*
		 * RAM that is to be nidus's alone can be mapped by nobody else, and passt knows
		 * no IOMMU.
		 */
		.vhost = shared ? network->vhost : LINK_VHOST_NO,
		.porter = &resources->porter,
	};

	for (unsigned int i = 0; i < network->forward_count; i++)
		passt_forward_parse(&forwards[i], network->forward[i]);
	choose_mac(options.guest_mac, config, index);
	return passt_open(opened, &options);
}

/* A device that is there already has as many queues as it was made for, mostly one. */
static unsigned int tap_pairs(const struct config *config, const struct config_network *network)
{
	if (network->pairs > 0)
		return network->pairs;
	return network->tapif || network->fd >= 0 ? 1 : virtio_net_pairs(config->cpus);
}

static int tap_link_open(struct link **opened, struct resources *resources, unsigned int index)
{
	const struct config *config = resources->config;
	const struct config_network *network = &config->networks[index];
	struct tap_options options = {
		.name = network->tapif,
		.fd = network->fd,
		.bridge = network->bridge,
		.script = network->script,
		.downscript = network->downscript,
		.porter = &resources->porter,
		.has_host_mac = network->host_mac.given,
		.host_ip = address_of(network->host_ip),
		.pairs = tap_pairs(config, network),
		.vhost = network->vhost,
	};

	memcpy(options.host_mac, network->host_mac.byte, LINK_ADDRESS);
	choose_mac(options.guest_mac, config, index);
	return tap_open(opened, &options);
}

static int link_open(struct link **opened, struct resources *resources, unsigned int index)
{
	const struct config_network *network = &resources->config->networks[index];
	int err;

	*opened = NULL;
	if (network->mode == NETWORK_TAP)
		return tap_link_open(opened, resources, index);
	if (network->by_default && !child_is_installed("passt")) {
		log_info("no network: passt is not installed; it is a package of its own");
		return 0;
	}
	err = passt_link_open(opened, resources, index);
	if (err < 0 && network->by_default && !limits_missing(err)) {
		log_info("no network: passt does not start");
		return 0;
	}
	return err;
}

int links_open(struct resources *resources)
{
	const struct config *config = resources->config;
	int err = 0;

	resources->link_count = 0;
	while (resources->link_count < config->network_count && err == 0) {
		const unsigned int index = resources->link_count;

		err = link_open(&resources->links[index], resources, index);
		if (err == 0 && resources->links[index])
			resources->links[index]->keeps_mac = !wants_mac(config, index);
		if (err == 0)
			resources->link_count++;
	}
	if (err < 0)
		links_close(resources);
	return err;
}
