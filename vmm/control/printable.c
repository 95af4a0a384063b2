// SPDX-License-Identifier: GPL-2.0-only
#include "control/printable.h"

#include <stdio.h>

const char *printable(const char *value, char *text, size_t size)
{
	snprintf(text, size, "%s", value ? value : "-");
	for (char *byte = text; *byte; byte++)
		if (*byte < ' ' || *byte > '~')
			*byte = '?';
	return text;
}
