// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command_line.h"
#include "memmap.h"
#include "options/help.h"
#include "unit.h"
#include "util.h"

static struct config config;

static int parse_as(enum config_flavour flavour, const char *line)
{
	return command_line_parse(&config, flavour, line);
}

static int parse(const char *line)
{
	return parse_as(CONFIG_NIDUS, line);
}

static void assert_refused(const char *line, const char *message)
{
	assert_int_equal(parse(line), -EINVAL);
	assert_said(message);
}

/* Defaults. */

static void defaults_of_nidus(void **state)
{
	assert_int_equal(parse("-k Image"), 0);
	assert_string_equal(config.kernel, "Image");
	assert_null(config.name);
	assert_null(config.initrd);
	assert_null(config.params);
	assert_null(config.hugetlbfs);
	assert_null(config.dump_dtb);
	assert_null(config.stats_file);
	assert_int_equal(config.mem_size, MIB(512));
	assert_int_equal(config.cpus, 1);
	assert_int_equal(config.sve_max_vl, 0);
	assert_false(config.has_kaslr_seed);
	assert_int_equal(config.irqchip, GIC_AUTO);
	assert_int_equal(config.mem_backing, MEMORY_ANON);
	assert_int_equal(config.cache_clean, POC_TOUCHED);
	assert_true(config.emulation);
	assert_int_equal(config.log_level, LOG_WARNING);
	assert_false(config.pmu);
	assert_true(config.pvtime);
	assert_true(config.reboot);
	assert_true(config.defaults);
	assert_silent();
}

static void defaults_of_lkvm(void **state)
{
	static const struct {
		const char *line;
		uint64_t mem_size;
	} cases[] = {
		{ "-k Image", MIB(256) },
		{ "-k Image -c 2", MIB(320) },
		{ "-k Image -c 8", MIB(704) },
		{ "-c 8 -m 100 -k Image", MIB(100) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse_as(CONFIG_LKVM, cases[i].line), 0);
		assert_int_equal(config.mem_size, cases[i].mem_size);
		assert_false(config.reboot);
		assert_int_equal(config.log_level, LOG_INFO);
		assert_true(config.pvtime);
		assert_true(config.defaults);
	}
}

/* Options. */

static void strings_are_taken_as_they_are(void **state)
{
	static const struct {
		const char *line;
		size_t member;
		const char *value;
	} cases[] = {
		{ "--kernel Image", offsetof(struct config, kernel), "Image" },
		{ "--kernel=Image", offsetof(struct config, kernel), "Image" },
		{ "-kImage", offsetof(struct config, kernel), "Image" },
		{ "-k a -k b", offsetof(struct config, kernel), "b" },
		{ "-k a -i rd", offsetof(struct config, initrd), "rd" },
		{ "-k a --initrd rd", offsetof(struct config, initrd), "rd" },
		{ "-k a --initrd=rd", offsetof(struct config, initrd), "rd" },
		{ "-k a -p quiet", offsetof(struct config, params), "quiet" },
		{ "-k a --params root=/dev/vda", offsetof(struct config, params), "root=/dev/vda" },
		{ "-k a --params=a=b", offsetof(struct config, params), "a=b" },
		{ "-k a --params=", offsetof(struct config, params), "" },
		{ "-k a --name wren", offsetof(struct config, name), "wren" },
		{ "-k a --name=wren", offsetof(struct config, name), "wren" },
		{ "-k a --dump-dtb f", offsetof(struct config, dump_dtb), "f" },
		{ "-k a --dump-dtb=f", offsetof(struct config, dump_dtb), "f" },
		{ "-k a --stats f", offsetof(struct config, stats_file), "f" },
		{ "-k a --stats=f", offsetof(struct config, stats_file), "f" },
		{ "-k a --hugetlbfs /m", offsetof(struct config, hugetlbfs), "/m" },
		{ "-k a --hugetlbfs=/m", offsetof(struct config, hugetlbfs), "/m" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *value;

		assert_int_equal(parse(cases[i].line), 0);
		value = *(const char **)((char *)&config + cases[i].member);
		assert_non_null(value);
		assert_string_equal(value, cases[i].value);
		assert_silent();
	}
}

static void flags_are_set_and_cleared(void **state)
{
	assert_int_equal(parse("--pmu --no-pvtime --nodefaults --no-reboot -k Image"), 0);
	assert_true(config.pmu);
	assert_false(config.pvtime);
	assert_false(config.defaults);
	assert_false(config.reboot);
}

static void memory_sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t size;
	} cases[] = {
		{ "1", MIB(1) },
		{ "512", MIB(512) },
		{ "0x10", MIB(16) },
		{ "65536B", KIB(64) },
		{ "64k", KIB(64) },
		{ "64K", KIB(64) },
		{ "128K", KIB(128) },
		{ "3m", MIB(3) },
		{ "3M", MIB(3) },
		{ "2g", GIB(2) },
		{ "2G", GIB(2) },
		{ "255G", RAM_SIZE_MAX },
		{ "261120", RAM_SIZE_MAX },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char line[64];

		snprintf(line, sizeof(line), "-k Image -m %s", cases[i].text);
		assert_int_equal(parse(line), 0);
		assert_int_equal(config.mem_size, cases[i].size);
		snprintf(line, sizeof(line), "-k Image --mem=%s", cases[i].text);
		assert_int_equal(parse(line), 0);
		assert_int_equal(config.mem_size, cases[i].size);
		assert_silent();
	}
}

