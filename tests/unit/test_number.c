// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <inttypes.h>

#include "options/number.h"
#include "unit.h"
#include "util.h"

/* What a number is left at by a parser that fails. */
#define UNTOUCHED 12345

static void numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t min, max;
		int err;
		uint64_t value;
	} cases[] = {
		{ "0", 0, 0, 0, 0 },
		{ "7", 1, 9, 0, 7 },
		{ "007", 1, 9, 0, 7 },
		{ "010", 1, 10, 0, 10 },
		{ "0x10", 1, 16, 0, 16 },
		{ "0Xff", 1, 255, 0, 255 },
		{ "18446744073709551615", 0, UINT64_MAX, 0, UINT64_MAX },
		{ "0xffffffffffffffff", 0, UINT64_MAX, 0, UINT64_MAX },
		{ "18446744073709551616", 0, UINT64_MAX, -ERANGE, 0 },
		{ "0x10000000000000000", 0, UINT64_MAX, -ERANGE, 0 },
		{ "99999999999999999999999999", 0, UINT64_MAX, -ERANGE, 0 },
		{ "0", 1, 9, -ERANGE, 0 },
		{ "10", 1, 9, -ERANGE, 0 },
		{ "", 0, 9, -EINVAL, 0 },
		{ "x", 0, 9, -EINVAL, 0 },
		{ "0x", 0, 9, -EINVAL, 0 },
		{ "0x0x5", 0, 9, -EINVAL, 0 },
		{ "0xg", 0, 9, -EINVAL, 0 },
		{ "-1", 0, UINT64_MAX, -EINVAL, 0 },
		{ "+1", 0, 9, -EINVAL, 0 },
		{ " 1", 0, 9, -EINVAL, 0 },
		{ "1 ", 0, 9, -EINVAL, 0 },
		{ "1.5", 0, 9, -EINVAL, 0 },
		{ "1e3", 0, 9, -EINVAL, 0 },
		{ "5s", 0, 9, -EINVAL, 0 },
		{ "a", 0, 99, -EINVAL, 0 },
		{ "\xb2", 0, 9, -EINVAL, 0 },
		{ "99999999999999999999999999x", 0, 9, -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = UNTOUCHED;
		const int err = number_parse(cases[i].text, cases[i].min, cases[i].max, &value);

		if (err != cases[i].err || value != (err ? UNTOUCHED : cases[i].value))
			fail_msg("\"%s\": %d, %" PRIu64, cases[i].text, err, value);
	}
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		unsigned int shift;
		uint64_t max;
		int err;
		uint64_t bytes;
	} cases[] = {
		{ "1", 20, UINT64_MAX, 0, MIB(1) },
		{ "1", 0, UINT64_MAX, 0, 1 },
		{ "3b", 20, UINT64_MAX, 0, 3 },
		{ "3K", 0, UINT64_MAX, 0, KIB(3) },
		{ "0x10m", 0, UINT64_MAX, 0, MIB(16) },
		{ "2G", 20, GIB(2), 0, GIB(2) },
		{ "1T", 20, UINT64_MAX, 0, GIB(1024) },
		/* Hexadecimal has a digit b, and no unit of that name. */
		{ "0x1b", 0, UINT64_MAX, 0, 27 },
		{ "3G", 20, GIB(3) - 1, -ERANGE, 0 },
		{ "17592186044416", 20, UINT64_MAX, -ERANGE, 0 },
		{ "18446744073709551615T", 20, UINT64_MAX, -ERANGE, 0 },
		{ "18446744073709551616", 0, UINT64_MAX, -ERANGE, 0 },
		{ "1GB", 20, UINT64_MAX, -EINVAL, 0 },
		{ "1P", 20, UINT64_MAX, -EINVAL, 0 },
		{ "1 G", 20, UINT64_MAX, -EINVAL, 0 },
		{ "G", 20, UINT64_MAX, -EINVAL, 0 },
		{ "", 20, UINT64_MAX, -EINVAL, 0 },
		{ "1.5G", 20, UINT64_MAX, -EINVAL, 0 },
		{ "-1G", 20, UINT64_MAX, -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t bytes = UNTOUCHED;
		const int err =
			number_parse_size(cases[i].text, cases[i].shift, cases[i].max, &bytes);

		if (err != cases[i].err || bytes != (err ? UNTOUCHED : cases[i].bytes))
			fail_msg("\"%s\": %d, %" PRIu64, cases[i].text, err, bytes);
	}
}

static void seconds(void **state)
{
	static const struct {
		const char *text;
		int err;
		uint64_t milliseconds;
	} cases[] = {
		{ "1", 0, 1000 },
		{ "0.01", 0, 10 },
		{ "0.25", 0, 250 },
		{ "2.5009", 0, 2500 },
		{ "60", 0, 60000 },
		{ "0.0099", -ERANGE, 0 },
		{ "0", -ERANGE, 0 },
		{ "60.001", -ERANGE, 0 },
		{ "18446744073709551615", -ERANGE, 0 },
		{ "18446744073709552", -ERANGE, 0 },
		{ "99999999999999999999.5", -ERANGE, 0 },
		{ "", -EINVAL, 0 },
		{ ".5", -EINVAL, 0 },
		{ "1.", -EINVAL, 0 },
		{ "1.5.", -EINVAL, 0 },
		{ "1.x", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "1e1", -EINVAL, 0 },
		{ "0x10", -EINVAL, 0 },
		{ "inf", -EINVAL, 0 },
		{ "nan", -EINVAL, 0 },
		{ "1s", -EINVAL, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t milliseconds = UNTOUCHED;
		const int err = number_parse_seconds(cases[i].text, 10, 60000, &milliseconds);

		if (err != cases[i].err ||
		    milliseconds != (err ? UNTOUCHED : cases[i].milliseconds))
			fail_msg("\"%s\": %d, %" PRIu64, cases[i].text, err, milliseconds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers),
		cmocka_unit_test(sizes),
		cmocka_unit_test(seconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
