/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Frames over a stream socket, as passt and QEMU's "stream" have them: each after its length, 32
 * bits in big-endian order, and without a virtio header. Nothing here waits, and all of it is one
 * thread's.
 */
#ifndef PASST_STREAM_H
#define PASST_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "util.h"

#define PASST_STREAM_LENGTH 4 /* bytes that a frame's length takes */
/* Of a frame, as passt takes them. */
#define PASST_STREAM_MIN 14
#define PASST_STREAM_MAX 65535

struct passt_stream {
	int fd; /* the owner's; -1: there is no connection */
	bool dry; /* the socket had no more; the owner takes it back when it has */
	/* What was read and not delivered, and the rest of a frame that was begun to be written. */
	size_t in_start, in_count, out_start, out_count;
	uint8_t in[KIB(128)];
	uint8_t out[PASST_STREAM_LENGTH + PASST_STREAM_MAX];
};

/* A new connection, with nothing of another's. */
void passt_stream_begin(struct passt_stream *stream, int fd);

/*
 * Segments have a virtio header in front, which is left off here and all zeroes there. Both: 0
 * where the frame is gone, or there is none; -EMSGSIZE: it was dropped for its length, or did not
 * fit; -EPROTO: the other side's length cannot be; any other error, -ECONNRESET for an orderly end
 * included: the connection is over.
 *
 * passt_stream_send() is -EAGAIN where nothing went. passt_stream_receive() returns the frame's
 * length with the header.
 */
int passt_stream_send(struct passt_stream *stream, const struct iovec *segments,
		      unsigned int count);
int64_t passt_stream_receive(struct passt_stream *stream, const struct iovec *segments,
			     unsigned int count);

/* Writes what is left of a frame: 0 when all is gone, -EAGAIN, or as above. */
int passt_stream_flush(struct passt_stream *stream);

/* Whether receive() has something to say without reading from the socket. */
bool passt_stream_has_frame(const struct passt_stream *stream);

#endif
