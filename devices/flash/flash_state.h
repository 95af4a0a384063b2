/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is saved of a bank of flash memory: where its chips stand in a command, and what is in it.
 */
#ifndef NIDUS_FLASH_STATE_H
#define NIDUS_FLASH_STATE_H

#include "flash_chips.h"
#include "state/state.h"

/* Records "flash" and "flash-content", with the number of the bank. */
void flash_state_save(struct state_writer *writer, uint64_t index, const struct flash_chips *chips);

/*
 * Into chips as after power-on, whose content is of the same size. fresh: nobody else knows that
 * content, which becomes what was saved; else it has to be that already.
 */
void flash_state_restore(struct state_reader *reader, uint64_t index, struct flash_chips *chips,
			 bool fresh);

#endif
