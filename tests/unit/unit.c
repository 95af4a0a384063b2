// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

static int catch_fd = -1, real_stderr = -1;
static char scratch[64];

int catch_begin(void **state)
{
	real_stderr = dup(STDERR_FILENO);
	catch_fd = memfd_create("caught", MFD_CLOEXEC);
	if (real_stderr < 0 || catch_fd < 0 || dup2(catch_fd, STDERR_FILENO) < 0)
		return -1;
	__sanitizer_set_report_fd((void *)(intptr_t)real_stderr);
	return 0;
}

int catch_end(void **state)
{
	__sanitizer_set_report_fd((void *)STDERR_FILENO);
	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(catch_fd);
	return 0;
}

const char *said(void)
{
	static char text[16384];
	ssize_t got = pread(catch_fd, text, sizeof(text) - 1, 0);

	text[got > 0 ? got : 0] = '\0';
	/* The offset is shared with standard error. */
	if (ftruncate(catch_fd, 0) == 0)
		lseek(catch_fd, 0, SEEK_SET);
	return text;
}

void assert_said_at(const char *text, const char *file, int line)
{
	const char *all = said(), *newline = strchr(all, '\n');

	if (strstr(all, text) && newline && newline[1] == '\0')
		return;
	dprintf(real_stderr, "expected one line with \"%s\", but said was:\n%s", text, all);
	_fail(file, line);
}

const char *scratch_begin(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(scratch, sizeof(scratch), "%.40s/nidus-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(scratch));
	return scratch;
}

void scratch_end(void)
{
	DIR *directory = opendir(scratch);
	struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		char path[sizeof(scratch) + sizeof(entry->d_name) + 1];

		snprintf(path, sizeof(path), "%s/%s", scratch, entry->d_name);
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			remove(path);
	}
	if (directory)
		closedir(directory);
	rmdir(scratch);
}

uint64_t chance(uint64_t *seed)
{
	/* xorshift64* */
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * UINT64_C(0x2545f4914f6cdd1d);
}
