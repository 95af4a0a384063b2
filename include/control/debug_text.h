/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `nidus debug` prints: where every vCPU is.
 */
#ifndef NIDUS_DEBUG_TEXT_H
#define NIDUS_DEBUG_TEXT_H

#include <jansson.h>
#include <stdio.h>

#include "control/symbols.h"

/*
 * Prints the answer to `debug`, for people. symbols: NULL, or those of a kernel that some of the
 * vCPUs are in; all_registers: not only those that tell where a vCPU is and why.
 */
void debug_text_print(FILE *stream, const json_t *answer, const struct symbols *symbols,
		      bool all_registers);

#endif
