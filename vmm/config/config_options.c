// SPDX-License-Identifier: GPL-2.0-only
/*
 * The options of `run`, each with what parses it, and those of lkvm that nidus does not have.
 */
#include "config/config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "memmap.h"
#include "options/number.h"
#include "served/served_type.h"
#include "util.h"

#define SVE_VL_STEP  128
#define SVE_VL_MAX   2048
#define MEM_MULTIPLE KIB(64) /* the largest page that a host may have */

/* Setters of what is more than a string, a flag, a word or a number. */

int config_parse_mem(const char *text, uint64_t *bytes)
{
	/* A bare number counts MiB, as in lkvm. */
	const int err = number_parse_size(text, 20, RAM_SIZE_MAX, bytes);

	if (err == -EINVAL)
		log_error("--mem %s: must be a number of MiB, or a number with K, M or G", text);
	else if (err < 0)
		log_error("--mem %s: the memory map has room for %" PRIu64 "G at most", text,
			  RAM_SIZE_MAX >> 30);
	else if (*bytes == 0 || *bytes % MEM_MULTIPLE != 0)
		log_error("--mem %s: must be a multiple of 64K, and not nothing", text);
	else
		return 0;
	return -EINVAL;
}

static int set_mem(void *object, const char *text)
{
	struct config *config = object;

	return config_parse_mem(text, &config->mem_size);
}

/* A format that nidus does not know, as its own word for it goes to who does. */
static bool is_format(const char *name)
{
	return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name) &&
	       strcmp(name, "auto") != 0;
}

static int set_disk_word(struct config_disk *disk, const char *word)
{
	if (strcmp(word, "ro") == 0) {
		disk->read_only = true;
	} else if (strcmp(word, "direct") == 0) {
		disk->direct = true;
	} else if (strncmp(word, "format=", 7) == 0 && is_format(word + 7)) {
		disk->format = strcmp(word + 7, "raw") == 0 ? NULL : word + 7;
	} else {
		log_error("--disk %s,%s: what follows the name must be ro, direct or "
			  "format=raw|qcow2|vmdk|vdi|vhdx...; none is guessed, as a guest can make "
			  "of a raw image whatever it likes",
			  disk->path, word);
		return -EINVAL;
	}
	return 0;
}

/* FILE[,ro][,direct][,format=...]: the words are cut off, so that what is left is the name. */
static int set_disk(void *object, const char *text)
{
	struct config *config = object;
	struct config_disk *disk = &config->disks[config->disk_count];
	char *flag = strchr(text, ',');

	if (config->disk_count == CONFIG_DISKS_MAX) {
		log_error("--disk %s: there are %d disks already, and no more than that", text,
			  CONFIG_DISKS_MAX);
		return -EINVAL;
	}
	*disk = (struct config_disk){ .path = text };
	while (flag) {
		char *const word = flag + 1, *const next = strchr(word, ',');

		*flag = '\0';
		if (next)
			*next = '\0';
		if (set_disk_word(disk, word) < 0)
			return -EINVAL;
		flag = next;
	}
	config->disk_count++;
	return 0;
}

/* DIR[,ro|,rw]: cut off as well. */
static int set_root(void *object, const char *text)
{
	struct config *config = object;
	char *flag = strchr(text, ',');

	config->root = text;
	config->root_writable = false;
	if (!flag)
		return 0;
	if (strcmp(flag, ",rw") != 0 && strcmp(flag, ",ro") != 0) {
		log_error("--root %s: what follows the name must be ro or rw", text);
		return -EINVAL;
	}
	*flag = '\0';
	config->root_writable = strcmp(flag + 1, "rw") == 0;
	return 0;
}

/* Words that stand for a struct: what they stand for is its place in traps. */
static const struct option_choice trap_words[] = {
	{ "off", 0 },
	{ "all", 1 },
	{ "all,shareable", 2 },
	{ "precise", 3 },
	{ "precise,shareable", 4 },
	{ NULL, 0 },
};

