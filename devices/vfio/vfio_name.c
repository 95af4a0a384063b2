// SPDX-License-Identifier: GPL-2.0-only
#include "vfio/vfio_name.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#define CDEV "/dev/vfio/devices/vfio"

/* Whether text is of that form: x stands for a hexadecimal digit, o for one from 0 to 7. */
static bool has_form(const char *text, const char *form)
{
	for (; *form; form++, text++) {
		const bool fits = *form == 'x'	 ? isxdigit((unsigned char)*text)
				  : *form == 'o' ? *text >= '0' && *text <= '7'
						 : *text == *form;

		if (!fits)
			return false;
	}
	return *text == '\0';
}

bool vfio_name_is_cdev(const char *text)
{
	const size_t length = strlen(CDEV);

	return strncmp(text, CDEV, length) == 0 && strlen(text) <= length + 9 && text[length] &&
	       strspn(text + length, "0123456789") == strlen(text + length);
}

bool vfio_name_is_one(const char *text)
{
	return has_form(text, "xx:xx.o") || has_form(text, "xxxx:xx:xx.o") ||
	       vfio_name_is_cdev(text);
}
