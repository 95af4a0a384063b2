// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names of code, from maps and ELF files, well-formed or not; and what `nidus debug` prints with
 * them.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/debug_text.h"
#include "control/symbols.h"
#include "unit.h"
#include "util.h"

static const char map[] = "ffff800080000000 T _text\n"
			  "ffff800080010000 t vectors\n"
			  "ffff800080010000 T __also\n"
			  "ffff800080020000 D data\n"
			  "ffff800080030000 W do_idle\n";

static int parse(struct symbols *symbols, const void *bytes, size_t size)
{
	char *text = malloc(size + 1);

	memcpy(text, bytes, size);
	text[size] = '\0';
	return symbols_parse(symbols, text, size);
}

static void assert_symbol(const struct symbols *symbols, uint64_t address, const char *name,
			  uint64_t expected)
{
	uint64_t behind;

	assert_string_equal(symbols_find(symbols, address, &behind), name);
	assert_int_equal(behind, expected);
}

static void maps_have_names(void **state)
{
	struct symbols symbols;
	uint64_t behind;

	assert_int_equal(parse(&symbols, map, sizeof(map) - 1), 0);
	assert_int_equal(symbols.count, 4);
	assert_symbol(&symbols, 0xffff800080000000, "_text", 0);
	assert_symbol(&symbols, 0xffff80008000ffff, "_text", 0xffff);
	assert_symbol(&symbols, 0xffff800080030004, "do_idle", 4);
	/* Data is no code. */
	assert_non_null(symbols_find(&symbols, 0xffff800080020000, &behind));
	assert_int_equal(behind, 0x10000);
	assert_null(symbols_find(&symbols, 0xffff80007fffffff, &behind));
	assert_null(symbols_find(&symbols, 0, &behind));
	assert_null(symbols_find(&symbols, 0xffff800090000000, &behind));
	symbols_drop(&symbols);
}

static void linux_has_moved(void **state)
{
	struct symbols symbols;
	uint64_t offset;

	assert_int_equal(parse(&symbols, map, sizeof(map) - 1), 0);
	assert_true(symbols_offset(&symbols, 0xffff800080010000, &offset));
	assert_int_equal(offset, 0);
	assert_true(symbols_offset(&symbols, 0xffff800080410000, &offset));
	assert_int_equal(offset, 0x400000);
	/* Another kernel, or none. */
	assert_false(symbols_offset(&symbols, 0xffff800080411000, &offset));
	assert_false(symbols_offset(&symbols, 0, &offset));
	symbols_drop(&symbols);
	assert_int_equal(parse(&symbols, "40080000 T main", 15), 0);
	assert_true(symbols_offset(&symbols, 0, &offset));
	assert_int_equal(offset, 0);
	symbols_drop(&symbols);
}

struct elf {
	Elf64_Ehdr header;
	Elf64_Shdr sections[3];
	Elf64_Sym symbols[4];
	char names[32];
};

static struct elf make_elf(void)
{
	struct elf elf = {
		.header = { .e_ident = ELFMAG,
			    .e_shoff = offsetof(struct elf, sections),
			    .e_shentsize = sizeof(Elf64_Shdr),
			    .e_shnum = 3 },
		.sections = { { .sh_type = SHT_NOBITS, .sh_size = UINT64_MAX },
			      { .sh_type = SHT_SYMTAB,
				.sh_offset = offsetof(struct elf, symbols),
				.sh_size = sizeof(elf.symbols),
				.sh_link = 2 },
			      { .sh_type = SHT_STRTAB,
				.sh_offset = offsetof(struct elf, names),
				.sh_size = sizeof(elf.names) } },
		.symbols = { { .st_name = 0 },
			     { .st_name = 1,
			       .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
			       .st_shndx = 1,
			       .st_value = 0x2000 },
			     { .st_name = 7,
			       .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
			       .st_shndx = 1,
			       .st_value = 0x3000 },
			     { .st_name = 12, .st_shndx = 1, .st_value = 0x1000 } },
	};

	elf.header.e_ident[EI_CLASS] = ELFCLASS64;
	elf.header.e_ident[EI_DATA] = ELFDATA2LSB;
	memcpy(elf.names, "\0main_\0data\0start", 18);
	return elf;
}

static void files_have_names(void **state)
{
	const struct elf elf = make_elf();
	struct symbols symbols;
	char path[200];
	int fd;

	assert_int_equal(parse(&symbols, &elf, sizeof(elf)), 0);
	assert_int_equal(symbols.count, 2);
	assert_symbol(&symbols, 0x1fff, "start", 0xfff);
	assert_symbol(&symbols, 0x3000, "main_", 0x1000);
	symbols_drop(&symbols);

	snprintf(path, sizeof(path), "%s/elf", scratch_begin());
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, &elf, sizeof(elf)), sizeof(elf));
	assert_int_equal(symbols_read(&symbols, path), 0);
	assert_symbol(&symbols, 0x2000, "main_", 0);
	symbols_drop(&symbols);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(symbols_read(&symbols, path), -EINVAL);
	assert_said("is neither a System.map nor an ELF file");
	close(fd);
	scratch_end();
	assert_int_equal(symbols_read(&symbols, "/none/such"), -ENOENT);
	assert_said("/none/such: No such file");
	assert_true(symbols_read(&symbols, "/") < 0);
	assert_said("/: ");
}

