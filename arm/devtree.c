// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arm/devtree.h"
#include "host/log.h"
#include "util.h"

/* What a tree begins with. Most fit; libfdt clears all of it. */
#define FIRST_SIZE KIB(4)

/* Does call unless an earlier one failed, and keeps its error. */
#define STEP(tree, call)                        \
	do {                                    \
		if ((tree)->error == 0)         \
			(tree)->error = (call); \
	} while ((tree)->error == -FDT_ERR_NOSPACE && devtree_grow(tree))

/* Doubles the blob, and forgets the error, unless the tree is as large as it may become. */
static bool devtree_grow(struct devtree *tree)
{
	const size_t room = tree->room < tree->size / 2 ? 2 * tree->room : tree->size;
	/* Zeroes, for padding is not written. */
	void *blob = room > tree->room ? calloc(1, room) : NULL;

	if (!blob)
		return false;
	tree->error = fdt_resize(tree->blob, blob, room);
	free(tree->blob);
	tree->blob = blob;
	tree->room = room;
	return true;
}

int devtree_create(struct devtree *tree, size_t size)
{
	const size_t room = size < FIRST_SIZE ? size : FIRST_SIZE;

	*tree = (struct devtree){ .blob = malloc(room), .room = room, .size = size };
	if (!tree->blob) {
		log_error("device tree: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	/* Looking each name up among those already there would be most of nidus's own work. */
	STEP(tree, fdt_create_with_flags(tree->blob, room, FDT_CREATE_FLAG_NO_NAME_DEDUP));
	STEP(tree, fdt_finish_reservemap(tree->blob));
	devtree_begin(tree, "");
	return 0;
}

int devtree_finish(struct devtree *tree)
{
	devtree_end(tree);
	STEP(tree, fdt_finish(tree->blob));
	if (tree->error != 0) {
		log_error("device tree of up to %zu bytes: %s", tree->size,
			  fdt_strerror(tree->error));
		return tree->error == -FDT_ERR_NOSPACE ? -EMSGSIZE : -EINVAL;
	}
	return fdt_totalsize(tree->blob);
}

void devtree_destroy(struct devtree *tree)
{
	free(tree->blob);
	*tree = (struct devtree){ 0 };
}

void devtree_begin(struct devtree *tree, const char *name)
{
	STEP(tree, fdt_begin_node(tree->blob, name));
}

void devtree_begin_at(struct devtree *tree, const char *name, uint64_t address)
{
	char full[64];

	snprintf(full, sizeof(full), "%s@%" PRIx64, name, address);
	devtree_begin(tree, full);
}

void devtree_end(struct devtree *tree)
{
	STEP(tree, fdt_end_node(tree->blob));
}

void devtree_flag(struct devtree *tree, const char *property)
{
	devtree_bytes(tree, property, NULL, 0);
}

void devtree_string(struct devtree *tree, const char *property, const char *value)
{
	devtree_bytes(tree, property, value, strlen(value) + 1);
}

void devtree_strings(struct devtree *tree, const char *property, const char *values, size_t size)
{
	devtree_bytes(tree, property, values, size);
}

void devtree_u32(struct devtree *tree, const char *property, uint32_t value)
{
	STEP(tree, fdt_property_u32(tree->blob, property, value));
}

void devtree_u64(struct devtree *tree, const char *property, uint64_t value)
{
	STEP(tree, fdt_property_u64(tree->blob, property, value));
}

void devtree_cells(struct devtree *tree, const char *property, const uint32_t *cells,
		   unsigned int count)
{
	void *place = NULL;

	STEP(tree, fdt_property_placeholder(tree->blob, property, count * sizeof(*cells), &place));
	if (tree->error != 0)
		return;
	for (unsigned int i = 0; i < count; i++)
		fdt32_st((fdt32_t *)place + i, cells[i]);
}

void devtree_bytes(struct devtree *tree, const char *property, const void *bytes, size_t size)
{
	STEP(tree, fdt_property(tree->blob, property, bytes, size));
}

void devtree_reg(struct devtree *tree, uint64_t address, uint64_t size)
{
	const uint32_t cells[] = { address >> 32, address, size >> 32, size };

	devtree_cells(tree, "reg", cells, ARRAY_SIZE(cells));
}

void devtree_spi(struct devtree *tree, unsigned int spi, enum devtree_irq_trigger trigger)
{
	const uint32_t cells[] = { IRQ_TYPE_SPI, spi, trigger };

	devtree_cells(tree, "interrupts", cells, ARRAY_SIZE(cells));
}
