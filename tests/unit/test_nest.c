// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nest/nest.h"
#include "served/served.h"
#include "unit.h"
#include "util.h"

#include "newc.h"
#include "packed.h"

static struct nest nest;
static struct nest_words words;
static struct config config;

static const char *directory;
static char kernel[128];

static void make_file(const char *name, const char *bytes)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, strlen(bytes)), strlen(bytes));
	close(fd);
}

static int begin(void **state)
{
	directory = scratch_begin();
	snprintf(kernel, sizeof(kernel), "%s/kernel", directory);
	make_file(kernel, "a flat binary");
	nest_create(&nest);
	return catch_begin(state);
}

static int finish(void **state)
{
	nest_release(&words);
	nest_destroy(&nest);
	scratch_end();
	return catch_end(state);
}

static void set(unsigned int level, const char *key, const char *value)
{
	assert_int_equal(0, nest_set(&nest, level, key, value));
	assert_silent();
}

/* So many levels that have only the kernel. */
static void make_levels(unsigned int depth)
{
	set(0, "kernel", kernel);
	while (nest.depth < depth)
		assert_int_equal(nest_add_level(&nest), 0);
}

static void configure(unsigned int level)
{
	nest_release(&words);
	assert_int_equal(nest_configure(&nest, level, &config, &words), 0);
	assert_silent();
}

static void assert_refused(unsigned int level, const char *message)
{
	nest_release(&words);
	assert_int_equal(nest_configure(&nest, level, &config, &words), -EINVAL);
	assert_said(message);
}

/* Words separated by blanks. */
static void assert_words(const char *expected)
{
	char text[4096] = "";

	for (unsigned int i = 0; i < words.list.count; i++) {
		strcat(text, i ? " " : "");
		strcat(text, words.list.words[i]);
	}
	assert_string_equal(text, expected);
	assert_null(words.list.words[words.list.count]);
}

/* Keys. */

static void new_nest_is_empty(void **state)
{
	assert_int_equal(nest.depth, 0);
	assert_int_equal(nest.sources.count, 0);
	assert_int_equal(nest_add_level(&nest), 0);
	assert_int_equal(nest.depth, 1);
	assert_int_equal(nest.levels[0].time_limit, 120);
	assert_int_equal(nest.levels[0].command.count, 0);
	assert_silent();
}

static void keys_become_options(void **state)
{
	make_levels(1);
	set(1, "memory", "1G");
	set(1, "cpus", "3");
	set(1, "console", "serial");
	set(1, "disk", "/a b,ro");
	set(1, "disk", "/c,d");
	set(1, "options", " --rng\t--name  x ");
	assert_packed(&nest, 1, "options",
		      "[\"--mem\",\"1G\",\"--cpus\",\"3\",\"--console\",\"serial\",\"--disk\","
		      "\"/a b,ro\",\"--disk\",\"/c,d\",\"--rng\",\"--name\",\"x\"]");
	set(1, "params", "a  b");
	assert_packed(&nest, 1, "params", "\"a  b\"");
	set(1, "params", "c");
	assert_packed(&nest, 1, "params", "\"c\"");
}

static void values_reach_the_configuration(void **state)
{
	make_levels(1);
	set(1, "memory", "1G");
	set(1, "cpus", "3");
	set(1, "disk", "/a b,ro");
	set(1, "disk", "/c");
	set(1, "options", "--rng --name x");
	configure(1);
	assert_string_equal(config.kernel, kernel);
	assert_int_equal(config.mem_size, GIB(1));
	assert_int_equal(config.cpus, 3);
	assert_int_equal(config.console, CONSOLE_VIRTIO);
	assert_int_equal(config.disk_count, 2);
	assert_string_equal(config.disks[0].path, "/a b");
	assert_true(config.disks[0].read_only);
	assert_string_equal(config.disks[1].path, "/c");
	assert_true(config.rng);
	assert_string_equal(config.name, "x");
	assert_false(config.reboot);
	assert_null(config.initrd);
	assert_null(config.initramfs);
	assert_null(config.report);

	/* What is cut off the words of one is there for the next. */
	configure(1);
	assert_true(config.disks[0].read_only);
	set(1, "console", "serial");
	configure(1);
	assert_int_equal(config.console, CONSOLE_SERIAL);
}

static void files_and_where_they_go(void **state)
{
	make_levels(1);
	set(1, "file", "/usr/bin/tool");
	set(1, "file", "tool");
	set(1, "file", "here/tool:/there/a tool");
	set(1, "file", "/usr/bin/tool:/again");
	assert_packed(
		&nest, 1, "files",
		"[{\"source\":1,\"path\":\"/bin/tool\"},{\"source\":2,\"path\":\"/bin/tool\"},"
		"{\"source\":3,\"path\":\"/there/a tool\"},{\"source\":1,\"path\":\"/again\"}]");
	assert_int_equal(nest.sources.count, 4);
	assert_string_equal(nest.sources.words[0], kernel);
	assert_string_equal(nest.sources.words[1], "/usr/bin/tool");
	assert_string_equal(nest.sources.words[3], "here/tool");
}

