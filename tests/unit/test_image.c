// SPDX-License-Identifier: GPL-2.0-only
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "boot/image.h"
#include "unit.h"
#include "util.h"

#define PE 0x40 /* where the PE header stands in the images below, as in Linux */

static uint8_t head[IMAGE_HEAD_SIZE];
static struct image image;

static void put16(size_t offset, uint16_t value)
{
	value = htole16(value);
	memcpy(head + offset, &value, sizeof(value));
}

static void put32(size_t offset, uint32_t value)
{
	value = htole32(value);
	memcpy(head + offset, &value, sizeof(value));
}

static void put64(size_t offset, uint64_t value)
{
	value = htole64(value);
	memcpy(head + offset, &value, sizeof(value));
}

/* A header of 64 bytes without an EFI stub. */
static void put_linux(uint64_t text_offset, uint64_t image_size, uint64_t flags)
{
	memset(head, 0, sizeof(head));
	put64(8, text_offset);
	put64(16, image_size);
	put64(24, flags);
	memcpy(head + 56, "ARM\x64", 4);
}

/* An EFI stub whose only section is size bytes from offset on in the file. */
static void put_pe(uint32_t size, uint32_t offset)
{
	memcpy(head, "MZ", 2);
	put32(60, PE);
	memcpy(head + PE, "PE\0\0", 4);
	put16(PE + 6, 1);
	put16(PE + 20, 0xa0);
	put32(PE + 24 + 0xa0 + 16, size);
	put32(PE + 24 + 0xa0 + 20, offset);
}

static const char *parse(uint64_t file_size)
{
	size_t head_size = file_size < sizeof(head) ? file_size : sizeof(head);

	/* On the heap, so that the sanitizer sees a look beyond the end. */
	uint8_t *copy = malloc(head_size);
	const char *complaint;

	memcpy(copy, head, head_size);
	memset(&image, 0x5a, sizeof(image));
	complaint = image_parse(copy, head_size, file_size, &image);
	free(copy);
	return complaint;
}

static void assert_complaint(const char *complaint, const char *word)
{
	assert_non_null(complaint);
	assert_non_null(strstr(complaint, word));
}

static int begin(void **state)
{
	memset(head, 0, sizeof(head));
	return 0;
}

static void linux_header_is_read(void **state)
{
	put_linux(0x80000, MIB(30), 0xa);
	put_pe(MIB(20) - KIB(64), KIB(64));
	assert_null(parse(MIB(20)));
	assert_int_equal(image.kind, IMAGE_LINUX);
	assert_int_equal(image.text_offset, 0x80000);
	assert_int_equal(image.extent, MIB(30));
	assert_true(image.extent_known);
	assert_false(image.big_endian);
	assert_int_equal(image.page_size, KIB(4));
}

static void text_offset_of_zero_is_valid(void **state)
{
	put_linux(0, MIB(30), 0xa);
	assert_null(parse(MIB(20)));
	assert_int_equal(image.text_offset, 0);
	assert_true(image.extent_known);
}

static void image_size_of_zero_means_an_old_kernel(void **state)
{
	/* Before Linux 3.17 text_offset cannot be trusted either: it may be in the wrong order. */
	put_linux(UINT64_C(0x0008000000000000), 0, 0);
	assert_null(parse(MIB(20)));
	assert_int_equal(image.kind, IMAGE_LINUX);
	assert_int_equal(image.text_offset, 0x80000);
	assert_int_equal(image.extent, MIB(20));
	assert_false(image.extent_known);
}

