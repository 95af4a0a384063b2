// SPDX-License-Identifier: GPL-2.0-only
/* How a report goes out, by pipes as slow as the host makes them. What it says is in other tests.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "unit.h"
#include "util.h"
#include "vmm/nest/nest_report.h"

static int ends[2];
static char read_there[KIB(256)];

/* In place of the C library's: is interrupted so many times before it does anything. */
static unsigned int interruptions;

ssize_t write(int fd, const void *bytes, size_t size)
{
	const struct iovec segment = { (void *)bytes, size };

	if (fd == ends[1] && interruptions > 0) {
		interruptions--;
		errno = EINTR;
		return -1;
	}
	return writev(fd, &segment, 1);
}

static int begin(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	/* Whoever tries for ever is ended. */
	alarm(60);
	interruptions = 0;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0 || fcntl(ends[1], F_SETPIPE_SZ, KIB(4)) < 0)
		return -1;
	return catch_begin(state);
}

static int finish(void **state)
{
	alarm(0);
	close(ends[0]);
	close(ends[1]);
	return catch_end(state);
}

/* Reads slowly, until the other end is closed. */
static void *reader(void *opaque)
{
	size_t size = 0;
	ssize_t got;

	fcntl(ends[0], F_SETFL, 0);
	while ((got = read(ends[0], read_there + size, 999)) > 0) {
		size += got;
		usleep(100);
	}
	read_there[size] = '\0';
	return NULL;
}

static void a_report_that_is_too_long_for_the_pipe_waits(void **state)
{
	char *text = malloc(KIB(100) + 1), *expected;
	pthread_t thread;

	for (size_t i = 0; i < KIB(100); i++)
		text[i] = 'a' + i % 23;
	text[KIB(100)] = '\0';
	assert_true(asprintf(&expected, "\n{\"console\":\"%s\"}\n", text) > 0);
	interruptions = 3;
	assert_int_equal(pthread_create(&thread, NULL, reader, NULL), 0);
	nest_report(ends[1], json_pack("{ss}", "console", text));
	close(ends[1]);
	pthread_join(thread, NULL);
	ends[1] = -1;
	assert_string_equal(read_there, expected);
	assert_silent();
	free(expected);
	free(text);
}

static void a_report_that_nobody_reads_is_said(void **state)
{
	close(ends[0]);
	ends[0] = -1;
	nest_report(ends[1], json_pack("{si}", "level", 1));
	assert_said("a report of the nest: Broken pipe");
}

static void a_report_for_which_there_was_no_memory_is_said(void **state)
{
	char byte;

	nest_report(ends[1], NULL);
	assert_said("a report of the nest: Cannot allocate memory");
	assert_int_equal(read(ends[0], &byte, 1), -1);
}

#define on_pipe(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_pipe(a_report_that_is_too_long_for_the_pipe_waits),
		on_pipe(a_report_that_nobody_reads_is_said),
		on_pipe(a_report_for_which_there_was_no_memory_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
