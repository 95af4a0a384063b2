// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

#include "boot/unpack.h"
#include "pack.h"
#include "util.h"

#define HEAD 4096

static struct packed packed;

static const struct {
	const char *name;
	enum packed_format format;
	struct bytes (*pack)(const void *data, size_t size);
} formats[] = {
	{ "gzip", PACKED_GZIP, pack_gzip },
	{ "zstd", PACKED_ZSTD, pack_zstd },
};

/* Half of it random, so that it can be packed, but not to nothing. */
static struct bytes contents(size_t size)
{
	struct bytes bytes = { malloc(size), size };
	uint64_t seed = 3;

	for (size_t i = 0; i < size; i++)
		bytes.data[i] = i / 64 % 2 ? chance(&seed) >> 32 : i / 128;
	return bytes;
}

static int file_of(const void *data, size_t size)
{
	int fd = memfd_create("packed", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, size), size);
	return fd;
}

static const char *parse(const uint8_t *data, size_t size, uint64_t file_size)
{
	const size_t head_size = size < HEAD ? size : HEAD;
	/* On the heap, so that the sanitizer sees a look beyond the end. */
	uint8_t *head = malloc(head_size);
	const char *complaint;

	memcpy(head, data, head_size);
	memset(&packed, 0x5a, sizeof(packed));
	complaint = unpack_parse(head, head_size, file_size, &packed);
	free(head);
	return complaint;
}

/* All of it, piece bytes at a time, or the first error: -EFBIG where it is more than room bytes. */
static int64_t read_all(int fd, uint8_t *buffer, size_t room, size_t piece)
{
	struct unpack *unpack = unpack_open(&packed, fd);
	uint64_t done = 0;
	int64_t got;
	size_t want;

	assert_non_null(unpack);
	do {
		want = room - done < piece ? room - done : piece;
		got = unpack_read(unpack, buffer + done, want);
		assert_true(got <= (int64_t)want);
		if (got > 0)
			done += got;
	} while (got == (int64_t)want && want > 0);
	if (got >= 0 && done == room) {
		uint8_t more;

		got = unpack_read(unpack, &more, 1);
		if (got > 0)
			got = -EFBIG;
	}
	unpack_close(unpack);
	return got < 0 ? got : (int64_t)done;
}

/* What the bytes of a file unpack to: room is one byte more than is expected. */
static int64_t unpack_bytes(struct bytes file, uint8_t *buffer, size_t room)
{
	int fd = file_of(file.data, file.size);
	int64_t got;

	assert_null(parse(file.data, file.size, file.size));
	got = read_all(fd, buffer, room, room);
	close(fd);
	return got;
}

static void formats_are_recognized(void **state)
{
	static const struct {
		const char *head;
		size_t size;
		enum packed_format format;
	} cases[] = {
		{ "\x1f\x8b\x08", 3, PACKED_GZIP },
		{ "\x1f\x8b\x09", 3, PACKED_NOT },
		{ "\x1f\x8c\x08", 3, PACKED_NOT },
		{ "\x1f\x8b", 2, PACKED_NOT },
		{ "\x1f", 1, PACKED_NOT },
		{ "\x28\xb5\x2f\xfd", 4, PACKED_ZSTD },
		{ "\x28\xb5\x2f", 3, PACKED_NOT },
		{ "\x50\x2a\x4d\x18", 4, PACKED_ZSTD },
		{ "\x5f\x2a\x4d\x18", 4, PACKED_ZSTD },
		{ "\x60\x2a\x4d\x18", 4, PACKED_NOT },
		{ "\x50\x2a\x4d", 3, PACKED_NOT },
		{ "MZ\0\0zim", 7, PACKED_NOT },
		{ "MZ", 2, PACKED_NOT },
		{ "M", 1, PACKED_NOT },
		{ "", 0, PACKED_NOT },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_null(parse((const uint8_t *)cases[i].head, cases[i].size, MIB(1)));
		assert_int_equal(packed.format, cases[i].format);
		if (packed.format != PACKED_NOT) {
			assert_int_equal(packed.offset, 0);
			assert_int_equal(packed.size, MIB(1));
		}
	}
}