static int set_trap_tlbi(void *object, const char *text)
{
	static const struct tlbi_trap traps[] = {
		{ TLBI_OFF, false },	 { TLBI_ALL, false },	 { TLBI_ALL, true },
		{ TLBI_PRECISE, false }, { TLBI_PRECISE, true },
	};
	struct config *config = object;
	const struct option_choice *choice = options_find(trap_words, text);

	if (!choice) {
		log_error("--trap-tlbi %s: must be off, all or precise, the last two perhaps with "
			  ",shareable",
			  text);
		return -EINVAL;
	}
	config->trap_tlbi = traps[choice->value];
	return 0;
}

/* Words. */

static const struct option_choice backings[] = {
	{ "anon", MEMORY_ANON },
	{ "memfd", MEMORY_MEMFD },
	{ "hugetlbfs", MEMORY_HUGETLBFS },
	{ NULL, 0 },
};

static const struct option_choice consoles[] = {
	{ "serial", CONSOLE_SERIAL },
	{ "virtio", CONSOLE_VIRTIO },
	{ NULL, 0 },
};

static const struct option_choice irqchips[] = {
	{ "gicv3", GIC_V3 },
	{ "gicv3-its", GIC_V3_ITS },
	{ "gicv2", GIC_V2 },
	{ NULL, 0 },
};

static const struct option_choice transports[] = {
	{ "auto", TRANSPORT_AUTO },
	{ "pci", TRANSPORT_PCI },
	{ "mmio", TRANSPORT_MMIO },
	{ NULL, 0 },
};

static const struct option_choice block_engines[] = {
	{ "io_uring", DISK_ENGINE_IO_URING },
	{ "aio", DISK_ENGINE_AIO },
	{ "sync", DISK_ENGINE_SYNC },
	{ NULL, 0 },
};

static const struct option_choice cache_policies[] = {
	{ "touched", POC_TOUCHED },
	{ "all", POC_ALL },
	{ "none", POC_NONE },
	{ NULL, 0 },
};

static const struct option_choice nisv_ways[] = {
	{ "emulate", true },
	{ "abort", false },
	{ NULL, 0 },
};

static const struct option_choice sandbox_modes[] = {
	{ "on", SANDBOX_ON },
	{ "full", SANDBOX_FULL },
	{ "report", SANDBOX_REPORT },
	{ "off", SANDBOX_OFF },
	{ NULL, 0 },
};

static const struct option_choice log_levels[] = {
	{ "error", LOG_ERROR },
	{ "warning", LOG_WARNING },
	{ "info", LOG_INFO },
	{ "debug", LOG_DEBUG },
	{ NULL, 0 },
};

static const struct option_choice clock_ways[] = {
	{ "stopped", false },
	{ "running", true },
	{ NULL, 0 },
};

/* For completion. */
static const struct option_choice networks[] = {
	{ "mode=user", NETWORK_USER },
	{ "mode=tap", NETWORK_TAP },
	{ "mode=none", NETWORK_NONE },
	{ NULL, 0 },
};

/* The options. */

