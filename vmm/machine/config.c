// SPDX-License-Identifier: GPL-2.0-only
#include "machine/config.h"

#include <errno.h>
#include <string.h>

#include "util.h"

/* Defaults that depend on what was given, and what goes together. */
static int settle(struct config *config, enum config_flavour flavour)
{
	if (!config->kernel) {
		log_error("no kernel: name one with --kernel FILE");
		return -EINVAL;
	}
	if (config->mem_size == 0)
		config->mem_size =
			flavour == CONFIG_LKVM ? MIB(64) * ((uint64_t)config->cpus + 3) : MIB(512);
	if (config->hugetlbfs && !config->has_mem_backing)
		config->mem_backing = MEMORY_HUGETLBFS;
	if (config->hugetlbfs && config->mem_backing != MEMORY_HUGETLBFS) {
		log_error("--hugetlbfs with another --mem-backing: leave one of them out");
		return -EINVAL;
	}
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
	if (config->transport == TRANSPORT_PCI && config->irqchip != GIC_AUTO &&
	    config->irqchip != GIC_V3_ITS) {
		log_error("--virtio-transport pci with this --irqchip: PCI takes gicv3-its");
		return -EINVAL;
	}
	if (config->params && strstr(config->params, "console=ttyS"))
		log_warning(
			"--params names console=ttyS..., but the serial console of a nidus guest "
			"is ttyAMA0");
	return 0;
}

int config_parse(struct config *config, enum config_flavour flavour, int argc, char **argv)
{
	struct options_words words;
	int result;

	*config = (struct config){
		.cpus = 1,
		.log_level = flavour == CONFIG_LKVM ? LOG_INFO : LOG_WARNING,
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
