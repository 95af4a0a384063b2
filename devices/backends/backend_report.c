// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. What is offered is written at once, or refused while the file takes nothing;
 * then it stays where it is, in the driver's buffers, and the device is told when there is room.
 * What is to be kept, because these buffers go away, is copied, and goes first when there is.
 *
 * The descriptor is watched by edges, from the beginning to the end: a port whose other side is not
 * open yet (EPOLLHUP) or a pipe that nobody reads (EPOLLERR) would be told of for ever by levels,
 * asked for or not. Whether a file is lost is for write(2) to say.
 *
 * A write must not wait, nor may others who have the same file notice (stream.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/report.h"
#include "host/file.h"
#include "host/iov.h"
#include "host/log.h"
#include "options/number.h"
#include "util.h"

#define DESCRIPTOR_PREFIX "fd:"

/* Of one write(2): what a pipe holds, so that no driver's buffer keeps the thread for long. */
#define WRITE_MAX      KIB(64)
#define WRITE_SEGMENTS 32

/* Writing. All with the lock held. */

static void forget_kept(struct report *report)
{
	free(report->kept);
	report->kept = NULL;
	report->kept_start = report->kept_count = report->kept_size = 0;
}

static void lose(struct report *report, int error)
{
	log_warning("report %s: %s; from now on what the guest reports is dropped", report->name,
		    strerror(error));
	report->lost = true;
	forget_kept(report);
}

/* One write(2). 0: nothing went, for now, or it is lost. */
static size_t write_some(struct report *report, const struct iovec *segments, unsigned int count)
{
	struct iovec piece[WRITE_SEGMENTS];
	const bool own = report->stream.kind == STREAM_OWN;
	const unsigned int used = iov_slice(piece, ARRAY_SIZE(piece), segments, count, 0,
					    own ? WRITE_MAX : STREAM_SHARED_MAX);
	const ssize_t done = stream_write(&report->stream, piece, used);

	if (done >= 0)
		return done;
	if (done != -EAGAIN || !report->pollable)
		lose(report, -done);
	return 0;
}

static void write_kept(struct report *report)
{
	while (report->kept_count > 0) {
		const struct iovec rest = { report->kept + report->kept_start, report->kept_count };
		const size_t done = write_some(report, &rest, 1);

		if (done == 0)
			return;
		report->kept_start += done;
		report->kept_count -= done;
	}
	forget_kept(report);
}

/* The sink. */

static size_t report_offer(struct sink *sink, const struct iovec *segments, unsigned int count)
{
	struct report *report = container_of(sink, struct report, sink);
	const size_t length = iov_length(segments, count);
	size_t done = 0;

	pthread_mutex_lock(&report->lock);
	write_kept(report);
	if (!report->lost && report->kept_count == 0)
		done = write_some(report, segments, count);
	/* What nobody will read is taken and dropped. */
	if (report->lost)
		done = length;
	report->refused = done == 0 && length > 0;
	pthread_mutex_unlock(&report->lock);
	return done;
}

/* Makes room for so many bytes more. */
static bool kept_grow(struct report *report, size_t length)
{
	const size_t size = report->kept_count + length;
	uint8_t *grown;

	if (length > REPORT_KEPT_MAX - report->kept_count)
		return false;
	if (report->kept_start > 0)
		memmove(report->kept, report->kept + report->kept_start, report->kept_count);
	report->kept_start = 0;
	if (size <= report->kept_size)
		return true;
	grown = realloc(report->kept, size);
	if (!grown)
		return false;
	report->kept = grown;
	report->kept_size = size;
	return true;
}

static void report_keep(struct sink *sink, const struct iovec *segments, unsigned int count)
{
	static struct log_limit limit;
	struct report *report = container_of(sink, struct report, sink);
	const size_t length = iov_length(segments, count);

	pthread_mutex_lock(&report->lock);
	if (!report->lost && length > 0) {
		if (kept_grow(report, length))
			report->kept_count += iov_read(segments, count, 0,
						       report->kept + report->kept_count, length);
		else
			log_guest(&limit, "report %s: %zu bytes are dropped: it is not being read",
				  report->name, length);
		event_notify(&report->flush);
	}
	pthread_mutex_unlock(&report->lock);
}

void report_flush(struct report *report)
{
	bool room;

	if (report->stream.fd < 0)
		return;
	pthread_mutex_lock(&report->lock);
	write_kept(report);
	room = report->refused && report->kept_count == 0;
	if (room)
		report->refused = false;
	pthread_mutex_unlock(&report->lock);
	if (room && report->sink.room)
		report->sink.room(report->sink.device);
}

bool report_pending(struct report *report)
{
	bool pending;

	if (report->stream.fd < 0)
		return false;
	pthread_mutex_lock(&report->lock);
	pending = report->kept_count > 0;
	pthread_mutex_unlock(&report->lock);
	return pending;
}

static void report_ready(struct event_source *source, uint32_t events)
{
	(void)events;
	report_flush(container_of(source, struct report, source));
}

static void flush_notified(struct event_notifier *notifier)
{
	report_flush(container_of(notifier, struct report, flush));
}

/* Opening. */

static int open_name(const char *name)
{
	const int how = O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC;
	const int made = file_is_special(name) ? 0 : O_CREAT | O_TRUNC;
	int fd = open(name, how | made | O_NONBLOCK, 0666);

	if (fd < 0 && errno == ENXIO) {
		struct stat st;

		/* A FIFO without a reader is worth waiting for. */
		if (stat(name, &st) < 0 || !S_ISFIFO(st.st_mode))
			return -ENXIO;
		fd = open(name, how);
		if (fd >= 0)
			fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK);
	}
	return fd < 0 ? -errno : fd;
}

