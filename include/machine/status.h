/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How what was begun has ended: the exit status of nidus, for test runners.
 */
#ifndef NIDUS_STATUS_H
#define NIDUS_STATUS_H

#include "host/limits.h"

enum status {
	STATUS_OK = 0, /* the guest shut down, or the user ended it */
	STATUS_CRASHED = 1, /* the guest crashed, or KVM gave up on it */
	STATUS_USAGE = 2, /* the command line is wrong, or a file that it has nidus read or write */
	STATUS_HOST = 3, /* the host lacks or refuses something */
	STATUS_SIGNAL = 128, /* and N more: signal N ended it */
};

/* Who is to blame for err (-errno), which was said: blamed, unless the host has run out of means.
 */
static inline enum status status_of_error(int err, enum status blamed)
{
	return limits_missing(err) ? STATUS_HOST : blamed;
}

#endif
