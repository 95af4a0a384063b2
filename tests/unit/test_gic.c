// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cpu/gic.h"
#include "fake_kvm.h"
#include "memmap.h"
#include "unit.h"
#include "util.h"

static struct gic gic;

static int begin(void **state)
{
	fake_kvm_reset();
	fake_kvm.device_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	fake_kvm.its_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return catch_begin(state);
}

static int finish(void **state)
{
	gic_destroy(&gic);
	fcntl(fake_kvm.device_fd, F_GETFD) < 0 ? 0 : close(fake_kvm.device_fd);
	fcntl(fake_kvm.its_fd, F_GETFD) < 0 ? 0 : close(fake_kvm.its_fd);
	return catch_end(state);
}

static bool device_is_open(void)
{
	return fcntl(fake_kvm.device_fd, F_GETFD) >= 0;
}

static bool its_is_open(void)
{
	return fcntl(fake_kvm.its_fd, F_GETFD) >= 0;
}

/* The journal's line for an address, and those that end it. */

static void expect_address(char *expected, uint64_t type, uint64_t address)
{
	sprintf(expected + strlen(expected), "set_attr %d %ju 0x%jx\n", KVM_DEV_ARM_VGIC_GRP_ADDR,
		(uintmax_t)type, (uintmax_t)address);
}

static void expect_init(char *expected)
{
	sprintf(expected + strlen(expected), "set_attr %d 0 64\nset_attr %d %d\n",
		KVM_DEV_ARM_VGIC_GRP_NR_IRQS, KVM_DEV_ARM_VGIC_GRP_CTRL,
		KVM_DEV_ARM_VGIC_CTRL_INIT);
}

static void gicv3_places_its_regions_in_order(void **state)
{
	static const struct {
		unsigned int cpus;
		uint64_t regions[2];
	} cases[] = {
		{ 1, { UINT64_C(1) << 52 | 0x080a0000, 0 } },
		{ 123, { UINT64_C(123) << 52 | 0x080a0000, 0 } },
		{ 124, { UINT64_C(123) << 52 | 0x080a0000, UINT64_C(1) << 52 | 0x4000000001 } },
		{ 512, { UINT64_C(123) << 52 | 0x080a0000, UINT64_C(389) << 52 | 0x4000000001 } },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char expected[512] = "create_device gicv3\n";

		fake_kvm.journal[0] = '\0';
		assert_int_equal(gic_create(&gic, 3, GIC_V3, cases[i].cpus, false), 0);
		expect_address(expected, KVM_VGIC_V3_ADDR_TYPE_DIST, GIC_DIST_BASE);
		for (unsigned int j = 0; j < 2; j++)
			if (cases[i].regions[j] != 0)
				expect_address(expected, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
					       cases[i].regions[j]);
		expect_init(expected);
		assert_string_equal(fake_kvm.journal, expected);
		assert_int_equal(gic.kind, GIC_V3);
		assert_int_equal(gic.cpus, cases[i].cpus);
	}
	assert_silent();
}

static void gicv2_places_its_interfaces_in_order(void **state)
{
	char expected[512] = "create_device gicv2\n";

	assert_int_equal(gic_create(&gic, 3, GIC_V2, 8, false), 0);
	expect_address(expected, KVM_VGIC_V2_ADDR_TYPE_DIST, GIC_DIST_BASE);
	expect_address(expected, KVM_VGIC_V2_ADDR_TYPE_CPU, GICV2_CPU_BASE);
	expect_init(expected);
	assert_string_equal(fake_kvm.journal, expected);
	assert_int_equal(gic.kind, GIC_V2);
}

static void maintenance_interrupt_comes_before_init(void **state)
{
	char expected[512] = "create_device gicv3\n";

	assert_int_equal(gic_create(&gic, 3, GIC_AUTO, 1, true), 0);
	expect_address(expected, KVM_VGIC_V3_ADDR_TYPE_DIST, GIC_DIST_BASE);
	expect_address(expected, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
		       UINT64_C(1) << 52 | GIC_REDIST_BASE);
	sprintf(expected + strlen(expected), "set_attr %d 0 64\nset_attr %d 0 25\nset_attr %d %d\n",
		KVM_DEV_ARM_VGIC_GRP_NR_IRQS, KVM_DEV_ARM_VGIC_GRP_MAINT_IRQ,
		KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT);
	assert_string_equal(fake_kvm.journal, expected);
}

