/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_CONFIG_WORDS_H
#define NIDUS_CONFIG_WORDS_H

#include <stdint.h>

#include "config/config.h"

/* The value of a word of an option; name is both, for messages. -EINVAL, said. */
int config_word_number(const char *name, const char *value, uint64_t min, uint64_t max,
		       unsigned int *number);

/* What --firmware is, called by that name, and what goes with it. -EINVAL, said. */
int config_settle_firmware(struct config *config, enum config_flavour flavour);

#endif
