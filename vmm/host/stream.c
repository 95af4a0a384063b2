// SPDX-License-Identifier: GPL-2.0-only
/*
 * Theory of operation. A pipe or a terminal can be opened once more by its name in /proc, for a
 * file description of our own, which may be non-blocking. What cannot be opened twice (a port of
 * virtio's) or not by us (the pipe or terminal of the user who called su(1)) is duplicated, and
 * each call says that it does not wait.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/stream.h"

static bool same_terminal(int a, int b)
{
	unsigned int number_a, number_b;

	return ioctl(a, TIOCGDEV, &number_a) == 0 && ioctl(b, TIOCGDEV, &number_b) == 0 &&
	       number_a == number_b;
}

/* Non-blocking, for us alone; or -1. */
static int open_again(int fd, int access)
{
	const int how = access | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, how);
	if (again >= 0 || !isatty(fd))
		return again;
	/* By this name the terminal that controls us may be opened, whosever its file is. */
	again = open("/dev/tty", how);
	if (again >= 0 && !same_terminal(again, fd)) {
		close(again);
		again = -1;
	}
	return again;
}

int stream_open(struct stream *stream, int fd, int access)
{
	const int flags = fcntl(fd, F_GETFL);
	struct stat st;
	bool waits, allowed;

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	waits = !(flags & O_NONBLOCK) && (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode));
	allowed = (flags & O_ACCMODE) == access || (flags & O_ACCMODE) == O_RDWR;
	stream->kind = STREAM_OWN;
	stream->fd = waits && allowed ? open_again(fd, access) : -1;
	if (stream->fd >= 0)
		return 0;
	if (waits)
		stream->kind = STREAM_SHARED;
	else if (S_ISSOCK(st.st_mode))
		stream->kind = STREAM_SOCKET;
	stream->fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	return stream->fd < 0 ? -errno : 0;
}

void stream_close(struct stream *stream)
{
	close(stream->fd);
}

/* Sets errno to EAGAIN where a call would wait. */
static bool is_ready(int fd, short events)
{
	struct pollfd ready = { .fd = fd, .events = events };

	if (poll(&ready, 1, 0) > 0)
		return true;
	errno = EAGAIN;
	return false;
}

static ssize_t read_shared(int fd, const struct iovec *segment)
{
	ssize_t done = preadv2(fd, segment, 1, -1, RWF_NOWAIT);

	if (done < 0 && errno == EOPNOTSUPP)
		done = is_ready(fd, POLLIN) ? preadv2(fd, segment, 1, -1, 0) : -1;
	return done;
}

static ssize_t write_shared(int fd, const struct iovec *segments, unsigned int count)
{
	ssize_t done = pwritev2(fd, segments, count, -1, RWF_NOWAIT);

	if (done < 0 && errno == EOPNOTSUPP)
		done = is_ready(fd, POLLOUT) ? pwritev2(fd, segments, count, -1, 0) : -1;
	return done;
}

/*
 * A vCPU reads where nobody can wait for it, as from /dev/null.
 * #syscalls loop: preadv2 ppoll recvmsg
 * #syscalls vcpu: read
 */
ssize_t stream_read(const struct stream *stream, void *bytes, size_t size)
{
	struct iovec segment = { bytes, size };
	struct msghdr message = { .msg_iov = &segment, .msg_iovlen = 1 };
	ssize_t done;

	do {
		if (stream->kind == STREAM_SOCKET)
			done = recvmsg(stream->fd, &message, MSG_DONTWAIT);
		else if (stream->kind == STREAM_SHARED)
			done = read_shared(stream->fd, &segment);
		else
			done = read(stream->fd, bytes, size);
	} while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

/* #syscalls loop: pwritev2 sendmsg */
ssize_t stream_write(const struct stream *stream, const struct iovec *segments, unsigned int count)
{
	const struct msghdr message = { .msg_iov = (struct iovec *)segments, .msg_iovlen = count };
	ssize_t done;

	do {
		if (stream->kind == STREAM_SOCKET)
			done = sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
		else if (stream->kind == STREAM_SHARED)
			done = write_shared(stream->fd, segments, count);
		else
			done = pwritev2(stream->fd, segments, count, -1, 0);
	} while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}
