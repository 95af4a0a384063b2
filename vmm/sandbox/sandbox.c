// SPDX-License-Identifier: GPL-2.0-only
#include "sandbox/sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parts.h"

/*
 * State that belongs to the process and not to a struct: what the kernel knows of it as well, and
 * does not tell.
 */
static enum sandbox_mode entered = SANDBOX_OFF;

/* Gives up all capabilities but these, of those that there are; *left are what there is then. */
static int keep_capabilities(uint64_t kept, uint64_t *left)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data) < 0)
		return -errno;
	*left = 0;
	for (unsigned int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].effective &= kept >> (32 * i);
		data[i].permitted = data[i].effective;
		data[i].inheritable = 0;
		*left |= (uint64_t)data[i].effective << (32 * i);
	}
	return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int sandbox_enter(struct sandbox *sandbox, const struct sandbox_options *options)
{
	int err = 0;

	*sandbox = (struct sandbox){ .mode = options->mode };
	if (options->mode == SANDBOX_OFF)
		return 0;
	if (options->mode == SANDBOX_FULL) {
		sandbox->failed = "namespaces";
		err = namespaces_enter(&sandbox->namespaces);
	}
	if (err == 0) {
		sandbox->failed = "PR_SET_NO_NEW_PRIVS";
		err = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
	}
	if (err == 0) {
		sandbox->failed = "capabilities";
		err = keep_capabilities(options->capabilities, &sandbox->capabilities);
	}
	/* What is reported is let through, which Landlock does not. */
	if (err == 0 && options->mode != SANDBOX_REPORT) {
		sandbox->failed = "Landlock";
		err = sandbox->landlock_abi = landlock_enter(options->signals_children);
	}
	if (err >= 0) {
		sandbox->failed = "seccomp";
		err = filter_load(SANDBOX_LOOP, options->mode == SANDBOX_REPORT);
	}
	if (err == 0)
		entered = options->mode;
	return err;
}

/*
 * How threads begin and end, which is the C library's to know, and what all of them call:
 * #syscalls all: exit futex rt_sigprocmask rt_sigreturn madvise(MADV_DONTNEED) brk
 * #syscalls loop: exit_group set_robust_list rseq rt_sigaction seccomp(SECCOMP_SET_MODE_FILTER)
 */
void sandbox_enter_thread(enum sandbox_kind kind)
{
	if (entered != SANDBOX_OFF)
		filter_load(kind, entered == SANDBOX_REPORT);
}

const char *sandbox_mode_name(enum sandbox_mode mode)
{
	static const char *const name[] = {
		[SANDBOX_ON] = "on",
		[SANDBOX_FULL] = "full",
		[SANDBOX_REPORT] = "report",
		[SANDBOX_OFF] = "off",
	};

	return name[mode];
}
