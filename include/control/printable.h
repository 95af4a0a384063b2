/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_PRINTABLE_H
#define NIDUS_PRINTABLE_H

#include <stddef.h>

/*
 * What others have said, for a terminal: value with all that is not printable ASCII replaced, cut
 * to size bytes; a dash for NULL. Returns text.
 */
const char *printable(const char *value, char *text, size_t size);

#endif