static void commands(void **state)
{
	char *argv[] = { "echo", "two words", "", NULL };

	make_levels(2);
	set(1, "command", "\tcat  /proc/cpuinfo ");
	assert_packed(&nest, 1, "command", "[\"cat\",\"/proc/cpuinfo\"]");
	assert_int_equal(nest.levels[0].command.count, 2);
	assert_int_equal(nest.levels[1].command.count, 0);
	set(1, "command", "true");
	assert_packed(&nest, 1, "command", "[\"true\"]");
	assert_int_equal(0, nest_set_command(&nest, 1, 3, argv));
	assert_packed(&nest, 1, "command", "[\"echo\",\"two words\",\"\"]");
	assert_int_equal(0, nest_set_command(&nest, 1, 0, argv + 3));
	assert_packed(&nest, 1, "command", "[]");
}

static void time_limits(void **state)
{
	static const char *const bad[] = {
		"0", "-1",  "+5",    " 5",  "5 ", "5s",
		"x", "1e3", "86401", "1.5", "0x", "99999999999999999999999999",
	};

	make_levels(1);
	set(1, "time-limit", "1");
	assert_int_equal(nest.levels[0].time_limit, 1);
	set(1, "time-limit", "86400");
	assert_int_equal(nest.levels[0].time_limit, 86400);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(nest_set(&nest, 1, "time-limit", bad[i]), -EINVAL);
		assert_said("must be a number of seconds from 1 to 86400");
		assert_int_equal(nest.levels[0].time_limit, 86400);
	}
}

static const char *const keys[] = {
	"kernel", "memory", "cpus",    "disk",	     "console",
	"params", "file",   "command", "time-limit", "options",
};

static void keys_that_are_refused(void **state)
{
	static const char *const bad[] = { "",	    "Kernel",  "mem",	"levels",
					   "files", "kernel ", "--cpus" };

	make_levels(1);
	for (unsigned int level = 0; level <= 1; level++) {
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			assert_int_equal(nest_set(&nest, level, bad[i], "1"), -EINVAL);
			assert_said("a level has no such thing");
		}
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
			assert_int_equal(nest_set(&nest, level, keys[i], ""), -EINVAL);
			assert_said("has no value");
		}
	}
	assert_packed(&nest, 1, "options", "[]");
	assert_packed(&nest, 1, "files", "[]");
}

/* What was packed there would be hidden by what is mounted. */
static void files_where_the_kernel_mounts_are_refused(void **state)
{
	static const char *const bad[] = { "/tool:/dev/tool", "/tool:/proc/1/tool",
					   "/tool:/sys/tool", "/proc/tool:/dev/tool" };

	make_levels(1);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(nest_set(&nest, 1, "file", bad[i]), -EINVAL);
		assert_said("what is in /dev, /proc and /sys comes from the kernel");
	}
	set(1, "file", "/proc/tool:/device/tool");
	set(1, "file", "/dev/tool:/tool");
	assert_packed(&nest, 1, "files",
		      "[{\"source\":1,\"path\":\"/device/tool\"},"
		      "{\"source\":2,\"path\":\"/tool\"}]");
}

/* The plan travels as JSON, which has no other strings. */
static void values_are_utf_8(void **state)
{
	char *argv[] = { "cat", "\xff.txt", NULL };

	make_levels(1);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(keys[i], "time-limit") == 0)
			continue;
		if (nest_set(&nest, 1, keys[i], "/a\xff") == 0)
			fail_msg("%s is taken", keys[i]);
		assert_said("UTF-8");
		set(1, keys[i], "/\xc3\xa4");
	}
	assert_int_equal(nest_set_command(&nest, 1, 2, argv), -EINVAL);
	assert_said("UTF-8");
	assert_packed(&nest, 1, "command", "[\"/\xc3\xa4\"]");
}

static void defaults_hold_for_later_levels(void **state)
{
	set(0, "memory", "64M");
	set(0, "file", "/first");
	set(0, "command", "true");
	set(0, "time-limit", "5");
	set(0, "params", "one");
	make_levels(1);
	set(0, "cpus", "2");
	set(0, "time-limit", "6");
	assert_int_equal(nest_add_level(&nest), 0);
	set(2, "memory", "128M");
	set(2, "file", "/second");
	set(2, "command", "false");
	set(2, "params", "two");

	configure(1);
	assert_int_equal(config.mem_size, MIB(64));
	assert_int_equal(config.cpus, 1);
	assert_string_equal(config.params, "console=hvc0 quiet panic=-1 one");
	assert_int_equal(nest.levels[0].time_limit, 5);
	assert_packed(&nest, 1, "command", "[\"true\"]");
	assert_int_equal(nest.levels[0].file_count, 1);
	configure(2);
	assert_int_equal(config.mem_size, MIB(128));
	assert_int_equal(config.cpus, 2);
	assert_string_equal(config.params, "console=hvc0 quiet panic=-1 two");
	assert_int_equal(nest.levels[1].time_limit, 6);
	assert_packed(&nest, 2, "command", "[\"false\"]");
	assert_int_equal(nest.levels[1].file_count, 2);
}

