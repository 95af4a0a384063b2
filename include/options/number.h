/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers as people write them: on the command line, in nest files and in names of files of /proc.
 * They are decimal, or hexadecimal after 0x; a sign, a blank or anything behind a number is a
 * mistake. These functions say nothing, and set nothing when they fail: -EINVAL for what is no such
 * number, -ERANGE for one that is too small or too large. Any thread may call them.
 */
#ifndef NIDUS_NUMBER_H
#define NIDUS_NUMBER_H

#include <stdint.h>

int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/*
 * A number of bytes, which B, K, M, G or T (or b, k, m, g, t) may follow; a bare number counts
 * units of 1 << shift bytes. *bytes is at most max.
 */
int number_parse_size(const char *text, unsigned int shift, uint64_t max, uint64_t *bytes);

/*
 * Seconds, with a fraction if need be: "2", "0.25". Decimal only; what is less than a millisecond
 * is cut off before *milliseconds is compared with min and max.
 */
int number_parse_seconds(const char *text, uint64_t min, uint64_t max, uint64_t *milliseconds);

#endif
