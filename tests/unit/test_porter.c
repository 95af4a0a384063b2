// SPDX-License-Identifier: GPL-2.0-only
/*
 * A porter that is one, another process, and what it does for who asks it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children/child.h"
#include "children/porter.h"
#include "unit.h"
#include "util.h"

static struct porter porter;
static int kept; /* a descriptor that a service takes */

/* Services. */

static int settled; /* changed after the porter has begun */

static int tell(struct porter_service *service, const void *request, size_t size,
		struct porter_reply *reply)
{
	reply->value = settled + (reply->outside ? 1000 : 0) + (int64_t)size;
	return 0;
}

static int refuse(struct porter_service *service, const void *request, size_t size,
		  struct porter_reply *reply)
{
	return -ENOSPC;
}

/* What was sent, in a file of its own, and a copy of the descriptor that it has kept. */
static int give(struct porter_service *service, const void *request, size_t size,
		struct porter_reply *reply)
{
	const int fd = memfd_create("given", MFD_CLOEXEC);

	if (fd < 0 || pwrite(fd, request, size, 0) != (ssize_t)size)
		return -errno;
	reply->fds[0] = fd;
	reply->fds[1] = dup(kept);
	reply->fd_count = 2;
	return reply->fds[1] < 0 ? -errno : 0;
}

/* Whether a descriptor is open there that no service takes. */
static int look(struct porter_service *service, const void *request, size_t size,
		struct porter_reply *reply)
{
	reply->value = fcntl(*(const int *)request, F_GETFD) >= 0;
	return 0;
}

static int start(struct porter_service *service, const void *request, size_t size,
		 struct porter_reply *reply)
{
	static const char *const arguments[] = { "-c", "echo started; exit 7", NULL };
	const struct child_command command = { .program = "sh", .arguments = arguments };
	struct child child = { .name = "sh", .for_parent = reply->outside };
	const int err = child_start(&child, &command);

	if (err == 0)
		child_hand_over(&child, dup(kept), reply);
	return err;
}

static struct porter_service services[] = {
	{ .serve = tell }, { .serve = refuse }, { .serve = give },
	{ .serve = look }, { .serve = start },
};

enum { TELL, FAIL, GIVE, LOOK, START };

static int begin(void **state)
{
	if (catch_begin(state) < 0)
		return -1;
	settled = 1;
	kept = memfd_create("kept", MFD_CLOEXEC);
	services[GIVE].keep = services[START].keep = &kept;
	services[GIVE].keep_count = services[START].keep_count = 1;
	porter_create(&porter);
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		porter_offer(&porter, &services[i]);
	return 0;
}

static int finish(void **state)
{
	porter_destroy(&porter);
	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		porter_withdraw(&services[i]);
	close(kept);
	return catch_end(state);
}

static int64_t ask(unsigned int service, const void *request, size_t size)
{
	struct porter_reply reply;

	assert_int_equal(porter_ask(&services[service], request, size, &reply), 0);
	assert_int_equal(reply.fd_count, 0);
	return reply.value;
}

static void whoever_has_no_porter_does_it_himself(void **state)
{
	settled = 2;
	assert_int_equal(ask(TELL, "four", 4), 6);
	porter_withdraw(&services[TELL]);
	assert_int_equal(ask(TELL, "four", 4), 6);
}

/* It knows what was settled before, and nothing that came after. */
static void a_porter_is_what_nidus_was(void **state)
{
	assert_int_equal(porter_start(&porter), 0);
	settled = 2;
	for (int round = 0; round < 100; round++)
		assert_int_equal(ask(TELL, "four", 4), 1005);
}

static void errors_come_back(void **state)
{
	struct porter_reply reply;

	assert_int_equal(porter_start(&porter), 0);
	assert_int_equal(porter_ask(&services[FAIL], NULL, 0, &reply), -ENOSPC);
	assert_int_equal(ask(TELL, NULL, 0), 1001);
}

static void much_is_taken_and_given(void **state)
{
	const size_t size = MIB(5);
	char *sent = malloc(size), *got = malloc(size);
	struct porter_reply reply;

	memset(sent, 'x', size);
	assert_int_equal(porter_start(&porter), 0);
	for (int round = 0; round < 5; round++) {
		assert_int_equal(porter_ask(&services[GIVE], sent, size, &reply), 0);
		assert_int_equal(reply.fd_count, 2);
		assert_int_equal(pread(reply.fds[0], got, size, 0), size);
		assert_memory_equal(sent, got, size);
		assert_true(fcntl(reply.fds[0], F_GETFD) & FD_CLOEXEC);
		close(reply.fds[0]);
		close(reply.fds[1]);
	}
	free(sent);
	free(got);
}

/* Locks, for one, are held by whoever has a descriptor of the file. */
static void it_keeps_what_is_needed_and_nothing_else(void **state)
{
	const int other = memfd_create("other", MFD_CLOEXEC);

	assert_int_equal(porter_start(&porter), 0);
	assert_int_equal(ask(LOOK, &other, sizeof(other)), false);
	assert_int_equal(ask(LOOK, &kept, sizeof(kept)), true);
	close(other);
}

static void what_it_starts_is_ours(void **state)
{
	struct child child = { .name = "sh" };
	struct porter_reply reply;
	int status;

	assert_int_equal(porter_start(&porter), 0);
	assert_int_equal(porter_ask(&services[START], NULL, 0, &reply), 0);
	assert_int_equal(reply.fd_count, PORTER_CHILD_FDS);
	close(reply.fds[PORTER_CHILD_SOCKET]);
	child_adopt(&child, &reply);
	assert_true(child_wait(&child, 20000, &status));
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_said("sh: started");
}

/* Whoever has nidus in his hands can end it so, and no more. */
static void what_makes_no_sense_ends_it(void **state)
{
	struct porter_service unknown = { .porter = &porter, .index = 77 };
	struct porter_reply reply;
	int status;

	assert_int_equal(porter_start(&porter), 0);
	assert_int_equal(porter_ask(&unknown, "x", 1, &reply), -EPIPE);
	assert_said("is gone");
	assert_int_equal(waitpid(porter.pid, &status, 0), porter.pid);
	assert_int_equal(status, 0);
	close(porter.socket);
	porter.pid = 0;
}

#define test(function) cmocka_unit_test_setup_teardown(function, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(whoever_has_no_porter_does_it_himself),
		test(a_porter_is_what_nidus_was),
		test(errors_come_back),
		test(much_is_taken_and_given),
		test(it_keeps_what_is_needed_and_nothing_else),
		test(what_it_starts_is_ours),
		test(what_makes_no_sense_ends_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
