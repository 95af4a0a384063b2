/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Level 0's view of a nest: starts it, follows its reports, keeps its time limits, ends it, and
 * tells how it went.
 */
#ifndef NIDUS_NEST_WATCH_H
#define NIDUS_NEST_WATCH_H

#include "nest/nest.h"

/*
 * Runs a nest that nest_check() has found good, until it ends or is ended; nothing of it is left
 * then. Says on standard error how it goes, and in the end writes the same as JSON to json_path if
 * that is not NULL. Returns what to exit with: STATUS_OK if every level did what it was to do.
 */
int nest_watch(const struct nest *nest, const char *json_path);

/*
 * The same until all levels are up, when it is saved to path and ends. STATUS_OK if it was; else
 * there is no such file.
 */
int nest_watch_save(struct nest *nest, const char *path);

#endif
