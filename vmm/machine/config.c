// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "machine/config.h"
#include "memmap.h"
#include "util.h"

#define CPUS_MAX     4096 /* of the parser; KVM's own limit is lower and checked later */
#define SVE_VL_STEP  128
#define SVE_VL_MAX   2048
#define HELP_INDENT  30
#define HELP_WIDTH   80
#define MEM_MULTIPLE KIB(64) /* the largest page that a host may have */

/* Numbers. */

static bool parse_number(const char *text, uint64_t max, uint64_t *value, char **rest)
{
	/* strtoull() takes a sign, and wraps what is negative. */
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, rest, 0);
	return errno == 0 && *value <= max;
}

static bool parse_whole_number(const char *text, uint64_t max, uint64_t *value)
{
	char *rest;

	return parse_number(text, max, value, &rest) && *rest == '\0';
}

/* Words that an option takes, and what they stand for. A list ends in an entry without a word. */
struct choice {
	const char *word;
	int value;
};

static bool parse_choice(const char *option, const char *text, const struct choice *choices,
			 int *value)
{
	char list[128] = "";

	for (int i = 0; choices[i].word; i++) {
		if (strcmp(text, choices[i].word) == 0) {
			*value = choices[i].value;
			return true;
		}
		if (i > 0)
			strcat(list, choices[i + 1].word ? ", " : " or ");
		strcat(list, choices[i].word);
	}
	log_error("--%s %s: must be %s", option, text, list);
	return false;
}

/* One function an option that takes more than a string or a flag. They say what is wrong. */

static bool set_mem(struct config *config, const char *text)
{
	static const char suffixes[] = "BKMGT";
	unsigned int shift = 20; /* a bare number counts MiB, as in lkvm */
	uint64_t number;
	char *rest;

	if (!parse_number(text, UINT64_MAX, &number, &rest))
		goto malformed;
	if (*rest != '\0') {
		const char *suffix = strchr(suffixes, toupper((unsigned char)*rest));

		if (!suffix || rest[1] != '\0')
			goto malformed;
		shift = 10 * (suffix - suffixes);
	}
	if (number > RAM_SIZE_MAX >> shift) {
		log_error("--mem %s: the memory map has room for %" PRIu64 "G at most", text,
			  RAM_SIZE_MAX >> 30);
		return false;
	}
	config->mem_size = number << shift;
	if (config->mem_size == 0 || config->mem_size % MEM_MULTIPLE != 0) {
		log_error("--mem %s: must be a multiple of 64K, and not nothing", text);
		return false;
	}
	return true;

malformed:
	log_error("--mem %s: must be a number of MiB, or a number with K, M or G", text);
	return false;
}

static bool set_cpus(struct config *config, const char *text)
{
	uint64_t number;

	if (!parse_whole_number(text, CPUS_MAX, &number) || number == 0) {
		log_error("--cpus %s: must be a number from 1 on, as far as KVM goes", text);
		return false;
	}
	config->cpus = number;
	return true;
}

static bool set_sve_max_vl(struct config *config, const char *text)
{
	uint64_t number;

	if (!parse_whole_number(text, SVE_VL_MAX, &number) || number == 0 ||
	    number % SVE_VL_STEP != 0) {
		log_error("--sve-max-vl %s: must be a multiple of %d bits up to %d", text,
			  SVE_VL_STEP, SVE_VL_MAX);
		return false;
	}
	config->sve_max_vl = number;
	return true;
}

static bool set_kaslr_seed(struct config *config, const char *text)
{
	config->has_kaslr_seed = true;
	if (parse_whole_number(text, UINT64_MAX, &config->kaslr_seed))
		return true;
	log_error("--kaslr-seed %s: must be a number of up to 64 bits", text);
	return false;
}

static bool set_counter_offset(struct config *config, const char *text)
{
	config->has_counter_offset = true;
	if (parse_whole_number(text, UINT64_MAX, &config->counter_offset))
		return true;
	log_error("--counter-offset %s: must be a number of ticks of up to 64 bits", text);
	return false;
}

static bool set_network(struct config *config, const char *text)
{
	(void)config;
	if (strcmp(text, "none") == 0 || strcmp(text, "mode=none") == 0)
		return true;
	log_error("--network %s: nidus has no network device, only mode=none", text);
	return false;
}

