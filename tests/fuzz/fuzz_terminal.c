// SPDX-License-Identifier: GPL-2.0-only
/*
 * A console on a terminal or a pipe: any bytes typed, read in any pieces, by a guest that is as
 * fast as it likes, while other jobs have the terminal now and then; and any output, to somebody
 * who takes it in any pieces. What must hold: all input but the escape keys reaches the guest once
 * and in order, Ctrl-A x is always seen, output leaves once and in order, and a terminal that
 * others have is neither read nor changed.
 */
#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "backends/terminal.h"
#include "fuzz.h"
#include "host/crash.h"

#define HISTORY (2 * TERMINAL_INPUT_MAX)
#define OTHERS	12345 /* a process group */

static struct input input;
static struct terminal terminal;
static struct verdict verdict;
static struct event_loop loop;

/* A history of what was typed, and how much of it has been read; HISTORY is enough for one run. */
static uint8_t typed[HISTORY], expected[HISTORY], output[HISTORY];
static size_t typed_count, read_count;
/* What the guest is to get of that, as far as it has been read, and how much of it it has got. */
static size_t expected_count, got_count;
static bool prefixed, quit; /* after Ctrl-A; after Ctrl-A x */
static size_t output_count, taken_count;

static bool armed, hung_up, is_terminal, in_background, crash_knows;
static struct termios settings;
static const struct termios cooked = {
	.c_iflag = ICRNL | IXON,
	.c_lflag = ICANON | ECHO | ISIG,
};

/* In place of vmm/host/event.c: sources and timers that are ready when the input says so. */

int event_add(struct event_loop *which, struct event_source *source, uint32_t events)
{
	if (source == &terminal.input_source)
		armed = true;
	return 0;
}

void event_modify(struct event_loop *which, struct event_source *source, uint32_t events)
{
	MUST(source == &terminal.output_source);
}

void event_remove(struct event_loop *which, struct event_source *source)
{
	if (source == &terminal.input_source)
		armed = false;
}

int event_timer_create(struct event_timer *timer, struct event_loop *which, int clock,
		       void (*expired)(struct event_timer *timer))
{
	timer->expired = expired;
	return 0;
}

void event_timer_destroy(struct event_timer *timer)
{
}

void event_timer_in(struct event_timer *timer, uint64_t nanoseconds)
{
	MUST(timer->expired);
}

int event_notifier_create(struct event_notifier *notifier, struct event_loop *which,
			  void (*notified)(struct event_notifier *notifier))
{
	return 0;
}

void event_notifier_destroy(struct event_notifier *notifier)
{
}

void event_notify(struct event_notifier *notifier)
{
}

/* In place of the C library's: a terminal of our own, with a shell. */

pid_t tcgetpgrp(int fd)
{
	return in_background ? OTHERS : getpgrp();
}

int tcgetattr(int fd, struct termios *now)
{
	if (!is_terminal)
		return -1;
	*now = settings;
	return 0;
}

int tcsetattr(int fd, int when, const struct termios *wanted)
{
	MUST(is_terminal && !in_background);
	settings = *wanted;
	return 0;
}

/* In place of vmm/host/crash.c: it has the way back whenever the terminal is raw. */
void crash_restore(const struct termios *restored)
{
	crash_knows = restored != NULL;
	MUST(!restored || restored->c_lflag & ICANON);
}

/* In place of vmm/host/stream.c: pieces as large as the input says. */

int stream_open(struct stream *stream, int fd, int access)
{
	stream->fd = fd;
	return 0;
}

void stream_close(struct stream *stream)
{
}

/* What a byte means, told once more in other words. */
static void expect(uint8_t byte)
{
	if (!prefixed && byte == 1) {
		prefixed = true;
		return;
	}
	if (prefixed && byte == 'x')
		quit = true;
	else if (expected_count - got_count < TERMINAL_INPUT_MAX)
		expected[expected_count++] = byte;
	prefixed = false;
}

ssize_t stream_read(const struct stream *stream, void *bytes, size_t size)
{
	size_t piece = take(&input, 1), left = typed_count - read_count;

	MUST(stream == &terminal.input_stream && size > 0 && !in_background);
	/* Of a pipe no more than fits is taken. */
	MUST(is_terminal || size <= TERMINAL_INPUT_SIZE - (expected_count - got_count));
	if (left == 0)
		return hung_up ? 0 : -EAGAIN;
	if (piece == 0)
		return -EAGAIN;
	/* As much as there is, mostly. */
	if (piece > size || piece > 15)
		piece = size;
	if (piece > left)
		piece = left;
	memcpy(bytes, typed + read_count, piece);
	for (size_t i = 0; i < piece; i++)
		expect(typed[read_count++]);
	return piece;
}

