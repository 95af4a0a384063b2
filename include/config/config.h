/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the command line of `nidus run` asks for. Parsing opens nothing and changes nothing.
 */
#ifndef NIDUS_CONFIG_H
#define NIDUS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/passt.h"
#include "cpu/gic.h"
#include "cpu/tlbi.h"
#include "disk.h"
#include "host/log.h"
#include "link.h"
#include "mm/memory.h"
#include "mm/poc.h"
#include "options/options.h"
#include "sandbox/sandbox.h"
#include "state/state.h"

enum config_console { CONSOLE_SERIAL, CONSOLE_VIRTIO };

#define CONFIG_DISKS_MAX  8
#define CONFIG_COPIES_MAX 256
#define CONFIG_CPUS_MAX	  4096 /* of the parser; KVM's own limit is lower and checked later */

struct config_disk {
	const char *path;
	bool read_only;
	bool direct; /* past the host's page cache */
	const char *format; /* NULL: raw, nidus's own; else qemu-storage-daemon's */
};

/* A directory of the host. */
struct config_fs {
	const char *tag, *directory;
	bool read_only;
	bool no_submounts; /* as struct served_fs_options has it */
};

/* A device that another process serves; what was not given is NULL or 0. */
struct config_vhost_user {
	const char *type;
	uint32_t device_id; /* virtio 1.3, 5 */
	const char *socket;
	const char *tag; /* of a file system */
	unsigned int queues;
	unsigned int config_size; /* bytes */
	unsigned int reconnect; /* seconds */
};

#define CONFIG_MODULES_MAX  16
#define CONFIG_OVERLAYS_MAX 8
#define CONFIG_BASES_MAX    16

/* A file in RAM that the device tree tells of; what was not given is NULL. */
struct config_module {
	const char *path;
	const char *kind; /* kernel, ramdisk, ... */
	const char *params;
	const char *node; /* a path, that which tells of it is under it; never NULL */
};

#define CONFIG_FILESYSTEMS_MAX 8
#define CONFIG_VHOST_USERS_MAX 8
#define CONFIG_VFIO_MAX	       8
#define CONFIG_ROOT_TAG	       "nidus-root"

/* How virtio devices are attached. */
enum config_transport {
	TRANSPORT_AUTO, /* PCI where there is a disk or a network and the host has an ITS, else MMIO
			 */
	TRANSPORT_PCI,
	TRANSPORT_MMIO,
};

enum network_mode { NETWORK_USER, NETWORK_TAP, NETWORK_NONE };

#define CONFIG_NETWORKS_MAX   4
#define CONFIG_INTERFACE_NAME 16 /* bytes of an interface's name, with its end */

struct config_mac {
	bool given;
	uint8_t byte[LINK_ADDRESS];
};

/* A network device and what it is connected to; what was not given is NULL, 0 or not given. */
struct config_network {
	enum network_mode mode;
	bool by_default; /* nobody asked for it: without it where the host cannot */
	enum config_transport transport; /* TRANSPORT_AUTO: that of the others */
	enum link_vhost vhost;
	struct config_mac guest_mac, host_mac;
	const char *guest_ip, *host_ip; /* IPv4, dotted */
	const char *tapif, *bridge, *script, *downscript;
	int fd; /* of an open tap device, or -1 */
	unsigned int pairs; /* of queues */
	const char *forward[PASST_FORWARDS_MAX]; /* as passt_forward_parse() takes them */
	unsigned int forward_count;
};

/* Whose defaults hold: those of the name that nidus was called by. */
enum config_flavour { CONFIG_NIDUS, CONFIG_LKVM };

struct archive;
struct migration_receiver;
struct snapshot;

struct config {
	/* Strings are argv's. */
	const char *name; /* NULL: none given */
	const char *kernel; /* NULL: there is firmware */
	uint64_t kernel_address; /* GPA that it is loaded to, whatever it is; 0: what it says */
	const char *firmware; /* in flash, which the guest starts by; NULL: there is a kernel */
	const char *flash; /* file of what firmware keeps in flash, or NULL */
	uint64_t flash_sizes[2]; /* of a guest that was saved: bytes of each bank, 0: none */
	struct config_module modules[CONFIG_MODULES_MAX];
	unsigned int module_count;
	const char *dtb; /* a device tree in place of ours, or NULL */
	const char *overlays[CONFIG_OVERLAYS_MAX];
	unsigned int overlay_count;
	/* What the guest goes on from, set by no option; NULL: it starts from the beginning. */
	const struct snapshot *snapshot;
	const char *bases[CONFIG_BASES_MAX]; /* of that, as the user has them */
	unsigned int base_count;
	/* Or what it comes by from another nidus, likewise. */
	struct migration_receiver *migration;
	const char *from; /* where that is waited for, or NULL */
	const char *initrd; /* NULL: none */
	const struct archive
		*initramfs; /* set by no option, but for a level of a nest or a root, or NULL */
	const char *params; /* NULL: none */
	const char *hugetlbfs; /* mount point, or NULL */
	const char *dump_dtb; /* file, or NULL */
	const char *report; /* file or fd:N, or NULL */
	const char *stats_file; /* or NULL */
	const char *control; /* socket that nidus is controlled by, or NULL: by the guest's name */
	const char *pidfile; /* or NULL */
	const char *gdb; /* where a debugger is listened for, or NULL */

