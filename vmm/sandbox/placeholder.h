/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef NIDUS_PLACEHOLDER_H
#define NIDUS_PLACEHOLDER_H

/* In a filter as it is built: stands for the number of the process that loads it. */
#define SANDBOX_OWN_PID 0x6e696400

#endif