ssize_t stream_write(const struct stream *stream, const struct iovec *segments, unsigned int count)
{
	size_t piece = take(&input, 2) % (STREAM_SHARED_MAX + 1);

	MUST(stream == &terminal.output_stream && count == 1 && segments[0].iov_len > 0);
	MUST(segments[0].iov_len <= STREAM_SHARED_MAX);
	if (piece == 0)
		return -EAGAIN;
	if (piece > segments[0].iov_len)
		piece = segments[0].iov_len;
	MUST(memcmp(segments[0].iov_base, output + taken_count, piece) == 0);
	taken_count += piece;
	return piece;
}

/* What may happen. */

static void type(void)
{
	size_t count = take(&input, 1);

	while (count-- > 0 && input.size > 0 && typed_count < HISTORY)
		typed[typed_count++] = take(&input, 1);
}

static void paste(void)
{
	size_t count = take(&input, 1) * 64;

	for (; count > 0 && typed_count < HISTORY; count--, typed_count++)
		typed[typed_count] = 'a' + typed_count % 26;
}

static void turn(void)
{
	if (armed && (typed_count > read_count || hung_up))
		terminal.input_source.ready(&terminal.input_source, EPOLLIN);
}

static void guest_reads(void)
{
	static uint8_t bytes[65536];
	/* Of all orders of size: an empty ring begins anew, so something has to be left. */
	size_t count = take(&input, 2) >> take(&input, 1) % 16, got;

	got = terminal.console.read(&terminal.console, bytes, count);
	MUST(got <= expected_count - got_count);
	MUST(got == count || got == expected_count - got_count);
	MUST(memcmp(bytes, expected + got_count, got) == 0);
	got_count += got;
}

static void guest_writes(void)
{
	size_t count = take(&input, 2), done;

	if (count > HISTORY - output_count)
		count = HISTORY - output_count;
	for (size_t i = 0; i < count; i++)
		output[output_count + i] = (output_count + i) * 7 >> 3;
	done = terminal.console.offer(&terminal.console, output + output_count, count);
	output_count += done;
	MUST(done == count || output_count - taken_count == TERMINAL_OUTPUT_SIZE);
}

/* A shell has settings of its own for itself and what it starts. */
static void other_job(void)
{
	if (is_terminal)
		in_background = !in_background;
	if (in_background)
		settings = cooked;
}

static void something(unsigned int what)
{
	switch (what % 10) {
	case 0:
		return hung_up ? (void)0 : type();
	case 1:
		return hung_up ? (void)0 : paste();
	case 2:
		return turn();
	case 3:
		return guest_reads();
	case 4:
		return guest_writes();
	case 5:
		return terminal.flush.expired(&terminal.flush);
	case 6:
		return other_job();
	case 7:
		if (is_terminal)
			terminal.look.expired(&terminal.look);
		return;
	case 8:
		terminal_suspend(&terminal);
		return terminal_resume(&terminal);
	case 9:
		hung_up = true;
	}
}

static void check(void)
{
	const bool ended = hung_up && read_count == typed_count;

	MUST(terminal.input_count == expected_count - got_count);
	MUST(verdict_quit(&verdict) == quit);
	MUST((verdict_outcome(&verdict) == OUTCOME_QUIT) == quit);
	MUST(terminal_pending(&terminal) == (output_count > taken_count));
	MUST(in_background || settings.c_lflag & ICANON || crash_knows);
	/* Nothing that was typed stays where the escape key cannot be found. */
	if (is_terminal && !terminal.away)
		MUST(armed || ended);
	if (!is_terminal)
		MUST(armed == (terminal.input_count < TERMINAL_INPUT_SIZE) || ended);
}

static void begin(void)
{
	typed_count = read_count = expected_count = got_count = output_count = taken_count = 0;
	prefixed = quit = armed = hung_up = false;
	is_terminal = take(&input, 1) % 2;
	in_background = is_terminal && take(&input, 1) % 2;
	settings = cooked;
	MUST(verdict_create(&verdict, &loop) == 0);
	MUST(terminal_create(&terminal, &loop, &verdict) == 0);
}

/* Whoever has it finds it as it was. */
static void finish(void)
{
	terminal_destroy(&terminal);
	MUST(settings.c_lflag & ICANON);
	MUST(!armed);
	verdict_destroy(&verdict);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = (struct input){ data, size };
	begin();
	while (input.size > 0) {
		something(take(&input, 1));
		check();
	}
	finish();
	return 0;
}
