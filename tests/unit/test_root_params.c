// SPDX-License-Identifier: GPL-2.0-only
/*
 * Words of a command line, as Linux's own parser (lib/cmdline.c, next_arg()) reads them.
 */
#include <string.h>

#include "unit.h"
#include "util.h"
#include "vmm/root/root_params.h"

static void init_is_found_as_linux_finds_it(void **state)
{
	static const struct {
		const char *params, *value; /* NULL: there is none */
	} cases[] = {
		{ "init=/bin/sh", "/bin/sh" },
		{ "quiet init=/bin/sh ro", "/bin/sh" },
		{ " \t init=/bin/sh\n", "/bin/sh" },
		{ "init=/a init=/b", "/b" },
		{ "init=", "" },
		{ "init=\"/a b\" c", "/a b" },
		{ "\"init=/a b\" c", "/a b" },
		{ "init=\"/a b", "/a b" },
		{ "init=\"", "" },
		{ "init=/a=b", "/a=b" },
		{ "x=\" init=/a \" init=/b", "/b" },
		{ "", NULL },
		{ "init", NULL },
		{ "rdinit=/a initx=/b xinit=/c ini=/d", NULL },
		{ "x=\" init=/a \"", NULL },
		{ "\"", NULL },
		{ "quiet -- init=/a", NULL },
		{ "init=/a -- init=/b", "/a" },
		{ "init=/a --x -- init=/b", "/a" },
		{ "--x init=/a", "/a" },
		{ "-- ", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char value[64] = "as before";
		const bool found = root_params_find(cases[i].params, "init", value, sizeof(value));

		if (found != (cases[i].value != NULL) ||
		    strcmp(value, found ? cases[i].value : "as before") != 0)
			fail_msg("%s: %s", cases[i].params, found ? value : "none");
		assert_int_equal(root_params_have(cases[i].params, "init"), found);
	}
}

static void no_parameters_have_no_words(void **state)
{
	assert_false(root_params_have(NULL, "root"));
}

static void a_long_value_is_cut(void **state)
{
	char value[4];

	assert_true(root_params_find("init=/sbin/init", "init", value, sizeof(value)));
	assert_string_equal(value, "/sb");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		caught_test(init_is_found_as_linux_finds_it),
		caught_test(no_parameters_have_no_words),
		caught_test(a_long_value_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
