// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sys/resource.h>

#include "host/limits.h"

/* What the process was started with: of it there is one, as there is one process. */
static struct rlimit given;
static bool raised;

void limits_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	given = limit;
	limit.rlim_cur = limit.rlim_max;
	/* Should it fail, the limit will be told of when it is reached. */
	raised = setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

void limits_restore(void)
{
	if (raised)
		setrlimit(RLIMIT_NOFILE, &given);
}

bool limits_missing(int err)
{
	switch (-err) {
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN: /* threads and processes */
	case ENOSPC:
	case EDQUOT:
	case ENOLCK:
	case EIO:
	case ENOSYS:
	case EOPNOTSUPP:
		return true;
	default:
		return false;
	}
}
