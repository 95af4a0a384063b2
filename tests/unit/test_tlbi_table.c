// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>

#include "control/tlbi_table.h"
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

	add(&now, 0, "{\"tlbi\": [1, 2, 3, 4, 5, 6, 10, 20, 30, 40, 50, 60]}");
	assert_table(&none, &now, 0,
		     HEAD("      sum") "0            11        22        33        44        55"
				       "        66       210       231\n");
	drop(&now);
}

static void rates_are_of_what_is_new(void **state)
{
	struct peek before = { .count = 0 }, now = { .count = 0 };

	add(&before, 0, "{\"tlbi\": [10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}");
	add(&before, 1, "{\"tlbi\": [0, 0, 500, 0, 0, 0, 0, 0, 0, 0, 0, 0]}");
	add(&now, 0, "{\"tlbi\": [30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}");
	add(&now, 1, "{\"tlbi\": [0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 0, 0]}"); /* of a new machine */
	add(&now, 2, "{\"tlbi\": [0, 6]}");
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
	add(&series, 0, "{\"exits\": 1, \"tlbi\": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}");
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
