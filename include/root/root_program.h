/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A program of this machine as it can be taken to another: which files it consists of.
 */
#ifndef NIDUS_ROOT_PROGRAM_H
#define NIDUS_ROOT_PROGRAM_H

#include "options/word_list.h"

/*
 * Adds the path of the program and of what it is loaded with, the loader and shared libraries, as
 * the loader itself says; of a static program that is nothing. Starts the loader. Errors: -errno,
 * said; -ENOEXEC for what is no ELF program.
 */
int root_program_files(struct word_list *files, const char *path);

/* Adds the paths in a loader's list (ld.so(8), --list). Pure. Errors: -ENOMEM, not said. */
int root_program_parse(struct word_list *files, const char *list);

#endif
