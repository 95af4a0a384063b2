// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backends/report.h"
#include "unit.h"
#include "util.h"

static const char *directory;
static char path[128], number[32];
static struct event_loop loop;
static struct report report;
static unsigned int rooms;
static uint8_t bytes[MIB(4)];

static void room(void *device)
{
	rooms++;
}

static int begin(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	directory = scratch_begin();
	snprintf(path, sizeof(path), "%s/report", directory);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = i * 7 + (i >> 8);
	rooms = 0;
	if (event_loop_create(&loop) < 0)
		return -1;
	return catch_begin(state);
}

static int end(void **state)
{
	event_loop_destroy(&loop);
	scratch_end();
	return catch_end(state);
}

static void start(const char *name)
{
	assert_int_equal(report_create(&report, name), 0);
	assert_int_equal(report_start(&report, &loop), 0);
	report.sink.room = room;
}

static void stop(void)
{
	report_stop(&report);
	report_destroy(&report);
}

static void turn(void)
{
	while (event_loop_turn(&loop, false) > 0)
		;
}

static size_t offer(const void *what, size_t length)
{
	const struct iovec segment = { (void *)what, length };

	return report.sink.offer(&report.sink, &segment, 1);
}

static void keep(const void *what, size_t length)
{
	const struct iovec segment = { (void *)what, length };

	report.sink.keep(&report.sink, &segment, 1);
}

/* As much as is taken at once, in writes of length. */
static size_t offer_all(size_t length)
{
	size_t done = 0, taken;

	do {
		taken = offer(bytes + done, length);
		done += taken;
	} while (taken > 0);
	return done;
}

static const char *descriptor(int fd)
{
	snprintf(number, sizeof(number), "fd:%d", fd);
	return number;
}

static void assert_contents(const char *expected)
{
	char found[256] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_true(read(fd, found, sizeof(found) - 1) >= 0);
	close(fd);
	assert_string_equal(found, expected);
}

/* So many bytes come out of fd, and they are the next ones. */
static void assert_read(int fd, size_t from, size_t count)
{
	static uint8_t found[KIB(64)];

	while (count > 0) {
		const ssize_t got = read(fd, found, count < sizeof(found) ? count : sizeof(found));

		assert_true(got > 0);
		assert_memory_equal(found, bytes + from, got);
		from += got;
		count -= got;
	}
}

static void without_a_name_there_is_nothing(void **state)
{
	assert_int_equal(report_create(&report, NULL), 0);
	assert_int_equal(report_start(&report, &loop), 0);
	report_flush(&report);
	assert_false(report_pending(&report));
	stop();
}

static void a_file_is_made_and_emptied(void **state)
{
	for (unsigned int i = 0; i < 2; i++) {
		start(path);
		assert_int_equal(offer("one\n", 4), 4);
		assert_int_equal(offer("two\n", 4), 4);
		turn();
		stop();
		assert_contents("one\ntwo\n");
	}
}

static void segments_make_one_write(void **state)
{
	struct iovec segments[100];
	int ends[2];
	char found[8] = "";

	/* A socket that keeps writes apart. */
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	start(descriptor(ends[0]));
	for (size_t i = 0; i < 100; i++)
		segments[i] = (struct iovec){ "abcdef" + i / 2, 0 };
	segments[0].iov_len = segments[6].iov_len = segments[99].iov_len = 1;
	segments[99].iov_base = "z";
	assert_int_equal(report.sink.offer(&report.sink, segments, 100), 3);
	assert_int_equal(read(ends[1], found, sizeof(found)), 3);
	assert_string_equal(found, "adz");
	stop();
	close(ends[0]);
	close(ends[1]);
}

/* What is at the names of /dev and /proc is another's. */
static void what_others_have_is_not_emptied(void **state)
{
	char name[64];
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, "theirs ", 7), 7);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	start(name);
	assert_int_equal(offer("ours ", 5), 5);
	stop();
	start(descriptor(fd));
	assert_int_equal(offer("both", 4), 4);
	stop();
	close(fd);
	/* The descriptor's own place is where it was. */
	assert_contents("theirs both ");
}

static void what_cannot_be_opened(void **state)
{
	static const char *const bad[] = {
		"fd:", "fd:x", "fd:-1", "fd:3x", "fd: 1", "fd:99", "fd:99999999999999999999"
	};
	char name[160];
	int fd;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(report_create(&report, bad[i]), -EBADF);
		assert_said(bad[i]);
	}
	assert_int_equal(report_create(&report, directory), -EISDIR);
	assert_said("Is a directory");
	assert_int_equal(report_create(&report, ""), -ENOENT);
	assert_said("No such file");
	snprintf(name, sizeof(name), "%s/missing/report", directory);
	assert_int_equal(report_create(&report, name), -ENOENT);
	assert_said("missing/report: No such file");
	assert_int_equal(report_create(&report, "/dev/no-such-port"), -ENOENT);
	assert_said("/dev/no-such-port: No such file");
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(report_create(&report, descriptor(fd)), -EBADF);
	assert_said("Bad file descriptor");
	close(fd);
	fd = open(directory, O_PATH | O_CLOEXEC);
	assert_int_equal(report_create(&report, descriptor(fd)), -EBADF);
	assert_said("Bad file descriptor");
	close(fd);
}

static void what_is_always_ready(void **state)
{
	start("/dev/null");
	assert_int_equal(offer(bytes, 1000), 1000);
	stop();
}