static void no_more_than_eight_levels(void **state)
{
	for (unsigned int level = 1; level <= 8; level++)
		assert_int_equal(nest_add_level(&nest), 0);
	assert_silent();
	assert_int_equal(nest_add_level(&nest), -E2BIG);
	assert_said("no more than 8 levels");
	assert_int_equal(nest.depth, 8);
}

/* Networks. */

static void level_1_has_what_the_nest_asks_for(void **state)
{
	set(0, "net", "mode=user,forward=tcp:2222:22");
	make_levels(3);
	configure(1);
	assert_int_equal(config.network_count, 1);
	assert_int_equal(config.networks[0].mode, NETWORK_USER);
	assert_string_equal(config.networks[0].forward[0], "tcp:2222:22");
	for (unsigned int level = 2; level <= 3; level++) {
		configure(level);
		assert_int_equal(config.network_count, 1);
		assert_int_equal(config.networks[0].mode, NETWORK_TAP);
		assert_string_equal(config.networks[0].bridge, "nest0");
		assert_null(config.networks[0].host_ip);
	}
	/* The nest's own is not cut apart by what parsed it. */
	assert_string_equal(nest.net, "mode=user,forward=tcp:2222:22");
}

static void no_network_without_asking(void **state)
{
	make_levels(2);
	configure(2);
	assert_int_equal(config.network_count, 0);
	set(0, "net", "mode=tap");
	set(0, "net", "mode=none");
	assert_null(nest.net);
	configure(1);
	assert_int_equal(config.network_count, 0);
}

static void network_is_the_whole_nests(void **state)
{
	make_levels(2);
	assert_int_equal(nest_set(&nest, 2, "net", "mode=user"), -EINVAL);
	assert_said("net: is for the whole nest");
	assert_int_equal(nest_set(&nest, 0, "net", "mode=bridge"), -EINVAL);
	assert_said("mode=bridge: must be user, tap or none");
	assert_null(nest.net);
}

/* Devices that are handed on. */

static void devices_are_handed_on_through_all_levels(void **state)
{
	set(0, "passthrough", "disk1");
	set(0, "passthrough", "net0");
	set(0, "net", "mode=user");
	make_levels(3);
	configure(1);
	assert_true(config.iommu);
	assert_int_equal(config.network_count, 1);
	/* What a level has taken from its drivers is for the one that it runs. */
	assert_int_equal(word_list_add(&nest.taken, "0000:00:02.0", 12), 0);
	configure(2);
	assert_true(config.iommu);
	assert_int_equal(config.network_count, 0);
	assert_int_equal(config.vfio_count, 1);
	assert_string_equal(config.vfio[0], "0000:00:02.0");
	configure(3);
	assert_false(config.iommu);
}

static void what_cannot_be_handed_on_is_refused(void **state)
{
	make_levels(2);
	assert_int_equal(nest_set(&nest, 2, "passthrough", "disk0"), -EINVAL);
	assert_said("passthrough: is for the whole nest");
	assert_int_equal(nest_set(&nest, 0, "passthrough", "rng0"), -EINVAL);
	assert_said("passthrough rng0: must be disk0, net0, or another number of these");
	assert_int_equal(nest_set(&nest, 0, "passthrough", "disk10"), -EINVAL);
	assert_said("passthrough disk10: must be");
	set(0, "passthrough", "disk0");
	assert_int_equal(nest_set(&nest, 0, "passthrough", "disk0"), -EINVAL);
	assert_said("passthrough disk0: is there already");
	assert_int_equal(nest_check(&nest), -EINVAL);
	assert_said("passthrough disk0: there are 0 disks to hand on");
}

/* A root. */

static void every_level_hands_the_root_down(void **state)
{
	set(0, "root", "/other");
	set(0, "root", directory);
	make_levels(3);
	for (unsigned int level = 1; level <= 3; level++) {
		configure(level);
		assert_string_equal(config.root, directory);
		assert_false(config.root_writable);
		assert_int_equal(config.filesystem_count, 1);
		assert_true(config.filesystems[0].read_only);
		/* The innermost makes a layer of it, which may have no mounts. */
		assert_int_equal(config.filesystems[0].no_submounts, level == 3);
	}
	assert_string_equal(config.params, "console=hvc0 quiet panic=-1");
}

