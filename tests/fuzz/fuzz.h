/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the fuzzers share: an input that is used up a little at a time, and what must hold.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                   \
	do {                              \
		if (!(condition))         \
			__builtin_trap(); \
	} while (0)

struct input {
	const uint8_t *data;
	size_t size;
};

/* The next bytes as a number; what is missing is 0. */
static inline uint64_t take(struct input *input, size_t bytes)
{
	size_t have = bytes < input->size ? bytes : input->size;
	uint64_t value = 0;

	if (have > 0)
		memcpy(&value, input->data, have);
	input->data += have;
	input->size -= have;
	return value;
}

#endif
