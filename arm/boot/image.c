// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <string.h>

#include "boot/image.h"
#include "foreign.h"
#include "util.h"

/* Where bare-metal suites expect to be loaded, and kernels older than Linux 3.17. */
#define FLAT_TEXT_OFFSET UINT64_C(0x80000)

/* The highest physical address that the architecture has, with FEAT_D128. */
#define ADDRESS_MAX ((UINT64_C(1) << 56) - 1)

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

static uint16_t read_le16(const uint8_t *bytes)
{
	uint16_t value;

	memcpy(&value, bytes, sizeof(value));
	return le16toh(value);
}

/* Section headers of a PE file, as many as are in sight. */
struct sections {
	const uint8_t *first; /* NULL: it is no PE file */
	unsigned int count;
};

#define SECTION_SIZE 40 /* bytes of a section header */

static struct sections pe_sections(const uint8_t *head, size_t head_size)
{
	const size_t file_header = 24;
	struct sections sections = { NULL, 0 };
	uint64_t pe, table, room;

	if (head_size < sizeof(struct arm64_header) || memcmp(head, "MZ", 2) != 0)
		return sections;
	pe = read_le32(head + offsetof(struct arm64_header, pe_offset));
	if (pe > head_size || head_size - pe < file_header || memcmp(head + pe, "PE\0\0", 4) != 0)
		return sections;
	table = pe + file_header + read_le16(head + pe + 20);
	room = table < head_size ? (head_size - table) / SECTION_SIZE : 0;
	sections.first = head + (room > 0 ? table : pe);
	sections.count = read_le16(head + pe + 6);
	if (sections.count > room)
		sections.count = room;
	return sections;
}

/*
 * How long the file must be by its PE section table, which an Image with an EFI stub has; 0 where
 * there is none in sight. The Image header itself does not tell where the file ends.
 */
static uint64_t pe_file_size(const uint8_t *head, size_t head_size)
{
	const struct sections sections = pe_sections(head, head_size);
	uint64_t needed = 0;

	for (unsigned int i = 0; i < sections.count; i++) {
		const uint8_t *section = sections.first + i * SECTION_SIZE;
		uint64_t end = (uint64_t)read_le32(section + 16) + read_le32(section + 20);

		if (end > needed)
			needed = end;
	}
	return needed;
}

/* Names the kind of program that a PE file is which is no Image; NULL: it is no PE file. */
static const char *pe_complaint(const uint8_t *head, size_t head_size)
{
	const struct sections sections = pe_sections(head, head_size);

	for (unsigned int i = 0; i < sections.count; i++)
		if (memcmp(sections.first + i * SECTION_SIZE, ".linux\0", 8) == 0)
			return "is a unified kernel image (UKI); take the kernel out of it with "
			       "objcopy -O binary -j .linux";
	return sections.first ? "is an EFI program (PE) and no arm64 Image; firmware runs it, from "
				"a disk (--firmware)"
			      : NULL;
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
		.sections = pe_file_size(head, head_size),
	};
	if (image->extent == 0) {
		/* Before Linux 3.17: neither size nor offset can be trusted. */
		image->text_offset = FLAT_TEXT_OFFSET;
		image->extent_known = false;
	}
	if (image->text_offset > ADDRESS_MAX || image->extent > ADDRESS_MAX)
		return "has an arm64 header whose text_offset or image_size is beyond all addresses";
	if (image->text_offset % 4 != 0)
		return "has an arm64 header whose text_offset is no multiple of 4, where no "
		       "instruction can be";
	return NULL;
}

void image_flat(struct image *image)
{
	*image = (struct image){
		.kind = IMAGE_FLAT,
		.text_offset = FLAT_TEXT_OFFSET,
	};
}

/* file_size: UINT64_MAX while it is not known. */
static const char *image_parse_head(const uint8_t *head, size_t head_size, uint64_t file_size,
				    struct image *image)
{
	const size_t magic = offsetof(struct arm64_header, magic);
	const char *complaint;

	if (head_size == 0)
		return "is empty";
	if (head_size >= sizeof(struct arm64_header) && read_le32(head + magic) == ARM64_MAGIC)
		return image_parse_linux(head, head_size, image);
	complaint = foreign_find(head, head_size, 0, file_size);
	if (!complaint)
		complaint = pe_complaint(head, head_size);
	if (complaint)
		return complaint;

	image_flat(image);
	return NULL;
}

const char *image_parse(const uint8_t *head, size_t head_size, uint64_t file_size,
			struct image *image)
{
	const char *complaint = image_parse_head(head, head_size, file_size, image);

	if (complaint)
		return complaint;
	if (image->sections > file_size)
		return "is truncated: its sections end beyond the end of the file";
	/* Appended data (a signature, say) is loaded as well. */
	if (file_size > image->extent)
		image->extent = file_size;
	return NULL;
}

const char *image_parse_packed(const uint8_t *head, size_t head_size, struct image *image)
{
	const char *complaint = image_parse_head(head, head_size, UINT64_MAX, image);

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