static void flags_are_read(void **state)
{
	static const struct {
		uint64_t flags;
		bool big_endian;
		uint32_t page_size;
	} cases[] = {
		{ 0, false, 0 },
		{ 1, true, 0 },
		{ 2, false, KIB(4) },
		{ 3, true, KIB(4) },
		{ 4, false, KIB(16) },
		{ 6, false, KIB(64) },
		{ 8, false, 0 },
		{ UINT64_MAX - 7, false, 0 },
		{ UINT64_MAX, true, KIB(64) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		put_linux(0, MIB(30), cases[i].flags);
		assert_null(parse(MIB(20)));
		assert_int_equal(image.big_endian, cases[i].big_endian);
		assert_int_equal(image.page_size, cases[i].page_size);
	}
}

static void without_header_it_is_flat(void **state)
{
	static const uint64_t sizes[] = { 1, 4, 63, 64, 4096, MIB(3) };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_null(parse(sizes[i]));
		assert_int_equal(image.kind, IMAGE_FLAT);
		assert_int_equal(image.text_offset, 0x80000);
		assert_int_equal(image.extent, sizes[i]);
		assert_false(image.extent_known);
		assert_false(image.big_endian);
		assert_int_equal(image.page_size, 0);
	}
}

static void half_a_header_is_flat(void **state)
{
	put_linux(0, MIB(30), 0);
	for (size_t size = 1; size < 64; size++) {
		assert_null(parse(size));
		assert_int_equal(image.kind, IMAGE_FLAT);
	}
	assert_null(parse(64));
	assert_int_equal(image.kind, IMAGE_LINUX);
}

static void empty_is_refused(void **state)
{
	assert_string_equal(parse(0), "is empty");
}

static const struct {
	size_t offset;
	const char *magic;
	size_t length;
	const char *word;
} foreign[] = {
#define MAGIC(string) string, sizeof(string) - 1
	{ 0, MAGIC("\177ELF\2\1\1"), "an ELF file" },
	{ 0, MAGIC("\x1f\x8b\x08"), "gzip-compressed" },
	{ 0, MAGIC("\x28\xb5\x2f\xfd"), "zstd-compressed" },
	{ 0, MAGIC("\x50\x2a\x4d\x18"), "zstd-compressed" },
	{ 0, MAGIC("\x5f\x2a\x4d\x18"), "zstd-compressed" },
	{ 0, MAGIC("BZh9\x31\x41\x59\x26\x53\x59"), "bzip2-compressed" },
	{ 0, MAGIC("BZh1\x31\x41\x59\x26\x53\x59"), "bzip2-compressed" },
	{ 0, MAGIC("BZh9\x17\x72\x45\x38\x50\x90"), "bzip2-compressed" },
	{ 0, MAGIC("\3757zXZ\0"), "xz-compressed" },
	{ 0, MAGIC("\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff"), "lzma-compressed" },
	{ 0, MAGIC("\x5d\0\0\0\4\xff\xff\xff\xff\xff\xff\xff\xff"), "lzma-compressed" },
	{ 0, MAGIC("\x5d\0\0\x10\0\x39\x30\x12\x01\0\0\0\0"), "lzma-compressed" },
	{ 0, MAGIC("\x89LZO\0\r\n\x1a\n"), "lzo-compressed" },
	{ 0, MAGIC("\x04\x22\x4d\x18"), "lz4-compressed" },
	{ 0, MAGIC("\x02\x21\x4c\x18"), "lz4-compressed" },
	{ 0, MAGIC("MZ\0\0zimg"), "zboot" },
	{ 0x202, MAGIC("HdrS"), "x86 kernel" },
	{ 0x24, MAGIC("\x18\x28\x6f\x01"), "32-bit Arm" },
	{ 0x38, MAGIC("RSC\x05"), "RISC-V" },
	{ 0, MAGIC("\x27\x05\x19\x56"), "uImage" },
	{ 0, MAGIC("ANDROID!"), "Android boot image" },
	{ 0, MAGIC("VNDRBOOT"), "Android vendor boot image" },
	{ 0, MAGIC("\xd0\x0d\xfe\xed"), "device tree blob" },
	{ 0, MAGIC("070701"), "cpio archive" },
	{ 0, MAGIC("070702"), "cpio archive" },
	{ 0, MAGIC("070707"), "cpio archive" },
	{ 257, MAGIC("ustar"), "tar archive" },
	{ 0, MAGIC("PK\3\4"), "zip archive" },
	{ 0, MAGIC("7z\xbc\xaf\x27\x1c"), "7z archive" },
	{ 0, MAGIC("!<arch>\n"), "ar archive" },
	{ 0, MAGIC("\xed\xab\xee\xdb"), "RPM package" },
	{ 0, MAGIC("QFI\xfb"), "qcow2" },
	{ 0, MAGIC("KDMV"), "VMDK" },
	{ 0, MAGIC("COWD"), "VMDK" },
	{ 0, MAGIC("# Disk DescriptorFile"), "VMDK" },
	{ 0, MAGIC("vhdxfile"), "VHDX" },
	{ 0, MAGIC("conectix"), "VHD" },
	{ 0x40, MAGIC("\x7f\x10\xda\xbe"), "VDI" },
	{ 512, MAGIC("EFI PART"), "GPT" },
	{ 0, MAGIC("hsqs"), "squashfs" },
	{ 1024, MAGIC("\xe2\xe1\xf5\xe0"), "EROFS" },
	{ 0, MAGIC("XFSB"), "XFS" },
	{ 1080, MAGIC("\x53\xef\1\0\1\0\0\0\1\2\3\4\0\x4e\xed\0\0\0\0\0\1\0\0\0\0\0\0\0\x0b\0\0\0"),
	  "ext4" },
	{ 0, MAGIC("#!/bin"), "script" },
	{ 0, MAGIC("#!/usr"), "script" },
	{ 0, MAGIC("#! /bi"), "script" },
#undef MAGIC
};

