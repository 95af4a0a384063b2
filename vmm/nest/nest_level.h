/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One level of a nest, run from the level beneath it.
 */
#ifndef NIDUS_NEST_LEVEL_H
#define NIDUS_NEST_LEVEL_H

#include "nest/nest.h"

/*
 * Runs the guest of a level until it ends, with what it reports going to report_fd. Returns the
 * status of that run (enum status). Once a process.
 */
int nest_level_run(const struct nest *nest, unsigned int level, int report_fd);

#endif