static void pieces_of_any_size_come_out(void **state)
{
	static const size_t pieces[] = { 1, 2, 4095, 4096, 65536, 100001, 300001, 300002 };
	struct bytes plain = contents(300001);
	uint8_t *out = malloc(plain.size);

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct bytes file = formats[i].pack(plain.data, plain.size);
		int fd = file_of(file.data, file.size);

		assert_null(parse(file.data, file.size, file.size));
		assert_int_equal(packed.format, formats[i].format);
		assert_non_null(strstr(unpack_format(&packed), formats[i].name));
		for (size_t j = 0; j < ARRAY_SIZE(pieces); j++) {
			memset(out, 0, plain.size);
			assert_int_equal(read_all(fd, out, plain.size, pieces[j]), plain.size);
			assert_memory_equal(out, plain.data, plain.size);
		}
		close(fd);
		free(file.data);
	}
	free(out);
	free(plain.data);
}

static void nothing_unpacks_to_nothing(void **state)
{
	uint8_t byte;

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct bytes file = formats[i].pack("", 0);

		assert_int_equal(unpack_bytes(file, &byte, 1), 0);
		free(file.data);
	}
}

static void reading_on_at_the_end_brings_nothing(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct bytes file = formats[i].pack("nest", 4);
		int fd = file_of(file.data, file.size);
		struct unpack *unpack;
		char out[8];

		assert_null(parse(file.data, file.size, file.size));
		unpack = unpack_open(&packed, fd);
		assert_int_equal(unpack_read(unpack, out, 8), 4);
		assert_int_equal(unpack_read(unpack, out, 8), 0);
		assert_int_equal(unpack_read(unpack, out, 0), 0);
		unpack_close(unpack);
		close(fd);
		free(file.data);
	}
}

/* gzip's members, zstd's frames: pigz, pzstd and cat make such files. */
static void several_in_a_row_are_one(void **state)
{
	struct bytes plain = contents(70000);
	uint8_t *out = malloc(2 * plain.size + 1);

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct bytes one = formats[i].pack(plain.data, plain.size);
		struct bytes two = { malloc(2 * one.size), 2 * one.size };

		memcpy(two.data, one.data, one.size);
		memcpy(two.data + one.size, one.data, one.size);
		assert_int_equal(unpack_bytes(two, out, 2 * plain.size + 1), 2 * plain.size);
		assert_memory_equal(out, plain.data, plain.size);
		assert_memory_equal(out + plain.size, plain.data, plain.size);
		free(one.data);
		free(two.data);
	}
	free(out);
	free(plain.data);
}

/* Skippable frames of zstd's. */

static void put32(uint8_t *bytes, uint32_t value)
{
	memcpy(bytes, &value, sizeof(value));
}

static void append(struct bytes *file, const void *data, size_t size)
{
	file->data = realloc(file->data, file->size + size);
	memcpy(file->data + file->size, data, size);
	file->size += size;
}

static void append_skippable(struct bytes *file, unsigned int variant, size_t size)
{
	uint8_t *frame = malloc(8 + size);

	put32(frame, 0x184d2a50 + variant);
	put32(frame + 4, size);
	/* What is in it looks like a frame. */
	for (size_t i = 0; i < size; i++)
		frame[8 + i] = "\x28\xb5\x2f\xfd"[i % 4];
	append(file, frame, 8 + size);
	free(frame);
}

/* Before, between and behind others, two in a row and an empty one; as pzstd has them, too. */
static void skippable_frames_are_skipped(void **state)
{
	static const size_t sizes[] = { 0, 4, 7, 8, 9, 65520, 65528, 70000, 200000 };
	struct bytes plain = contents(70000), one = pack_zstd(plain.data, plain.size);
	uint8_t *out = malloc(2 * plain.size + 1);

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct bytes file = { NULL, 0 };

		append_skippable(&file, i, sizes[i]);
		append_skippable(&file, 15, 4);
		append(&file, one.data, one.size);
		append_skippable(&file, 1, sizes[i]);
		append_skippable(&file, 2, 0);
		append(&file, one.data, one.size);
		append_skippable(&file, 3, sizes[i]);
		assert_int_equal(unpack_bytes(file, out, 2 * plain.size + 1), 2 * plain.size);
		assert_memory_equal(out, plain.data, plain.size);
		assert_memory_equal(out + plain.size, plain.data, plain.size);
		append(&file, "\0\0\0", 3);
		assert_int_equal(unpack_bytes(file, out, 2 * plain.size + 1), 2 * plain.size);
		free(file.data);
	}
	free(out);
	free(one.data);
	free(plain.data);
}