static void memory_sizes_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{ "0", "must be a multiple of 64K, and not nothing" },
		{ "0G", "must be a multiple of 64K, and not nothing" },
		{ "63K", "must be a multiple of 64K" },
		{ "65537B", "must be a multiple of 64K" },
		{ "1B", "must be a multiple of 64K" },
		{ "256G", "room for 255G at most" },
		{ "261121", "room for 255G at most" },
		{ "1T", "room for 255G at most" },
		{ "18446744073709551615", "room for 255G at most" },
		{ "18446744073709551615G", "room for 255G at most" },
		{ "17592186044416", "room for 255G at most" }, /* 2^64 bytes */
		{ "18446744073709551616", "room for 255G at most" },
		{ "-1", "must be a number" },
		{ "-1G", "must be a number" },
		{ "+1", "must be a number" },
		{ "1.5G", "must be a number" },
		{ "1GB", "must be a number" },
		{ "1X", "must be a number" },
		{ "1@", "must be a number" },
		{ "M", "must be a number" },
		{ "four", "must be a number" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char line[64];

		snprintf(line, sizeof(line), "-k Image -m %s", cases[i].text);
		assert_refused(line, cases[i].message);
		assert_int_equal(parse(line), -EINVAL);
		snprintf(line, sizeof(line), "--mem %s: ", cases[i].text);
		assert_said(line);
	}
	assert_refused("-k Image --mem=", "must be a number");
}

static void numbers_of_cpus(void **state)
{
	assert_int_equal(parse("-k Image -c 4"), 0);
	assert_int_equal(config.cpus, 4);
	assert_int_equal(parse("-k Image --cpus=123"), 0);
	assert_int_equal(config.cpus, 123);
	assert_int_equal(parse("-k Image --cpus 010"), 0);
	assert_int_equal(config.cpus, 10);
	assert_int_equal(parse("-k Image --cpus 4096"), 0);
	assert_int_equal(config.cpus, 4096);

	assert_refused("-k Image -c 0", "--cpus 0: must be a number");
	assert_refused("-k Image -c -1", "--cpus -1: must be a number");
	assert_refused("-k Image -c 4097", "--cpus 4097: must be a number");
	assert_refused("-k Image -c 4294967297", "--cpus 4294967297: must be a number");
	assert_refused("-k Image -c 99999999999999999999", "must be a number");
	assert_refused("-k Image -c 2x", "--cpus 2x: must be a number");
	assert_refused("-k Image --cpus=", "--cpus : must be a number");
}

