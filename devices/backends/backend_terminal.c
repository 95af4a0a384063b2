// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. Output collects in a ring; the first byte in an empty ring starts a timer of
 * FLUSH_NS, and when that expires the event loop's thread writes all there is by one write(2). So a
 * vCPU never waits for the host, unless the ring is full, and a line of text costs one system call
 * and not one a byte.
 *
 * Input is read when it comes, as far as there is room, and the descriptor left alone while there
 * is none. A terminal's is read in any case, for the escape key: its ring grows for what a user may
 * paste.
 *
 * A shell that puts us into the background does not tell, nor does every shell when it brings us
 * back. So before each read of a terminal it is asked who has it, and while that is another, it is
 * asked again every LOOK_NS. SIGTSTP and SIGCONT are told by their names.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "backends/terminal.h"
#include "host/crash.h"
#include "host/log.h"
#include "util.h"

/* Long enough to collect a line, too short to be noticed by who types. */
#define FLUSH_NS   UINT64_C(2000000)
#define ESCAPE_KEY 0x01 /* Ctrl-A, as in lkvm */

/* At most, of one write(2): what even a stream that others share takes without waiting. */
#define WRITE_MAX STREAM_SHARED_MAX

/* How soon a terminal is noticed to be ours again. */
#define LOOK_NS UINT64_C(200000000)

/* A terminal on standard input, and who has it. */

/* Makes it raw, and has the way back known. */
/* #syscalls loop: ioctl(TCGETS) ioctl(TCSETS) ioctl(TIOCGPGRP) */
static void make_raw(struct terminal *terminal)
{
	struct termios now, raw;

	if (tcgetattr(STDIN_FILENO, &now) < 0)
		return;
	/* Else we were stopped without being asked, and it still is as we have left it. */
	if (now.c_lflag != terminal->ours.c_lflag || now.c_iflag != terminal->ours.c_iflag)
		terminal->saved = now;
	raw = now;
	raw.c_iflag &= ~(BRKINT | ICRNL | INLCR | IGNCR | INPCK | ISTRIP | IXON);
	raw.c_lflag &= ~(ICANON | ECHO | ECHONL | ISIG | IEXTEN);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	crash_restore(&terminal->saved);
	terminal->raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
	if (terminal->raw)
		terminal->ours = raw;
	else
		crash_restore(NULL);
}

/* What becomes of the terminal is no more for us to decide. */
static void forget_raw(struct terminal *terminal)
{
	if (terminal->raw)
		crash_restore(NULL);
	terminal->raw = false;
}

/* Input. */

static bool input_full(const struct terminal *terminal)
{
	return terminal->input_count == terminal->input_size;
}

static void input_shrink(struct terminal *terminal)
{
	if (terminal->input != terminal->first_input)
		free(terminal->input);
	terminal->input = terminal->first_input;
	terminal->input_size = TERMINAL_INPUT_SIZE;
	terminal->input_start = terminal->input_count = 0;
}

/* Twice the room, for a ring that is full. */
static bool input_grow(struct terminal *terminal)
{
	const size_t count = terminal->input_count;
	const size_t upper = count - terminal->input_start;
	uint8_t *grown;

	if (!terminal->is_terminal || 2 * count > TERMINAL_INPUT_MAX)
		return false;
	grown = malloc(2 * count);
	if (!grown)
		return false;
	memcpy(grown, terminal->input + terminal->input_start, upper);
	memcpy(grown + upper, terminal->input, terminal->input_start);
	input_shrink(terminal);
	terminal->input = grown;
	terminal->input_size = 2 * count;
	terminal->input_count = count;
	return true;
}

static void input_push(struct terminal *terminal, uint8_t byte)
{
	static struct log_limit limit;
	size_t end;

	if (input_full(terminal) && !input_grow(terminal)) {
		log_guest(&limit,
			  "console input: the guest does not read, and %zu bytes wait for it: "
			  "what is typed now is dropped",
			  terminal->input_count);
		return;
	}
	end = (terminal->input_start + terminal->input_count) % terminal->input_size;
	terminal->input[end] = byte;
	terminal->input_count++;
}

void terminal_feed(struct terminal *terminal, const void *bytes, size_t size)
{
	pthread_mutex_lock(&terminal->lock);
	for (size_t i = 0; i < size; i++)
		input_push(terminal, ((const uint8_t *)bytes)[i]);
	pthread_mutex_unlock(&terminal->lock);
}

static void input_byte(struct terminal *terminal, uint8_t byte)
{
	if (terminal->escape_seen) {
		terminal->escape_seen = false;
		if (byte == 'x') {
			verdict_reach(terminal->verdict, OUTCOME_QUIT);
			return;
		}
	} else if (byte == ESCAPE_KEY) {
		terminal->escape_seen = true;
		return;
	}
	input_push(terminal, byte);
}