static void auto_prefers_version_3(void **state)
{
	assert_int_equal(gic_create(&gic, 3, GIC_AUTO, 1, false), 0);
	assert_int_equal(gic.kind, GIC_V3);
	assert_null(strstr(fake_kvm.journal, "gicv2"));
}

static void auto_falls_back_to_version_2(void **state)
{
	fake_kvm.no_gicv3 = true;
	assert_int_equal(gic_create(&gic, 3, GIC_AUTO, 1, false), 0);
	assert_int_equal(gic.kind, GIC_V2);
	assert_silent();
}

static void auto_falls_back_for_no_other_error(void **state)
{
	fake_kvm.fails = "create_device";
	fake_kvm.error = -EEXIST;
	assert_int_equal(gic_create(&gic, 3, GIC_AUTO, 1, false), -EEXIST);
	assert_said("gicv3: File exists");
	assert_string_equal(fake_kvm.journal, "create_device gicv3\n");
}

static void what_the_host_lacks_is_said(void **state)
{
	fake_kvm.no_gicv3 = true;
	assert_int_equal(gic_create(&gic, 3, GIC_V3, 1, false), -ENODEV);
	assert_said("this host cannot give a guest a gicv3");
	fake_kvm.no_gicv2 = true;
	assert_int_equal(gic_create(&gic, 3, GIC_V2, 1, false), -ENODEV);
	assert_said("this host cannot give a guest a gicv2");
	assert_int_equal(gic_create(&gic, 3, GIC_AUTO, 1, false), -ENODEV);
	assert_said("this host cannot give a guest a GIC");
	assert_true(gic.fd < 0);
}

static void gicv2_serves_eight_cpus(void **state)
{
	assert_int_equal(gic_create(&gic, 3, GIC_V2, 9, false), -ENOSPC);
	assert_said("9 vCPUs with a GICv2, which serves 8 at most");
	assert_string_equal(fake_kvm.journal, "create_device gicv2\n");
	assert_false(device_is_open());
}

static void fallback_serves_eight_cpus(void **state)
{
	fake_kvm.no_gicv3 = true;
	assert_int_equal(gic_create(&gic, 3, GIC_AUTO, 9, false), -ENOSPC);
	assert_said("9 vCPUs with a GICv2");
	assert_false(device_is_open());
}

static void a_failure_closes_the_device(void **state)
{
	fake_kvm.fails = "set_attr";
	fake_kvm.error = -E2BIG;
	assert_int_equal(gic_create(&gic, 3, GIC_V3, 1, false), -E2BIG);
	assert_said("gicv3: ");
	assert_int_equal(gic.fd, -1);
	assert_false(device_is_open());
}

static void destroy_closes_once(void **state)
{
	assert_int_equal(gic_create(&gic, 3, GIC_V3, 1, false), 0);
	assert_true(device_is_open());
	gic_destroy(&gic);
	assert_false(device_is_open());
	assert_int_equal(gic.fd, -1);
	gic_destroy(&gic);
}

static void its_follows_an_initialized_gic(void **state)
{
	char expected[512] = "create_device gicv3\n";

	assert_int_equal(gic_create(&gic, 3, GIC_V3_ITS, 1, false), 0);
	expect_address(expected, KVM_VGIC_V3_ADDR_TYPE_DIST, GIC_DIST_BASE);
	expect_address(expected, KVM_VGIC_V3_ADDR_TYPE_REDIST_REGION,
		       UINT64_C(1) << 52 | GIC_REDIST_BASE);
	expect_init(expected);
	strcat(expected, "create_device its\n");
	expect_address(expected, KVM_VGIC_ITS_ADDR_TYPE, 0x08080000);
	sprintf(expected + strlen(expected), "set_attr %d %d\n", KVM_DEV_ARM_VGIC_GRP_CTRL,
		KVM_DEV_ARM_VGIC_CTRL_INIT);
	assert_string_equal(fake_kvm.journal, expected);
	assert_int_equal(gic.kind, GIC_V3_ITS);
	assert_true(its_is_open());
	gic_destroy(&gic);
	assert_false(its_is_open());
	assert_false(device_is_open());
	gic_destroy(&gic);
	assert_silent();
}