/* What the guest is, and what it is started from. */
static const struct option_row rows[] = {
	{ OPTION("kernel", 'k', "FILE", "kernel: an arm64 Image, or a flat binary (required)"),
	  OPTION_TEXT(struct config, kernel), OPTION_FILE },
	{ OPTION("initrd", 'i', "FILE", "initial RAM disk"), OPTION_TEXT(struct config, initrd),
	  OPTION_FILE },
	{ OPTION("params", 'p', "TEXT", "the kernel's command line"),
	  OPTION_TEXT(struct config, params) },
	{ OPTION("firmware", 'f', "FILE[,vars=FILE]",
		 "firmware to start by in place of a kernel, in flash memory at 0, and the file "
		 "that it keeps its variables in, made where there is none (as lkvm: a binary that "
		 "is loaded to RAM)"),
	  OPTION_CALL(config_set_firmware), OPTION_FILE },
	{ OPTION("firmware-address", 0, "ADDRESS",
		 "as lkvm: where in RAM the firmware goes (its beginning)"),
	  OPTION_CALL(config_set_firmware_address) },
	{ OPTION("module", 0, "FILE[,kernel|ramdisk|kind=KIND][,node=PATH][,args=TEXT]",
		 "a file that is loaded to RAM, for a hypervisor that finds it by the device tree "
		 "as a multiboot module; node: where in the tree (/chosen); args: its command "
		 "line; up to 16 times (none)"),
	  OPTION_CALL(config_add_module), OPTION_FILE },
	{ OPTION("dtb", 0, "FILE",
		 "a device tree in place of the one that nidus makes, which has to have what that "
		 "says of CPUs and interrupt controller; memory and chosen are filled in"),
	  OPTION_TEXT(struct config, dtb), OPTION_FILE },
	{ OPTION("dtb-overlay", 0, "FILE",
		 "an overlay that is applied to the device tree; up to 8 times (none)"),
	  OPTION_CALL(config_add_overlay), OPTION_FILE },
	{ OPTION("mem", 'm', "SIZE",
		 "guest RAM in MiB, or with K, M or G (512M; as lkvm: 256M for one vCPU, "
		 "64M more for each further one)"),
	  OPTION_CALL(set_mem) },
	{ OPTION("cpus", 'c', "N", "number of vCPUs (1)"),
	  OPTION_NUMBER(struct config, cpus, 1, CONFIG_CPUS_MAX) },
	{ OPTION("console", 0, "KIND",
		 "console of the guest, on nidus's own input and output: serial, a PL011 "
		 "(ttyAMA0), or virtio, hvc0, beside a PL011 for early messages (serial)"),
	  OPTION_CHOICE(struct config, console, consoles) },
	{ OPTION("irqchip", 0, "KIND",
		 "interrupt controller: gicv3, gicv3-its or gicv2 (gicv3 where the host "
		 "has it, with an ITS where PCI is to have it; else gicv2)"),
	  OPTION_CHOICE(struct config, irqchip, irqchips) },
	{ OPTION("pmu", 0, NULL, "give the vCPUs a performance monitoring unit"),
	  OPTION_FLAG(struct config, pmu, true) },
	{ OPTION("mte", 0, NULL,
		 "give the vCPUs memory tagging, FEAT_MTE2 (as lkvm: where the host can)"),
	  OPTION_FLAG(struct config, mte, true), OPTION_GIVEN(struct config, has_mte) },
	{ OPTION("disable-mte", 0, NULL, "as lkvm: no memory tagging"),
	  OPTION_FLAG(struct config, mte, false), OPTION_GIVEN(struct config, has_mte) },
	{ OPTION("nested", 0, NULL, "give the vCPUs an EL2, so that the guest can be a hypervisor"),
	  OPTION_FLAG(struct config, nested, true) },
	{ OPTION("e2h0", 0, NULL,
		 "with --nested: an EL2 without VHE, whose guests cannot be hypervisors "
		 "again"),
	  OPTION_FLAG(struct config, e2h0, true) },
	{ OPTION("counter-offset", 0, "N",
		 "how many ticks the guest's counters are behind the host's (with "
		 "--nested 0; else the virtual one starts at 0)"),
	  OPTION_NUMBER(struct config, counter_offset, 0, UINT64_MAX),
	  OPTION_GIVEN(struct config, has_counter_offset) },
	{ OPTION("trap-tlbi", 0, "POLICY",
		 "have KVM trap TLB invalidations of the guest and count them: off, all "
		 "(each invalidates everything) or precise (what it asks for); with "
		 ",shareable only those of a shareable domain (off)"),
	  OPTION_CALL(set_trap_tlbi), .choices = trap_words },
	{ OPTION("no-pvtime", 0, NULL, "do not tell the guest about stolen time"),
	  OPTION_FLAG(struct config, pvtime, false) },
	{ OPTION("sve-max-vl", 0, "BITS", "longest SVE vector, a multiple of 128 (the host's)"),
	  OPTION_NUMBER(struct config, sve_max_vl, SVE_VL_STEP, SVE_VL_MAX), .step = SVE_VL_STEP },
	{ OPTION("kaslr-seed", 0, "N",
		 "seed of the kernel's address space randomization, 0 for none (random)"),
	  OPTION_NUMBER(struct config, kaslr_seed, 0, UINT64_MAX),
	  OPTION_GIVEN(struct config, has_kaslr_seed) },
	{ OPTION("root", 0, "DIR[,rw]",
		 "a directory that is the guest's root: it may only read it, and what it writes "
		 "is forgotten; rw: it writes to it (none)"),
	  OPTION_CALL(set_root), OPTION_DIRECTORY },
	{ OPTION("virtio-transport", 0, "KIND",
		 "how virtio devices are attached: by pci, mmio or auto, which is pci "
		 "where there is a disk or a network and the host can (auto)"),
	  OPTION_CHOICE(struct config, transport, transports) },
	{ OPTION("rng", 0, NULL, "a source of random numbers"),
	  OPTION_FLAG(struct config, rng, true) },
	{ OPTION("balloon", 0, NULL,
		 "a balloon, by which the guest gives memory back to the host: what it is asked for "
		 "(nidus balloon), and pages that it has free"),
	  OPTION_FLAG(struct config, balloon, true) },
	{ OPTION("iommu", 0, NULL,
		 "an IOMMU that disks, networks and devices of the host are behind, so that a "
		 "guest that is a hypervisor can hand them to its own guests"),
	  OPTION_FLAG(struct config, iommu, true) },
	{ OPTION("fs", 0, "TAG=DIR[,ro]",
		 "a directory of the host as a file system of type virtiofs with that tag, served "
		 "by virtiofsd; ro: the guest may only read it; up to 8 times (none)"),
	  OPTION_CALL(config_add_fs), OPTION_DIRECTORY },
	{ OPTION("vsock", 0, "CID",
		 "a socket device by which the guest, as CID, and the host reach each other (none)"),
	  OPTION_NUMBER(struct config, vsock_cid, SERVED_CID_MIN, SERVED_CID_MAX) },
	{ OPTION("vhost-user", 0, "TYPE,socket=PATH[,KEY=VALUE]...",
		 "a device that another process serves, which listens at a socket: fs, blk, vsock, "
		 "rng, input, scmi, snd, i2c, can, gpio or the number of a virtio device; further words "
		 "are tag, queues, config, reconnect; up to 8 times (none)"),
	  OPTION_CALL(config_add_vhost_user) },
	{ OPTION("vfio", 0, "HOST",
		 "a PCI device of the host, bound to vfio-pci, that the guest has as its own, with all "
		 "of its RAM pinned: 0000:00:02.0 or /dev/vfio/devices/vfioN; up to 8 times (none)"),
	  OPTION_CALL(config_add_vfio) },
	{ OPTION("nodefaults", 0, NULL, "leave out what was not asked for: the PL031 clock"),
	  OPTION_FLAG(struct config, defaults, false) },
	{ OPTION("cache-clean", 0, "POLICY",
		 "what is cleaned to the Point of Coherency before the first vCPU runs: "
		 "touched, all or none (touched)"),
	  OPTION_CHOICE(struct config, cache_clean, cache_policies) },
	{ OPTION("nisv", 0, "WAY",
		 "accesses to devices that the CPU does not describe to KVM: emulate or "
		 "abort (emulate)"),
	  OPTION_CHOICE(struct config, emulation, nisv_ways) },
	{ OPTION("no-reboot", 0, NULL, "end when the guest resets (as lkvm: always)"),
	  OPTION_FLAG(struct config, reboot, false) },
	{ OPTION("dump-dtb", 0, "FILE", "write the guest's device tree to a file"),
	  OPTION_TEXT(struct config, dump_dtb), OPTION_FILE },
};

