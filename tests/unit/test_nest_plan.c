// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is believed of a plan that has come from another level.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "packed.h"
#include "util.h"

#define LEVEL                                                                                    \
	"{\"options\":[\"--rng\"],\"command\":[\"a b\",\"\"],\"params\":\"quiet\",\"kernel\":0," \
	"\"hypervisor\":1,\"hypervisor-params\":\"loud\",\"time-limit\":7,\"files\":[{\"source\":1,\"path\":\"/bin/x\"}]}"
#define BARE                                                                                                                                       \
	"{\"options\":[],\"command\":[],\"params\":\"\",\"kernel\":1,\"hypervisor\":-1,\"hypervisor-params\":\"\",\"time-limit\":86400,\"files\":" \
	"[]}"
#define PLAN                                                                                  \
	"{\"level\":2,\"sources\":[\"/nest/0\",\"/nest/1\"],\"levels\":[" LEVEL "," BARE "]," \
	"\"net\":\"mode=user\",\"root\":true,\"waits\":true,"                                 \
	"\"passthrough\":[\"disk0\",\"net0\"]}"

static struct nest nest;
static unsigned int level;

static int unpack(const char *text)
{
	json_t *plan = json_loads(text, 0, NULL);
	int err;

	if (!plan)
		fail_msg("the test has no JSON: %s", text);
	err = nest_plan_unpack(&nest, &level, plan);
	json_decref(plan);
	return err;
}

static void all_of_it_arrives(void **state)
{
	assert_int_equal(unpack(PLAN), 0);
	assert_int_equal(level, 2);
	assert_int_equal(nest.depth, 2);
	assert_int_equal(nest.sources.count, 2);
	assert_string_equal(nest.sources.words[1], "/nest/1");
	assert_int_equal(nest.levels[0].kernel, 0);
	assert_string_equal(nest.levels[0].options.words[0], "--rng");
	assert_string_equal(nest.levels[0].command.words[0], "a b");
	assert_string_equal(nest.levels[0].command.words[1], "");
	assert_null(nest.levels[0].command.words[2]);
	assert_string_equal(nest.levels[0].params, "quiet");
	assert_int_equal(nest.levels[0].file_count, 1);
	assert_int_equal(nest.levels[0].files[0].source, 1);
	assert_string_equal(nest.levels[0].files[0].path, "/bin/x");
	assert_int_equal(nest.levels[0].time_limit, 7);
	assert_int_equal(nest.levels[0].hypervisor, 1);
	assert_string_equal(nest.levels[0].hypervisor_params, "loud");
	assert_null(nest.levels[1].params);
	assert_int_equal(nest.levels[1].hypervisor, -1);
	assert_null(nest.levels[1].hypervisor_params);
	assert_int_equal(nest.levels[1].command.count, 0);
	assert_int_equal(nest.levels[1].file_count, 0);
	assert_string_equal(nest.net, "mode=user");
	assert_string_equal(nest.root, "/nidus/shared");
	assert_true(nest.waits);
	assert_string_equal(nest.passthrough.words[0], "disk0");
	assert_string_equal(nest.passthrough.words[1], "net0");
	assert_silent();
	nest_destroy(&nest);
}

static void what_is_packed_is_what_was_unpacked(void **state)
{
	json_t *before = json_loads(PLAN, 0, NULL), *after;

	assert_int_equal(unpack(PLAN), 0);
	after = nest_plan_pack(&nest, level);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
	nest_destroy(&nest);
}

static void what_is_not_asked_for_is_not_there(void **state)
{
	assert_int_equal(
		unpack("{\"level\":1,\"sources\":[\"/nest/0\",\"/nest/1\"],\"levels\":[" BARE
		       "],\"net\":\"\",\"root\":false,\"waits\":false,\"passthrough\":[]}"),
		0);
	assert_null(nest.net);
	assert_null(nest.root);
	assert_int_equal(nest.passthrough.count, 0);
	nest_destroy(&nest);
}