static void skippable_frames_in_zboot_are_skipped(void **state)
{
	struct bytes payload = { NULL, 0 }, one = pack_zstd("nest", 4), file;
	uint8_t out[5];

	append_skippable(&payload, 0, 4);
	append(&payload, one.data, one.size);
	file = pack_zboot(payload, "zstd22", 4);
	assert_int_equal(unpack_bytes(file, out, sizeof(out)), 4);
	assert_memory_equal(out, "nest", 4);
	free(file.data);
	free(one.data);
}

/* Where they end, and what is no frame behind them. */
static void skippable_frames_are_bounded(void **state)
{
	struct bytes file = { NULL, 0 }, cut;
	uint8_t out[5];

	append_skippable(&file, 0, 100);
	for (cut = file, cut.size = 4; cut.size < file.size; cut.size++)
		assert_int_equal(unpack_bytes(cut, out, sizeof(out)), -ENODATA);
	put32(file.data + 4, UINT32_MAX);
	assert_int_equal(unpack_bytes(file, out, sizeof(out)), -ENODATA);
	put32(file.data + 4, 100);
	/* Nothing at all is to be unpacked. */
	assert_int_equal(unpack_bytes(file, out, sizeof(out)), -ENODATA);
	append(&file, "an lz4 frame, say", 17);
	assert_int_equal(unpack_bytes(file, out, sizeof(out)), -EBADMSG);
	free(file.data);
}

/* A GiB of nothing is not read, and a MiB of empty frames comes to its end. */
static void skippable_frames_cost_little(void **state)
{
	struct bytes one = pack_zstd("nest", 4), head = { NULL, 0 }, many = { NULL, 0 };
	uint8_t out[5], empty[8] = { 0x50, 0x2a, 0x4d, 0x18 };
	int fd;

	append_skippable(&head, 0, 0);
	put32(head.data + 4, GIB(1));
	fd = file_of(head.data, head.size);
	assert_int_equal(pwrite(fd, one.data, one.size, 8 + GIB(1)), one.size);
	assert_null(parse(head.data, head.size, 8 + GIB(1) + one.size));
	assert_int_equal(read_all(fd, out, sizeof(out), sizeof(out)), 4);
	close(fd);

	many.data = malloc(MIB(1) + one.size);
	for (many.size = 0; many.size < MIB(1); many.size += sizeof(empty))
		memcpy(many.data + many.size, empty, sizeof(empty));
	memcpy(many.data + many.size, one.data, one.size);
	many.size += one.size;
	assert_int_equal(unpack_bytes(many, out, sizeof(out)), 4);
	free(many.data);
	free(head.data);
	free(one.data);
}

/* A device tree, a signature, or padding. */
static void what_follows_is_left_alone(void **state)
{
	static const size_t after[] = { 1, 3, 15, 16, 17, 70000 };
	uint8_t out[5];

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(after); j++) {
			struct bytes file = formats[i].pack("nest", 4);

			file.data = realloc(file.data, file.size + after[j]);
			memset(file.data + file.size, j % 2 ? 0xd0 : 0, after[j]);
			file.size += after[j];
			assert_int_equal(unpack_bytes(file, out, sizeof(out)), 4);
			free(file.data);
		}
	}
}

static void truncated_anywhere_is_an_error(void **state)
{
	struct bytes plain = contents(3000);
	uint8_t *out = malloc(plain.size + 1);

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct bytes file = formats[i].pack(plain.data, plain.size), cut = file;

		for (cut.size = 4; cut.size < file.size; cut.size++)
			assert_int_equal(unpack_bytes(cut, out, plain.size + 1), -ENODATA);
		assert_int_equal(unpack_bytes(cut, out, plain.size + 1), plain.size);
		free(file.data);
	}
	assert_non_null(strstr(unpack_complaint(-ENODATA), "is truncated"));
	free(out);
	free(plain.data);
}

