// SPDX-License-Identifier: GPL-2.0-only
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "backends/passt.h"
#include "backends/tap.h"
#include "children/child.h"
#include "host/clock.h"
#include "host/kvm.h"
#include "host/limits.h"
#include "host/log.h"
#include "machine/resources.h"
#include "util.h"
#include "vhost.h"
#include "virtio/virtio_block.h"
#include "virtio/virtio_net.h"

/* Files that are written to, and only later. */

static void places_close(struct resources *resources)
{
	if (resources->stats.path)
		file_release(&resources->stats);
	if (resources->tree.path)
		file_release(&resources->tree);
}

static int places_open(struct resources *resources)
{
	const struct config *config = resources->config;
	int err = 0;

	resources->stats.path = resources->tree.path = NULL;
	if (config->stats_file)
		err = file_find(&resources->stats, config->stats_file);
	if (err == 0 && config->dump_dtb)
		err = file_find(&resources->tree, config->dump_dtb);
	if (err < 0)
		places_close(resources);
	return err;
}

/* Those that the guest is started from. */

static int files_open(struct resources *resources)
{
	const struct config *config = resources->config;

	return boot_files_open(&resources->files, config->kernel, config->initrd,
			       config->initramfs);
}

static void files_close(struct resources *resources)
{
	boot_files_close(&resources->files);
}

/* RAM, where it is not the kernel's to find. */

static int mount_open(struct resources *resources)
{
	const char *path = resources->config->hugetlbfs;

	return path ? memory_mount_open(&resources->mount, path) : 0;
}

static void mount_close(struct resources *resources)
{
	if (resources->config->hugetlbfs)
		memory_mount_close(&resources->mount);
}

/* /dev/kvm */

static void say_why_no_kvm(int err)
{
	if (err == -ENOENT || err == -ENXIO || err == -ENODEV)
		log_error("no /dev/kvm: this machine, or its kernel, has no KVM");
	else if (err == -EACCES || err == -EPERM)
		log_error("/dev/kvm: %s; be root, or in the group that it belongs to",
			  strerror(-err));
	else if (err == -ENOTSUP || err == -ENOTTY)
		log_error("/dev/kvm: does not behave like KVM");
	else
		log_error("/dev/kvm: %s", log_reason(-err));
}

static int open_kvm(struct resources *resources)
{
	resources->kvm_fd = kvm_open();
	if (resources->kvm_fd >= 0)
		return 0;
	say_why_no_kvm(resources->kvm_fd);
	return resources->kvm_fd;
}

static void close_kvm(struct resources *resources)
{
	close(resources->kvm_fd);
}

/* Disks. */

static void disks_close(struct resources *resources)
{
	while (resources->disk_count > 0)
		disk_close(&resources->disks[--resources->disk_count]);
}

static int disks_open(struct resources *resources)
{
	const struct config *config = resources->config;
	int err = 0;

	resources->disk_count = 0;
	while (resources->disk_count < config->disk_count && err == 0) {
		const struct config_disk *disk = &config->disks[resources->disk_count];

		err = disk_open(&resources->disks[resources->disk_count], disk->path,
				disk->read_only, disk->direct, virtio_block_queues(config->cpus));
		if (err == 0)
			resources->disk_count++;
	}
	if (err < 0)
		disks_close(resources);
	return err;
}

/* Networks. */

#define LOCAL \
	0x02 /* in the first byte of a MAC address: given by nobody who gives them to the world */
#define UNICAST 0xfe

/* FNV-1a: what a name comes to is to be the same everywhere and always. */
static uint64_t hash(const char *text, unsigned int salt)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ salt;

	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return hash;
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

static void links_close(struct resources *resources)
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

