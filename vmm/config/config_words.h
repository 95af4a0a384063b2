/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_CONFIG_WORDS_H
#define NIDUS_CONFIG_WORDS_H

#include <stdint.h>

/* The value of a word of an option; name is both, for messages. -EINVAL, said. */
int config_word_number(const char *name, const char *value, uint64_t min, uint64_t max,
		       unsigned int *number);

#endif