/* Either it is found out, or it made no difference (a time stamp, say). */
static void corrupt_anywhere_is_found_out(void **state)
{
	struct bytes plain = contents(1500);
	uint8_t *out = malloc(plain.size + 1);
	unsigned int errors = 0, count = 0;

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct bytes file = formats[i].pack(plain.data, plain.size);

		for (size_t bit = 4 * 8; bit < file.size * 8; bit++) {
			int64_t got;

			file.data[bit / 8] ^= 1 << bit % 8;
			got = unpack_bytes(file, out, plain.size + 1);
			file.data[bit / 8] ^= 1 << bit % 8;
			if (got >= 0) {
				assert_int_equal(got, plain.size);
				assert_memory_equal(out, plain.data, plain.size);
			} else {
				assert_true(got == -EBADMSG || got == -ENODATA || got == -E2BIG ||
					    got == -EFBIG);
				errors++;
			}
			count++;
		}
		free(file.data);
	}
	assert_true(errors > count * 9 / 10);
	assert_non_null(strstr(unpack_complaint(-EBADMSG), "is corrupt"));
	free(out);
	free(plain.data);
}

/* 64 MiB of zeros in some KiB: what is not asked for does not come out. */
static void bomb_writes_no_more_than_is_asked_for(void **state)
{
	struct bytes zeros = { calloc(1, MIB(64)), MIB(64) };

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct bytes file = formats[i].pack(zeros.data, zeros.size);
		int fd = file_of(file.data, file.size);
		uint8_t *out = malloc(HEAD);
		struct unpack *unpack;

		assert_true(file.size < KIB(128));
		assert_null(parse(file.data, file.size, file.size));
		unpack = unpack_open(&packed, fd);
		for (unsigned int j = 0; j < 100; j++)
			assert_int_equal(unpack_read(unpack, out, HEAD), HEAD);
		unpack_close(unpack);
		close(fd);
		free(out);
		free(file.data);
	}
	free(zeros.data);
}

static void huge_window_is_refused(void **state)
{
	/* Magic, a frame header with a window of 2^(10 + n), one last, empty, raw block. */
	uint8_t frame[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x00, 17 << 3, 0x01, 0x00, 0x00 };
	struct bytes file = { frame, sizeof(frame) };
	uint8_t out[1];

	assert_int_equal(unpack_bytes(file, out, 1), 0);
	frame[5] = 18 << 3;
	assert_int_equal(unpack_bytes(file, out, 1), -E2BIG);
	frame[5] = 0xff;
	assert_int_equal(unpack_bytes(file, out, 1), -E2BIG);
	assert_non_null(strstr(unpack_complaint(-E2BIG), "128 MiB"));
}

static void zboot_payload_is_found(void **state)
{
	static const struct {
		const char *type;
		struct bytes (*pack)(const void *data, size_t size);
		enum packed_format format;
		size_t trailer;
	} cases[] = {
		{ "gzip", pack_gzip, PACKED_GZIP, 0 },
		{ "gzip", pack_gzip, PACKED_GZIP, 5000 },
		{ "zstd", pack_zstd, PACKED_ZSTD, 4 },
		{ "zstd22", pack_zstd, PACKED_ZSTD, 4 },
	};
	struct bytes plain = contents(20000);
	uint8_t *out = malloc(plain.size + 1);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bytes payload = cases[i].pack(plain.data, plain.size);
		const size_t size = payload.size;
		struct bytes file = pack_zboot(payload, cases[i].type, cases[i].trailer);

		assert_int_equal(unpack_bytes(file, out, plain.size + 1), plain.size);
		assert_memory_equal(out, plain.data, plain.size);
		assert_int_equal(packed.format, cases[i].format);
		assert_int_equal(packed.offset, 128);
		assert_int_equal(packed.size, size);
		free(file.data);
	}
	free(out);
	free(plain.data);
}

static void zboot_of_another_type_is_refused(void **state)
{
	static const char *const types[] = { "",      "lz4",	      "lzma",  "xzkern",
					     "gzip2", "gzi",	      "zstd2", "zst",
					     "GZIP",  "gzipgzipgzip", "\xff",  "zstd220" };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct bytes file = pack_zboot(pack_gzip("nest", 4), types[i], 0);
		const char *complaint = parse(file.data, file.size, file.size);

		assert_non_null(complaint);
		assert_non_null(strstr(complaint, "neither gzip nor zstd"));
		free(file.data);
	}
}