/* Reads once: as much as there is room for, or from a terminal in any case. */
static void input_fill(struct terminal *terminal)
{
	uint8_t bytes[TERMINAL_INPUT_SIZE];
	const size_t room = terminal->is_terminal ? sizeof(bytes)
						  : terminal->input_size - terminal->input_count;
	ssize_t got = stream_read(&terminal->input_stream, bytes, room);

	if (got == -EAGAIN)
		return;
	/* Another job has just got the terminal, and SIGTTIN is ignored. */
	if (got == -EIO && terminal->is_terminal && !terminal_in_foreground())
		return;
	if (got <= 0)
		terminal->input_ended = true;
	for (ssize_t i = 0; i < got; i++)
		input_byte(terminal, bytes[i]);
}

/*
 * Listens while there is room and something may come. Not listening means being off the loop: a
 * hang-up would be reported again and again, asked for or not.
 */
static void input_arm(struct terminal *terminal)
{
	bool want = !terminal->input_ended && !terminal->away &&
		    (terminal->is_terminal || !input_full(terminal));

	if (!terminal->input_pollable || want == terminal->input_armed)
		return;
	if (want)
		event_add(terminal->loop, &terminal->input_source, EPOLLIN);
	else
		event_remove(terminal->loop, &terminal->input_source);
	terminal->input_armed = want;
}

/* After whatever may have changed who has the terminal. Lock not held. */
static void input_settle(struct terminal *terminal)
{
	const bool away = !terminal_in_foreground();

	if (away)
		forget_raw(terminal);
	else if (!terminal->raw)
		make_raw(terminal);
	pthread_mutex_lock(&terminal->lock);
	terminal->away = away;
	input_arm(terminal);
	pthread_mutex_unlock(&terminal->lock);
	if (away)
		event_timer_in(&terminal->look, LOOK_NS);
}

static void input_ready(struct event_source *source, uint32_t events)
{
	struct terminal *terminal = container_of(source, struct terminal, input_source);
	bool any;

	(void)events;
	if (terminal->is_terminal && !terminal_in_foreground()) {
		input_settle(terminal);
		return;
	}
	pthread_mutex_lock(&terminal->lock);
	if (terminal->is_terminal || !input_full(terminal))
		input_fill(terminal);
	input_arm(terminal);
	any = terminal->input_count > 0;
	pthread_mutex_unlock(&terminal->lock);

	if (any && terminal->console.input)
		terminal->console.input(terminal->console.device);
}

static size_t terminal_read(struct console *console, uint8_t *bytes, size_t count)
{
	struct terminal *terminal = container_of(console, struct terminal, console);
	size_t done = 0;

	pthread_mutex_lock(&terminal->lock);
	if (terminal->input_count == 0 && !terminal->input_pollable && !terminal->input_ended)
		input_fill(terminal);
	for (; done < count && terminal->input_count > 0; done++) {
		bytes[done] = terminal->input[terminal->input_start];
		terminal->input_start = (terminal->input_start + 1) % terminal->input_size;
		terminal->input_count--;
	}
	if (terminal->input_count == 0)
		input_shrink(terminal);
	input_arm(terminal);
	pthread_mutex_unlock(&terminal->lock);
	return done;
}

/* Output. */

static bool output_full(const struct terminal *terminal)
{
	return terminal->output_count == TERMINAL_OUTPUT_SIZE;
}

/* Nobody reads any more. What is left is dropped, and the run ends. */
static void output_lose(struct terminal *terminal, int error)
{
	if (terminal->output_lost)
		return;
	log_error("console output: %s", strerror(error));
	terminal->output_lost = true;
	/* The ring's end stays where it is, for terminal_tail(). */
	terminal->output_start =
		(terminal->output_start + terminal->output_count) % TERMINAL_OUTPUT_SIZE;
	terminal->output_count = 0;
	pthread_cond_broadcast(&terminal->output_room);
	verdict_reach(terminal->verdict, OUTCOME_HOST_ERROR);
}

/*
 * Writes what there was when it began, one contiguous piece at a time; what vCPUs add meanwhile has
 * its turn later, lest the loop get to nothing else. The event loop's thread, lock held.
 */