static void root_is_the_whole_nests(void **state)
{
	make_levels(2);
	assert_int_equal(nest_set(&nest, 2, "root", directory), -EINVAL);
	assert_said("root: is for the whole nest");
	assert_int_equal(nest_set(&nest, 0, "root", "/x,rw"), -EINVAL);
	assert_said("root /x,rw: is a directory and nothing else");
	assert_null(nest.root);
	set(2, "options", "--root /x");
	assert_refused(2, "--root among the options");
	set(0, "root", "/y");
	assert_refused(2, "--root among the options");
	set(0, "root", "/x");
	configure(2);
	set(2, "options", "--root /x,rw");
	assert_refused(2, "--root among the options");
}

static void no_root_without_asking(void **state)
{
	make_levels(1);
	configure(1);
	assert_null(config.root);
	assert_int_equal(config.filesystem_count, 0);
}

/* Configurations. */

static void hypervisors_have_an_el2(void **state)
{
	char expected[256];

	make_levels(8);
	for (unsigned int level = 1; level <= 8; level++) {
		configure(level);
		snprintf(expected, sizeof(expected),
			 "run --kernel %s --console virtio --no-reboot%s", kernel,
			 level < 8 ? " --nested" : "");
		assert_words(expected);
		assert_int_equal(config.nested, level < 8);
		assert_false(config.e2h0);
		/* Its kernel gives an EL2 on where the guest in it is a hypervisor. */
		snprintf(expected, sizeof(expected), "console=hvc0 quiet panic=-1%s",
			 level < 7 ? " kvm-arm.mode=nested" : "");
		assert_string_equal(config.params, expected);
	}
}

static void one_level_is_no_hypervisor(void **state)
{
	make_levels(1);
	configure(1);
	assert_false(config.nested);
	assert_string_equal(config.params, "console=hvc0 quiet panic=-1");
}

static void innermost_with_an_el2_of_its_own(void **state)
{
	make_levels(2);
	set(2, "options", "--nested");
	configure(1);
	assert_string_equal(config.params, "console=hvc0 quiet panic=-1 kvm-arm.mode=nested");
	configure(2);
	assert_true(config.nested);
	assert_string_equal(config.params, "console=hvc0 quiet panic=-1");
}

static void consoles_have_their_names(void **state)
{
	make_levels(2);
	set(1, "console", "serial");
	set(1, "params", "debug nokaslr");
	configure(1);
	assert_string_equal(config.params, "console=ttyAMA0 quiet panic=-1 debug nokaslr");
	configure(2);
	assert_string_equal(config.params, "console=hvc0 quiet panic=-1");
	set(2, "options", "--console serial");
	configure(2);
	assert_string_equal(config.params, "console=ttyAMA0 quiet panic=-1");
}

static void only_the_last_hypervisor_may_lack_vhe(void **state)
{
	make_levels(4);
	set(3, "options", "--e2h0");
	configure(3);
	assert_true(config.e2h0 && config.nested);
	configure(2);
	assert_false(config.e2h0);
	assert_non_null(strstr(config.params, "kvm-arm.mode=nested"));

	for (unsigned int level = 1; level <= 4; level++) {
		if (level == 3)
			continue;
		set(level, "options", "--e2h0");
		if (level == 4)
			set(level, "options", "--nested");
		assert_refused(level, "--e2h0: ");
	}
	nest_destroy(&nest);
	nest_create(&nest);
	make_levels(1);
	set(1, "options", "--e2h0");
	assert_refused(1, "--e2h0");
}

/* The level's kernel is its first domain's. */
static void a_hypervisor_starts_the_innermost(void **state)
{
	make_levels(1);
	set(1, "hypervisor", "/boot/xen  dom0_mem=512M sync_console");
	set(1, "params", "loglevel=7");
	configure(1);
	assert_string_equal(config.kernel, "/boot/xen");
	assert_string_equal(config.params, "dom0_mem=512M sync_console");
	assert_true(config.nested && config.e2h0);
	assert_int_equal(config.module_count, 1);
	assert_string_equal(config.modules[0].path, kernel);
	assert_string_equal(config.modules[0].kind, "kernel");
	assert_string_equal(config.modules[0].params, "console=hvc0 quiet panic=-1 loglevel=7");
	set(1, "hypervisor", "/boot/xen");
	configure(1);
	assert_string_equal(config.params, "");
	assert_int_equal(nest_add_level(&nest), 0);
	assert_refused(1, "hypervisor: in its first domain there is no KVM");
	configure(2);
	assert_false(config.nested);
}

