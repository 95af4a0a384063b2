// SPDX-License-Identifier: GPL-2.0-only
/*
 * A console on pipes, on a socket that nobody reads, and on a terminal. What it is to a shell's
 * jobs is in test_jobs.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backends/terminal.h"
#include "unit.h"
#include "util.h"

static struct event_loop loop;
static struct verdict verdict;
static struct terminal terminal;

static int real[2]; /* what standard input and output are put back to */
static int typed, shown; /* the other ends of the pipes */

/* All that was ever written, and how much of it has been read from the pipe. */
static uint8_t history[16 * TERMINAL_OUTPUT_SIZE];
static size_t written, seen;
static uint64_t seed;

/* Takes the place of standard input and output. */
static int begin_on(void **state, int in, int out)
{
	fflush(stdout);
	signal(SIGPIPE, SIG_IGN);
	/* Whoever waits where he must not is ended. */
	alarm(120);
	real[0] = dup(STDIN_FILENO);
	real[1] = dup(STDOUT_FILENO);
	if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0)
		return -1;
	close(in);
	close(out);
	fcntl(shown, F_SETFL, O_NONBLOCK);
	written = seen = 0;
	seed = 9;
	for (size_t i = 0; i < sizeof(history); i++)
		history[i] = chance(&seed) >> 56;
	if (catch_begin(state) < 0 || event_loop_create(&loop) < 0 ||
	    verdict_create(&verdict, &loop) < 0)
		return -1;
	return terminal_create(&terminal, &loop, &verdict);
}

static int begin(void **state)
{
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
		return -1;
	typed = in[1];
	shown = out[0];
	return begin_on(state, in[0], out[1]);
}

static int begin_on_sockets(void **state)
{
	int in[2], out[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) < 0 ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, out) < 0)
		return -1;
	typed = in[1];
	shown = out[0];
	return begin_on(state, in[0], out[1]);
}

static int begin_on_memory(void **state)
{
	int in = open("/proc/self/mem", O_RDONLY | O_CLOEXEC), out[2];

	if (in < 0 || pipe2(out, O_CLOEXEC) < 0)
		return -1;
	typed = -1;
	shown = out[0];
	return begin_on(state, in, out[1]);
}

/* A terminal that does not control this process, so there is no background. */
static int begin_on_terminal(void **state)
{
	int slave, out[2];

	if (openpty(&typed, &slave, NULL, NULL, NULL) < 0 || pipe2(out, O_CLOEXEC) < 0)
		return -1;
	fcntl(typed, F_SETFL, O_NONBLOCK);
	shown = out[0];
	return begin_on(state, slave, out[1]);
}

static int finish(void **state)
{
	terminal_destroy(&terminal);
	verdict_destroy(&verdict);
	event_loop_destroy(&loop);
	dup2(real[0], STDIN_FILENO);
	dup2(real[1], STDOUT_FILENO);
	close(real[0]);
	close(real[1]);
	close(typed);
	close(shown);
	alarm(0);
	return catch_end(state);
}

/* As much of the history as there is room for; no vCPU could wait for more here. */
static void output(size_t size)
{
	written += terminal.console.offer(&terminal.console, history + written, size);
}

/* Reads what has been written. */
static void take(void)
{
	static uint8_t bytes[TERMINAL_OUTPUT_SIZE];
	ssize_t got;

	while ((got = read(shown, bytes, sizeof(bytes))) > 0) {
		assert_memory_equal(bytes, history + seen, got);
		seen += got;
	}
}

/* Lets the loop write, and reads that. */
static void drain(void)
{
	take();
	while (terminal_pending(&terminal)) {
		assert_true(event_loop_turn(&loop, true) >= 0);
		take();
	}
	assert_int_equal(seen, written);
}

/* Of so many bytes asked for; one too many would be found. */
static void assert_tail(size_t size, size_t expected)
{
	char *text = malloc(size);

	assert_int_equal(terminal_tail(&terminal, text, size), expected);
	assert_memory_equal(text, history + written - expected, expected);
	free(text);
}

static size_t least(size_t a, size_t b, size_t c)
{
	const size_t less = a < b ? a : b;

	return less < c ? less : c;
}

static void nothing_was_output(void **state)
{
	assert_tail(0, 0);
	assert_tail(10, 0);
	assert_tail(2 * TERMINAL_OUTPUT_SIZE, 0);
}

static void little_was_output(void **state)
{
	output(5);
	assert_tail(0, 0);
	assert_tail(3, 3);
	assert_tail(5, 5);
	assert_tail(6, 5);
	assert_tail(2 * TERMINAL_OUTPUT_SIZE, 5);
}

static void what_is_written_stays(void **state)
{
	output(5);
	drain();
	assert_tail(3, 3);
	assert_tail(100, 5);
	output(4);
	assert_tail(100, 9);
	drain();
	assert_tail(100, 9);
}

