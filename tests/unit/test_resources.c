// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is opened for a guest, and what is said where that cannot be: /dev/kvm, and the links of its
 * networks, for which RAM may have to be made of something else.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backends/passt.h"
#include "backends/tap.h"
#include "machine/resources.h"
#include "unit.h"
#include "util.h"
#include "vhost.h"

static char kernel[] = "/tmp/nidus-resources-XXXXXX";
static char programs[] = "/tmp/nidus-programs-XXXXXX"; /* where passt is */
static char passt[64];

/* In place of vmm/host/kvm.c and the backends. */

static int kvm_error;

void nested_look(struct nested_kernel *kernel, int kvm_fd)
{
}

int kvm_open(void)
{
	return kvm_error < 0 ? kvm_error : memfd_create("kvm", MFD_CLOEXEC);
}

struct vfio {
	char name[16];
	uint64_t ram;
};
static struct vfio passed;
static unsigned int passed_count;

int vfio_open(struct vfio **vfio, const char *const *names, unsigned int count, uint64_t ram,
	      bool apart)
{
	if (strcmp(names[0], "00:1f.0") == 0)
		return -EINVAL;
	snprintf(passed.name, sizeof(passed.name), "%s", names[count - 1]);
	passed.ram = ram;
	passed_count = count;
	*vfio = &passed;
	return 0;
}

void vfio_close(struct vfio *vfio)
{
	assert_ptr_equal(vfio, &passed);
	passed_count = 0;
}

static unsigned int opened, closed;
static struct link links[CONFIG_NETWORKS_MAX];
static struct vhost vhost;
static int error; /* of the next one that is opened */
static struct passt_options passts[CONFIG_NETWORKS_MAX];
static struct passt_forward forwards[PASST_FORWARDS_MAX];
static struct tap_options taps[CONFIG_NETWORKS_MAX];

static void link_close(struct link *link)
{
	assert_ptr_equal(link, &links[opened - ++closed]);
}

static const struct link_ops link_ops = { .name = "fake", .close = link_close };

static int fake_open(struct link **link)
{
	if (error < 0)
		return error;
	links[opened].ops = &link_ops;
	*link = &links[opened++];
	return 0;
}

int passt_open(struct link **link, const struct passt_options *options)
{
	passts[opened] = *options;
	memcpy(forwards, options->forwards, options->forward_count * sizeof(*forwards));
	return fake_open(link);
}

int tap_open(struct link **link, const struct tap_options *options)
{
	taps[opened] = *options;
	return fake_open(link);
}

/* Resources of a machine with these options. */

static struct config config;
static struct resources resources;

static enum status open_as(enum config_flavour flavour, const char *line)
{
	static char words[512];
	char *argv[32] = { "run", "-k", kernel };
	int argc = 3;

