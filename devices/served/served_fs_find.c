// SPDX-License-Identifier: GPL-2.0-only
#include <limits.h>

#include "children/child.h"
#include "served/served.h"
#include "util.h"

const char *served_fs_find(char *path)
{
	/* It is no command of users, and stands where they do not look for any. */
	static const char *const places[] = { "virtiofsd", SERVED_VIRTIOFSD,
					      "/usr/lib/qemu/virtiofsd" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (child_find(places[i], path, PATH_MAX))
			return path;
	return NULL;
}
