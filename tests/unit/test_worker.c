// SPDX-License-Identifier: GPL-2.0-only
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/worker.h"
#include "unit.h"

/* sched_getattr(2)'s struct sched_attr. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static struct worker worker;
static struct event_notifier notifier;
static pthread_t caller; /* of looked() */
static struct attributes seen;
static char name[16];
static int done[2];

static struct attributes attributes(void)
{
	struct attributes attr = { 0 };

	assert_int_equal(syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0), 0);
	return attr;
}

/* In the worker's thread. */
static void looked(struct event_notifier *which)
{
	caller = pthread_self();
	seen = attributes();
	pthread_getname_np(caller, name, sizeof(name));
	assert_int_equal(write(done[1], "x", 1), 1);
}

static void look(void)
{
	char byte;

	assert_int_equal(pipe(done), 0);
	assert_int_equal(worker_create(&worker), 0);
	assert_int_equal(event_notifier_create(&notifier, &worker.loop, looked), 0);
	assert_int_equal(worker_start(&worker, "a-rather-long-name"), 0);
	event_notify(&notifier);
	assert_int_equal(read(done[0], &byte, 1), 1);
	worker_stop(&worker);
	event_notifier_destroy(&notifier);
	worker_destroy(&worker);
	close(done[0]);
	close(done[1]);
}

static void a_worker_turns_its_loop(void **state)
{
	look();
	assert_false(pthread_equal(caller, pthread_self()));
	assert_string_equal(name, "a-rather-long-n");
}

static void a_worker_is_served_soon(void **state)
{
	const struct attributes before = attributes();

	worker_slice(WORKER_SLICE_NS);
	if (before.policy != SCHED_OTHER || attributes().runtime != WORKER_SLICE_NS)
		skip(); /* before Linux 6.12, or not ours to change */
	worker_slice(0);
	assert_int_equal(attributes().runtime, before.runtime);
	look();
	assert_int_equal(seen.runtime, WORKER_SLICE_NS);
	assert_int_equal(seen.policy, before.policy);
	assert_int_equal(seen.nice, before.nice);
	assert_int_equal(attributes().runtime, before.runtime);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		caught_test(a_worker_turns_its_loop),
		caught_test(a_worker_is_served_soon),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