/* What is the host's: a guest that is restored has them as well. */
static const struct option_row host_rows[] = {
	{ OPTION("disk", 'd', "FILE[,ro][,direct][,format=KIND]",
		 "a disk: a raw image or a block device; ro: the guest may only read it; "
		 "direct: past the host's page cache; format: qcow2, vmdk, vdi, vhdx or another "
		 "that qemu-storage-daemon knows, which serves it then; up to 8 times; a directory "
		 "is taken as by --root (none)"),
	  OPTION_CALL(set_disk), OPTION_FILE },
	{ OPTION("block-engine", 0, "KIND",
		 "how disks are read and written: io_uring, aio or sync (io_uring)"),
	  OPTION_CHOICE(struct config, block_engine, block_engines) },
	{ OPTION("flash", 'F', "FILE",
		 "flash memory at 0x4000000 that the guest may write to, kept in a file, made where "
		 "there is none; the same as vars (none)"),
	  OPTION_TEXT(struct config, flash), OPTION_FILE },
	{ OPTION("network", 'n', "mode=user|tap|none[,KEY=VALUE]...",
		 "a network device, on passt (user) or a tap device of the host; further words "
		 "are trans=pci|mmio, guest_mac, guest_ip, host_ip, vhost=0|1, of user "
		 "forward=tcp:HOST:GUEST, of tap tapif, fd, bridge, script, downscript, host_mac, mq; up "
		 "to 4 times (none; as lkvm: user)"),
	  OPTION_CALL(config_add_network), .choices = networks },
	{ OPTION("mem-backing", 0, "KIND", "what RAM is made of: anon, memfd or hugetlbfs (anon)"),
	  OPTION_CHOICE(struct config, mem_backing, backings),
	  OPTION_GIVEN(struct config, has_mem_backing) },
	{ OPTION("hugetlbfs", 0, "DIR", "make RAM of pages from this hugetlbfs mount"),
	  OPTION_TEXT(struct config, hugetlbfs), OPTION_DIRECTORY },
	{ OPTION("sandbox", 0, "MODE",
		 "what nidus gives up before the guest starts: on, full (namespaces of its own "
		 "besides), report (tells what is forbidden, and lets it through) or off (on)"),
	  OPTION_CHOICE(struct config, sandbox, sandbox_modes) },
	{ OPTION("name", 0, "NAME",
		 "a name for the guest, shown in statistics and of its threads, and by which it is watched and "
		 "controlled"),
	  OPTION_TEXT(struct config, name) },
	{ OPTION("report", 0, "FILE",
		 "what the guest writes to its virtio port org.nidus.report goes to a "
		 "file, a pipe or a device; fd:N: to descriptor N"),
	  OPTION_TEXT(struct config, report), OPTION_FILE },
	{ OPTION("control", 0, "PATH",
		 "a socket by which the guest is watched and controlled (that of its name)"),
	  OPTION_TEXT(struct config, control), OPTION_FILE },
	{ OPTION("pidfile", 0, "FILE",
		 "write the process id to a file, which is removed at the end"),
	  OPTION_TEXT(struct config, pidfile), OPTION_FILE },
	{ OPTION("stats", 0, "FILE", "write statistics to a file at the end and on SIGUSR1"),
	  OPTION_TEXT(struct config, stats_file), OPTION_FILE },
	{ OPTION("gdb", 0, "WHERE",
		 "listen for a debugger, GDB's remote protocol: tcp:PORT of this machine, "
		 "unix:PATH or fd:N, an open socket (none)"),
	  OPTION_TEXT(struct config, gdb) },
	{ OPTION("gdb-wait", 0, NULL, "the guest begins when a debugger lets it"),
	  OPTION_FLAG(struct config, gdb_wait, true) },
	{ OPTION("loglevel", 0, "LEVEL", "error, warning, info or debug (warning; as lkvm: info)"),
	  OPTION_CHOICE(struct config, log_level, log_levels) },
};

