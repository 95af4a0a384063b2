// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "options/number.h"

/* Of a character that is none: more than any base. */
static unsigned int digit_of(char character)
{
	const unsigned char c = tolower((unsigned char)character);

	if (isdigit(c))
		return c - '0';
	return isxdigit(c) ? c - 'a' + 10 : 16;
}

/* The digits that text begins with, also when there are too many; *rest is what follows. */
static int parse_digits(const char *text, unsigned int base, uint64_t *value, const char **rest)
{
	bool fits = true;

	*rest = text;
	for (*value = 0; digit_of(**rest) < base; (*rest)++) {
		const unsigned int digit = digit_of(**rest);

		fits = fits && *value <= (UINT64_MAX - digit) / base;
		*value = *value * base + digit;
	}
	return *rest == text ? -EINVAL : fits ? 0 : -ERANGE;
}

static int parse_prefixed(const char *text, uint64_t *value, const char **rest)
{
	const bool hexadecimal = text[0] == '0' && tolower((unsigned char)text[1]) == 'x';

	return parse_digits(hexadecimal ? text + 2 : text, hexadecimal ? 16 : 10, value, rest);
}

int number_parse(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	const char *rest;
	uint64_t number;
	int err = parse_prefixed(text, &number, &rest);

	if (err == -EINVAL || *rest)
		return -EINVAL;
	if (err < 0 || number < min || number > max)
		return -ERANGE;
	*value = number;
	return 0;
}

int number_parse_size(const char *text, unsigned int shift, uint64_t max, uint64_t *bytes)
{
	static const char suffixes[] = "BKMGT";
	const char *rest;
	uint64_t number;
	int err = parse_prefixed(text, &number, &rest);

	if (err == -EINVAL)
		return err;
	if (*rest) {
		const char *suffix = strchr(suffixes, toupper((unsigned char)*rest));

		if (!suffix || rest[1])
			return -EINVAL;
		shift = 10 * (suffix - suffixes);
	}
	if (err < 0 || number > max >> shift)
		return -ERANGE;
	*bytes = number << shift;
	return 0;
}

/* Thousandths, of the digits behind a point; those beyond the third are looked at, not counted. */
static int parse_fraction(const char *digits, uint64_t *thousandths)
{
	unsigned int worth = 100;

	*thousandths = 0;
	if (!*digits)
		return -EINVAL;
	for (; *digits; digits++, worth /= 10) {
		if (!isdigit((unsigned char)*digits))
			return -EINVAL;
		*thousandths += (*digits - '0') * worth;
	}
	return 0;
}

int number_parse_seconds(const char *text, uint64_t min, uint64_t max, uint64_t *milliseconds)
{
	const char *rest;
	uint64_t seconds, thousandths = 0;
	int err = parse_digits(text, 10, &seconds, &rest);

	if (err == -EINVAL ||
	    (*rest && (*rest != '.' || parse_fraction(rest + 1, &thousandths) < 0)))
		return -EINVAL;
	if (err < 0 || seconds > UINT64_MAX / 1000 - 1)
		return -ERANGE;
	seconds = seconds * 1000 + thousandths;
	if (seconds < min || seconds > max)
		return -ERANGE;
	*milliseconds = seconds;
	return 0;
}
