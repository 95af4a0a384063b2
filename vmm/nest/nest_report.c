// SPDX-License-Identifier: GPL-2.0-only
#include "nest_report.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/log.h"

/* Sending. */

/* #syscalls loop: write ppoll */
static int write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t done = write(fd, text, size);

		if (done > 0) {
			text += done;
			size -= done;
		} else if (done == 0) {
			return -EIO;
		} else if (errno == EAGAIN) {
			poll(&(struct pollfd){ .fd = fd, .events = POLLOUT }, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

void nest_report(int fd, json_t *report)
{
	char *text = report ? json_dumps(report, JSON_COMPACT) : NULL, *line;
	int err = -ENOMEM;

	json_decref(report);
	/*
	 * What came before may be a line that a run did not get out to its end. Empty lines mean
	 * nothing. Each write to a port is a kick of its queue, so it is one.
	 */
	if (text && asprintf(&line, "\n%s\n", text) >= 0) {
		err = write_all(fd, line, strlen(line));
		free(line);
	}
	if (err < 0)
		log_error("a report of the nest: %s", strerror(-err));
	free(text);
}

/* Receiving. */

bool nest_report_about(const json_t *report, unsigned int *level, enum nest_report_kind *kind)
{
	static const char *const names[NEST_REPORT_KINDS] = {
		[NEST_REPORT_BEGUN] = "begun",	   [NEST_REPORT_UP] = "up",
		[NEST_REPORT_READY] = "ready",	   [NEST_REPORT_SAVED] = "saved",
		[NEST_REPORT_COMMAND] = "command", [NEST_REPORT_ENDED] = "ended",
	};
	const char *is;
	json_int_t number;

	if (json_unpack((json_t *)report, "{sssI}", "is", &is, "level", &number) < 0 ||
	    number < 1 || number > UINT_MAX)
		return false;
	*level = number;
	for (unsigned int i = 0; i < NEST_REPORT_KINDS; i++) {
		*kind = i;
		if (strcmp(names[i], is) == 0)
			return true;
	}
	return false;
}

bool nest_report_may(unsigned int speaker, unsigned int level, enum nest_report_kind kind)
{
	switch (kind) {
	case NEST_REPORT_UP:
	case NEST_REPORT_READY:
	case NEST_REPORT_COMMAND:
		return level >= speaker;
	case NEST_REPORT_SAVED:
		return false;
	default:
		return level > speaker;
	}
}

void nest_line_add(struct nest_line *line, char byte)
{
	if (line->size < NEST_LINE_MAX)
		line->text[line->size] = byte;
	if (line->size <= NEST_LINE_MAX)
		line->size++;
}

json_t *nest_line_report(const struct nest_line *line)
{
	/* Where a name stands twice, another reader might take the other value. */
	return line->size > NEST_LINE_MAX
		       ? NULL
		       : json_loadb(line->text, line->size, JSON_REJECT_DUPLICATES, NULL);
}
