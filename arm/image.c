// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <string.h>

#include "image.h"
#include "util.h"

/* Where bare-metal suites expect to be loaded, and kernels older than Linux 3.17. */
#define FLAT_TEXT_OFFSET UINT64_C(0x80000)

/* The header of an arm64 Image, all fields little-endian. */
struct arm64_header {
	uint32_t code[2];
	uint64_t text_offset;
	uint64_t image_size;
	uint64_t flags;
	uint64_t reserved[3];
	uint32_t magic;
	uint32_t pe_offset;
};

#define ARM64_MAGIC		    0x644d5241 /* "ARM\x64" */
#define ARM64_FLAG_BE		    (UINT64_C(1) << 0)
#define ARM64_FLAG_PAGE_SIZE(flags) ((flags) >> 1 & 3)

/* What else lies about under the name of a kernel. */
static const struct {
	const char *magic;
	size_t offset, length;
	const char *complaint;
} foreign[] = {
	{ "\x7f"
	  "ELF",
	  0, 4, "is an ELF file; nidus boots arch/arm64/boot/Image" },
	{ "\x1f\x8b", 0, 2, "is gzip-compressed; unpack it first" },
	{ "\x28\xb5\x2f\xfd", 0, 4, "is zstd-compressed; unpack it first" },
	{ "\xfd"
	  "7zXZ",
	  0, 5, "is xz-compressed; unpack it first" },
	{ "\x04\x22\x4d\x18", 0, 4, "is lz4-compressed; unpack it first" },
	{ "\x02\x21\x4c\x18", 0, 4, "is lz4-compressed; unpack it first" },
	{ "MZ\0\0zimg", 0, 8, "is an EFI zboot image; unpack it first" },
	{ "HdrS", 0x202, 4, "is an x86 kernel" },
};

static uint32_t read_le32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return le32toh(value);
}

static uint16_t read_le16(const uint8_t *bytes)
{
	uint16_t value;

	memcpy(&value, bytes, sizeof(value));
	return le16toh(value);
}

/*
 * How long the file must be by its PE section table, which an Image with an EFI stub has; 0 where
 * there is none in sight. The Image header itself does not tell where the file ends.
 */
static uint64_t pe_file_size(const uint8_t *head, size_t head_size, uint32_t pe)
{
	const size_t file_header = 24, section = 40;
	uint64_t table, needed = 0;
	unsigned int count;

	if (memcmp(head, "MZ", 2) != 0 || pe > head_size || head_size - pe < file_header)
		return 0;
	if (memcmp(head + pe, "PE\0\0", 4) != 0)
		return 0;
	count = read_le16(head + pe + 6);
	table = pe + file_header + read_le16(head + pe + 20);
	for (unsigned int i = 0; i < count && table + section <= head_size; i++, table += section) {
		uint64_t end =
			(uint64_t)read_le32(head + table + 16) + read_le32(head + table + 20);

		if (end > needed)
			needed = end;
	}
	return needed;
}

static const char *image_parse_linux(const uint8_t *head, size_t head_size, struct image *image)
{
	static const uint32_t page_size[] = { 0, KIB(4), KIB(16), KIB(64) };
	struct arm64_header header;
	uint64_t flags;

	memcpy(&header, head, sizeof(header));
	flags = le64toh(header.flags);
	*image = (struct image){
		.kind = IMAGE_LINUX,
		.text_offset = le64toh(header.text_offset),
		.extent = le64toh(header.image_size),
		.extent_known = true,
		.big_endian = flags & ARM64_FLAG_BE,
		.page_size = page_size[ARM64_FLAG_PAGE_SIZE(flags)],
		.sections = pe_file_size(head, head_size, le32toh(header.pe_offset)),
	};
	if (image->extent == 0) {
		/* Before Linux 3.17: neither size nor offset can be trusted. */
		image->text_offset = FLAT_TEXT_OFFSET;
		image->extent_known = false;
	}
	if (image->text_offset >= MIB(2) || image->text_offset % KIB(4) != 0)
		return "has an arm64 header with an impossible text_offset";
	if (image->extent > (UINT64_C(1) << 40))
		return "has an arm64 header with an impossible image_size";
	return NULL;
}

/* All of it that does not depend on the size of the file. */
static const char *image_parse_head(const uint8_t *head, size_t head_size, struct image *image)
{
	const size_t magic = offsetof(struct arm64_header, magic);

	if (head_size == 0)
		return "is empty";
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++)
		if (head_size >= foreign[i].offset + foreign[i].length &&
		    memcmp(head + foreign[i].offset, foreign[i].magic, foreign[i].length) == 0)
			return foreign[i].complaint;
	if (head_size >= sizeof(struct arm64_header) && read_le32(head + magic) == ARM64_MAGIC)
		return image_parse_linux(head, head_size, image);

	*image = (struct image){
		.kind = IMAGE_FLAT,
		.text_offset = FLAT_TEXT_OFFSET,
	};
	return NULL;
}

const char *image_parse(const uint8_t *head, size_t head_size, uint64_t file_size,
			struct image *image)
{
	const char *complaint = image_parse_head(head, head_size, image);

	if (complaint)
		return complaint;
	if (image->sections > file_size)
		return "is truncated: its sections end beyond the end of the file";
	/* What somebody has appended (a signature, say) is loaded with it. */
	if (file_size > image->extent)
		image->extent = file_size;
	return NULL;
}

const char *image_parse_packed(const uint8_t *head, size_t head_size, struct image *image)
{
	const char *complaint = image_parse_head(head, head_size, image);

	if (complaint)
		return complaint;
	if (image->kind != IMAGE_LINUX)
		return "is no arm64 Image; unpack it first";
	if (!image->extent_known)
		return "is an Image that does not say its image_size; unpack it first";
	if (image->sections > image->extent)
		return "has an arm64 header whose image_size is too small for its sections";
	return NULL;
}
