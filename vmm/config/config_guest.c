// SPDX-License-Identifier: GPL-2.0-only
/*
 * What of a configuration goes with a guest that is saved, as a record of its state. What was left
 * to the host to choose is written down as it was chosen, so that another host makes the same.
 */
#include "config/config.h"

#include <errno.h>

#include "memmap.h"
#include "util.h"

struct guest_record {
	uint64_t mem_size; /* bytes */
	uint32_t cpus;
	uint32_t sve_max_vl; /* bits, 0: the host's */
	uint8_t console, transport, irqchip, trap_tlbi;
	uint8_t trap_tlbi_shareable, rng, defaults, pmu;
	uint8_t nested, e2h0, pvtime, emulation;
	uint8_t has_counter_offset, report, mte, balloon;
	uint32_t disks, networks;
	uint32_t flash[2]; /* bytes of each bank */
	uint8_t iommu, zero[7];
};

void config_save_guest(const struct config *config, const struct config_made *made,
		       struct state_writer *writer)
{
	const struct guest_record record = {
		.mem_size = config->mem_size,
		.cpus = config->cpus,
		.sve_max_vl = config->sve_max_vl,
		.console = config->console,
		.transport = config->transport,
		.irqchip = made->irqchip,
		.trap_tlbi = config->trap_tlbi.policy,
		.trap_tlbi_shareable = config->trap_tlbi.shareable_only,
		.rng = config->rng,
		.defaults = config->defaults,
		.pmu = config->pmu,
		.nested = config->nested,
		.e2h0 = config->e2h0,
		.pvtime = config->pvtime,
		.emulation = config->emulation,
		.has_counter_offset = config->has_counter_offset,
		.report = made->report,
		.mte = made->mte,
		.balloon = config->balloon,
		.iommu = config->iommu,
		.disks = config->disk_count,
		.networks = config->network_count,
		.flash = { made->flash_sizes[0], made->flash_sizes[1] },
	};

	state_put(writer, "guest", 0, &record, sizeof(record));
}

static const char *impossible(const struct guest_record *record)
{
	if (record->mem_size == 0 || record->mem_size % KIB(64) != 0 ||
	    record->mem_size > RAM_SIZE_MAX)
		return "has an amount of RAM that there cannot be";
	if (record->cpus == 0 || record->cpus > CONFIG_CPUS_MAX)
		return "has a number of vCPUs that there cannot be";
	if (record->console > CONSOLE_VIRTIO || record->transport > TRANSPORT_MMIO ||
	    (record->irqchip != GIC_V3 && record->irqchip != GIC_V3_ITS) ||
	    record->trap_tlbi > TLBI_PRECISE)
		return "asks for what this nidus does not know";
	for (unsigned int i = 0; i < ARRAY_SIZE(record->flash); i++)
		if (record->flash[i] > FLASH_BANK_SIZE || record->flash[i] % FLASH_BLOCK_SIZE != 0)
			return "has flash memory that there cannot be";
	return NULL;
}

/* What the user has to give is as many devices as there were. */
static void compare(const struct config *config, const struct guest_record *record,
		    struct state_reader *reader)
{
	if (record->disks == config->disk_count && record->networks == config->network_count)
		return;
	log_error("the guest that was saved has %u disks and %u networks, and was given %u and %u: "
		  "name them by --disk and --network, in the order of then",
		  record->disks, record->networks, config->disk_count, config->network_count);
	state_fail_read(reader, -EINVAL);
}

void config_restore_guest(struct config *config, struct state_reader *reader)
{
	struct guest_record record;
	const char *why;

	if (!state_get(reader, "guest", 0, &record, sizeof(record)))
		return;
	why = impossible(&record);
	if (why) {
		state_refuse(reader, "guest", 0, why);
		return;
	}
	compare(config, &record, reader);
	config->mem_size = record.mem_size;
	config->cpus = record.cpus;
	config->sve_max_vl = record.sve_max_vl;
	config->console = record.console;
	config->transport = record.transport;
	config->irqchip = record.irqchip;
	config->trap_tlbi.policy = record.trap_tlbi;
	config->trap_tlbi.shareable_only = record.trap_tlbi_shareable;
	config->rng = record.rng;
	config->defaults = record.defaults;
	config->pmu = record.pmu;
	config->nested = record.nested;
	config->e2h0 = record.e2h0;
	config->pvtime = record.pvtime;
	config->emulation = record.emulation;
	config->iommu = record.iommu;
	config->has_counter_offset = record.has_counter_offset;
	config->mte = config->has_mte = record.mte;
	config->balloon = record.balloon;
	for (unsigned int i = 0; i < ARRAY_SIZE(record.flash); i++)
		config->flash_sizes[i] = record.flash[i];
	if (config->flash && record.flash[1] == 0) {
		log_error("--flash %s: the guest that was saved has no such memory", config->flash);
		state_fail_read(reader, -EINVAL);
	}
	if (config_check_guest(config) < 0)
		state_fail_read(reader, -EINVAL);
	/* The port is there, whether anybody listens or not. */
	if (record.report && !config->report)
		config->report = "/dev/null";
	if (!record.report && config->report) {
		log_error("--report %s: the guest that was saved has no port for reports",
			  config->report);
		state_fail_read(reader, -EINVAL);
	}
}
