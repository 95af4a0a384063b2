/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the command line of `nidus run` asks for. Parsing opens nothing and changes nothing.
 */
#ifndef NIDUS_CONFIG_H
#define NIDUS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/gic.h"
#include "cpu/tlbi.h"
#include "disk.h"
#include "host/log.h"
#include "mm/memory.h"
#include "mm/poc.h"
#include "options/options.h"

enum config_console { CONSOLE_SERIAL, CONSOLE_VIRTIO };

#define CONFIG_DISKS_MAX 8

struct config_disk {
	const char *path;
	bool read_only;
	bool direct; /* past the host's page cache */
};

/* How virtio devices are attached. */
enum config_transport {
	TRANSPORT_AUTO, /* PCI where there is a disk and the host has an ITS, else MMIO */
	TRANSPORT_PCI,
	TRANSPORT_MMIO,
};

/* Whose defaults hold: those of the name that nidus was called by. */
enum config_flavour { CONFIG_NIDUS, CONFIG_LKVM };

struct archive;

struct config {
	/* Strings are argv's. */
	const char *name; /* NULL: none given */
	const char *kernel; /* never NULL */
	const char *initrd; /* NULL: none */
	const struct archive
		*initramfs; /* set by no option, but by a nest for its levels, or NULL */
	const char *params; /* NULL: none */
	const char *hugetlbfs; /* mount point, or NULL */
	const char *dump_dtb; /* file, or NULL */
	const char *report; /* file or fd:N, or NULL */
	const char *stats_file; /* or NULL */

	uint64_t mem_size; /* bytes */
	unsigned int cpus;
	unsigned int sve_max_vl; /* bits, 0: the host's */
	bool has_kaslr_seed, has_mem_backing;
	uint64_t kaslr_seed;
	enum config_console console;
	struct config_disk disks[CONFIG_DISKS_MAX];
	unsigned int disk_count;
	enum disk_engine_kind block_engine;
	bool rng;
	enum config_transport transport;
	enum gic_kind irqchip;
	enum memory_backing mem_backing;
	enum poc_policy cache_clean;
	enum log_level log_level;
	int emulation; /* of accesses that the CPU does not describe to KVM: 1; 0: they abort */
	bool pmu;
	bool nested; /* vCPUs have an EL2 */
	bool e2h0; /* without VHE */
	struct tlbi_trap trap_tlbi;
	bool has_counter_offset;
	uint64_t counter_offset; /* ticks */
	bool pvtime;
	bool reboot; /* a guest that resets starts again */
	bool defaults; /* devices that nobody asked for */
};

/* The options of `run`, for struct config. */
extern const struct options config_options;

/*
 * As options_parse(), whose argv this is; the flags of disks are cut off the words they are in. No
 * defaults are left to be found out but those that depend on the host.
 */
int config_parse(struct config *config, enum config_flavour flavour, int argc, char **argv);

/* Parses the argument of --mem, for other commands that have it. -EINVAL, said. */
int config_parse_mem(const char *text, uint64_t *bytes);

#endif