static void foreign_files_are_named(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		const size_t end = foreign[i].offset + foreign[i].length;
		const char *complaint;

		memset(head, 0, sizeof(head));
		memcpy(head + foreign[i].offset, foreign[i].magic, foreign[i].length);
		complaint = parse(MIB(1));
		assert_complaint(complaint, foreign[i].word);
		/* Found as well when nothing follows it. */
		assert_string_equal(parse(end), complaint);
	}
}

/* A flat binary may have any bytes: no format is told by less than all of its magic number. */
static void half_a_magic_number_is_flat(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(foreign); i++) {
		const size_t end = foreign[i].offset + foreign[i].length;

		memset(head, 0, sizeof(head));
		memcpy(head + foreign[i].offset, foreign[i].magic, foreign[i].length);
		if (foreign[i].length <= 6)
			assert_null(parse(end - 1));
		head[foreign[i].offset] ^= 0x80;
		assert_null(parse(MIB(1)));
		assert_int_equal(image.kind, IMAGE_FLAT);
		head[foreign[i].offset] ^= 0x80;
		head[foreign[i].offset + 1] ^= 0x80;
		assert_null(parse(MIB(1)));
		assert_int_equal(image.kind, IMAGE_FLAT);
	}
}

/* What it holds is for its header to say, and no format's to claim. */
static void image_with_foreign_bytes_is_an_image(void **state)
{
	put_linux(0, MIB(30), 0);
	memcpy(head + 0x101, "ustar", 5);
	memcpy(head + 0x202, "HdrS", 4);
	memcpy(head + 0x400, "\xe2\xe1\xf5\xe0", 4);
	assert_null(parse(MIB(20)));
	assert_int_equal(image.kind, IMAGE_LINUX);
}

static void efi_programs_are_named(void **state)
{
	put_pe(MIB(1), KIB(4));
	assert_complaint(parse(MIB(2)), "is an EFI program");
	memcpy(head + PE + 24 + 0xa0, ".linux\0", 8);
	assert_complaint(parse(MIB(2)), "is a unified kernel image");
	memcpy(head + PE + 24 + 0xa0, ".linuxrc", 8);
	assert_complaint(parse(MIB(2)), "is an EFI program");
	/* Its section table may be out of sight. */
	put16(PE + 20, UINT16_MAX);
	assert_complaint(parse(MIB(2)), "is an EFI program");
	/* Without a PE header it begins with an instruction like any other. */
	head[PE] = 0;
	assert_null(parse(MIB(2)));
	assert_int_equal(image.kind, IMAGE_FLAT);
}