/* What a nest decides by itself, and what is no option at all. */
static void options_that_are_refused(void **state)
{
	static const struct {
		const char *options, *message;
	} cases[] = {
		{ "--initrd /x", "--initrd" },	  { "-i /x", "--initrd" },
		{ "--initrd=/x", "--initrd" },	  { "--params x", "--params" },
		{ "-p x", "--params" },		  { "--report /x", "--report" },
		{ "--kernel /x", "--kernel" },	  { "-k /x", "--kernel" },
		{ "--help", "--help" },		  { "-h", "--help" },
		{ "--none-such", "--none-such" }, { "--mem", "needs an argument" },
		{ "--mem 1Q", "--mem 1Q" },	  { "stray", "stray" },
		{ "-- stray", "stray" },	  { "--network tup", "--network" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		nest_destroy(&nest);
		nest_create(&nest);
		make_levels(2);
		set(2, "options", cases[i].options);
		assert_refused(2, cases[i].message);
	}
}

static void kernel_is_needed(void **state)
{
	assert_int_equal(nest_add_level(&nest), 0);
	assert_refused(1, "no kernel");
	set(1, "kernel", "/other");
	set(1, "kernel", kernel);
	configure(1);
	assert_string_equal(config.kernel, kernel);
}

static void very_long_values(void **state)
{
	const size_t room = 4095 - strlen("console=hvc0 quiet panic=-1 ");
	char *text = malloc(MIB(1) + 1);

	make_levels(1);
	memset(text, 'a', MIB(1));
	text[MIB(1)] = '\0';
	set(1, "params", text);
	assert_refused(1, "params: are longer than ");
	text[room + 1] = '\0';
	set(1, "params", text);
	assert_refused(1, "params: are longer than ");
	text[room] = '\0';
	set(1, "params", text);
	configure(1);
	assert_int_equal(strlen(config.params), 4095);
	assert_string_equal(config.params + 4095 - room, text);

	/* A name is not looked into. */
	memset(text, 'a', MIB(1));
	set(1, "disk", text);
	configure(1);
	assert_string_equal(config.disks[0].path, text);
	set(1, "kernel", text);
	configure(1);
	assert_string_equal(config.kernel, text);
	free(text);
}

static void many_options(void **state)
{
	make_levels(1);
	for (unsigned int i = 0; i < 1000; i++)
		set(1, "options", "--rng");
	configure(1);
	assert_int_equal(words.list.count, 1006);
	assert_null(words.list.words[1006]);
}

/* Archives. */

#define BASE GIB(1)

static struct memory memory;
static struct newc entries[64];
static unsigned int count;

/* What a level's archive holds. To be followed by memory_destroy(). */
static void pack(const struct nest *nest, unsigned int level)
{
	struct archive *archive;
	uint64_t offset = 0, size;

	assert_int_equal(nest_pack(nest, level, &archive), 0);
	assert_silent();
	size = archive_size(archive);
	assert_int_equal(memory_create(&memory, BASE, MIB(64), MEMORY_ANON, NULL), 0);
	assert_int_equal(archive_load(archive, &memory, BASE), 0);
	archive_destroy(archive);
	for (count = 0; count < ARRAY_SIZE(entries); count++) {
		offset = newc_read(memory_at(&memory, BASE, size), offset, size, &entries[count]);
		if (strcmp(entries[count].name, "TRAILER!!!") == 0)
			return;
	}
	fail();
}

static const struct newc *find(const char *name)
{
	for (unsigned int i = 0; i < count; i++)
		if (strcmp(entries[i].name, name) == 0)
			return &entries[i];
	return NULL;
}

static void assert_holds(const char *name, const char *contents)
{
	const struct newc *entry = find(name);

	if (!contents) {
		assert_null(entry);
		return;
	}
	assert_non_null(entry);
	assert_int_equal(entry->field[FILESIZE], strlen(contents));
	assert_memory_equal(entry->data, contents, strlen(contents));
}

static json_t *plan_in_archive(void)
{
	const struct newc *entry = find("nest/plan");
	json_t *plan;

	assert_non_null(entry);
	plan = json_loadb((const char *)entry->data, entry->field[FILESIZE], 0, NULL);
	assert_non_null(plan);
	return plan;
}

static void archive_has_what_init_needs(void **state)
{
	static const char *const directories[] = { "dev", "proc", "sys", "tmp", "nest" };
	struct stat self;

	make_levels(1);
	pack(&nest, 1);
	assert_int_equal(stat("/proc/self/exe", &self), 0);
	assert_non_null(find("init"));
	assert_int_equal(find("init")->field[MODE], self.st_mode);
	assert_int_equal(find("init")->field[FILESIZE], self.st_size);
	assert_memory_equal(find("init")->data,
			    "\x7f"
			    "ELF",
			    4);
	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		assert_non_null(find(directories[i]));
		assert_int_equal(find(directories[i])->field[MODE], S_IFDIR | 0755);
	}
	assert_true(S_ISCHR(find("dev/console")->field[MODE]));
	assert_int_equal(find("dev/console")->field[RMAJ], 5);
	assert_int_equal(find("dev/console")->field[RMIN], 1);
	/* The innermost carries nothing on, its own kernel least of all. */
	assert_holds("nest/0", NULL);
	assert_int_equal(count, 1 + ARRAY_SIZE(directories) + 2);
	memory_destroy(&memory);
}

