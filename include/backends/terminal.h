/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The console on nidus's own standard input and output, be they a terminal, pipes or files.
 *
 * A terminal is put into raw mode: every key goes to the guest, but for Ctrl-A x, which ends the
 * run, and Ctrl-A Ctrl-A, which sends one Ctrl-A. It is put back on every way out but SIGKILL and
 * the two signals that the C library keeps for itself (32 and 33), a crash of nidus included.
 *
 * All that comes goes to the guest, once and in order. From a terminal it is read even while the
 * guest takes none, because the escape key may be behind it: TERMINAL_INPUT_MAX bytes wait, what is
 * typed or pasted beyond them is dropped, which is said. Pipes and files are read as the guest
 * takes what is in them.
 *
 * While another job of the shell has the terminal it is left alone, neither read nor changed.
 */
#ifndef NIDUS_TERMINAL_H
#define NIDUS_TERMINAL_H

#include <pthread.h>
#include <stdbool.h>
#include <termios.h>
#include <unistd.h>

#include "console.h"
#include "host/event.h"
#include "host/stream.h"
#include "host/verdict.h"
#include "util.h"

#define TERMINAL_OUTPUT_SIZE 16384
#define TERMINAL_INPUT_SIZE  4096
#define TERMINAL_INPUT_MAX   MIB(1)

struct terminal {
	struct console console;
	struct event_loop *loop;
	struct verdict *verdict;
	pthread_mutex_t lock; /* guards both buffers and what is said of the sources */

	/* A ring, filled by vCPU threads and emptied by the event loop's. */
	uint8_t output[TERMINAL_OUTPUT_SIZE];
	size_t output_start, output_count;
	size_t output_total; /* bytes that have ever been in it */
	struct stream output_stream;
	struct event_source output_source;
	bool output_pollable, output_lost, released;
	bool output_refused; /* offer() has taken less than all, and room() is owed */
	pthread_cond_t output_room;
	struct event_timer flush;

	/*
	 * A ring, filled by the event loop's thread, or by read() from what is always ready. That
	 * of a terminal grows, and shrinks to first_input when it is empty.
	 */
	uint8_t first_input[TERMINAL_INPUT_SIZE];
	uint8_t *input;
	size_t input_size, input_start, input_count;
	struct stream input_stream;
	struct event_source input_source;
	bool input_pollable, input_ended, input_armed, escape_seen;

	/* A terminal on standard input. The event loop's thread. */
	bool is_terminal;
	bool away; /* another job has it; guarded by the lock */
	bool raw; /* we have made it so, and it is to be put back */
	struct event_timer look; /* whether it is ours again */
	struct termios saved;
	struct termios ours; /* what raw mode is; all zero before the first time */
};

/*
 * Begins to listen on standard input. What is typed or lost decides on verdict. Errors: -errno,
 * said; the terminal is as it was.
 */
int terminal_create(struct terminal *terminal, struct event_loop *loop, struct verdict *verdict);
void terminal_destroy(struct terminal *terminal);

/* Lets go of vCPU threads that wait in write(), so that they can be stopped. Any thread. */
void terminal_release(struct terminal *terminal, bool released);

/*
 * What the guest reads before anything that comes from standard input, as it is, without escapes.
 * Before the guest runs; TERMINAL_INPUT_MAX bytes at most, the rest is dropped, which is said.
 */
void terminal_feed(struct terminal *terminal, const void *bytes, size_t size);

/* The terminal's size may have changed (SIGWINCH). The event loop's thread. */
void terminal_resized(struct terminal *terminal);

/*
 * Puts the terminal back before nidus is stopped, and takes it again when it was continued, by
 * whomever: at once if it is in the foreground, else when it comes there. The event loop's thread.
 */
void terminal_suspend(struct terminal *terminal);
void terminal_resume(struct terminal *terminal);

/*
 * Copies the end of what has been output, no more than size bytes nor than TERMINAL_OUTPUT_SIZE,
 * and returns how many these are. The event loop's thread.
 */
size_t terminal_tail(struct terminal *terminal, char *text, size_t size);

/* Whether output still waits to be written. */
bool terminal_pending(struct terminal *terminal);

/*
 * Whether a terminal on standard input is ours to read and change. One that does not control us, as
 * that of an init, has no foreground and does not mind. Any thread.
 */
static inline bool terminal_in_foreground(void)
{
	const pid_t foreground = tcgetpgrp(STDIN_FILENO);

	return foreground < 0 || foreground == getpgrp();
}

#endif