static void full_disk_is_said_once(void **state)
{
	start("/dev/full");
	assert_int_equal(offer(bytes, 1000), 1000);
	assert_said("warning: report /dev/full: No space left on device");
	assert_int_equal(offer(bytes, MIB(4)), MIB(4));
	keep(bytes, 1000);
	turn();
	assert_false(report_pending(&report));
	assert_silent();
	assert_int_equal(rooms, 0);
	stop();
}

/* fd is the writing end of something that holds a limited amount. */
static void check_backpressure(const char *name, int reader)
{
	size_t done, more;

	start(name);
	turn();
	done = offer_all(3000);
	assert_true(done > 0);
	turn();
	assert_int_equal(rooms, 0);
	assert_read(reader, 0, done);
	turn();
	assert_int_equal(rooms, 1);
	turn();
	assert_int_equal(rooms, 1);
	more = offer(bytes + done, 100);
	assert_int_equal(more, 100);
	assert_read(reader, done, more);
	/* What is kept goes first. */
	rooms = 0;
	done = offer_all(3000);
	keep(bytes + done, KIB(300));
	assert_int_equal(offer("x", 1), 0);
	assert_true(report_pending(&report));
	turn();
	assert_true(report_pending(&report));
	for (size_t from = 0; from < done + KIB(300);) {
		const size_t count = done + KIB(300) - from < 1000 ? done + KIB(300) - from : 1000;

		assert_read(reader, from, count);
		from += count;
		turn();
	}
	assert_false(report_pending(&report));
	assert_int_equal(rooms, 1);
	assert_int_equal(offer(bytes, 10), 10);
	assert_read(reader, 0, 10);
	stop();
	assert_silent();
}

static void pipe_that_is_not_read(void **state)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	check_backpressure(descriptor(ends[1]), ends[0]);
	/* Others who have it are not to notice. */
	assert_false(fcntl(ends[1], F_GETFL) & O_NONBLOCK);
	close(ends[0]);
	close(ends[1]);
}

static void socket_that_is_not_read(void **state)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	check_backpressure(descriptor(ends[0]), ends[1]);
	assert_false(fcntl(ends[0], F_GETFL) & O_NONBLOCK);
	close(ends[0]);
	close(ends[1]);
}

static void fifo_that_is_not_read(void **state)
{
	int fd;

	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	check_backpressure(path, fd);
	close(fd);
}

static void *read_fifo(void *opaque)
{
	int *fd = opaque;

	usleep(50000);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	return NULL;
}

static void fifo_is_waited_for(void **state)
{
	pthread_t thread;
	int fd;

	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(pthread_create(&thread, NULL, read_fifo, &fd), 0);
	start(path);
	pthread_join(thread, NULL);
	assert_true(offer_all(4096) >= 4096);
	assert_read(fd, 0, 4096);
	stop();
	close(fd);
}

static void reader_that_goes_is_said_once(void **state)
{
	int ends[2];

	/* Before anything is written; while something is refused; while something is kept. */
	for (unsigned int when = 0; when < 3; when++) {
		assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
		start(descriptor(ends[1]));
		close(ends[1]);
		if (when > 0)
			offer_all(4096);
		if (when > 1)
			keep(bytes, 100000);
		turn();
		close(ends[0]);
		turn();
		assert_int_equal(offer(bytes, 1000), 1000);
		assert_said("Broken pipe");
		turn();
		assert_int_equal(offer(bytes, MIB(1)), MIB(1));
		assert_false(report_pending(&report));
		assert_silent();
		stop();
	}
	/* And one that was never there. */
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	start(descriptor(ends[1]));
	turn();
	assert_int_equal(offer(bytes, 1000), 1000);
	assert_said("Broken pipe");
	stop();
	close(ends[1]);
}

static void no_more_is_kept_than_the_bound(void **state)
{
	int ends[2];
	size_t held;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	start(descriptor(ends[1]));
	held = offer_all(4096);
	for (unsigned int i = 0; i < REPORT_KEPT_MAX / KIB(512); i++)
		keep(bytes + i * KIB(512), KIB(512));
	assert_silent();
	keep(bytes, 1);
	assert_said("1 bytes are dropped");
	assert_read(ends[0], 0, held);
	for (size_t from = 0; from < REPORT_KEPT_MAX; from += KIB(4)) {
		turn();
		assert_read(ends[0], from, KIB(4));
	}
	turn();
	assert_false(report_pending(&report));
	/* There is room again. */
	offer_all(4096);
	keep(bytes, KIB(512));
	assert_silent();
	stop();
	close(ends[0]);
	close(ends[1]);
}

static void kept_is_written_without_the_loop_too(void **state)
{
	start(path);
	keep("kept\n", 5);
	assert_contents("");
	assert_true(report_pending(&report));
	report_flush(&report);
	assert_false(report_pending(&report));
	assert_contents("kept\n");
	stop();
}

#define on_report(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_report(without_a_name_there_is_nothing),
		on_report(a_file_is_made_and_emptied),
		on_report(segments_make_one_write),
		on_report(what_others_have_is_not_emptied),
		on_report(what_cannot_be_opened),
		on_report(what_is_always_ready),
		on_report(full_disk_is_said_once),
		on_report(pipe_that_is_not_read),
		on_report(socket_that_is_not_read),
		on_report(fifo_that_is_not_read),
		on_report(fifo_is_waited_for),
		on_report(reader_that_goes_is_said_once),
		on_report(no_more_is_kept_than_the_bound),
		on_report(kept_is_written_without_the_loop_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
