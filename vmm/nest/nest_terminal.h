/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The settings of the terminal that a nest is used at, kept by the process that watches it. The one
 * that runs level 1 changes them and puts them back, unless it is killed.
 */
#ifndef NIDUS_NEST_TERMINAL_H
#define NIDUS_NEST_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

struct nest_terminal {
	bool ours; /* standard input is a terminal, and was not another's when we began */
	bool given_back;
	struct termios before, during;
};

/* Before the process is started. */
void nest_terminal_save(struct nest_terminal *terminal);

/*
 * Makes the settings what they were, at the end or when the nest is stopped; takes up again what
 * they were in the nest, when it goes on. Neither touches a terminal that others have meanwhile, as
 * when we run in the background of a shell.
 */
void nest_terminal_give_back(struct nest_terminal *terminal);
void nest_terminal_take_up(struct nest_terminal *terminal);

#endif
