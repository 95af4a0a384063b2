// SPDX-License-Identifier: GPL-2.0-only
#include "config/config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "config_words.h"
#include "options/number.h"
#include "util.h"

int config_word_number(const char *name, const char *value, uint64_t min, uint64_t max,
		       unsigned int *number)
{
	uint64_t parsed;

	if (number_parse(value, min, max, &parsed) < 0) {
		log_error("%s=%s: must be a number from %" PRIu64 " to %" PRIu64, name, value, min,
			  max);
		return -EINVAL;
	}
	*number = parsed;
	return 0;
}

/* As lkvm, a guest has a network that nobody asked for, if the host can. */
static void add_default_network(struct config *config)
{
	struct config_network *network = &config->networks[config->network_count++];
	char words[] = "mode=user";

	config_parse_network(network, words);
	network->by_default = true;
}

/* What asks for PCI, or NULL. */
static const char *wants_pci(const struct config *config)
{
	if (config->transport == TRANSPORT_PCI)
		return "--virtio-transport pci";
	if (config->iommu)
		return "--iommu";
	if (config->vfio_count > 0)
		return "--vfio";
	for (unsigned int i = 0; i < config->network_count; i++)
		if (config->networks[i].transport == TRANSPORT_PCI)
			return "--network trans=pci";
	return NULL;
}

static int check_transports(const struct config *config)
{
	const char *wish = wants_pci(config);

	if (!wish || config->irqchip == GIC_AUTO || config->irqchip == GIC_V3_ITS)
		return 0;
	log_error("%s with this --irqchip: PCI takes gicv3-its", wish);
	return -EINVAL;
}

/* An IOMMU stands between PCI and memory, and there only. */
static int check_iommu(const struct config *config)
{
	if (!config->iommu)
		return 0;
	if (config->transport == TRANSPORT_MMIO) {
		log_error("--iommu with --virtio-transport mmio: only devices on PCI are behind "
			  "an IOMMU; leave one of them out");
		return -EINVAL;
	}
	for (unsigned int i = 0; i < config->network_count; i++) {
		const struct config_network *network = &config->networks[i];

		if (network->transport == TRANSPORT_MMIO) {
			log_error("--iommu with --network trans=mmio: only devices on PCI are "
				  "behind an IOMMU; leave one of them out");
			return -EINVAL;
		}
		if (network->mode == NETWORK_USER && network->vhost == LINK_VHOST_YES) {
			log_error("--iommu with --network mode=user,vhost=1: passt knows no IOMMU; "
				  "leave one of them out");
			return -EINVAL;
		}
	}
	return 0;
}

/* Whether RAM may be what another process can map. */
static int check_memory(const struct config *config)
{
	const char *shares = config_shares_memory(config);

	if (shares && config->has_mem_backing && config->mem_backing == MEMORY_ANON) {
		log_error("%s with --mem-backing anon: another process has to map the guest's RAM, "
			  "which takes memfd or hugetlbfs",
			  shares);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < config->network_count; i++) {
		const struct config_network *network = &config->networks[i];

		if (network->mode == NETWORK_USER && network->vhost == LINK_VHOST_YES &&
		    config->has_mem_backing && config->mem_backing == MEMORY_ANON) {
			log_error("--network vhost=1 with --mem-backing anon: passt has to map "
				  "the guest's RAM, which takes memfd or hugetlbfs");
			return -EINVAL;
		}
	}
	return 0;
}

/* Whether pages of RAM may go while the guest runs, where they are to. */
static int check_balloon(const struct config *config)
{
	if (!config->balloon)
		return 0;
	if (config->nested)
		log_error("--balloon with --nested: each page that is taken costs the host a walk "
			  "of every shadow stage 2, and may be an inner guest's; leave one of them "
			  "out");
	else if (config->mem_backing == MEMORY_HUGETLBFS)
		log_error("--balloon with --mem-backing hugetlbfs: huge pages that were set aside "
			  "for the guest are not given back; leave one of them out");
	else if (config->vfio_count > 0)
		log_error("--balloon with --vfio: all of the guest's RAM is pinned for the device, "
			  "and none of it can be given back; leave one of them out");
	else if (config->vhost_user_count > 0)
		log_error("--balloon with --vhost-user: who serves the device may hold on to pages "
			  "that the guest has given back; leave one of them out");
	else
		return 0;
	return -EINVAL;
}