/* FILE[,ro][,direct]: the flags are cut off, so that what is left is the name. */
static bool set_disk(struct config *config, const char *text)
{
	struct config_disk *disk = &config->disks[config->disk_count];
	char *flag = strchr(text, ',');

	if (config->disk_count == CONFIG_DISKS_MAX) {
		log_error("--disk %s: there are %d disks already, and no more than that", text,
			  CONFIG_DISKS_MAX);
		return false;
	}
	*disk = (struct config_disk){ .path = text };
	while (flag) {
		char *name = flag + 1, *next = strchr(name, ',');

		*flag = '\0';
		if (next)
			*next = '\0';
		if (strcmp(name, "ro") == 0) {
			disk->read_only = true;
		} else if (strcmp(name, "direct") == 0) {
			disk->direct = true;
		} else {
			log_error("--disk %s,%s: what follows the name must be ro or direct", text,
				  name);
			return false;
		}
		flag = next;
	}
	config->disk_count++;
	return true;
}

/* POLICY[,shareable] */
static bool set_trap_tlbi(struct config *config, const char *text)
{
	static const struct {
		const char *words;
		struct tlbi_trap trap;
	} choices[] = {
		{ "off", { TLBI_OFF, false } },
		{ "all", { TLBI_ALL, false } },
		{ "all,shareable", { TLBI_ALL, true } },
		{ "precise", { TLBI_PRECISE, false } },
		{ "precise,shareable", { TLBI_PRECISE, true } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(choices); i++) {
		if (strcmp(text, choices[i].words) == 0) {
			config->trap_tlbi = choices[i].trap;
			return true;
		}
	}
	log_error("--trap-tlbi %s: must be off, all or precise, the last two perhaps with "
		  ",shareable",
		  text);
	return false;
}

static bool set_mem_backing(struct config *config, const char *text)
{
	static const struct choice choices[] = {
		{ "anon", MEMORY_ANON },
		{ "memfd", MEMORY_MEMFD },
		{ "hugetlbfs", MEMORY_HUGETLBFS },
		{ NULL, 0 },
	};
	int value;

	if (!parse_choice("mem-backing", text, choices, &value))
		return false;
	config->has_mem_backing = true;
	config->mem_backing = value;
	return true;
}

/* The options. */

static const struct choice consoles[] = {
	{ "serial", CONSOLE_SERIAL },
	{ "virtio", CONSOLE_VIRTIO },
	{ NULL, 0 },
};

static const struct choice irqchips[] = {
	{ "gicv3", GIC_V3 },
	{ "gicv3-its", GIC_V3_ITS },
	{ "gicv2", GIC_V2 },
	{ NULL, 0 },
};

static const struct choice transports[] = {
	{ "auto", TRANSPORT_AUTO },
	{ "pci", TRANSPORT_PCI },
	{ "mmio", TRANSPORT_MMIO },
	{ NULL, 0 },
};

static const struct choice block_engines[] = {
	{ "io_uring", DISK_ENGINE_IO_URING },
	{ "aio", DISK_ENGINE_AIO },
	{ "sync", DISK_ENGINE_SYNC },
	{ NULL, 0 },
};

static const struct choice cache_policies[] = {
	{ "touched", POC_TOUCHED },
	{ "all", POC_ALL },
	{ "none", POC_NONE },
	{ NULL, 0 },
};

static const struct choice nisv_ways[] = {
	{ "emulate", true },
	{ "abort", false },
	{ NULL, 0 },
};

static const struct choice log_levels[] = {
	{ "error", LOG_ERROR },
	{ "warning", LOG_WARNING },
	{ "info", LOG_INFO },
	{ "debug", LOG_DEBUG },
	{ NULL, 0 },
};

/*
 * One row an option; what is set is a string, a flag, what a word stands for, or whatever a
 * function makes of the text.
 */
struct row {
	const char *name;
	char letter; /* 0: none */
	const char *argument; /* how help calls it; NULL: takes none */
	const char *help;
	enum { TEXT, FLAG, CHOICE, CALL } action;
	size_t member; /* offset in struct config of what is set, not with CALL */
	bool value; /* of FLAG */
	const struct choice *choices; /* of CHOICE, whose member is an enum */
	bool (*set)(struct config *config, const char *text);
};

/* Versions of clang-format differ about these. */
/* clang-format off */
#define ROW_TEXT(name, letter, argument, member, help) \
	{ name, letter, argument, help, TEXT, offsetof(struct config, member), false, NULL, NULL }
#define ROW_FLAG(name, member, value, help) \
	{ name, 0, NULL, help, FLAG, offsetof(struct config, member), value, NULL, NULL }
#define ROW_CHOICE(name, argument, member, choices, help) \
	{ name, 0, argument, help, CHOICE, offsetof(struct config, member), false, choices, NULL }
#define ROW_CALL(name, letter, argument, set, help) \
	{ name, letter, argument, help, CALL, 0, false, NULL, set }
/* clang-format on */

static const struct row rows[] = {
	ROW_TEXT("kernel", 'k', "FILE", kernel,
		 "kernel: an arm64 Image, or a flat binary (required)"),
	ROW_TEXT("initrd", 'i', "FILE", initrd, "initial RAM disk"),
	ROW_TEXT("params", 'p', "TEXT", params, "the kernel's command line"),
	ROW_CALL("mem", 'm', "SIZE", set_mem,
		 "guest RAM in MiB, or with K, M or G (512M; as lkvm: 256M for one vCPU, 64M more "
		 "for each further one)"),
	ROW_CALL("cpus", 'c', "N", set_cpus, "number of vCPUs (1)"),
	ROW_CHOICE(
		"console", "KIND", console, consoles,
		"console of the guest, on nidus's own input and output: serial, a PL011 (ttyAMA0), or "
		"virtio, hvc0, beside a PL011 for early messages (serial)"),
	ROW_CHOICE(
		"irqchip", "KIND", irqchip, irqchips,
		"interrupt controller: gicv3, gicv3-its or gicv2 (gicv3 where the host has it, with "
		"an ITS where PCI is to have it; else gicv2)"),
	ROW_FLAG("pmu", pmu, true, "give the vCPUs a performance monitoring unit"),
	ROW_FLAG("nested", nested, true,
		 "give the vCPUs an EL2, so that the guest can be a hypervisor"),
	ROW_FLAG("e2h0", e2h0, true,
		 "with --nested: an EL2 without VHE, whose guests cannot be hypervisors again"),
	ROW_CALL("counter-offset", 0, "N", set_counter_offset,
		 "how many ticks the guest's counters are behind the host's (with --nested 0; "
		 "else the virtual one starts at 0)"),
	ROW_CALL(
		"trap-tlbi", 0, "POLICY", set_trap_tlbi,
		"have KVM trap TLB invalidations of the guest and count them: off, all (each "
		"invalidates everything) or precise (what it asks for); with ,shareable only those "
		"of a shareable domain (off)"),
	ROW_FLAG("no-pvtime", pvtime, false, "do not tell the guest about stolen time"),
	ROW_CALL("sve-max-vl", 0, "BITS", set_sve_max_vl,
		 "longest SVE vector, a multiple of 128 (the host's)"),
	ROW_CALL("kaslr-seed", 0, "N", set_kaslr_seed,
		 "seed of the kernel's address space randomization, 0 for none (random)"),
	ROW_CALL("disk", 'd', "FILE[,ro][,direct]", set_disk,
		 "a disk: a raw image or a block device; ro: the guest may only read it; direct: "
		 "past the host's page cache; up to 8 times (none)"),
	ROW_CHOICE("block-engine", "KIND", block_engine, block_engines,
		   "how disks are read and written: io_uring, aio or sync (io_uring)"),
	ROW_CHOICE(
		"virtio-transport", "KIND", transport, transports,
		"what virtio devices are attached by: pci, mmio or auto, which is pci where there "
		"is a disk and the host can (auto)"),
	ROW_FLAG("rng", rng, true, "a source of random numbers"),
	ROW_CALL("network", 'n', "mode=none", set_network, "no network device, as without it"),
	ROW_FLAG("nodefaults", defaults, false,
		 "leave out what was not asked for: the PL031 clock"),
	ROW_CALL("mem-backing", 0, "KIND", set_mem_backing,
		 "what RAM is made of: anon, memfd or hugetlbfs (anon)"),
	ROW_TEXT("hugetlbfs", 0, "DIR", hugetlbfs, "make RAM of pages from this hugetlbfs mount"),
	ROW_CHOICE("cache-clean", "POLICY", cache_clean, cache_policies,
		   "what is cleaned to the Point of Coherency before the first vCPU runs: touched, "
		   "all or none (touched)"),
	ROW_CHOICE("nisv", "WAY", emulation, nisv_ways,
		   "accesses to devices that the CPU does not describe to KVM: emulate or abort "
		   "(emulate)"),
	ROW_FLAG("no-reboot", reboot, false, "end when the guest resets (as lkvm: always)"),
	ROW_TEXT("name", 0, "NAME", name,
		 "a name for the guest, shown in statistics and of its threads"),
	ROW_TEXT("dump-dtb", 0, "FILE", dump_dtb, "write the guest's device tree to a file"),
	ROW_TEXT(
		"report", 0, "FILE", report,
		"what the guest writes to its virtio port org.nidus.report goes to a file, a pipe or "
		"a device; fd:N: to descriptor N"),
	ROW_TEXT("stats", 0, "FILE", stats_file,
		 "write statistics to a file at the end and on SIGUSR1"),
	ROW_CHOICE("loglevel", "LEVEL", log_level, log_levels,
		   "error, warning, info or debug (warning; as lkvm: info)"),
};

/* Options that lkvm has and nidus has not. Scripts that use them are told which one it was. */
static const struct {
	const char *name;
	char letter;
	int has_arg;
} refused[] = {
	{ "9p", 0, required_argument },
	{ "aarch32", 0, no_argument },
	{ "balloon", 0, no_argument },
	{ "debug", 0, no_argument },
	{ "debug-iodelay", 0, required_argument },
	{ "debug-ioport", 0, no_argument },
	{ "debug-mmio", 0, no_argument },
	{ "debug-nohostfs", 0, no_argument },
	{ "debug-single-step", 0, no_argument },
	{ "dev", 0, required_argument },
	{ "disable-mte", 0, no_argument },
	{ "firmware", 'f', required_argument },
	{ "firmware-address", 0, required_argument },
	{ "flash", 'F', required_argument },
	{ "force-pci", 0, no_argument },
	{ "gtk", 0, no_argument },
	{ "no-dhcp", 0, no_argument },
	{ "override-bad-firmware-cntfrq", 0, required_argument },
	{ "pmu-counters", 0, required_argument },
	{ "psci", 0, required_argument },
	{ "sandbox", 0, required_argument },
	{ "sdl", 0, no_argument },
	{ "shmem", 0, required_argument },
	{ "tty", 0, required_argument },
	{ "vcpu-affinity", 0, required_argument },
	{ "vfio-pci", 0, required_argument },
	{ "vidmode", 0, required_argument },
	{ "vnc", 0, no_argument },
	{ "vsock", 0, required_argument },
};

#define HELP_VALUE    1
#define ROW_VALUE     0x100
#define REFUSED_VALUE 0x200

/* What getopt_long() wants to know, made of the two tables. */
struct grammar {
	char letters[2 * (ARRAY_SIZE(rows) + ARRAY_SIZE(refused)) + 3];
	struct option options[ARRAY_SIZE(rows) + ARRAY_SIZE(refused) + 2];
};

static void grammar_add(struct grammar *grammar, const char *name, char letter, int has_arg,
			int value)
{
	size_t letters = strlen(grammar->letters), options = 0;

	while (grammar->options[options].name)
		options++;
	grammar->options[options] = (struct option){ name, has_arg, NULL, value };
	if (letter) {
		grammar->letters[letters++] = letter;
		if (has_arg == required_argument)
			grammar->letters[letters] = ':';
	}
}

static void grammar_create(struct grammar *grammar)
{
	/* The colon: a missing argument is told apart from an unknown option. */
	*grammar = (struct grammar){ .letters = ":" };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		grammar_add(grammar, rows[i].name, rows[i].letter,
			    rows[i].argument ? required_argument : no_argument, ROW_VALUE + i);
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		grammar_add(grammar, refused[i].name, refused[i].letter, refused[i].has_arg,
			    REFUSED_VALUE + i);
	grammar_add(grammar, "help", 'h', no_argument, HELP_VALUE);
}

static bool row_apply(const struct row *row, struct config *config, const char *text)
{
	void *member = (char *)config + row->member;

	switch (row->action) {
	case TEXT:
		*(const char **)member = text;
		return true;
	case FLAG:
		*(bool *)member = row->value;
		return true;
	case CHOICE:
		return parse_choice(row->name, text, row->choices, member);
	case CALL:
		return row->set(config, text);
	}
	return false;
}

/* From a letter back to the value that its long form has. */
static int value_of_letter(int value)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].letter && rows[i].letter == value)
			return ROW_VALUE + i;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (refused[i].letter && refused[i].letter == value)
			return REFUSED_VALUE + i;
	return value == 'h' ? HELP_VALUE : value;
}