/* The number in fd:N, or -1. */
static int descriptor_number(const char *name)
{
	uint64_t number;
	const int err = number_parse(name + strlen(DESCRIPTOR_PREFIX), 0, INT_MAX, &number);

	return err == 0 ? (int)number : -1;
}

static int open_descriptor(struct stream *stream, int number)
{
	const int flags = fcntl(number, F_GETFL);

	if (flags < 0)
		return -errno;
	if ((flags & O_ACCMODE) == O_RDONLY || flags & O_PATH)
		return -EBADF;
	return stream_open(stream, number, O_WRONLY);
}

/* A disk named by mistake would be overwritten. */
static int check_kind(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISBLK(st.st_mode) ? -ESPIPE : 0;
}

int report_create(struct report *report, const char *name)
{
	struct stream *stream = &report->stream;
	int err;

	*report = (struct report){
		.sink = { .offer = report_offer, .keep = report_keep },
		.name = name,
		.stream.fd = -1,
		.source = { .fd = -1, .ready = report_ready },
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	if (!name)
		return 0;
	if (strncmp(name, DESCRIPTOR_PREFIX, strlen(DESCRIPTOR_PREFIX)) == 0)
		err = open_descriptor(stream, descriptor_number(name));
	else
		err = stream->fd = open_name(name);
	if (err >= 0)
		err = check_kind(stream->fd);
	report->source.fd = stream->fd;
	if (err < 0) {
		log_error("report %s: %s", name, log_reason(-err));
		report_destroy(report);
	}
	return err;
}

void report_destroy(struct report *report)
{
	if (report->stream.fd >= 0)
		stream_close(&report->stream);
	report->stream.fd = report->source.fd = -1;
	forget_kept(report);
}

int report_start(struct report *report, struct event_loop *loop)
{
	int err;

	if (report->stream.fd < 0)
		return 0;
	report->loop = loop;
	err = event_notifier_create(&report->flush, loop, flush_notified);
	if (err < 0)
		return err;
	err = event_add(loop, &report->source, EPOLLOUT | EPOLLET);
	report->pollable = err == 0;
	if (err == 0 || err == -EPERM)
		return 0;
	log_error("report %s: %s", report->name, log_reason(-err));
	event_notifier_destroy(&report->flush);
	return err;
}

void report_stop(struct report *report)
{
	if (report->stream.fd < 0)
		return;
	if (report->pollable)
		event_remove(report->loop, &report->source);
	event_notifier_destroy(&report->flush);
}
