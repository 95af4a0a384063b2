// SPDX-License-Identifier: GPL-2.0-only
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "host/iov.h"

size_t iov_length(const struct iovec *segments, unsigned int count)
{
	size_t length = 0;

	for (unsigned int i = 0; i < count; i++)
		if (__builtin_add_overflow(length, segments[i].iov_len, &length))
			return SIZE_MAX;
	return length;
}

/*
 * What is left of a segment behind the first *skip bytes of the rest of its list, max bytes at
 * most; *skip becomes what the next segment has to leave out.
 */
static struct iovec stretch(const struct iovec *segment, size_t *skip, size_t max)
{
	const size_t skipped = *skip < segment->iov_len ? *skip : segment->iov_len;
	const size_t length = segment->iov_len - skipped;

	*skip -= skipped;
	/* Nobody has to be able to point behind it: that may be where addresses end. */
	if (length == 0)
		return (struct iovec){ 0 };
	return (struct iovec){ (char *)segment->iov_base + skipped, length < max ? length : max };
}

unsigned int iov_slice(struct iovec *slice, unsigned int room, const struct iovec *segments,
		       unsigned int count, size_t skip, size_t max)
{
	size_t used = 0;

	for (size_t i = 0; i < count && used < room && max > 0; i++) {
		const struct iovec piece = stretch(&segments[i], &skip, max);

		if (piece.iov_len > 0)
			slice[used++] = piece;
		max -= piece.iov_len;
	}
	return used;
}

void iov_advance(struct iovec **segments, unsigned int *count, size_t bytes)
{
	while (*count > 0 && bytes >= (*segments)->iov_len) {
		bytes -= (*segments)->iov_len;
		++*segments;
		--*count;
	}
	if (*count > 0) {
		(*segments)->iov_base = (char *)(*segments)->iov_base + bytes;
		(*segments)->iov_len -= bytes;
	}
}

size_t iov_read(const struct iovec *segments, unsigned int count, size_t skip, void *buffer,
		size_t size)
{
	size_t done = 0;

	for (size_t i = 0; i < count && done < size; i++) {
		const struct iovec piece = stretch(&segments[i], &skip, size - done);

		if (piece.iov_len > 0)
			memcpy((char *)buffer + done, piece.iov_base, piece.iov_len);
		done += piece.iov_len;
	}
	/* A compiler could take what is in the buffer from where it came, which has changed. */
	atomic_signal_fence(memory_order_seq_cst);
	return done;
}

size_t iov_write(const struct iovec *segments, unsigned int count, size_t skip, const void *buffer,
		 size_t size)
{
	size_t done = 0;

	for (size_t i = 0; i < count && done < size; i++) {
		const struct iovec piece = stretch(&segments[i], &skip, size - done);

		if (piece.iov_len > 0)
			memcpy(piece.iov_base, (const char *)buffer + done, piece.iov_len);
		done += piece.iov_len;
	}
	return done;
}
