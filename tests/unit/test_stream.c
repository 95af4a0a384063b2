// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "host/stream.h"
#include "unit.h"

/* Something that waits where it must not is ended by this. */
#define LIMIT_SECONDS 120

static struct stream stream;

static int begin(void **state)
{
	signal(SIGPIPE, SIG_IGN);
	alarm(LIMIT_SECONDS);
	return 0;
}

static int finish(void **state)
{
	alarm(0);
	return 0;
}

static ssize_t write_bytes(size_t size)
{
	static char bytes[STREAM_SHARED_MAX];
	const struct iovec segments[] = { { bytes, size / 2 }, { bytes, size - size / 2 } };

	memset(bytes, 'b', sizeof(bytes));
	return stream_write(&stream, segments, 2);
}

/* Until it takes no more; how much that was. */
static size_t fill(void)
{
	size_t done = 0;
	ssize_t more;

	while ((more = write_bytes(STREAM_SHARED_MAX)) > 0)
		done += more;
	assert_int_equal(more, -EAGAIN);
	return done;
}

static void empty(int fd, size_t size)
{
	char bytes[4096];

	while (size > 0) {
		ssize_t got = read(fd, bytes, size < sizeof(bytes) ? size : sizeof(bytes));

		assert_true(got > 0);
		size -= got;
	}
}

/* A stream from `from` to `to`, which others have as well. */
static void neither_side_waits(int from, int to)
{
	char byte = 0;

	assert_int_equal(stream_open(&stream, from, O_WRONLY), 0);
	for (unsigned int i = 0; i < 3; i++) {
		const size_t size = fill();

		assert_true(size > 0);
		empty(to, size);
	}
	stream_close(&stream);
	assert_int_equal(stream_open(&stream, to, O_RDONLY), 0);
	assert_int_equal(stream_read(&stream, &byte, 1), -EAGAIN);
	assert_int_equal(write(from, "y", 1), 1);
	assert_int_equal(stream_read(&stream, &byte, 1), 1);
	assert_int_equal(byte, 'y');
	assert_int_equal(stream_read(&stream, &byte, 1), -EAGAIN);
	stream_close(&stream);
	assert_false(fcntl(from, F_GETFL) & O_NONBLOCK);
	assert_false(fcntl(to, F_GETFL) & O_NONBLOCK);
}

static void pipes(void **state)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	neither_side_waits(ends[1], ends[0]);
	close(ends[0]);
	close(ends[1]);
}

static void sockets(void **state)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };
	int ends[2];

	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(socketpair(AF_UNIX, types[i] | SOCK_CLOEXEC, 0, ends), 0);
		neither_side_waits(ends[0], ends[1]);
		close(ends[0]);
		close(ends[1]);
	}
}

static void terminals(void **state)
{
	struct termios raw;
	int master, slave;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	tcgetattr(slave, &raw);
	cfmakeraw(&raw);
	tcsetattr(slave, TCSANOW, &raw);
	assert_int_equal(stream_open(&stream, slave, O_WRONLY), 0);
	empty(master, fill());
	stream_close(&stream);
	assert_int_equal(stream_open(&stream, slave, O_RDONLY), 0);
	assert_int_equal(stream_read(&stream, &raw, 1), -EAGAIN);
	stream_close(&stream);
	assert_false(fcntl(slave, F_GETFL) & O_NONBLOCK);
	close(master);
	close(slave);
}

/* As the pipe of who called su(1), which is not ours to open. */
static void pipes_that_cannot_be_opened_again(void **state)
{
	int ends[2];
	char byte;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	stream = (struct stream){ .fd = ends[1], .kind = STREAM_SHARED };
	for (unsigned int i = 0; i < 3; i++)
		empty(ends[0], fill());
	stream.fd = ends[0];
	assert_int_equal(stream_read(&stream, &byte, 1), -EAGAIN);
	assert_int_equal(write(ends[1], "y", 1), 1);
	assert_int_equal(stream_read(&stream, &byte, 1), 1);
	close(ends[0]);
	stream.fd = ends[1];
	assert_int_equal(write_bytes(10), -EPIPE);
	close(ends[1]);
}

/* Nor can a terminal say by itself that it would wait: poll(2) is asked. */
static void terminals_that_cannot_be_opened_again(void **state)
{
	int master, slave;
	char byte;

	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	stream = (struct stream){ .fd = slave, .kind = STREAM_SHARED };
	assert_int_equal(stream_read(&stream, &byte, 1), -EAGAIN);
	assert_int_equal(write(master, "y\n", 2), 2);
	assert_int_equal(stream_read(&stream, &byte, 1), 1);
	assert_int_equal(byte, 'y');
	assert_int_equal(write_bytes(10), 10);
	close(master);
	close(slave);
}

static void files_take_everything(void **state)
{
	char path[] = "/tmp/nidus-stream-XXXXXX";
	int fd = mkstemp(path);

	unlink(path);
	assert_int_equal(stream_open(&stream, fd, O_WRONLY), 0);
	assert_int_equal(stream.kind, STREAM_OWN);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(write_bytes(1000), 1000);
	stream_close(&stream);
	/* It is the same description: the next writer goes on from there. */
	assert_int_equal(lseek(fd, 0, SEEK_CUR), 100 * 1000);
	close(fd);
}

/* The wrong end is no better than it was for read(2) and write(2). */
static void what_is_not_open_for_that(void **state)
{
	int ends[2];
	char byte;

	assert_int_equal(stream_open(&stream, 999, O_WRONLY), -EBADF);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(stream_open(&stream, ends[0], O_WRONLY), 0);
	assert_int_equal(write_bytes(1), -EBADF);
	stream_close(&stream);
	assert_int_equal(stream_open(&stream, ends[1], O_RDONLY), 0);
	assert_int_equal(stream_read(&stream, &byte, 1), -EBADF);
	stream_close(&stream);
	close(ends[0]);
	close(ends[1]);
}

#define on_stream(test) cmocka_unit_test_setup_teardown(test, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		on_stream(pipes),
		on_stream(sockets),
		on_stream(terminals),
		on_stream(pipes_that_cannot_be_opened_again),
		on_stream(terminals_that_cannot_be_opened_again),
		on_stream(files_take_everything),
		on_stream(what_is_not_open_for_that),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
