// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine that is built of real files on a KVM that is made up and refuses what it is told to:
 * whatever fails on the way, nothing is left of it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/kvm.h"
#include "machine/machine.h"
#include "memmap.h"
#include "unit.h"
#include "util.h"
#include "vmm/machine/steps.h"

#define RUN_SIZE 4096

/* In place of the C library's: what of it has not been unmapped. */

static atomic_int mappings;

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	const long start = syscall(SYS_mmap, address, size, protection, flags, fd, offset);

	if (start != -1 && !(flags & MAP_FIXED))
		mappings++;
	return (void *)start;
}

int munmap(void *start, size_t size)
{
	mappings--;
	return syscall(SYS_munmap, start, size);
}

/* In place of vmm/host/kvm.c. */

static unsigned int calls, refused; /* so far; the one that fails, from 1 on */
static bool no_read_only_memory;

static int call(void)
{
	return ++calls == refused ? -EINVAL : 0;
}

static int call_for_descriptor(void)
{
	const int err = call(), fd = err < 0 ? err : memfd_create("kvm", MFD_CLOEXEC);

	assert_true(fd < 0 || ftruncate(fd, RUN_SIZE) == 0);
	return fd;
}

int kvm_open(void)
{
	return call_for_descriptor();
}

int kvm_check(int fd, unsigned int capability)
{
	if (capability == KVM_CAP_READONLY_MEM && no_read_only_memory)
		return 0;
	/* Bits of address, or vCPUs, of which there are enough; else yes. */
	return 40;
}

int kvm_enable(int vm_fd, unsigned int capability)
{
	return call();
}

int kvm_enable_with(int vm_fd, unsigned int capability, uint64_t argument)
{
	return call();
}

int kvm_create_vm(int kvm_fd, unsigned int ipa_bits)
{
	return call_for_descriptor();
}

int kvm_set_counter_offset(int vm_fd, uint64_t offset)
{
	return call();
}

int kvm_set_memory_region(int vm_fd, const struct kvm_userspace_memory_region *region)
{
	return call();
}

int kvm_get_dirty_log(int vm_fd, unsigned int slot, uint64_t *bitmap)
{
	return call();
}

int kvm_get_tags(int vm_fd, uint64_t gpa, uint64_t length, uint8_t *tags)
{
	return call();
}

int kvm_set_tags(int vm_fd, uint64_t gpa, uint64_t length, uint8_t *tags)
{
	return call();
}

int kvm_irq_line(int vm_fd, unsigned int intid, bool level)
{
	return call();
}

int kvm_irqfd(int vm_fd, unsigned int gsi, int eventfd, unsigned int flags)
{
	return call();
}

int kvm_set_gsi_routing(int vm_fd, const struct kvm_irq_routing *routing)
{
	return call();
}

int kvm_ioeventfd(int vm_fd, const struct kvm_ioeventfd *ioeventfd)
{
	return call();
}

int kvm_create_device(int vm_fd, unsigned int type)
{
	return call_for_descriptor();
}

bool kvm_has_device(int vm_fd, unsigned int type)
{
	return true;
}

bool kvm_has_attr(int fd, unsigned int group, uint64_t attr)
{
	return true;
}

int kvm_set_attr(int fd, unsigned int group, uint64_t attr, const void *value)
{
	return call();
}

int kvm_create_vcpu(int vm_fd, unsigned int id)
{
	return call_for_descriptor();
}

int kvm_preferred_target(int vm_fd, struct kvm_vcpu_init *init)
{
	*init = (struct kvm_vcpu_init){ 0 };
	return call();
}

int kvm_vcpu_init(int vcpu_fd, const struct kvm_vcpu_init *init)
{
	return call();
}

int kvm_vcpu_finalize(int vcpu_fd, int feature)
{
	return call();
}

int kvm_run(int vcpu_fd)
{
	return -EINTR;
}

int kvm_get_reg(int vcpu_fd, uint64_t id, void *value)
{
	memset(value, 0, 1 << ((id & KVM_REG_SIZE_MASK) >> KVM_REG_SIZE_SHIFT));
	return call();
}

int kvm_set_reg(int vcpu_fd, uint64_t id, const void *value)
{
	return call();
}

int kvm_get_attr(int fd, unsigned int group, uint64_t attr, void *value)
{
	return call();
}

int kvm_get_reg_list(int vcpu_fd, struct kvm_reg_list *list)
{
	list->n = 0;
	return call();
}

int kvm_get_vcpu_events(int vcpu_fd, struct kvm_vcpu_events *events)
{
	return call();
}

struct kvm_arm_translation;
int kvm_translate(int vcpu_fd, struct kvm_arm_translation *translation)
{
	return call();
}

int kvm_get_mp_state(int vcpu_fd)
{
	return call();
}

int kvm_set_mp_state(int vcpu_fd, unsigned int state)
{
	return call();
}

int kvm_set_vcpu_events(int vcpu_fd, const struct kvm_vcpu_events *events)
{
	return call();
}

