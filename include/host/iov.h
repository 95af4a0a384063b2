/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lists of segments (struct iovec). Lengths may be a guest's, 0 and sums that no size_t holds
 * included; each segment by itself lies in memory that may be touched. What lies there may be
 * changed by a guest at any moment. Any thread.
 */
#ifndef NIDUS_IOV_H
#define NIDUS_IOV_H

#include <stddef.h>
#include <sys/uio.h>

/* How many bytes there are in all, SIZE_MAX at most. */
size_t iov_length(const struct iovec *segments, unsigned int count);

/*
 * Fills slice with what is left of a list behind its first skip bytes, up to max bytes and up to
 * room segments, without empty ones. Returns how many segments that are. slice is not in the list.
 */
unsigned int iov_slice(struct iovec *slice, unsigned int room, const struct iovec *segments,
		       unsigned int count, size_t skip, size_t max);

/*
 * Takes bytes off the front: *segments and *count become those that are left, the first of them
 * changed in place, and none where there were no more than these bytes.
 */
void iov_advance(struct iovec **segments, unsigned int *count, size_t bytes);

/*
 * Copies between a list, from skip bytes into it on, and a flat buffer of size bytes. Returns how
 * many bytes there were to copy, size at most. What was copied is not read a second time.
 */
size_t iov_read(const struct iovec *segments, unsigned int count, size_t skip, void *buffer,
		size_t size);
size_t iov_write(const struct iovec *segments, unsigned int count, size_t skip, const void *buffer,
		 size_t size);

#endif
