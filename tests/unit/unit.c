// SPDX-License-Identifier: GPL-2.0-only
#include <ftw.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sanitizer/common_interface_defs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
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

static int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *where)
{
	return remove(path);
}

void scratch_end(void)
{
	nftw(scratch, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
}

static bool give_up_opening(void)
{
	static struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_open
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open, 3, 0),
#endif
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	};
	const struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

int without_opening(bool (*function)(void *opaque), void *opaque)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0)
		_exit(give_up_opening() && function(opaque) ? 0 : 1);
	return child > 0 && waitpid(child, &status, 0) == child ? status : -1;
}

uint64_t chance(uint64_t *seed)
{
	/* xorshift64* */
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * UINT64_C(0x2545f4914f6cdd1d);
}
