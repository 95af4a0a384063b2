/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads cpio archives of the "newc" format, as Linux's
 * Documentation/driver-api/early-userspace/buffer-format.rst has it.
 */
#ifndef NEWC_H
#define NEWC_H

#include <stdint.h>
#include <string.h>

/* The fields of a header, in their order. */
enum newc_field {
	INO,
	MODE,
	UID,
	GID,
	NLINK,
	MTIME,
	FILESIZE,
	MAJ,
	MIN,
	RMAJ,
	RMIN,
	NAMESIZE,
	CHKSUM,
	FIELDS,
};

struct newc {
	uint32_t field[FIELDS];
	const char *name;
	const uint8_t *data;
};

static inline uint32_t newc_number(const uint8_t *text)
{
	uint32_t value = 0;

	for (unsigned int i = 0; i < 8; i++) {
		const char *digit = strchr("0123456789ABCDEF", text[i]);

		assert_true(text[i] && digit);
		value = value << 4 | (digit - "0123456789ABCDEF");
	}
	return value;
}

static inline uint64_t newc_skip_padding(const uint8_t *bytes, uint64_t offset)
{
	for (; offset % 4 != 0; offset++)
		assert_int_equal(bytes[offset], 0);
	return offset;
}

/* Returns where the next one begins. */
static inline uint64_t newc_read(const uint8_t *bytes, uint64_t offset, uint64_t size,
				 struct newc *entry)
{
	assert_int_equal(offset % 4, 0);
	assert_true(offset + 110 < size);
	assert_memory_equal(bytes + offset, "070701", 6);
	for (unsigned int i = 0; i < FIELDS; i++)
		entry->field[i] = newc_number(bytes + offset + 6 + 8 * i);
	offset += 110;
	entry->name = (const char *)bytes + offset;
	assert_true(offset + entry->field[NAMESIZE] <= size);
	assert_int_equal(strnlen(entry->name, entry->field[NAMESIZE]), entry->field[NAMESIZE] - 1);
	offset = newc_skip_padding(bytes, offset + entry->field[NAMESIZE]);
	entry->data = bytes + offset;
	assert_true(offset + entry->field[FILESIZE] <= size);
	return newc_skip_padding(bytes, offset + entry->field[FILESIZE]);
}

#endif
