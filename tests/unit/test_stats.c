// SPDX-License-Identifier: GPL-2.0-only
#include <fcntl.h>
#include <stdlib.h>

#include "unit.h"

#include "balloon/balloon.h"
#include "fake_stats.h"
#include "host/clock.h"
#include "host/kvm_stats.h"
#include "machine/stats.h"
#include "served/served.h"
#include "util.h"
#include "vhost.h"

/* A file of statistics as KVM has it: two descriptors, the second of a histogram. */

#define NAME_SIZE 48

static struct {
	struct kvm_stats_header header;
	struct {
		uint32_t flags;
		int16_t exponent;
		uint16_t size;
		uint32_t offset, bucket_size;
		char name[NAME_SIZE];
	} desc[2];
	uint64_t values[4];
} file;

static void fill(void)
{
	memset(&file, 0, sizeof(file));
	file.header = (struct kvm_stats_header){
		.name_size = NAME_SIZE,
		.num_desc = 2,
		.desc_offset = offsetof(typeof(file), desc),
		.data_offset = offsetof(typeof(file), values),
	};
	file.desc[0].size = 1;
	strcpy(file.desc[0].name, "exits");
	file.desc[1].size = 3;
	file.desc[1].offset = 8;
	strcpy(file.desc[1].name, "histogram");
	for (size_t i = 0; i < ARRAY_SIZE(file.values); i++)
		file.values[i] = 10 + i;
}

static int begin(void **state)
{
	fill();
	return catch_begin(state);
}

static json_t *read_file(void)
{
	int fd = fake_stats_file(&file, sizeof(file));
	json_t *stats;

	assert_true(fd >= 0);
	stats = kvm_stats_read(fd);
	close(fd);
	return stats;
}

static json_int_t number(const json_t *stats, const char *name)
{
	return json_integer_value(json_object_get(stats, name));
}

static void statistics_are_read(void **state)
{
	json_t *stats = read_file(), *histogram = json_object_get(stats, "histogram");

	assert_int_equal(json_object_size(stats), 2);
	assert_int_equal(number(stats, "exits"), 10);
	assert_int_equal(json_array_size(histogram), 3);
	assert_int_equal(json_integer_value(json_array_get(histogram, 2)), 13);
	json_decref(stats);
	assert_null(kvm_stats_read(-1));
}