/* What lies over the root of the innermost level is apart, wherever the file itself is to be. */
static void files_lie_over_a_root(void **state)
{
	char value[256];

	make_levels(2);
	snprintf(value, sizeof(value), "%s:/bin/probe", kernel);
	set(1, "file", value);
	set(2, "file", value);
	set(0, "root", directory);
	pack(&nest, 1);
	assert_holds("bin/probe", "a flat binary");
	assert_holds("nest/own/bin/probe", NULL);
	memory_destroy(&memory);
	pack(&nest, 2);
	assert_holds("bin/probe", NULL);
	assert_holds("nest/own/bin/probe", "a flat binary");
	memory_destroy(&memory);
}

static void a_root_has_its_layer_without_files_as_well(void **state)
{
	make_levels(1);
	set(0, "root", directory);
	pack(&nest, 1);
	assert_int_equal(find("nest/own")->field[MODE], S_IFDIR | 0755);
	memory_destroy(&memory);
}

/* A program of this machine's in place of virtiofsd: it is loaded, but never started. */
static void levels_between_carry_virtiofsd(void **state)
{
	char *const path = strdup(getenv("PATH"));
	char copy[256];

	snprintf(copy, sizeof(copy), "cp /bin/true %s/virtiofsd", directory);
	assert_int_equal(system(copy), 0);
	make_levels(3);
	set(0, "root", directory);
	setenv("PATH", directory, true);
	assert_int_equal(nest_add_root(&nest), 0);
	setenv("PATH", path, true);
	free(path);
	assert_silent();
	for (unsigned int level = 1; level <= 2; level++) {
		bool loader = false, library = false;

		pack(&nest, level);
		assert_non_null(find("usr/libexec/virtiofsd"));
		assert_true(find("usr/libexec/virtiofsd")->field[MODE] & 0100);
		for (unsigned int i = 0; i < count; i++) {
			loader |= strstr(entries[i].name, "/ld-") != NULL;
			library |= strstr(entries[i].name, "/libc.so") != NULL;
		}
		assert_true(loader && library);
		memory_destroy(&memory);
	}
	assert_int_equal(nest.levels[2].file_count, 0);
}

static void the_innermost_alone_needs_no_virtiofsd(void **state)
{
	char *const path = strdup(getenv("PATH"));

	setenv("PATH", directory, true);
	make_levels(1);
	assert_int_equal(nest_add_root(&nest), 0);
	set(0, "root", directory);
	assert_int_equal(nest_add_root(&nest), 0);
	assert_int_equal(nest.levels[0].file_count, 0);
	assert_silent();
	assert_int_equal(nest_add_level(&nest), 0);
	if (access(SERVED_VIRTIOFSD, F_OK) < 0 && access("/usr/lib/qemu/virtiofsd", F_OK) < 0) {
		assert_int_equal(nest_add_root(&nest), -ENOPKG);
		assert_said("root: there is no virtiofsd here; Debian's package virtiofsd has it");
		assert_int_equal(nest_status(-ENOPKG), 3);
	}
	setenv("PATH", path, true);
	free(path);
}

/* A file in the scratch directory, named and filled alike; a ring of names. */
static const char *file_named(const char *name)
{
	static char paths[8][160];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	make_file(path, name);
	return path;
}

static void set_file(unsigned int level, const char *name, const char *where)
{
	char value[256];

	snprintf(value, sizeof(value), "%s%s%s", file_named(name), where ? ":" : "",
		 where ? where : "");
	set(level, "file", value);
}

/* Level 3 has a kernel of its own, all carry one file, and level 2 has the same file twice. */
static void make_mixed_levels(void)
{
	set_file(0, "everywhere", NULL);
	make_levels(3);
	set(3, "kernel", file_named("inner-kernel"));
	set_file(1, "first", "/opt/first");
	set_file(2, "second", "/opt/second");
	set_file(2, "second", "/opt/again");
	set_file(3, "third", "/opt/deep/third");
	set_file(3, "first", "/opt/first");
}