static void truncated_by_its_sections_is_refused(void **state)
{
	put_linux(0, MIB(30), 0);
	put_pe(MIB(20), KIB(64));
	assert_null(parse(MIB(20) + KIB(64)));
	assert_complaint(parse(MIB(20) + KIB(64) - 1), "truncated");
}

static void the_furthest_section_counts(void **state)
{
	put_linux(0, MIB(30), 0);
	put_pe(MIB(20), KIB(64));
	put16(PE + 6, 3);
	put32(PE + 24 + 0xa0 + 40 + 16, MIB(1));
	put32(PE + 24 + 0xa0 + 40 + 20, MIB(24));
	put32(PE + 24 + 0xa0 + 80 + 16, 0);
	assert_null(parse(MIB(25)));
	assert_complaint(parse(MIB(25) - 1), "truncated");
}

static void what_is_appended_is_part_of_the_extent(void **state)
{
	put_linux(0, MIB(20), 0);
	assert_null(parse(MIB(20)));
	assert_int_equal(image.extent, MIB(20));
	assert_null(parse(MIB(20) + 1));
	assert_int_equal(image.extent, MIB(20) + 1);
	assert_true(image.extent_known);
}

/* booting.rst, 4: text_offset bytes from a 2 MiB boundary, however many these are. */
static void any_text_offset_is_taken(void **state)
{
	static const uint64_t offsets[] = { 0x80000,  0x80800,	MIB(2) - 4,	  MIB(2),
					    0x480000, GIB(300), UINT64_C(1) << 55 };

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		put_linux(offsets[i], MIB(30), 0xa);
		assert_null(parse(MIB(20)));
		assert_int_equal(image.text_offset, offsets[i]);
		assert_int_equal(image.extent, MIB(30));
	}
}

static void impossible_fields_are_refused(void **state)
{
	static const struct {
		uint64_t text_offset, image_size;
		const char *word; /* NULL: is possible */
	} cases[] = {
		{ UINT64_C(1) << 56, MIB(30), "beyond all addresses" },
		{ UINT64_MAX, MIB(30), "beyond all addresses" },
		{ UINT64_MAX & ~UINT64_C(0xfff), MIB(30), "beyond all addresses" },
		{ 0x80001, MIB(30), "no multiple of 4" },
		{ 0x80002, MIB(30), "no multiple of 4" },
		{ 0, UINT64_MAX, "beyond all addresses" },
		{ 0, UINT64_C(1) << 56, "beyond all addresses" },
		{ 0, UINT64_C(1) << 55, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *complaint;

		put_linux(cases[i].text_offset, cases[i].image_size, 0);
		complaint = parse(MIB(20));
		if (cases[i].word)
			assert_complaint(complaint, cases[i].word);
		else
			assert_null(complaint);
	}
}

/* What a compressed file unpacks to: the size of all of it is not known. */
static const char *parse_packed(size_t head_size)
{
	uint8_t *copy = malloc(head_size);
	const char *complaint;

	memcpy(copy, head, head_size);
	memset(&image, 0x5a, sizeof(image));
	complaint = image_parse_packed(copy, head_size, &image);
	free(copy);
	return complaint;
}

static void packed_image_has_the_extent_that_it_says(void **state)
{
	put_linux(0x80000, MIB(30), 0xa);
	put_pe(MIB(20), KIB(64));
	assert_null(parse_packed(sizeof(head)));
	assert_int_equal(image.kind, IMAGE_LINUX);
	assert_int_equal(image.text_offset, 0x80000);
	assert_int_equal(image.extent, MIB(30));
	assert_true(image.extent_known);
	assert_int_equal(image.sections, MIB(20) + KIB(64));
	assert_null(parse_packed(64));
	assert_int_equal(image.sections, 0);
}

static void packed_is_an_image_that_says_its_size(void **state)
{
	assert_string_equal(parse_packed(0), "is empty");
	assert_complaint(parse_packed(sizeof(head)), "no arm64 Image");
	put_linux(0, MIB(30), 0);
	assert_complaint(parse_packed(63), "no arm64 Image");
	put_linux(0, 0, 0);
	assert_complaint(parse_packed(sizeof(head)), "image_size");
	put_linux(0, UINT64_MAX, 0);
	assert_complaint(parse_packed(sizeof(head)), "image_size");
	put_linux(0, MIB(30), 0);
	put_pe(MIB(30), 1);
	assert_complaint(parse_packed(sizeof(head)), "too small for its sections");
	memset(head, 0, sizeof(head));
	memcpy(head, "\x1f\x8b\x08", 3);
	assert_complaint(parse_packed(sizeof(head)), "gzip");
	memcpy(head, "\177ELF", 4);
	assert_complaint(parse_packed(sizeof(head)), "is an ELF file");
}

static void hostile_pe_offsets_are_survived(void **state)
{
	static const uint32_t offsets[] = {
		0,
		1,
		60,
		0x41,
		IMAGE_HEAD_SIZE - 25,
		IMAGE_HEAD_SIZE - 24,
		IMAGE_HEAD_SIZE - 23,
		IMAGE_HEAD_SIZE - 4,
		IMAGE_HEAD_SIZE - 1,
		IMAGE_HEAD_SIZE,
		IMAGE_HEAD_SIZE + 1,
		INT32_MAX,
		UINT32_MAX - 23,
		UINT32_MAX - 20,
		UINT32_MAX,
	};

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		put_linux(0, MIB(30), 0);
		put_pe(MIB(25), 0);
		put32(60, offsets[i]);
		/* Its signature is there as well, as far as there is room. */
		for (uint64_t j = 0; j < 4 && offsets[i] + j < IMAGE_HEAD_SIZE; j++)
			head[offsets[i] + j] = "PE\0\0"[j];
		parse(MIB(20));
	}
}