/* Each of them is wrong in one thing. */
static void what_is_no_plan_is_refused(void **state)
{
	static const struct {
		const char *part, *instead;
	} cases[] = {
		{ "\"level\":2", "\"level\":0" },
		{ "\"level\":2", "\"level\":-1" },
		{ "\"level\":2", "\"level\":3" },
		{ "\"level\":2", "\"level\":4294967297" },
		{ "\"level\":2", "\"level\":\"2\"" },
		{ "\"level\":2", "\"depth\":2" },
		{ "\"level\":2", "\"level\":2,\"more\":1" },
		{ "\"/nest/0\"", "0" },
		{ "\"/nest/0\"", "\"nest/0\"" },
		{ "\"/nest/0\"", "\"\"" },
		{ "[\"/nest/0\",\"/nest/1\"]", "[]" },
		{ "[\"/nest/0\",\"/nest/1\"]", "{}" },
		{ "," BARE, ",7" },
		{ LEVEL "," BARE, "" },
		{ "[" LEVEL "," BARE "]", "{}" },
		{ BARE, BARE "," BARE "," BARE "," BARE "," BARE "," BARE "," BARE "," BARE },
		{ "\"--rng\"", "1" },
		{ "[\"--rng\"]", "\"--rng\"" },
		{ "[\"--rng\"]", "null" },
		{ "\"a b\"", "null" },
		{ "[\"a b\",\"\"]", "{}" },
		{ "\"quiet\"", "null" },
		{ "\"quiet\"", "[]" },
		{ "\"params\":\"quiet\",", "" },
		{ "\"kernel\":0", "\"kernel\":2" },
		{ "\"kernel\":0", "\"kernel\":-1" },
		{ "\"kernel\":0", "\"kernel\":4294967296" },
		{ "\"kernel\":0", "\"kernel\":null" },
		{ "\"kernel\":0", "\"kernel\":0.0" },
		{ "\"hypervisor\":1", "\"hypervisor\":2" },
		{ "\"hypervisor\":1", "\"hypervisor\":-2" },
		{ "\"hypervisor\":1", "\"hypervisor\":4294967296" },
		{ "\"hypervisor\":1,", "" },
		{ "\"disk0\"", "\"disk\"" },
		{ "\"disk0\"", "0" },
		{ "[\"disk0\",\"net0\"]", "\"disk0\"" },
		{ "\"loud\"", "null" },
		{ ":7", ":0" },
		{ ":7", ":86401" },
		{ ":7", ":4294967303" },
		{ "\"source\":1", "\"source\":2" },
		{ "\"source\":1", "\"source\":-1" },
		{ "\"source\":1", "\"source\":4294967297" },
		{ "\"/bin/x\"", "\"bin/x\"" },
		{ "\"/bin/x\"", "null" },
		{ "\"path\":\"/bin/x\"", "\"path\":\"/bin/x\",\"mode\":1" },
		{ "{\"source\":1,\"path\":\"/bin/x\"}", "\"/bin/x\"" },
		{ "[{\"source\":1,\"path\":\"/bin/x\"}]", "{}" },
		{ "\"mode=user\"", "null" },
		{ ",\"net\":\"mode=user\"", "" },
		{ ",\"root\":true", "" },
		{ ",\"waits\":true", "" },
		{ "\"waits\":true", "\"waits\":\"no\"" },
		{ "\"root\":true", "\"root\":1" },
		{ "\"root\":true", "\"root\":\"/\"" },
		{ "\"root\":true", "\"root\":null" },
		{ PLAN, "[]" },
		{ PLAN, "{}" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *place = strstr(PLAN, cases[i].part);
		char text[4096];

		assert_non_null(place);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(place - PLAN), PLAN,
			 cases[i].instead, place + strlen(cases[i].part));
		level = 77;
		if (unpack(text) != -EINVAL)
			fail_msg("taken: %s", text);
		assert_int_equal(level, 77);
	}
	assert_int_equal(nest_plan_unpack(&nest, &level, NULL), -EINVAL);
	assert_silent();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		caught_test(all_of_it_arrives),
		caught_test(what_is_packed_is_what_was_unpacked),
		caught_test(what_is_not_asked_for_is_not_there),
		caught_test(what_is_no_plan_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
