// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a program is loaded with: of this test itself, as this machine's loader says, and of files
 * that are no programs.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "root/root_program.h"
#include "unit.h"
#include "util.h"

static struct word_list files;
static char path[160];

static int begin(void **state)
{
	snprintf(path, sizeof(path), "%s/program", scratch_begin());
	return catch_begin(state);
}

static int finish(void **state)
{
	word_list_clear(&files);
	scratch_end();
	return catch_end(state);
}

static void lists_are_read(void **state)
{
	static const char list[] =
		"\tlinux-vdso.so.1 (0x0000ffff8a3e0000)\n"
		"\tlibseccomp.so.2 => /lib/aarch64-linux-gnu/libseccomp.so.2 (0x0000ffff8a0f0000)\n"
		"\tlibodd.so => /opt/an odd place/libodd.so (0x1)\n"
		"\tlibgone.so => not found\n"
		"\n"
		"/cut\n"
		"\t/lib/ld-linux-aarch64.so.1 (0x0000ffff8a3a0000)";

	assert_int_equal(root_program_parse(&files, list), 0);
	assert_int_equal(files.count, 3);
	assert_string_equal(files.words[0], "/lib/aarch64-linux-gnu/libseccomp.so.2");
	assert_string_equal(files.words[1], "/opt/an odd place/libodd.so");
	assert_string_equal(files.words[2], "/lib/ld-linux-aarch64.so.1");
	word_list_clear(&files);
	assert_int_equal(root_program_parse(&files, ""), 0);
	assert_int_equal(files.count, 0);
}

static void this_program_needs_a_loader_and_libraries(void **state)
{
	bool loader = false, library = false;
	char self[160];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(length > 0);
	self[length] = '\0';
	assert_int_equal(root_program_files(&files, self), 0);
	assert_silent();
	assert_string_equal(files.words[0], self);
	for (unsigned int i = 0; i < files.count; i++) {
		struct stat st;

		assert_int_equal(stat(files.words[i], &st), 0);
		loader |= strstr(files.words[i], "/ld-") != NULL;
		library |= strstr(files.words[i], "/libcmocka.so") != NULL;
	}
	assert_true(loader && library);
}

static void write_file(const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

/* A program whose one segment is that of its loader, of so many bytes. */
struct program {
	Elf64_Ehdr head;
	Elf64_Phdr segment;
	char loader[32];
};

static struct program make_program(const char *loader, uint64_t size)
{
	struct program program = {
		.head = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64 },
			.e_phoff = offsetof(struct program, segment),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 1,
		},
		.segment = {
			.p_type = PT_INTERP,
			.p_offset = offsetof(struct program, loader),
			.p_filesz = size,
		},
	};

	strcpy(program.loader, loader);
	return program;
}

static void a_static_program_needs_nothing(void **state)
{
	struct program program = make_program("", 0);

	program.segment.p_type = PT_LOAD;
	write_file(&program, sizeof(program));
	assert_int_equal(root_program_files(&files, path), 0);
	assert_int_equal(files.count, 1);
	assert_string_equal(files.words[0], path);
	assert_silent();
}

static void assert_refused(const void *bytes, size_t size)
{
	write_file(bytes, size);
	assert_int_equal(root_program_files(&files, path), -ENOEXEC);
	assert_said("is no ELF program");
	assert_int_equal(files.count, 0);
}

static void what_is_no_program_is_refused(void **state)
{
	struct program program = make_program("/lib/loader", 12);
	const struct program good = program;

	assert_refused("#!/bin/sh\n", 10);
	assert_refused("", 0);
	assert_refused(&program, sizeof(program.head) - 1);
	assert_refused(&program, sizeof(program.head) + 1);
	assert_refused(&program, offsetof(struct program, loader) + 4);
	program.head.e_ident[EI_CLASS] = ELFCLASS32;
	assert_refused(&program, sizeof(program));
	program = good;
	program.head.e_phentsize = 1;
	assert_refused(&program, sizeof(program));
	program = good;
	program.head.e_phoff = UINT64_MAX;
	assert_refused(&program, sizeof(program));
	program = good;
	program.segment.p_filesz = 11; /* without its end */
	assert_refused(&program, sizeof(program));
	program.segment.p_filesz = 0;
	assert_refused(&program, sizeof(program));
	program.segment.p_filesz = UINT64_MAX;
	assert_refused(&program, sizeof(program));
	program = good;
	program.segment.p_offset = UINT64_MAX - 4;
	assert_refused(&program, sizeof(program));
}

static void what_is_not_there_is_named(void **state)
{
	assert_int_equal(root_program_files(&files, path), -ENOENT);
	assert_said("program: No such file or directory");
}

static void a_loader_that_refuses_is_told(void **state)
{
	const struct program program = make_program("/bin/false", 11);

	write_file(&program, sizeof(program));
	assert_int_equal(root_program_files(&files, path), -ENOEXEC);
	assert_said("cannot be loaded here: /bin/false has ended with status 1");
}

#define in_scratch(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_scratch(lists_are_read),
		in_scratch(this_program_needs_a_loader_and_libraries),
		in_scratch(a_static_program_needs_nothing),
		in_scratch(what_is_no_program_is_refused),
		in_scratch(what_is_not_there_is_named),
		in_scratch(a_loader_that_refuses_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
