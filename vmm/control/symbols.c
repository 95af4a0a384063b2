// SPDX-License-Identifier: GPL-2.0-only
#include "control/symbols.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/log.h"
#include "util.h"

/* vmlinux with debugging information has some hundred MiB. */
#define SIZE_MAX_FILE (UINT64_C(4) << 30)
/* Further than this behind the last symbol there is something else. */
#define BEHIND_MAX MIB(16)
/* What Linux moves itself by is a multiple of this. */
#define MOVE_STEP MIB(2)

static int add(struct symbols *symbols, size_t *room, uint64_t address, const char *name)
{
	if (symbols->count == *room) {
		const size_t more = *room ? *room * 2 : 1024;
		struct symbol *list = reallocarray(symbols->list, more, sizeof(*list));

		if (!list)
			return -ENOMEM;
		symbols->list = list;
		*room = more;
	}
	symbols->list[symbols->count++] = (struct symbol){ address, name };
	return 0;
}

/* Lines of ADDRESS TYPE NAME, as nm(1) has them. */
static int parse_map(struct symbols *symbols)
{
	char *next = symbols->text;
	size_t room = 0;
	int err = 0;

	while (err == 0 && next && *next) {
		char *const line = strsep(&next, "\n");
		char *end;
		const uint64_t address = strtoull(line, &end, 16);

		if (end == line || end[0] != ' ' || !end[1] || end[2] != ' ' || !end[3])
			return -EINVAL;
		/* Code, and what assemblers call it. */
		if (strchr("tTwW", end[1]))
			err = add(symbols, &room, address, end + 3);
	}
	return err;
}

/* Whether so many entries of size bytes lie within the file. */
static bool within(const struct symbols *symbols, uint64_t offset, uint64_t size)
{
	return offset <= symbols->size && size <= symbols->size - offset;
}

/* A header of a section, copied: nothing is aligned in a file of others. */
static bool section(const struct symbols *symbols, const Elf64_Ehdr *elf, unsigned int index,
		    Elf64_Shdr *header)
{
	const uint64_t offset = elf->e_shoff + (uint64_t)index * sizeof(*header);

	if (index >= elf->e_shnum || offset < elf->e_shoff ||
	    !within(symbols, offset, sizeof(*header)))
		return false;
	memcpy(header, symbols->text + offset, sizeof(*header));
	return header->sh_type == SHT_NOBITS || within(symbols, header->sh_offset, header->sh_size);
}

static int add_table(struct symbols *symbols, const Elf64_Shdr *table, const Elf64_Shdr *names)
{
	size_t room = 0;
	int err = 0;

	/* The last name ends. */
	if (names->sh_type != SHT_STRTAB || names->sh_size == 0 ||
	    symbols->text[names->sh_offset + names->sh_size - 1])
		return -EINVAL;
	for (uint64_t at = 0; err == 0 && at + sizeof(Elf64_Sym) <= table->sh_size;
	     at += sizeof(Elf64_Sym)) {
		const char *name;
		Elf64_Sym symbol;

		memcpy(&symbol, symbols->text + table->sh_offset + at, sizeof(symbol));
		if (symbol.st_name >= names->sh_size || symbol.st_shndx == SHN_UNDEF ||
		    ELF64_ST_TYPE(symbol.st_info) > STT_FUNC ||
		    ELF64_ST_TYPE(symbol.st_info) == STT_OBJECT)
			continue;
		name = symbols->text + names->sh_offset + symbol.st_name;
		/* Nor marks of the assembler ($x, $d). */
		if (*name && *name != '$')
			err = add(symbols, &room, symbol.st_value, name);
	}
	return err;
}