	strcpy(words, line);
	for (char *word = strtok(words, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	opened = closed = 0;
	assert_int_equal(config_parse(&config, flavour, argc, argv), 0);
	return resources_open(&resources, &config);
}

static void opens(const char *line)
{
	assert_int_equal(open_as(CONFIG_NIDUS, line), STATUS_OK);
}

static void close_all(void)
{
	resources_close(&resources);
	assert_int_equal(closed, opened);
}

static void why_there_is_no_kvm_is_said(void **state)
{
	static const struct {
		int error;
		const char *said;
	} cases[] = {
		{ -ENOENT, "no /dev/kvm: this machine, or its kernel, has no KVM" },
		{ -ENXIO, "no /dev/kvm: this machine, or its kernel, has no KVM" },
		{ -ENODEV, "no /dev/kvm: this machine, or its kernel, has no KVM" },
		{ -EACCES, "/dev/kvm: Permission denied; be root, or in the group" },
		{ -EPERM, "/dev/kvm: Operation not permitted; be root, or in the group" },
		{ -ENOTSUP, "/dev/kvm: does not behave like KVM" },
		{ -ENOTTY, "/dev/kvm: does not behave like KVM" },
		{ -EIO, "/dev/kvm: Input/output error" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		kvm_error = cases[i].error;
		assert_int_equal(open_as(CONFIG_NIDUS, ""), STATUS_HOST);
		assert_said(cases[i].said);
	}
	kvm_error = 0;
}

static void user_networks(void **state)
{
	opens("-n user,forward=tcp:2222:22,forward=udp:5353:53,guest_ip=10.1.1.2,host_ip=10.1.1.1");
	assert_int_equal(opened, 1);
	assert_int_equal(passts[0].vhost, LINK_VHOST_AUTO);
	assert_int_equal(passts[0].guest_ip.s_addr, htonl(0x0a010102));
	assert_int_equal(passts[0].host_ip.s_addr, htonl(0x0a010101));
	assert_int_equal(passts[0].forward_count, 2);
	assert_false(forwards[0].udp);
	assert_true(forwards[1].udp);
	close_all();
	/* Memory that is nobody else's cannot be mapped by passt. */
	opens("-n user --mem-backing anon");
	assert_int_equal(passts[0].vhost, LINK_VHOST_NO);
	close_all();
	assert_silent();
}

static void tap_networks(void **state)
{
	static const uint8_t mac[] = { 2, 0, 0, 0, 0, 9 };

	opens("-n tap -c 3");
	assert_null(taps[0].name);
	assert_int_equal(taps[0].fd, -1);
	assert_int_equal(taps[0].pairs, 3);
	assert_int_equal(taps[0].host_ip.s_addr, htonl(0xc0a82101));
	close_all();
	opens("-n tap,tapif=t9,script=/up,downscript=/down,host_mac=02:00:00:00:00:09 -c 3");
	assert_string_equal(taps[0].name, "t9");
	assert_string_equal(taps[0].script, "/up");
	assert_string_equal(taps[0].downscript, "/down");
	assert_true(taps[0].has_host_mac);
	assert_memory_equal(taps[0].host_mac, mac, sizeof(mac));
	/* It is likely to have been made for one. */
	assert_int_equal(taps[0].pairs, 1);
	assert_int_equal(taps[0].host_ip.s_addr, 0);
	close_all();
	opens("-n tap,bridge=br7,mq=2,vhost=1");
	assert_string_equal(taps[0].bridge, "br7");
	assert_int_equal(taps[0].pairs, 2);
	assert_int_equal(taps[0].vhost, LINK_VHOST_YES);
	close_all();
	assert_silent();
}

static void addresses_of_guests(void **state)
{
	static const uint8_t wish[] = { 2, 1, 2, 3, 4, 5 };
	uint8_t first[LINK_ADDRESS], random[LINK_ADDRESS];

	opens("-n tap -n tap --name sparrow");
	memcpy(first, taps[0].guest_mac, sizeof(first));
	assert_memory_not_equal(first, taps[1].guest_mac, sizeof(first));
	/* Of one interface, and given by nobody. */
	assert_int_equal(first[0] & 3, 2);
	close_all();
	opens("-n tap --name sparrow");
	assert_memory_equal(first, taps[0].guest_mac, sizeof(first));
	close_all();
	opens("-n tap --name wren");
	assert_memory_not_equal(first, taps[0].guest_mac, sizeof(first));
	close_all();
	opens("-n tap");
	memcpy(random, taps[0].guest_mac, sizeof(random));
	assert_int_equal(random[0] & 3, 2);
	close_all();
	opens("-n tap");
	assert_memory_not_equal(random, taps[0].guest_mac, sizeof(random));
	close_all();
	opens("-n user,guest_mac=02:01:02:03:04:05 --name sparrow");
	assert_memory_equal(passts[0].guest_mac, wish, sizeof(wish));
	close_all();
}

static void ram_is_shared_for_who_maps_it(void **state)
{
	opens("-n tap");
	assert_int_equal(resources_backing(&resources), MEMORY_ANON);
	links[0].vhost = &vhost;
	assert_int_equal(resources_backing(&resources), MEMORY_ANON);
	vhost.shares_memory = true;
	assert_int_equal(resources_backing(&resources), MEMORY_MEMFD);
	close_all();
	opens("-n tap --mem-backing hugetlbfs");
	assert_int_equal(resources_backing(&resources), MEMORY_HUGETLBFS);
	close_all();
}

static void what_cannot_be_opened_leaves_nothing(void **state)
{
	error = -EPERM;
	assert_int_equal(open_as(CONFIG_NIDUS, "-n tap"), STATUS_HOST);
	error = -EINVAL;
	assert_int_equal(open_as(CONFIG_NIDUS, "-n tap"), STATUS_USAGE);
	assert_int_equal(opened, 0);
	error = 0;
}

static void devices_of_the_host(void **state)
{
	opens("--vfio 00:02.0 --vfio 0000:00:03.0 --mem 300");
	assert_int_equal(passed_count, 2);
	assert_string_equal(passed.name, "0000:00:03.0");
	assert_int_equal(passed.ram, 300 << 20);
	assert_int_equal(resources_backing(&resources), MEMORY_ANON);
	close_all();
	assert_int_equal(passed_count, 0);
	opens("");
	assert_null(resources.vfio);
	close_all();
	/* Which one is the user's to say. */
	assert_int_equal(open_as(CONFIG_NIDUS, "--vfio 00:1f.0"), STATUS_USAGE);
}

static void lkvm_does_without(void **state)
{
	assert_int_equal(open_as(CONFIG_LKVM, ""), STATUS_OK);
	assert_int_equal(opened, 1);
	close_all();
	setenv("PATH", "/nowhere", true);
	assert_int_equal(open_as(CONFIG_LKVM, ""), STATUS_OK);
	assert_said("no network: passt is not installed");
	assert_int_equal(opened, 0);
	assert_null(resources.links[0]);
	close_all();
	setenv("PATH", programs, true);
	error = -EINVAL;
	assert_int_equal(open_as(CONFIG_LKVM, ""), STATUS_OK);
	assert_said("no network: passt does not start");
	close_all();
	error = -ENOMEM;
	assert_int_equal(open_as(CONFIG_LKVM, ""), STATUS_HOST);
	error = 0;
	assert_silent();
}

static int begin(void **state)
{
	memset(links, 0, sizeof(links));
	vhost.shares_memory = false;
	setenv("PATH", programs, true);
	log_set_level(LOG_INFO);
	return catch_begin(state);
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, catch_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(why_there_is_no_kvm_is_said),
		test(user_networks),
		test(tap_networks),
		test(addresses_of_guests),
		test(ram_is_shared_for_who_maps_it),
		test(what_cannot_be_opened_leaves_nothing),
		test(devices_of_the_host),
		test(lkvm_does_without),
	};
	const int fd = mkstemp(kernel);
	int failed;

	if (fd < 0 || ftruncate(fd, 4096) < 0 || !mkdtemp(programs))
		return EXIT_FAILURE;
	close(fd);
	snprintf(passt, sizeof(passt), "%s/passt", programs);
	close(open(passt, O_CREAT | O_WRONLY, 0755));
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(kernel);
	unlink(passt);
	rmdir(programs);
	return failed;
}
