/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_ROOT_INIT_H
#define NIDUS_ROOT_INIT_H

/*
 * nidus as the first process of a guest whose root is a directory of the host (root.h): gives way
 * to the init of that directory, with the arguments in argv. Where that cannot be it says why, and
 * powers the machine off.
 */
void root_init(char **argv);

#endif
