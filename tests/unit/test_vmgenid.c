// SPDX-License-Identifier: GPL-2.0-only
#include <libfdt.h>
#include <string.h>

#include "arm/devtree.h"
#include "devices/vmgenid.h"
#include "state/state.h"
#include "unit.h"

#define BASE 0x90a0040
#define SPI  3

static const uint8_t id[VMGENID_SIZE] = "0123456789abcdef";
static _Alignas(64) uint8_t page[128];
static struct device *device;
static unsigned int changes, edges;

static void irq_set(const struct irq_line *line, bool level)
{
	changes++;
	edges += level;
}

static struct vmgenid_options options = {
	.base = BASE,
	.place = page + 64,
	.id = id,
	.irq = { .set = irq_set },
	.spi = SPI,
};

static int begin(void **state)
{
	memset(page, 0xa5, sizeof(page));
	changes = edges = 0;
	options.stays = false;
	return vmgenid_create(&device, &options);
}

static int finish(void **state)
{
	device->ops->destroy(device);
	return 0;
}

static void the_id_is_where_the_guest_reads_it_and_nothing_else(void **state)
{
	assert_memory_equal(page + 64, id, sizeof(id));
	assert_int_equal(page[63], 0xa5);
	assert_int_equal(page[64 + sizeof(id)], 0xa5);
	assert_int_equal(device->base, BASE);
	assert_int_equal(device->size, 16);
}

/* As Documentation/devicetree/bindings/rng/microsoft,vmgenid.yaml has it. */
static void the_tree_tells_of_it(void **state)
{
	struct devtree tree;
	const fdt32_t *cells;
	int node, size;

	assert_int_equal(devtree_create(&tree, 4096), 0);
	device->ops->describe(device, &tree);
	assert_in_range(devtree_finish(&tree), 1, 4096);
	node = fdt_path_offset(tree.blob, "/rng@90a0040");
	assert_in_range(node, 0, 4096);
	assert_int_equal(fdt_node_check_compatible(tree.blob, node, "microsoft,vmgenid"), 0);
	cells = fdt_getprop(tree.blob, node, "reg", &size);
	assert_int_equal(size, 16);
	assert_int_equal(fdt32_to_cpu(cells[1]), BASE);
	assert_int_equal(fdt32_to_cpu(cells[3]), 16);
	cells = fdt_getprop(tree.blob, node, "interrupts", &size);
	assert_int_equal(size, 12);
	assert_int_equal(fdt32_to_cpu(cells[0]), 0);
	assert_int_equal(fdt32_to_cpu(cells[1]), SPI);
	assert_int_equal(fdt32_to_cpu(cells[2]), 1);
	devtree_destroy(&tree);
}

/* Into one that has another ID: what it has then, and what is in the record. */
static void restore(bool stays)
{
	static const uint8_t other[VMGENID_SIZE] = "fedcba9876543210";
	struct state_writer writer;
	struct state_reader reader;

	state_writer_create(&writer);
	page[64] = 'x';
	device->ops->save(device, &writer);
	device->ops->destroy(device);
	options.stays = stays;
	options.id = other;
	assert_int_equal(vmgenid_create(&device, &options), 0);
	options.id = id;
	assert_int_equal(changes, 0);
	state_reader_create(&reader, writer.bytes, writer.size);
	device->ops->restore(device, &reader);
	state_done(&reader);
	assert_int_equal(reader.err, 0);
	state_writer_destroy(&writer);
	assert_memory_equal(page + 64, stays ? id : other, VMGENID_SIZE);
}

/* A guest that starts has nothing to be told. */
static void one_that_is_restored_interrupts_once(void **state)
{
	restore(false);
	assert_int_equal(edges, 1);
	assert_int_equal(changes, 2);
}

/* Nor has one that moves, which has what nidus gave it, whatever it has made of it. */
static void one_that_moves_keeps_its_id(void **state)
{
	restore(true);
	assert_int_equal(changes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_id_is_where_the_guest_reads_it_and_nothing_else,
						begin, finish),
		cmocka_unit_test_setup_teardown(the_tree_tells_of_it, begin, finish),
		cmocka_unit_test_setup_teardown(one_that_is_restored_interrupts_once, begin,
						finish),
		cmocka_unit_test_setup_teardown(one_that_moves_keeps_its_id, begin, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