static void hostile_headers_are_refused(void **state)
{
	static const struct kvm_stats_header headers[] = {
		{ .name_size = 0, .num_desc = 2 },
		{ .name_size = UINT32_MAX, .num_desc = 2 },
		{ .name_size = 257, .num_desc = 2 },
		{ .name_size = NAME_SIZE, .num_desc = UINT32_MAX },
		{ .name_size = NAME_SIZE, .num_desc = 1025 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(headers); i++) {
		file.header = headers[i];
		assert_null(read_file());
	}
}

/* Descriptors that are not there, and a name that fills its place or makes the next one odd. */
static void hostile_descriptors_are_survived(void **state)
{
	static const uint32_t offsets[] = { sizeof(file), sizeof(file) - 1, INT32_MAX, UINT32_MAX };
	json_t *stats;

	for (size_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		file.header.desc_offset = offsets[i];
		stats = read_file();
		assert_int_equal(json_object_size(stats), 0);
		json_decref(stats);
	}
	fill();
	memset(file.desc[0].name, 'x', NAME_SIZE);
	stats = read_file();
	assert_int_equal(json_object_size(stats), 2);
	assert_int_equal(number(stats, "histogram"), 0);
	json_decref(stats);

	for (uint32_t size = 1; size < NAME_SIZE; size++) {
		file.header.name_size = size;
		json_decref(read_file());
	}
}

static void hostile_values_are_left_out(void **state)
{
	static const struct {
		uint16_t size;
		uint32_t offset, data_offset;
	} cases[] = {
		{ 0, 0, offsetof(typeof(file), values) },
		{ 5, 0, offsetof(typeof(file), values) },
		{ 257, 0, 0 },
		{ UINT16_MAX, 0, 0 },
		{ 1, UINT32_MAX, offsetof(typeof(file), values) },
		/* In 32 bits, both come to the first value. */
		{ 1, 0x80000000 + offsetof(typeof(file), values), 0x80000000 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *stats;

		file.header.data_offset = cases[i].data_offset;
		file.desc[0].size = cases[i].size;
		file.desc[0].offset = cases[i].offset;
		stats = read_file();
		assert_non_null(stats);
		assert_null(json_object_get(stats, "exits"));
		json_decref(stats);
	}
}

/* All of it. */

static struct resources no_resources;

static void names_of_any_bytes_are_told(void **state)
{
	static const struct {
		const char *name, *told;
	} cases[] = {
		{ "plain", "plain" },
		{ "", "" },
		{ "\"quoted\\\" \n\t\x1b[1m", "\"quoted\\\" \n\t\x1b[1m" },
		{ "\xc3\xbc", "\xc3\xbc" },
		{ "latin \xfc", "latin ?" },
		{ "\xff\xfe\x80", "???" },
		{ "cut \xe2\x82", "cut ??" },
		{ "\xed\xa0\x80", "???" },
		{ NULL, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct config config = { .cpus = 1, .name = cases[i].name };
		struct verdict verdict = { .outcome = OUTCOME_SHUTDOWN };
		struct vcpu vcpu = { .stats_fd = -1 };
		struct machine machine = {
			.config = &config,
			.resources = &no_resources,
			.verdict = &verdict,
			.env = { .vcpus = &vcpu, .count = 1 },
		};
		json_t *stats = stats_collect(&machine, 0);
		const json_t *told = json_object_get(json_object_get(stats, "config"), "name");

		assert_non_null(stats);
		if (cases[i].told)
			assert_string_equal(json_string_value(told), cases[i].told);
		else
			assert_null(told);
		json_decref(stats);
	}
	assert_silent();
}

/* A number that nothing else is, in each counter of the second vCPU in turn. */
static void each_counter_is_told(void **state)
{
	const struct config config = { .cpus = 2 };
	struct verdict verdict = { .outcome = OUTCOME_SHUTDOWN };
	static struct vcpu vcpus[2];
	struct machine machine = {
		.config = &config,
		.resources = &no_resources,
		.verdict = &verdict,
		.env = { .vcpus = vcpus, .count = 2 },
	};
	struct counters *counters = &vcpus[1].counters;
	counter *list = (counter *)counters;

	vcpus[0].stats_fd = vcpus[1].stats_fd = -1;
	for (size_t i = 0; i < sizeof(*counters) / sizeof(*list); i++) {
		json_t *stats;
		char *text;

		memset(counters, 0, sizeof(*counters));
		for (unsigned int entry = 0; entry < COUNTERS_MMIO; entry++)
			counters->mmio[entry].address = 0x1000 * (entry + 1);
		/* These are no counts. */
		if (list[i] != 0 || &list[i] == &counters->mmio_others.address)
			continue;
		list[i] = 8765432109;
		stats = stats_collect(&machine, 0);
		text = json_dumps(stats, JSON_COMPACT);
		if (!strstr(text, "8765432109"))
			fail_msg("the counter at %zu is not in %s", i * sizeof(*list), text);
		free(text);
		json_decref(stats);
	}
}

/* What is added for each vCPU is its own. */
static void accesses_of_each_vcpu_are_told(void **state)
{
	const struct config config = { .cpus = 2 };
	struct verdict verdict = { .outcome = OUTCOME_RUNNING };
	static struct vcpu vcpus[2];
	struct machine machine = {
		.config = &config,
		.resources = &no_resources,
		.verdict = &verdict,
		.env = { .vcpus = vcpus, .count = 2 },
	};
	json_t *stats, *vcpu;

	for (unsigned int i = 0; i < 2; i++) {
		vcpus[i].stats_fd = -1;
		memset(&vcpus[i].counters, 0, sizeof(vcpus[i].counters));
		vcpus[i].counters.mmio[5].address = 0x1000;
		vcpus[i].counters.mmio[5].writes = 7 + i;
	}
	stats = stats_collect(&machine, 0);
	stats_add_mmio(stats, &machine);
	for (unsigned int i = 0; i < 2; i++) {
		vcpu = json_array_get(json_object_get(stats, "vcpus"), i);
		vcpu = json_array_get(json_object_get(vcpu, "mmio"), 0);
		assert_int_equal(json_integer_value(json_object_get(vcpu, "writes")), 7 + i);
	}
	vcpu = json_array_get(json_object_get(stats, "mmio"), 0);
	assert_int_equal(json_integer_value(json_object_get(vcpu, "writes")), 15);
	json_decref(stats);
}

/* And whatever else a machine knows of its life. */
static void all_of_a_life_is_told(void **state)
{
	const struct config config = { .cpus = 1,
				       .mem_size = 1111,
				       .trap_tlbi = { TLBI_ALL, true } };
	struct verdict verdict = { .outcome = OUTCOME_RESET };
	struct vcpu vcpu = { .stats_fd = -1 };
	struct machine machine = {
		.config = &config,
		.resources = &no_resources,
		.verdict = &verdict,
		.env = { .vcpus = &vcpu, .count = 1 },
		.memory = { .touched = { { 0x2222, 3333 } }, .touched_count = 1 },
		.cleaned = { .range = { { 0x4444, 5555 } },
			     .range_count = 1,
			     .line_size = 64,
			     .lines = 6666,
			     .nanoseconds = 7500000000 },
		.phase = { [PHASE_CREATED] = { true, 1250000000, 0 },
			   [PHASE_FIRST_RUN] = { true, 2500000000, 8888 },
			   [PHASE_SHUTDOWN] = { true, 3750000000, 9999 } },
	};
	static const char *const told[] = { "1111", "all,shareable", "\"reset\"", "0x2222",
					    "3333", "0x4444",	     "5555",	  "64",
					    "6666", "7.5",	     "1.25",	  "2.5",
					    "8888", "3.75",	     "9999",	  "4242" };
	json_t *stats = stats_collect(&machine, 4242);
	char *text = json_dumps(stats, JSON_COMPACT);

	for (size_t i = 0; i < ARRAY_SIZE(told); i++)
		assert_non_null(strstr(text, told[i]));
	free(text);
	json_decref(stats);
}

/* Networks, and what RAM is made of, which one of them may have settled. */
static void networks_are_told(void **state)
{
	static const struct link_ops tap_ops = { .name = "tap" }, passt_ops = { .name = "passt" };
	static const struct vhost_ops user_ops = { .name = "vhost-user" };
	struct vhost user = { .ops = &user_ops };
	struct link tap = {
		.ops = &tap_ops,
		.pairs = 3,
		.mac = { 2, 0, 0xab, 0, 0, 1 },
		.up = true,
		.counts = { { 8, 2, 100, 20, 5, 7 }, { 2, 9, 1, 2, 3, 4 }, { 1, 1, 1, 1, 5, 3 } },
	};
	struct link passt = { .ops = &passt_ops, .pairs = 1, .vhost = &user };
	struct resources resources = { .links = { &tap, NULL, &passt }, .link_count = 3 };
	const struct config config = { .cpus = 1 };
	struct verdict verdict = { .outcome = OUTCOME_SHUTDOWN };
	struct vcpu vcpu = { .stats_fd = -1 };
	struct machine machine = {
		.config = &config,
		.resources = &resources,
		.verdict = &verdict,
		.mem_backing = MEMORY_MEMFD,
		.env = { .vcpus = &vcpu, .count = 1 },
	};
	json_t *stats = stats_collect(&machine, 0);
	json_t *expected = json_loads(
		"[{\"kind\":\"tap\",\"by\":\"nidus\",\"mac\":\"02:00:ab:00:00:01\","
		"\"pairs\":3,\"up\":true,\"sent\":11,\"received\":12,\"send_dropped\":13,"
		"\"receive_dropped\":14,\"sent_bytes\":102,\"received_bytes\":23},"
		"{\"kind\":\"passt\",\"by\":\"vhost-user\",\"mac\":\"00:00:00:00:00:00\","
		"\"pairs\":1,\"up\":false,\"sent\":0,\"received\":0,\"send_dropped\":0,"
		"\"receive_dropped\":0,\"sent_bytes\":0,\"received_bytes\":0}]",
		0, NULL);

	assert_true(json_equal(json_object_get(stats, "networks"), expected));
	assert_string_equal(
		json_string_value(json_object_get(json_object_get(stats, "config"), "mem_backing")),
		"memfd");
	json_decref(expected);
	json_decref(stats);
}

/* In place of devices/served/. */

const char *served_kind(const struct served *served)
{
	return "blk";
}

const char *served_by(const struct served *served)
{
	return "somebody else";
}

bool served_is_up(const struct served *served)
{
	return true;
}

/* Those that nidus serves, by their places among all. */
static void disks_are_told(void **state)
{
	static char other;
	static struct resources resources = {
		.disks = { { .path = "a.img",
			     .counts = { { 1, 20, 300, 4000, 512, 1024 },
					 { 2, 30, 400, 5000, 4096, 8192 } } },
			   { .path = "b.qcow2" },
			   { .path = "c" } },
		.served_disks = { [1] = (struct served *)&other },
		.disk_count = 3,
	};
	const struct config config = { .cpus = 1 };
	struct verdict verdict = { .outcome = OUTCOME_SHUTDOWN };
	struct vcpu vcpu = { .stats_fd = -1 };
	const struct machine machine = {
		.config = &config,
		.resources = &resources,
		.verdict = &verdict,
		.env = { .vcpus = &vcpu, .count = 1 },
	};
	json_t *stats = stats_collect(&machine, 0);
	json_t *expected = json_loads(
		"[{\"name\":\"disk0\",\"path\":\"a.img\",\"reads\":3,\"writes\":50,"
		"\"flushes\":700,\"discards\":9000,\"read_bytes\":4608,\"written_bytes\":9216},"
		"{\"name\":\"disk2\",\"path\":\"c\",\"reads\":0,\"writes\":0,\"flushes\":0,"
		"\"discards\":0,\"read_bytes\":0,\"written_bytes\":0}]",
		0, NULL);

	assert_true(json_equal(json_object_get(stats, "disks"), expected));
	json_decref(expected);
	json_decref(stats);
}

/* In place of devices/balloon/. */

static struct balloon_state balloon_state;

void balloon_look(struct virtio *virtio, struct balloon_state *state)
{
	*state = balloon_state;
}

const char *balloon_statistic_name(unsigned int statistic)
{
	static const char *const names[] = { "first_bytes", "second", "third" };

	return statistic < ARRAY_SIZE(names) ? names[statistic] : "last";
}

static void a_balloon_is_told(void **state)
{
	static struct virtio balloon;
	const struct machine machine = { .balloon = &balloon };
	json_t *stats, *expected, *guest;

	balloon_state = (struct balloon_state){
		.driver = true, .target = 1, .given = 2, .inflated = 3, .reported = 4
	};
	stats = stats_balloon(&machine);
	expected = json_loads("{\"driver\":true,\"target_bytes\":1,\"given_bytes\":2,"
			      "\"inflated_bytes\":3,\"reported_bytes\":4}",
			      0, NULL);
	assert_true(json_equal(stats, expected));
	json_decref(stats);
	json_decref(expected);

	balloon_state.moment = clock_ns() - 1500000000;
	balloon_state.has[0] = balloon_state.has[2] = balloon_state.has[15] = true;
	balloon_state.statistics[0] = 1234;
	balloon_state.statistics[2] = INT64_MAX;
	balloon_state.statistics[15] = UINT64_C(1) << 63;
	stats = stats_balloon(&machine);
	guest = json_object_get(stats, "guest");
	assert_true(json_real_value(json_object_get(guest, "seconds")) >= 1.5);
	json_object_del(guest, "seconds");
	expected = json_loads("{\"first_bytes\":1234,\"third\":9223372036854775807}", 0, NULL);
	assert_true(json_equal(guest, expected));
	json_decref(stats);
	json_decref(expected);
	assert_null(stats_balloon(&(struct machine){ .balloon = NULL }));
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, catch_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(statistics_are_read),
		test(hostile_headers_are_refused),
		test(hostile_descriptors_are_survived),
		test(hostile_values_are_left_out),
		test(names_of_any_bytes_are_told),
		test(each_counter_is_told),
		test(all_of_a_life_is_told),
		caught_test(accesses_of_each_vcpu_are_told),
		test(networks_are_told),
		test(disks_are_told),
		caught_test(a_balloon_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