static void full_ring(void **state)
{
	output(TERMINAL_OUTPUT_SIZE + 1);
	assert_int_equal(written, TERMINAL_OUTPUT_SIZE);
	assert_tail(TERMINAL_OUTPUT_SIZE, TERMINAL_OUTPUT_SIZE);
	assert_tail(TERMINAL_OUTPUT_SIZE + 1, TERMINAL_OUTPUT_SIZE);
	drain();
	assert_tail(TERMINAL_OUTPUT_SIZE + 1, TERMINAL_OUTPUT_SIZE);
	output(1);
	assert_tail(TERMINAL_OUTPUT_SIZE, TERMINAL_OUTPUT_SIZE);
}

static void tail_of_all_sizes_at_all_places(void **state)
{
	while (written + TERMINAL_OUTPUT_SIZE < sizeof(history)) {
		size_t size = chance(&seed) % (TERMINAL_OUTPUT_SIZE + 2);

		output(chance(&seed) % TERMINAL_OUTPUT_SIZE >> chance(&seed) % 14);
		if (chance(&seed) % 2)
			drain();
		assert_tail(size, least(size, written, TERMINAL_OUTPUT_SIZE));
		assert_tail(2 * TERMINAL_OUTPUT_SIZE,
			    least(written, written, TERMINAL_OUTPUT_SIZE));
	}
}

/* What could not be written was output all the same. */
static void nobody_reads_any_more(void **state)
{
	output(5);
	drain();
	output(4);
	close(shown);
	shown = -1;
	while (verdict_outcome(&verdict) == OUTCOME_RUNNING)
		assert_true(event_loop_turn(&loop, true) >= 0);
	assert_int_equal(verdict_outcome(&verdict), OUTCOME_HOST_ERROR);
	assert_said("console output: Broken pipe");
	assert_false(terminal_pending(&terminal));
	assert_tail(3, 3);
	assert_tail(100, 9);
	/* What comes then is taken, and kept nowhere. */
	assert_int_equal(terminal.console.offer(&terminal.console, history, 3), 3);
	assert_tail(100, 9);
}

/* The loop turns until there is nothing more to be done at once. */
static void settle(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

/* The loop is not held up by who does not read, and nothing is lost by that. */
static void nobody_reads_for_a_while(void **state)
{
	size_t before;

	do {
		before = written;
		output(1000);
		settle();
	} while (written > before);
	assert_int_equal(terminal.output_count, TERMINAL_OUTPUT_SIZE);
	assert_int_equal(write(typed, "\001x", 2), 2);
	settle();
	assert_int_equal(verdict_outcome(&verdict), OUTCOME_QUIT);
	drain();
}

/* Input. */

/* What is typed while the guest takes nothing. */
static void type(const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		const ssize_t done = write(typed, bytes, size);

		if (done > 0) {
			bytes += done;
			size -= done;
		}
		settle();
	}
	settle();
}

/* The guest takes it all; what is typed at a terminal may take its time. */
static void assert_input(const uint8_t *expected, size_t size)
{
	static uint8_t bytes[3000];
	struct console *console = &terminal.console;
	size_t got;

	while (size > 0) {
		got = console->read(console, bytes, sizeof(bytes));
		assert_true(got <= size);
		assert_memory_equal(bytes, expected, got);
		expected += got;
		size -= got;
		if (got == 0)
			event_loop_turn(&loop, true);
	}
	settle();
	assert_int_equal(console->read(console, bytes, sizeof(bytes)), 0);
}

static void assert_quits(void)
{
	while (verdict_outcome(&verdict) == OUTCOME_RUNNING)
		event_loop_turn(&loop, true);
	assert_int_equal(verdict_outcome(&verdict), OUTCOME_QUIT);
}

static void assert_typed(const char *keys, const char *expected)
{
	type((const uint8_t *)keys, strlen(keys));
	assert_input((const uint8_t *)expected, strlen(expected));
}

static void escape_keys(void **state)
{
	assert_typed("abc", "abc");
	assert_typed("\001\001", "\001");
	assert_typed("a\001", "a");
	assert_typed("\001b", "\001b");
	assert_typed("\001\001\001\001x", "\001\001x");
	assert_typed("\001y\001", "y");
	assert_int_equal(verdict_outcome(&verdict), OUTCOME_RUNNING);
	assert_typed("xy", "y");
	assert_quits();
}

/* Text to paste, without escape keys. */
static uint8_t *paste_of(size_t size)
{
	uint8_t *bytes = malloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = 2 + (chance(&seed) >> 33) % 254;
	return bytes;
}

