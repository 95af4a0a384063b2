// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "host/iov.h"
#include "link.h"
#include "passt_stream.h"

void passt_stream_begin(struct passt_stream *stream, int fd)
{
	stream->fd = fd;
	stream->dry = false;
	stream->in_start = stream->in_count = 0;
	stream->out_start = stream->out_count = 0;
}

/* One write. How many bytes went, or -errno. */
/* #syscalls worker: sendmsg recvmsg */
static ssize_t write_some(struct passt_stream *stream, struct iovec *segments, unsigned int count)
{
	const struct msghdr message = { .msg_iov = segments, .msg_iovlen = count };
	ssize_t done;

	do
		done = sendmsg(stream->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (done < 0 && errno == EINTR);
	return done < 0 ? -errno : done;
}

int passt_stream_flush(struct passt_stream *stream)
{
	while (stream->out_count > 0) {
		struct iovec rest = { stream->out + stream->out_start, stream->out_count };
		const ssize_t done = write_some(stream, &rest, 1);

		if (done < 0)
			return done;
		stream->out_start += done;
		stream->out_count -= done;
	}
	return 0;
}

/* Of a frame, so many bytes have gone. The driver may do with its memory what it likes from now on.
 */
static void keep_rest(struct passt_stream *stream, const uint8_t *length,
		      const struct iovec *segments, unsigned int count, size_t done)
{
	size_t of_length = 0;

	if (done < PASST_STREAM_LENGTH) {
		of_length = PASST_STREAM_LENGTH - done;
		memcpy(stream->out, length + done, of_length);
		done = PASST_STREAM_LENGTH;
	}
	stream->out_start = 0;
	stream->out_count =
		of_length + iov_read(segments, count, LINK_HEADER + done - PASST_STREAM_LENGTH,
				     stream->out + of_length, PASST_STREAM_MAX);
}

int passt_stream_send(struct passt_stream *stream, const struct iovec *segments, unsigned int count)
{
	struct iovec all[LINK_SEGMENTS_MAX + 1];
	const size_t size = iov_length(segments, count);
	uint8_t length[PASST_STREAM_LENGTH];
	const uint32_t big_endian = htobe32(size - LINK_HEADER);
	unsigned int used;
	ssize_t done;
	int err;

	if (size < LINK_HEADER + PASST_STREAM_MIN || size > LINK_HEADER + PASST_STREAM_MAX)
		return -EMSGSIZE;
	err = passt_stream_flush(stream);
	if (err < 0)
		return err;
	memcpy(length, &big_endian, sizeof(length));
	all[0] = (struct iovec){ length, sizeof(length) };
	used = 1 + iov_slice(all + 1, LINK_SEGMENTS_MAX, segments, count, LINK_HEADER, size);
	done = write_some(stream, all, used);
	if (done < 0)
		return done;
	if ((size_t)done < PASST_STREAM_LENGTH + size - LINK_HEADER)
		keep_rest(stream, length, segments, count, done);
	return 0;
}

/* The length of the next frame, once that and all of it are there. -EAGAIN: they are not. */
static int64_t next_length(const struct passt_stream *stream)
{
	uint32_t length;

	if (stream->in_count < PASST_STREAM_LENGTH)
		return -EAGAIN;
	memcpy(&length, stream->in + stream->in_start, sizeof(length));
	length = be32toh(length);
	if (length < PASST_STREAM_MIN || length > PASST_STREAM_MAX)
		return -EPROTO;
	return stream->in_count - PASST_STREAM_LENGTH < length ? -EAGAIN : (int64_t)length;
}

bool passt_stream_has_frame(const struct passt_stream *stream)
{
	return next_length(stream) != -EAGAIN;
}

/* Reads what there is room for. 0: more is there. */
static int read_more(struct passt_stream *stream)
{
	size_t room;
	struct iovec part;
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
	ssize_t got;

	if (stream->dry)
		return -EAGAIN;
	/* What is there is less than a frame, or nothing. */
	memmove(stream->in, stream->in + stream->in_start, stream->in_count);
	stream->in_start = 0;
	room = sizeof(stream->in) - stream->in_count;
	part = (struct iovec){ stream->in + stream->in_count, room };
	do
		got = recvmsg(stream->fd, &message, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got < 0 ? -errno : -ECONNRESET;
	stream->in_count += got;
	/* Less than was asked for is all: the next frame is told by the loop, for one call less. */
	stream->dry = (size_t)got < room;
	return 0;
}

static void deliver(struct passt_stream *stream, const struct iovec *segments, unsigned int count,
		    size_t length)
{
	static const uint8_t header[LINK_HEADER];

	iov_write(segments, count, 0, header, sizeof(header));
	iov_write(segments, count, LINK_HEADER, stream->in + stream->in_start + PASST_STREAM_LENGTH,
		  length);
}

int64_t passt_stream_receive(struct passt_stream *stream, const struct iovec *segments,
			     unsigned int count)
{
	int64_t length = next_length(stream);
	bool fits;

	while (length == -EAGAIN) {
		const int err = read_more(stream);

		if (err < 0)
			return err == -EAGAIN ? 0 : err;
		length = next_length(stream);
	}
	if (length < 0)
		return length;
	fits = iov_length(segments, count) >= LINK_HEADER + (size_t)length;
	if (fits)
		deliver(stream, segments, count, length);
	stream->in_start += PASST_STREAM_LENGTH + length;
	stream->in_count -= PASST_STREAM_LENGTH + length;
	return fits ? LINK_HEADER + length : -EMSGSIZE;
}
