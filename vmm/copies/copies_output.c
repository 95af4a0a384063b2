// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "copies_parts.h"
#include "host/log.h"
#include "util.h"

static void add(struct copies_output *output, const char *bytes, size_t size)
{
	memcpy(output->bytes + output->start + output->used, bytes, size);
	output->used += size;
}

static void end_line(struct copies_output *output, struct copies_line *line)
{
	const size_t name = strlen(line->name), size = name + strlen(": \n") + line->used;

	if (size <= sizeof(output->bytes) - output->used) {
		add(output, line->name, name);
		add(output, ": ", 2);
		add(output, line->bytes, line->used);
		add(output, "\n", 1);
	}
	line->used = 0;
}

void copies_output_take(struct copies_output *output, struct copies_line *line, const char *bytes,
			size_t size)
{
	memmove(output->bytes, output->bytes + output->start, output->used);
	output->start = 0;
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\n' || line->used == sizeof(line->bytes))
			end_line(output, line);
		if (bytes[i] != '\n')
			line->bytes[line->used++] = bytes[i];
	}
}

void copies_output_end(struct copies_output *output, struct copies_line *line)
{
	if (line->used > 0)
		copies_output_take(output, line, "\n", 1);
}

static void wait_for_room(struct copies_output *output, bool wait)
{
	if (wait == output->waits)
		return;
	if (!wait)
		event_remove(output->loop, &output->source);
	else if (event_add(output->loop, &output->source, EPOLLOUT) < 0)
		return;
	output->waits = wait;
}

void copies_output_write(struct copies_output *output)
{
	const bool was_full = copies_output_is_full(output);
	ssize_t done = 0;

	while (output->used > 0 && done >= 0) {
		const size_t size =
			output->used < STREAM_SHARED_MAX ? output->used : STREAM_SHARED_MAX;
		const struct iovec rest = { output->bytes + output->start, size };

		done = stream_write(&output->stream, &rest, 1);
		if (done > 0) {
			output->start += done;
			output->used -= done;
		}
	}
	wait_for_room(output, done == -EAGAIN);
	if (done < 0 && done != -EAGAIN) {
		if (!output->lost)
			log_error("standard output: %s", log_reason(-done));
		output->lost = true;
		output->used = 0;
		output->changed(output, done);
	} else if (was_full && !copies_output_is_full(output)) {
		output->changed(output, 0);
	}
}

static void output_ready(struct event_source *source, uint32_t events)
{
	(void)events;
	copies_output_write(container_of(source, struct copies_output, source));
}

int copies_output_open(struct copies_output *output, struct event_loop *loop)
{
	const int err = stream_open(&output->stream, STDOUT_FILENO, O_WRONLY);

	if (err < 0) {
		log_error("standard output: %s", log_reason(-err));
		return err;
	}
	output->loop = loop;
	output->source = (struct event_source){ output->stream.fd, output_ready };
	output->waits = output->lost = false;
	output->start = output->used = 0;
	return 0;
}

void copies_output_close(struct copies_output *output)
{
	wait_for_room(output, false);
	stream_close(&output->stream);
}
