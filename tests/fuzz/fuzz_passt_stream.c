// SPDX-License-Identifier: GPL-2.0-only
/*
 * Frames over a stream: any bytes from the other side, in any pieces, and any frames to it, of
 * which it takes any pieces. What must hold: what was announced with a length that may be arrives
 * whole and in order, or is dropped where it has no room; a length that may not be ends it; what
 * was taken to be sent leaves whole, in order and with its length.
 */
#include <errno.h>
#include <sys/socket.h>

#include "devices/backends/passt_stream.h"
#include "fuzz.h"
#include "link.h"

#define HISTORY MIB(1)

static struct input input;
static struct passt_stream stream;
static uint8_t coming[HISTORY], sent[HISTORY], expected[HISTORY];
static size_t coming_count, read_count, parsed_count; /* by the other side, by the stream, by us */
static size_t sent_count, expected_count;
static bool closed;

/* In place of the C library's. */

ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	const struct iovec *room = message->msg_iov;
	const size_t left = coming_count - read_count;
	size_t piece = take(&input, 2);

	MUST(fd == stream.fd && flags & MSG_DONTWAIT);
	MUST(message->msg_iovlen == 1 && room->iov_len > 0);
	if (piece == 0 || left == 0) {
		errno = EAGAIN;
		return closed && left == 0 ? 0 : -1;
	}
	piece = piece > left ? left : piece;
	piece = piece > room->iov_len ? room->iov_len : piece;
	memcpy(room->iov_base, coming + read_count, piece);
	read_count += piece;
	return piece;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	size_t piece = take(&input, 2) >> take(&input, 1) % 16, done = 0;

	MUST(fd == stream.fd && flags & MSG_DONTWAIT && flags & MSG_NOSIGNAL);
	if (piece == 0) {
		errno = EAGAIN;
		return -1;
	}
	for (size_t i = 0; i < message->msg_iovlen; i++) {
		const struct iovec *segment = &message->msg_iov[i];
		const size_t part =
			segment->iov_len < piece - done ? segment->iov_len : piece - done;

		MUST(segment->iov_len > 0 && sent_count + part <= HISTORY);
		memcpy(sent + sent_count, segment->iov_base, part);
		sent_count += part;
		done += part;
	}
	return done;
}

/* What may happen. */

static void add(const void *bytes, size_t count)
{
	if (count > HISTORY - coming_count)
		return;
	memcpy(coming + coming_count, bytes, count);
	coming_count += count;
}

static void come_bytes(void)
{
	const size_t count = take(&input, 1);

	for (size_t i = 0; i < count && input.size > 0; i++) {
		const uint8_t byte = take(&input, 1);

		add(&byte, 1);
	}
}

static void come_frame(void)
{
	static uint8_t frame[PASST_STREAM_LENGTH + PASST_STREAM_MAX + 1];
	const uint32_t length = take(&input, 2) + 1, big_endian = htobe32(length);

	memcpy(frame, &big_endian, sizeof(big_endian));
	memset(frame + sizeof(big_endian), take(&input, 1), length);
	add(frame, sizeof(big_endian) + length);
}

static uint32_t length_at(size_t where)
{
	return (uint32_t)coming[where] << 24 | coming[where + 1] << 16 | coming[where + 2] << 8 |
	       coming[where + 3];
}

/* False: the connection is over, as it ought to be. */
static bool receive(void)
{
	static uint8_t buffer[LINK_HEADER + PASST_STREAM_MAX];
	const size_t room = take(&input, 2) + take(&input, 1) % 64,
		     cut = take(&input, 1) % (room + 1);
	const struct iovec segments[] = { { buffer, cut }, { buffer + cut, room - cut } };
	int64_t got;
	uint32_t length;

	if (room > sizeof(buffer))
		return true;
	memset(buffer, 0xee, LINK_HEADER);
	stream.dry = false;
	got = passt_stream_receive(&stream, segments, 2);
	if (got == 0)
		return true;
	if (got == -ECONNRESET) {
		MUST(closed && read_count == coming_count);
		return false;
	}
	MUST(read_count - parsed_count >= PASST_STREAM_LENGTH);
	length = length_at(parsed_count);
	if (got == -EPROTO) {
		MUST(length < PASST_STREAM_MIN || length > PASST_STREAM_MAX);
		return false;
	}
	MUST(length >= PASST_STREAM_MIN && length <= PASST_STREAM_MAX);
	MUST(got == (room < LINK_HEADER + length ? -EMSGSIZE : (int64_t)LINK_HEADER + length));
	if (got > 0) {
		for (unsigned int i = 0; i < LINK_HEADER; i++)
			MUST(buffer[i] == 0);
		MUST(memcmp(buffer + LINK_HEADER, coming + parsed_count + PASST_STREAM_LENGTH,
			    length) == 0);
	}
	parsed_count += PASST_STREAM_LENGTH + length;
	return true;
}

/* What is to leave, told once more. */
static void expect(const uint8_t *frame, uint32_t length)
{
	const uint8_t prefix[] = { length >> 24, length >> 16, length >> 8, length };

	memcpy(expected + expected_count, prefix, sizeof(prefix));
	memcpy(expected + expected_count + sizeof(prefix), frame, length);
	expected_count += sizeof(prefix) + length;
}

static void send_frame(void)
{
	static uint8_t frame[LINK_HEADER + PASST_STREAM_MAX + 64];
	const size_t length = take(&input, 2) + take(&input, 1) % 64;
	struct iovec segments[8];
	unsigned int count = 0;
	size_t used = 0;
	int err;

	if (length > sizeof(frame) ||
	    HISTORY - expected_count < sizeof(frame) + PASST_STREAM_LENGTH)
		return;
	memset(frame, take(&input, 1), length);
	while (count < 7) {
		const size_t part = take(&input, 1) % (length - used + 1);

		segments[count++] = (struct iovec){ frame + used, part };
		used += part;
	}
	segments[count++] = (struct iovec){ frame + used, length - used };
	err = passt_stream_send(&stream, segments, count);
	MUST((err == -EMSGSIZE) ==
	     (length < LINK_HEADER + PASST_STREAM_MIN || length > LINK_HEADER + PASST_STREAM_MAX));
	MUST(err == 0 || err == -EMSGSIZE || err == -EAGAIN);
	if (err == 0)
		expect(frame + LINK_HEADER, length - LINK_HEADER);
	/* Its memory is the driver's again. */
	memset(frame, 0x55, length);
}

static bool something(unsigned int what)
{
	int err;

	switch (what % 8) {
	case 0:
		if (!closed)
			come_bytes();
		return true;
	case 1:
		if (!closed)
			come_frame();
		return true;
	case 2:
		closed = closed || what > 200;
		return true;
	case 3:
		err = passt_stream_flush(&stream);
		MUST(err == -EAGAIN || (err == 0 && sent_count == expected_count));
		return true;
	case 4:
	case 5:
		send_frame();
		return true;
	default:
		return receive();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = (struct input){ data, size };
	coming_count = read_count = parsed_count = sent_count = expected_count = 0;
	closed = false;
	passt_stream_begin(&stream, 5);
	while (input.size > 0 && something(take(&input, 1))) {
		MUST(sent_count <= expected_count && memcmp(sent, expected, sent_count) == 0);
		MUST(stream.out_count == expected_count - sent_count);
	}
	return 0;
}
