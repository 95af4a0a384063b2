/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Ways out that no code of ours sees: signals whose default action ends the process. The terminal
 * is put back on all of them.
 */
#ifndef NIDUS_CRASH_H
#define NIDUS_CRASH_H

#include <termios.h>

#include "util.h"

/* Enough for the longest SVE vectors in a signal's frame. */
#define CRASH_STACK_SIZE KIB(32)

/*
 * From now on standard input gets these settings back when a signal ends nidus, which then ends by
 * that signal. NULL: no more. Signals that are ignored, or have a handler, are left alone. The
 * main thread.
 */
void crash_restore(const struct termios *settings);

/*
 * Has the calling thread take such signals on a stack of CRASH_STACK_SIZE bytes, because its own
 * may be what has run out. NULL: before that memory goes away.
 */
void crash_stack(void *stack);

/* As raise(3), to the process: of its first thread, which needs no call to know who it is. */
void crash_raise(int signal);

#endif
