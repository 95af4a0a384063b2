// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel file of any contents, compressed in any way, on its way into RAM. The first byte says
 * what the rest is: the file itself, or one that the fuzzer cannot be expected to come up with
 * (whose checksums are right): an Image of these bytes, packed, and damaged by the last few.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "boot/boot.h"
#include "fuzz.h"
#include "memmap.h"

#define RAM  MIB(3)
#define ROOM KIB(32)

static struct memory memory;
static uint8_t plain[ROOM], packed[2 * ROOM];

static size_t pack_gzip(size_t size)
{
	z_stream zlib = {
		.next_in = plain,
		.avail_in = size,
		.next_out = packed + 128,
		.avail_out = sizeof(packed) - 128,
	};

	MUST(deflateInit2(&zlib, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	MUST(deflate(&zlib, Z_FINISH) == Z_STREAM_END);
	deflateEnd(&zlib);
	return sizeof(packed) - 128 - zlib.avail_out;
}

/* With a skippable frame around half of the time. */
static size_t pack_zstd(size_t size)
{
	const uint32_t skip = size % 2 ? 8 + size % 64 : 0, magic = 0x184d2a50, rest = size % 64;
	size_t result =
		ZSTD_compress(packed + 128 + skip, sizeof(packed) - 128 - skip, plain, size, 1);

	MUST(!ZSTD_isError(result));
	memset(packed + 128, 0xfd, skip);
	if (skip) {
		memcpy(packed + 128, &magic, 4);
		memcpy(packed + 132, &rest, 4);
	}
	return skip + result;
}

/* The file to try: its bytes and how many. */
static const uint8_t *make_file(struct input *input, size_t *size)
{
	const unsigned int how = take(input, 1);
	const bool zstd = how & 1, zboot = how & 2;
	uint32_t start = 128, length, repeat, damage, where;
	uint64_t image_size;

	if (how & 4) {
		*size = input->size;
		return input->data;
	}
	image_size = take(input, 3);
	repeat = take(input, 2);
	damage = take(input, 1);
	where = take(input, 2);
	memset(plain, 0, sizeof(plain));
	memcpy(plain + 64, input->data, input->size < ROOM - 64 ? input->size : ROOM - 64);
	memcpy(plain + 16, &image_size, 8);
	memcpy(plain + 56, "ARM\x64", 4);
	length = 64 + (input->size + repeat) % (ROOM - 64);
	length = zstd ? pack_zstd(length) : pack_gzip(length);
	if (zboot) {
		memset(packed, 0, 128);
		memcpy(packed, "MZ\0\0zimg", 8);
		memcpy(packed + 8, &start, 4);
		memcpy(packed + 12, &length, 4);
		memcpy(packed + 24, zstd ? "zstd" : "gzip", 5);
		length += 128;
		start = 0;
	}
	packed[start + where % length] ^= damage;
	*size = length;
	return packed + start;
}

static void check_beyond(uint64_t begin)
{
	const uint8_t *bytes = memory_at(&memory, RAM_BASE + begin, RAM - begin);

	MUST(bytes[0] == 0 && memcmp(bytes, bytes + 1, RAM - begin - 1) == 0);
}

static void load(struct boot *boot)
{
	const uint64_t end = boot->image.text_offset + boot->image.extent;
	int err;

	memory.touched_count = 0;
	err = boot_load(boot, &memory);
	MUST(err <= 0);
	MUST(memory.touched_count == 1);
	MUST(memory.touched[0].start == RAM_BASE + boot->image.text_offset);
	MUST(memory.touched[0].size <= boot->image.extent);
	check_beyond(end);
	memset(memory_at(&memory, RAM_BASE, end), 0, end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = { data, size };
	struct boot_files files;
	struct boot boot;
	size_t file_size;
	const uint8_t *file = make_file(&input, &file_size);
	char path[32];
	int fd;

	if (!memory.host)
		MUST(memory_create(&memory, RAM_BASE, RAM, MEMORY_ANON, NULL) == 0);
	fd = memfd_create("kernel", MFD_CLOEXEC);
	MUST(fd >= 0 && write(fd, file, file_size) == (ssize_t)file_size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	MUST(boot_files_open(&files, path, NULL, NULL) == 0);
	if (boot_parse(&boot, &files) == 0) {
		if (boot.packed.format != PACKED_NOT) {
			MUST(boot.image.kind == IMAGE_LINUX && boot.image.extent_known);
			MUST(boot.packed.offset + boot.packed.size <= file_size);
		}
		if (boot_place(&boot, RAM_BASE, RAM) == 0)
			load(&boot);
	}
	boot_files_close(&files);
	close(fd);
	return 0;
}