static void other_kinds_have_no_its(void **state)
{
	assert_int_equal(gic_create(&gic, 3, GIC_AUTO, 1, false), 0);
	assert_null(strstr(fake_kvm.journal, "its"));
	assert_int_equal(gic.its_fd, -1);
}

static void a_host_without_its_is_said(void **state)
{
	fake_kvm.no_its = true;
	assert_int_equal(gic_create(&gic, 3, GIC_V3_ITS, 1, false), -ENODEV);
	assert_said("this host cannot give a guest a gicv3-its");
	assert_false(device_is_open());
	assert_int_equal(gic.fd, -1);
}

/* A GIC of that kind as the tree shows it, its ITS included. */
static void describe(struct devtree *tree, enum gic_kind kind)
{
	assert_int_equal(gic_create(&gic, 3, kind, 1, false), 0);
	assert_int_equal(devtree_create(tree, 8192), 0);
	gic_describe(&gic, tree);
	assert_true(devtree_finish(tree) > 0);
}

static void its_is_in_the_tree(void **state)
{
	const fdt32_t reg[] = { 0, cpu_to_fdt32(0x08080000), 0, cpu_to_fdt32(0x20000) };
	struct devtree tree;
	int node, length;

	describe(&tree, GIC_V3_ITS);
	assert_true(fdt_path_offset(tree.blob, "/intc@8000000") > 0);
	node = fdt_path_offset(tree.blob, "/intc@8000000/its@8080000");
	assert_true(node > 0);
	assert_int_equal(fdt_node_check_compatible(tree.blob, node, "arm,gic-v3-its"), 0);
	assert_non_null(fdt_getprop(tree.blob, node, "msi-controller", NULL));
	assert_int_equal(fdt_get_phandle(tree.blob, node), PHANDLE_ITS);
	assert_memory_equal(fdt_getprop(tree.blob, node, "reg", &length), reg, sizeof(reg));
	assert_int_equal(length, sizeof(reg));
	devtree_destroy(&tree);
}

static void no_its_no_node(void **state)
{
	struct devtree tree;

	describe(&tree, GIC_V3);
	assert_true(fdt_node_offset_by_compatible(tree.blob, -1, "arm,gic-v3-its") < 0);
	devtree_destroy(&tree);
}

static void kinds_have_names(void **state)
{
	assert_string_equal(gic_kind_name(GIC_AUTO), "auto");
	assert_string_equal(gic_kind_name(GIC_V3), "gicv3");
	assert_string_equal(gic_kind_name(GIC_V2), "gicv2");
	assert_string_equal(gic_kind_name(GIC_V3_ITS), "gicv3-its");
}

#define on_kvm(test) cmocka_unit_test_setup_teardown(test, begin, finish)

/* What is pending: the vCPU's own and SPIs, by registers that differ by version. */

static uint32_t v3_attribute(unsigned int group, uint64_t attr)
{
	const uint64_t who = UINT64_C(0x04030201) << 32;

	assert_int_equal(attr & ~UINT64_C(0xffffffff), who);
	if (group == KVM_DEV_ARM_VGIC_GRP_REDIST_REGS)
		return (uint32_t)attr == 0x10200   ? 0x1
		       : (uint32_t)attr == 0x10100 ? 0x8000001
		       : (uint32_t)attr == 0x10300 ? 0x10
		       : (uint32_t)attr == 0x10080 ? 0xffffffff
		       : (uint32_t)attr == 0x10404 ? 0xa0b0c0d0
						   : 0;
	if (group == KVM_DEV_ARM_VGIC_GRP_DIST_REGS)
		return (uint32_t)attr == 0x204	 ? 0x2
		       : (uint32_t)attr == 0x104 ? 0x6
		       : (uint32_t)attr == 0x304 ? 0x8
		       : (uint32_t)attr == 0x084 ? 0x1
		       : (uint32_t)attr == 0x420 ? 0x40302010
						 : 0;
	assert_int_equal(group, KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO);
	return (uint32_t)attr == 0 ? 0x8000000 : (uint32_t)attr == 32 ? 0x8 : 0;
}

