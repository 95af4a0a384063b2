// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <sys/resource.h>

#include "host/limits.h"

void limits_raise(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	/* Should it fail, the limit will be told of when it is reached. */
	setrlimit(RLIMIT_NOFILE, &limit);
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
