// SPDX-License-Identifier: GPL-2.0-only
/*
 * What `nidus top` makes of two looks at a guest, and what it learns of its threads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <pthread.h>

#include "control/threads.h"
#include "control/top_table.h"
#include "unit.h"
#include "util.h"

static json_t *before, *now, *status;

static json_t *load(const char *text)
{
	char *json = strdup(text);
	json_t *loaded;

	for (char *quote = json; *quote; quote++)
		if (*quote == '\'')
			*quote = '"';
	loaded = json_loads(json, JSON_DECODE_ANY, NULL);
	assert_non_null(loaded);
	free(json);
	return loaded;
}

static int begin(void **state)
{
	before = load(
		"{'resets':1,'cpu_ns':1000000000,'exits':{'mmio':100,'intr':5,'total':105},"
		"'networks':[{'mac':'02:00','kind':'tap','sent':10,'received':0,'sent_bytes':1024}],"
		"'disks':[{'name':'disk0','path':'/a','reads':0,'written_bytes':0}],"
		"'vcpus':[{'index':0,'cpu_ns':0,'exits':{'mmio':100,'total':100},"
		"'mmio':[{'address':'0x9000000','device':'pl011','register':'UARTDR','reads':0,"
		"'writes':100}],'kvm':{'exits':1000,'histogram':[1]}},"
		"{'index':1,'exits':{'intr':5,'total':5},'mmio':[]}]}");
	now = load(
		"{'resets':1,'cpu_ns':3000000000,'exits':{'mmio':360,'intr':5,'total':365},"
		"'networks':[{'mac':'02:00','kind':'tap','sent':30,'received':4,'sent_bytes':7168}],"
		"'disks':[{'name':'disk1','path':'/a','reads':6,'flushes':2},"
		"{'name':'disk0','path':'/a','reads':30,'written_bytes':20480}],"
		"'vcpus':[{'index':0,'cpu_ns':1000000000,'exits':{'mmio':300,'total':300},"
		"'mmio':[{'address':'0x8000','reads':20,'writes':0},"
		"{'address':'0x9000000','device':'pl011','register':'UARTDR','reads':0,'writes':280}],"
		"'kvm':{'exits':5000,'histogram':[1]}},"
		"{'index':1,'exits':{'mmio':60,'intr':5,'total':65},"
		"'mmio':[{'address':'0x9000018','device':'pl011','register':'UARTFR','reads':60,"
		"'writes':0}]}]}");
	status = load("{'pid':77,'state':'running','mem_bytes':67108864,'resets':1}");
	return catch_begin(state);
}

static int finish(void **state)
{
	json_decref(before);
	json_decref(now);
	json_decref(status);
	return catch_end(state);
}

static void assert_json(json_t *got, const char *expected)
{
	json_t *wanted = load(expected);

	if (!json_equal(got, wanted))
		fail_msg("%s instead of %s", json_dumps(got, JSON_COMPACT | JSON_ENCODE_ANY),
			 expected);
	json_decref(wanted);
}

static void rates_are_per_second(void **state)
{
	json_t *rates = top_table_rates(before, now, 2);
	const json_t *vcpus = json_object_get(rates, "vcpus");

	assert_json(json_object_get(rates, "exits"), "{'mmio':130.0,'intr':0.0,'total':130.0}");
	assert_json(json_object_get(rates, "cpu_percent"), "100.0");
	assert_json(json_object_get(rates, "resets"), "1");
	assert_json(
		json_object_get(rates, "networks"),
		"[{'mac':'02:00','kind':'tap','sent':10.0,'received':2.0,'sent_bytes':3072.0}]");
	assert_json(json_object_get(rates, "disks"),
		    "[{'name':'disk1','path':'/a','reads':3.0,'flushes':1.0},"
		    "{'name':'disk0','path':'/a','reads':15.0,'written_bytes':10240.0}]");
	assert_json(json_array_get(vcpus, 0),
		    "{'index':0,'cpu_percent':50.0,'exits':{'mmio':100.0,'total':100.0},"
		    "'mmio':[{'address':'0x8000','reads':10.0,'writes':0.0},"
		    "{'address':'0x9000000','device':'pl011','register':'UARTDR','reads':0.0,"
		    "'writes':90.0}],'kvm':{'exits':2000.0}}");
	assert_json(json_array_get(vcpus, 1),
		    "{'index':1,'cpu_percent':0.0,'exits':{'mmio':30.0,'intr':0.0,'total':30.0},"
		    "'mmio':[{'address':'0x9000018','device':'pl011','register':'UARTFR',"
		    "'reads':30.0,'writes':0.0}],'kvm':{}}");
	json_decref(rates);
}

static void a_reset_begins_at_nothing(void **state)
{
	json_t *rates = top_table_rates(now, before, 1);

	assert_json(json_object_get(rates, "exits"), "{'mmio':100.0,'intr':0.0,'total':105.0}");
	json_decref(rates);
}

static char *table(const json_t *rates, enum top_sort sort, const char *end)
{
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	top_table_print(stream, "wren", status, rates, sort, end);
	fclose(stream);
	return text;
}

static void people_see_a_table(void **state)
{
	json_t *rates = top_table_rates(before, now, 2);
	char *text = table(rates, TOP_BY_RATE, "\n");

	assert_string_equal(
		text,
		"wren: running, pid 77, 64 MiB, 1 resets, host CPU 100.0 %\n"
		" vCPU   CPU %     KVM/s   exits/s      mmio      intr\n"
		"    0    50.0      2000       100       100         0\n"
		"    1     0.0         0        30        30         0\n"
		"  all   100.0      2000       130       130         0\n"
		"\n"
		" vCPU address     device         register                 reads/s  writes/s\n"
		"    0 0x9000000   pl011          UARTDR                         0        90\n"
		"    1 0x9000018   pl011          UARTFR                        30         0\n"
		"    0 0x8000      -              -                             10         0\n"
		"\n"
		"network           kind      sent/s    recv/s sent KiB/s recv KiB/s dropped/s\n"
		"02:00             tap           10         2          3          0         0\n"
		"\n"
		"disk                reads/s  writes/s read KiB/s writ KiB/s flushes/s discard/s\n"
		"disk1                     3         0          0          0         1         0\n"
		"disk0                    15         0          0         10         0         0\n");
	free(text);
	json_decref(rates);
}

static void accesses_are_sorted(void **state)
{
	static const char *const orders[][3] = {
		[TOP_BY_RATE] = { "0x9000000", "0x9000018", "0x8000" },
		[TOP_BY_VCPU] = { "0x9000000", "0x8000", "0x9000018" },
		[TOP_BY_ADDRESS] = { "0x8000", "0x9000000", "0x9000018" },
	};
	json_t *rates = top_table_rates(before, now, 2);

	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		char *text = table(rates, i, "|"), *at = text;

		for (size_t j = 0; j < 3; j++) {
			at = strstr(at, orders[i][j]);
			assert_non_null(at);
		}
		assert_null(strchr(text, '\n'));
		free(text);
	}
	json_decref(rates);
}

/* An answer may be anybody's: what makes no sense is nothing, and does not reach the terminal. */
static void nonsense_is_shown_as_nothing(void **state)
{
	static const char *const cases[] = {
		"{}",
		"[]",
		"1",
		"{'vcpus':1,'exits':[],'networks':{}}",
		"{'vcpus':[1,[],{},{'mmio':{},'exits':1,'kvm':'x'}]}",
		"{'resets':1,'vcpus':[{'index':0,'mmio':[1,{},{'reads':'x'},{'address':1,'reads':5}]}]}",
		"{'resets':1,'vcpus':[{'index':0,'mmio':[{'address':'\\u001b[2J','device':'\\n',"
		"'reads':5}],'exits':{'a':9223372036854775807,'b':-1,'\\u001b':5}}],"
		"'exits':{'\\u001b':5},'networks':[{'mac':'\\u001b','sent':1}],"
		"'disks':[1,{},{'name':'\\u001b','reads':'x'}]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *stats = load(cases[i]), *rates = top_table_rates(before, stats, 1);
		char *text = table(rates, TOP_BY_RATE, "\n");

		assert_null(strchr(text, '\033'));
		free(text);
		json_decref(rates);
		json_decref(stats);
	}
}