static void output_flush(struct terminal *terminal)
{
	size_t left = terminal->output_count;

	while (left > 0) {
		uint8_t *piece = terminal->output + terminal->output_start;
		size_t size = TERMINAL_OUTPUT_SIZE - terminal->output_start;
		struct iovec segment;
		ssize_t done;

		if (size > left)
			size = left;
		if (size > WRITE_MAX)
			size = WRITE_MAX;
		segment = (struct iovec){ piece, size };
		/* vCPUs add behind the piece meanwhile; they never touch it. */
		pthread_mutex_unlock(&terminal->lock);
		done = stream_write(&terminal->output_stream, &segment, 1);
		pthread_mutex_lock(&terminal->lock);

		if (done == -EAGAIN && terminal->output_pollable) {
			event_modify(terminal->loop, &terminal->output_source, EPOLLOUT);
			return;
		}
		if (done < 0) {
			output_lose(terminal, -done);
			return;
		}
		terminal->output_start = (terminal->output_start + done) % TERMINAL_OUTPUT_SIZE;
		terminal->output_count -= done;
		left -= done;
		pthread_cond_broadcast(&terminal->output_room);
	}
	if (terminal->output_count > 0)
		event_timer_in(&terminal->flush, 1);
}

/* After a flush: whom offer() has turned away is told to come again. Lock not held. */
static void output_tell(struct terminal *terminal)
{
	bool room;

	pthread_mutex_lock(&terminal->lock);
	room = terminal->output_refused && !output_full(terminal);
	if (room)
		terminal->output_refused = false;
	pthread_mutex_unlock(&terminal->lock);
	if (room && terminal->console.room)
		terminal->console.room(terminal->console.device);
}

static void output_ready(struct event_source *source, uint32_t events)
{
	struct terminal *terminal = container_of(source, struct terminal, output_source);

	pthread_mutex_lock(&terminal->lock);
	if (events & (EPOLLERR | EPOLLHUP)) {
		/* The other end of a pipe or terminal is gone; that is told without being asked. */
		event_remove(terminal->loop, source);
		terminal->output_pollable = false;
		output_lose(terminal, EPIPE);
	} else {
		event_modify(terminal->loop, source, 0);
		output_flush(terminal);
	}
	pthread_mutex_unlock(&terminal->lock);
	output_tell(terminal);
}

static void flush_expired(struct event_timer *timer)
{
	struct terminal *terminal = container_of(timer, struct terminal, flush);

	pthread_mutex_lock(&terminal->lock);
	output_flush(terminal);
	pthread_mutex_unlock(&terminal->lock);
	output_tell(terminal);
}

static void output_push(struct terminal *terminal, uint8_t byte)
{
	size_t end = (terminal->output_start + terminal->output_count) % TERMINAL_OUTPUT_SIZE;

	terminal->output[end] = byte;
	terminal->output_count++;
	terminal->output_total++;
	if (terminal->output_count == 1)
		event_timer_in(&terminal->flush, FLUSH_NS);
	else if (terminal->output_count == TERMINAL_OUTPUT_SIZE / 2)
		event_timer_in(&terminal->flush, 1);
}

static void terminal_write(struct console *console, const uint8_t *bytes, size_t count)
{
	struct terminal *terminal = container_of(console, struct terminal, console);

	pthread_mutex_lock(&terminal->lock);
	for (size_t i = 0; i < count; i++) {
		while (output_full(terminal) && !terminal->released)
			pthread_cond_wait(&terminal->output_room, &terminal->lock);
		if (terminal->output_lost || output_full(terminal))
			break;
		output_push(terminal, bytes[i]);
	}
	pthread_mutex_unlock(&terminal->lock);
}

static size_t terminal_offer(struct console *console, const uint8_t *bytes, size_t count)
{
	struct terminal *terminal = container_of(console, struct terminal, console);
	size_t done = 0;

	pthread_mutex_lock(&terminal->lock);
	/* What nobody will read is taken and dropped. */
	if (terminal->output_lost)
		done = count;
	while (done < count && !output_full(terminal))
		output_push(terminal, bytes[done++]);
	terminal->output_refused = done < count;
	pthread_mutex_unlock(&terminal->lock);
	return done;
}

/* #syscalls loop: ioctl(TIOCGWINSZ) */
static bool terminal_size(struct console *console, uint16_t *columns, uint16_t *rows)
{
	struct winsize size;

	(void)console;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 || size.ws_row == 0)
		return false;
	*columns = size.ws_col;
	*rows = size.ws_row;
	return true;
}

void terminal_resized(struct terminal *terminal)
{
	if (terminal->console.resized)
		terminal->console.resized(terminal->console.device);
}

void terminal_release(struct terminal *terminal, bool released)
{
	pthread_mutex_lock(&terminal->lock);
	terminal->released = released;
	pthread_cond_broadcast(&terminal->output_room);
	pthread_mutex_unlock(&terminal->lock);
}

