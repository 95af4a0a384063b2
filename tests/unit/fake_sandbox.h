/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef FAKE_SANDBOX_H
#define FAKE_SANDBOX_H

#include "sandbox/sandbox.h"

extern struct sandbox_options fake_sandbox_options;
extern int fake_sandbox_error; /* that it fails with, or 0 */

#endif