static void escape_key_behind_what_is_not_read(void **state)
{
	/* Around each size that the ring has. */
	for (size_t size = TERMINAL_INPUT_SIZE; size <= TERMINAL_INPUT_MAX; size *= 2) {
		for (int more = -1; more <= (size < TERMINAL_INPUT_MAX); more++) {
			uint8_t *paste = paste_of(size + more), first;

			/* The ring's beginning is anywhere. */
			type(paste, 1);
			assert_input(paste, 1);
			atomic_store(&verdict.outcome, OUTCOME_RUNNING);
			type(paste, size + more);
			type((const uint8_t *)"\001x", 2);
			assert_quits();
			assert_int_equal(terminal.console.read(&terminal.console, &first, 1), 1);
			assert_int_equal(first, paste[0]);
			assert_input(paste + 1, size + more - 1);
			free(paste);
		}
	}
	assert_silent();
	/* The memory for that is given back. */
	assert_ptr_equal(terminal.input, terminal.first_input);
}

static void more_than_is_ever_kept(void **state)
{
	const size_t size = TERMINAL_INPUT_MAX + 3 * TERMINAL_INPUT_SIZE;
	uint8_t *paste = paste_of(size);

	type(paste, size);
	type((const uint8_t *)"\001x", 2);
	assert_quits();
	assert_non_null(strstr(said(), "console input: the guest does not read"));
	assert_input(paste, TERMINAL_INPUT_MAX);
	free(paste);
	assert_typed("as before", "as before");
}

static int unread_of(int fd)
{
	int count = 0;

	ioctl(fd, FIONREAD, &count);
	return count;
}

/* A file in a pipe may be long, and nobody sits at it. */
static void pipe_is_read_as_the_guest_reads(void **state)
{
	const size_t size = 5 * TERMINAL_INPUT_SIZE;
	uint8_t *paste = paste_of(size);

	type(paste, size);
	assert_int_equal(unread_of(STDIN_FILENO), size - TERMINAL_INPUT_SIZE);
	assert_input(paste, size);
	free(paste);
}

/* The loop comes to rest: what has come to its end is not waited for. */
static void assert_at_rest(void)
{
	unsigned int turns = 0;

	while (event_loop_turn(&loop, false) > 0)
		assert_true(++turns < 100);
}

static void input_that_ends(void **state)
{
	uint8_t bytes[3];

	assert_int_equal(write(typed, "ab", 2), 2);
	close(typed);
	typed = -1;
	assert_at_rest();
	assert_int_equal(terminal.console.read(&terminal.console, bytes, sizeof(bytes)), 2);
	assert_at_rest();
	assert_int_equal(terminal.console.read(&terminal.console, bytes, sizeof(bytes)), 0);
	/* The guest goes on without. */
	assert_int_equal(verdict_outcome(&verdict), OUTCOME_RUNNING);
	assert_silent();
}

/* Nor is it asked again and again: a read at 0 of one's own memory is an error of the device. */
static void input_that_cannot_be_read(void **state)
{
	uint8_t byte = 'x';

	assert_int_equal(terminal.console.read(&terminal.console, &byte, 1), 0);
	assert_int_equal(lseek(STDIN_FILENO, (off_t)(uintptr_t)&byte, SEEK_SET),
			 (off_t)(uintptr_t)&byte);
	assert_int_equal(terminal.console.read(&terminal.console, &byte, 1), 0);
}

/* Another process has the same pipe, and was faster. */
static void input_that_somebody_else_took(void **state)
{
	uint8_t byte;

	assert_int_equal(write(typed, "a", 1), 1);
	assert_int_equal(read(STDIN_FILENO, &byte, 1), 1);
	terminal.input_source.ready(&terminal.input_source, 0);
	assert_typed("b", "b");
}

#define on_terminal(test) cmocka_unit_test_setup_teardown(test, begin, finish)
#define on_sockets(test)  cmocka_unit_test_setup_teardown(test, begin_on_sockets, finish)
#define on_tty(test)	  cmocka_unit_test_setup_teardown(test, begin_on_terminal, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_terminal(nothing_was_output),
		on_terminal(little_was_output),
		on_terminal(what_is_written_stays),
		on_terminal(full_ring),
		on_terminal(tail_of_all_sizes_at_all_places),
		on_terminal(nobody_reads_any_more),
		on_terminal(nobody_reads_for_a_while),
		on_sockets(nobody_reads_for_a_while),
		on_terminal(escape_keys),
		on_sockets(escape_keys),
		on_tty(escape_keys),
		on_tty(escape_key_behind_what_is_not_read),
		on_tty(more_than_is_ever_kept),
		on_terminal(pipe_is_read_as_the_guest_reads),
		on_terminal(input_that_ends),
		on_sockets(input_that_ends),
		cmocka_unit_test_setup_teardown(input_that_cannot_be_read, begin_on_memory, finish),
		on_terminal(input_that_somebody_else_took),
		on_sockets(input_that_somebody_else_took),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
