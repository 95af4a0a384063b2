// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/peek.h"
#include "unit.h"

/* A process whose one thread has a name; its end is the test's to see to. */
static pid_t named_process(const char *name)
{
	int ready[2];
	pid_t child;
	char byte;

	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		/* It must not outlive a test that fails. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pthread_setname_np(pthread_self(), name);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void guests_have_ids_and_names(void **state)
{
	pid_t first = named_process("test_peek-/0"), second = named_process("test_peek-/1");
	char id[16];

	snprintf(id, sizeof(id), "%d", first);
	assert_int_equal(peek_find(id), first);
	/* Ten characters count. */
	assert_int_equal(peek_find("test_peek-"), first);
	assert_int_equal(peek_find("test_peek-and-more"), first);
	assert_silent();
	end(second);
	end(first);
}

static void who_is_not_there_is_not_found(void **state)
{
	static const char *const ids[] = { "0", "99999999999999999999", "2147483647" };
	pid_t other = named_process("test_peek-/1");

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		assert_int_equal(peek_find(ids[i]), -ESRCH);
		assert_said("there is no such process");
	}
	assert_int_equal(peek_find("test_peek-"), -ESRCH);
	assert_said("test_peek-: no guest has that name");
	assert_int_equal(peek_find(""), -ESRCH);
	assert_said("no guest has that name");
	end(other);
}

static void a_name_is_of_one_guest(void **state)
{
	pid_t first = named_process("test_peek-/0"), second = named_process("test_peek-/0");

	assert_int_equal(peek_find("test_peek-"), -ENOTUNIQ);
	assert_said("test_peek-: more than one guest has that name");
	end(second);
	end(first);
}

static void a_process_without_statistics_has_none(void **state)
{
	pid_t child = named_process("test_peek-/0");
	struct peek peek;

	assert_int_equal(peek_take(&peek, child), 0);
	assert_int_equal(peek.count, 0);
	peek_drop(&peek);
	end(child);
	assert_int_equal(peek_take(&peek, child), 0);
	assert_int_equal(peek.count, 0);
	peek_drop(&peek);
	assert_silent();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		caught_test(guests_have_ids_and_names),
		caught_test(who_is_not_there_is_not_found),
		caught_test(a_name_is_of_one_guest),
		caught_test(a_process_without_statistics_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
