// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "boot/board.h"
#include "boot/tree.h"
#include "memmap.h"
#include "unit.h"

static struct devtree tree;
static struct boot_files files;
static const char *directory;

/* A small tree of ours, of two CPUs. */
static void make_tree(void)
{
	static const uint64_t mpidr[] = { 0x80000000, 0x80000001 };
	const struct gic gic = { .kind = GIC_V3, .fd = -1, .cpus = 2 };
	const struct board board = {
		.ram = { RAM_BASE, MIB(512) },
		.params = "quiet",
		.mpidr = mpidr,
		.gic = &gic,
	};

	assert_int_equal(devtree_create(&tree, MIB(1)), 0);
	assert_int_equal(board_describe(&board, &tree), 0);
	assert_true(devtree_finish(&tree) > 0);
}

static int begin(void **state)
{
	files = (struct boot_files){ .kernel.fd = -1, .initrd.fd = -1, .tree.fd = -1 };
	directory = scratch_begin();
	catch_begin(state);
	make_tree();
	return 0;
}

static int finish(void **state)
{
	devtree_destroy(&tree);
	boot_files_close(&files);
	scratch_end();
	return catch_end(state);
}

#define tree_test(function) cmocka_unit_test_setup_teardown(function, begin, finish)

/* A file with these bytes; its name is valid until the next call. */
static const char *file_of(const void *bytes, size_t size)
{
	static char name[300];
	static unsigned int number;
	int fd;

	snprintf(name, sizeof(name), "%s/%u", directory, number++);
	fd = open(name, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	return name;
}

/* An overlay with one fragment: target_path gets a property and a node, where they have names. */
static void make_overlay(void *blob, size_t size, const char *target_path, const char *property,
			 const char *value, const char *node)
{
	fdt_create(blob, size);
	fdt_finish_reservemap(blob);
	fdt_begin_node(blob, "");
	fdt_begin_node(blob, "fragment@0");
	fdt_property_string(blob, "target-path", target_path);
	fdt_begin_node(blob, "__overlay__");
	if (property)
		fdt_property_string(blob, property, value);
	if (node) {
		fdt_begin_node(blob, node);
		fdt_property_string(blob, "compatible", "xen,domain");
		fdt_end_node(blob);
	}
	fdt_end_node(blob);
	fdt_end_node(blob);
	fdt_end_node(blob);
	assert_int_equal(fdt_finish(blob), 0);
}

static void overlay(const char *target_path, const char *property, const char *value,
		    const char *node)
{
	uint8_t blob[1024];

	make_overlay(blob, sizeof(blob), target_path, property, value, node);
	assert_int_equal(boot_files_add_overlay(&files, file_of(blob, fdt_totalsize(blob))), 0);
}

static int edit(const struct tree_module *modules, unsigned int count)
{
	return tree_edit(&tree, &files, modules, count);
}

static void overlays_are_applied_in_order(void **state)
{
	overlay("/chosen", "note", "first", "domain");
	overlay("/chosen", "note", "second", NULL);
	overlay("/chosen/domain", "name", "d", NULL);
	assert_true(edit(NULL, 0) > 0);
	assert_int_equal(fdt_check_full(tree.blob, fdt_totalsize(tree.blob)), 0);
	assert_string_equal(
		fdt_getprop(tree.blob, fdt_path_offset(tree.blob, "/chosen"), "note", NULL),
		"second");
	assert_string_equal(
		fdt_getprop(tree.blob, fdt_path_offset(tree.blob, "/chosen/domain"), "name", NULL),
		"d");
	assert_silent();
}

static void overlay_of_what_is_not_there(void **state)
{
	overlay("/nowhere", "a", "b", NULL);
	assert_int_equal(edit(NULL, 0), -EINVAL);
	assert_said("names a node, property or label that is not in the device tree");
}

static void what_is_no_tree_is_refused(void **state)
{
	uint8_t blob[1024];

	assert_int_equal(boot_files_add_overlay(&files, file_of("no tree", 7)), 0);
	assert_int_equal(edit(NULL, 0), -EINVAL);
	assert_said("is no flattened device tree, or a broken one");
	boot_files_close(&files);
	make_overlay(blob, sizeof(blob), "/chosen", "a", "b", NULL);
	assert_int_equal(boot_files_add_tree(&files, file_of(blob, fdt_totalsize(blob) - 1)), 0);
	assert_int_equal(edit(NULL, 0), -EINVAL);
	assert_said("is no flattened device tree, or a broken one");
}

/* Any byte of an overlay may be another: it is applied, or refused with a line. */
static void broken_overlays_do_no_harm(void **state)
{
	uint8_t blob[1024], broken[1024];
	uint64_t seed = 24;

	make_overlay(blob, sizeof(blob), "/chosen", "note", "first", "domain");
	for (unsigned int i = 0; i < 2000; i++) {
		const size_t size = fdt_totalsize(blob);
		int err;

		memcpy(broken, blob, size);
		for (unsigned int k = 0; k <= i % 3; k++)
			broken[chance(&seed) % size] = chance(&seed);
		devtree_destroy(&tree);
		make_tree();
		assert_int_equal(boot_files_add_overlay(&files, file_of(broken, size)), 0);
		err = edit(NULL, 0);
		if (err < 0)
			assert_said("nidus: error: ");
		else
			assert_int_equal(fdt_check_full(tree.blob, err), 0);
		boot_files_close(&files);
	}
}

static void modules_are_told_of(void **state)
{
	static const struct tree_module modules[] = {
		{ "Image", "kernel", "console=hvc0", "/chosen", { 0x41000000, 0x1234 } },
		{ "initrd", "ramdisk", NULL, "/chosen/domain", { 0x42000000, 0x100000000 } },
		{ "blob", NULL, NULL, "/chosen", { 0x43000000, 1 } },
	};
	static const char compatible[] = "multiboot,kernel\0multiboot,module";
	int node, size;
	const fdt64_t *reg;

	overlay("/chosen", NULL, NULL, "domain");
	assert_true(edit(modules, 3) > 0);
	node = fdt_path_offset(tree.blob, "/chosen/module@41000000");
	assert_memory_equal(fdt_getprop(tree.blob, node, "compatible", &size), compatible,
			    sizeof(compatible));
	assert_int_equal(size, sizeof(compatible));
	assert_string_equal(fdt_getprop(tree.blob, node, "bootargs", NULL), "console=hvc0");
	reg = fdt_getprop(tree.blob, node, "reg", &size);
	assert_int_equal(size, 16);
	assert_int_equal(fdt64_ld(reg), 0x41000000);
	assert_int_equal(fdt64_ld(reg + 1), 0x1234);
	node = fdt_path_offset(tree.blob, "/chosen/domain/module@42000000");
	reg = fdt_getprop(tree.blob, node, "reg", &size);
	assert_true(fdt64_ld(reg + 1) == 0x100000000);
	assert_null(fdt_getprop(tree.blob, node, "bootargs", NULL));
	assert_int_equal(fdt_address_cells(tree.blob, fdt_parent_offset(tree.blob, node)), 2);
	assert_int_equal(fdt_size_cells(tree.blob, fdt_path_offset(tree.blob, "/chosen")), 2);
	node = fdt_path_offset(tree.blob, "/chosen/module@43000000");
	assert_string_equal(fdt_getprop(tree.blob, node, "compatible", NULL), "multiboot,module");
}

static void module_of_a_node_that_is_not_there(void **state)
{
	static const struct tree_module module = { "Image", "kernel", NULL, "/chosen/d", { 0, 1 } };

	assert_int_equal(edit(&module, 1), -EINVAL);
	assert_said("module Image: the device tree has no node /chosen/d");
}

static void what_kvm_has_stays_as_it_is(void **state)
{
	static const struct {
		const char *path, *property, *message;
	} cases[] = {
		{ "/psci", "method", "method of /psci is not what KVM has" },
		{ "/psci", "compatible", "/psci is missing" },
		{ "/timer", "interrupts", "interrupts of /timer is not what KVM has" },
		{ "/intc@8000000", "reg", "reg of /intc@8000000 is not what KVM has" },
		{ "/memory@40000000", "reg", "reg of /memory@40000000 is not what KVM has" },
		{ "/cpus/cpu@1", "reg", "/cpus has 1 of the 2 CPUs" },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		devtree_destroy(&tree);
		make_tree();
		overlay(cases[i].path, cases[i].property, "x", NULL);
		assert_int_equal(edit(NULL, 0), -EINVAL);
		assert_said(cases[i].message);
		boot_files_close(&files);
	}
}

/* A tree of the user's: ours with something more, and with what we know better. */
static void another_tree_takes_its_place(void **state)
{
	uint8_t blob[8192];
	const fdt64_t *reg;
	int node;

	assert_int_equal(fdt_open_into(tree.blob, blob, sizeof(blob)), 0);
	node = fdt_path_offset(blob, "/memory@40000000");
	assert_int_equal(fdt_setprop_u32(blob, node, "reg", 7), 0);
	node = fdt_add_subnode(blob, 0, "memory@0");
	assert_int_equal(fdt_setprop_string(blob, node, "device_type", "memory"), 0);
	assert_int_equal(fdt_del_node(blob, fdt_path_offset(blob, "/chosen")), 0);
	assert_true(fdt_add_subnode(blob, 0, "gpio@f000000") > 0);
	assert_int_equal(boot_files_add_tree(&files, file_of(blob, fdt_totalsize(blob))), 0);
	assert_true(edit(NULL, 0) > 0);
	assert_silent();
	assert_true(fdt_path_offset(tree.blob, "/gpio@f000000") > 0);
	assert_int_equal(fdt_path_offset(tree.blob, "/memory@0"), -FDT_ERR_NOTFOUND);
	reg = fdt_getprop(tree.blob, fdt_path_offset(tree.blob, "/memory@40000000"), "reg", NULL);
	assert_int_equal(fdt64_ld(reg + 1), MIB(512));
	assert_string_equal(
		fdt_getprop(tree.blob, fdt_path_offset(tree.blob, "/chosen"), "bootargs", NULL),
		"quiet");
}

static void another_tree_has_to_have_the_cpus(void **state)
{
	uint8_t blob[8192];

	assert_int_equal(fdt_open_into(tree.blob, blob, sizeof(blob)), 0);
	assert_int_equal(fdt_del_node(blob, fdt_path_offset(blob, "/cpus")), 0);
	assert_int_equal(boot_files_add_tree(&files, file_of(blob, fdt_totalsize(blob))), 0);
	assert_int_equal(edit(NULL, 0), -EINVAL);
	assert_said("/cpus has 0 of the 2 CPUs that --cpus makes");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		tree_test(overlays_are_applied_in_order),
		tree_test(overlay_of_what_is_not_there),
		tree_test(what_is_no_tree_is_refused),
		tree_test(broken_overlays_do_no_harm),
		tree_test(modules_are_told_of),
		tree_test(module_of_a_node_that_is_not_there),
		tree_test(what_kvm_has_stays_as_it_is),
		tree_test(another_tree_takes_its_place),
		tree_test(another_tree_has_to_have_the_cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
