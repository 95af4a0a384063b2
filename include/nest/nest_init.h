/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_NEST_INIT_H
#define NIDUS_NEST_INIT_H

#include <stdbool.h>

/* Whether this is a level of a nest: the plan is there. */
bool nest_init_wanted(void);

/* nidus as the first process of a level of a nest (nest.h). Powers the machine off. */
void nest_init(void);

#endif