int config_add_root(struct config *config)
{
	if (config->filesystem_count == CONFIG_FILESYSTEMS_MAX) {
		log_error("--root %s: there are %d file systems already, and no more than that",
			  config->root, CONFIG_FILESYSTEMS_MAX);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < config->filesystem_count; i++) {
		if (strcmp(config->filesystems[i].tag, CONFIG_ROOT_TAG) == 0) {
			log_error("--root %s: its tag is " CONFIG_ROOT_TAG
				  ", which another file system has",
				  config->root);
			return -EINVAL;
		}
	}
	config->filesystems[config->filesystem_count++] = (struct config_fs){
		.tag = CONFIG_ROOT_TAG,
		.directory = config->root,
		.read_only = !config->root_writable,
		.no_submounts = !config->root_writable,
	};
	return 0;
}

/* What is the host's: defaults that depend on what was given, and what goes together. */
static int settle_host(struct config *config)
{
	if (config->hugetlbfs && !config->has_mem_backing)
		config->mem_backing = MEMORY_HUGETLBFS;
	if (config->hugetlbfs && config->mem_backing != MEMORY_HUGETLBFS) {
		log_error("--hugetlbfs with another --mem-backing: leave one of them out");
		return -EINVAL;
	}
	if (config->gdb_wait && !config->gdb && !config->name && !config->control) {
		log_error("--gdb-wait without --gdb, --name or --control: no debugger could come "
			  "and let the guest begin");
		return -EINVAL;
	}
	return check_transports(config) < 0 ? -EINVAL : check_memory(config);
}

int config_check_guest(const struct config *config)
{
	return check_iommu(config) < 0 ? -EINVAL : check_balloon(config);
}

/* The same of all. */
static int settle(struct config *config, enum config_flavour flavour)
{
	if (config_settle_firmware(config, flavour) < 0)
		return -EINVAL;
	if (!config->kernel && !config->firmware) {
		log_error("no kernel: name one with --kernel FILE, or --firmware FILE");
		return -EINVAL;
	}
	if (config->mem_size == 0)
		config->mem_size =
			flavour == CONFIG_LKVM ? MIB(64) * ((uint64_t)config->cpus + 3) : MIB(512);
	if (config->e2h0 && !config->nested) {
		log_error("--e2h0 without --nested: it says what kind of EL2 there is to be");
		return -EINVAL;
	}
	if (config->nested && config->irqchip == GIC_V2) {
		log_error("--nested with --irqchip gicv2: an EL2 takes gicv3 or gicv3-its");
		return -EINVAL;
	}
	if (config->nested && config->trap_tlbi.policy != TLBI_OFF) {
		log_error("--trap-tlbi with --nested: an EL2 traps TLBIs by itself; leave one of "
			  "them out");
		return -EINVAL;
	}
	if (config->params && strstr(config->params, "console=ttyS"))
		log_warning(
			"--params names console=ttyS..., but the serial console of a nidus guest "
			"is ttyAMA0");
	if (config->root && config_add_root(config) < 0)
		return -EINVAL;
	if (flavour == CONFIG_LKVM && !config->has_network)
		add_default_network(config);
	if (settle_host(config) < 0)
		return -EINVAL;
	return config_check_guest(config);
}

int config_parse(struct config *config, enum config_flavour flavour, int argc, char **argv)
{
	struct options_words words;
	int result;

	*config = (struct config){
		.cpus = 1,
		.log_level = flavour == CONFIG_LKVM ? LOG_INFO : LOG_WARNING,
		.mte = flavour == CONFIG_LKVM,
		.emulation = true,
		.pvtime = true,
		.reboot = flavour == CONFIG_NIDUS,
		.defaults = true,
	};
	result = options_parse(&config_options, config, argc, argv, &words);
	if (result != 0)
		return result;

	/* As in lkvm, the kernel may also stand by itself. */
	if (words.word && config->kernel) {
		log_error("%s: run takes options and no further argument", words.word);
		return -EINVAL;
	}
	if (words.word)
		config->kernel = words.word;
	return settle(config, flavour);
}

int config_parse_restore(struct config *config, int argc, char **argv, struct options_words *words)
{
	int result;

	*config = (struct config){ .log_level = LOG_WARNING, .emulation = true };
	result = options_parse(&config_restore_options, config, argc, argv, words);
	return result != 0 ? result : settle_host(config);
}
