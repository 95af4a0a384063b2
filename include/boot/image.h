/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a kernel file is, told from its first bytes. Pure: no files, no guest memory.
 */
#ifndef NIDUS_IMAGE_H
#define NIDUS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As much of a file as image_parse() wants to see. */
#define IMAGE_HEAD_SIZE 4096

enum image_kind {
	IMAGE_LINUX, /* an arm64 Image (Linux, Documentation/arch/arm64/booting.rst) */
	IMAGE_FLAT, /* no header: a bare-metal binary */
};

struct image {
	enum image_kind kind;
	/* From a 2 MiB boundary to the first byte, in bytes; may be more than 2 MiB. */
	uint64_t text_offset;
	uint64_t extent; /* bytes from there that must be RAM: code, data and BSS */
	bool extent_known; /* false: extent is the file's size, and BSS may follow */
	uint64_t sections; /* bytes that the file has at least, as its EFI stub says; or 0 */
	bool big_endian;
	uint32_t page_size; /* bytes of the kernel's granule, 0 where it does not say */
};

/*
 * Parses the first head_size bytes of a file of file_size bytes (head_size is the smaller of
 * file_size and IMAGE_HEAD_SIZE). NULL, or one clause that says what is wrong with the file. Where
 * it is for the header to say, both text_offset and extent are below 2^56; whether there is room is
 * for others. What is taken for a flat binary may still be known by magic numbers that are further
 * inside (foreign.h).
 */
const char *image_parse(const uint8_t *head, size_t head_size, uint64_t file_size,
			struct image *image);

/* A flat binary, whatever is in it; its extent is for who knows the file's size. */
void image_flat(struct image *image);

/*
 * The same for the contents of a compressed file, whose size is not known yet. They have to be an
 * Image with an image_size, which says where it can go and bounds what is unpacked. Flat binaries
 * say neither, so they are refused: lkvm takes none that is compressed, and QEMU, which does,
 * unpacks them into a buffer of its own first.
 */
const char *image_parse_packed(const uint8_t *head, size_t head_size, struct image *image);

#endif