static int parse_elf(struct symbols *symbols)
{
	Elf64_Shdr table, names;
	Elf64_Ehdr elf;

	if (symbols->size < sizeof(elf))
		return -EINVAL;
	memcpy(&elf, symbols->text, sizeof(elf));
	if (elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_ident[EI_DATA] != ELFDATA2LSB ||
	    elf.e_shentsize != sizeof(table))
		return -EINVAL;
	for (unsigned int i = 0; i < elf.e_shnum; i++)
		if (section(symbols, &elf, i, &table) && table.sh_type == SHT_SYMTAB &&
		    section(symbols, &elf, table.sh_link, &names))
			return add_table(symbols, &table, &names);
	return -EINVAL;
}

static int by_address(const void *left, const void *right)
{
	const struct symbol *a = left, *b = right;

	return (a->address > b->address) - (a->address < b->address);
}

int symbols_parse(struct symbols *symbols, char *text, size_t size)
{
	const bool is_elf = size >= SELFMAG && memcmp(text, ELFMAG, SELFMAG) == 0;
	int err;

	*symbols = (struct symbols){ .text = text, .size = size };
	err = is_elf ? parse_elf(symbols) : parse_map(symbols);
	if (err == 0 && symbols->count == 0)
		err = -EINVAL;
	if (err < 0)
		symbols_drop(symbols);
	else
		qsort(symbols->list, symbols->count, sizeof(*symbols->list), by_address);
	return err;
}

/* All of the file, with a NUL behind it; the caller's to free. */
static int read_all(const char *path, char **text, size_t *size)
{
	FILE *file = fopen(path, "re");
	long length = -1;
	int err = 0;

	if (!file)
		return -errno;
	if (fseek(file, 0, SEEK_END) < 0 || (length = ftell(file)) < 0 ||
	    fseek(file, 0, SEEK_SET) < 0)
		err = -errno;
	else if ((uint64_t)length > SIZE_MAX_FILE)
		err = -EFBIG;
	*text = err == 0 ? malloc(length + 1) : NULL;
	if (err == 0 && !*text)
		err = -ENOMEM;
	if (err == 0) {
		*size = fread(*text, 1, length, file);
		(*text)[*size] = '\0';
		if (ferror(file))
			err = -EIO;
	}
	fclose(file);
	if (err < 0)
		free(*text);
	return err;
}

int symbols_read(struct symbols *symbols, const char *path)
{
	char *text = NULL;
	size_t size = 0;
	int err = read_all(path, &text, &size);

	if (err == 0)
		err = symbols_parse(symbols, text, size);
	if (err == -EINVAL)
		log_error("%s: is neither a System.map nor an ELF file with symbols of code", path);
	else if (err < 0)
		log_error("%s: %s", path, log_reason(-err));
	return err;
}

void symbols_drop(struct symbols *symbols)
{
	free(symbols->list);
	free(symbols->text);
	*symbols = (struct symbols){ 0 };
}

bool symbols_offset(const struct symbols *symbols, uint64_t vbar, uint64_t *offset)
{
	/* Of the kernel; while it runs user space; of KVM, while a guest of it runs. */
	static const char *const vectors[] = { "vectors", "tramp_vectors", "__kvm_hyp_vector",
					       "__bp_harden_el1_vectors" };
	bool is_linux = false;

	for (size_t i = 0; i < symbols->count; i++)
		for (size_t j = 0; j < ARRAY_SIZE(vectors); j++) {
			if (strcmp(symbols->list[i].name, vectors[j]) != 0)
				continue;
			is_linux = true;
			*offset = vbar - symbols->list[i].address;
			if (*offset % MOVE_STEP == 0)
				return true;
		}
	*offset = 0;
	return !is_linux;
}

const char *symbols_find(const struct symbols *symbols, uint64_t address, uint64_t *behind)
{
	size_t first = 0, last = symbols->count;

	/* What is looked for is before last, and not before first. */
	while (last - first > 1) {
		const size_t middle = first + (last - first) / 2;

		if (symbols->list[middle].address <= address)
			first = middle;
		else
			last = middle;
	}
	if (symbols->count == 0 || symbols->list[first].address > address)
		return NULL;
	*behind = address - symbols->list[first].address;
	return *behind <= BEHIND_MAX ? symbols->list[first].name : NULL;
}