static void nonsense_is_refused(void **state)
{
	static const char *const maps[] = {
		"",
		"nonsense",
		"1000",
		"1000 ",
		"1000 T",
		"1000 T ",
		"1000 D data\n",
		"1000\tT main\n",
		"1000 T main\nnonsense\n",
	};
	struct symbols symbols;

	for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
		if (parse(&symbols, maps[i], strlen(maps[i])) != -EINVAL)
			fail_msg("taken: %s", maps[i]);
	assert_silent();
}

/* Each byte of a file, cut or changed: whatever becomes of it lies within. */
static void wrecks_do_no_harm(void **state)
{
	const struct elf good = make_elf();
	uint64_t seed = 42, behind;
	struct symbols symbols;

	/* Sums that are more than 64 bits. */
	for (unsigned int i = 0; i < 3; i++) {
		struct elf elf = good;

		*(i == 0   ? &elf.header.e_shoff
		  : i == 1 ? &elf.sections[1].sh_offset
			   : &elf.sections[2].sh_offset) = -UINT64_C(64);
		assert_int_equal(parse(&symbols, &elf, sizeof(elf)), -EINVAL);
	}
	for (size_t size = 0; size < sizeof(good); size++)
		if (parse(&symbols, &good, size) == 0)
			symbols_drop(&symbols);
	for (unsigned int i = 0; i < 200000; i++) {
		struct elf elf = good;
		unsigned int changes = 1 + chance(&seed) % 3;

		while (changes-- > 0)
			((uint8_t *)&elf)[chance(&seed) % sizeof(elf)] = chance(&seed);
		if (parse(&symbols, &elf, sizeof(elf)) < 0)
			continue;
		for (size_t j = 0; j < symbols.count; j++)
			assert_true(strlen(symbols.list[j].name) < sizeof(elf));
		symbols_find(&symbols, chance(&seed), &behind);
		symbols_drop(&symbols);
	}
}

/* What is printed. */

static char *print(const char *answer, const struct symbols *symbols, bool all)
{
	json_t *loaded = json_loads(answer, 0, NULL);
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	assert_non_null(loaded);
	debug_text_print(stream, loaded, symbols, all);
	fclose(stream);
	json_decref(loaded);
	return text;
}

static void people_see_where_vcpus_are(void **state)
{
	static const char answer[] =
		"{\"vcpus\":[{\"index\":0,\"power\":\"on\",\"pending\":{\"enabled\":[27],\"disabled\":"
		"[33]},\"where\":{\"el\":1,\"role\":\"inside\",\"level\":2,\"vmid\":3},\"backtrace\":"
		"[\"0xffff800080430008\",\"0xffff800080410000\"],\"registers\":{\"x0\":\"0x7\",\"pc\":"
		"\"0xffff800080430008\",\"VBAR_EL1\":\"0xffff800080410000\",\"HCR_EL2\":\"0x1\"}},"
		"{\"index\":1,\"power\":\"off\"}]}";
	struct symbols symbols;
	char *text;

	assert_int_equal(parse(&symbols, map, sizeof(map) - 1), 0);
	text = print(answer, &symbols, false);
	assert_string_equal(text,
			    "vCPU 0: on, at EL1 of level 2, inside, VMID 3\n"
			    "  #0  0xffff800080430008 do_idle+0x8\n"
			    "  #1  0xffff800080410000 _text+0x10000\n"
			    "  pending: 27 33 (disabled)\n"
			    "  pc             0xffff800080430008  VBAR_EL1       0xffff800080410000"
			    "  HCR_EL2        0x0000000000000001\n"
			    "vCPU 1: off\n");
	free(text);
	text = print(answer, NULL, true);
	assert_non_null(strstr(text, "  x0             0x0000000000000007"));
	assert_non_null(strstr(text, "  #0  0xffff800080430008\n"));
	free(text);
	symbols_drop(&symbols);
}

static void nonsense_is_not_printed(void **state)
{
	static const char *const answers[] = {
		"{}",
		"{\"vcpus\":1}",
		"{\"vcpus\":[1,[],{}]}",
		"{\"vcpus\":[{\"power\":\"\\u001b\",\"where\":{\"role\":\"\\n\\u001b\"},\"registers\":{"
		"\"pc\":1,\"\\u001b_EL2\":\"\\u001b\"},\"backtrace\":[1,\"\\u001b\"],\"pending\":[]}]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		char *text = print(answers[i], NULL, true);

		assert_null(strchr(text, '\033'));
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		caught_test(maps_have_names),	      caught_test(linux_has_moved),
		caught_test(files_have_names),	      caught_test(nonsense_is_refused),
		caught_test(wrecks_do_no_harm),	      caught_test(people_see_where_vcpus_are),
		caught_test(nonsense_is_not_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