/* The numbers are those of nest.sources. */
static void assert_mixed(unsigned int level)
{
	assert_holds("bin/everywhere", "everywhere");
	assert_holds("opt/first", level != 2 ? "first" : NULL);
	assert_holds("opt/second", level == 2 ? "second" : NULL);
	assert_holds("opt/again", level == 2 ? "second" : NULL);
	assert_holds("opt/deep/third", level == 3 ? "third" : NULL);

	assert_holds("nest/0", level < 3 ? "everywhere" : NULL);
	assert_holds("nest/1", level < 2 ? "a flat binary" : NULL);
	assert_holds("nest/2", level < 3 ? "inner-kernel" : NULL);
	assert_holds("nest/3", level < 3 ? "first" : NULL);
	assert_holds("nest/4", level < 2 ? "second" : NULL);
	assert_holds("nest/5", level < 3 ? "third" : NULL);
	assert_holds("nest/6", NULL);
}

static void each_level_has_what_is_inside_it(void **state)
{
	make_mixed_levels();
	assert_int_equal(nest.sources.count, 6);
	for (unsigned int level = 1; level <= 3; level++) {
		json_t *plan, *sources, *levels = packed_levels(&nest);

		pack(&nest, level);
		assert_mixed(level);
		plan = plan_in_archive();
		sources = json_pack("[ssssss]", "/nest/0", "/nest/1", "/nest/2", "/nest/3",
				    "/nest/4", "/nest/5");
		assert_int_equal(json_integer_value(json_object_get(plan, "level")), level);
		assert_true(json_equal(json_object_get(plan, "sources"), sources));
		assert_true(json_equal(json_object_get(plan, "levels"), levels));
		json_decref(levels);
		json_decref(sources);
		json_decref(plan);
		memory_destroy(&memory);
	}
}

/*
 * Makes of the archive in memory what nidus finds in that level: the plan, and its sources as far
 * as they are there. NEST_DIRECTORY is the scratch directory.
 */