static void sve_lengths(void **state)
{
	assert_int_equal(parse("-k Image --sve-max-vl 128"), 0);
	assert_int_equal(config.sve_max_vl, 128);
	assert_int_equal(parse("-k Image --sve-max-vl=2048"), 0);
	assert_int_equal(config.sve_max_vl, 2048);

	assert_refused("-k Image --sve-max-vl 0", "must be a multiple of 128 from 128 to 2048");
	assert_refused("-k Image --sve-max-vl 64", "must be a multiple of 128 from 128 to 2048");
	assert_refused("-k Image --sve-max-vl 200", "must be a multiple of 128 from 128 to 2048");
	assert_refused("-k Image --sve-max-vl 2176", "must be a multiple of 128 from 128 to 2048");
	assert_refused("-k Image --sve-max-vl max", "must be a multiple of 128 from 128 to 2048");
}

static void kaslr_seeds(void **state)
{
	assert_int_equal(parse("-k Image --kaslr-seed 0"), 0);
	assert_true(config.has_kaslr_seed);
	assert_int_equal(config.kaslr_seed, 0);
	assert_int_equal(parse("-k Image --kaslr-seed=0xffffffffffffffff"), 0);
	assert_true(config.kaslr_seed == UINT64_MAX);

	assert_refused("-k Image --kaslr-seed -1", "must be a number of up to 64 bits");
	assert_refused("-k Image --kaslr-seed 0x10000000000000000", "must be a number of up to 64");
	assert_refused("-k Image --kaslr-seed x", "must be a number of up to 64 bits");
}

static void disks(void **state)
{
	assert_int_equal(parse("-k Image -d one --disk two,ro --disk=three,direct,ro"), 0);
	assert_int_equal(config.disk_count, 3);
	assert_string_equal(config.disks[0].path, "one");
	assert_false(config.disks[0].read_only || config.disks[0].direct);
	assert_string_equal(config.disks[1].path, "two");
	assert_true(config.disks[1].read_only && !config.disks[1].direct);
	assert_string_equal(config.disks[2].path, "three");
	assert_true(config.disks[2].read_only && config.disks[2].direct);

	assert_refused("-k Image --virtio-transport pci --irqchip gicv3", "PCI takes gicv3-its");
	assert_refused("-k Image -d one,rw", "--disk one,rw: what follows the name must be");
	assert_refused("-k Image -d one,ro,",
		       "what follows the name must be ro, direct or format=");
	assert_refused("-k Image -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9",
		       "--disk 9: there are 8 disks already");
}

