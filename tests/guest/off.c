// SPDX-License-Identifier: GPL-2.0-only
/*
 * Powers off at once: what is left of a run is what it costs to start and to end one.
 */
#include "guest.h"

int main(void)
{
	power_off();
}
