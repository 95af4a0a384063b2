/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Compressed kernels: which file is one, and its contents as a stream. Understood are files of gzip
 * and zstd (Image.gz, Image.zst), and EFI zboot images (vmlinuz.efi) with either inside.
 *
 * Files are hostile. A stream never writes more than it is asked for, and takes no more memory than
 * its format's window (32 KiB, 128 MiB).
 */
#ifndef NIDUS_UNPACK_H
#define NIDUS_UNPACK_H

#include <stddef.h>
#include <stdint.h>

enum packed_format { PACKED_NOT, PACKED_GZIP, PACKED_ZSTD };

/* What of a file is compressed: all of it, or a zboot image's payload. */
struct packed {
	enum packed_format format;
	uint64_t offset, size; /* bytes of the file */
};

/*
 * Tells from the first head_size bytes of a file of file_size bytes whether and how it is
 * compressed. NULL, or one clause that says what is wrong with it. Pure.
 */
const char *unpack_parse(const uint8_t *head, size_t head_size, uint64_t file_size,
			 struct packed *packed);

/* "is gzip-compressed", say, for messages. */
const char *unpack_format(const struct packed *packed);

struct unpack;

/* A stream from the beginning of what is packed; fd stays the caller's. NULL: no memory. */
struct unpack *unpack_open(const struct packed *packed, int fd);
void unpack_close(struct unpack *unpack);

/*
 * The next size bytes; fewer only at the end, which is known to be sound only when less than was
 * asked for has come. What follows the compressed data in the file (a device tree, say) is left
 * alone. -ENODATA where they end early, -EBADMSG where they are corrupt, -E2BIG where their window
 * is too large, -ENOMEM, or those of pread(2); nothing is said.
 */
int64_t unpack_read(struct unpack *unpack, void *buffer, uint64_t size);

/* One clause that says which of these it was. */
const char *unpack_complaint(int err);

#endif