static void roots(void **state)
{
	static const struct {
		const char *line;
		bool writable;
	} cases[] = {
		{ "-k Image --root dir", false },
		{ "-k Image --root dir,ro", false },
		{ "-k Image --root dir,rw", true },
		{ "-k Image --root other,rw --root dir", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(parse(cases[i].line), 0);
		assert_string_equal(config.root, "dir");
		assert_int_equal(config.root_writable, cases[i].writable);
		assert_int_equal(config.filesystem_count, 1);
		assert_string_equal(config.filesystems[0].tag, "nidus-root");
		assert_string_equal(config.filesystems[0].directory, "dir");
		assert_int_equal(config.filesystems[0].read_only, !cases[i].writable);
	}
	assert_int_equal(parse("-k Image"), 0);
	assert_null(config.root);
	assert_int_equal(config.filesystem_count, 0);
	assert_refused("-k Image --root a,b", "--root a,b: what follows the name must be ro or rw");
	assert_refused("-k Image --root a,rw,ro", "must be ro or rw");
}

static void choices(void **state)
{
	static const struct {
		const char *line;
		size_t member;
		int value;
	} cases[] = {
		{ "--irqchip gicv3", offsetof(struct config, irqchip), GIC_V3 },
		{ "--irqchip=gicv2", offsetof(struct config, irqchip), GIC_V2 },
		{ "--mem-backing anon", offsetof(struct config, mem_backing), MEMORY_ANON },
		{ "--mem-backing=memfd", offsetof(struct config, mem_backing), MEMORY_MEMFD },
		{ "--mem-backing hugetlbfs", offsetof(struct config, mem_backing),
		  MEMORY_HUGETLBFS },
		{ "--hugetlbfs /m", offsetof(struct config, mem_backing), MEMORY_HUGETLBFS },
		{ "--mem-backing hugetlbfs --hugetlbfs /m", offsetof(struct config, mem_backing),
		  MEMORY_HUGETLBFS },
		{ "--cache-clean touched", offsetof(struct config, cache_clean), POC_TOUCHED },
		{ "--cache-clean=all", offsetof(struct config, cache_clean), POC_ALL },
		{ "--cache-clean none", offsetof(struct config, cache_clean), POC_NONE },
		{ "--nisv emulate", offsetof(struct config, emulation), true },
		{ "--nisv=abort", offsetof(struct config, emulation), false },
		{ "--loglevel error", offsetof(struct config, log_level), LOG_ERROR },
		{ "--loglevel warning", offsetof(struct config, log_level), LOG_WARNING },
		{ "--loglevel info", offsetof(struct config, log_level), LOG_INFO },
		{ "--loglevel=debug", offsetof(struct config, log_level), LOG_DEBUG },
		{ "--console serial", offsetof(struct config, console), CONSOLE_SERIAL },
		{ "--console virtio", offsetof(struct config, console), CONSOLE_VIRTIO },
		{ "--virtio-transport auto", offsetof(struct config, transport), TRANSPORT_AUTO },
		{ "--virtio-transport pci", offsetof(struct config, transport), TRANSPORT_PCI },
		{ "--virtio-transport=mmio", offsetof(struct config, transport), TRANSPORT_MMIO },
		{ "--irqchip gicv3-its", offsetof(struct config, irqchip), GIC_V3_ITS },
		{ "--block-engine io_uring", offsetof(struct config, block_engine),
		  DISK_ENGINE_IO_URING },
		{ "--block-engine aio", offsetof(struct config, block_engine), DISK_ENGINE_AIO },
		{ "--block-engine=sync", offsetof(struct config, block_engine), DISK_ENGINE_SYNC },
		{ "--network none", offsetof(struct config, irqchip), GIC_AUTO },
		{ "--network mode=none", offsetof(struct config, irqchip), GIC_AUTO },
		{ "-n mode=none", offsetof(struct config, irqchip), GIC_AUTO },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char line[128];
		int value;

		snprintf(line, sizeof(line), "%s -k Image", cases[i].line);
		assert_int_equal(parse(line), 0);
		memcpy(&value, (char *)&config + cases[i].member, sizeof(value));
		assert_int_equal(value, cases[i].value);
		assert_silent();
	}
}

static void bad_choices_name_the_good_ones(void **state)
{
	static const struct {
		const char *line, *message;
	} cases[] = {
		{ "--irqchip gicv4", "--irqchip gicv4: must be gicv3, gicv3-its or gicv2" },
		{ "--irqchip auto", "--irqchip auto: must be gicv3, gicv3-its or gicv2" },
		{ "--irqchip=", "--irqchip : must be gicv3, gicv3-its or gicv2" },
		{ "--mem-backing disk", "--mem-backing disk: must be anon, memfd or hugetlbfs" },
		{ "--cache-clean some", "--cache-clean some: must be touched, all or none" },
		{ "--nisv ignore", "--nisv ignore: must be emulate or abort" },
		{ "--loglevel loud", "--loglevel loud: must be error, warning, info or debug" },
		{ "--console hv", "--console hv: must be serial or virtio" },
		{ "-n mode=bridge", "--network mode=bridge: must be user, tap or none" },
		{ "--hugetlbfs /m --mem-backing anon", "leave one of them out" },
		{ "--mem-backing memfd --hugetlbfs /m", "leave one of them out" },
		{ "--e2h0 -k Image", "--e2h0 without --nested" },
		{ "--gdb-wait -k Image", "--gdb-wait without --gdb, --name or --control" },
		{ "--nested --trap-tlbi all -k Image", "--trap-tlbi with --nested" },
		{ "--trap-tlbi some -k Image", "--trap-tlbi some: must be off, all or precise" },
		{ "--trap-tlbi all, -k Image", "--trap-tlbi all,: must be off, all or precise" },
		{ "--trap-tlbi off,shareable -k Image", "--trap-tlbi off,shareable: must be" },
		{ "--nested --irqchip gicv2 -k Image", "--nested with --irqchip gicv2" },
		{ "--counter-offset -1", "--counter-offset -1: must be a number of up to 64 bits" },
		{ "--counter-offset 1k", "--counter-offset 1k: must be a number of up to 64 bits" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char line[128];

		snprintf(line, sizeof(line), "%s -k Image", cases[i].line);
		assert_refused(line, cases[i].message);
	}
}

/* What is not an option. */

static void unknown_options_are_named(void **state)
{
	assert_refused("-k Image --bogus", "--bogus: not an option of run");
	assert_refused("--bogus -k Image", "--bogus: not an option of run");
	assert_refused("-k Image --bogus=5", "--bogus=5: not an option of run");
	assert_refused("-k Image -Z", "-Z: not an option of run");
	assert_refused("-k Image --pmu --bogus", "--bogus: not an option of run");
}

static void unknown_option_after_the_kernel_is_named(void **state)
{
	assert_refused("Image --bogus", "--bogus: not an option of run");
	assert_refused("Image -Z", "-Z: not an option of run");
	assert_refused("Image --mem", "--mem: needs an argument");
}

static void missing_arguments_are_named(void **state)
{
	assert_refused("-k Image --mem", "--mem: needs an argument");
	assert_refused("-k Image -m", "-m: needs an argument");
	assert_refused("--kernel", "--kernel: needs an argument");
}

static void options_of_lkvm_are_refused_by_name(void **state)
{
	static const struct {
		const char *line, *name;
	} cases[] = {
		{ "--9p d,t", "9p" },
		{ "--aarch32", "aarch32" },
		{ "--debug", "debug" },
		{ "--debug-iodelay 5", "debug-iodelay" },
		{ "--debug-ioport", "debug-ioport" },
		{ "--debug-mmio", "debug-mmio" },
		{ "--debug-nohostfs", "debug-nohostfs" },
		{ "--debug-single-step", "debug-single-step" },
		{ "--dev /dev/x", "dev" },
		{ "--force-pci", "force-pci" },
		{ "--gtk", "gtk" },
		{ "--no-dhcp", "no-dhcp" },
		{ "--override-bad-firmware-cntfrq 1", "override-bad-firmware-cntfrq" },
		{ "--pmu-counters 4", "pmu-counters" },
		{ "--psci 0.2", "psci" },
		{ "--sdl", "sdl" },
		{ "--shmem 0:1M", "shmem" },
		{ "--tty 0", "tty" },
		{ "--vcpu-affinity 0-3", "vcpu-affinity" },
		{ "--vfio-pci d", "vfio-pci" },
		{ "--vidmode 1", "vidmode" },
		{ "--vnc", "vnc" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char line[128], message[128];

		snprintf(line, sizeof(line), "-k Image %s", cases[i].line);
		snprintf(message, sizeof(message),
			 "--%s: an option of lkvm that nidus does not have", cases[i].name);
		assert_refused(line, message);
	}
}

static void a_balloon_is_refused_where_pages_must_stay(void **state)
{
	assert_int_equal(parse("Image"), 0);
	assert_false(config.balloon);
	assert_int_equal(parse("Image --balloon --mem-backing memfd --fs t=/"), 0);
	assert_true(config.balloon);
	assert_refused("Image --balloon --nested", "--balloon with --nested: each page");
	assert_refused("Image --balloon --mem-backing hugetlbfs", "--balloon with --mem-backing");
	assert_refused("Image --balloon --hugetlbfs /mnt", "--balloon with --mem-backing");
	assert_refused("Image --balloon --vhost-user rng,socket=/s", "--balloon with --vhost-user");
}

/* What a guest has that was saved, with the options of line, and goes on with those of again. */
static int restore(const char *line, const char *again)
{
	const struct config_made made = { .irqchip = GIC_V3_ITS };
	struct state_writer writer;
	struct state_reader reader;
	int err;

	assert_int_equal(parse(line), 0);
	state_writer_create(&writer);
	config_save_guest(&config, &made, &writer);
	assert_int_equal(writer.err, 0);
	assert_int_equal(parse(again), 0);
	state_reader_create(&reader, writer.bytes, writer.size);
	config_restore_guest(&config, &reader);
	err = reader.err;
	state_writer_destroy(&writer);
	return err;
}

static void what_was_saved_has_to_go_with_what_is_given(void **state)
{
	assert_int_equal(restore("Image --iommu --network mode=user", "Image --network mode=user"),
			 0);
	assert_true(config.iommu);
	assert_int_equal(
		restore("Image --iommu --network mode=user", "Image --network mode=user,vhost=1"),
		-EINVAL);
	assert_said("--iommu with --network mode=user,vhost=1: passt knows no IOMMU");
	assert_int_equal(restore("Image --balloon", "Image --mem-backing hugetlbfs"), -EINVAL);
	assert_said("--balloon with --mem-backing hugetlbfs");
	assert_int_equal(restore("Image", "Image --disk d"), -EINVAL);
	assert_said("has 0 disks and 0 networks, and was given 1 and 0");
}

static void an_iommu_takes_pci(void **state)
{
	assert_int_equal(parse("Image"), 0);
	assert_false(config.iommu);
	assert_int_equal(parse("Image --iommu --nested --network mode=none"), 0);
	assert_true(config.iommu);
	assert_int_equal(parse("Image --iommu --irqchip gicv3-its --network mode=tap,vhost=0"), 0);
	assert_refused("Image --iommu --irqchip gicv3", "--iommu with this --irqchip: PCI takes");
	assert_refused("Image --iommu --virtio-transport mmio",
		       "--iommu with --virtio-transport mmio: only devices on PCI");
	assert_refused("Image --iommu --network mode=user,trans=mmio",
		       "--iommu with --network trans=mmio: only devices on PCI");
	assert_int_equal(parse("Image --iommu --network mode=tap,vhost=1"), 0);
	assert_refused("Image --iommu --network mode=user,vhost=1",
		       "--iommu with --network mode=user,vhost=1: passt knows no IOMMU");
}

/* The kernel. */

static void kernel_may_stand_by_itself(void **state)
{
	assert_int_equal(parse("Image"), 0);
	assert_string_equal(config.kernel, "Image");
	assert_int_equal(parse("Image -c 2 --pmu"), 0);
	assert_string_equal(config.kernel, "Image");
	assert_int_equal(config.cpus, 2);
	assert_true(config.pmu);
	assert_int_equal(parse("-c 2 -- -Image"), 0);
	assert_string_equal(config.kernel, "-Image");
}

static void further_arguments_are_refused(void **state)
{
	assert_refused("Image second", "second: run takes options and no further argument");
	assert_refused("-k Image second", "second: run takes options and no further argument");
}

static void no_kernel_is_refused(void **state)
{
	assert_refused("", "no kernel: name one with --kernel FILE");
	assert_refused("-c 2", "no kernel");
}

/* The rest. */

static void help_is_told_apart(void **state)
{
	assert_int_equal(parse("--help"), OPTIONS_HELP);
	assert_int_equal(parse("-h"), OPTIONS_HELP);
	assert_int_equal(parse("-k Image -c 2 --help"), OPTIONS_HELP);
	assert_silent();
}

static void tlbis_trap_if_asked_for(void **state)
{
	assert_int_equal(parse("Image"), 0);
	assert_int_equal(config.trap_tlbi.policy, TLBI_OFF);
	assert_int_equal(parse("Image --trap-tlbi all"), 0);
	assert_int_equal(config.trap_tlbi.policy, TLBI_ALL);
	assert_false(config.trap_tlbi.shareable_only);
	assert_int_equal(parse("Image --trap-tlbi all,shareable"), 0);
	assert_int_equal(config.trap_tlbi.policy, TLBI_ALL);
	assert_true(config.trap_tlbi.shareable_only);
	assert_int_equal(parse("Image --trap-tlbi all,shareable --trap-tlbi precise"), 0);
	assert_int_equal(config.trap_tlbi.policy, TLBI_PRECISE);
	assert_false(config.trap_tlbi.shareable_only);
	assert_int_equal(parse("Image --trap-tlbi precise,shareable"), 0);
	assert_int_equal(config.trap_tlbi.policy, TLBI_PRECISE);
	assert_true(config.trap_tlbi.shareable_only);
	assert_int_equal(parse("Image --nested --trap-tlbi off"), 0);
	assert_int_equal(config.trap_tlbi.policy, TLBI_OFF);
	assert_silent();
}

static void an_el2_is_there_if_asked_for(void **state)
{
	assert_int_equal(parse("Image"), 0);
	assert_false(config.nested || config.e2h0 || config.has_counter_offset);
	assert_int_equal(parse("Image --nested"), 0);
	assert_true(config.nested);
	assert_false(config.e2h0);
	assert_int_equal(parse("Image --e2h0 --nested --irqchip gicv3-its"), 0);
	assert_true(config.nested && config.e2h0);
	assert_int_equal(parse("Image --counter-offset 0x8000000000000000"), 0);
	assert_true(config.has_counter_offset);
	assert_true(config.counter_offset == UINT64_C(1) << 63);
}

static void help_lists_every_option(void **state)
{
	static const char *const names[] = {
		"kernel",      "initrd",	   "params",	 "mem",		"cpus",
		"console",     "irqchip",	   "pmu",	 "no-pvtime",	"sve-max-vl",
		"kaslr-seed",  "network",	   "nodefaults", "mem-backing", "hugetlbfs",
		"cache-clean", "no-reboot",	   "name",	 "dump-dtb",	"stats",
		"loglevel",    "balloon",	   "disk",	 "root",	"block-engine",
		"rng",	       "virtio-transport", "nisv",
	};
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	help_options(stream, &config_options);
	fclose(stream);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char option[64];

		snprintf(option, sizeof(option), "--%s ", names[i]);
		assert_non_null(strstr(text, option));
	}
	free(text);
}

static void parsing_again_starts_afresh(void **state)
{
	assert_int_equal(parse("-k Image -c 2 --pmu --name wren -m 64"), 0);
	assert_int_equal(parse("-k Image --bogus"), -EINVAL);
	assert_int_equal(parse("Other"), 0);
	assert_string_equal(config.kernel, "Other");
	assert_int_equal(config.cpus, 1);
	assert_int_equal(config.mem_size, MIB(512));
	assert_false(config.pmu);
	assert_null(config.name);
}

static void console_of_another_board_is_warned_about(void **state)
{
	assert_int_equal(parse("-k Image -p console=ttyS0"), 0);
	assert_said("ttyAMA0");
	assert_int_equal(parse("-k Image -p console=ttyAMA0"), 0);
	assert_silent();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		caught_test(defaults_of_nidus),
		caught_test(defaults_of_lkvm),
		caught_test(strings_are_taken_as_they_are),
		caught_test(flags_are_set_and_cleared),
		caught_test(memory_sizes),
		caught_test(memory_sizes_refused),
		caught_test(numbers_of_cpus),
		caught_test(sve_lengths),
		caught_test(kaslr_seeds),
		caught_test(disks),
		caught_test(roots),
		caught_test(choices),
		caught_test(bad_choices_name_the_good_ones),
		caught_test(unknown_options_are_named),
		caught_test(unknown_option_after_the_kernel_is_named),
		caught_test(missing_arguments_are_named),
		caught_test(options_of_lkvm_are_refused_by_name),
		caught_test(a_balloon_is_refused_where_pages_must_stay),
		caught_test(what_was_saved_has_to_go_with_what_is_given),
		caught_test(an_iommu_takes_pci),
		caught_test(kernel_may_stand_by_itself),
		caught_test(further_arguments_are_refused),
		caught_test(no_kernel_is_refused),
		caught_test(help_is_told_apart),
		caught_test(tlbis_trap_if_asked_for),
		caught_test(an_el2_is_there_if_asked_for),
		caught_test(help_lists_every_option),
		caught_test(parsing_again_starts_afresh),
		caught_test(console_of_another_board_is_warned_about),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