int kvm_run_size(int kvm_fd)
{
	const int err = call();

	return err < 0 ? err : RUN_SIZE;
}

int kvm_stats_fd(int fd)
{
	return call_for_descriptor();
}

/* What a machine is made with. */

static struct config config;
static struct resources resources;
static struct machine machine;
static struct event_loop loop;
static struct terminal terminal;
static struct sink sink;
static struct verdict verdict;
static char kernel[128], initrd[128], disk[128], tree[128];

static bool no_size(struct console *console, uint16_t *columns, uint16_t *rows)
{
	return false;
}

static void make_file(char *path, const char *directory, const char *text, size_t size)
{
	int fd;

	snprintf(path, sizeof(kernel), "%s/%s", directory, text);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(ftruncate(fd, size), 0);
	close(fd);
}

static int begin(void **state)
{
	const char *directory = scratch_begin();

	make_file(kernel, directory, "kernel", 5000);
	make_file(initrd, directory, "initrd", 100);
	make_file(disk, directory, "disk", MIB(1));
	snprintf(tree, sizeof(tree), "%s/tree", directory);
	config = (struct config){
		.kernel = kernel,
		.initrd = initrd,
		.mem_size = MIB(64),
		.mem_backing = MEMORY_MEMFD,
		.cpus = 3,
		.console = CONSOLE_VIRTIO,
		.disks = { { .path = disk } },
		.disk_count = 1,
		.block_engine = DISK_ENGINE_SYNC,
		.rng = true,
		.balloon = true,
		.pmu = true,
		.pvtime = true,
		.defaults = true,
		.has_counter_offset = true,
		.stats_file = tree,
	};
	terminal.console.size = no_size;
	calls = refused = 0;
	no_read_only_memory = false;
	assert_int_equal(event_loop_create(&loop), 0);
	return catch_begin(state);
}

static int finish(void **state)
{
	event_loop_destroy(&loop);
	scratch_end();
	return catch_end(state);
}

static unsigned int descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned int count = 0;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static enum status create(void)
{
	return machine_create(&machine, &resources, &loop, &terminal, &sink, &verdict);
}

/* Refuses each call of KVM in turn: from resources_open() to the entry of the first vCPU. */
static void refuse_each(void)
{
	const unsigned int before = descriptors();
	const int mapped = mappings;
	unsigned int failures = 0;

	do {
		enum status status;

		calls = 0;
		refused++;
		status = resources_open(&resources, &config);
		if (status == STATUS_OK) {
			status = create();
			if (status == STATUS_OK)
				machine_destroy(&machine);
			resources_close(&resources);
		}
		/* KVM can do without some. */
		failures += status != STATUS_OK;
		assert_true(status == STATUS_OK || status == STATUS_HOST);
		assert_true((status == STATUS_OK) || said()[0] != '\0');
		assert_int_equal(descriptors(), before);
		assert_int_equal(mappings, mapped);
	} while (calls >= refused);
	assert_in_range(failures, 40, refused);
	refused = 0;
}

static void whatever_kvm_refuses_nothing_is_left(void **state)
{
	static const enum config_transport transports[] = { TRANSPORT_PCI, TRANSPORT_MMIO };

	for (size_t i = 0; i < ARRAY_SIZE(transports); i++) {
		config.transport = transports[i];
		refuse_each();
	}
	no_read_only_memory = true;
	refuse_each();
}

/* What fails for the user's own fault, and leaves nothing either. */

static void spoil_kernel(void)
{
	assert_int_equal(truncate(kernel, 0), 0);
}

static void spoil_size(void)
{
	config.mem_size = KIB(64);
}

static void spoil_disk(void)
{
	assert_int_equal(truncate(disk, 1000), 0);
}

static void faults_of_the_user_leave_nothing(void **state)
{
	static const struct {
		void (*spoil)(void);
		const char *message;
	} cases[] = {
		{ spoil_kernel, "is empty" },
		{ spoil_size, "need 3 MiB of RAM" },
		{ spoil_disk, "its size, 1000 bytes" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned int before;
		int mapped = mappings;

		finish(state);
		begin(state);
		assert_int_equal(resources_open(&resources, &config), STATUS_OK);
		before = descriptors();
		cases[i].spoil();
		assert_int_equal(create(), STATUS_USAGE);
		assert_non_null(strstr(said(), cases[i].message));
		assert_int_equal(descriptors(), before);
		assert_int_equal(mappings, mapped);
		resources_close(&resources);
	}
}

/* What is missing is said, and what was opened before it is closed. */
static void resources_are_all_or_none(void **state)
{
	static char *const paths[] = { kernel, initrd, disk };
	const unsigned int before = descriptors();

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		char moved[160];

		snprintf(moved, sizeof(moved), "%s.moved", paths[i]);
		assert_int_equal(rename(paths[i], moved), 0);
		assert_int_equal(resources_open(&resources, &config), STATUS_USAGE);
		assert_said("No such file or directory");
		assert_int_equal(descriptors(), before);
		assert_int_equal(rename(moved, paths[i]), 0);
	}
	config.hugetlbfs = "/proc";
	assert_int_equal(resources_open(&resources, &config), STATUS_USAGE);
	assert_said("not a hugetlbfs mount");
	assert_int_equal(descriptors(), before);
}

