// SPDX-License-Identifier: GPL-2.0-only
#include "nest_terminal.h"

#include <string.h>
#include <unistd.h>

#include "backends/terminal.h"

void nest_terminal_save(struct nest_terminal *terminal)
{
	/* In the background, the settings are those of a shell that edits its command line. */
	*terminal = (struct nest_terminal){ .ours = terminal_in_foreground() };
	if (tcgetattr(STDIN_FILENO, &terminal->before) < 0)
		terminal->ours = false;
}

void nest_terminal_give_back(struct nest_terminal *terminal)
{
	if (!terminal->ours || terminal->given_back || !terminal_in_foreground() ||
	    tcgetattr(STDIN_FILENO, &terminal->during) < 0)
		return;
	/* The child has put them back by itself, so it takes them up by itself, too. */
	if (memcmp(&terminal->during, &terminal->before, sizeof(terminal->before)) == 0)
		return;
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal->before);
	terminal->given_back = true;
}

void nest_terminal_take_up(struct nest_terminal *terminal)
{
	if (!terminal->given_back || !terminal_in_foreground())
		return;
	tcsetattr(STDIN_FILENO, TCSANOW, &terminal->during);
	terminal->given_back = false;
}
