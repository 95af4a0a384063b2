// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>

#include "tlbi_table.h"
#include "unit.h"

static void add(struct peek *peek, unsigned int index, const char *stats)
{
	peek->vcpus = realloc(peek->vcpus, (peek->count + 1) * sizeof(*peek->vcpus));
	peek->vcpus[peek->count++] =
		(struct peek_vcpu){ .index = index, .stats = json_loads(stats, 0, NULL) };
	assert_non_null(peek->vcpus[peek->count - 1].stats);
}

static void drop(struct peek *peek)
{
	for (unsigned int i = 0; i < peek->count; i++)
		json_decref(peek->vcpus[i].stats);
	free(peek->vcpus);
	*peek = (struct peek){ .count = 0 };
}

static void assert_table(const struct peek *before, const struct peek *now, double seconds,
			 const char *expected)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	tlbi_table_print(stream, before, now, seconds);
	fclose(stream);
	assert_string_equal(text, expected);
	free(text);
}

#define HEAD(sum)                                                                \
	"vCPU        all      asid        va       va*     range    range*     " \
	"local " sum "\n"

static void counts_are_shown_as_they_are(void **state)
{
	struct peek none = { .count = 0 }, now = { .count = 0 };

	add(&now, 0,
	    "{\"tlbi_all\": 1, \"tlbi_asid\": 2, \"tlbi_va\": 3, \"tlbi_va_all_asid\": 4,"
	    "\"tlbi_range\": 5, \"tlbi_range_all_asid\": 6, \"tlbi_non_shareable\": 7}");
	assert_table(&none, &now, 0,
		     HEAD("      sum") "0             1         2         3         4         5"
				       "         6         7        21\n");
	drop(&now);
}

static void rates_are_of_what_is_new(void **state)
{
	struct peek before = { .count = 0 }, now = { .count = 0 };

	add(&before, 0, "{\"tlbi_all\": 10}");
	add(&before, 1, "{\"tlbi_va\": 500}");
	add(&now, 0, "{\"tlbi_all\": 30}");
	add(&now, 1, "{\"tlbi_va\": 40}"); /* of a new machine */
	add(&now, 2, "{\"tlbi_asid\": 6}");
	assert_table(
		&before, &now, 2,
		HEAD("    sum/s") "0            10         0         0         0         0         0         0"
				  "        10\n"
				  "1             0         0        20         0         0         0         0"
				  "        20\n"
				  "2             0         3         0         0         0         0         0"
				  "         3\n"
				  "sum          10         3        20         0         0         0         0"
				  "        33\n");
	drop(&before);
	drop(&now);
}

static void a_kernel_that_counts_is_told_by_its_names(void **state)
{
	struct peek none = { .count = 0 }, stock = { .count = 0 }, series = { .count = 0 };

	add(&stock, 0, "{\"exits\": 1}");
	add(&series, 0, "{\"exits\": 1, \"tlbi_all\": 0}");
	assert_false(tlbi_table_has(&none));
	assert_false(tlbi_table_has(&stock));
	assert_true(tlbi_table_has(&series));
	drop(&stock);
	drop(&series);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_are_shown_as_they_are),
		cmocka_unit_test(rates_are_of_what_is_new),
		cmocka_unit_test(a_kernel_that_counts_is_told_by_its_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