/* Scripts that use one of these are told which one it was. */
#define REFUSED(name, letter, argument) \
	OPTION(name, letter, argument, "an option of lkvm that nidus does not have"), OPTION_REFUSED

static const struct option_row lkvm_rows[] = {
	{ REFUSED("9p", 0, "ARGUMENT") },
	{ REFUSED("aarch32", 0, NULL) },
	{ REFUSED("debug", 0, NULL) },
	{ REFUSED("debug-iodelay", 0, "ARGUMENT") },
	{ REFUSED("debug-ioport", 0, NULL) },
	{ REFUSED("debug-mmio", 0, NULL) },
	{ REFUSED("debug-nohostfs", 0, NULL) },
	{ REFUSED("debug-single-step", 0, NULL) },
	{ REFUSED("dev", 0, "ARGUMENT") },
	{ REFUSED("force-pci", 0, NULL) },
	{ REFUSED("gtk", 0, NULL) },
	{ REFUSED("no-dhcp", 0, NULL) },
	{ REFUSED("override-bad-firmware-cntfrq", 0, "ARGUMENT") },
	{ REFUSED("pmu-counters", 0, "ARGUMENT") },
	{ REFUSED("psci", 0, "ARGUMENT") },
	{ REFUSED("sdl", 0, NULL) },
	{ REFUSED("shmem", 0, "ARGUMENT") },
	{ REFUSED("tty", 0, "ARGUMENT") },
	{ REFUSED("vcpu-affinity", 0, "ARGUMENT") },
	{ REFUSED("vfio-pci", 0, "ARGUMENT") },
	{ REFUSED("vidmode", 0, "ARGUMENT") },
	{ REFUSED("vnc", 0, NULL) },
};