static void zboot_payload_outside_the_file_is_refused(void **state)
{
	static const struct {
		uint32_t offset, size;
		bool inside; /* a file of 1000 bytes */
	} cases[] = {
		{ 0, 1000, true },
		{ 128, 872, true },
		{ 128, 873, false },
		{ 1000, 0, true },
		{ 1001, 0, false },
		{ 0, 1001, false },
		{ UINT32_MAX, 1, false },
		{ UINT32_MAX, UINT32_MAX, false },
		{ 128, UINT32_MAX, false },
		{ 0x80000000, 0x80000000, false },
		{ UINT32_MAX - 99, 1000, false },
	};
	struct bytes file = pack_zboot(pack_gzip("nest", 4), "gzip", 1000);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *complaint;

		put32(file.data + 8, cases[i].offset);
		put32(file.data + 12, cases[i].size);
		complaint = parse(file.data, 1000, 1000);
		if (cases[i].inside)
			assert_null(complaint);
		else
			assert_non_null(strstr(complaint, "is truncated"));
	}
	for (size_t size = 8; size < 56; size++)
		assert_non_null(strstr(parse(file.data, size, size), "is truncated"));
	free(file.data);
}

/* Wherever a payload is said to be: its format looks at it, and finds nothing. */
static void zboot_payload_of_nothing_is_an_error(void **state)
{
	uint8_t out[16];

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct bytes file = pack_zboot(formats[i].pack("nest", 4), formats[i].name, 0);

		put32(file.data + 8, 0);
		assert_int_equal(unpack_bytes(file, out, sizeof(out)), -EBADMSG);
		put32(file.data + 12, 0);
		assert_int_equal(unpack_bytes(file, out, sizeof(out)), -ENODATA);
		free(file.data);
	}
}

static void file_that_shrinks_is_truncated(void **state)
{
	struct bytes plain = contents(KIB(512));
	uint8_t *out = malloc(plain.size + 1);

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct bytes file = formats[i].pack(plain.data, plain.size);
		int fd = file_of(file.data, file.size);

		assert_null(parse(file.data, file.size, file.size));
		assert_int_equal(ftruncate(fd, file.size - KIB(10)), 0);
		assert_int_equal(read_all(fd, out, plain.size + 1, 1000), -ENODATA);
		close(fd);
		free(file.data);
	}
	free(out);
	free(plain.data);
}

static void errors_of_reading_come_back(void **state)
{
	int directory = open("/", O_RDONLY | O_CLOEXEC);
	uint8_t out[1];

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		packed = (struct packed){ formats[i].format, 0, 100 };
		assert_int_equal(read_all(-1, out, 1, 1), -EBADF);
		assert_int_equal(read_all(directory, out, 1, 1), -EISDIR);
	}
	close(directory);
	assert_non_null(strstr(unpack_complaint(-EISDIR), "directory"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		caught_test(formats_are_recognized),
		caught_test(pieces_of_any_size_come_out),
		caught_test(nothing_unpacks_to_nothing),
		caught_test(reading_on_at_the_end_brings_nothing),
		caught_test(several_in_a_row_are_one),
		caught_test(skippable_frames_are_skipped),
		caught_test(skippable_frames_in_zboot_are_skipped),
		caught_test(skippable_frames_are_bounded),
		caught_test(skippable_frames_cost_little),
		caught_test(what_follows_is_left_alone),
		caught_test(truncated_anywhere_is_an_error),
		caught_test(corrupt_anywhere_is_found_out),
		caught_test(bomb_writes_no_more_than_is_asked_for),
		caught_test(huge_window_is_refused),
		caught_test(zboot_payload_is_found),
		caught_test(zboot_of_another_type_is_refused),
		caught_test(zboot_payload_outside_the_file_is_refused),
		caught_test(zboot_payload_of_nothing_is_an_error),
		caught_test(file_that_shrinks_is_truncated),
		caught_test(errors_of_reading_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