static uint32_t v2_attribute(unsigned int group, uint64_t attr)
{
	assert_int_equal(group, KVM_DEV_ARM_VGIC_GRP_DIST_REGS);
	assert_int_equal(attr >> 32, 5);
	switch ((uint32_t)attr) {
	case 0x200:
		return 1;
	case 0x204:
		return 2;
	case 0x100:
		return 0xffff;
	default:
		return 0;
	}
}

static void pending_interrupts(void **state)
{
	struct gic gic = { .kind = GIC_V3_ITS };
	uint64_t pending, enabled;

	fake_kvm_reset();
	assert_true(gic_pending(&gic, 5, 0x8004030201, &pending, &enabled) < 0);
	fake_kvm.get_attr = v3_attribute;
	/* Affinity 3 is apart from the others. */
	assert_int_equal(gic_pending(&gic, 5, 0x0480030201, &pending, &enabled), 0);
	assert_int_equal(pending, 0xa08000001);
	assert_int_equal(enabled, 0x608000001);
	gic.kind = GIC_V2;
	fake_kvm.get_attr = v2_attribute;
	assert_int_equal(gic_pending(&gic, 5, 0x80000005, &pending, &enabled), 0);
	assert_int_equal(pending, 0x200000001);
	assert_int_equal(enabled, 0xffff);
	fake_kvm_reset();
}

static uint64_t cpu_register(uint64_t attr)
{
	/* ICH_LR1_EL2, of the same vCPU. */
	assert_int_equal(attr, UINT64_C(0x0403020100000000) | 0xe661);
	return UINT64_C(0x5000000000000001);
}

static void all_of_an_interrupt(void **state)
{
	struct gic gic = { .kind = GIC_V3 };
	const uint64_t lr1 = ARM64_SYS_REG(3, 4, 12, 12, 1);
	struct gic_look look;
	uint64_t value;

	fake_kvm_reset();
	assert_true(gic_look(&gic, 5, 0x8004030201, &look) < 0);
	assert_true(gic_cpu_register(&gic, 0x0480030201, lr1, &value) < 0);
	fake_kvm.get_attr = v3_attribute;
	fake_kvm.get_attr_64 = cpu_register;
	assert_int_equal(gic_look(&gic, 5, 0x0480030201, &look), 0);
	assert_int_equal(look.pending, 0xa08000001);
	assert_int_equal(look.enabled, 0x608000001);
	assert_int_equal(look.active, 0x800000010);
	assert_int_equal(look.group1, 0x1ffffffff);
	assert_int_equal(look.priority[4], 0xd0);
	assert_int_equal(look.priority[7], 0xa0);
	assert_int_equal(look.priority[32], 0x10);
	assert_int_equal(look.priority[35], 0x40);
	assert_int_equal(gic_cpu_register(&gic, 0x0480030201, lr1, &value), 0);
	assert_int_equal(value, 0x5000000000000001);
	gic.kind = GIC_V2;
	assert_true(gic_cpu_register(&gic, 0x0480030201, lr1, &value) < 0);
	fake_kvm_reset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		caught_test(pending_interrupts),
		caught_test(all_of_an_interrupt),
		on_kvm(gicv3_places_its_regions_in_order),
		on_kvm(gicv2_places_its_interfaces_in_order),
		on_kvm(maintenance_interrupt_comes_before_init),
		on_kvm(auto_prefers_version_3),
		on_kvm(auto_falls_back_to_version_2),
		on_kvm(auto_falls_back_for_no_other_error),
		on_kvm(what_the_host_lacks_is_said),
		on_kvm(gicv2_serves_eight_cpus),
		on_kvm(fallback_serves_eight_cpus),
		on_kvm(a_failure_closes_the_device),
		on_kvm(destroy_closes_once),
		on_kvm(its_follows_an_initialized_gic),
		on_kvm(other_kinds_have_no_its),
		on_kvm(a_host_without_its_is_said),
		on_kvm(its_is_in_the_tree),
		on_kvm(no_its_no_node),
		on_kvm(kinds_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