/* What getopt_long() has just complained about: '?' an unknown option, ':' a missing argument. */
static void complain(int value, char **argv)
{
	const char *const what = value == ':' ? "needs an argument"
					      : "not an option of run (nidus help run lists them)";
	const bool known = optopt >= ROW_VALUE;

	/* A letter by itself may stand anywhere in a word; a long option is the word just passed.
	 */
	if (optopt != 0 && !known)
		log_error("-%c: %s", optopt, what);
	else
		log_error("%s: %s", argv[optind - 1], what);
}

static enum config_result parse_options(struct config *config, int argc, char **argv)
{
	struct grammar grammar;

	grammar_create(&grammar);
	opterr = 0;
	optind = 0;
	for (;;) {
		int value = getopt_long(argc, argv, grammar.letters, grammar.options, NULL);

		if (value == -1)
			return CONFIG_OK;
		if (value == '?' || value == ':') {
			complain(value, argv);
			return CONFIG_ERROR;
		}
		value = value_of_letter(value);
		if (value == HELP_VALUE)
			return CONFIG_HELP;
		if (value >= REFUSED_VALUE) {
			log_error("--%s: an option of lkvm that nidus does not have",
				  refused[value - REFUSED_VALUE].name);
			return CONFIG_ERROR;
		}
		if (!row_apply(&rows[value - ROW_VALUE], config, optarg))
			return CONFIG_ERROR;
	}
}

