// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a console's output, on a terminal whose input and output are pipes.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "terminal.h"
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

static int begin(void **state)
{
	int in[2], out[2];

	fflush(stdout);
	signal(SIGPIPE, SIG_IGN);
	real[0] = dup(STDIN_FILENO);
	real[1] = dup(STDOUT_FILENO);
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC | O_NONBLOCK) < 0 ||
	    dup2(in[0], STDIN_FILENO) < 0 || dup2(out[1], STDOUT_FILENO) < 0)
		return -1;
	close(in[0]);
	close(out[1]);
	typed = in[1];
	shown = out[0];
	written = seen = 0;
	seed = 9;
	for (size_t i = 0; i < sizeof(history); i++)
		history[i] = chance(&seed) >> 56;
	if (catch_begin(state) < 0 || event_loop_create(&loop) < 0 ||
	    verdict_create(&verdict, &loop) < 0)
		return -1;
	return terminal_create(&terminal, &loop, &verdict);
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
	return catch_end(state);
}

/* As much of the history as there is room for; no vCPU could wait for more here. */
static void output(size_t size)
{
	written += terminal.console.offer(&terminal.console, history + written, size);
}

/* Lets the loop write, and reads that. */
static void drain(void)
{
	static uint8_t bytes[TERMINAL_OUTPUT_SIZE];

	while (terminal_pending(&terminal)) {
		ssize_t got;

		assert_true(event_loop_turn(&loop, true) >= 0);
		while ((got = read(shown, bytes, sizeof(bytes))) > 0) {
			assert_memory_equal(bytes, history + seen, got);
			seen += got;
		}
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

#define on_terminal(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_terminal(nothing_was_output),
		on_terminal(little_was_output),
		on_terminal(what_is_written_stays),
		on_terminal(full_ring),
		on_terminal(tail_of_all_sizes_at_all_places),
		on_terminal(nobody_reads_any_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
