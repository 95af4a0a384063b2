/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Words of a kernel's command line, as Linux reads it (Documentation/admin-guide/
 * kernel-parameters.rst): parted by blanks that are in no double quotes, until "--". Pure.
 */
#ifndef NIDUS_ROOT_PARAMS_H
#define NIDUS_ROOT_PARAMS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether there is a word NAME=VALUE; params: NULL for none. */
bool root_params_have(const char *params, const char *name);

/*
 * The value of the last word of that name, without its quotes, cut to size - 1 bytes. False: there
 * is none.
 */
bool root_params_find(const char *params, const char *name, char *value, size_t size);

#endif
