// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "boot/unpack.h"
#include "host/file.h"
#include "util.h"

/* The header of an EFI zboot image: Linux, drivers/firmware/efi/libstub/zboot-header.S. */
#define ZBOOT_OFFSET	 8
#define ZBOOT_SIZE	 12
#define ZBOOT_TYPE	 24
#define ZBOOT_HEAD_SIZE	 56
#define ZBOOT_ZSTD_LEVEL "zstd22" /* "zstd", as the kernel's makefiles call it */

/* A skippable frame begins with its magic number and the bytes that follow, 32 bits each. */
#define SKIPPABLE_HEAD_SIZE 8

/* The most compressed data that is read at a time. */
#define INPUT_SIZE KIB(64)

/* The bytes that are looked at, if there are as many, to tell which format begins. */
#define INPUT_MIN 16

struct unpack {
	struct packed packed;
	int fd;
	uint64_t position, left; /* of the file: where to go on reading, and how much there is */

	uint8_t input[INPUT_SIZE];
	size_t begin, count; /* what is in input and not used up */
	bool inside; /* of a member (of gzip) or frame (of zstd) */
	bool some; /* at least one of them is complete */
	bool ended;

	z_stream zlib;
	ZSTD_DCtx *zstd;
};

/* Recognition. */

static bool begins(const uint8_t *bytes, size_t size, const char *magic, size_t length)
{
	return size >= length && memcmp(bytes, magic, length) == 0;
}

/*
 * A frame of zstd's that holds nothing to be unpacked, before, between or after others (RFC 8878,
 * 3.1.2). pzstd writes them.
 */
static bool is_skippable(const uint8_t *bytes, size_t size)
{
	return size >= 4 && (read_le32(bytes) & 0xfffffff0) == 0x184d2a50;
}

/* The format whose member or frame begins here. gzip has one method only. */
static enum packed_format recognize(const uint8_t *bytes, size_t size)
{
	if (begins(bytes, size, "\x1f\x8b\x08", 3))
		return PACKED_GZIP;
	if (begins(bytes, size, "\x28\xb5\x2f\xfd", 4) || is_skippable(bytes, size))
		return PACKED_ZSTD;
	return PACKED_NOT;
}

static const char *parse_zboot(const uint8_t *head, size_t head_size, uint64_t file_size,
			       struct packed *packed)
{
	const char *type = (const char *)head + ZBOOT_TYPE;

	if (head_size < ZBOOT_HEAD_SIZE)
		return "is truncated: the header of an EFI zboot image ends early";
	packed->offset = read_le32(head + ZBOOT_OFFSET);
	packed->size = read_le32(head + ZBOOT_SIZE);
	if (packed->offset + packed->size > file_size)
		return "is truncated: its zboot payload ends beyond the end of the file";

	/* All sizes include the NUL. */
	if (memcmp(type, "gzip", sizeof("gzip")) == 0)
		packed->format = PACKED_GZIP;
	else if (memcmp(type, "zstd", sizeof("zstd")) == 0 ||
		 memcmp(type, ZBOOT_ZSTD_LEVEL, sizeof(ZBOOT_ZSTD_LEVEL)) == 0)
		packed->format = PACKED_ZSTD;
	else
		return "is an EFI zboot image with a payload of neither gzip nor zstd; "
		       "unpack it first";
	return NULL;
}

const char *unpack_parse(const uint8_t *head, size_t head_size, uint64_t file_size,
			 struct packed *packed)
{
	*packed = (struct packed){ .format = recognize(head, head_size), .size = file_size };
	if (begins(head, head_size, "MZ\0\0zimg", 8))
		return parse_zboot(head, head_size, file_size, packed);
	return NULL;
}

const char *unpack_format(const struct packed *packed)
{
	static const char *const name[] = {
		[PACKED_NOT] = "is not compressed",
		[PACKED_GZIP] = "is gzip-compressed",
		[PACKED_ZSTD] = "is zstd-compressed",
	};

	return name[packed->format];
}

const char *unpack_complaint(int err)
{
	switch (err) {
	case -ENODATA:
		return "is truncated: its compressed data end early";
	case -EBADMSG:
		return "is corrupt: its compressed data cannot be unpacked";
	case -E2BIG:
		return "wants a window of more than 128 MiB to be unpacked";
	default:
		return strerror(-err);
	}
}

/* The stream. */

struct unpack *unpack_open(const struct packed *packed, int fd)
{
	struct unpack *unpack = calloc(1, sizeof(*unpack));
	bool ready;

	if (!unpack)
		return NULL;
	unpack->packed = *packed;
	unpack->fd = fd;
	unpack->position = packed->offset;
	unpack->left = packed->size;
	if (packed->format == PACKED_GZIP) {
		/* 15 bits of window, 16 for gzip's header and trailer, which is checked. */
		ready = inflateInit2(&unpack->zlib, 15 + 16) == Z_OK;
	} else {
		unpack->zstd = ZSTD_createDCtx();
		ready = unpack->zstd != NULL;
	}
	if (ready)
		return unpack;
	free(unpack);
	return NULL;
}