static void hostile_section_tables_are_survived(void **state)
{
	put_linux(0, MIB(30), 0);
	put_pe(1, 1);
	/* More sections than the head holds, and a table that begins beyond it. */
	put16(PE + 6, UINT16_MAX);
	assert_null(parse(MIB(20)));
	put16(PE + 20, UINT16_MAX);
	assert_null(parse(MIB(20)));
	/* A PE header right at the end of the head. */
	memcpy(head + IMAGE_HEAD_SIZE - 24, "PE\0\0\0\0\xff\xff", 8);
	put32(60, IMAGE_HEAD_SIZE - 24);
	assert_null(parse(MIB(20)));
}

static void section_end_does_not_wrap(void **state)
{
	put_linux(0, MIB(30), 0);
	put_pe(UINT32_MAX, 2);
	assert_complaint(parse(MIB(20)), "truncated");
}

#define on_head(test) cmocka_unit_test_setup(test, begin)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_head(linux_header_is_read),
		on_head(text_offset_of_zero_is_valid),
		on_head(image_size_of_zero_means_an_old_kernel),
		on_head(flags_are_read),
		on_head(without_header_it_is_flat),
		on_head(half_a_header_is_flat),
		on_head(empty_is_refused),
		on_head(foreign_files_are_named),
		on_head(half_a_magic_number_is_flat),
		on_head(image_with_foreign_bytes_is_an_image),
		on_head(efi_programs_are_named),
		on_head(truncated_by_its_sections_is_refused),
		on_head(the_furthest_section_counts),
		on_head(what_is_appended_is_part_of_the_extent),
		on_head(any_text_offset_is_taken),
		on_head(impossible_fields_are_refused),
		on_head(packed_image_has_the_extent_that_it_says),
		on_head(packed_is_an_image_that_says_its_size),
		on_head(hostile_pe_offsets_are_survived),
		on_head(hostile_section_tables_are_survived),
		on_head(section_end_does_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