/* What has been written stays in the ring until it is overwritten. */
size_t terminal_tail(struct terminal *terminal, char *text, size_t size)
{
	size_t end, start;

	pthread_mutex_lock(&terminal->lock);
	end = terminal->output_start + terminal->output_count + TERMINAL_OUTPUT_SIZE;
	if (size > TERMINAL_OUTPUT_SIZE)
		size = TERMINAL_OUTPUT_SIZE;
	if (size > terminal->output_total)
		size = terminal->output_total;
	start = end - size;
	for (size_t i = 0; i < size; i++)
		text[i] = terminal->output[(start + i) % TERMINAL_OUTPUT_SIZE];
	pthread_mutex_unlock(&terminal->lock);
	return size;
}

bool terminal_pending(struct terminal *terminal)
{
	bool pending;

	pthread_mutex_lock(&terminal->lock);
	pending = terminal->output_count > 0;
	pthread_mutex_unlock(&terminal->lock);
	return pending;
}

/* Set-up and the way back. */

static int output_start(struct terminal *terminal)
{
	struct stream *stream = &terminal->output_stream;
	int err = stream_open(stream, STDOUT_FILENO, O_WRONLY);

	if (err < 0) {
		log_error("standard output: %s", log_reason(-err));
		return err;
	}
	terminal->output_source = (struct event_source){ stream->fd, output_ready };
	err = event_add(terminal->loop, &terminal->output_source, 0);
	terminal->output_pollable = err == 0;
	if (err == 0 || err == -EPERM)
		err = event_timer_create(&terminal->flush, terminal->loop, CLOCK_MONOTONIC,
					 flush_expired);
	else
		log_error("standard output: %s", strerror(-err));
	if (err < 0)
		stream_close(stream);
	return err;
}

static void output_stop(struct terminal *terminal)
{
	event_timer_destroy(&terminal->flush);
	if (terminal->output_pollable)
		event_remove(terminal->loop, &terminal->output_source);
	stream_close(&terminal->output_stream);
}

static void look_again(struct event_timer *timer)
{
	terminal_resume(container_of(timer, struct terminal, look));
}

static int input_start(struct terminal *terminal)
{
	struct stream *stream = &terminal->input_stream;
	int err;

	input_shrink(terminal);
	/* A guest without input is fine. */
	if (stream_open(stream, STDIN_FILENO, O_RDONLY) < 0) {
		stream->fd = -1;
		terminal->input_ended = true;
		return 0;
	}
	terminal->is_terminal = tcgetattr(STDIN_FILENO, &terminal->saved) == 0;
	if (terminal->is_terminal) {
		err = event_timer_create(&terminal->look, terminal->loop, CLOCK_MONOTONIC,
					 look_again);
		if (err < 0) {
			stream_close(stream);
			return err;
		}
	}
	terminal->input_source = (struct event_source){ stream->fd, input_ready };
	terminal->input_pollable = terminal->input_armed =
		event_add(terminal->loop, &terminal->input_source, EPOLLIN) == 0;
	if (terminal->is_terminal)
		input_settle(terminal);
	return 0;
}

static void input_stop(struct terminal *terminal)
{
	if (terminal->input_armed)
		event_remove(terminal->loop, &terminal->input_source);
	if (terminal->is_terminal)
		event_timer_destroy(&terminal->look);
	if (terminal->input_stream.fd >= 0)
		stream_close(&terminal->input_stream);
	input_shrink(terminal);
}

void terminal_suspend(struct terminal *terminal)
{
	if (terminal->raw && terminal_in_foreground())
		tcsetattr(STDIN_FILENO, TCSANOW, &terminal->saved);
	forget_raw(terminal);
}

void terminal_resume(struct terminal *terminal)
{
	if (!terminal->is_terminal)
		return;
	/* Whatever it was, somebody else had it in between. */
	forget_raw(terminal);
	input_settle(terminal);
	if (!terminal->away)
		terminal_resized(terminal);
}

int terminal_create(struct terminal *terminal, struct event_loop *loop, struct verdict *verdict)
{
	int err;

	*terminal = (struct terminal){
		.console = {
			.write = terminal_write,
			.offer = terminal_offer,
			.read = terminal_read,
			.size = terminal_size,
		},
		.loop = loop,
		.verdict = verdict,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.output_room = PTHREAD_COND_INITIALIZER,
	};
	err = output_start(terminal);
	if (err < 0)
		return err;
	err = input_start(terminal);
	if (err < 0)
		output_stop(terminal);
	return err;
}

void terminal_destroy(struct terminal *terminal)
{
	terminal_suspend(terminal);
	input_stop(terminal);
	output_stop(terminal);
}