void unpack_close(struct unpack *unpack)
{
	if (unpack->packed.format == PACKED_GZIP)
		inflateEnd(&unpack->zlib);
	else
		ZSTD_freeDCtx(unpack->zstd);
	free(unpack);
}

/* Reads on until there is at least INPUT_MIN to look at, or all that there is. */
static int input_fill(struct unpack *unpack)
{
	if (unpack->count >= INPUT_MIN)
		return 0;
	memmove(unpack->input, unpack->input + unpack->begin, unpack->count);
	unpack->begin = 0;
	while (unpack->count < INPUT_MIN && unpack->left > 0) {
		size_t room = INPUT_SIZE - unpack->count;
		ssize_t got =
			file_pread(unpack->fd, unpack->input + unpack->count,
				   room < unpack->left ? room : unpack->left, unpack->position);

		if (got < 0 && errno != EINTR)
			return -errno;
		if (got == 0)
			unpack->left = 0;
		if (got > 0) {
			unpack->count += got;
			unpack->position += got;
			unpack->left -= got;
		}
	}
	return 0;
}

static void input_use(struct unpack *unpack, size_t count)
{
	unpack->begin += count;
	unpack->count -= count;
}

/* Each returns how many bytes it has made, at most size, or -errno. */

static int64_t step_gzip(struct unpack *unpack, void *buffer, uint64_t size)
{
	z_stream *zlib = &unpack->zlib;
	const uInt room = size < GIB(1) ? size : GIB(1);
	int result;

	zlib->next_in = unpack->input + unpack->begin;
	zlib->avail_in = unpack->count;
	zlib->next_out = buffer;
	zlib->avail_out = room;
	result = inflate(zlib, Z_NO_FLUSH);
	input_use(unpack, unpack->count - zlib->avail_in);
	switch (result) {
	case Z_STREAM_END:
		unpack->inside = false;
		inflateReset(zlib);
		break;
	case Z_OK:
	case Z_BUF_ERROR: /* nothing to do without more input */
		break;
	case Z_MEM_ERROR:
		return -ENOMEM;
	default:
		return -EBADMSG;
	}
	return room - zlib->avail_out;
}

static int64_t step_zstd(struct unpack *unpack, void *buffer, uint64_t size)
{
	ZSTD_inBuffer in = { unpack->input + unpack->begin, unpack->count, 0 };
	ZSTD_outBuffer out = { buffer, size, 0 };
	size_t result = ZSTD_decompressStream(unpack->zstd, &out, &in);

	input_use(unpack, in.pos);
	switch (ZSTD_getErrorCode(result)) {
	case ZSTD_error_no_error:
		break;
	case ZSTD_error_memory_allocation:
		return -ENOMEM;
	case ZSTD_error_frameParameter_windowTooLarge:
		return -E2BIG;
	default:
		return -EBADMSG;
	}
	unpack->inside = result != 0;
	return out.pos;
}

/* Skips a skippable frame without reading it. */
static int skip_frame(struct unpack *unpack)
{
	uint64_t length = SKIPPABLE_HEAD_SIZE, beyond;

	if (unpack->count < SKIPPABLE_HEAD_SIZE)
		return -ENODATA;
	length += read_le32(unpack->input + unpack->begin + 4);
	if (length > unpack->count + unpack->left)
		return -ENODATA;
	beyond = length > unpack->count ? length - unpack->count : 0;
	input_use(unpack, length - beyond);
	unpack->position += beyond;
	unpack->left -= beyond;
	return 0;
}

/* Room for a byte at least. Makes progress, ends, or fails. */
static int64_t step(struct unpack *unpack, void *buffer, uint64_t size)
{
	const bool is_gzip = unpack->packed.format == PACKED_GZIP;
	const uint8_t *input = unpack->input + unpack->begin;
	const size_t before = unpack->count;
	int64_t got;

	if (!unpack->inside && !is_gzip && is_skippable(input, unpack->count))
		return skip_frame(unpack);
	if (unpack->some && !unpack->inside &&
	    recognize(input, unpack->count) != unpack->packed.format) {
		unpack->ended = true;
		return 0;
	}
	unpack->inside = true;
	got = is_gzip ? step_gzip(unpack, buffer, size) : step_zstd(unpack, buffer, size);
	if (!unpack->inside)
		unpack->some = true;
	else if (got == 0 && unpack->count == before)
		return -ENODATA;
	return got;
}

int64_t unpack_read(struct unpack *unpack, void *buffer, uint64_t size)
{
	uint64_t done = 0;

	while (done < size && !unpack->ended) {
		int err = input_fill(unpack);
		int64_t got = err < 0 ? err : step(unpack, (uint8_t *)buffer + done, size - done);

		if (got < 0)
			return got;
		done += got;
	}
	return done;
}