/* Defaults that depend on what was given, and what goes together. */
static enum config_result settle(struct config *config, enum config_flavour flavour)
{
	if (!config->kernel) {
		log_error("no kernel: name one with --kernel FILE");
		return CONFIG_ERROR;
	}
	if (config->mem_size == 0)
		config->mem_size =
			flavour == CONFIG_LKVM ? MIB(64) * ((uint64_t)config->cpus + 3) : MIB(512);
	if (config->hugetlbfs && !config->has_mem_backing)
		config->mem_backing = MEMORY_HUGETLBFS;
	if (config->hugetlbfs && config->mem_backing != MEMORY_HUGETLBFS) {
		log_error("--hugetlbfs with another --mem-backing: leave one of them out");
		return CONFIG_ERROR;
	}
	if (config->e2h0 && !config->nested) {
		log_error("--e2h0 without --nested: it says what kind of EL2 there is to be");
		return CONFIG_ERROR;
	}
	if (config->nested && config->irqchip == GIC_V2) {
		log_error("--nested with --irqchip gicv2: an EL2 takes gicv3 or gicv3-its");
		return CONFIG_ERROR;
	}
	if (config->nested && config->trap_tlbi.policy != TLBI_OFF) {
		log_error("--trap-tlbi with --nested: an EL2 traps TLBIs by itself; leave one of "
			  "them out");
		return CONFIG_ERROR;
	}
	if (config->transport == TRANSPORT_PCI && config->irqchip != GIC_AUTO &&
	    config->irqchip != GIC_V3_ITS) {
		log_error("--virtio-transport pci with this --irqchip: PCI takes gicv3-its");
		return CONFIG_ERROR;
	}
	if (config->params && strstr(config->params, "console=ttyS"))
		log_warning(
			"--params names console=ttyS..., but the serial console of a nidus guest "
			"is ttyAMA0");
	return CONFIG_OK;
}