static const struct option_group groups[] = {
	{ rows, ARRAY_SIZE(rows) },
	{ host_rows, ARRAY_SIZE(host_rows) },
	{ lkvm_rows, ARRAY_SIZE(lkvm_rows) },
};

const struct options config_options = {
	.command = "run",
	.groups = groups,
	.group_count = ARRAY_SIZE(groups),
	.names = OPTION_NAMES_FILE,
};

static int add_base(void *target, const char *text)
{
	struct config *config = target;

	if (config->base_count == CONFIG_BASES_MAX) {
		log_error("--base %s: there are %d already, and no more than that", text,
			  CONFIG_BASES_MAX);
		return -EINVAL;
	}
	config->bases[config->base_count++] = text;
	return 0;
}

/* Only for a guest that is restored. */
static const struct option_row restore_rows[] = {
	{ OPTION("base", 0, "FILE",
		 "what FILE is an increment to (snapshot --base), and that to its own base, in any "
		 "order; up to 16 times (none)"),
	  OPTION_CALL(add_base), OPTION_FILE },
	{ OPTION("clock", 0, "WAY",
		 "what of the time since it was saved the guest sees: stopped, its counters go on "
		 "from where they were, or running, as if they had gone on (stopped)"),
	  OPTION_CHOICE(struct config, clock_runs, clock_ways) },
	{ OPTION("count", 0, "N",
		 "so many copies, named NAME-1 and so on; in the words of other options {} stands "
		 "for the number of each (one guest, named NAME)"),
	  OPTION_NUMBER(struct config, copies, 1, CONFIG_COPIES_MAX) },
	{ OPTION("from", 0, "WHERE",
		 "in place of a file, a guest that moves here while it runs (nidus migrate): one is "
		 "waited for at unix:PATH or tcp:ADDRESS:PORT, or comes by exec:COMMAND or by fd:N, "
		 "a connected socket (none)"),
	  OPTION_TEXT(struct config, from) },
};

static const struct option_group restore_groups[] = {
	{ host_rows, ARRAY_SIZE(host_rows) },
	{ restore_rows, ARRAY_SIZE(restore_rows) },
};

const struct options config_restore_options = {
	.command = "restore",
	.groups = restore_groups,
	.group_count = ARRAY_SIZE(restore_groups),
	.names = OPTION_NAMES_FILE,
};
