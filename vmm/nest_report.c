// SPDX-License-Identifier: GPL-2.0-only
#include "nest_report.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

static int write_all(int fd, const char *text, size_t size)
{
	while (size > 0) {
		ssize_t done = write(fd, text, size);

		if (done > 0) {
			text += done;
			size -= done;
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
	 * What came before may be a guest's unfinished line. Empty lines mean nothing. Each write
	 * to a port is a kick of its queue, so it is one.
	 */
	if (text && asprintf(&line, "\n%s\n", text) >= 0) {
		err = write_all(fd, line, strlen(line));
		free(line);
	}
	if (err < 0)
		log_error("a report of the nest: %s", strerror(-err));
	free(text);
}