static int passt_link_open(struct link **opened, const struct config *config, unsigned int index)
{
	const struct config_network *network = &config->networks[index];
	const bool shared = !config->has_mem_backing || config->mem_backing != MEMORY_ANON;
	struct passt_forward forwards[PASST_FORWARDS_MAX];
	struct passt_options options = {
		.forwards = forwards,
		.forward_count = network->forward_count,
		.guest_ip = address_of(network->guest_ip),
		.host_ip = address_of(network->host_ip),
		/* RAM that is to be nidus's alone can be mapped by nobody else. */
		.vhost = shared ? network->vhost : LINK_VHOST_NO,
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

static int tap_link_open(struct link **opened, const struct config *config, unsigned int index)
{
	const struct config_network *network = &config->networks[index];
	struct tap_options options = {
		.name = network->tapif,
		.fd = network->fd,
		.bridge = network->bridge,
		.script = network->script,
		.downscript = network->downscript,
		.has_host_mac = network->host_mac.given,
		.host_ip = address_of(network->host_ip),
		.pairs = tap_pairs(config, network),
		.vhost = network->vhost,
	};

	memcpy(options.host_mac, network->host_mac.byte, LINK_ADDRESS);
	choose_mac(options.guest_mac, config, index);
	return tap_open(opened, &options);
}

static int link_open(struct link **opened, const struct config *config, unsigned int index)
{
	const struct config_network *network = &config->networks[index];
	int err;

	*opened = NULL;
	if (network->mode == NETWORK_TAP)
		return tap_link_open(opened, config, index);
	if (network->by_default && !child_is_installed("passt")) {
		log_info("no network: passt is not installed; it is a package of its own");
		return 0;
	}
	err = passt_link_open(opened, config, index);
	if (err < 0 && network->by_default && !limits_missing(err)) {
		log_info("no network: passt does not start");
		return 0;
	}
	return err;
}

#define SHMEM_ENABLED "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* RAM that others map has huge pages only if the host gives them to such memory. */
static void look_for_huge_pages(const struct resources *resources)
{
	char settings[128] = "";
	FILE *file;

	if (resources_backing(resources) != MEMORY_MEMFD)
		return;
	file = fopen(SHMEM_ENABLED, "re");
	if (!file)
		return;
	if (fgets(settings, sizeof(settings), file) && strstr(settings, "[never]"))
		log_info("guest RAM is shared, and has no huge pages: " SHMEM_ENABLED " is never "
			 "(advise would do)");
	fclose(file);
}

static int links_open(struct resources *resources)
{
	const struct config *config = resources->config;
	int err = 0;

	resources->link_count = 0;
	while (resources->link_count < config->network_count && err == 0) {
		const unsigned int index = resources->link_count;

		err = link_open(&resources->links[index], config, index);
		if (err == 0)
			resources->link_count++;
	}
	if (err < 0)
		links_close(resources);
	else
		look_for_huge_pages(resources);
	return err;
}

/* What the user may have got wrong by himself first. */
static const struct step {
	int (*open)(struct resources *resources); /* cleans up after itself when it fails */
	void (*close)(struct resources *resources);
	enum status blamed; /* when it fails, where that is not for want of means */
	bool named; /* -EINVAL is of what the user has named, whoever is to blame for the rest */
} steps[] = {
	{ places_open, places_close, STATUS_USAGE, false }, /* to be written later */
	{ files_open, files_close, STATUS_USAGE, false }, /* kernel, initrd */
	{ mount_open, mount_close, STATUS_USAGE, false }, /* of RAM */
	{ open_kvm, close_kvm, STATUS_HOST, false }, /* /dev/kvm */
	{ disks_open, disks_close, STATUS_USAGE, false }, /* with their locks */
	{ links_open, links_close, STATUS_HOST, true }, /* to networks */
};

enum status resources_open(struct resources *resources, const struct config *config)
{
	resources->config = config;
	resources->opened = 0;
	while (resources->opened < ARRAY_SIZE(steps)) {
		const struct step *step = &steps[resources->opened];
		const int err = step->open(resources);

		if (err < 0) {
			resources_close(resources);
			return err == -EINVAL && step->named ? STATUS_USAGE
							     : status_of_error(err, step->blamed);
		}
		resources->opened++;
	}
	return STATUS_OK;
}

void resources_close(struct resources *resources)
{
	while (resources->opened > 0)
		steps[--resources->opened].close(resources);
}

enum memory_backing resources_backing(const struct resources *resources)
{
	const struct config *config = resources->config;

	for (unsigned int i = 0; i < resources->link_count; i++) {
		const struct link *link = resources->links[i];

		if (link && link->vhost && link->vhost->shares_memory &&
		    config->mem_backing == MEMORY_ANON)
			return MEMORY_MEMFD;
	}
	return config->mem_backing;
}
