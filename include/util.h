/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The handful of definitions that every room uses.
 */
#ifndef NIDUS_UTIL_H
#define NIDUS_UTIL_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

static inline void *enclosing(const void *pointer, size_t offset)
{
	return (char *)pointer - offset;
}

#define container_of(pointer, type, member) ((type *)enclosing(pointer, offsetof(type, member)))

/* For both, to is a power of two; align_up() may wrap, so its caller bounds the value first. */
static inline uint64_t align_down(uint64_t value, uint64_t to)
{
	return value & ~(to - 1);
}

static inline uint64_t align_up(uint64_t value, uint64_t to)
{
	return align_down(value + to - 1, to);
}

/* Of one byte or more, whether all are 0. */
static inline bool all_zeroes(const void *bytes, size_t size)
{
	const uint8_t *const byte = bytes;

	return byte[0] == 0 && memcmp(byte, byte + 1, size - 1) == 0;
}

/* Four bytes, wherever they are. */
static inline uint32_t read_le32(const void *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return le32toh(value);
}

#endif
