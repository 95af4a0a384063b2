// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linux, Documentation/userspace-api/landlock.rst. There are no rules, so nothing is allowed of
 * what a ruleset handles: no path can be opened, made, renamed or removed, no port connected to.
 */
#include <errno.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "parts.h"

/* Bits from the first to that one. */
#define UP_TO(bit) (2 * (bit)-1)

/* What each ABI is the first to know. */
static void handle_all(struct landlock_ruleset_attr *attr, int abi, bool signals_children)
{
	attr->handled_access_fs = UP_TO(LANDLOCK_ACCESS_FS_MAKE_SYM);
	if (abi >= 2)
		attr->handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		attr->handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
	if (abi >= 4)
		attr->handled_access_net =
			LANDLOCK_ACCESS_NET_BIND_TCP | LANDLOCK_ACCESS_NET_CONNECT_TCP;
	if (abi >= 5)
		attr->handled_access_fs |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
	if (abi >= 6)
		attr->scoped = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET |
			       (signals_children ? 0 : LANDLOCK_SCOPE_SIGNAL);
}

/* Bytes of it that a kernel of that ABI knows. */
static size_t size_of(int abi)
{
	if (abi < 4)
		return offsetof(struct landlock_ruleset_attr, handled_access_net);
	return abi < 6 ? offsetof(struct landlock_ruleset_attr, scoped)
		       : sizeof(struct landlock_ruleset_attr);
}

int landlock_enter(bool signals_children)
{
	struct landlock_ruleset_attr attr = { 0 };
	const int abi =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	int ruleset, err;

	if (abi <= 0)
		return 0;
	handle_all(&attr, abi, signals_children);
	ruleset = syscall(SYS_landlock_create_ruleset, &attr, size_of(abi), 0);
	if (ruleset < 0)
		return -errno;
	err = syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
	close(ruleset);
	return err < 0 ? err : abi;
}