static void *work(void *opaque)
{
	struct timespec spent;

	pthread_setname_np(pthread_self(), "wren/1");
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
	while (spent.tv_nsec < 30000000);
	pthread_barrier_wait(opaque);
	pthread_barrier_wait(opaque);
	return NULL;
}

static void threads_have_spent_time(void **state)
{
	json_t *stats = load("{'vcpus':[{'index':0},{'index':1}]}");
	pthread_barrier_t barrier;
	pthread_t thread;
	json_int_t spent, all;

	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, work, &barrier);
	pthread_barrier_wait(&barrier);
	threads_add_cpu(stats, getpid());
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	spent = json_integer_value(
		json_object_get(json_array_get(json_object_get(stats, "vcpus"), 1), "cpu_ns"));
	all = json_integer_value(json_object_get(stats, "cpu_ns"));
	assert_true(spent >= 30000000);
	assert_true(all >= spent);
	assert_null(json_object_get(json_array_get(json_object_get(stats, "vcpus"), 0), "cpu_ns"));
	json_decref(stats);
	/* Nobody, and nothing that is a vCPU. */
	stats = load("{}");
	threads_add_cpu(stats, -1);
	assert_int_equal(json_object_size(stats), 0);
	json_decref(stats);
}

#define on_stats(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_stats(rates_are_per_second),		on_stats(a_reset_begins_at_nothing),
		on_stats(people_see_a_table),		on_stats(accesses_are_sorted),
		on_stats(nonsense_is_shown_as_nothing), on_stats(threads_have_spent_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