	uint64_t mem_size; /* bytes */
	unsigned int cpus;
	unsigned int sve_max_vl; /* bits, 0: the host's */
	bool has_kaslr_seed, has_mem_backing;
	uint64_t kaslr_seed;
	enum config_console console;
	struct config_disk disks[CONFIG_DISKS_MAX];
	unsigned int disk_count;
	enum disk_engine_kind block_engine;
	struct config_network networks[CONFIG_NETWORKS_MAX];
	unsigned int network_count;
	bool has_network; /* the option was given, mode=none included */
	struct config_fs filesystems[CONFIG_FILESYSTEMS_MAX];
	unsigned int filesystem_count;
	const char *root; /* a directory that is the guest's root, or NULL */
	bool root_writable;
	uint32_t vsock_cid; /* 0: there is no vsock */
	struct config_vhost_user vhost_users[CONFIG_VHOST_USERS_MAX];
	unsigned int vhost_user_count;
	const char *vfio[CONFIG_VFIO_MAX]; /* devices of the host, as vfio_name_is_one() has them */
	unsigned int vfio_count;
	bool rng;
	bool balloon;
	bool iommu; /* disks and networks are behind one */
	enum config_transport transport;
	enum gic_kind irqchip;
	enum memory_backing mem_backing;
	enum poc_policy cache_clean;
	enum log_level log_level;
	int emulation; /* of accesses that the CPU does not describe to KVM: 1; 0: they abort */
	bool pmu;
	bool mte; /* vCPUs have memory tagging: in any case if has_mte, else where the host can */
	bool has_mte;
	bool nested; /* vCPUs have an EL2 */
	bool e2h0; /* without VHE */
	struct tlbi_trap trap_tlbi;
	bool has_counter_offset;
	uint64_t counter_offset; /* ticks */
	bool pvtime;
	enum sandbox_mode sandbox;
	bool reboot; /* a guest that resets starts again */
	bool defaults; /* devices that nobody asked for */
	bool gdb_wait; /* a debugger lets the guest begin */
	unsigned int
		copies; /* of a guest that is restored, each a process; 0: this is the guest's */
	int clock_runs; /* if it goes on: the time since it was saved has gone by for the guest */
};

/* Whether the guest goes on from where it was, and does not start from the beginning. */
static inline bool config_goes_on(const struct config *config)
{
	return config->snapshot || config->migration;
}

static inline bool config_has_flash(const struct config *config)
{
	return config->firmware || config->flash || config->flash_sizes[0] > 0 ||
	       config->flash_sizes[1] > 0;
}

/* The options of `run`, for struct config. */
extern const struct options config_options;

/*
 * As options_parse(), whose argv this is; the flags of disks are cut off the words they are in. No
 * defaults are left to be found out but those that depend on the host.
 */
int config_parse(struct config *config, enum config_flavour flavour, int argc, char **argv);

/*
 * The options of `restore`, and their parser: what the guest is comes from elsewhere
 * (config_restore_guest()). words as options_parse() has them.
 */
extern const struct options config_restore_options;
int config_parse_restore(struct config *config, int argc, char **argv, struct options_words *words);

/* What the guest got, where a configuration leaves it to the host. */
struct config_made {
	enum gic_kind irqchip;
	bool report; /* a port for reports */
	bool mte; /* vCPUs have memory tagging */
	uint64_t flash_sizes[2]; /* bytes of each bank, 0: none */
};

/* What of a configuration is the guest's: record "guest". */
void config_save_guest(const struct config *config, const struct config_made *made,
		       struct state_writer *writer);
/* Into a configuration that has what is the host's; what does not go with it is said. */
void config_restore_guest(struct config *config, struct state_reader *reader);

/*
 * Parses the argument of --network, for other commands that have it; its words are cut apart where
 * they stand. -EINVAL, said.
 */
int config_parse_network(struct config_network *network, char *text);

/*
 * Makes root a file system as well. For who finds out what is the root when all is
 * parsed; the parser does it for --root. Errors: -EINVAL, said.
 */
int config_add_root(struct config *config);

/* The setter of that option; object is a struct config. Errors: -EINVAL, said. */
int config_add_network(void *object, const char *text);

/* The setters of --fs, --vhost-user and --vfio; as config_add_network(). */
int config_add_fs(void *object, const char *text);
int config_add_vhost_user(void *object, const char *text);
int config_add_vfio(void *object, const char *text);

/* Those of --firmware, --firmware-address, --module and --dtb-overlay; likewise. */
int config_set_firmware(void *object, const char *text);
int config_set_firmware_address(void *object, const char *text);
int config_add_module(void *object, const char *text);
int config_add_overlay(void *object, const char *text);

/* Whether somebody else serves a device. */
bool config_has_served(const struct config *config);

/* Whether what the guest has, or had when it was saved, goes with what the host gives. -EINVAL,
 * said. */
int config_check_guest(const struct config *config);

/* The option for which another process has to map the guest's RAM, in any case; or NULL. */
const char *config_shares_memory(const struct config *config);

/* Parses the argument of --mem, for other commands that have it. -EINVAL, said. */
int config_parse_mem(const char *text, uint64_t *bytes);

#endif