static void unpack(struct nest *inner)
{
	json_t *plan = plan_in_archive(), *source;
	unsigned int level;
	size_t i;

	json_array_foreach (json_object_get(plan, "sources"), i, source) {
		const char *path = json_string_value(source);
		const struct newc *entry = find(path + 1);
		char there[160];

		snprintf(there, sizeof(there), "%s/unpacked-%zu", directory, i);
		if (entry) {
			int fd = open(there, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

			assert_int_equal(write(fd, entry->data, entry->field[FILESIZE]),
					 entry->field[FILESIZE]);
			close(fd);
		} else {
			unlink(there);
		}
		json_array_set_new(json_object_get(plan, "sources"), i, json_string(there));
	}
	assert_int_equal(nest_plan_unpack(inner, &level, plan), 0);
	json_decref(plan);
}

static void each_level_can_pack_the_next(void **state)
{
	struct nest inner;

	make_mixed_levels();
	pack(&nest, 1);
	for (unsigned int level = 2; level <= 3; level++) {
		json_t *plan, *levels = packed_levels(&nest);

		unpack(&inner);
		memory_destroy(&memory);
		nest_release(&words);
		assert_int_equal(nest_configure(&inner, level, &config, &words), 0);
		assert_int_equal(access(config.kernel, R_OK), 0);
		pack(&inner, level);
		assert_mixed(level);
		plan = plan_in_archive();
		assert_int_equal(json_integer_value(json_object_get(plan, "level")), level);
		assert_true(json_equal(json_object_get(plan, "levels"), levels));
		json_decref(levels);
		json_decref(plan);
		nest_destroy(&inner);
	}
	memory_destroy(&memory);
}

static void outside_of_a_nest_there_is_no_plan(void **state)
{
	struct nest none;
	unsigned int level;

	if (access("/nest", F_OK) == 0)
		skip();
	assert_true(nest_unpack(&none, &level) < 0);
	assert_said("/nest/plan");
}

/* Checks. */

static void good_nest_is_good(void **state)
{
	make_mixed_levels();
	assert_int_equal(nest_check(&nest), 0);
	assert_silent();
	assert_int_equal(nest_check(&nest), 0);
	log_error("no subject is left");
	assert_string_equal(said(), "nidus: error: no subject is left\n");
}

/* One line is said, and it begins with the level that is to blame. */
static void assert_blamed(unsigned int level, const char *message)
{
	char begin[64];
	const char *text;

	assert_true(nest_check(&nest) < 0);
	snprintf(begin, sizeof(begin), "nidus: error: level %u: ", level);
	text = said();
	if (strncmp(text, begin, strlen(begin)) != 0 || !strstr(text, message) ||
	    strchr(text, '\n') != text + strlen(text) - 1)
		fail_msg("expected \"%s...%s\", said was:\n%s", begin, message, text);
	log_error("no subject is left");
	assert_string_equal(said(), "nidus: error: no subject is left\n");
}

static void blame_for_a_root(void **state)
{
	make_levels(1);
	set(0, "root", "/none/such");
	assert_int_equal(nest_check(&nest), -ENOENT);
	assert_said("root /none/such: No such file or directory");
	set(0, "root", kernel);
	assert_int_equal(nest_check(&nest), -ENOTDIR);
	assert_said("is not a directory");
	set(0, "root", directory);
	assert_int_equal(nest_check(&nest), 0);
	assert_silent();
}

static void blame_for_files_that_a_root_would_hide(void **state)
{
	static const char *const places[] = { "/run/x", "/tmp/x", "bin/x" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		nest_destroy(&nest);
		nest_create(&nest);
		make_levels(2);
		set(0, "root", directory);
		set_file(2, "file", places[i]);
		assert_blamed(2, places[i]);
	}
}

static void blame_for_options(void **state)
{
	for (unsigned int level = 1; level <= 3; level++) {
		nest_destroy(&nest);
		nest_create(&nest);
		make_levels(3);
		set(level, "options", "--none-such");
		assert_blamed(level, "--none-such");
	}
}

static void blame_for_files(void **state)
{
	static const struct {
		const char *key, *value, *message;
	} cases[] = {
		{ "kernel", "/none/such", "/none/such: No such file or directory" },
		{ "kernel", "/", "is not a regular file" },
		{ "file", "/none/such", "/none/such: No such file or directory" },
		{ "file", "/:/bin/x", "is not a regular file" },
		{ "file", "/proc/self/exe:relative", "relative: Invalid argument" },
		{ "file", "/proc/self/exe:", "Invalid argument" },
		{ "file", "/proc/self/exe:/a/../b", "/a/../b: Invalid argument" },
		{ "file", "/proc/self/exe:/init", "/init: File exists" },
		{ "file", "/proc/self/exe:/init/x", "/init/x: Not a directory" },
		{ "file", "/proc/self/exe:/nest/plan", "/nest/plan: File exists" },
		{ "file", "/proc/self/exe:/tmp", "/tmp: File exists" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (unsigned int level = 1; level <= 3; level++) {
			nest_destroy(&nest);
			nest_create(&nest);
			make_levels(3);
			set(level, cases[i].key, cases[i].value);
			assert_blamed(level, cases[i].message);
		}
	}
}

static void blame_for_memory(void **state)
{
	char path[160];

	make_levels(3);
	snprintf(path, sizeof(path), "%s", file_named("large"));
	assert_int_equal(truncate(path, MIB(70)), 0);
	set(3, "file", path);
	assert_int_equal(nest_check(&nest), 0);
	set(2, "memory", "80M");
	assert_int_equal(nest_check(&nest), 0);
	/* It is in level 2 only because level 3 needs it. */
	set(2, "memory", "64M");
	assert_blamed(2, "MiB of RAM, but the guest has 64 MiB");
	set(2, "memory", "1G");
	set(1, "memory", "64M");
	assert_blamed(1, "but the guest has 64 MiB");
}

#define on_nest(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_nest(new_nest_is_empty),
		on_nest(keys_become_options),
		on_nest(values_reach_the_configuration),
		on_nest(files_and_where_they_go),
		on_nest(commands),
		on_nest(time_limits),
		on_nest(keys_that_are_refused),
		on_nest(files_where_the_kernel_mounts_are_refused),
		on_nest(values_are_utf_8),
		on_nest(defaults_hold_for_later_levels),
		on_nest(no_more_than_eight_levels),
		on_nest(level_1_has_what_the_nest_asks_for),
		on_nest(no_network_without_asking),
		on_nest(network_is_the_whole_nests),
		on_nest(devices_are_handed_on_through_all_levels),
		on_nest(what_cannot_be_handed_on_is_refused),
		on_nest(every_level_hands_the_root_down),
		on_nest(root_is_the_whole_nests),
		on_nest(no_root_without_asking),
		on_nest(hypervisors_have_an_el2),
		on_nest(one_level_is_no_hypervisor),
		on_nest(innermost_with_an_el2_of_its_own),
		on_nest(consoles_have_their_names),
		on_nest(only_the_last_hypervisor_may_lack_vhe),
		on_nest(a_hypervisor_starts_the_innermost),
		on_nest(options_that_are_refused),
		on_nest(kernel_is_needed),
		on_nest(very_long_values),
		on_nest(many_options),
		on_nest(archive_has_what_init_needs),
		on_nest(files_lie_over_a_root),
		on_nest(a_root_has_its_layer_without_files_as_well),
		on_nest(levels_between_carry_virtiofsd),
		on_nest(the_innermost_alone_needs_no_virtiofsd),
		on_nest(each_level_has_what_is_inside_it),
		on_nest(each_level_can_pack_the_next),
		on_nest(outside_of_a_nest_there_is_no_plan),
		on_nest(good_nest_is_good),
		on_nest(blame_for_a_root),
		on_nest(blame_for_files_that_a_root_would_hide),
		on_nest(blame_for_options),
		on_nest(blame_for_files),
		on_nest(blame_for_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
