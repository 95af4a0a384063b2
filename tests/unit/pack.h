/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Files as gzip, zstd and Linux's makefiles make them.
 */
#ifndef PACK_H
#define PACK_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

struct bytes {
	uint8_t *data; /* to be freed */
	size_t size;
};

static inline struct bytes pack_gzip(const void *data, size_t size)
{
	struct bytes packed = { malloc(size + 1024), size + 1024 };
	z_stream zlib = {
		.next_in = (Bytef *)data,
		.avail_in = size,
		.next_out = packed.data,
		.avail_out = packed.size,
	};

	assert_int_equal(deflateInit2(&zlib, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&zlib, Z_FINISH), Z_STREAM_END);
	packed.size -= zlib.avail_out;
	deflateEnd(&zlib);
	return packed;
}

/* With a checksum, as the command does it. */
static inline struct bytes pack_zstd(const void *data, size_t size)
{
	struct bytes packed = { malloc(ZSTD_compressBound(size)), ZSTD_compressBound(size) };
	ZSTD_CCtx *zstd = ZSTD_createCCtx();

	ZSTD_CCtx_setParameter(zstd, ZSTD_c_checksumFlag, 1);
	packed.size = ZSTD_compress2(zstd, packed.data, packed.size, data, size);
	assert_false(ZSTD_isError(packed.size));
	ZSTD_freeCCtx(zstd);
	return packed;
}

/* An EFI zboot image: a header, a gap, the payload, and size bytes of trailer. Frees payload. */
static inline struct bytes pack_zboot(struct bytes payload, const char *type, size_t trailer)
{
	const uint32_t offset = 128, size = payload.size;
	struct bytes packed = { calloc(1, offset + payload.size + trailer),
				offset + payload.size + trailer };

	memcpy(packed.data, "MZ\0\0zimg", 8);
	memcpy(packed.data + 8, &offset, 4);
	memcpy(packed.data + 12, &size, 4);
	memcpy(packed.data + 24, type, strlen(type) + 1);
	memcpy(packed.data + 56, "\xcd\x23\x82\x81", 4);
	memcpy(packed.data + offset, payload.data, payload.size);
	memset(packed.data + offset + payload.size, 0xa5, trailer);
	free(payload.data);
	return packed;
}

#endif
