// SPDX-License-Identifier: GPL-2.0-only
#include "root/root_program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children/child.h"
#include "host/log.h"

#define SECONDS	 30
#define LIST_MAX 16384

static int refuse(const char *path)
{
	log_error("%s: is no ELF program, and so cannot be taken to the levels of a nest", path);
	return -ENOEXEC;
}

/* All of it, or false. */
static bool read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
	return pread(fd, buffer, size, offset) == (ssize_t)size;
}

/* Where its loader is named: -ENOENT: it has none. */
static int find_segment(int fd, const Elf64_Ehdr *head, Elf64_Phdr *segment)
{
	for (unsigned int i = 0; i < head->e_phnum; i++) {
		if (!read_at(fd, segment, sizeof(*segment), head->e_phoff + i * sizeof(*segment)))
			return -ENOEXEC;
		if (segment->p_type == PT_INTERP)
			return 0;
	}
	return -ENOENT;
}

/* The path of a program's loader, "" for none. Errors: -ENOEXEC, not said. */
static int read_loader(int fd, char loader[PATH_MAX])
{
	Elf64_Phdr segment;
	Elf64_Ehdr head;
	int err;

	*loader = '\0';
	if (!read_at(fd, &head, sizeof(head), 0) || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
	    head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_phentsize != sizeof(segment))
		return -ENOEXEC;
	err = find_segment(fd, &head, &segment);
	if (err < 0)
		return err == -ENOENT ? 0 : err;
	if (segment.p_filesz == 0 || segment.p_filesz > PATH_MAX ||
	    !read_at(fd, loader, segment.p_filesz, segment.p_offset) ||
	    loader[segment.p_filesz - 1] != '\0')
		return -ENOEXEC;
	return 0;
}

static int find_loader(const char *path, char loader[PATH_MAX])
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err;

	if (fd < 0) {
		err = -errno;
		log_error("%s: %s", path, log_reason(-err));
		return err;
	}
	err = read_loader(fd, loader);
	close(fd);
	return err < 0 ? refuse(path) : 0;
}

/* "name => /path (address)" or "/path (address)"; the kernel's own, which is no file, has none. */
int root_program_parse(struct word_list *files, const char *list)
{
	int err = 0;

	while (*list && err == 0) {
		const size_t length = strcspn(list, "\n");
		const char *path = memchr(list, '/', length);
		const char *end = path ? memmem(path, list + length - path, " (", 2) : NULL;

		if (end)
			err = word_list_add(files, path, end - path);
		list += length + (list[length] == '\n');
	}
	return err;
}

static int list_files(struct word_list *files, const char *loader, const char *path)
{
	const char *const arguments[] = { "--list", path, NULL };
	const struct child_command command = { .program = loader, .arguments = arguments };
	char list[LIST_MAX], how[CHILD_HOW];
	int status, err = child_run(loader, &command, SECONDS, list, sizeof(list), &status);

	if (err < 0)
		return err;
	if (status != 0) {
		log_error("%s: cannot be loaded here: %s %s: %.*s", path, loader,
			  child_how(status, how), (int)strcspn(list, "\n"), list);
		return -ENOEXEC;
	}
	err = root_program_parse(files, list);
	if (err < 0)
		log_error("%s: %s", path, strerror(-err));
	return err;
}

int root_program_files(struct word_list *files, const char *path)
{
	char loader[PATH_MAX];
	int err = find_loader(path, loader);

	if (err == 0 && word_list_add(files, path, strlen(path)) < 0) {
		log_error("%s: %s", path, strerror(ENOMEM));
		err = -ENOMEM;
	}
	return err < 0 || !*loader ? err : list_files(files, loader, path);
}
