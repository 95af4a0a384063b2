/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Building a flattened device tree (Devicetree Specification v0.4) from front to back, on libfdt.
 *
 * Errors stick: after the first one the calls do nothing, and devtree_finish() reports it.
 */
#ifndef NIDUS_DEVTREE_H
#define NIDUS_DEVTREE_H

#include <stddef.h>
#include <stdint.h>

/* Nodes that others point at. */
enum devtree_phandle { PHANDLE_GIC = 1, PHANDLE_CLOCK, PHANDLE_ITS, PHANDLE_IOMMU };

/* Interrupt kinds and triggers of the arm,gic bindings. */
enum devtree_irq_type { IRQ_TYPE_SPI, IRQ_TYPE_PPI };
enum devtree_irq_trigger { IRQ_EDGE_RISING = 1, IRQ_LEVEL_HIGH = 4 };

struct devtree {
	void *blob; /* malloc()ed, and elsewhere after any call */
	size_t room; /* bytes of the blob, which grows */
	size_t size; /* bytes that it may grow to */
	int error; /* of libfdt */
};

/*
 * Starts a tree of at most size bytes, which takes no more memory than it needs; its root node is
 * open. -ENOMEM, said.
 */
int devtree_create(struct devtree *tree, size_t size);
/* Closes the root. The bytes of the blob, or -EMSGSIZE or -EINVAL, said. */
int devtree_finish(struct devtree *tree);
void devtree_destroy(struct devtree *tree);

/* A node `name` or `name@address`, open until devtree_end(). */
void devtree_begin(struct devtree *tree, const char *name);
void devtree_begin_at(struct devtree *tree, const char *name, uint64_t address);
void devtree_end(struct devtree *tree);

void devtree_flag(struct devtree *tree, const char *property);
void devtree_string(struct devtree *tree, const char *property, const char *value);
/* size counts the terminating NUL of every string in values. */
void devtree_strings(struct devtree *tree, const char *property, const char *values, size_t size);
void devtree_u32(struct devtree *tree, const char *property, uint32_t value);
void devtree_u64(struct devtree *tree, const char *property, uint64_t value);
void devtree_cells(struct devtree *tree, const char *property, const uint32_t *cells,
		   unsigned int count);
void devtree_bytes(struct devtree *tree, const char *property, const void *bytes, size_t size);

/* The property `reg` with one range, two cells each for address and size. */
void devtree_reg(struct devtree *tree, uint64_t address, uint64_t size);
/* The property `interrupts` with one shared peripheral interrupt. */
void devtree_spi(struct devtree *tree, unsigned int spi, enum devtree_irq_trigger trigger);

#endif
