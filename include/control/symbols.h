/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names of a guest's code: a System.map, or an ELF file with a symbol table (vmlinux).
 */
#ifndef NIDUS_SYMBOLS_H
#define NIDUS_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbol {
	uint64_t address;
	const char *name; /* in the text of its table */
};

struct symbols {
	struct symbol *list; /* by ascending address */
	size_t count;
	char *text; /* the file */
	size_t size;
};

/* Errors: -errno, said; -EINVAL for what is neither. */
int symbols_read(struct symbols *symbols, const char *path);
/* The same of what has been read: text, which becomes theirs, has a NUL behind its size bytes. */
int symbols_parse(struct symbols *symbols, char *text, size_t size);
void symbols_drop(struct symbols *symbols);

/*
 * How far a Linux kernel with these symbols has moved itself, which its vectors tell (vbar:
 * VBAR_EL1 or VBAR_EL2, whichever is its own). False: it is another kernel. What is not Linux does
 * not move.
 */
bool symbols_offset(const struct symbols *symbols, uint64_t vbar, uint64_t *offset);

/* The last symbol at or before address, or NULL; *behind: how far. */
const char *symbols_find(const struct symbols *symbols, uint64_t address, uint64_t *behind);

#endif
