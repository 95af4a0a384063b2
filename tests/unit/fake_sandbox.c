// SPDX-License-Identifier: GPL-2.0-only
/*
 * In place of vmm/sandbox/sandbox.c: a sandbox is for good, and its filters are arm64's. What was
 * asked for is kept for tests.
 */
#include "fake_sandbox.h"

struct sandbox_options fake_sandbox_options;
int fake_sandbox_error;

int sandbox_enter(struct sandbox *sandbox, const struct sandbox_options *options)
{
	fake_sandbox_options = *options;
	*sandbox = (struct sandbox){ .mode = options->mode, .failed = "seccomp" };
	return fake_sandbox_error;
}

void sandbox_enter_thread(enum sandbox_kind kind)
{
}

const char *sandbox_mode_name(enum sandbox_mode mode)
{
	return mode == SANDBOX_OFF ? "off" : "on";
}
