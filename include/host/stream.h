/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A descriptor that nidus was started with, read or written without waiting, and without O_NONBLOCK
 * on it, which others who have it would feel.
 */
#ifndef NIDUS_STREAM_H
#define NIDUS_STREAM_H

#include <sys/types.h>
#include <sys/uio.h>

/* The most that one write to a STREAM_SHARED takes: a pipe that is ready has room for it. */
#define STREAM_SHARED_MAX 4096

struct stream {
	int fd; /* the stream's own */
	enum {
		STREAM_OWN, /* non-blocking by itself, or a file that never waits */
		STREAM_SOCKET, /* each call says that it does not wait */
		/*
		 * The same where the kernel can (pipes since Linux 6.5), else poll(2) is asked
		 * before. Then a call waits if somebody else comes in between.
		 */
		STREAM_SHARED,
	} kind;
};

/* access: O_RDONLY or O_WRONLY. Errors: -errno, not said; there is nothing to close then. */
int stream_open(struct stream *stream, int fd, int access);
void stream_close(struct stream *stream);

/*
 * As read(2) and writev(2), once, and -errno for errors: -EAGAIN when that would have waited. Any
 * thread.
 */
ssize_t stream_read(const struct stream *stream, void *bytes, size_t size);
ssize_t stream_write(const struct stream *stream, const struct iovec *segments, unsigned int count);

#endif
