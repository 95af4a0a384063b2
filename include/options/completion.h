/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Completion of nidus's command line by a shell, made of the same tables that are parsed by.
 */
#ifndef NIDUS_COMPLETION_H
#define NIDUS_COMPLETION_H

#include <stdio.h>

#include "options/options.h"

/*
 * Prints what bash(1) reads to complete `nidus` and `lkvm`: subcommands, options, and what an
 * option takes, be it one of several words, a file or a directory. Needs no other package.
 */
void completion_print_bash(FILE *stream, const struct options *const *commands, size_t count);

/* The same for zsh(1), with what help says of each option. */
void completion_print_zsh(FILE *stream, const struct options *const *commands, size_t count);

#endif