/* The lives of a guest that resets. */

static bool live_twice(void *unused)
{
	for (int life = 0; life < 2; life++) {
		if (create() != STATUS_OK)
			return false;
		machine_destroy(&machine);
	}
	return true;
}

static void machines_are_made_without_opening_anything(void **state)
{
	assert_int_equal(resources_open(&resources, &config), STATUS_OK);
	assert_int_equal(remove(kernel), 0);
	assert_int_equal(remove(initrd), 0);
	assert_int_equal(remove(disk), 0);
	assert_int_equal(without_opening(live_twice, NULL), 0);
	config.transport = TRANSPORT_MMIO;
	assert_int_equal(without_opening(live_twice, NULL), 0);
	assert_silent();
	resources_close(&resources);
}

/* A reset makes no other guest of it; another run does. */

static void read_generation(uint8_t *id)
{
	const uint8_t *page;

	assert_int_equal(create(), STATUS_OK);
	page = machine.held.mapping[MEMSLOT_PVTIME].start;
	assert_non_null(page);
	assert_non_null(bus_find(&machine.bus, PVTIME_BASE + 3 * PVTIME_STRIDE));
	memcpy(id, page + 3 * PVTIME_STRIDE, VMGENID_SIZE);
	machine_destroy(&machine);
}

static void all_lives_of_a_guest_have_the_same_generation_id(void **state)
{
	uint8_t first[VMGENID_SIZE], reset[VMGENID_SIZE], other[VMGENID_SIZE];

	assert_int_equal(resources_open(&resources, &config), STATUS_OK);
	read_generation(first);
	read_generation(reset);
	resources_close(&resources);
	assert_memory_equal(first, reset, VMGENID_SIZE);
	assert_int_equal(resources_open(&resources, &config), STATUS_OK);
	read_generation(other);
	resources_close(&resources);
	assert_memory_not_equal(first, other, VMGENID_SIZE);
}

static void there_is_none_where_there_is_no_stolen_time(void **state)
{
	config.pvtime = false;
	assert_int_equal(resources_open(&resources, &config), STATUS_OK);
	assert_int_equal(create(), STATUS_OK);
	assert_null(bus_find(&machine.bus, PVTIME_BASE + 3 * PVTIME_STRIDE));
	machine_destroy(&machine);
	resources_close(&resources);
}

/* PCI, with all that comes with it, is for devices that work hard and may be there. */
static void pci_is_wanted_for_what_works_hard(void **state)
{
	struct config wish = { .transport = TRANSPORT_AUTO, .irqchip = GIC_AUTO };

	assert_false(cpus_want_pci(&wish));
	wish.vfio_count = 1;
	assert_true(cpus_want_pci(&wish));
	wish.vfio_count = 0;
	wish.network_count = 2;
	wish.networks[0].transport = wish.networks[1].transport = TRANSPORT_MMIO;
	assert_false(cpus_want_pci(&wish));
	wish.networks[1].transport = TRANSPORT_AUTO;
	assert_true(cpus_want_pci(&wish));
	/* That an interrupt controller cannot do is no more than a wish, but where PCI was named.
	 */
	wish.irqchip = GIC_V2;
	assert_false(cpus_want_pci(&wish));
	wish.networks[1].transport = TRANSPORT_PCI;
	assert_true(cpus_want_pci(&wish));
	wish = (struct config){ .irqchip = GIC_V3_ITS, .disk_count = 1 };
	assert_true(cpus_want_pci(&wish));
	wish.transport = TRANSPORT_MMIO;
	assert_false(cpus_want_pci(&wish));
}

/* Each life has a tree of its own, and the dump is where it was to be. */
static void the_tree_is_dumped_where_it_was_to_be(void **state)
{
	char moved[160], inside[160];
	struct stat st;

	snprintf(inside, sizeof(inside), "%s.directory", tree);
	snprintf(moved, sizeof(moved), "%s.moved", tree);
	assert_int_equal(mkdir(inside, 0700), 0);
	strcat(strcpy(tree, inside), "/dtb");
	config.dump_dtb = tree;
	config.stats_file = NULL;
	assert_int_equal(resources_open(&resources, &config), STATUS_OK);
	assert_int_equal(rename(inside, moved), 0);
	assert_true(live_twice(NULL));
	strcat(moved, "/dtb");
	assert_int_equal(stat(moved, &st), 0);
	assert_in_range(st.st_size, 1000, 100000);
	resources_close(&resources);
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(whatever_kvm_refuses_nothing_is_left),
		test(faults_of_the_user_leave_nothing),
		test(resources_are_all_or_none),
		test(machines_are_made_without_opening_anything),
		test(all_lives_of_a_guest_have_the_same_generation_id),
		test(there_is_none_where_there_is_no_stolen_time),
		test(pci_is_wanted_for_what_works_hard),
		test(the_tree_is_dumped_where_it_was_to_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
