/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Help as it is printed: wrapped so that lines end before column 80.
 */
#ifndef NIDUS_HELP_H
#define NIDUS_HELP_H

#include <stdio.h>

#include "options/options.h"

/* Paragraphs, each one line of text; an empty line is one. */
void help_text(FILE *stream, const char *text);

/* All options but those that are refused, in the order of their tables. */
void help_options(FILE *stream, const struct options *options);

#endif
