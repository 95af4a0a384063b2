// SPDX-License-Identifier: GPL-2.0-only
#include <time.h>

#include "children/retry.h"
#include "unit.h"
#include "util.h"

static time_t now; /* ns */

int clock_gettime(clockid_t which, struct timespec *time)
{
	*time = (struct timespec){ .tv_nsec = now };
	return 0;
}

static void pauses_double_up_to_a_bound(void **state)
{
	static const uint64_t pauses[] = { 10, 20, 40, 80, 100, 100 };
	struct retry retry = { .shortest = 10, .longest = 100 };

	for (size_t i = 0; i < ARRAY_SIZE(pauses); i++)
		assert_int_equal(retry_pause(&retry), pauses[i]);
}

static void a_short_life_changes_nothing(void **state)
{
	struct retry retry = { .shortest = 10, .longest = 100 };

	now = 1;
	retry_succeeded(&retry);
	now += 100;
	assert_int_equal(retry_pause(&retry), 10);
	retry_succeeded(&retry);
	now += 100;
	assert_int_equal(retry_pause(&retry), 20);
}

static void after_a_long_life_it_begins_anew(void **state)
{
	struct retry retry = { .shortest = 10, .longest = 100 };

	now = 1;
	assert_int_equal(retry_pause(&retry), 10);
	assert_int_equal(retry_pause(&retry), 20);
	retry_succeeded(&retry);
	now += 101;
	assert_int_equal(retry_pause(&retry), 10);
	/* It was the life that counts, and there has been no other. */
	now += 1000;
	assert_int_equal(retry_pause(&retry), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pauses_double_up_to_a_bound),
		cmocka_unit_test(a_short_life_changes_nothing),
		cmocka_unit_test(after_a_long_life_it_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