enum config_result config_parse(struct config *config, enum config_flavour flavour, int argc,
				char **argv)
{
	enum config_result result;

	*config = (struct config){
		.cpus = 1,
		.log_level = flavour == CONFIG_LKVM ? LOG_INFO : LOG_WARNING,
		.emulation = true,
		.pvtime = true,
		.reboot = flavour == CONFIG_NIDUS,
		.defaults = true,
	};
	result = parse_options(config, argc, argv);
	if (result != CONFIG_OK)
		return result;

	/* As in lkvm, the kernel may also stand by itself. */
	if (optind < argc && !config->kernel)
		config->kernel = argv[optind++];
	if (optind < argc) {
		log_error("%s: run takes options and no further argument", argv[optind]);
		return CONFIG_ERROR;
	}
	return settle(config, flavour);
}

/* Prints text in lines that end before column HELP_WIDTH, all but the first indented. */
static void print_wrapped(FILE *stream, const char *text)
{
	int column = HELP_INDENT;

	while (*text) {
		int word = strcspn(text, " ");

		if (column + word >= HELP_WIDTH) {
			fprintf(stream, "\n%*s", HELP_INDENT, "");
			column = HELP_INDENT;
		}
		fprintf(stream, "%s%.*s", column > HELP_INDENT ? " " : "", word, text);
		column += word + 1;
		text += word + strspn(text + word, " ");
	}
	fputc('\n', stream);
}

void config_help(FILE *stream)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		char short_form[] = "    ";
		char left[HELP_INDENT];

		if (row->letter)
			snprintf(short_form, sizeof(short_form), "-%c, ", row->letter);
		snprintf(left, sizeof(left), "%s--%s%s%s", short_form, row->name,
			 row->argument ? " " : "", row->argument ? row->argument : "");
		fprintf(stream, "  %-*s", HELP_INDENT - 2, left);
		print_wrapped(stream, row->help);
	}
}
